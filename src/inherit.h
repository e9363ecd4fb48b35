/* L2 net: the names of sd_listen_fds(3)'s protocol, for those who take descriptors and who hand them on. */
#ifndef SALLY_INHERIT_H
#define SALLY_INHERIT_H

#include "sallyport/inherit.h"

#define SALLY_LISTEN_PID        "LISTEN_PID"
#define SALLY_LISTEN_FDS        "LISTEN_FDS"
#define SALLY_LISTEN_FDNAMES    "LISTEN_FDNAMES"
/* The name of a descriptor that has none. */
#define SALLY_INHERITED_UNNAMED "unknown"
#define SALLY_INHERITED_FIRST   3
/* More than any process may have open. */
#define SALLY_INHERITED_MAX     (1 << 20)

/* How many names there are in a list, between ':'. */
long sally_inherited_count_names(const char *names);
/* One entry of a list of descriptors: its name is the next of *names, which moves on; *names NULL: unnamed. */
void sally_inherited_fill(ssl_inherited *entry, int fd, const char **names);

#endif

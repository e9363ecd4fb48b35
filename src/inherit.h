/* L2 net: the names of sd_listen_fds(3)'s protocol, for those who take descriptors and who hand them on. */
#ifndef SALLY_INHERIT_H
#define SALLY_INHERIT_H

#define SALLY_LISTEN_PID      "LISTEN_PID"
#define SALLY_LISTEN_FDS      "LISTEN_FDS"
#define SALLY_LISTEN_FDNAMES  "LISTEN_FDNAMES"
#define SALLY_INHERITED_FIRST 3
/* More than any process may have open. */
#define SALLY_INHERITED_MAX   (1 << 20)

#endif

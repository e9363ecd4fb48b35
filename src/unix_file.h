/* L2 net: the file of a Unix socket of ours, which goes with the socket: unless another has taken its place by
 * then. */
#ifndef SALLY_UNIX_FILE_H
#define SALLY_UNIX_FILE_H

#include <sys/types.h>

#include "addr.h"

typedef struct sally_unix_file {
    bool exists;
    dev_t device;
    ino_t inode;
} sally_unix_file;

/* Right after the bind. An address without a file has none. */
void sally_unix_file_remember(const sally_addr *addr, sally_unix_file *file);
/* Removes it while the socket is still open: so whoever finds nobody behind it did not find this one. */
void sally_unix_file_remove(const sally_addr *addr, sally_unix_file *file);
/* Removes the file at `addr` if it is that of a socket of this process's user with nobody behind it: a process
 * that died has left it. Whether it did. */
bool sally_unix_file_remove_dead(const sally_addr *addr);

#endif

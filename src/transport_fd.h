/* L2 net: a pair of the user's descriptors as a transport (P7). */
#ifndef SALLY_TRANSPORT_FD_H
#define SALLY_TRANSPORT_FD_H

#include "fd.h"
#include "sock.h"

typedef struct sally_fd_setup {
    sally_fd in; /* both looked at */
    sally_fd out;
    bool close_original;
    sally_sock_retire retire; /* gets a socket that is to be closed, as in transport_sock.c */
} sally_fd_setup;

/* Borrows both. 0 or an errno; nothing is borrowed then. */
int sally_transport_fd_new(const sally_fd_setup *setup, sally_transport **t);

#endif

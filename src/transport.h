/* L2 net: what carries the TLS records of one connection. Never blocks.
 *
 * transport_sock.c is a socket. The tests bring an in-memory one that cuts and stalls at byte k.
 */
#ifndef SALLY_TRANSPORT_H
#define SALLY_TRANSPORT_H

#include <stddef.h>

#include "buf.h"

typedef enum sally_io {
    SALLY_IO_DONE,        /* *count bytes, at least one */
    SALLY_IO_WOULD_BLOCK, /* wait for the fd of that direction */
    SALLY_IO_END,         /* receive only: the other end shut its sending side down */
    SALLY_IO_FAILED       /* transport->sys_errno says why */
} sally_io;

typedef enum sally_direction { SALLY_RECEIVE, SALLY_SEND } sally_direction;

typedef struct sally_transport sally_transport;

typedef struct sally_transport_ops {
    sally_io (*receive)(sally_transport *t, void *buf, size_t n, size_t *count);
    sally_io (*send)(sally_transport *t, const void *buf, size_t n, size_t *count);
    /* The fd to poll for that direction, and the events that mean ready. */
    int (*wait_fd)(sally_transport *t, sally_direction direction, short *events);
    /* The end: frees the transport. Bytes in *unsent still go out, and the other end gets to read
     * them, as far as that is possible within a short bounded time and without blocking the caller
     * (P4); *unsent is emptied. `peer_done`: the peer has said that it sends nothing more. */
    void (*finish)(sally_transport *t, sally_buf *unsent, bool peer_done);
} sally_transport_ops;

struct sally_transport {
    const sally_transport_ops *ops;
    int sys_errno; /* of the last SALLY_IO_FAILED */
};

#endif

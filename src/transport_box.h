/* L2 net: a transport whose I/O is somebody else's code: callbacks of the program
 * (transport_callback.c) or another connection (transport_port.c).
 *
 * That code must not run inside a TLS step, under the connection's lock. So a step only empties an
 * inbox and fills an outbox, one record each, and between two steps a thread claims a direction, lets
 * go of the lock, exchanges, and settles under the lock again. One thread at a time is in each direction.
 *
 * The inbox is filled with no more than the step asked for and did not get: nothing is read ahead that
 * OpenSSL would not have read from a socket.
 */
#ifndef SALLY_TRANSPORT_BOX_H
#define SALLY_TRANSPORT_BOX_H

#include "transport.h"

/* The far side: what the boxes are filled from and emptied into. No lock is held in any of these. */
typedef struct sally_far_ops {
    /* As in ssl_callbacks. */
    sally_io (*read)(void *far, void *buf, size_t n, ssl_io_result *result);
    sally_io (*write)(void *far, const void *buf, size_t n, ssl_io_result *result);
    /* Goes on with what write took: DONE, WOULD_BLOCK with how many bytes are left in result->count,
     * FAILED. NULL: write takes only what it sends. */
    sally_io (*flush)(void *far, ssl_io_result *result);
    int (*wait)(void *far, const sally_transport_wait *how); /* called only where box->waits */
    /* As in sally_transport_ops; called only after sally_transport_box_let_watch. */
    int (*watch)(void *far, const sally_transport_wait *how, struct pollfd *fds);
    void (*unwatch)(void *far, int side);
    int (*address)(void *far, bool remote, sally_addr *addr);
    /* Last of all. `given_back`: after a failed wrap. */
    void (*end)(void *far, bool given_back);
} sally_far_ops;

/* Takes `far` over on success only; NULL when out of memory. `waits`: with far_ops->wait, not poll. */
sally_transport *sally_transport_box_new(const sally_far_ops *ops, void *far, bool waits);
/* One that waits, and whose far side has descriptors; before its first use. */
void sally_transport_box_let_watch(sally_transport *t);
/* Undoes new, `far` left alone. */
void sally_transport_box_drop(sally_transport *t);

/* transport_callback.c: copies *callbacks; NULL when out of memory. */
sally_transport *sally_transport_callback_new(const ssl_callbacks *callbacks, bool close_original);

#endif

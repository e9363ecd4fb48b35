/* L2 net: what carries the TLS records of one connection. Never blocks, except in wait.
 *
 * Two families:
 *   - those whose I/O runs inside a TLS step, under the connection's lock: sockets
 *     (transport_sock.c), the user's descriptors (transport_fd.c), the tests' in-memory one;
 *   - those whose I/O is somebody else's code, which must not run under a lock: transport_box.c, over
 *     callbacks of the program or another connection. Inside a step they only fill and empty two
 *     boxes; between steps, the lock free, the connection lets them exchange (conn_exchange.c).
 */
#ifndef SALLY_TRANSPORT_H
#define SALLY_TRANSPORT_H

#include <stddef.h>

#include "addr.h"
#include "buf.h"
#include "sallyport/wrap.h"
#include "wake.h"

/* DONE (*count bytes, at least one), WOULD_BLOCK (wait for that direction), END (receive only: the
 * other end shut its sending side down), FAILED (transport->sys_errno says why). */
typedef ssl_io sally_io;

typedef enum sally_direction { SALLY_RECEIVE, SALLY_SEND } sally_direction;

/* Whether there is something to exchange in a direction. */
typedef enum sally_claim {
    SALLY_CLAIM_NOTHING, /* no: the next step finds what there is */
    SALLY_CLAIM_BUSY,    /* another thread is at it */
    SALLY_CLAIM_TAKEN    /* yes, and it is the caller's to do: exchange, then settle */
} sally_claim;

/* The most pollfds of one transport: one for each direction. */
#define SALLY_WATCH_FDS 2

typedef struct sally_transport_wait {
    ssl_io_wait what;
    int side;               /* of the connection that waits: each side has one thread at most */
    const sally_wake *self; /* the thread's wake; it is among the wakes */
} sally_transport_wait;

typedef struct sally_transport sally_transport;

typedef struct sally_transport_ops {
    sally_io (*receive)(sally_transport *t, void *buf, size_t n, size_t *count);
    sally_io (*send)(sally_transport *t, const void *buf, size_t n, size_t *count);
    /* The fd to poll for that direction, and the events that mean ready. -1: there is none. */
    int (*wait_fd)(sally_transport *t, sally_direction direction, short *events);
    /* The end: frees the transport. Bytes in *unsent still go out, and the other end gets to read
     * them, as far as that is possible within a short bounded time and without blocking the caller
     * (P4); *unsent is emptied. `peer_done`: the peer has said that it sends nothing more. */
    void (*finish)(sally_transport *t, sally_buf *unsent, bool peer_done);

    /* Each of the following may be NULL. */

    /* Why that direction FAILED, in words that are constant; NULL: sys_errno says all. */
    const char *(*fault)(const sally_transport *t, sally_direction direction);
    /* Our address, or the peer's. 0 or an errno; ENOTSOCK, and NULL: there are no addresses. */
    int (*address)(sally_transport *t, bool remote, sally_addr *addr);

    /* Boxes. claim and settle are called under the connection's lock, exchange without it. settle says
     * whether the next step may find something new. flush: DONE when nothing is held. */
    sally_claim (*claim)(sally_transport *t, sally_direction direction);
    void (*exchange)(sally_transport *t, sally_direction direction);
    bool (*settle)(sally_transport *t, sally_direction direction);
    sally_io (*flush)(sally_transport *t);
    /* Waits instead of poll, without the lock, as ssl_callbacks has it: 0 or an errno. */
    int (*wait)(sally_transport *t, const sally_transport_wait *how);
    /* For those that have a `wait`, and descriptors after all: what to poll, at most SALLY_WATCH_FDS, and
     * how->self is raised when all has changed that poll does not show. Without the lock. -1: the next
     * step may find something, look again. Otherwise unwatch takes `self` back. */
    int (*watch)(sally_transport *t, const sally_transport_wait *how, struct pollfd *fds);
    void (*unwatch)(sally_transport *t, int side);

    /* After a finish that left bytes (see depart): goes on sending them; FAILED: they are dropped. */
    sally_io (*send_rest)(sally_transport *t);
    /* Gives the original back, or closes it, and frees the transport. */
    void (*end)(sally_transport *t);
} sally_transport_ops;

struct sally_transport {
    const sally_transport_ops *ops;
    int sys_errno; /* of the last SALLY_IO_FAILED */
    size_t held;   /* bytes that send took and that have not gone on: boxes alone */
    /* Takes over what finish could not send: calls send_rest until it is done, then end. False: it cannot.
     * NULL: the original is its owner's again, as after a failed wrap, and what is unsent is dropped. */
    bool (*depart)(sally_transport *t);
};

#endif

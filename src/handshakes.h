/* L6 ends: the half-done handshakes of a listener (L2).
 *
 * A client is in the set from its TCP accept until its handshake is done, has failed or has taken too
 * long. It is in one of three states, which change under the listener's lock only:
 *   waiting   armed in the pollset: whoever takes it when its socket is ready becomes its holder
 *   held      by exactly one thread, which takes a handshake step without the lock, and then puts it
 *             back, or keeps what came of it, or queues that for others
 *   finished  queued, with its connection or its error, for the next who accepts
 * A client that has not sent a byte costs an fd and an entry, and no TLS object: that is made at its
 * first step. Where a proxy speaks for the client first, the steps begin with its header (proxied.h).
 *
 * Locks: the caller holds the listener's lock (SALLY_RANK_LISTENER) in every ..._locked function.
 */
#ifndef SALLY_HANDSHAKES_H
#define SALLY_HANDSHAKES_H

#include "conn.h"
#include "list.h"
#include "pollset.h"

typedef struct sally_handshake {
    sally_node node; /* lock; in `running`, in `finished`, or in no list */
    int fd;          /* constant; the transport's once that is there */
    sally_addr remote;
    sally_proxied *proxied; /* the holder's, then the connection's; NULL: no proxy speaks for it */
    sally_transport *transport; /* the holder's; made at the first step, then the connection's */
    sally_conn *conn;           /* the holder's; NULL before the first step */
    ssl_deadline deadline;
    bool held;       /* lock */
    bool failed;     /* the holder's; the reason is in `error` */
    bool nobody;     /* the holder's; failed, because a proxy had no client to bring */
    ssl_error error; /* the holder's */
} sally_handshake;

typedef struct sally_handshakes {
    sally_pollset *pollset; /* constant */
    /* under the listener's lock: */
    sally_node running;  /* waiting and held, in the order of accept, so of their deadlines */
    sally_node finished; /* the first to be taken first */
    size_t count;        /* in both */
} sally_handshakes;

/* 0 or an errno. */
int sally_handshakes_init(sally_handshakes *set);
/* The set is empty. Fine after a failed init. */
void sally_handshakes_fini(sally_handshakes *set);

/* Takes one client from the backlog of `listen_fd`. 0, or an errno: EAGAIN, nobody is there; EMFILE,
 * ENOMEM and the like: the client stays in the backlog. One that `trust` refuses is queued as failed. */
int sally_handshakes_accept_locked(sally_handshakes *set, int listen_fd, const sally_trust *trust,
                                   int64_t timeout_ms);

/* As sally_pollset_watch. */
int sally_handshakes_watch_locked(sally_handshakes *set, struct pollfd *fds, int most);
/* The earliest deadline of those that wait. */
ssl_deadline sally_handshakes_deadline_locked(const sally_handshakes *set);

/* One that is ready for a step, or NULL. The caller is its holder. */
sally_handshake *sally_handshakes_take_ready_locked(sally_handshakes *set);
/* One step, without the lock; the call that is named in error texts is ssl_accept. WANT: put it back. DONE
 * and FAILED: take it out, then keep it or queue it. */
sally_step sally_handshake_step(sally_handshake *h, sally_front front, sally_want *want);
/* The holder gives it up, to wait. 0, or an errno: it is still the holder's. */
int sally_handshakes_put_back_locked(sally_handshakes *set, sally_handshake *h, sally_want want);
/* The holder takes it out of the set. */
void sally_handshakes_take_out_locked(sally_handshakes *set, sally_handshake *h);
/* The holder of one that was taken out leaves it to whoever accepts next. */
void sally_handshakes_queue_locked(sally_handshakes *set, sally_handshake *h);
/* The first in the queue, or else one whose deadline has passed, failed with TIMEOUT; out of the set.
 * NULL: none. */
sally_handshake *sally_handshakes_take_finished_locked(sally_handshakes *set);

/* Moves those whose deadline has passed to the queue. */
void sally_handshakes_queue_late_locked(sally_handshakes *set);

/* Drops all that nobody holds. */
void sally_handshakes_drop_locked(sally_handshakes *set);

/* Frees the entry and hands over what came of it: the ports, or the error. */
ssl_status sally_handshake_finish(sally_handshake *h, ssl_ports *ports, ssl_error *err);
/* Records that the holder's part of the work failed: `sys_errno` in doing `what`. */
void sally_handshake_fail(sally_handshake *h, int sys_errno, const char *what);
void sally_handshake_fail_closed(sally_handshake *h);
/* Frees the entry and ends its connection. */
void sally_handshake_drop(sally_handshake *h);

#endif

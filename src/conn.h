/* L5 ports: one connection with its two doors (P1).
 *
 * One mutex guards the engine and everything below "lock" here. It is held around non-blocking steps
 * only, never while waiting. Each side has one slot: `busy` while a call works on it, and while that
 * call sleeps, its thread's wake. Whoever makes progress that a sleeper needs, or closes its side,
 * raises that wake under the lock; a sleeper takes its wake back under the lock before it returns, so
 * no raise ever reaches a thread that has left.
 *
 * The engine is freed by the last one out: both doors closed, no call inside. The struct itself is
 * freed with the second handle.
 */
#ifndef SALLY_CONN_H
#define SALLY_CONN_H

#include "addr_kept.h"
#include "atomic.h"
#include "engine.h"
#include "proxied.h"
#include "sallyport/port.h"
#include "sync.h"
#include "wait.h"

typedef enum sally_side {
    SALLY_IN,
    SALLY_OUT,
    SALLY_CLOSER /* the goodbye of an output side, which may overlap a writer that is leaving */
} sally_side;
#define SALLY_SIDES 3

typedef struct sally_conn sally_conn;

struct ssl_port {
    sally_conn *conn;
    sally_side side;             /* SALLY_IN or SALLY_OUT; constant */
    bool closed;                 /* lock */
    bool abandoned;              /* lock; closed without a goodbye */
    sally_atomic_u64 timeout_ms; /* an int64_t; negative: none */
};

/* A call that is inside, and what it sleeps for. */
typedef struct sally_slot {
    const sally_wake *asleep; /* its thread's wake while it sleeps, else NULL */
    sally_want want;
    bool busy;
    bool stalled; /* it found another thread exchanging what it wants, which has not settled */
} sally_slot;

/* A connection that runs over this one (transport_port.c), as this one sees it. */
typedef struct sally_carried {
    sally_want want[2]; /* of our last read for it that found nothing; of our last write */
    unsigned long seen; /* receives when that read found nothing */
    const sally_wake *asleep[SALLY_SIDES]; /* its threads, asleep for us */
} sally_carried;

struct sally_conn {
    /* A sally_mutex, taken before `lock` by those who must wait for it, and given back at once; NULL: nobody
     * ever had to. */
    sally_atomic_ptr turn;
    sally_atomic_u64 waiting; /* how many those are: nobody takes the lock past them */
    sally_mutex lock;
    sally_engine *engine; /* lock; NULL once both doors are closed and all calls have left */
    sally_slot slots[SALLY_SIDES]; /* lock */
    sally_buf plain; /* lock; plaintext read ahead of the reader by a peek, a line, a copy. Only the
                           call in slots[SALLY_IN] changes it, and so may read it without the lock */
    bool held;       /* lock; a server watches the fd: the engine stays until it lets go */
    bool end_reported;      /* lock; a reader has been told EOF, TRUNCATED or a failure */
    sally_carried *carried; /* lock; NULL: our ports are the caller's own */
    ssl_port in;
    ssl_port out;
    ssl_break *owner;       /* set before the ports are handed out, constant then; retained (B9) */
    const char *call;       /* constant; the public call that made it, for texts of the handshake */
    sally_addr_kept remote; /* constant; the client, where a proxy speaks for it */
    sally_proxied *proxied; /* constant; owned; NULL: no proxy in between */
    sally_atomic_u64 handles; /* ports not freed yet, and the one who holds it */
};

typedef struct sally_conn_setup {
    sally_engine_setup engine;
    const sally_addr *remote; /* may be NULL */
    sally_proxied *proxied;   /* taken over on success; may be NULL */
    bool hold; /* keeps the fd open until sally_conn_drop or _let_go, for one who watches it */
} sally_conn_setup;

/* Takes the transport over on success only. The caller holds both handles. */
ssl_status sally_conn_new(const sally_conn_setup *setup, sally_transport *transport,
                          sally_conn **conn, ssl_error *err);
/* Ends and frees a connection whose ports nobody else has; NULL is fine. Blocks for nothing. */
void sally_conn_drop(sally_conn *conn);
/* The handles, for the caller of connect or accept. */
ssl_ports sally_conn_ports(sally_conn *conn);

/* One step of the handshake, for those who drive many (listener, server): DONE, WANT or FAILED with
 * *err filled (phase HANDSHAKE, the peer's address in the text). AGAIN and ASK are dealt with inside. */
sally_step sally_conn_handshake_step(sally_conn *conn, sally_want *want, ssl_error *err);
/* The whole handshake, blocking, for connect and wrap. */
ssl_status sally_conn_handshake_run(sally_conn *conn, const sally_scope *scope, const char *call,
                                    ssl_error *err);

/* For a server (L7): the fd to park on, -1 when closed. */
int sally_conn_fd(sally_conn *conn);
/* What a handler has left behind. */
typedef struct sally_left {
    bool unsent;     /* output that the peer has not taken */
    bool found;      /* or else: what has been received gives a handler something to do */
    sally_want want; /* or else: what to wait for */
} sally_left;
/* Whether there is anything left to serve: the input door is open and its end has not been reported
 * to a reader yet. A handler that wants to KEEP one that is not has nothing to wait for. What has been
 * received is looked at as in sally_conn_look, but nothing in the socket, except where that is half a
 * record (W3). */
bool sally_conn_is_open(sally_conn *conn, sally_left *left);
/* Whether more can be written: the output door is open, and the way out is not dead. */
bool sally_conn_can_write(sally_conn *conn, bool *unsent);
/* Sends what the socket takes. True: something is left. */
bool sally_conn_send_rest(sally_conn *conn);
/* Whether a handler would find something now: plaintext, an end, or a closed door; half a record, or a
 * message that is not data, must not cost a worker (W2). If there is nothing, *want says what to wait
 * for. Never blocks. The last looks at what has been received, and into the socket only where that is
 * half a record; the others always into the socket. */
bool sally_conn_look(sally_conn *conn, sally_want *want);
bool sally_conn_look_locked(sally_conn *conn, sally_want *want);
bool sally_conn_look_inside_locked(sally_conn *conn, sally_want *want);
/* Gives back what one that is going to wait for long does not need. */
void sally_conn_rest(sally_conn *conn);
/* Begins the goodbye and closes both doors without waiting; what is unsent goes out as in abandon. */
void sally_conn_hang_up(sally_conn *conn);
/* Lets go of one whose ports are somebody else's now, who may have freed them already. What it moves is
 * not counted any more. */
void sally_conn_let_go(sally_conn *conn);
void sally_conn_set_owner(sally_conn *conn, ssl_break *owner);

/* ---- for the port_*.c files ---- */

typedef struct sally_op {
    /* One non-blocking step, lock held. Fills *want for WANT. */
    sally_step (*step)(sally_conn *conn, struct sally_op *op, sally_want *want);
    sally_side side;
    bool poll_first; /* a read: with nothing buffered, wait before the first step (B2) */
    ssl_phase phase;
    const char *call;
    ssl_port *beside;  /* a copy's other port, whose closing ends this op too; else NULL */
    void *buf;         /* reads */
    const void *bytes; /* writes */
    size_t n;
    size_t count;                 /* done so far, exact whatever is returned */
    sally_want want;              /* sally_conn_try: what the last step would have waited for */
    const sally_carried *carried; /* a call of the connection that this one carries, or NULL */
    ssl_status refused;           /* a FAILED step that is not the engine's: its status, and why */
    const char *why;
} sally_op;

/* The one loop of all blocking calls: check the scope, step, wait, until the op is DONE or fails. */
ssl_status sally_conn_run(sally_conn *conn, sally_op *op, const sally_scope *scope, ssl_error *err);
/* The same for one who holds the lock and has made the slot busy already; the lock is free on return. */
ssl_status sally_conn_run_entered(sally_conn *conn, sally_op *op, const sally_scope *scope,
                                  ssl_error *err);
/* For a call of several ops (a copy): enters once, runs each inside, leaves its slot once. */
ssl_status sally_conn_enter(sally_conn *conn, const sally_op *op, ssl_error *err);
ssl_status sally_conn_run_inside(sally_conn *conn, sally_op *op, const sally_scope *scope,
                                 ssl_error *err);
void sally_conn_exit(sally_conn *conn, sally_side side);
/* Runs steps until one of them would have to wait: OK then too, with op->count as far as it came. */
ssl_status sally_conn_try(sally_conn *conn, sally_op *op, ssl_error *err);

/* A step (in port_read.c): one record into `plain`. */
sally_step sally_conn_read_ahead(sally_conn *conn, sally_op *op, sally_want *want);

void sally_conn_lock(sally_conn *conn);
void sally_conn_unlock(sally_conn *conn);
/* Lock held: takes the slot of the op's side. OK, CLOSED (the door is closed), USAGE (it is taken). */
ssl_status sally_conn_enter_locked(sally_conn *conn, const sally_op *op, ssl_error *err);
/* Lock held, the slot ours: one step; wakes those on other sides who wait for what it did. */
sally_step sally_conn_step_locked(sally_conn *conn, sally_op *op, sally_want *want);
/* Lock held: gives the slot back; the caller leaves next. */
void sally_conn_exit_locked(sally_conn *conn, sally_side side);
/* Where the peer is, for error texts; empty for a connection without addresses. */
void sally_conn_peer_text(const sally_conn *conn, char text[SALLY_ADDR_TEXT_SIZE]);
/* Lock held: for questions; NULL after both doors are closed. */
sally_engine *sally_conn_open_engine_locked(const sally_conn *conn);
/* Lock held, the engine there: at most two pollfds for what a step wants; returns how many. */
int sally_conn_watch_locked(sally_conn *conn, sally_want want, struct pollfd *fds);
/* Lock held, given back meanwhile: answers the question of a handshake that said ASK. */
void sally_conn_ask_locked(sally_conn *conn);
/* Lock held: closes a door and wakes whoever sleeps behind it. */
void sally_conn_shut_locked(ssl_port *port, bool abandon);
/* Lock held on entry, free on return: the last one out frees the engine. */
void sally_conn_leave(sally_conn *conn);
/* One more handle, so that the struct outlives its ports; and back. */
void sally_conn_retain(sally_conn *conn);
void sally_conn_release(sally_conn *conn);
/* Lock held: wakes those, other than the call on `self`, who sleep for what has been received, or
 * all of them after a failure. */
void sally_conn_tell_others_locked(sally_conn *conn, sally_side self, bool received, bool failed);

/* ---- conn_exchange.c: transports whose I/O must not run under the lock ---- */

/* Lock held, and free in between; the caller is in the slot of `side`. Whether the next step may find
 * something new, so that there is nothing to wait for yet. */
bool sally_conn_exchange_locked(sally_conn *conn, sally_side side, sally_want want);
/* Before a call leaves: hands on what the transport holds, as far as that does not block. */
void sally_conn_hand_on_locked(sally_conn *conn, sally_side side);
/* Makes the wait of a thread in the slot of `side` one of the transport, where it has its own way. */
typedef struct sally_conn_sleeper {
    sally_sleeper base; /* first: a sally_sleeper * of this kind points here */
    sally_transport *transport;
    sally_transport_wait how;
} sally_conn_sleeper;
void sally_conn_sleep_with(sally_conn_sleeper *sleeper, sally_transport *t, sally_want want,
                           sally_wait *wait, sally_side side);

/* port_read.c, port_write.c: the steps of ssl_read_available, ssl_write_available and ssl_flush. */
sally_step sally_port_read_some(sally_conn *conn, sally_op *op, sally_want *want);
sally_step sally_port_write_some(sally_conn *conn, sally_op *op, sally_want *want);
sally_step sally_port_flush(sally_conn *conn, sally_op *op, sally_want *want);

/* USAGE unless `port` is not NULL and of that side. */
ssl_status sally_port_check(const ssl_port *port, sally_side side, const sally_op *op,
                            ssl_error *err);

/* The scope of a call on a port: token, owner, port timeout. */
ssl_status sally_port_scope(ssl_port *port, sally_how how, ssl_phase phase, sally_scope *scope,
                            ssl_error *err);

/* ssl_read for digest_port.c, many times in one scope: op->call, buf and n > 0 are the caller's. */
ssl_status sally_port_read_in_scope(ssl_port *in, sally_op *op, const sally_scope *scope,
                                    ssl_error *err);

#endif

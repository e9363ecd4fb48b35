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

#include "addr.h"
#include "engine.h"
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
    sally_side side;     /* SALLY_IN or SALLY_OUT */
    bool closed;         /* lock */
    int64_t timeout_ms;  /* lock; negative: none */
};

/* A call that is inside, and what it sleeps for. */
typedef struct sally_slot {
    bool busy;
    const sally_wake *asleep; /* its thread's wake while it sleeps, else NULL */
    sally_want want;
} sally_slot;

struct sally_conn {
    sally_mutex lock;
    sally_engine *engine; /* lock; NULL once both doors are closed and all calls have left */
    sally_slot slots[SALLY_SIDES]; /* lock */
    sally_buf plain;      /* lock; plaintext that a peek or a line read ahead of the reader */
    ssl_port in;
    ssl_port out;
    ssl_break *owner;     /* set before the ports are handed out, constant then; retained (B9) */
    sally_addr remote;    /* constant */
    sally_atomic_u64 handles; /* ports not freed yet */
};

typedef struct sally_conn_setup {
    sally_engine_setup engine;
    const sally_addr *remote; /* may be NULL */
} sally_conn_setup;

/* Takes the transport over on success only. The caller holds both handles. */
ssl_status sally_conn_new(const sally_conn_setup *setup, sally_transport *transport,
                          sally_conn **conn, ssl_error *err);
/* Ends and frees a connection whose ports nobody else has; NULL is fine. Blocks for nothing. */
void sally_conn_drop(sally_conn *conn);
/* The handles, for the caller of connect or accept. */
ssl_ports sally_conn_ports(sally_conn *conn);

/* One step of the handshake, for those who drive many (listener, server): DONE, WANT or FAILED with
 * *err filled (phase HANDSHAKE, the peer's address in the text). AGAIN is dealt with inside. */
sally_step sally_conn_handshake_step(sally_conn *conn, sally_want *want, ssl_error *err);
/* The whole handshake, blocking, for connect and wrap. */
ssl_status sally_conn_handshake_run(sally_conn *conn, const sally_scope *scope, const char *call,
                                    ssl_error *err);

/* For a server (L7): the fd to park on, -1 when closed. */
int sally_conn_fd(sally_conn *conn);
/* Whether a handler would find something now: bytes, an end, or a closed door. If not, *want says
 * what to park for, and the record buffers are given back. Never blocks (W3). */
bool sally_conn_is_serviceable(sally_conn *conn, sally_want *want);
/* Begins the goodbye and closes both doors without waiting; what is unsent goes out as in abandon. */
void sally_conn_hang_up(sally_conn *conn);
void sally_conn_set_owner(sally_conn *conn, ssl_break *owner);

/* ---- for the port_*.c files ---- */

typedef struct sally_op {
    /* One non-blocking step, lock held. Fills *want for WANT. */
    sally_step (*step)(sally_conn *conn, struct sally_op *op, sally_want *want);
    /* Whether the first step can be skipped because nothing can have arrived unseen: poll first. */
    bool (*must_wait)(sally_conn *conn, struct sally_op *op);
    sally_side side;
    ssl_phase phase;
    const char *call;
    void *buf;         /* reads */
    const void *bytes; /* writes */
    size_t n;
    size_t count;      /* done so far, exact whatever is returned */
} sally_op;

/* The one loop of all blocking calls: check the scope, step, wait, until the op is DONE or fails. */
ssl_status sally_conn_run(sally_conn *conn, sally_op *op, const sally_scope *scope, ssl_error *err);
/* Runs steps while none of them has to wait: OK when the op would block. */
ssl_status sally_conn_try(sally_conn *conn, sally_op *op, ssl_error *err);

/* USAGE unless `port` is not NULL and of that side. */
ssl_status sally_port_check(const ssl_port *port, sally_side side, const char *call, ssl_phase phase,
                            ssl_error *err);
/* The scope of a call on a port: token, owner, port timeout. `enable`: an ..._enable_break call. */
ssl_status sally_port_scope(ssl_port *port, bool enable, ssl_break *brk, ssl_phase phase,
                            sally_scope *scope, ssl_error *err);

/* Last one out: under the lock, takes the engine when nobody needs it any more; NULL otherwise. The
 * caller frees it with sally_engine_free after unlocking. */
sally_engine *sally_conn_take_finished_locked(sally_conn *conn);
void sally_conn_wake_locked(sally_conn *conn, sally_side side);

#endif

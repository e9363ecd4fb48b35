/* L7 service: one client of a server, from TCP accept to the last byte. */
#ifndef SALLY_CONNECTION_H
#define SALLY_CONNECTION_H

#include "addr_kept.h"
#include "conn.h"
#include "server.h"

/* What a gate took from the backlog. */
typedef struct sally_client {
    int fd;
    sally_addr remote;
    const sally_front *front; /* borrowed from the listener, which outlives the connection */
} sally_client;

/* How long a worker waits on the spot at most, in milliseconds. Long, because a timer that is due
 * before all others has to be programmed into the hardware, and a worker that dwells is called away when
 * it is needed. */
#define SALLY_DWELL_MS 1000

typedef enum sally_progress {
    SALLY_CLIENT_NEW,     /* no bytes yet: an fd and an address, no SSL */
    SALLY_CLIENT_SHAKING, /* `conn` is in its handshake */
    SALLY_CLIENT_SHAKEN   /* served, or parked until it can be */
} sally_progress;

struct ssl_connection {
    ssl_server *server;       /* constant */
    sally_task *task;         /* constant */
    const sally_front *front; /* constant */
    /* the holder's */
    sally_addr_kept remote; /* the client's */
    int fd;                 /* until there is a conn; then -1 */
    sally_progress progress;
    bool unsent;              /* parked until the peer takes what is written */
    bool writing;             /* ... and the handler has more to write then */
    bool brisk;               /* the peer answered at once last time */
    bool instant;             /* ... and before anybody looked */
    sally_proxied *proxied;   /* until there is a conn; NULL: no proxy speaks for the client */
    sally_resident *resident; /* NULL: its address has no limit, or is not known yet */
    /* Of the handshake until that is done; of the output while `unsent`; else of idling: set after each
     * handler, and bytes that make no message do not move it. */
    ssl_deadline deadline;
    int64_t shaking_ns; /* when the handshake began */
    int64_t active_ns;  /* when the peer was last heard, or a handler last done */
    void *user;
    void (*destroy_user)(void *user);
    /* the holder's to write, under the server's lock once `conn` is there; a drain reads them */
    sally_conn *conn;
    ssl_break *brk;           /* retained; NULL before the first handler */
    sally_atomic_u64 running; /* a handler is inside; see drain.c */
    sally_node node;          /* server's lock; server->connections */
    sally_node idle_node;     /* server's lock; server->idle */
};

/* A connection for a client that was admitted, parked until its first bytes. Takes the fd in any case;
 * false without memory. */
bool sally_connection_begin(ssl_server *server, const sally_client *client);
/* Ends a connection that the caller holds: goodbye, close, free; its place is free then. Never
 * blocks, but for the application's destroy function. */
void sally_connection_end(ssl_connection *c);
/* Ends it for want of something, and counts that where its handshake is not done. */
void sally_connection_give_up(ssl_connection *c, ssl_status why);
/* Ends it for the sake of others, and counts and tells that. A client whose handshake is done gets a
 * goodbye. */
void sally_connection_refuse(ssl_connection *c, ssl_refusal why);

/* ---- connection_wait.c: the caller holds it, and must not touch it afterwards ---- */

void sally_connection_wait_for_first_bytes(ssl_connection *c);
/* Where a drain finds the peer quiet, it ends instead. */
void sally_connection_wait_for_peer(ssl_connection *c, sally_want want, ssl_deadline deadline);
/* There is something to serve already, so any worker may go on at once. */
void sally_connection_wait_for_worker(ssl_connection *c);
/* Until the peer has taken what is written; `begin` sets the deadline for that. A drain lets it, up to its
 * soft deadline. */
void sally_connection_begin_sending(ssl_connection *c);
void sally_connection_wait_to_send(ssl_connection *c);
/* Sets its idle deadline; the caller holds it still. */
void sally_connection_begin_idling(ssl_connection *c);
/* The first thing to do for one who has come to hold it. */
void sally_connection_delist_as_idle(ssl_connection *c);
/* Ends the one that has been idle for longest. False: none is. */
bool sally_connection_oldest_idle_yields(ssl_server *server);

/* ---- connection_user.c ---- */

/* Destroys the application's pointer, and forgets it. */
void sally_connection_drop_user(ssl_connection *c);

#endif

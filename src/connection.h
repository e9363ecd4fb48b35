/* L7 service: one client of a server, from TCP accept to the last byte. */
#ifndef SALLY_CONNECTION_H
#define SALLY_CONNECTION_H

#include "addr.h"
#include "conn.h"
#include "server.h"

/* What a gate took from the backlog. */
typedef struct sally_client {
    int fd;
    sally_addr remote;
    sally_front front; /* borrowed from the listener, which outlives the connection */
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
    ssl_server *server; /* constant */
    sally_task *task;   /* constant */
    /* the holder's */
    sally_client client;    /* fd: until there is a conn */
    sally_proxied *proxied; /* until there is a conn; NULL: no proxy speaks for the client */
    sally_progress progress;
    ssl_deadline handshake_deadline;
    int64_t shaking_ns; /* when the handshake began */
    int64_t active_ns;  /* when the peer was last heard, or a handler last done */
    bool brisk;         /* the peer answered at once last time */
    bool instant;       /* ... and before anybody looked */
    void *user;
    void (*destroy_user)(void *user);
    /* the holder's to write, under the server's lock once `conn` is there; a drain reads them */
    sally_conn *conn;
    ssl_break *brk;           /* retained; NULL before the first handler */
    sally_atomic_u64 running; /* a handler is inside; see drain.c */
    sally_node node;          /* server's lock; server->connections */
};

/* A connection for a client that was admitted, parked until its first bytes. Takes the fd in any case;
 * false without memory. */
bool sally_connection_begin(ssl_server *server, const sally_client *client);
/* Ends a connection that the caller holds: goodbye, close, free; its place is free then. Never
 * blocks, but for the application's destroy function. */
void sally_connection_end(ssl_connection *c);

#endif

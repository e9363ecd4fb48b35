/* One connection of the tunnel: TLS at one side, plain at the other. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <sallyport.h>

#include "../common/plain.h"

/* Where all connections lead to, and as whom. */
typedef struct far_end {
    plain_place place;    /* its addresses are there where it is plain */
    bool is_plain;        /* the service; else another tunnel, or any TLS server */
    ssl_context *context; /* of a client, where the far end is TLS */
} far_end;

/* A connection that has come in: the ports, or the descriptor. */
typedef struct channel {
    ssl_ports ports;
    int fd;
    ssl_break *brk;   /* ends both directions */
    ssl_error err[2]; /* of bytes that come from TLS, and of those that go to it */
} channel;

/*
 * Connects the other side, within 10 seconds, and moves bytes both ways until both ends are done: a goodbye of
 * TLS becomes the end of the plain stream, and the other way round, each direction on its own. What fails in one
 * direction, or a break of `stop`, cuts both sides, and each side sees a cut. Frees what came in. False:
 * *err tells.
 */
bool channel_run(channel *c, const far_end *far, ssl_break *stop, ssl_error *err);

/* Cuts what has come in, and whatever was made of it. */
void channel_drop(channel *c);

#endif

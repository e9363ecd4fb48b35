/* L7 service: what becomes of a server's clients, told to its numbers and to its log. One call for each
 * thing that happens; what follows from it is none of the caller's business. No lock may be held: the log
 * is the program's. */
#ifndef SALLY_OBSERVE_H
#define SALLY_OBSERVE_H

#include "connection.h"

/* The first bytes are there, and the handshake begins. */
void sally_observe_shaking(ssl_connection *c);
/* Where the bytes that it moves are counted. */
sally_traffic *sally_observe_traffic(const ssl_connection *c);
/* It is done. */
void sally_observe_shaken(ssl_connection *c);
/* It came to nothing, perhaps before it began; `err` (may be NULL) knows more than `why`. */
void sally_observe_unshaken(const ssl_connection *c, ssl_status why, const ssl_error *err);
/* A client was taken that could not even become a connection. */
void sally_observe_turned_away(ssl_server *server);
/* A client was refused; `reason` is one word, the same as in the metrics. */
void sally_observe_refusal(ssl_server *server, const sally_addr *client, const char *reason);
/* A client was refused, or hung up on, for a limit. */
void sally_observe_limit(ssl_server *server, const sally_addr *client, const char *reason,
                         const char *text);
/* No client could be taken, for want of something. */
void sally_observe_accept_failure(ssl_server *server, int error);
/* It was silent for too long. */
void sally_observe_idle(const ssl_connection *c);

/* A handler is about to be called: when, for the other one, which says when it was done. */
int64_t sally_observe_call(ssl_connection *c);
int64_t sally_observe_return(ssl_connection *c, int64_t called_ns);

/* A server did not start. */
void sally_observe_start_failure(ssl_server *server, const ssl_error *why);
/* A started one could not start a worker that would have been of use. On the pool's timekeeper. */
void sally_observe_lack(ssl_server *server, const ssl_error *why);
void sally_observe_drain(ssl_server *server);
void sally_observe_drained(ssl_server *server, size_t cut);

#endif

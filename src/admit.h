/* L7 service: who may come in, and who is refused (W4). */
#ifndef SALLY_ADMIT_H
#define SALLY_ADMIT_H

#include "addr.h"
#include "server.h"

typedef enum sally_verdict {
    SALLY_ADMITTED, /* a place is taken, until sally_server_vacate or sally_server_withdraw_place */
    SALLY_WAITS,    /* it stays in the backlog */
    SALLY_REFUSED   /* it is to be taken from there, and refused */
} sally_verdict;

typedef struct sally_admission {
    sally_verdict verdict;
    ssl_refusal why; /* unless ADMITTED */
} sally_admission;

/* For one more client. */
sally_admission sally_server_admit(ssl_server *server);
/* Whether a gate has to wait until somebody goes, or is done with its handshake. */
bool sally_server_is_full_locked(const ssl_server *server);
/* Its handshake is done. */
void sally_server_note_shaken(ssl_server *server);
/* Gives a place back: to which no client came, or whose client has gone, and its descriptor too. */
void sally_server_withdraw_place(ssl_server *server);
void sally_server_vacate(ssl_server *server, bool shaken);
/* Lock held: somebody has become idle, who may yield. */
void sally_server_note_idle_locked(ssl_server *server);
/* Lock held: raises `empty` when a draining server has nobody left and nobody can come. */
void sally_server_tell_empty_locked(ssl_server *server);

/* Counts a refusal, and tells of it. No lock may be held. */
void sally_server_tell_refusal(ssl_server *server, const sally_addr *remote, ssl_refusal why);

#endif

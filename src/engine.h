/* L4 engine: one TLS connection as non-blocking steps; the only caller of SSL_read, SSL_write,
 * SSL_do_handshake and SSL_shutdown. It waits for nothing and locks nothing: its owner (conn.c)
 * serialises the calls and does the waiting.
 *
 * Whoever begins a series of steps has emptied the error queue (sally_ossl_begin); each step leaves it
 * empty.
 *
 * Rules that the steps keep:
 *   - unsent ciphertext goes out before anything else, in every step (B6);
 *   - more than SALLY_UNSENT_MAX of it stops reading too, so that a peer that makes us answer without
 *     reading cannot make it grow;
 *   - WANT receive is said only when the transport was seen empty (poll again), AGAIN otherwise;
 *   - a failure of TLS is for both directions and stays; an end, a cut or a dead way out is for one.
 */
#ifndef SALLY_ENGINE_H
#define SALLY_ENGINE_H

#include "binding.h"
#include "context.h"
#include "hostname.h"
#include "keylog.h"
#include "sallyport/context.h"
#include "sallyport/names.h"
#include "sallyport/ocsp.h"
#include "sallyport/registry.h"
#include "sallyport/session.h"
#include "traffic.h"
#include "transport.h"
#include "trust.h"

/* The most plaintext in a TLS record (RFC 8446 section 5.1), in bytes. */
#define SALLY_RECORD_MAX ((size_t)16384)

/* Soft bound on unsent ciphertext, in bytes: about two records. */
#define SALLY_UNSENT_MAX ((size_t)36 * 1024)

typedef struct sally_engine sally_engine;

typedef enum sally_step {
    SALLY_STEP_DONE,  /* the operation made its progress; counts are in the out-parameters */
    SALLY_STEP_AGAIN, /* something else was processed (a ticket, a KeyUpdate): step again */
    SALLY_STEP_ASK,   /* a handshake wants to know its context: sally_engine_ask, then step again */
    SALLY_STEP_WANT,  /* wait for what *want says, then step again */
    SALLY_STEP_FAILED /* sally_engine_report tells why; for reads this includes EOF and TRUNCATED */
} sally_step;

typedef struct sally_want {
    bool receive;
    bool send;
} sally_want;

/* What a server's client meets first. */
typedef struct sally_front {
    ssl_context *context;   /* not NULL */
    ssl_registry *registry; /* of contexts by name; may be NULL */
    sally_trust *trust;     /* in those who say for whom they connect; NULL: in nobody */
} sally_front;

typedef struct sally_engine_setup {
    ssl_context *context; /* NULL for a client: the secure one */
    bool client;
    const char *hostname;       /* client: for SNI and for the check; may be NULL */
    const char *call;           /* the public call, for error texts */
    bool exact;                 /* receive nothing behind the record that is being read */
    ssl_wrap_shutdown shutdown; /* whether to say close_notify */
    ssl_registry *registry; /* server: of contexts by name; borrowed until the handshake is done */
    const ssl_alpn_name *alpn;  /* client: offered in place of the context's names; checked */
    size_t alpn_count;          /* 0: the context's */
    const ssl_session *session; /* client: to be resumed where it fits; may be NULL */
    sally_traffic *traffic; /* counts what is moved, until sally_engine_stop_counting; or NULL */
} sally_engine_setup;

/* Takes the transport over on success only. */
ssl_status sally_engine_new(const sally_engine_setup *setup, sally_transport *transport,
                            sally_engine **engine, ssl_error *err);
/* Gives transport and unsent bytes to transport->finish, frees the rest. Blocks for nothing. */
void sally_engine_free(sally_engine *e);

sally_step sally_engine_handshake(sally_engine *e, sally_want *want);
/* After ASK, and without the lock: asks, which calls the application, and keeps the answer for the next
 * step of the handshake. Nobody else may step it meanwhile, or free the engine. */
void sally_engine_ask(sally_engine *e);

sally_step sally_engine_read(sally_engine *e, void *buf, size_t n, size_t *got, sally_want *want);
/* DONE when the next read would bring plaintext. It stays where it is: nothing is copied. */
sally_step sally_engine_look(sally_engine *e, sally_want *want);
/* Accepts at most one record's worth; DONE with *done > 0. Begins only when nothing is unsent; what
 * it leaves unsent is for a flush. */
sally_step sally_engine_write(sally_engine *e, const void *buf, size_t n, size_t *done,
                              sally_want *want);
sally_step sally_engine_flush(sally_engine *e, sally_want *want);
/* Sends close_notify, once, where the policy says so and the handshake is done; then flushes. */
sally_step sally_engine_goodbye(sally_engine *e, sally_want *want);

/* Why the last step FAILED, as status and text: "call: ADDRESS: why". */
ssl_status sally_engine_report(sally_engine *e, ssl_phase phase, const char *call, const char *peer,
                               ssl_error *err);

/* Whether the next read may find something without a new receive from the transport. */
bool sally_engine_has_buffered(const sally_engine *e);
/* Moves the secrets that are to be logged to *lines, to be delivered without the lock; false: none. */
bool sally_engine_take_key_lines(sally_engine *e, sally_key_lines *lines);
bool sally_engine_has_ended(const sally_engine *e); /* reading gives EOF, TRUNCATED or a failure */
bool sally_engine_has_eof(const sally_engine *e);   /* ... and that end is the peer's goodbye */
/* Whether what is written can still reach the peer, as far as is known. */
bool sally_engine_can_send(const sally_engine *e);
size_t sally_engine_unsent(const sally_engine *e);
/* Receives made so far: it grows when a step took bytes that the other side may wait for. */
unsigned long sally_engine_receives(const sally_engine *e);
/* Ends `exact` of the setup. */
void sally_engine_read_ahead(sally_engine *e);
void sally_engine_stop_counting(sally_engine *e);
/* Gives back what a connection that waits does not need: record buffers, and for good the keys of the key
 * exchange. */
void sally_engine_rest(sally_engine *e);
sally_transport *sally_engine_transport(sally_engine *e);

/* ---- in engine_auth.c ---------------------------------------------------------------------- */

/* A server asks the client for a certificate, unless it has asked already. DONE: the answer is here and
 * meets the demand; AGAIN: it is not, so read on, whatever comes. */
sally_step sally_engine_request(sally_engine *e, sally_demand demand, sally_want *want);
/* A client judges what the server has shown. DONE or FAILED, which is about the certificate alone. */
sally_step sally_engine_judge_again(sally_engine *e, sally_demand demand);
void sally_engine_demand_nothing(sally_engine *e);
bool sally_engine_is_server(const sally_engine *e);

/* ---- in engine_peer.c ---------------------------------------------------------------------- */

/* There is no certificate while a new one is on its way. */
bool sally_engine_peer_verified(const sally_engine *e);
/* As in certificate.h; nothing without a certificate. False: no memory. */
bool sally_engine_peer_name(const sally_engine *e, bool issuer, char *text, size_t size,
                            size_t *length);
bool sally_engine_peer_names(const sally_engine *e, char ***names, size_t *count);
bool sally_engine_peer_pem(const sally_engine *e, char **pem, size_t *length);
bool sally_engine_peer_matches(const sally_engine *e, const sally_hostname *name);
const char *sally_engine_version(const sally_engine *e);
const char *sally_engine_cipher(const sally_engine *e);
/* What was agreed on by ALPN, and its length; 0: nothing. The engine's. */
const unsigned char *sally_engine_alpn(const sally_engine *e, size_t *length);
ssl_status sally_engine_binding(sally_engine *e, const char *call, ssl_binding *binding,
                                ssl_error *err);
ssl_binding_type sally_engine_default_binding(const sally_engine *e);
bool sally_engine_is_resumed(const sally_engine *e);
ssl_ocsp_status sally_engine_ocsp_status(const sally_engine *e);
/* As ssl_port_session. */
ssl_status sally_engine_session(const sally_engine *e, const char *call, ssl_session **session,
                                ssl_error *err);

#endif

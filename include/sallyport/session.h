/*
 * sallyport/session.h: resumption: a second handshake that skips certificates and signatures (C4, C5, C6).
 *
 * A server seals what it needs to know about a client into a session ticket and sends it to the client
 * (RFC 8446 section 4.6.1, RFC 5077); the server keeps nothing. A client that offers the ticket later
 * gets a short handshake. No certificate is shown in it, so what was found out in the first handshake is
 * what counts: ssl_peer_verified says the same again.
 *
 * Client: take an ssl_session from a connection and offer it in ssl_connect_options.session.
 * Server: tickets are given by default. ssl_ticket_keys are the keys that they are sealed with; unless a
 *   context is given others, all of the process's contexts share one set of random keys, so that a
 *   context that is replaced or reloaded goes on taking the old one's tickets.
 *
 * A session is no way around a check: each context has an identity (ssl_set_context_name), made from its
 * name and its verify policy, and what was begun under one identity is not resumed under another.
 */
#ifndef SALLYPORT_SESSION_H
#define SALLYPORT_SESSION_H

#include "context.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the client's side --------------------------------------------------------------------- */

/** A refcounted session of a client. It holds a secret: whoever has it can resume in its name. It
 *  does not change, so threads share it without a lock. */
typedef struct ssl_session ssl_session;

/**
 * The newest session of a client connection, in *session. In TLS 1.3 the server sends it after the
 * handshake, and a read takes it in: ask after the first bytes of an answer; later tickets replace it.
 * In TLS 1.2 it is there after the handshake. `port`: either side, while one of them is open.
 * A TLS 1.3 session should be offered once (RFC 8446 appendix C.4): an observer can tell that two
 * connections that offer the same one belong together. Take a new one from each connection.
 * Ownership: returns one reference. Threads: any.
 * Errors: UNSUPPORTED (the server has given none so far, or gives none), CLOSED (both sides closed),
 *   USAGE (NULL, a server's port), MEMORY. Keeps: C6.
 */
SALLY_API ssl_status ssl_port_session(const ssl_port *port, ssl_session **session, ssl_error *err);

/** Whether the handshake of this connection resumed a session. The same on both sides and at both
 *  ends; false after both sides are closed. Threads: any. Keeps: C6. */
SALLY_API bool ssl_port_is_resumed(const ssl_port *port);

/** Adds a reference; returns `session`. Threads: any. */
SALLY_API ssl_session *ssl_session_retain(ssl_session *session);
/** Gives a reference back; the last one frees it. NULL is fine. Threads: any. */
SALLY_API void ssl_session_release(ssl_session *session);

/** How long a session is offered, in seconds: from the full handshake on that it goes back to, whatever was
 *  resumed in between. Servers may be content with less. */
#define SALLY_SESSION_LIFETIME_S 86400

/** The most bytes that a serialized session has. */
#define SALLY_SESSION_SIZE_MAX 262144

/**
 * Writes a session as bytes into `buf`, for ssl_session_parse of another process; *length says how many
 * they are. They hold a secret: keep them as you would a private key. Damage is detected, forgery not.
 * The certificates that the server sent with its own are not among them.
 * Threads: any. Errors: LIMIT (`size` is too small: *length says what is needed; `buf` may be NULL
 *   then), USAGE, MEMORY. Keeps: C6, E2.
 */
SALLY_API ssl_status ssl_session_serialize(const ssl_session *session, void *buf, size_t size,
                                           size_t *length, ssl_error *err);
/** Makes a session, in *session, of the `n` bytes that ssl_session_serialize wrote.
 *  Ownership: returns one reference; copies. Threads: any.
 *  Errors: CONFIG (no such bytes, damaged, or cut off), USAGE, MEMORY. Keeps: C6. */
SALLY_API ssl_status ssl_session_parse(const void *bytes, size_t n, ssl_session **session,
                                       ssl_error *err);

/* ---- the server's side: ticket keys ---------------------------------------------------------- */

/** Refcounted keys for tickets (AES-256-CBC with HMAC-SHA-256), shared by any number of contexts, and
 *  threads. The first key seals; all of them open. A ticket that an older key opens is renewed. */
typedef struct ssl_ticket_keys ssl_ticket_keys;

/** How long a ticket is taken, in seconds (RFC 8446 section 4.6.1 allows a week): from the full handshake on
 *  that it goes back to, however often it has been renewed since. So nobody is taken for what a
 *  certificate proved longer ago. */
#define SALLY_TICKET_LIFETIME_S   7200
/** How often random keys rotate by themselves, in hours: when the first ticket after that is made. */
#define SALLY_TICKET_ROTATE_HOURS 8
/** How many random keys there are at most: the one that seals, and those before the last rotations. */
#define SALLY_TICKET_GENERATIONS  3
/** How many keys a file may have. */
#define SALLY_TICKET_KEYS_MAX     16

/** Makes a set of keys with one random key, in *keys. It rotates by itself, until keys are loaded.
 *  Ownership: returns one reference. Threads: any. Errors: USAGE, SYSTEM (no randomness), MEMORY. */
SALLY_API ssl_status ssl_ticket_keys_new(ssl_ticket_keys **keys, ssl_error *err);
/** Adds a reference; returns `keys`. Threads: any. */
SALLY_API ssl_ticket_keys *ssl_ticket_keys_retain(ssl_ticket_keys *keys);
/** Gives a reference back; the last one wipes and frees the keys. NULL is fine. Threads: any. */
SALLY_API void ssl_ticket_keys_release(ssl_ticket_keys *keys);

/** Puts a new random key in front, at once for all contexts that use `keys`; the oldest beyond
 *  SALLY_TICKET_GENERATIONS is wiped, and its tickets mean a full handshake from then on.
 *  Threads: any. Errors: USAGE (NULL, or keys from a file: change the file), SYSTEM. Keeps: C5. */
SALLY_API ssl_status ssl_ticket_keys_rotate(ssl_ticket_keys *keys, ssl_error *err);

/**
 * Replaces all keys by those of a file, which several machines can share. The file has 80 bytes for each
 * key (16 name, 32 for AES, 32 for HMAC), either as they are, as nginx has them, or in base64, a key a
 * line, as HAProxy has them: `openssl rand -base64 80 | tr -d '\n'; echo` makes one. Lines that are
 * empty or begin with # are passed over. The first key seals, on every machine; the others open.
 * To rotate, append the new key on all machines and load, then move it to the front and load.
 * Keys of a file do not rotate by themselves. A load that fails changes nothing.
 * Threads: any. Errors: SYSTEM (cannot read), CONFIG (no regular file, not such keys, a name twice),
 *   LIMIT (more than SALLY_TICKET_KEYS_MAX), USAGE, MEMORY. Keeps: C5.
 */
SALLY_API ssl_status ssl_ticket_keys_load(ssl_ticket_keys *keys, const char *path, ssl_error *err);

/** Which keys a server context's tickets are sealed with; NULL: the process's own.
 *  Ownership: retains. Errors: SEALED, USAGE (NULL, a client context). Keeps: C5. */
SALLY_API ssl_status ssl_set_ticket_keys(ssl_context *context, ssl_ticket_keys *keys,
                                         ssl_error *err);

/** The most tickets for one handshake. */
#define SALLY_SESSION_TICKETS_MAX 8

/** How many tickets a server gives after a full TLS 1.3 handshake, 1 by default: more for clients that
 *  open several connections at once. A resumed handshake gives one, and so does TLS 1.2. With 0 none
 *  are given and none are taken: every handshake is a full one.
 *  Errors: SEALED, USAGE (out of range, a client context). Keeps: C6. */
SALLY_API ssl_status ssl_set_session_tickets(ssl_context *context, unsigned count, ssl_error *err);

/* ---- which sessions a context takes ---------------------------------------------------------- */

/**
 * Gives a context a stable name: any text that is not empty, as "www.example.org". A session is
 * resumed only by contexts of the same identity. That is the name and, whatever the name is, the kind
 * (client or server), the verify policy and the trust anchors: so a session that was begun where less
 * was asked for is no pass where more is. Without a name its place is taken by the subject and the names
 * of the certificate, so that a renewed certificate keeps resumption working.
 * Ownership: copies. Errors: SEALED, USAGE (NULL, empty), MEMORY. Keeps: C4.
 */
SALLY_API ssl_status ssl_set_context_name(ssl_context *context, const char *name, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

/*
 * sallyport/verify.h: what is demanded of the peer's certificate (C7).
 *
 * Chain and name are two demands. The chain: ssl_set_verify demands a valid one, ssl_try_verify asks and
 * goes on whatever is found. The name: ssl_set_verify_hostname, for clients. What was found is told by
 * ssl_peer_verified and the other questions of peer.h.
 *
 * Host names go by RFC 9525: the DNS names and IP addresses of subjectAltName, compared without regard
 * to case. A wildcard counts as the whole leftmost label only: "*.example.org" is for "a.example.org",
 * not for "example.org", "a.b.example.org" or, as "a*.example.org", for anything. One that would span
 * a whole top-level domain ("*.org") is for nothing; there is no list of longer public suffixes
 * ("*.co.uk"). A name is given as it is in DNS: one with letters beyond ASCII in its A-label form
 * ("xn--..."). A trailing dot and the zone of an address ("%eth0") are no part of it.
 */
#ifndef SALLYPORT_VERIFY_H
#define SALLYPORT_VERIFY_H

#include "context.h"
#include "listener.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- contexts ------------------------------------------------------------------------------ */

/**
 * Demands that the peer's certificate be valid: a client checks the server's, a server asks for the
 * client's and refuses one that sends none. Off: nothing is demanded, and a server does not ask. Takes
 * the place of what ssl_try_verify said.
 * Errors: SEALED, USAGE. Keeps: C7. See also ssl_set_verify_hostname.
 */
SALLY_API ssl_status ssl_set_verify(ssl_context *context, bool on, ssl_error *err);
/**
 * Has the peer's certificate judged and goes on whatever is found, so that the program decides: a server
 * asks for one and takes a client without. ssl_peer_verified says true for a valid one only; where the
 * host name is checked too, for one of the right name. (Racket's own try-verify fails instead.) Off: as
 * ssl_set_verify off.
 * Errors: SEALED, USAGE. Keeps: C7.
 */
SALLY_API ssl_status ssl_try_verify(ssl_context *context, bool on, ssl_error *err);
/**
 * Checks the peer's certificate against the host name given to ssl_connect, by the rules above, never
 * against the common name. Does not imply ssl_set_verify: alone it demands the name, of any certificate.
 * Errors: SEALED, USAGE (a server context). Keeps: C7.
 */
SALLY_API ssl_status ssl_set_verify_hostname(ssl_context *context, bool on, ssl_error *err);
/**
 * Lets the common name of the subject stand in where the certificate has no DNS name at all (RFC 2818
 * section 3.1), as certificates did before 2017; never for an IP address. Off by default. Insecure:
 * authorities that are held to names in subjectAltName may not be held to those in the subject.
 * Errors: SEALED, USAGE (a server context). Keeps: C7.
 */
SALLY_API ssl_status ssl_set_insecure_common_name(ssl_context *context, bool on, ssl_error *err);

/* ---- listeners ----------------------------------------------------------------------------- */

/** ssl_set_verify on the listener's context: for clients whose handshake begins later, and for others who
 *  use that context. Threads: any. Errors: SEALED, CLOSED (the listener), USAGE. Keeps: C7. */
SALLY_API ssl_status ssl_listener_set_verify(ssl_listener *listener, bool on, ssl_error *err);
/** ssl_try_verify in the same way. Threads: any. Errors: SEALED, CLOSED, USAGE. Keeps: C7. */
SALLY_API ssl_status ssl_listener_try_verify(ssl_listener *listener, bool on, ssl_error *err);

/* ---- live connections ---------------------------------------------------------------------- */

/** How much data from the client a call of ssl_port_set_verify keeps, in bytes (and one record more). */
#define SALLY_VERIFY_DATA_MAX ((size_t)131072)

/**
 * Demands a valid certificate of the peer of a live connection, with either of its ports.
 *
 * On a server's connection the client is asked for its certificate at once, in TLS 1.3 by post-handshake
 * authentication (RFC 8446 section 4.6.2), before by renegotiation where the context has
 * ssl_set_insecure_renegotiation. OK: it has shown a valid one. Data that comes first is kept, and later
 * reads find it in order. Each call asks anew, unless an earlier request has not been judged yet.
 * On a client's connection the certificate that the server has shown is judged again, with the trust
 * and the name of the context; ssl_peer_verified says what was found this time.
 * With `on` false: a certificate that comes later need not be valid.
 *
 * Blocks: a server with `on`, until the client has answered; a client never. Bounded by the port's
 *   timeout.
 * Threads: for a server with `on` the call is the one reader; a writer may go on meanwhile.
 * Errors: VERIFY: a server's connection is over then, because the client is told by a fatal alert, except
 *   where ssl_port_try_verify asked; a client's goes on. UNSUPPORTED: the client did not offer it, or
 *   renegotiation is not allowed; the connection goes on, and nothing has changed. LIMIT: more than
 *   SALLY_VERIFY_DATA_MAX bytes of data came first; read them, and call again. USAGE: another thread
 *   reads. PEER, with alert 100 where the client refuses to renegotiate: the connection is over. CLOSED,
 *   and the other errors of ssl_read. Keeps: C7, P1.
 */
SALLY_API ssl_status ssl_port_set_verify(ssl_port *port, bool on, ssl_error *err);
/** ssl_port_set_verify that `brk` can break. On break: the request stands if it was made, and the
 *  connection is intact (B6). Call again to go on; reads meanwhile process the answer too, and report a
 *  bad one. Keeps: B1. */
SALLY_API ssl_status ssl_port_set_verify_enable_break(ssl_port *port, bool on, ssl_break *brk,
                                                      ssl_error *err);
/**
 * The same, but goes on whatever comes: OK also when the client sends no certificate or a bad one, and
 * when the server's is found bad; ssl_peer_verified says which.
 * Blocks, threads and errors as for ssl_port_set_verify, without VERIFY. Keeps: C7.
 */
SALLY_API ssl_status ssl_port_try_verify(ssl_port *port, bool on, ssl_error *err);
/** ssl_port_try_verify that `brk` can break, as ssl_port_set_verify_enable_break. Keeps: B1. */
SALLY_API ssl_status ssl_port_try_verify_enable_break(ssl_port *port, bool on, ssl_break *brk,
                                                      ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

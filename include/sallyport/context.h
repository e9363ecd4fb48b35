/*
 * sallyport/context.h: what a connection may do, and who it is.
 *
 * An ssl_context is a record of settings: protocols, identity, whom to trust, ciphers. load.h loads
 * certificates and keys into it, verify.h says what is required of the peer. Connections
 * made with it take a snapshot; a setter called later affects later connections only. A setter that
 * fails changes nothing (C2). ssl_seal_context ends the changes: after it every setter gives
 * SALLY_SEALED before it looks at its arguments' files, and the context may be shared by threads
 * without a lock. An unsealed context may be used by any thread too, one setter at a time.
 *
 * Contexts are refcounted: make returns a reference, ssl_context_release gives it back. Connections
 * and listeners retain what they use.
 *
 * Safe by default: TLS 1.2 and 1.3 only, no compression, no renegotiation. A client context made
 * with SALLY_PROTOCOL_AUTO verifies nothing until told to; SALLY_PROTOCOL_SECURE, or NULL where
 * ssl_connect takes a context, verifies the chain and the host name against the system's roots.
 */
#ifndef SALLYPORT_CONTEXT_H
#define SALLYPORT_CONTEXT_H

#include <stdbool.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A refcounted client or server context. */
typedef struct ssl_context ssl_context;

/** Which protocol versions (C1). */
typedef enum ssl_protocol {
    SALLY_PROTOCOL_SECURE = 0,     /**< client: as ssl_secure_client_context; server: as AUTO */
    SALLY_PROTOCOL_AUTO,           /**< TLS 1.2 and up */
    SALLY_PROTOCOL_TLS13,          /**< TLS 1.3 only (RFC 8446) */
    SALLY_PROTOCOL_TLS12,          /**< TLS 1.2 only (RFC 5246) */
    SALLY_PROTOCOL_TLS11_INSECURE, /**< TLS 1.1 only; deprecated by RFC 8996 */
    SALLY_PROTOCOL_TLS10_INSECURE, /**< TLS 1.0 only; deprecated by RFC 8996 */
    SALLY_PROTOCOL_SSLV2_OR_V3,    /**< an old name for AUTO; allows neither SSL 2 nor SSL 3 */
    SALLY_PROTOCOL_SSLV2,          /**< UNSUPPORTED: OpenSSL has none */
    SALLY_PROTOCOL_SSLV3           /**< UNSUPPORTED where OpenSSL has none (RFC 7568) */
} ssl_protocol;

/**
 * Makes a client context, in *context. SALLY_PROTOCOL_SECURE gives a reference to the shared, sealed
 * ssl_secure_client_context.
 * Ownership: returns one reference. Threads: any.
 * Errors: USAGE, UNSUPPORTED (this OpenSSL lacks the protocol, or every cipher for it: it is not among
 *   ssl_supported_client_protocols, or for a server ssl_supported_server_protocols), CONFIG, MEMORY.
 *   Keeps: C1.
 */
SALLY_API ssl_status ssl_make_client_context(ssl_protocol protocol, ssl_context **context,
                                             ssl_error *err);

/** Makes a server context, in *context; it needs an identity before it can serve
 *  (ssl_load_certificate_chain and ssl_load_private_key, or ssl_load_identity).
 *  Ownership, threads and errors as for ssl_make_client_context. */
SALLY_API ssl_status ssl_make_server_context(ssl_protocol protocol, ssl_context **context,
                                             ssl_error *err);

/**
 * The context for talking to the world: AUTO protocols, default verify sources, verification of the
 * chain and of the host name, no weak ciphers, sealed. Cached; a new one is made after
 * ssl_default_verify_sources_set changed the sources.
 * Ownership: returns one reference. Threads: any. Errors: CONFIG, MEMORY. Keeps: C1.
 */
SALLY_API ssl_status ssl_secure_client_context(ssl_context **context, ssl_error *err);

/** Adds a reference; returns `context`. Threads: any. */
SALLY_API ssl_context *ssl_context_retain(ssl_context *context);
/** Gives a reference back; the last one frees it. NULL is fine. Threads: any. */
SALLY_API void ssl_context_release(ssl_context *context);

/** Whether it is a client context. Threads: any. */
SALLY_API bool ssl_context_is_client(const ssl_context *context);
/** Whether it is a server context. Threads: any. */
SALLY_API bool ssl_context_is_server(const ssl_context *context);

/**
 * Ends the changes. First checks that protocols, ciphers and security level leave something to offer,
 * and that there is a certificate with its key (a client may have neither). Sealing twice is fine.
 * With SALLY_OK, the second time too, err->text says what is odd but no reason to refuse: a certificate of
 * the chain that has expired or is not valid yet, or one that comes without its issuers. It is empty
 * otherwise.
 * Threads: any. Errors: CONFIG (nothing is sealed then), MEMORY. Keeps: C2.
 */
SALLY_API ssl_status ssl_seal_context(ssl_context *context, ssl_error *err);
/** Whether it is sealed. Threads: any. */
SALLY_API bool ssl_context_is_sealed(const ssl_context *context);

/** The cipher list for TLS 1.2 and older, in the form of openssl-ciphers(1).
 *  Errors: SEALED, CONFIG (nothing in it is known), USAGE (NULL). */
SALLY_API ssl_status ssl_set_ciphers(ssl_context *context, const char *spec, ssl_error *err);
/** The cipher suites for TLS 1.3, separated by colons, as "TLS_AES_128_GCM_SHA256".
 *  Errors: SEALED, CONFIG, USAGE. */
SALLY_API ssl_status ssl_set_ciphersuites(ssl_context *context, const char *names, ssl_error *err);

/** The groups for the key exchange, in order of preference, separated by colons: "X25519:P-256". No
 *  others are used then. An ECDSA certificate's own curve must be among them for TLS 1.2.
 *  Errors: SEALED, CONFIG (a name that is not known, or is there twice), USAGE (NULL), MEMORY. Keeps: C3. */
SALLY_API ssl_status ssl_set_groups(ssl_context *context, const char *groups, ssl_error *err);
/**
 * Prefers finite-field Diffie-Hellman, with the parameters of a PEM file, among the TLS 1.2 ciphers of
 * the context; adds none and takes none away. NULL stands for ssl_dh4096_param_path(). Without this
 * call such ciphers are served too, last, with parameters that OpenSSL chooses.
 * Errors: SEALED, USAGE (a client context), CONFIG (less than 2048 bits, damaged, unsafe), LIMIT (more bits
 *   than can be checked in time), SYSTEM, MEMORY. Keeps: C3.
 */
SALLY_API ssl_status ssl_server_context_enable_dhe(ssl_context *context, const char *dh_param_path,
                                                   ssl_error *err);
/** Names the parameters of ffdhe4096 (RFC 7919) for ssl_server_context_enable_dhe. It is no path of a
 *  file, because OpenSSL holds them. The text is static. Threads: any. */
SALLY_API const char *ssl_dh4096_param_path(void);
/**
 * Makes a curve the server's first choice among its groups (of ssl_set_groups, else those of OpenSSL 3.0 and
 * no newer ones), never the only one. `curve_name`: one of Racket's names, as "secp384r1"; NULL: "secp521r1".
 * In TLS 1.3 a client's guess that is allowed saves a round trip and is taken, so it is felt in TLS 1.2.
 * Errors: SEALED, USAGE (a client context), CONFIG (no such name), UNSUPPORTED (too weak for the security
 *   level, or not in the context's protocols), MEMORY. Keeps: C3.
 */
SALLY_API ssl_status ssl_server_context_enable_ecdhe(ssl_context *context, const char *curve_name,
                                                     ssl_error *err);

/** Whether closing the output side sends close_notify: on by default; off is Racket's default, and
 *  the peer cannot tell the end from a cut then. Errors: SEALED. Keeps: P4. */
SALLY_API ssl_status ssl_set_shutdown_on_close(ssl_context *context, bool on, ssl_error *err);
/** Whether the peer may ask for renegotiation (TLS 1.2 and older); off by default, and insecure
 *  against peers that use it to burn CPU. Errors: SEALED. Keeps: P1. */
SALLY_API ssl_status ssl_set_insecure_renegotiation(ssl_context *context, bool on, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

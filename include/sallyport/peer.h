/*
 * sallyport/peer.h: who is at the other end, and what binds this connection (C6, C7).
 *
 * All of these look at what the connection holds; none blocks, and any thread may call them at any time,
 * with either port. They work while one of the two ports is open, and give CLOSED after that. A peer
 * that showed no certificate is no error: its names are empty, and it is not verified. While a new
 * certificate that was asked for is on its way (ssl_port_set_verify), the peer counts as one without,
 * until it has proved that it has the key.
 */
#ifndef SALLYPORT_PEER_H
#define SALLYPORT_PEER_H

#include "memory.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the certificate ----------------------------------------------------------------------- */

/** Whether the peer showed a certificate that was found valid (and the host name, where the context
 *  asks for it). False without a certificate, and after both sides are closed. Threads: any. Keeps: C7. */
SALLY_API bool ssl_peer_verified(const ssl_port *port);

/**
 * Whom the certificate is for: the DNS names ("www.example.org", "*.example.org") and the IP addresses
 * of its subjectAltName, in that order of the certificate. The common name only where the context has
 * ssl_set_insecure_common_name and there is no DNS name; so what is listed is what
 * ssl_peer_check_hostname goes by. (Racket lists no addresses, and the common name always.) A name with
 * bytes that are not printable ASCII is left out.
 * Ownership: *names is one block for ssl_free_block, NULL when *count is 0. Threads: any.
 * Errors: CLOSED, MEMORY, USAGE. Keeps: C7.
 */
SALLY_API ssl_status ssl_peer_certificate_hostnames(const ssl_port *port, char ***names,
                                                    size_t *count, ssl_error *err);
/**
 * Whether the certificate is for `hostname`, a DNS name or an IP address, by the rules of verify.h.
 * *matches is false without a certificate, and on failure. Says nothing about the chain: that is
 * ssl_peer_verified.
 * Threads: any. Errors: CLOSED, USAGE (NULL, a name that names nobody). Keeps: C7.
 */
SALLY_API ssl_status ssl_peer_check_hostname(const ssl_port *port, const char *hostname,
                                             bool *matches, ssl_error *err);
/**
 * The subject of the certificate in one line, "/O=Example/CN=www.example.org", bytes beyond printable
 * ASCII as \xHH. For people; whether it is the right peer is for ssl_peer_check_hostname to say. *length
 * counts without the NUL, and is 0 without a certificate.
 * Threads: any. Errors: CLOSED, MEMORY, USAGE; LIMIT: `text` is too small and holds "", *length says what
 *   it takes. Keeps: C7.
 */
SALLY_API ssl_status ssl_peer_subject_name(const ssl_port *port, char *text, size_t size,
                                           size_t *length, ssl_error *err);
/** The same for its issuer. Threads: any. Errors: as for ssl_peer_subject_name. Keeps: C7. */
SALLY_API ssl_status ssl_peer_issuer_name(const ssl_port *port, char *text, size_t size,
                                          size_t *length, ssl_error *err);
/**
 * The certificates that the peer sent, its own first, as PEM text with a NUL behind it; *length counts
 * without. A session that was resumed may have kept the first only.
 * Ownership: *pem is a block for ssl_free_block; NULL without a certificate. Threads: any.
 * Errors: CLOSED, MEMORY, USAGE. Keeps: C7.
 */
SALLY_API ssl_status ssl_peer_certificate_chain(const ssl_port *port, char **pem, size_t *length,
                                                ssl_error *err);

/* ---- the connection ------------------------------------------------------------------------ */

/** The version spoken, "TLSv1.3" or "TLSv1.2"...; NULL after both sides are closed. The text is
 *  static. Threads: any. */
SALLY_API const char *ssl_protocol_version(const ssl_port *port);
/** The cipher suite in use, as OpenSSL calls it: "TLS_AES_256_GCM_SHA384",
 *  "ECDHE-RSA-AES128-GCM-SHA256"; NULL after both sides are closed. The text is static. Threads: any. */
SALLY_API const char *ssl_cipher_name(const ssl_port *port);

/* ---- channel bindings ---------------------------------------------------------------------- */

/** What an authentication inside the connection (SCRAM, say) can be tied to, so that it is worth nothing
 *  on another one. Both ends get equal bytes. */
typedef enum ssl_binding_type {
    SALLY_BINDING_TLS_EXPORTER, /**< RFC 9266; TLS 1.3, and 1.2 with extended master secret */
    SALLY_BINDING_TLS_UNIQUE,   /**< RFC 5929 section 3; TLS 1.2 and older */
    SALLY_BINDING_TLS_SERVER_END_POINT /**< RFC 5929 section 4; the hash of the server's certificate */
} ssl_binding_type;

/** Most bytes in a channel binding. */
#define SALLY_BINDING_MAX 64

/** A channel binding as a value. */
typedef struct ssl_binding {
    ssl_binding_type type;
    size_t length;
    unsigned char bytes[SALLY_BINDING_MAX];
    uint64_t reserved[2];
} ssl_binding;

/**
 * The channel binding of a type. tls-exporter has 32 bytes; tls-unique is the first Finished message of
 * the latest handshake, 12 bytes; tls-server-end-point has the size of the hash that signed the
 * certificate, SHA-256 in place of MD5 and SHA-1.
 * On failure *binding is zero. Threads: any.
 * Errors: CLOSED, USAGE, MEMORY. UNSUPPORTED: tls-unique on TLS 1.3; tls-unique or tls-exporter on
 *   older versions without extended master secret (RFC 7627: there an attacker in the middle can make
 *   two connections agree); tls-exporter where renegotiation is allowed (RFC 9266 section 3);
 *   tls-server-end-point for a certificate whose signature has no single hash (Ed25519, say). Keeps: C6.
 */
SALLY_API ssl_status ssl_channel_binding(const ssl_port *port, ssl_binding_type type,
                                         ssl_binding *binding, ssl_error *err);
/** The default one (RFC 9266 section 2): tls-exporter on TLS 1.3, tls-unique before. binding->type says
 *  which. Threads: any. Errors: as for ssl_channel_binding. Keeps: C6. */
SALLY_API ssl_status ssl_default_channel_binding(const ssl_port *port, ssl_binding *binding,
                                                 ssl_error *err);
/** The registered name of a type, as "tls-exporter"; NULL for a number that is none. Threads: any. */
SALLY_API const char *ssl_binding_name(ssl_binding_type type);

#ifdef __cplusplus
}
#endif
#endif

/* L3 crypto: judging the peer's certificate (C7).
 *
 * Host names go by RFC 9525: subjectAltName only, a wildcard as the whole leftmost label, IP
 * addresses as such. Name and chain are judged apart, because a context may ask for either.
 */
#ifndef SALLY_VERIFY_H
#define SALLY_VERIFY_H

#include <openssl/ssl.h>

#include "context.h"

/* Settles in an SSL_CTX what is required of the peer: its chain, the host name, both or neither. */
void sally_verify_configure(SSL_CTX *ctx, bool client, bool verify, bool verify_hostname);

/* Prepares one connection: SNI for a name (never for an address), the name to check, what is required.
 * `hostname` may be NULL. Errors: USAGE (an empty name, one that starts with a dot or is too long; none
 * although the policy asks for a check), MEMORY. */
ssl_status sally_verify_prepare(SSL *ssl, const sally_policy *policy, const char *hostname,
                                ssl_error *err);

/* The outcome for error texts and queries, after the handshake (or its failure). */
typedef struct sally_verdict {
    long code; /* X509_V_OK or X509_V_ERR_... */
    bool has_certificate;
} sally_verdict;
sally_verdict sally_verify_verdict(SSL *ssl);
/* "self-signed certificate in certificate chain (for "example.com")..." bounded. */
void sally_verify_reason(SSL *ssl, const sally_verdict *verdict, char *text, size_t size);

#endif

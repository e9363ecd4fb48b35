/* L3 crypto: judging the peer's certificate (C7).
 *
 * Host names go by RFC 9525: subjectAltName only, a wildcard as the whole leftmost label, IP
 * addresses as such. Name and chain are judged apart, because a context may ask for either.
 */
#ifndef SALLY_VERIFY_H
#define SALLY_VERIFY_H

#include <openssl/ssl.h>

#include "context.h"

/* What an SSL_CTX settles for all its connections. */
typedef struct sally_verify_rules {
    bool client;
    sally_demand demand; /* on the chain */
    bool hostname;       /* is checked */
    bool common_name;    /* may stand in for a missing DNS name (RFC 2818 section 3.1) */
} sally_verify_rules;
void sally_verify_configure(SSL_CTX *ctx, const sally_verify_rules *rules);

/* Prepares one connection: SNI for a name (never for an address), the name to check, what is required.
 * `hostname` may be NULL. Errors: USAGE (a name that names nobody; none although the policy asks for a
 * check), MEMORY. */
ssl_status sally_verify_prepare(SSL *ssl, const sally_policy *policy, const char *hostname,
                                const char *call, ssl_error *err);

/* The outcome for error texts and queries, after the handshake (or its failure). */
typedef struct sally_verdict {
    long code; /* X509_V_OK or X509_V_ERR_... */
    bool has_certificate;
} sally_verdict;
sally_verdict sally_verify_verdict(SSL *ssl);

/* For a live connection: what is demanded of a certificate that comes from now on. */
void sally_verify_demand(SSL *ssl, sally_demand demand);
/* Judges what the peer has shown once more; the verdict is the new one. False: no memory, the old one. */
bool sally_verify_again(SSL *ssl);

/* ---- in verify_reason.c -------------------------------------------------------------------- */

bool sally_verify_is_name_error(long code);
/* Inside a verify callback: notes which certificate the error is about. */
void sally_verify_note(X509_STORE_CTX *store);
/* "the certificate of example.com is not valid: certificate has expired: /CN=..., depth 0; ...". */
void sally_verify_reason(SSL *ssl, const sally_verdict *verdict, char *text, size_t size);

#endif

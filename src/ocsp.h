/* L3 crypto: OCSP responses: what one says of a certificate (C6, RFC 6960). */
#ifndef SALLY_OCSP_H
#define SALLY_OCSP_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <time.h>

/* How far the clocks of responder and client may differ, in seconds. */
#define SALLY_OCSP_SKEW_S    300
/* How old a response may be that does not say until when it is good, in seconds. */
#define SALLY_OCSP_AGE_MAX_S 86400

typedef struct sally_ocsp_case {
    X509 *leaf;
    STACK_OF(X509) * chain; /* where its issuer and the signer of the response are looked for */
    X509_STORE *store;      /* whom the signer must lead to */
} sally_ocsp_case;

typedef struct sally_ocsp_verdict {
    int code;        /* X509_V_OK: good; CERT_REVOKED, OCSP_CERT_UNKNOWN, OCSP_VERIFY_FAILED */
    const char *why; /* it is not good; static */
    time_t until;    /* good until then */
} sally_ocsp_verdict;

/* Leaves OpenSSL's error queue as it was. */
sally_ocsp_verdict sally_ocsp_judge(const unsigned char *der, size_t size,
                                    const sally_ocsp_case *about);

/* The certificate of `chain` that issued `leaf`; NULL: none. */
X509 *sally_ocsp_issuer(X509 *leaf, STACK_OF(X509) * chain);

/* A client's SSL_CTX: asks for a response in each full handshake and judges what comes; `required`: none
 * fails the handshake too, with X509_V_ERR_OCSP_VERIFY_NEEDED. */
bool sally_ocsp_ask(SSL_CTX *ctx, bool required);

#endif

/* L3 crypto: what an SSL_CTX carries of ours, for callbacks that OpenSSL gives nothing but the SSL.
 *
 * It is filled while the SSL_CTX is built, constant then, and freed with it: so it lives as long as any
 * connection of that SSL_CTX.
 */
#ifndef SALLY_CARRIED_H
#define SALLY_CARRIED_H

#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <time.h>

#include "sallyport/session.h"

/* A response that the server shows to who asks. */
typedef struct sally_staple {
    unsigned char *response; /* DER; ours */
    size_t size;
    time_t until; /* it is good */
} sally_staple;

typedef struct sally_carried {
    unsigned char identity[SHA256_DIGEST_LENGTH]; /* of the context (context_name.c) */
    ssl_ticket_keys *ticket_keys;                 /* retained; NULL where no tickets are given */
    sally_staple staple;                          /* a server's; NULL: none */
    bool always_full;                             /* a client's: no session is offered */
} sally_carried;

/* A new one, all zero, now the SSL_CTX's. NULL with OpenSSL's queue saying why. */
sally_carried *sally_carried_attach(SSL_CTX *ctx);
/* Gives the one that it has a copy of a response. NULL with OpenSSL's queue saying why. */
sally_staple *sally_carried_staple(SSL_CTX *ctx, const unsigned char *response, size_t size);
/* Never NULL for one that a context has built. */
const sally_carried *sally_carried_by(const SSL_CTX *ctx);

#endif

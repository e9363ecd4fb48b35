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

#include "sallyport/session.h"

typedef struct sally_carried {
    unsigned char identity[SHA256_DIGEST_LENGTH]; /* of the context (context_name.c) */
    ssl_ticket_keys *ticket_keys;                 /* retained; NULL where no tickets are given */
} sally_carried;

/* A new one, all zero, now the SSL_CTX's. NULL with OpenSSL's queue saying why. */
sally_carried *sally_carried_attach(SSL_CTX *ctx);
/* Never NULL for one that a context has built. */
const sally_carried *sally_carried_by(const SSL_CTX *ctx);

#endif

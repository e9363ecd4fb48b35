/* L3 crypto: the keys that session tickets are sealed with (C5).
 *
 * They live outside of contexts, so that resumption survives a context that is replaced. The callback
 * runs inside a handshake step, under the connection's lock.
 */
#ifndef SALLY_TICKET_H
#define SALLY_TICKET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "atomic.h"
#include "sallyport/session.h"
#include "sync.h"

/* As in a file. */
typedef struct sally_ticket_key {
    unsigned char name[16]; /* stands in front of each ticket */
    unsigned char aes[32];
    unsigned char hmac[32];
} sally_ticket_key;

/* The fields are for ticket.c and its tests. */
struct ssl_ticket_keys {
    sally_atomic_u64 refs;
    EVP_CIPHER *cipher; /* constant; fetched once, because each fetch costs a ticket 1 % more */
    sally_mutex lock;
    /* lock */
    sally_ticket_key keys[SALLY_TICKET_KEYS_MAX]; /* the first seals */
    size_t count;
    bool from_file;
    int64_t rotate_at_ns; /* monotonic; for random keys */
};

/* A reference to the process's own keys; NULL with OpenSSL's queue saying why. */
ssl_ticket_keys *sally_ticket_keys_own(void);

/* For SSL_CTX_set_tlsext_ticket_key_evp_cb, of an SSL_CTX that carries keys (carried.h). */
int sally_ticket_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                          EVP_MAC_CTX *mac, int sealing);

/* The keys of a file, in `keys` of SALLY_TICKET_KEYS_MAX, at least one. */
ssl_status sally_ticket_file_read(const char *path, sally_ticket_key *keys, size_t *count,
                                  ssl_error *err);

#endif

/* L3 crypto: a digest that grows (FIPS 180-4, RFC 1321).
 *
 * begin, any number of adds, end; fini in every case. Between them OpenSSL's queue may hold what made
 * one of them fail only until it is in *err: each leaves it empty (E1).
 */
#ifndef SALLY_DIGEST_H
#define SALLY_DIGEST_H

#include "sallyport/digest.h"

/* The most bytes of a digest here. */
#define SALLY_DIGEST_MAX SALLY_SHA256_SIZE

/* Which one. */
typedef struct sally_digest_kind {
    const char *name; /* OpenSSL's, and ours in texts */
    size_t size;      /* bytes of the digest */
} sally_digest_kind;

extern const sally_digest_kind sally_digest_md5;
extern const sally_digest_kind sally_digest_sha1;
extern const sally_digest_kind sally_digest_sha256;

typedef struct sally_digest {
    struct evp_md_ctx_st *state; /* EVP_MD_CTX: those above see nothing of OpenSSL */
    const char *call;            /* the public call, for texts */
} sally_digest;

/* Errors: UNSUPPORTED (no provider offers it), MEMORY. */
ssl_status sally_digest_begin(sally_digest *digest, const sally_digest_kind *kind, const char *call,
                              ssl_error *err);
ssl_status sally_digest_add(sally_digest *digest, const void *bytes, size_t n, ssl_error *err);
/* Writes kind->size bytes. */
ssl_status sally_digest_end(sally_digest *digest, unsigned char *bytes, ssl_error *err);
void sally_digest_fini(sally_digest *digest);

#endif

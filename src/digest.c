/* L3 crypto: a digest that grows, over EVP_Digest of OpenSSL.
 *
 * The algorithm is fetched by name and not taken from EVP_sha1 and the like: those give an object
 * whatever the providers offer, and only its first use would say, in vaguer words, that none does.
 *
 * No locks and no state; a digest belongs to one call.
 */
#include "digest.h"

#include <openssl/evp.h>

#include "error.h"
#include "ossl.h"

const sally_digest_kind sally_digest_md5 = {"MD5", SALLY_MD5_SIZE};
const sally_digest_kind sally_digest_sha1 = {"SHA1", SALLY_SHA1_SIZE};
const sally_digest_kind sally_digest_sha256 = {"SHA256", SALLY_SHA256_SIZE};

static ssl_status fail_unsupported(const sally_digest *digest, const sally_digest_kind *kind,
                                   ssl_error *err)
{
    return sally_fail_ossl(err, SALLY_UNSUPPORTED, SALLY_PHASE_READ,
                           "%s: no provider of this OpenSSL offers %s (a FIPS provider may not)",
                           digest->call, kind->name);
}

static ssl_status start(sally_digest *digest, const sally_digest_kind *kind, const EVP_MD *method,
                        ssl_error *err)
{
    digest->state = EVP_MD_CTX_new();
    if (digest->state == NULL) {
        (void)sally_ossl_ran_out();
        return sally_fail_memory(err, SALLY_PHASE_READ, digest->call);
    }
    if (EVP_DigestInit_ex2(digest->state, method, NULL) != 1) {
        return fail_unsupported(digest, kind, err);
    }
    return SALLY_OK;
}

ssl_status sally_digest_begin(sally_digest *digest, const sally_digest_kind *kind, const char *call,
                              ssl_error *err)
{
    *digest = (sally_digest){NULL, call};
    EVP_MD *method = EVP_MD_fetch(NULL, kind->name, NULL);
    if (method == NULL) {
        return fail_unsupported(digest, kind, err);
    }
    ssl_status status = start(digest, kind, method, err);
    EVP_MD_free(method);
    return status;
}

ssl_status sally_digest_add(sally_digest *digest, const void *bytes, size_t n, ssl_error *err)
{
    if (n == 0 || EVP_DigestUpdate(digest->state, bytes, n) == 1) {
        return SALLY_OK;
    }
    return sally_fail_ossl(err, SALLY_MEMORY, SALLY_PHASE_READ, "%s", digest->call);
}

ssl_status sally_digest_end(sally_digest *digest, unsigned char *bytes, ssl_error *err)
{
    if (EVP_DigestFinal_ex(digest->state, bytes, NULL) == 1) {
        return SALLY_OK;
    }
    return sally_fail_ossl(err, SALLY_MEMORY, SALLY_PHASE_READ, "%s", digest->call);
}

void sally_digest_fini(sally_digest *digest)
{
    EVP_MD_CTX_free(digest->state);
    digest->state = NULL;
}

/* L3 crypto: who a context is: its certificate chain and private key (C2, C3).
 *
 * What is loaded is checked in full before it is swapped in: the chain's order and signatures, that
 * OpenSSL accepts the leaf at this security level, and, under the lock, that chain and key are a pair.
 *
 * Locks: the context's, around the last check and the swap; files are read and passphrases asked for
 * with none held. Whatever is swapped out is freed after the lock is given back.
 */
#include "context_load.h"
#include "context_record.h"

#include <openssl/err.h>

#include "ossl.h"

static const char chain_noun[] = "certificate chain";
static const char key_noun[] = "private key";

void sally_identity_fini(sally_identity *identity)
{
    X509_free(identity->leaf);
    sk_X509_pop_free(identity->issuers, X509_free);
    EVP_PKEY_free(identity->key);
    *identity = (sally_identity){NULL, NULL, NULL};
}

/* ---- loading ------------------------------------------------------------------------------- */

/* A leaf that is too weak for the security level is refused here, not at the first connection. */
static ssl_status check_leaf(const ssl_context *context, const sally_source *source, X509 *leaf,
                             ssl_error *err)
{
    ssl_status status = SALLY_OK;
    SSL_CTX *scratch = sally_context_scratch(context);
    if (scratch == NULL || SSL_CTX_use_certificate(scratch, leaf) != 1) {
        status = sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                                 SALLY_CANNOT_LOAD "OpenSSL refuses the certificate", source->noun,
                                 source->path);
    }
    SSL_CTX_free(scratch);
    return status;
}

static ssl_status load_chain(const ssl_context *context, const sally_source *source,
                             sally_identity *fresh, ssl_error *err)
{
    STACK_OF(X509) *chain = NULL;
    ssl_status status = sally_load_certificates(source, &chain, err);
    if (status == SALLY_OK) {
        status = sally_chain_check(source, chain, err);
    }
    if (status == SALLY_OK) {
        status = check_leaf(context, source, sk_X509_value(chain, 0), err);
    }
    if (status != SALLY_OK) {
        sk_X509_pop_free(chain, X509_free);
        return status;
    }
    fresh->leaf = sk_X509_shift(chain);
    fresh->issuers = chain;
    return SALLY_OK;
}

/* What `sources` name; on failure `fresh` may hold a part. */
static ssl_status load_fresh(const ssl_context *context, const sally_identity_sources *sources,
                             sally_identity *fresh, ssl_error *err)
{
    ssl_status status = SALLY_OK;
    if (sources->chain != NULL) {
        status = load_chain(context, sources->chain, fresh, err);
    }
    if (status == SALLY_OK && sources->key != NULL) {
        status = sally_load_key(sources->key, sources->options, &fresh->key, err);
    }
    return status;
}

/* ---- pairing and swapping ------------------------------------------------------------------ */

static void swap_chain(sally_identity *a, sally_identity *b)
{
    X509 *leaf = a->leaf;
    STACK_OF(X509) *issuers = a->issuers;
    a->leaf = b->leaf;
    a->issuers = b->issuers;
    b->leaf = leaf;
    b->issuers = issuers;
}

static void swap_key(sally_identity *a, sally_identity *b)
{
    EVP_PKEY *key = a->key;
    a->key = b->key;
    b->key = key;
}

/* OK, CONFIG or MEMORY. Half an identity is fine: the other half may come later. */
static ssl_status check_pair(X509 *leaf, EVP_PKEY *key)
{
    if (leaf == NULL || key == NULL || X509_check_private_key(leaf, key) == 1) {
        return SALLY_OK;
    }
    return sally_ossl_ran_out() ? SALLY_MEMORY : SALLY_CONFIG;
}

static ssl_status fail_pair(ssl_status status, const sally_identity_sources *sources,
                            const char *call, ssl_error *err)
{
    if (status == SALLY_MEMORY) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    if (sources->chain != NULL && sources->key != NULL) {
        return sally_fail(
            err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
            "%s: the private key \"%.120s\" does not match the certificate \"%.120s\"; "
            "is the leaf first in the chain?",
            call, sources->key->path, sources->chain->path);
    }
    const sally_source *half = sources->chain != NULL ? sources->chain : sources->key;
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      SALLY_CANNOT_LOAD "certificate and private key do not match; use "
                                        "ssl_load_identity to replace both",
                      half->noun, half->path);
}

/* Swaps in what `fresh` has, and leaves in it what it replaces. Lock held. */
static ssl_status adopt(sally_identity *current, sally_identity *fresh)
{
    ssl_status status = check_pair(fresh->leaf != NULL ? fresh->leaf : current->leaf,
                                   fresh->key != NULL ? fresh->key : current->key);
    if (status != SALLY_OK) {
        return status;
    }
    if (fresh->leaf != NULL) {
        swap_chain(current, fresh);
    }
    if (fresh->key != NULL) {
        swap_key(current, fresh);
    }
    return SALLY_OK;
}

/* The end of each load: what `fresh` has goes in; what it has then is the caller's to free. */
static ssl_status put(ssl_context *context, sally_identity *fresh,
                      const sally_identity_sources *sources, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    status = adopt(&context->identity, fresh);
    if (status == SALLY_OK) {
        sally_context_edited(context);
        return SALLY_OK;
    }
    sally_mutex_unlock(&context->lock);
    return fail_pair(status, sources, call, err);
}

/* ---- the setters --------------------------------------------------------------------------- */

static ssl_status check_given(const sally_identity_sources *sources, const char *call,
                              ssl_error *err)
{
    ssl_status status = SALLY_OK;
    if (sources->chain != NULL) {
        status = sally_source_given(sources->chain, call, err);
    }
    if (status == SALLY_OK && sources->key != NULL) {
        status = sally_source_given(sources->key, call, err);
    }
    return status;
}

static ssl_status load(ssl_context *context, const sally_identity_sources *sources,
                       const char *call, ssl_error *err)
{
    sally_identity fresh = {NULL, NULL, NULL};
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK) {
        status = check_given(sources, call, err);
    }
    if (status == SALLY_OK) {
        status = load_fresh(context, sources, &fresh, err);
    }
    if (status == SALLY_OK) {
        status = put(context, &fresh, sources, call, err);
    }
    sally_identity_fini(&fresh);
    return status;
}

ssl_status sally_context_load_identity(ssl_context *context, const sally_identity_sources *sources,
                                       const char *call, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(load(context, sources, call, err));
}

ssl_status sally_context_load_chain(ssl_context *context, const char *path, const char *call,
                                    ssl_error *err)
{
    sally_source chain = sally_source_file(chain_noun, path);
    sally_identity_sources sources = {.chain = &chain};
    return sally_context_load_identity(context, &sources, call, err);
}

ssl_status sally_context_load_key(ssl_context *context, const char *path,
                                  const ssl_key_options *options, const char *call, ssl_error *err)
{
    sally_source key = sally_source_file(key_noun, path);
    sally_identity_sources sources = {.key = &key, .options = options};
    return sally_context_load_identity(context, &sources, call, err);
}

ssl_status ssl_load_certificate_chain(ssl_context *context, const char *path, ssl_error *err)
{
    return sally_context_load_chain(context, path, "ssl_load_certificate_chain", err);
}

ssl_status ssl_load_private_key(ssl_context *context, const char *path,
                                const ssl_key_options *options, ssl_error *err)
{
    return sally_context_load_key(context, path, options, "ssl_load_private_key", err);
}

ssl_status ssl_load_identity(ssl_context *context, const char *chain_path, const char *key_path,
                             const ssl_key_options *options, ssl_error *err)
{
    sally_source chain = sally_source_file(chain_noun, chain_path);
    sally_source key = sally_source_file(key_noun, key_path);
    sally_identity_sources sources = {&chain, &key, options};
    return sally_context_load_identity(context, &sources, "ssl_load_identity", err);
}

/* ---- from memory --------------------------------------------------------------------------- */

ssl_status ssl_load_certificate_chain_bytes(ssl_context *context, const ssl_bytes *chain,
                                            ssl_error *err)
{
    sally_source source = sally_source_bytes(chain_noun, chain);
    sally_identity_sources sources = {.chain = &source};
    return sally_context_load_identity(context, &sources, "ssl_load_certificate_chain_bytes", err);
}

ssl_status ssl_load_private_key_bytes(ssl_context *context, const ssl_bytes *key,
                                      const ssl_key_options *options, ssl_error *err)
{
    sally_source source = sally_source_bytes(key_noun, key);
    sally_identity_sources sources = {.key = &source, .options = options};
    return sally_context_load_identity(context, &sources, "ssl_load_private_key_bytes", err);
}

ssl_status ssl_load_identity_bytes(ssl_context *context, const ssl_bytes *chain,
                                   const ssl_bytes *key, const ssl_key_options *options,
                                   ssl_error *err)
{
    sally_source chain_source = sally_source_bytes(chain_noun, chain);
    sally_source key_source = sally_source_bytes(key_noun, key);
    sally_identity_sources sources = {&chain_source, &key_source, options};
    return sally_context_load_identity(context, &sources, "ssl_load_identity_bytes", err);
}

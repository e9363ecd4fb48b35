/* L3 crypto: who a context is: its certificate chain and private key (C2, C3).
 *
 * What is loaded is checked in full before it is swapped in: the chain's order and signatures, that
 * OpenSSL accepts the leaf at this security level, and, under the lock, that chain and key are a pair.
 *
 * Locks: the context's, around the last check and the swap; files are read and passphrases asked for
 * with none held. Whatever is swapped out is freed after the lock is given back.
 */
#include "context_record.h"

#include <openssl/err.h>

#include "load.h"
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

static ssl_status check_path(const char *path, const char *noun, const char *call, ssl_error *err)
{
    return path != NULL ? SALLY_OK
                        : sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                                     "%s: the path of the %s is NULL", call, noun);
}

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

static ssl_status load_chain(const ssl_context *context, const char *path, sally_identity *fresh,
                             ssl_error *err)
{
    sally_source source = {chain_noun, path};
    STACK_OF(X509) *chain = NULL;
    ssl_status status = sally_load_certificates(&source, &chain, err);
    if (status == SALLY_OK) {
        status = sally_chain_check(&source, chain, err);
    }
    if (status == SALLY_OK) {
        status = check_leaf(context, &source, sk_X509_value(chain, 0), err);
    }
    if (status != SALLY_OK) {
        sk_X509_pop_free(chain, X509_free);
        return status;
    }
    fresh->leaf = sk_X509_shift(chain);
    fresh->issuers = chain;
    return SALLY_OK;
}

static ssl_status load_key(const char *path, const ssl_key_options *options, sally_identity *fresh,
                           ssl_error *err)
{
    sally_source source = {key_noun, path};
    return sally_load_key(&source, options, &fresh->key, err);
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

static ssl_status fail_pair(ssl_status status, const sally_source *source, const char *call,
                            ssl_error *err)
{
    if (status == SALLY_MEMORY) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      SALLY_CANNOT_LOAD "certificate and private key do not match; use "
                                        "ssl_load_identity to replace both",
                      source->noun, source->path);
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

/* The end of each setter: `fresh` goes in, or is given up. `source` is for the text. */
static ssl_status put(ssl_context *context, sally_identity *fresh, const sally_source *source,
                      const char *call, ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        status = adopt(&context->identity, fresh);
        if (status == SALLY_OK) {
            sally_context_edited(context);
        } else {
            sally_mutex_unlock(&context->lock);
            fail_pair(status, source, call, err);
        }
    }
    sally_identity_fini(fresh);
    return status;
}

/* ---- the setters --------------------------------------------------------------------------- */

static ssl_status set_chain(ssl_context *context, const char *path, ssl_error *err)
{
    static const char call[] = "ssl_load_certificate_chain";
    sally_source source = {chain_noun, path};
    sally_identity fresh = {NULL, NULL, NULL};
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK) {
        status = check_path(path, chain_noun, call, err);
    }
    if (status == SALLY_OK) {
        status = load_chain(context, path, &fresh, err);
    }
    return status == SALLY_OK ? put(context, &fresh, &source, call, err) : status;
}

ssl_status ssl_load_certificate_chain(ssl_context *context, const char *path, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = set_chain(context, path, err);
    sally_ossl_end();
    return status;
}

static ssl_status set_key(ssl_context *context, const char *path, const ssl_key_options *options,
                          ssl_error *err)
{
    static const char call[] = "ssl_load_private_key";
    sally_source source = {key_noun, path};
    sally_identity fresh = {NULL, NULL, NULL};
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK) {
        status = check_path(path, key_noun, call, err);
    }
    if (status == SALLY_OK) {
        status = load_key(path, options, &fresh, err);
    }
    return status == SALLY_OK ? put(context, &fresh, &source, call, err) : status;
}

ssl_status ssl_load_private_key(ssl_context *context, const char *path,
                                const ssl_key_options *options, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = set_key(context, path, options, err);
    sally_ossl_end();
    return status;
}

static ssl_status fail_both(ssl_status status, const char *chain_path, const char *key_path,
                            ssl_error *err)
{
    if (status == SALLY_MEMORY) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "ssl_load_identity");
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      "the private key \"%.120s\" does not match the certificate \"%.120s\"",
                      key_path, chain_path);
}

static ssl_status load_both(const ssl_context *context, const char *chain_path,
                            const char *key_path, const ssl_key_options *options,
                            sally_identity *fresh, ssl_error *err)
{
    ssl_status status = load_chain(context, chain_path, fresh, err);
    if (status == SALLY_OK) {
        status = load_key(key_path, options, fresh, err);
    }
    if (status == SALLY_OK) {
        status = check_pair(fresh->leaf, fresh->key);
        if (status != SALLY_OK) {
            fail_both(status, chain_path, key_path, err);
        }
    }
    if (status != SALLY_OK) {
        sally_identity_fini(fresh);
    }
    return status;
}

static ssl_status set_identity(ssl_context *context, const char *chain_path, const char *key_path,
                               const ssl_key_options *options, ssl_error *err)
{
    static const char call[] = "ssl_load_identity";
    sally_source source = {chain_noun, chain_path};
    sally_identity fresh = {NULL, NULL, NULL};
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK) {
        status = check_path(chain_path, chain_noun, call, err);
    }
    if (status == SALLY_OK) {
        status = check_path(key_path, key_noun, call, err);
    }
    if (status == SALLY_OK) {
        status = load_both(context, chain_path, key_path, options, &fresh, err);
    }
    return status == SALLY_OK ? put(context, &fresh, &source, call, err) : status;
}

ssl_status ssl_load_identity(ssl_context *context, const char *chain_path, const char *key_path,
                             const ssl_key_options *options, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = set_identity(context, chain_path, key_path, options, err);
    sally_ossl_end();
    return status;
}

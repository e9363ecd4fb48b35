/* L3 crypto: revocation lists, and that they are looked at (C3).
 *
 * OpenSSL looks for the list of a certificate's issuer once it is told to check at all, and refuses the
 * certificate when it finds none in force; so one list alone does not let the others through.
 *
 * Locks: the context's, around the change. Room for it is made first, so that the change itself cannot
 * fail half-way.
 */
#include "context_record.h"

#include "ossl.h"

void sally_revocation_fini(sally_revocation *revocation)
{
    sk_X509_CRL_pop_free(revocation->lists, X509_CRL_free);
    *revocation = (sally_revocation){NULL, false};
}

/* Moves `fresh` in; all or nothing. Lock held. */
static bool adopt(sally_revocation *revocation, STACK_OF(X509_CRL) * fresh)
{
    if (revocation->lists == NULL) {
        revocation->lists = sk_X509_CRL_new_null();
    }
    if (revocation->lists == NULL ||
        sk_X509_CRL_reserve(revocation->lists, sk_X509_CRL_num(fresh)) != 1) {
        return false;
    }
    while (sk_X509_CRL_num(fresh) > 0) {
        sk_X509_CRL_push(revocation->lists, sk_X509_CRL_shift(fresh));
    }
    return true;
}

static ssl_status put(ssl_context *context, STACK_OF(X509_CRL) * fresh, bool whole_chain,
                      const char *call, ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    if (!adopt(&context->revocation, fresh)) {
        sally_mutex_unlock(&context->lock);
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    context->revocation.whole_chain = context->revocation.whole_chain || whole_chain;
    sally_context_edited(context);
    return SALLY_OK;
}

static ssl_status load(ssl_context *context, const char *path, bool whole_chain, ssl_error *err)
{
    static const char call[] = "ssl_load_crls";
    sally_source source = sally_source_file("revocation lists", path);
    STACK_OF(X509_CRL) *fresh = NULL;
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK) {
        status = sally_source_given(&source, call, err);
    }
    if (status == SALLY_OK) {
        status = sally_load_crls(&source, &fresh, err);
    }
    if (status == SALLY_OK) {
        status = put(context, fresh, whole_chain, call, err);
    }
    sk_X509_CRL_pop_free(fresh, X509_CRL_free);
    return status;
}

ssl_status ssl_load_crls(ssl_context *context, const char *path, bool whole_chain, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(load(context, path, whole_chain, err));
}

bool sally_revocation_set(const ssl_context *context, SSL_CTX *ctx)
{
    const sally_revocation *revocation = &context->revocation;
    int count = sk_X509_CRL_num(revocation->lists);
    if (count <= 0) {
        return true;
    }
    unsigned long flags = X509_V_FLAG_CRL_CHECK;
    for (int i = 0; i < count; i++) {
        X509_CRL *crl = sk_X509_CRL_value(revocation->lists, i);
        if (X509_STORE_add_crl(SSL_CTX_get_cert_store(ctx), crl) != 1) {
            return false;
        }
    }
    if (revocation->whole_chain) {
        flags |= X509_V_FLAG_CRL_CHECK_ALL;
    }
    return X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), flags) == 1;
}

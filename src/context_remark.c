/* L3 crypto: what is odd about a context, but no reason to refuse it (C2).
 *
 * A remark goes to whoever seals it, into an ssl_error whose status stays SALLY_OK, and to the log of a server that
 * starts with it, sealed or not. Certificates may be sealed before
 * their time has come, or for a test after it, and some peers have the intermediates already.
 */
#include "context_record.h"

#include <openssl/x509v3.h>
#include <stdio.h>

static bool remark_on_time(const sally_identity *identity, X509 *certificate,
                           char text[SALLY_REMARK_SIZE])
{
    const char *which =
        certificate == identity->leaf ? "the certificate" : "an issuer in the chain";
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        snprintf(text, SALLY_REMARK_SIZE, "%s has expired; peers will refuse it", which);
        return true;
    }
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
        snprintf(text, SALLY_REMARK_SIZE, "%s is not valid yet", which);
        return true;
    }
    return false;
}

static bool remark_on_times(const sally_identity *identity, char text[SALLY_REMARK_SIZE])
{
    bool odd = remark_on_time(identity, identity->leaf, text);
    for (int i = 0; !odd && i < sk_X509_num(identity->issuers); i++) {
        odd = remark_on_time(identity, sk_X509_value(identity->issuers, i), text);
    }
    return odd;
}

/* Whether it is signed by its own key, so that nothing comes above it. */
static bool is_root(X509 *certificate)
{
    return (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
}

/* A certificate whose issuer is neither in the chain nor among the context's own roots needs an issuer
 * that the peer may not have. */
static bool may_be_incomplete(const ssl_context *context)
{
    const sally_identity *identity = &context->identity;
    int issuers = sk_X509_num(identity->issuers);
    X509 *last = issuers > 0 ? sk_X509_value(identity->issuers, issuers - 1) : identity->leaf;
    bool alone = issuers <= 0 && !is_root(last);
    for (int i = 0; alone && i < sk_X509_num(context->trust.roots); i++) {
        alone = X509_check_issued(sk_X509_value(context->trust.roots, i), last) != X509_V_OK;
    }
    return alone;
}

/* The record does not change meanwhile. */
static bool is_odd(const ssl_context *context, char text[SALLY_REMARK_SIZE])
{
    const sally_identity *identity = &context->identity;
    if (identity->leaf == NULL) {
        return false;
    }
    if (remark_on_times(identity, text)) {
        return true;
    }
    bool incomplete = may_be_incomplete(context);
    if (incomplete) {
        snprintf(
            text, SALLY_REMARK_SIZE,
            "the chain is the certificate alone: peers that do not know its issuer will refuse "
            "it, unless you append the issuers to the file");
    } else if (sally_stapling_is_stale(context)) {
        snprintf(text, SALLY_REMARK_SIZE, "the OCSP response has expired and is not sent");
        return true;
    }
    return incomplete;
}

void sally_context_remark(const ssl_context *context, ssl_error *err)
{
    char text[SALLY_REMARK_SIZE];
    if (err != NULL && is_odd(context, text)) {
        snprintf(err->text, sizeof err->text, "sealed, but %s", text);
    }
}

bool sally_context_is_odd(ssl_context *context, char text[SALLY_REMARK_SIZE])
{
    if (context == NULL) {
        return false;
    }
    sally_mutex_lock(&context->lock);
    bool odd = is_odd(context, text);
    sally_mutex_unlock(&context->lock);
    return odd;
}

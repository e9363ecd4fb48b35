/* L3 crypto: what is odd about a context that is being sealed, but no reason to refuse it (C2).
 *
 * A remark goes to the caller's ssl_error, whose status stays SALLY_OK. Certificates may be sealed before
 * their time has come, or for a test after it, and some peers have the intermediates already.
 */
#include "context_record.h"

#include <openssl/x509v3.h>
#include <stdio.h>

static void remark_on_time(const sally_identity *identity, X509 *certificate, ssl_error *err)
{
    const char *which =
        certificate == identity->leaf ? "the certificate" : "an issuer in the chain";
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        snprintf(err->text, sizeof err->text, "sealed, but %s has expired; peers will refuse it",
                 which);
    } else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
        snprintf(err->text, sizeof err->text, "sealed, but %s is not valid yet", which);
    }
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

void sally_context_remark(const ssl_context *context, ssl_error *err)
{
    const sally_identity *identity = &context->identity;
    if (err == NULL || identity->leaf == NULL) {
        return;
    }
    remark_on_time(identity, identity->leaf, err);
    for (int i = 0; err->text[0] == '\0' && i < sk_X509_num(identity->issuers); i++) {
        remark_on_time(identity, sk_X509_value(identity->issuers, i), err);
    }
    if (err->text[0] == '\0' && may_be_incomplete(context)) {
        snprintf(
            err->text, sizeof err->text,
            "sealed; the chain is the certificate alone: peers that do not know its issuer will "
            "refuse it, unless you append the issuers to the file");
    }
    if (err->text[0] == '\0' && sally_stapling_is_stale(context)) {
        snprintf(err->text, sizeof err->text,
                 "sealed, but the OCSP response has expired and is not sent");
    }
}

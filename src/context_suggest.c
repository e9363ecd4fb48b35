/* L3 crypto: the authorities that a server suggests to its clients (C3).
 *
 * Names only: they tell a client with several certificates which one to send (RFC 8446 section 4.2.4),
 * and have no part in judging what it sends.
 *
 * Locks: the context's, around the swap.
 */
#include "context_load.h"
#include "context_record.h"

#include "ossl.h"

/* Not sk_X509_NAME_find, which sorts the names, once for each question. */
static bool has_name(const STACK_OF(X509_NAME) * names, const X509_NAME *name)
{
    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_subject(STACK_OF(X509_NAME) * names, X509 *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (has_name(names, subject)) {
        return true;
    }
    X509_NAME *copy = X509_NAME_dup(subject);
    if (copy != NULL && sk_X509_NAME_push(names, copy) > 0) {
        return true;
    }
    X509_NAME_free(copy);
    return false;
}

/* In the order of the certificates, each once. NULL when out of memory. */
static STACK_OF(X509_NAME) * subjects_of(STACK_OF(X509) * certificates)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    bool all = names != NULL;
    for (int i = 0; all && i < sk_X509_num(certificates); i++) {
        all = add_subject(names, sk_X509_value(certificates, i));
    }
    if (all) {
        return names;
    }
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return NULL;
}

static ssl_status load_names(const char *path, const char *call, STACK_OF(X509_NAME) * *names,
                             ssl_error *err)
{
    sally_source source = sally_source_file("suggested authorities", path);
    STACK_OF(X509) *certificates = NULL;
    ssl_status status = sally_source_given(&source, call, err);
    if (status == SALLY_OK) {
        status = sally_load_certificates(&source, &certificates, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    *names = subjects_of(certificates);
    sk_X509_pop_free(certificates, X509_free);
    return *names != NULL ? SALLY_OK : sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
}

static ssl_status check_server(const ssl_context *context, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && context->client) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: a client suggests no authorities; whom it trusts is loaded with "
                          "ssl_load_verify_source",
                          call);
    }
    return status;
}

static ssl_status load(ssl_context *context, const char *path, const char *call, ssl_error *err)
{
    STACK_OF(X509_NAME) *names = NULL;
    ssl_status status = check_server(context, call, err);
    if (status == SALLY_OK) {
        status = load_names(path, call, &names, err);
    }
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status == SALLY_OK) {
        STACK_OF(X509_NAME) *old = context->suggested;
        context->suggested = names;
        names = old;
        sally_context_edited(context);
    }
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return status;
}

ssl_status sally_context_load_suggested(ssl_context *context, const char *path, const char *call,
                                        ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(load(context, path, call, err));
}

ssl_status ssl_load_suggested_certificate_authorities(ssl_context *context, const char *path,
                                                      ssl_error *err)
{
    return sally_context_load_suggested(context, path, "ssl_load_suggested_certificate_authorities",
                                        err);
}

bool sally_suggested_set(const ssl_context *context, SSL_CTX *ctx)
{
    if (context->suggested == NULL) {
        return true;
    }
    STACK_OF(X509_NAME) *copy = SSL_dup_CA_list(context->suggested);
    SSL_CTX_set_client_CA_list(ctx, copy);
    return copy != NULL;
}

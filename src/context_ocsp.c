/* L3 crypto: OCSP stapling as a context sets it: the response that a server shows, and what a client asks
 * for (C6).
 *
 * A server's response is judged when it is loaded, as a client will judge it. It is kept with the
 * certificate that it is for, so that a later identity does not go out with it; and it is not sent once
 * it has expired, because a client refuses that, and does without if there is none.
 *
 * Locks: the context's, around the judgement, which needs the identity, and the swap; the file is read
 * with none held.
 */
#include "carried.h"
#include "context_record.h"
#include "load.h"
#include "mem.h"
#include "ocsp.h"
#include "ossl.h"

#include <openssl/crypto.h>

static const char response_noun[] = "OCSP response";

void sally_stapling_fini(sally_stapling *stapling)
{
    X509_free(stapling->leaf);
    sally_free(stapling->response);
    *stapling = (sally_stapling){.response = NULL};
}

/* ---- building ------------------------------------------------------------------------------ */

/* Without a response the handshake goes on. */
static int staple(SSL *ssl, void *arg)
{
    const sally_staple *ours = arg;
    if (time(NULL) >= ours->until) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    unsigned char *copy = OPENSSL_memdup(ours->response, ours->size);
    if (copy == NULL) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)ours->size); /* takes it */
    return SSL_TLSEXT_ERR_OK;
}

static bool serve(const sally_stapling *stapling, SSL_CTX *ctx)
{
    sally_staple *ours = sally_carried_staple(ctx, stapling->response, stapling->size);
    if (ours == NULL) {
        return false;
    }
    ours->until = stapling->until;
    return SSL_CTX_set_tlsext_status_cb(ctx, staple) == 1 &&
           SSL_CTX_set_tlsext_status_arg(ctx, ours) == 1;
}

bool sally_stapling_configure(const ssl_context *context, SSL_CTX *ctx)
{
    const sally_stapling *stapling = &context->stapling;
    if (context->client) {
        return stapling->mode == SALLY_OCSP_OFF ||
               sally_ocsp_ask(ctx, stapling->mode == SALLY_OCSP_REQUIRE);
    }
    return stapling->response == NULL || serve(stapling, ctx);
}

ssl_status sally_stapling_check(const ssl_context *context, const char *call, ssl_error *err)
{
    const sally_stapling *stapling = &context->stapling;
    if (stapling->leaf == NULL || X509_cmp(stapling->leaf, context->identity.leaf) == 0) {
        return SALLY_OK;
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      "%s: the OCSP response is for the certificate that was loaded before this "
                      "one; load a new one with ssl_load_ocsp_response",
                      call);
}

bool sally_stapling_is_stale(const ssl_context *context)
{
    return context->stapling.response != NULL && time(NULL) >= context->stapling.until;
}

/* ---- the server's setter ------------------------------------------------------------------- */

/* The issuers in the chain, and the context's own roots: all that the signer can be found among. */
static STACK_OF(X509) * known_certificates(const ssl_context *context)
{
    STACK_OF(X509) *known = sk_X509_new_null();
    if (known != NULL &&
        (X509_add_certs(known, context->identity.issuers, X509_ADD_FLAG_DEFAULT) != 1 ||
         X509_add_certs(known, context->trust.roots, X509_ADD_FLAG_DEFAULT) != 1)) {
        sk_X509_free(known);
        known = NULL;
    }
    return known;
}

/* Trusts the issuer of our certificate, which need not be a root. */
static X509_STORE *trust_issuer(X509 *issuer)
{
    X509_STORE *store = X509_STORE_new();
    if (store != NULL && (X509_STORE_add_cert(store, issuer) != 1 ||
                          X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)) {
        X509_STORE_free(store);
        store = NULL;
    }
    return store;
}

static ssl_status refuse(const sally_source *source, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG, SALLY_CANNOT_LOAD "%s", source->noun,
                      source->path, why);
}

static ssl_status judge_known(X509 *leaf, STACK_OF(X509) * known, const sally_source *source,
                              sally_stapling *fresh, ssl_error *err)
{
    X509 *issuer = sally_ocsp_issuer(leaf, known);
    if (issuer == NULL) {
        return refuse(source,
                      "the issuer of the certificate, who signs it, is neither in the chain nor "
                      "among the verify sources; append it to the chain",
                      err);
    }
    X509_STORE *store = trust_issuer(issuer);
    if (store == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading an OCSP response");
    }
    sally_ocsp_case about = {leaf, known, store};
    sally_ocsp_verdict verdict = sally_ocsp_judge(fresh->response, fresh->size, &about);
    X509_STORE_free(store);
    fresh->until = verdict.until;
    return verdict.code == X509_V_OK ? SALLY_OK : refuse(source, verdict.why, err);
}

/* Whether it is good for this context, as it is now. Lock held. */
static ssl_status judge(const ssl_context *context, const sally_source *source,
                        sally_stapling *fresh, ssl_error *err)
{
    X509 *leaf = context->identity.leaf;
    if (leaf == NULL) {
        return refuse(source, "there is no certificate yet; load that first", err);
    }
    STACK_OF(X509) *known = known_certificates(context);
    if (known == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading an OCSP response");
    }
    ssl_status status = judge_known(leaf, known, source, fresh, err);
    sk_X509_free(known);
    if (status == SALLY_OK) {
        X509_up_ref(leaf);
        fresh->leaf = leaf;
    }
    return status;
}

static ssl_status put(ssl_context *context, const sally_source *source, sally_stapling *fresh,
                      const char *call, ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    status = judge(context, source, fresh, err);
    if (status != SALLY_OK) {
        sally_mutex_unlock(&context->lock);
        return status;
    }
    sally_stapling old = context->stapling;
    context->stapling = *fresh;
    *fresh = old;
    sally_context_edited(context);
    return SALLY_OK;
}

static ssl_status check_server(const ssl_context *context, const char *path, const char *call,
                               ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && context->client) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: a client shows no OCSP response; ssl_set_ocsp asks for one", call);
    }
    if (status == SALLY_OK && path == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the path is NULL", call);
    }
    return status;
}

static ssl_status set_response(ssl_context *context, const char *path, ssl_error *err)
{
    static const char call[] = "ssl_load_ocsp_response";
    sally_source source = sally_source_file(response_noun, path);
    sally_file file;
    ssl_status status = check_server(context, path, call, err);
    if (status == SALLY_OK) {
        status = sally_file_read(&source, &file, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    sally_stapling fresh = {.response = file.owned, .size = file.owned_size}; /* taken over */
    status = put(context, &source, &fresh, call, err);
    sally_stapling_fini(&fresh);
    return status;
}

ssl_status ssl_load_ocsp_response(ssl_context *context, const char *path, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_response(context, path, err));
}

/* ---- the client's setter ------------------------------------------------------------------- */

static ssl_status check_mode(const ssl_context *context, ssl_ocsp_mode mode, const char *call,
                             ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    if (!context->client) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: a server asks for no OCSP response; ssl_load_ocsp_response gives "
                          "one",
                          call);
    }
    return (unsigned)mode <= SALLY_OCSP_REQUIRE
               ? SALLY_OK
               : sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: there is no mode number %d",
                            call, (int)mode);
}

ssl_status ssl_set_ocsp(ssl_context *context, ssl_ocsp_mode mode, ssl_error *err)
{
    static const char call[] = "ssl_set_ocsp";
    sally_ossl_begin();
    ssl_status status = check_mode(context, mode, call, err);
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status == SALLY_OK) {
        context->stapling.mode = mode;
        sally_context_edited(context);
    }
    return sally_ossl_ended(status);
}

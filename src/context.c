/* L3 crypto: contexts as objects: made, shared, edited, sealed and used.
 *
 * The record is guarded by its mutex until `sealed` is stored (release); after that nobody writes it,
 * and readers who have loaded `sealed` (acquire) need no lock. A setter drops the built SSL_CTX;
 * connections that have a reference keep theirs.
 */
#include "context_record.h"
#include "error.h"
#include "mem.h"
#include "ossl.h"

/* ---- life ---------------------------------------------------------------------------------- */

ssl_context *sally_context_new(bool client, ssl_protocol protocol)
{
    ssl_context *context = sally_alloc(sizeof *context);
    if (context != NULL) {
        sally_mutex_init(&context->lock, SALLY_RANK_CONTEXT);
        sally_store_rel(&context->refs, 1);
        context->client = client;
        context->protocol = protocol;
        context->shutdown_on_close = true;
        context->sessions.tickets =
            1; /* a second costs a tenth of a handshake and is rarely used */
    }
    return context;
}

ssl_context *ssl_context_retain(ssl_context *context)
{
    if (context != NULL) {
        (void)sally_add_relaxed(&context->refs, 1);
    }
    return context;
}

void ssl_context_release(ssl_context *context)
{
    if (context == NULL || !sally_drop_ref(&context->refs)) {
        return;
    }
    sally_ossl_begin();
    SSL_CTX_free(context->built);
    sally_identity_fini(&context->identity);
    sally_anchors_fini(&context->trust);
    sally_revocation_fini(&context->revocation);
    sally_exchange_fini(&context->exchange);
    sk_X509_NAME_pop_free(context->suggested, X509_NAME_free);
    sally_alpn_fini(&context->alpn);
    sally_keylog_release(context->keylog);
    sally_sessions_fini(&context->sessions);
    sally_stapling_fini(&context->stapling);
    sally_free(context->ciphers);
    sally_free(context->ciphersuites);
    sally_mutex_fini(&context->lock);
    sally_free(context);
    sally_ossl_end();
}

bool ssl_context_is_client(const ssl_context *context)
{
    return context != NULL && context->client;
}

bool ssl_context_is_server(const ssl_context *context)
{
    return context != NULL && !context->client;
}

bool ssl_context_is_sealed(const ssl_context *context)
{
    return context != NULL && sally_load_acq(&context->sealed) != 0;
}

ssl_context *sally_context_doorkeeper(void)
{
    ssl_context *context = sally_context_new(false, SALLY_PROTOCOL_AUTO);
    if (context == NULL) {
        return NULL;
    }
    context->doorkeeper = true;
    if (sally_context_seal(context, "ssl_listen", NULL) != SALLY_OK) {
        ssl_context_release(context);
        return NULL;
    }
    return context;
}

/* ---- editing ------------------------------------------------------------------------------- */

ssl_status sally_context_check_open(const ssl_context *context, const char *call, ssl_error *err)
{
    if (context == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the context is NULL", call);
    }
    if (ssl_context_is_sealed(context)) {
        return sally_fail(err, SALLY_SEALED, SALLY_PHASE_CONFIG,
                          "%s: the context is sealed; make a new one", call);
    }
    return SALLY_OK;
}

ssl_status sally_context_edit(ssl_context *context, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_mutex_lock(&context->lock);
    status = sally_context_check_open(context, call, err); /* sealed in between */
    if (status != SALLY_OK) {
        sally_mutex_unlock(&context->lock);
    }
    return status;
}

void sally_context_edited(ssl_context *context)
{
    SSL_CTX *outdated = context->built;
    context->built = NULL;
    sally_mutex_unlock(&context->lock);
    SSL_CTX_free(outdated);
}

ssl_status sally_context_turn(ssl_context *context, size_t field, bool on, const char *call,
                              ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        *(bool *)((char *)context + field) = on;
        sally_context_edited(context);
    }
    return status;
}

ssl_status sally_context_put_text(ssl_context *context, size_t field, const char *text,
                                  const char *call, ssl_error *err)
{
    char *copy = sally_copy_text(text);
    if (copy == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        char **place = (char **)((char *)context + field);
        char *old = *place;
        *place = copy;
        copy = old;
        sally_context_edited(context);
    }
    sally_free(copy);
    return status;
}

/* ---- sealing and use ----------------------------------------------------------------------- */

static ssl_status build_locked(ssl_context *context, const char *call, ssl_error *err)
{
    sally_mutex_assert_held(&context->lock);
    return context->built != NULL ? SALLY_OK
                                  : sally_context_build(context, call, &context->built, err);
}

/* A second time is fine: what was built is there, and the remark is made again. */
ssl_status sally_context_seal(ssl_context *context, const char *call, ssl_error *err)
{
    sally_mutex_lock(&context->lock);
    ssl_status status = build_locked(context, call, err);
    if (status == SALLY_OK) {
        sally_error_none(err);
        sally_context_remark(context, err);
        sally_store_rel(&context->sealed, 1);
    }
    sally_mutex_unlock(&context->lock);
    return status;
}

ssl_status ssl_seal_context(ssl_context *context, ssl_error *err)
{
    static const char call[] = "ssl_seal_context";
    if (context == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the context is NULL", call);
    }
    sally_ossl_begin();
    return sally_ossl_ended(sally_context_seal(context, call, err));
}

static void copy_policy(const ssl_context *context, sally_policy *policy)
{
    *policy = (sally_policy){.ctx = context->built,
                             .client = context->client,
                             .verify_hostname = context->verify_hostname,
                             .shutdown_on_close = context->shutdown_on_close,
                             .doorkeeper = context->doorkeeper,
                             .asked = context->asked,
                             .keylog = sally_keylog_retain(context->keylog)};
    SSL_CTX_up_ref(policy->ctx);
}

static ssl_status take_open_policy(ssl_context *context, const char *call, sally_policy *policy,
                                   ssl_error *err)
{
    sally_mutex_lock(&context->lock);
    ssl_status status = build_locked(context, call, err);
    if (status == SALLY_OK) {
        copy_policy(context, policy);
    }
    sally_mutex_unlock(&context->lock);
    return status;
}

static ssl_status take_policy(ssl_context *context, bool client, const char *call,
                              sally_policy *policy, ssl_error *err)
{
    if (context == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: there is no context; make one with ssl_make_server_context", call);
    }
    if (context->client != client) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: this is a %s context; make one with ssl_make_%s_context", call,
                          client ? "server" : "client", client ? "client" : "server");
    }
    if (ssl_context_is_sealed(context)) {
        copy_policy(context, policy);
        return SALLY_OK;
    }
    sally_ossl_begin();
    return sally_ossl_ended(take_open_policy(context, call, policy, err));
}

ssl_status sally_context_policy(ssl_context *context, bool client, const char *call,
                                sally_policy *policy, ssl_error *err)
{
    *policy = (sally_policy){.ctx = NULL};
    if (context != NULL || !client) {
        return take_policy(context, client, call, policy, err);
    }
    ssl_status status = sally_context_shared(call, &context, err);
    if (status == SALLY_OK) {
        status = take_policy(context, client, call, policy, err);
        ssl_context_release(context);
    }
    return status;
}

void sally_policy_fini(sally_policy *policy)
{
    sally_keylog_release(policy->keylog);
    policy->keylog = NULL;
    SSL_CTX_free(policy->ctx);
    policy->ctx = NULL;
}

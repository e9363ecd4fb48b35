/* L3 crypto: the calls that make contexts (C1).
 *
 * All are one: a protocol, and perhaps an identity that is loaded before anybody sees the context.
 *
 * No locks: nobody else has the context yet.
 */
#include "context_record.h"

#include "ossl.h"
#include "sallyport/library.h"

static bool has_identity(const ssl_context_options *options)
{
    return options->certificate_chain != NULL || options->private_key != NULL;
}

static ssl_status load_identity(ssl_context *context, const ssl_context_options *options,
                                const char *call, ssl_error *err)
{
    sally_source chain = sally_source_file("certificate chain", options->certificate_chain);
    sally_source key = sally_source_file("private key", options->private_key);
    sally_identity_sources sources = {.chain = chain.path != NULL ? &chain : NULL,
                                      .key = key.path != NULL ? &key : NULL,
                                      .options = &options->key};
    return sally_context_load_identity(context, &sources, call, err);
}

static ssl_status configure(ssl_context *context, const ssl_context_options *options,
                            const char *call, ssl_error *err)
{
    ssl_status status = SALLY_OK;
    if (has_identity(options)) {
        status = load_identity(context, options, call, err);
    }
    if (status == SALLY_OK && context->client && options->protocol == SALLY_PROTOCOL_SECURE) {
        status = sally_context_secure(context, call, err);
    }
    return status;
}

/* Whether this OpenSSL can speak its protocol is tried, as protocols.c does it. */
static ssl_status check_offer(const ssl_context *context, const char *call, ssl_error *err)
{
    if (sally_context_can_offer(context)) {
        return SALLY_OK;
    }
    if (sally_ossl_ran_out()) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
                      "%s: this OpenSSL cannot speak the protocol \"%s\"; "
                      "ssl_supported_%s_protocols lists what it can",
                      call, ssl_protocol_name(context->protocol),
                      context->client ? "client" : "server");
}

static ssl_status make_fresh(bool client, const ssl_context_options *options, const char *call,
                             ssl_context **context, ssl_error *err)
{
    ssl_status status = sally_protocol_check(options->protocol, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    ssl_context *fresh = sally_context_new(client, options->protocol);
    if (fresh == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    status = check_offer(fresh, call, err);
    if (status == SALLY_OK) {
        status = configure(fresh, options, call, err);
    }
    if (status != SALLY_OK) {
        ssl_context_release(fresh);
        return status;
    }
    *context = fresh;
    return SALLY_OK;
}

static ssl_status make(bool client, const ssl_context_options *options, const char *call,
                       ssl_context **context, ssl_error *err)
{
    static const ssl_context_options usual = SALLY_CONTEXT_OPTIONS;
    options = options != NULL ? options : &usual;
    if (context == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: context is NULL", call);
    }
    *context = NULL;
    if (client && options->protocol == SALLY_PROTOCOL_SECURE && !has_identity(options)) {
        return sally_context_shared(call, context, err);
    }
    sally_ossl_begin();
    return sally_ossl_ended(make_fresh(client, options, call, context, err));
}

ssl_status sally_context_make(bool client, ssl_protocol protocol, const char *call,
                              ssl_context **context, ssl_error *err)
{
    ssl_context_options options = {.protocol = protocol};
    return make(client, &options, call, context, err);
}

ssl_status ssl_make_client_context(ssl_protocol protocol, ssl_context **context, ssl_error *err)
{
    return sally_context_make(true, protocol, "ssl_make_client_context", context, err);
}

ssl_status ssl_make_server_context(ssl_protocol protocol, ssl_context **context, ssl_error *err)
{
    return sally_context_make(false, protocol, "ssl_make_server_context", context, err);
}

ssl_status ssl_make_client_context_with(const ssl_context_options *options, ssl_context **context,
                                        ssl_error *err)
{
    return make(true, options, "ssl_make_client_context_with", context, err);
}

ssl_status ssl_make_server_context_with(const ssl_context_options *options, ssl_context **context,
                                        ssl_error *err)
{
    return make(false, options, "ssl_make_server_context_with", context, err);
}

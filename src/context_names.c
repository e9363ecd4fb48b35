/* L3 crypto: the setters for server names and protocol names (C4, C6).
 *
 * Locks: the context's, by sally_context_edit and sally_context_edited.
 */
#include "context_record.h"
#include "error.h"
#include "ossl.h"
#include "sallyport/names.h"

static ssl_status check_kind(const ssl_context *context, bool client, const char *way_out,
                             const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && context->client != client) {
        status = sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: this is a %s context; %s",
                            call, client ? "server" : "client", way_out);
    }
    return status;
}

/* ---- server names -------------------------------------------------------------------------- */

ssl_status ssl_set_server_name_identification_callback(ssl_context *context,
                                                       ssl_server_name_callback callback,
                                                       void *user, ssl_error *err)
{
    static const char call[] = "ssl_set_server_name_identification_callback";
    sally_ossl_begin();
    ssl_status status = check_kind(context, false, "only servers are asked for a name", call, err);
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status == SALLY_OK) {
        context->asked = (sally_asked){callback, user};
        sally_context_edited(context);
    }
    return sally_ossl_ended(status);
}

/* ---- ALPN ---------------------------------------------------------------------------------- */

/* Takes what is in *alpn, and leaves the old list in it. */
static ssl_status swap_alpn(ssl_context *context, sally_alpn *alpn, const char *call,
                            ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        sally_alpn old = context->alpn;
        context->alpn = *alpn;
        *alpn = old;
        sally_context_edited(context);
    }
    return status;
}

/* What is set: `alpn` is filled from it but for its flag. */
typedef struct alpn_input {
    const ssl_alpn_name *names;
    size_t count;
    bool allow_no_match;
} alpn_input;

static ssl_status put_alpn(ssl_context *context, const alpn_input *input, const char *call,
                           ssl_error *err)
{
    ssl_status status = sally_alpn_check(input->names, input->count, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_alpn alpn;
    if (!sally_alpn_init(&alpn, input->names, input->count)) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    alpn.allow_no_match = input->allow_no_match;
    status = swap_alpn(context, &alpn, call, err);
    sally_alpn_fini(&alpn);
    return status;
}

ssl_status ssl_set_alpn(ssl_context *context, const ssl_alpn_name *names, size_t count,
                        ssl_error *err)
{
    static const char call[] = "ssl_set_alpn";
    const alpn_input input = {names, count, false};
    sally_ossl_begin();
    ssl_status status = check_kind(context, true, "use ssl_set_server_alpn", call, err);
    if (status == SALLY_OK) {
        status = put_alpn(context, &input, call, err);
    }
    return sally_ossl_ended(status);
}

ssl_status ssl_set_server_alpn(ssl_context *context, const ssl_alpn_name *names, size_t count,
                               bool allow_no_match, ssl_error *err)
{
    static const char call[] = "ssl_set_server_alpn";
    const alpn_input input = {names, count, allow_no_match};
    sally_ossl_begin();
    ssl_status status = check_kind(context, false, "use ssl_set_alpn", call, err);
    if (status == SALLY_OK) {
        status = put_alpn(context, &input, call, err);
    }
    return sally_ossl_ended(status);
}

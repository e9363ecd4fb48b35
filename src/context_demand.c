/* L3 crypto: the setters that say what a context demands of the peer: chain and name (C7).
 *
 * Locks: the context's, by sally_context_edit and sally_context_edited.
 */
#include "context_record.h"

#include <stddef.h>

#include "error.h"
#include "ossl.h"

ssl_status sally_context_set_demand(ssl_context *context, sally_demand demand, const char *call,
                                    ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        context->demand = demand;
        sally_context_edited(context);
    }
    return sally_ossl_ended(status);
}

ssl_status ssl_set_verify(ssl_context *context, bool on, ssl_error *err)
{
    return sally_context_set_demand(context, on ? SALLY_DEMAND_VALID : SALLY_DEMAND_NOTHING,
                                    "ssl_set_verify", err);
}

ssl_status ssl_try_verify(ssl_context *context, bool on, ssl_error *err)
{
    return sally_context_set_demand(context, on ? SALLY_DEMAND_TRY : SALLY_DEMAND_NOTHING,
                                    "ssl_try_verify", err);
}

static ssl_status check_client(const ssl_context *context, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && !context->client) {
        status = sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                            "%s: a server has no host name to check; ssl_set_verify checks the "
                            "client's certificate",
                            call);
    }
    return status;
}

/* A switch that says how names are checked, which only clients do. */
static ssl_status turn(ssl_context *context, size_t field, bool on, const char *call,
                       ssl_error *err)
{
    ssl_status status = check_client(context, call, err);
    return status != SALLY_OK ? status : sally_context_turn(context, field, on, call, err);
}

ssl_status ssl_set_verify_hostname(ssl_context *context, bool on, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(
        turn(context, offsetof(ssl_context, verify_hostname), on, "ssl_set_verify_hostname", err));
}

ssl_status ssl_set_insecure_common_name(ssl_context *context, bool on, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(
        turn(context, offsetof(ssl_context, common_name), on, "ssl_set_insecure_common_name", err));
}

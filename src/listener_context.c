/* L6 ends: the context procedures that take a listener (C3, C7).
 *
 * Each acts on the listener's context under the name of its own call, as Racket's procedures do, which
 * take either. A connection takes a snapshot of the context when its handshake begins, so a change is
 * for those that begin later.
 *
 * Locks: none is held; the caller is a user of the listener meanwhile, so that the context stays.
 */
#include "context.h"
#include "context_load.h"
#include "error.h"
#include "listener.h"
#include "ossl.h"
#include "sallyport/verify.h"

static ssl_status enter(ssl_listener *listener, const char *call, ssl_error *err)
{
    sally_ossl_begin();
    if (listener == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the listener is NULL", call);
    }
    if (!sally_listener_enter(listener)) {
        return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_CONFIG, "%s: the listener has been closed",
                          call);
    }
    return SALLY_OK;
}

typedef ssl_status (*load_file)(ssl_context *context, const char *path, const char *call,
                                ssl_error *err);

static ssl_status load(ssl_listener *listener, load_file load_into, const char *path,
                       const char *call, ssl_error *err)
{
    ssl_status status = enter(listener, call, err);
    if (status == SALLY_OK) {
        status = load_into(listener->front.context, path, call, err);
        sally_listener_leave(listener);
    }
    return status;
}

ssl_status ssl_listener_load_certificate_chain(ssl_listener *listener, const char *path,
                                               ssl_error *err)
{
    return load(listener, sally_context_load_chain, path, "ssl_listener_load_certificate_chain",
                err);
}

ssl_status ssl_listener_load_private_key(ssl_listener *listener, const char *path,
                                         const ssl_key_options *options, ssl_error *err)
{
    static const char call[] = "ssl_listener_load_private_key";
    ssl_status status = enter(listener, call, err);
    if (status == SALLY_OK) {
        status = sally_context_load_key(listener->front.context, path, options, call, err);
        sally_listener_leave(listener);
    }
    return status;
}

ssl_status ssl_listener_load_verify_root_certificates(ssl_listener *listener, const char *path,
                                                      ssl_error *err)
{
    return load(listener, sally_context_load_roots, path,
                "ssl_listener_load_verify_root_certificates", err);
}

ssl_status ssl_listener_load_suggested_certificate_authorities(ssl_listener *listener,
                                                               const char *path, ssl_error *err)
{
    return load(listener, sally_context_load_suggested, path,
                "ssl_listener_load_suggested_certificate_authorities", err);
}

/* ---- what is demanded of clients ----------------------------------------------------------- */

static ssl_status set_demand(ssl_listener *listener, sally_demand demand, const char *call,
                             ssl_error *err)
{
    ssl_status status = enter(listener, call, err);
    if (status == SALLY_OK) {
        status = sally_context_set_demand(listener->front.context, demand, call, err);
        sally_listener_leave(listener);
    }
    return status;
}

ssl_status ssl_listener_set_verify(ssl_listener *listener, bool on, ssl_error *err)
{
    return set_demand(listener, on ? SALLY_DEMAND_VALID : SALLY_DEMAND_NOTHING,
                      "ssl_listener_set_verify", err);
}

ssl_status ssl_listener_try_verify(ssl_listener *listener, bool on, ssl_error *err)
{
    return set_demand(listener, on ? SALLY_DEMAND_TRY : SALLY_DEMAND_NOTHING,
                      "ssl_listener_try_verify", err);
}

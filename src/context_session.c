/* L3 crypto: resumption as a context sets it: its name, its tickets and their keys (C4, C6).
 *
 * There is no session cache at either end: a server's tickets need none, and a client's sessions are
 * objects of the application's (session.c).
 *
 * Locks: the context's, by sally_context_edit and sally_context_edited; what is swapped out is given up
 * after it.
 */
#include "carried.h"
#include "context_record.h"
#include "mem.h"
#include "ossl.h"
#include "session_since.h"
#include "ticket.h"

void sally_sessions_fini(sally_sessions *sessions)
{
    sally_free(sessions->name);
    ssl_ticket_keys_release(sessions->ticket_keys);
    *sessions = (sally_sessions){NULL, NULL, 0};
}

/* ---- building ------------------------------------------------------------------------------ */

static bool refuse_tickets(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    return SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

static bool give_tickets(const sally_sessions *sessions, SSL_CTX *ctx, sally_carried *carried)
{
    carried->ticket_keys = sessions->ticket_keys != NULL
                               ? ssl_ticket_keys_retain(sessions->ticket_keys)
                               : sally_ticket_keys_own();
    SSL_CTX_set_timeout(ctx, SALLY_TICKET_LIFETIME_S);
    return carried->ticket_keys != NULL && SSL_CTX_set_num_tickets(ctx, sessions->tickets) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, sally_ticket_callback) == 1 &&
           sally_since_configure(ctx);
}

bool sally_sessions_configure(const ssl_context *context, SSL_CTX *ctx)
{
    const sally_sessions *sessions = &context->sessions;
    sally_carried *carried = sally_carried_attach(ctx);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (carried == NULL || !sally_context_identify(context, carried->identity) ||
        SSL_CTX_set_session_id_context(ctx, carried->identity, sizeof carried->identity) != 1) {
        return false;
    }
    if (context->client) { /* a resumed handshake shows no OCSP response */
        carried->always_full = context->stapling.mode == SALLY_OCSP_REQUIRE;
        return true;
    }
    return sessions->tickets == 0 ? refuse_tickets(ctx) : give_tickets(sessions, ctx, carried);
}

/* ---- the setters --------------------------------------------------------------------------- */

static ssl_status check_server(const ssl_context *context, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && context->client) {
        status = sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                            "%s: a client gives no tickets; it offers a session in "
                            "ssl_connect_options",
                            call);
    }
    return status;
}

static ssl_status set_keys(ssl_context *context, ssl_ticket_keys *keys, ssl_error *err)
{
    static const char call[] = "ssl_set_ticket_keys";
    ssl_status status = check_server(context, call, err);
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    ssl_ticket_keys *old = context->sessions.ticket_keys;
    context->sessions.ticket_keys = ssl_ticket_keys_retain(keys);
    sally_context_edited(context);
    ssl_ticket_keys_release(old);
    return SALLY_OK;
}

ssl_status ssl_set_ticket_keys(ssl_context *context, ssl_ticket_keys *keys, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_keys(context, keys, err));
}

static ssl_status set_tickets(ssl_context *context, unsigned count, ssl_error *err)
{
    static const char call[] = "ssl_set_session_tickets";
    ssl_status status = check_server(context, call, err);
    if (status == SALLY_OK && count > SALLY_SESSION_TICKETS_MAX) {
        status = sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: %u tickets, and at most %d",
                            call, count, SALLY_SESSION_TICKETS_MAX);
    }
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status == SALLY_OK) {
        context->sessions.tickets = count;
        sally_context_edited(context);
    }
    return status;
}

ssl_status ssl_set_session_tickets(ssl_context *context, unsigned count, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_tickets(context, count, err));
}

static ssl_status check_name(const ssl_context *context, const char *name, const char *call,
                             ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && (name == NULL || name[0] == '\0')) {
        status = sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the name is %s", call,
                            name == NULL ? "NULL" : "empty");
    }
    return status;
}

static ssl_status set_name(ssl_context *context, const char *name, ssl_error *err)
{
    static const char call[] = "ssl_set_context_name";
    ssl_status status = check_name(context, name, call, err);
    return status != SALLY_OK ? status
                              : sally_context_put_text(
                                    context, offsetof(ssl_context, sessions.name), name, call, err);
}

ssl_status ssl_set_context_name(ssl_context *context, const char *name, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_name(context, name, err));
}

/* L4 engine: a certificate asked for after the handshake, and one judged again (C7).
 *
 * TLS 1.3 has a CertificateRequest for it (RFC 8446 section 4.6.2), which the client must have offered
 * to answer; before, there is renegotiation alone. Either way the request is one message that goes out
 * at once, or after what has been received already; and the answer comes between the client's data,
 * whenever the client likes. Whoever reads processes it. So a request stands until it is answered, also
 * when the call that made it was broken, and is_answered finds out at any later time.
 */
#include <openssl/err.h>

#include "engine_object.h"
#include "ossl.h"

static bool is_tls13(const sally_engine *e)
{
    return SSL_version(e->ssl) >= TLS1_3_VERSION;
}

/* ---- asking -------------------------------------------------------------------------------- */

/* NULL: nothing forbids it. */
static const char *forbidden(const sally_engine *e)
{
    if (is_tls13(e)) {
        return NULL;
    }
    if ((SSL_get_options(e->ssl) & SSL_OP_NO_RENEGOTIATION) != 0) {
        return "before TLS 1.3 a certificate can be asked for later by renegotiation only; allow it "
               "with ssl_set_insecure_renegotiation, or ask in the handshake, with ssl_set_verify on "
               "the context";
    }
    return SSL_get_secure_renegotiation_support(e->ssl) == 1
               ? NULL
               : "the client cannot renegotiate safely (RFC 5746)";
}

/* A resumed handshake has no room for a certificate. */
static bool queue_request(const sally_engine *e)
{
    if (is_tls13(e)) {
        return SSL_verify_client_post_handshake(e->ssl) == 1;
    }
    SSL_set_options(e->ssl, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    return SSL_renegotiate(e->ssl) == 1;
}

static sally_step cannot_ask(sally_engine *e, const char *why)
{
    sally_ossl_end();
    return sally_engine_fail(e, (sally_failure){.status = SALLY_UNSUPPORTED, .words = why});
}

static sally_step ask(sally_engine *e, sally_demand demand, sally_want *wanted)
{
    const char *why = forbidden(e);
    if (why != NULL) {
        return cannot_ask(e, why);
    }
    int old_mode = SSL_get_verify_mode(e->ssl);
    SSL_verify_cb old_callback = SSL_get_verify_callback(e->ssl);
    sally_verify_demand(e->ssl, demand);
    if (!queue_request(e)) {
        SSL_set_verify(e->ssl, old_mode, old_callback);
        return cannot_ask(e, "the client did not offer to show a certificate after the handshake "
                             "(post_handshake_auth, RFC 8446 section 4.2.6); ask in the handshake, "
                             "with ssl_set_verify on the context");
    }
    e->asked = true;
    int result = SSL_do_handshake(e->ssl);
    return result == 1 ? SALLY_STEP_AGAIN : sally_engine_refused(e, result, wanted);
}

/* ---- the answer ---------------------------------------------------------------------------- */

/* OpenSSL has no question for this. But until there is an answer it refuses a second request for that
 * reason; and without SSL_VERIFY_PEER, for another one, it never makes any. */
static bool is_request_open(SSL *ssl)
{
    int mode = SSL_get_verify_mode(ssl);
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    (void)SSL_verify_client_post_handshake(ssl);
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    sally_ossl_end();
    SSL_set_verify(ssl, mode, NULL);
    return reason == SSL_R_REQUEST_SENT || reason == SSL_R_REQUEST_PENDING;
}

static bool is_answered(const sally_engine *e)
{
    return !(is_tls13(e) ? is_request_open(e->ssl) : SSL_renegotiate_pending(e->ssl) == 1);
}

/* One that ssl_try_verify asked for may be judged by ssl_set_verify: then it does not end the
 * connection, which was never told that it must be valid. */
static sally_step judge(sally_engine *e, sally_demand demand)
{
    e->asked = false;
    if (demand != SALLY_DEMAND_VALID || sally_engine_peer_verified(e)) {
        return SALLY_STEP_DONE;
    }
    int code = (int)SSL_get_verify_result(e->ssl);
    return sally_engine_fail(e, (sally_failure){.status = SALLY_VERIFY, .code = code});
}

sally_step sally_engine_request(sally_engine *e, sally_demand demand, sally_want *wanted)
{
    if (sally_engine_has_ended(e)) {
        return sally_engine_fail(e, e->ended.status != SALLY_OK ? e->ended : e->fatal);
    }
    sally_engine_begin(e);
    if (e->bio.send_errno != 0) {
        return sally_engine_fail(e, sally_engine_dead_way_out(e));
    }
    if (!SSL_is_init_finished(e->ssl)) {
        return SALLY_STEP_AGAIN; /* in the middle of a message */
    }
    if (!e->asked) {
        return ask(e, demand, wanted);
    }
    sally_verify_demand(e->ssl, demand);
    return is_answered(e) ? judge(e, demand) : SALLY_STEP_AGAIN;
}

/* ---- without asking ------------------------------------------------------------------------ */

void sally_engine_demand_nothing(sally_engine *e)
{
    sally_verify_demand(e->ssl, SALLY_DEMAND_NOTHING);
}

sally_step sally_engine_judge_again(sally_engine *e, sally_demand demand)
{
    if (e->fatal.status != SALLY_OK) {
        return sally_engine_fail(e, e->fatal);
    }
    bool judged = sally_verify_again(e->ssl);
    sally_ossl_end();
    if (!judged) {
        return sally_engine_fail(e, (sally_failure){.status = SALLY_MEMORY});
    }
    sally_step step = judge(e, demand);
    if (step == SALLY_STEP_DONE) {
        sally_verify_demand(e->ssl, demand);
    }
    return step;
}

bool sally_engine_is_server(const sally_engine *e)
{
    return SSL_is_server(e->ssl) == 1;
}

/* L4 engine: what a handshake leaves for later ones: the session that it can be resumed with, and
 * what it has shown that later ones will not (C6). */
#include "engine_object.h"
#include "ossl.h"
#include "session.h"

bool sally_engine_is_resumed(const sally_engine *e)
{
    return e->handshaken && SSL_session_reused(e->ssl) == 1;
}

/* What was shown has been judged, or the handshake would have failed. */
ssl_ocsp_status sally_engine_ocsp_status(const sally_engine *e)
{
    const unsigned char *der = NULL;
    bool may_be_shown = !SSL_is_server(e->ssl) && !sally_engine_is_resumed(e);
    return may_be_shown && SSL_get_tlsext_status_ocsp_resp(e->ssl, &der) > 0 ? SALLY_OCSP_GOOD
                                                                             : SALLY_OCSP_NONE;
}

ssl_status sally_engine_session(const sally_engine *e, const char *call, ssl_session **session,
                                ssl_error *err)
{
    if (SSL_is_server(e->ssl)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "%s: this is the server's end; sessions are the client's", call);
    }
    return sally_session_take(e->ssl, e->name, call, session, err);
}

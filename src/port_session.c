/* L5 ports: resumption and OCSP, as a connection knows them (C6). */
#include "conn.h"
#include "error.h"
#include "ossl.h"
#include "sallyport/ocsp.h"
#include "sallyport/session.h"

static ssl_status take_session(sally_conn *conn, const char *call, ssl_session **session,
                               ssl_error *err)
{
    sally_conn_lock(conn);
    const sally_engine *engine = sally_conn_open_engine_locked(conn);
    ssl_status status = engine != NULL
                            ? sally_engine_session(engine, call, session, err)
                            : sally_fail(err, SALLY_CLOSED, SALLY_PHASE_NONE,
                                         "%s: both ports of this connection are closed", call);
    sally_conn_unlock(conn);
    return status;
}

ssl_status ssl_port_session(const ssl_port *port, ssl_session **session, ssl_error *err)
{
    static const char call[] = "ssl_port_session";
    sally_ossl_begin();
    if (session == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: session is NULL", call);
    }
    *session = NULL;
    if (port == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: the port is NULL", call);
    }
    ssl_status status = take_session(port->conn, call, session, err);
    return sally_ossl_ended(status);
}

bool ssl_port_is_resumed(const ssl_port *port)
{
    if (port == NULL) {
        return false;
    }
    sally_conn_lock(port->conn);
    const sally_engine *engine = sally_conn_open_engine_locked(port->conn);
    bool resumed = engine != NULL && sally_engine_is_resumed(engine);
    sally_conn_unlock(port->conn);
    return resumed;
}

ssl_status ssl_peer_ocsp_status(const ssl_port *port, ssl_ocsp_status *status, ssl_error *err)
{
    static const char call[] = "ssl_peer_ocsp_status";
    sally_ossl_begin();
    if (port == NULL || status == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: %s is NULL", call,
                          port == NULL ? "the port" : "status");
    }
    *status = SALLY_OCSP_NONE;
    sally_conn_lock(port->conn);
    const sally_engine *engine = sally_conn_open_engine_locked(port->conn);
    if (engine != NULL) {
        *status = sally_engine_ocsp_status(engine);
    }
    sally_conn_unlock(port->conn);
    return engine != NULL ? SALLY_OK
                          : sally_fail(err, SALLY_CLOSED, SALLY_PHASE_NONE,
                                       "%s: both ports of this connection are closed", call);
}

/* L5 ports: close and abandon (P4). Freeing is with the connection's life in conn.c.
 *
 * A door is closed at once, whatever happens to the goodbye: calls behind it return CLOSED, and the
 * closer, in a slot of its own, tries for a bounded time to send what is accepted and close_notify.
 * What it does not get out stays with the connection: a reader sends it on, and at the very end the
 * transport does.
 */
#include "conn.h"
#include "error.h"
#include "ossl.h"

static sally_step goodbye(sally_conn *conn, sally_op *op, sally_want *want)
{
    (void)op;
    return sally_engine_goodbye(conn->engine, want);
}

/* Shuts the door and keeps the closer's slot, and with it the engine, for the goodbye. The lock is
 * free on return. */
static ssl_status close_out_locked(sally_conn *conn, const char *call, const sally_scope *scope,
                                   ssl_error *err)
{
    sally_op op = {.step = goodbye, .side = SALLY_CLOSER, .phase = SALLY_PHASE_CLOSE, .call = call};
    sally_conn_shut_locked(&conn->out, false);
    conn->slots[SALLY_CLOSER].busy = true;
    return sally_conn_run_entered(conn, &op, scope, err);
}

static void shut(ssl_port *port, bool abandon)
{
    sally_conn_lock(port->conn);
    sally_conn_shut_locked(port, abandon);
    sally_conn_leave(port->conn);
}

static ssl_status close_port(ssl_port *port, sally_how how, const char *call, ssl_error *err)
{
    sally_ossl_begin();
    if (port == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CLOSE, "%s: the port is NULL", call);
    }
    sally_scope scope;
    ssl_status status = sally_port_scope(port, how, SALLY_PHASE_CLOSE, &scope, err);
    if (status != SALLY_OK || port->side == SALLY_IN) {
        shut(port, status != SALLY_OK);
        return status;
    }
    sally_scope_bound(&scope, sally_deadline_after_ms(SALLY_CLOSE_TIMEOUT_MS));
    sally_conn_lock(port->conn);
    if (!port->closed && port->conn->engine != NULL) {
        return close_out_locked(port->conn, call, &scope, err);
    }
    sally_conn_leave(port->conn);
    return SALLY_OK;
}

ssl_status ssl_close_port(ssl_port *port, ssl_error *err)
{
    return close_port(port, SALLY_PLAIN, "ssl_close_port", err);
}

ssl_status ssl_close_port_enable_break(ssl_port *port, ssl_break *brk, ssl_error *err)
{
    return close_port(port, SALLY_ENABLE(brk), "ssl_close_port_enable_break", err);
}

void ssl_abandon_port(ssl_port *port)
{
    if (port != NULL) {
        shut(port, true);
    }
}

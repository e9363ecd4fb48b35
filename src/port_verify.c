/* L5 ports: what is demanded of the peer of a live connection (C7).
 *
 * A server asks for the certificate, and reads until the answer has come. What else comes is plaintext
 * that nobody has asked for yet: it goes to conn->plain, as after a peek, and the next read finds it
 * there. A client holds the server's certificate already, and judges it again.
 *
 * The call works in the reader's slot, so a writer may go on meanwhile (P1), and a break finds it
 * between two steps: the request stands then, and a later call, or any read, takes the answer.
 */
#include "conn.h"
#include "error.h"
#include "list.h"
#include "ossl.h"
#include "sallyport/verify.h"

/* ---- asking a client ----------------------------------------------------------------------- */

typedef struct request {
    sally_op op;
    sally_demand demand;
} request;

static sally_step refuse_more(sally_op *op)
{
    op->refused = SALLY_LIMIT;
    op->why = "too much data came before the client's certificate; read it, and call again";
    return SALLY_STEP_FAILED;
}

/* A read that has taken the answer may still want more, because it looks for data behind it. */
static sally_step read_on(sally_conn *conn, request *asked, sally_want *want)
{
    sally_step step = sally_conn_read_ahead(conn, &asked->op, want);
    if (step == SALLY_STEP_DONE) {
        return SALLY_STEP_AGAIN;
    }
    if (step == SALLY_STEP_WANT) {
        sally_want ignored;
        sally_step answer = sally_engine_request(conn->engine, asked->demand, &ignored);
        return answer == SALLY_STEP_AGAIN ? SALLY_STEP_WANT : answer;
    }
    return step;
}

static sally_step await_certificate(sally_conn *conn, sally_op *op, sally_want *want)
{
    request *asked = SALLY_CONTAINER(op, request, op);
    sally_step step = sally_engine_request(conn->engine, asked->demand, want);
    if (step != SALLY_STEP_AGAIN) {
        return step;
    }
    return conn->plain.length > SALLY_VERIFY_DATA_MAX ? refuse_more(op)
                                                      : read_on(conn, asked, want);
}

static ssl_status ask_client(ssl_port *port, sally_demand demand, sally_how how, const char *call,
                             ssl_error *err)
{
    request asked = {.op = {.step = await_certificate,
                            .side = SALLY_IN,
                            .phase = SALLY_PHASE_HANDSHAKE,
                            .call = call},
                     .demand = demand};
    sally_scope scope;
    ssl_status status = sally_port_scope(port, how, asked.op.phase, &scope, err);
    return status == SALLY_OK ? sally_conn_run(port->conn, &asked.op, &scope, err) : status;
}

/* ---- without waiting ----------------------------------------------------------------------- */

static ssl_status demand_locked(sally_conn *conn, sally_demand demand, const char *call,
                                ssl_error *err)
{
    if (sally_conn_open_engine_locked(conn) == NULL) {
        return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_HANDSHAKE,
                          "%s: both ports of this connection are closed", call);
    }
    if (demand == SALLY_DEMAND_NOTHING) {
        sally_engine_demand_nothing(conn->engine);
        return SALLY_OK;
    }
    if (sally_engine_judge_again(conn->engine, demand) == SALLY_STEP_DONE) {
        return SALLY_OK;
    }
    char peer[SALLY_ADDR_TEXT_SIZE];
    sally_conn_peer_text(conn, peer);
    return sally_engine_report(conn->engine, SALLY_PHASE_HANDSHAKE, call, peer, err);
}

static ssl_status set_demand(ssl_port *port, sally_demand demand, sally_how how, const char *call,
                             ssl_error *err)
{
    sally_ossl_begin();
    if (port == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_HANDSHAKE, "%s: the port is NULL", call);
    }
    sally_conn *conn = port->conn;
    sally_conn_lock(conn);
    const sally_engine *engine = sally_conn_open_engine_locked(conn);
    bool ask = demand != SALLY_DEMAND_NOTHING && engine != NULL && sally_engine_is_server(engine);
    ssl_status status = ask ? SALLY_OK : demand_locked(conn, demand, call, err);
    sally_conn_unlock(conn);
    return ask ? ask_client(port, demand, how, call, err) : status;
}

/* ---- calls --------------------------------------------------------------------------------- */

static sally_demand valid_if(bool on)
{
    return on ? SALLY_DEMAND_VALID : SALLY_DEMAND_NOTHING;
}

static sally_demand try_if(bool on)
{
    return on ? SALLY_DEMAND_TRY : SALLY_DEMAND_NOTHING;
}

ssl_status ssl_port_set_verify(ssl_port *port, bool on, ssl_error *err)
{
    return set_demand(port, valid_if(on), SALLY_PLAIN, "ssl_port_set_verify", err);
}

ssl_status ssl_port_set_verify_enable_break(ssl_port *port, bool on, ssl_break *brk, ssl_error *err)
{
    return set_demand(port, valid_if(on), SALLY_ENABLE(brk), "ssl_port_set_verify_enable_break",
                      err);
}

ssl_status ssl_port_try_verify(ssl_port *port, bool on, ssl_error *err)
{
    return set_demand(port, try_if(on), SALLY_PLAIN, "ssl_port_try_verify", err);
}

ssl_status ssl_port_try_verify_enable_break(ssl_port *port, bool on, ssl_break *brk, ssl_error *err)
{
    return set_demand(port, try_if(on), SALLY_ENABLE(brk), "ssl_port_try_verify_enable_break", err);
}

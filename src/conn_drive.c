/* L5 ports: a connection in the hands of those who drive many of them, the listener and the server:
 * handshakes step by step, and what parking needs to know (W3). Nothing here blocks, except
 * sally_conn_handshake_run, which is the handshake of one who drives just this one.
 */
#include "conn.h"
#include "error.h"
#include "ossl.h"
#include "sock.h"

static sally_step handshake(sally_conn *conn, sally_op *op, sally_want *want)
{
    (void)op;
    return sally_engine_handshake(conn->engine, want);
}

ssl_status sally_conn_handshake_run(sally_conn *conn, const sally_scope *scope, const char *call,
                                    ssl_error *err)
{
    sally_ossl_begin();
    sally_op op = {
        .step = handshake, .side = SALLY_IN, .phase = SALLY_PHASE_HANDSHAKE, .call = call};
    return sally_conn_run(conn, &op, scope, err);
}

static sally_step handshake_locked(sally_conn *conn, sally_want *want)
{
    for (;;) {
        sally_step step = sally_engine_handshake(conn->engine, want);
        if (step == SALLY_STEP_ASK) {
            sally_conn_ask_locked(conn);
        } else if (step != SALLY_STEP_AGAIN) {
            return step;
        }
    }
}

sally_step sally_conn_handshake_step(sally_conn *conn, sally_want *want, ssl_error *err)
{
    sally_ossl_begin();
    sally_conn_lock(conn);
    sally_step step = handshake_locked(conn, want);
    if (step == SALLY_STEP_FAILED) {
        char peer[SALLY_ADDR_TEXT_SIZE];
        sally_conn_peer_text(conn, peer);
        (void)sally_engine_report(conn->engine, SALLY_PHASE_HANDSHAKE, conn->call, peer, err);
    }
    sally_conn_leave(conn);
    return step;
}

int sally_conn_fd(sally_conn *conn)
{
    sally_conn_lock(conn);
    int fd =
        conn->engine == NULL ? -1 : sally_transport_sock_fd(sally_engine_transport(conn->engine));
    sally_conn_unlock(conn);
    return fd;
}

static bool has_unsent_locked(const sally_conn *conn)
{
    return conn->engine != NULL && sally_engine_unsent(conn->engine) != 0;
}

bool sally_conn_is_open(sally_conn *conn, sally_left *left)
{
    sally_conn_lock(conn);
    bool open = conn->engine != NULL && !conn->in.closed && !conn->end_reported;
    left->unsent = has_unsent_locked(conn);
    left->found = open && !left->unsent && sally_conn_look_inside_locked(conn, &left->want);
    sally_conn_unlock(conn);
    return open;
}

bool sally_conn_can_write(sally_conn *conn, bool *unsent)
{
    sally_conn_lock(conn);
    bool can = conn->engine != NULL && !conn->out.closed && sally_engine_can_send(conn->engine);
    *unsent = has_unsent_locked(conn);
    sally_conn_unlock(conn);
    return can;
}

bool sally_conn_send_rest(sally_conn *conn)
{
    sally_want want;
    sally_ossl_begin();
    sally_conn_lock(conn);
    bool left =
        has_unsent_locked(conn) && sally_engine_flush(conn->engine, &want) == SALLY_STEP_WANT;
    sally_conn_unlock(conn);
    return left;
}

static sally_step look(sally_conn *conn, sally_op *op, sally_want *want)
{
    (void)op;
    return sally_engine_look(conn->engine, want);
}

/* A closed door, an end or a failure is something to find too: the next read reports it. */
bool sally_conn_look_locked(sally_conn *conn, sally_want *want)
{
    if (conn->engine == NULL || conn->plain.length != 0) {
        return true;
    }
    sally_op op = {.step = look, .side = SALLY_IN};
    sally_step step;
    do {
        step = sally_conn_step_locked(conn, &op, want);
    } while (step == SALLY_STEP_AGAIN);
    return step != SALLY_STEP_WANT;
}

/* As a rule there is nothing, and the error queue is left alone. */
bool sally_conn_look_inside_locked(sally_conn *conn, sally_want *want)
{
    if (conn->engine == NULL || conn->plain.length != 0 || sally_engine_has_ended(conn->engine)) {
        return true;
    }
    *want = (sally_want){.receive = true, .send = sally_engine_unsent(conn->engine) != 0};
    if (!sally_engine_has_buffered(conn->engine)) {
        return false;
    }
    sally_ossl_begin();
    return sally_conn_look_locked(conn, want);
}

bool sally_conn_look(sally_conn *conn, sally_want *want)
{
    sally_ossl_begin();
    sally_conn_lock(conn);
    bool found = sally_conn_look_locked(conn, want);
    sally_conn_unlock(conn);
    return found;
}

void sally_conn_rest(sally_conn *conn)
{
    sally_conn_lock(conn);
    if (conn->engine != NULL) {
        sally_engine_rest(conn->engine);
    }
    sally_conn_unlock(conn);
}

void sally_conn_hang_up(sally_conn *conn)
{
    sally_ossl_begin();
    sally_conn_lock(conn);
    if (conn->engine != NULL && !conn->out.closed) {
        sally_want want;
        (void)sally_engine_goodbye(conn->engine, &want);
    }
    sally_conn_shut_locked(&conn->in, true);
    sally_conn_shut_locked(&conn->out, true);
    sally_conn_leave(conn);
}

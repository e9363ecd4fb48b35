/* L5 ports: the writing calls (P2, P6).
 *
 * A write accepts one record at a time and waits until its ciphertext is gone, so that it is linear in
 * its size and needs no memory of its own. Accepted bytes count as done even if a break comes before
 * the socket has taken them: they go out with the next call on either side (B6).
 */
#include "port_io.h"

#include "error.h"

sally_step sally_port_flush(sally_conn *conn, sally_op *op, sally_want *want)
{
    (void)op;
    return sally_engine_flush(conn->engine, want);
}

static sally_step accept_record(sally_conn *conn, sally_op *op, sally_want *want)
{
    size_t done;
    sally_step step = sally_engine_write(conn->engine, (const char *)op->bytes + op->count,
                                         op->n - op->count, &done, want);
    op->count += done;
    return step;
}

sally_step sally_step_write_all(sally_conn *conn, sally_op *op, sally_want *want)
{
    if (op->count < op->n) {
        sally_step step = accept_record(conn, op, want);
        if (step != SALLY_STEP_DONE) {
            return step;
        }
    }
    return op->count < op->n ? SALLY_STEP_AGAIN : sally_port_flush(conn, op, want);
}

sally_step sally_port_write_some(sally_conn *conn, sally_op *op, sally_want *want)
{
    sally_step step = accept_record(conn, op, want);
    return step == SALLY_STEP_DONE && op->count < op->n ? SALLY_STEP_AGAIN : step;
}

static ssl_status check(const ssl_port *out, const sally_op *op, ssl_error *err)
{
    ssl_status status = sally_port_check(out, SALLY_OUT, op, err);
    if (status == SALLY_OK && op->n != 0 && op->bytes == NULL) {
        return sally_fail(err, SALLY_USAGE, op->phase, "%s: the buffer is NULL", op->call);
    }
    return status;
}

static void tell(size_t *done, size_t count)
{
    if (done != NULL) {
        *done = count;
    }
}

static ssl_status run(ssl_port *out, sally_op *op, sally_how how, size_t *done, ssl_error *err)
{
    op->side = SALLY_OUT;
    op->phase = SALLY_PHASE_WRITE;
    sally_scope scope;
    ssl_status status = check(out, op, err);
    if (status == SALLY_OK) {
        status = sally_port_scope(out, how, op->phase, &scope, err);
    }
    if (status == SALLY_OK) {
        status = sally_conn_run(out->conn, op, &scope, err);
    }
    tell(done, op->count);
    return status;
}

ssl_status sally_port_write(ssl_port *out, const void *bytes, size_t n, const sally_write *write,
                            ssl_error *err)
{
    sally_op op = {.step = sally_step_write_all, .call = write->call, .bytes = bytes, .n = n};
    return run(out, &op, write->how, write->done, err);
}

ssl_status ssl_write(ssl_port *out, const void *buf, size_t n, size_t *done, ssl_error *err)
{
    sally_op op = {.step = sally_step_write_all, .call = "ssl_write", .bytes = buf, .n = n};
    return run(out, &op, SALLY_PLAIN, done, err);
}

ssl_status ssl_write_enable_break(ssl_port *out, const void *buf, size_t n, ssl_break *brk,
                                  size_t *done, ssl_error *err)
{
    sally_op op = {
        .step = sally_step_write_all, .call = "ssl_write_enable_break", .bytes = buf, .n = n};
    return run(out, &op, SALLY_ENABLE(brk), done, err);
}

ssl_status ssl_flush(ssl_port *out, ssl_error *err)
{
    sally_op op = {.step = sally_port_flush, .call = "ssl_flush"};
    return run(out, &op, SALLY_PLAIN, NULL, err);
}

ssl_status ssl_flush_enable_break(ssl_port *out, ssl_break *brk, ssl_error *err)
{
    sally_op op = {.step = sally_port_flush, .call = "ssl_flush_enable_break"};
    return run(out, &op, SALLY_ENABLE(brk), NULL, err);
}

ssl_status ssl_write_available(ssl_port *out, const void *buf, size_t n, size_t *done,
                               ssl_error *err)
{
    sally_op op = {.step = sally_port_write_some,
                   .side = SALLY_OUT,
                   .phase = SALLY_PHASE_WRITE,
                   .call = "ssl_write_available",
                   .bytes = buf,
                   .n = n};
    ssl_status status = check(out, &op, err);
    if (status == SALLY_OK && n != 0) {
        status = sally_conn_try(out->conn, &op, err);
    }
    tell(done, op.count);
    return status;
}

size_t ssl_pending_output(const ssl_port *out)
{
    if (out == NULL) {
        return 0;
    }
    sally_conn *conn = out->conn;
    sally_conn_lock(conn);
    size_t unsent = conn->engine == NULL ? 0 : sally_engine_unsent(conn->engine);
    sally_conn_unlock(conn);
    return unsent;
}

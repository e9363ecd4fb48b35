/* L5 ports: the reading calls (P2, P3). Each is a step and a thin call around sally_conn_run.
 *
 * Plaintext goes straight from OpenSSL to the caller's buffer. Only a peek, a line, and a look for
 * readiness read ahead, into conn->plain, which every reading call serves first.
 */
#include <string.h>

#include "conn.h"
#include "error.h"
#include "port_io.h"

/* ---- steps --------------------------------------------------------------------------------- */

static size_t copy_plain_locked(sally_conn *conn, void *buf, size_t n)
{
    size_t count = n < conn->plain.length ? n : conn->plain.length;
    memcpy(buf, sally_buf_front(&conn->plain), count);
    return count;
}

sally_step sally_port_read_some(sally_conn *conn, sally_op *op, sally_want *want)
{
    if (conn->plain.length == 0) {
        return sally_engine_read(conn->engine, op->buf, op->n, &op->count, want);
    }
    op->count = copy_plain_locked(conn, op->buf, op->n);
    sally_buf_consume(&conn->plain, op->count);
    return SALLY_STEP_DONE;
}

static sally_step read_all(sally_conn *conn, sally_op *op, sally_want *want)
{
    sally_op part = {.buf = (char *)op->buf + op->count, .n = op->n - op->count};
    sally_step step = sally_port_read_some(conn, &part, want);
    op->count += part.count;
    return step == SALLY_STEP_DONE && op->count < op->n ? SALLY_STEP_AGAIN : step;
}

sally_step sally_conn_read_ahead(sally_conn *conn, sally_op *op, sally_want *want)
{
    void *room = sally_buf_reserve(&conn->plain, SALLY_RECORD_MAX);
    if (room == NULL) {
        op->refused = SALLY_MEMORY;
        op->why = "out of memory";
        return SALLY_STEP_FAILED;
    }
    size_t got;
    sally_step step = sally_engine_read(conn->engine, room, SALLY_RECORD_MAX, &got, want);
    sally_buf_commit(&conn->plain, got);
    return step;
}

sally_step sally_step_fill(sally_conn *conn, sally_op *op, sally_want *want)
{
    return conn->plain.length != 0 ? SALLY_STEP_DONE : sally_conn_read_ahead(conn, op, want);
}

static sally_step peek(sally_conn *conn, sally_op *op, sally_want *want)
{
    sally_step step = sally_step_fill(conn, op, want);
    if (step == SALLY_STEP_DONE) {
        op->count = copy_plain_locked(conn, op->buf, op->n);
    }
    return step;
}

/* ---- lines --------------------------------------------------------------------------------- */

static sally_step give_line(sally_conn *conn, sally_op *op, size_t length)
{
    char *line = op->buf;
    op->count = copy_plain_locked(conn, line, length);
    line[op->count] = '\0';
    sally_buf_consume(&conn->plain, op->count);
    return SALLY_STEP_DONE;
}

static sally_step refuse_long_line(sally_op *op)
{
    op->refused = SALLY_LIMIT;
    op->why = "the line does not fit; give more room, or read it in parts with ssl_read";
    return SALLY_STEP_FAILED;
}

/* What is left before a goodbye is a line; what is left before a cut is not delivered (P3). */
static sally_step end_of_lines(sally_conn *conn, sally_op *op, sally_step step)
{
    if (step != SALLY_STEP_FAILED || op->refused != SALLY_OK || conn->plain.length == 0) {
        return step == SALLY_STEP_DONE ? SALLY_STEP_AGAIN : step;
    }
    if (sally_engine_has_eof(conn->engine)) {
        return give_line(conn, op, conn->plain.length);
    }
    sally_buf_fini(&conn->plain);
    return step;
}

static sally_step read_line(sally_conn *conn, sally_op *op, sally_want *want)
{
    size_t most = op->n - 1; /* the NUL takes one */
    size_t have = conn->plain.length < most ? conn->plain.length : most;
    const unsigned char *front = have == 0 ? NULL : sally_buf_front(&conn->plain);
    const unsigned char *end = have == 0 ? NULL : memchr(front, '\n', have);
    if (end != NULL) {
        return give_line(conn, op, (size_t)(end - front) + 1);
    }
    if (have == most) {
        return refuse_long_line(op);
    }
    return end_of_lines(conn, op, sally_conn_read_ahead(conn, op, want));
}

/* ---- calls --------------------------------------------------------------------------------- */

static ssl_status check(const ssl_port *in, const sally_op *op, const size_t *count, ssl_error *err)
{
    ssl_status status = sally_port_check(in, SALLY_IN, op, err);
    if (status != SALLY_OK) {
        return status;
    }
    if (op->n != 0 && op->buf == NULL) {
        return sally_fail(err, SALLY_USAGE, op->phase, "%s: the buffer is NULL", op->call);
    }
    if (count == NULL) {
        return sally_fail(err, SALLY_USAGE, op->phase, "%s: there is no place for the count",
                          op->call);
    }
    if (op->step == read_line && op->n < 2) {
        return sally_fail(err, SALLY_USAGE, op->phase, "%s: a line needs room for 2 bytes at least",
                          op->call);
    }
    return SALLY_OK;
}

static void make_read(sally_op *op)
{
    op->side = SALLY_IN;
    op->poll_first = true;
    op->phase = SALLY_PHASE_READ;
}

ssl_status sally_port_read_in_scope(ssl_port *in, sally_op *op, const sally_scope *scope,
                                    ssl_error *err)
{
    op->step = sally_port_read_some;
    make_read(op);
    return sally_conn_run(in->conn, op, scope, err);
}

static ssl_status run(ssl_port *in, sally_op *op, sally_how how, size_t *count, ssl_error *err)
{
    if (count != NULL) {
        *count = 0;
    }
    make_read(op);
    ssl_status status = check(in, op, count, err);
    if (status != SALLY_OK || op->n == 0) {
        return status;
    }
    sally_scope scope;
    status = sally_port_scope(in, how, op->phase, &scope, err);
    if (status == SALLY_OK) {
        status = sally_conn_run(in->conn, op, &scope, err);
        *count = op->count;
    }
    return status;
}

ssl_status ssl_read(ssl_port *in, void *buf, size_t n, size_t *got, ssl_error *err)
{
    sally_op op = {.step = sally_port_read_some, .call = "ssl_read", .buf = buf, .n = n};
    return run(in, &op, SALLY_PLAIN, got, err);
}

ssl_status ssl_read_enable_break(ssl_port *in, void *buf, size_t n, ssl_break *brk, size_t *got,
                                 ssl_error *err)
{
    sally_op op = {
        .step = sally_port_read_some, .call = "ssl_read_enable_break", .buf = buf, .n = n};
    return run(in, &op, SALLY_ENABLE(brk), got, err);
}

ssl_status ssl_read_full(ssl_port *in, void *buf, size_t n, size_t *got, ssl_error *err)
{
    sally_op op = {.step = read_all, .call = "ssl_read_full", .buf = buf, .n = n};
    return run(in, &op, SALLY_PLAIN, got, err);
}

ssl_status ssl_read_full_enable_break(ssl_port *in, void *buf, size_t n, ssl_break *brk,
                                      size_t *got, ssl_error *err)
{
    sally_op op = {.step = read_all, .call = "ssl_read_full_enable_break", .buf = buf, .n = n};
    return run(in, &op, SALLY_ENABLE(brk), got, err);
}

ssl_status ssl_read_line(ssl_port *in, char *line, size_t size, size_t *length, ssl_error *err)
{
    sally_op op = {.step = read_line, .call = "ssl_read_line", .buf = line, .n = size};
    return run(in, &op, SALLY_PLAIN, length, err);
}

ssl_status ssl_read_line_enable_break(ssl_port *in, char *line, size_t size, ssl_break *brk,
                                      size_t *length, ssl_error *err)
{
    sally_op op = {.step = read_line, .call = "ssl_read_line_enable_break", .buf = line, .n = size};
    return run(in, &op, SALLY_ENABLE(brk), length, err);
}

ssl_status ssl_peek(ssl_port *in, void *buf, size_t n, size_t *got, ssl_error *err)
{
    sally_op op = {.step = peek, .call = "ssl_peek", .buf = buf, .n = n};
    return run(in, &op, SALLY_PLAIN, got, err);
}

ssl_status ssl_peek_enable_break(ssl_port *in, void *buf, size_t n, ssl_break *brk, size_t *got,
                                 ssl_error *err)
{
    sally_op op = {.step = peek, .call = "ssl_peek_enable_break", .buf = buf, .n = n};
    return run(in, &op, SALLY_ENABLE(brk), got, err);
}

/* ---- calls that never block ---------------------------------------------------------------- */

ssl_status ssl_read_available(ssl_port *in, void *buf, size_t n, size_t *got, ssl_error *err)
{
    sally_op op = {.step = sally_port_read_some,
                   .side = SALLY_IN,
                   .phase = SALLY_PHASE_READ,
                   .call = "ssl_read_available",
                   .buf = buf,
                   .n = n};
    if (got != NULL) {
        *got = 0;
    }
    ssl_status status = check(in, &op, got, err);
    if (status == SALLY_OK && n != 0) {
        status = sally_conn_try(in->conn, &op, err);
        *got = op.count;
    }
    return status;
}

/* An end or a failure is readiness too: the next read tells, so it does not count as reported. */
static sally_step look(sally_conn *conn, sally_op *op, sally_want *want)
{
    sally_step step = sally_step_fill(conn, op, want);
    if (step == SALLY_STEP_FAILED) {
        op->refused = SALLY_OK;
        step = SALLY_STEP_DONE;
    }
    op->count = step == SALLY_STEP_DONE;
    return step;
}

ssl_status ssl_byte_ready(ssl_port *in, bool *ready, ssl_error *err)
{
    sally_op op = {
        .step = look, .side = SALLY_IN, .phase = SALLY_PHASE_READ, .call = "ssl_byte_ready"};
    bool ignored;
    ssl_status status = sally_port_check(in, SALLY_IN, &op, err);
    if (ready == NULL) {
        ready = &ignored;
        status = sally_fail(err, SALLY_USAGE, op.phase, "ssl_byte_ready: ready is NULL");
    }
    *ready = false;
    if (status == SALLY_OK) {
        status = sally_conn_try(in->conn, &op, err);
        *ready = status == SALLY_OK && op.count != 0;
    }
    return status;
}

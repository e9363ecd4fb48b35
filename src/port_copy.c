/* L5 ports: moves a stream from an input port to an output port, of one connection or of two (P2).
 *
 * Each turn fills in's connection->plain, writes from there, and drops what was accepted: so whatever
 * stops a copy, bytes that the output has not accepted are still there for the next read or copy. The
 * plaintext is copied once, by OpenSSL into `plain`, as a read copies it into the caller's buffer.
 *
 * The copy is the reader of the one port and the writer of the other from its first turn to its last
 * (both slots stay busy), because a second reader between a write and the dropping would read bytes
 * twice. It takes one connection's lock at a time; while it sleeps at one door, its wake is in both slots,
 * so that closing either port ends it. The owners of both connections are obeyed in every turn.
 */
#include "error.h"
#include "port_io.h"

typedef struct copying {
    ssl_port *in;
    ssl_port *out;
    const char *call;
    sally_how how;
    uint64_t max;
    uint64_t count; /* accepted so far */
} copying;

static sally_op reading(const copying *c)
{
    return (sally_op){.step = sally_step_fill,
                      .side = SALLY_IN,
                      .poll_first = true,
                      .phase = SALLY_PHASE_READ,
                      .call = c->call,
                      .beside = c->out};
}

static sally_op writing(const copying *c)
{
    return (sally_op){.step = sally_step_write_all,
                      .side = SALLY_OUT,
                      .phase = SALLY_PHASE_WRITE,
                      .call = c->call,
                      .beside = c->in};
}

/* The timeout is that of the op's own port, the owners are both. */
static ssl_status run(const copying *c, sally_op *op, ssl_error *err)
{
    ssl_port *port = op->side == SALLY_IN ? c->in : c->out;
    sally_scope scope;
    ssl_status status = sally_port_scope(port, c->how, op->phase, &scope, err);
    if (status == SALLY_OK) {
        sally_scope_own(&scope, op->beside->conn->owner);
        status = sally_conn_run_inside(port->conn, op, &scope, err);
    }
    return status;
}

static ssl_status receive(const copying *c, ssl_error *err)
{
    sally_op op = reading(c);
    return run(c, &op, err);
}

static ssl_status pass_on(copying *c, ssl_error *err)
{
    sally_conn *from = c->in->conn;
    uint64_t left = c->max - c->count;
    sally_op op = writing(c);
    op.bytes = sally_buf_front(&from->plain);
    op.n = from->plain.length < left ? from->plain.length : (size_t)left;
    ssl_status status = run(c, &op, err);
    c->count += op.count;
    sally_conn_lock(from);
    sally_buf_skip(&from->plain, op.count);
    sally_conn_unlock(from);
    return status;
}

/* What an earlier call left unsent is the writer's to send, and this writer may wait for input, or find
 * its end, before it writes. */
static ssl_status send_rest(const copying *c, ssl_error *err)
{
    sally_op op = writing(c);
    return run(c, &op, err);
}

/* The peer's goodbye is what a copy runs to, and no failure. */
static ssl_status take_turns(copying *c, ssl_error *err)
{
    ssl_status status = send_rest(c, err);
    while (status == SALLY_OK && c->count < c->max) {
        status = receive(c, err);
        if (status == SALLY_EOF) {
            sally_error_none(err);
            return SALLY_OK;
        }
        if (status == SALLY_OK) {
            status = pass_on(c, err);
        }
    }
    return status;
}

static void leave_input(const copying *c)
{
    sally_conn_lock(c->in->conn);
    sally_buf_tidy(&c->in->conn->plain);
    sally_conn_unlock(c->in->conn);
    sally_conn_exit(c->in->conn, SALLY_IN);
}

static ssl_status enter_both(const copying *c, ssl_error *err)
{
    const sally_op read = reading(c);
    const sally_op write = writing(c);
    ssl_status status = sally_conn_enter(c->in->conn, &read, err);
    if (status == SALLY_OK) {
        status = sally_conn_enter(c->out->conn, &write, err);
        if (status != SALLY_OK) {
            leave_input(c);
        }
    }
    return status;
}

static ssl_status check(const copying *c, ssl_error *err)
{
    const sally_op read = reading(c);
    const sally_op write = writing(c);
    ssl_status status = sally_port_check(c->in, SALLY_IN, &read, err);
    return status == SALLY_OK ? sally_port_check(c->out, SALLY_OUT, &write, err) : status;
}

static ssl_status copy(copying *c, uint64_t *copied, ssl_error *err)
{
    ssl_status status = check(c, err);
    if (status == SALLY_OK) {
        status = enter_both(c, err);
    }
    if (status == SALLY_OK) {
        status = take_turns(c, err);
        sally_conn_exit(c->out->conn, SALLY_OUT);
        leave_input(c);
    }
    if (copied != NULL) {
        *copied = c->count;
    }
    return status;
}

ssl_status ssl_copy_port(ssl_port *in, ssl_port *out, uint64_t max, uint64_t *copied,
                         ssl_error *err)
{
    copying c = {.in = in, .out = out, .call = "ssl_copy_port", .how = SALLY_PLAIN, .max = max};
    return copy(&c, copied, err);
}

ssl_status ssl_copy_port_enable_break(ssl_port *in, ssl_port *out, uint64_t max, ssl_break *brk,
                                      uint64_t *copied, ssl_error *err)
{
    copying c = {.in = in,
                 .out = out,
                 .call = "ssl_copy_port_enable_break",
                 .how = SALLY_ENABLE(brk),
                 .max = max};
    return copy(&c, copied, err);
}

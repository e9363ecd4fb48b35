/* L5 ports: a port as a stdio FILE (P2).
 *
 * The FILE for reading holds no buffer on stdio's side, so that what it has not given to the program is
 * still in the port for ssl_read. Small reads (getc, fgets, fscanf ask for byte after byte) are
 * served from conn->plain, which holds a record; take_held is their short way there.
 *
 * The FILE for writing is buffered by stdio, which drops what a failed write has not taken. Nothing may
 * follow such a hole: the first failure is kept, later writes fail with it, and fclose then abandons
 * the port instead of saying goodbye, so that the peer does not take the stream for whole.
 *
 * stdio's own lock makes the calls on one FILE take turns; the port's rules hold between a FILE and
 * other calls on the port.
 */
#include <errno.h>
#include <string.h>

#include "error.h"
#include "mem.h"
#include "ossl.h"
#include "port_io.h"
#include "stream.h"

/* Reads of fewer bytes go through conn->plain. */
#define READ_AHEAD_BELOW 4096

typedef struct port_file {
    ssl_port *port;
    sally_how how; /* its token is retained */
    int failed;    /* errno of the first failed write, or 0 */
} port_file;

/* What the headers promise, status by status. */
static int errno_of(const ssl_error *err)
{
    switch (err->status) {
    case SALLY_BREAK: return EINTR;
    case SALLY_TIMEOUT: return ETIMEDOUT;
    case SALLY_TRUNCATED: return ECONNRESET;
    case SALLY_CLOSED: return ECANCELED;
    case SALLY_MEMORY: return ENOMEM;
    case SALLY_USAGE: return EBUSY;
    case SALLY_PEER:
    case SALLY_PROTOCOL:
    case SALLY_VERIFY: return EPROTO;
    default: return err->sys_errno != 0 ? err->sys_errno : EIO;
    }
}

static ssl_status run(const port_file *f, sally_op *op, sally_scope *scope, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = sally_port_scope(f->port, f->how, op->phase, scope, err);
    scope->keep = op->side == SALLY_OUT;
    return status == SALLY_OK ? sally_conn_run(f->port->conn, op, scope, err) : status;
}

/* ---- reading ------------------------------------------------------------------------------- */

static sally_step read_ahead(sally_conn *conn, sally_op *op, sally_want *want)
{
    sally_step step = op->n < READ_AHEAD_BELOW ? sally_step_fill(conn, op, want) : SALLY_STEP_DONE;
    return step == SALLY_STEP_DONE ? sally_port_read_some(conn, op, want) : step;
}

/* The short way of bytes that have been received: no step, and no look at OpenSSL. 0: go the long way,
 * which also reports what stands against it. */
static size_t take_held(const port_file *f, char *buf, size_t n)
{
    sally_scope scope;
    ssl_status status = sally_port_scope(f->port, f->how, SALLY_PHASE_READ, &scope, NULL);
    scope.keep = true;
    if (status != SALLY_OK || sally_scope_check(&scope, SALLY_PHASE_READ, NULL) != SALLY_OK) {
        return 0;
    }
    sally_conn *conn = f->port->conn;
    size_t count = 0;
    sally_conn_lock(conn);
    if (!f->port->closed && !conn->slots[SALLY_IN].busy) {
        count = n < conn->plain.length ? n : conn->plain.length;
    }
    if (count != 0) {
        memcpy(buf, sally_buf_front(&conn->plain), count);
        sally_buf_consume(&conn->plain, count);
    }
    sally_conn_unlock(conn);
    return count;
}

static ssize_t read_port(void *cookie, char *buf, size_t n)
{
    const port_file *f = cookie;
    size_t held = take_held(f, buf, n);
    if (held != 0) {
        return (ssize_t)held;
    }
    sally_op op = {.step = read_ahead,
                   .side = SALLY_IN,
                   .poll_first = true,
                   .phase = SALLY_PHASE_READ,
                   .call = "FILE",
                   .buf = buf,
                   .n = n};
    sally_scope scope;
    ssl_error err;
    ssl_status status = run(f, &op, &scope, &err);
    if (status != SALLY_OK && status != SALLY_EOF) {
        errno = errno_of(&err);
        return -1;
    }
    return (ssize_t)op.count;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Some bytes were not taken: stdio drops them. A break is reported now, and so the thread's own one is
 * consumed. */
static void fail_writes(port_file *f, sally_scope *scope, ssl_error *err)
{
    f->failed = errno_of(err);
    if (err->status == SALLY_BREAK) {
        scope->keep = false;
        (void)sally_scope_check(scope, SALLY_PHASE_WRITE, err);
    }
    errno = f->failed;
}

/* Where all was accepted, and only the wait for the socket ended early, there is nothing to report: what
 * is unsent goes out with the next call, and a break stays pending for that. */
static ssize_t write_port(void *cookie, const char *buf, size_t n)
{
    port_file *f = cookie;
    if (f->failed != 0) {
        errno = f->failed;
        return 0;
    }
    sally_op op = {.step = sally_step_write_all,
                   .side = SALLY_OUT,
                   .phase = SALLY_PHASE_WRITE,
                   .call = "FILE",
                   .bytes = buf,
                   .n = n};
    sally_scope scope;
    ssl_error err;
    if (run(f, &op, &scope, &err) != SALLY_OK && op.count < n) {
        fail_writes(f, &scope, &err);
    }
    return (ssize_t)op.count;
}

/* ---- the end ------------------------------------------------------------------------------- */

static int close_side(const port_file *f)
{
    if (f->failed != 0) {
        ssl_abandon_port(f->port);
        return f->failed;
    }
    ssl_error err;
    ssl_status status = f->how.enable ? ssl_close_port_enable_break(f->port, f->how.brk, &err)
                                      : ssl_close_port(f->port, &err);
    return status == SALLY_OK ? 0 : errno_of(&err);
}

static void free_file(port_file *f)
{
    ssl_break_release(f->how.brk);
    sally_free(f);
}

static int close_file(void *cookie)
{
    int failed = close_side(cookie);
    free_file(cookie);
    if (failed != 0) {
        errno = failed;
        return -1;
    }
    return 0;
}

/* ---- calls --------------------------------------------------------------------------------- */

static const sally_stream_ops reading = {.read = read_port, .close = close_file};
static const sally_stream_ops writing = {.write = write_port, .close = close_file};

static ssl_status fail_open(int why, const sally_op *op, ssl_error *err)
{
    return why == ENOSYS ? sally_fail(err, SALLY_UNSUPPORTED, op->phase,
                                      "%s: this build makes no FILE: its C library has no "
                                      "fopencookie; use ssl_read_line and ssl_printf",
                                      op->call)
                         : sally_fail_errno(err, why, op->phase, "%s", op->call);
}

static ssl_status open_stream(ssl_port *port, sally_how how, const sally_op *op, FILE **file,
                              ssl_error *err)
{
    port_file *f = sally_alloc(sizeof *f);
    if (f == NULL) {
        return sally_fail_memory(err, op->phase, op->call);
    }
    *f = (port_file){.port = port, .how = how};
    (void)ssl_break_retain(how.brk);
    int why = sally_stream_open(port->side == SALLY_IN ? &reading : &writing, f, file);
    if (why != 0) {
        free_file(f);
        return fail_open(why, op, err);
    }
    return SALLY_OK;
}

static ssl_status check_open(ssl_port *port, const sally_op *op, ssl_error *err)
{
    sally_conn_lock(port->conn);
    bool closed = port->closed;
    sally_conn_unlock(port->conn);
    return !closed ? SALLY_OK
                   : sally_fail(err, SALLY_CLOSED, op->phase,
                                "%s: this port has been closed or abandoned", op->call);
}

static ssl_status make_file(ssl_port *port, sally_how how, const char *call, FILE **file,
                            ssl_error *err)
{
    sally_ossl_begin();
    if (file != NULL) {
        *file = NULL;
    }
    if (port == NULL || file == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: %s is NULL", call,
                          port == NULL ? "the port" : "the place for the FILE");
    }
    const sally_op op = {.call = call,
                         .phase = port->side == SALLY_IN ? SALLY_PHASE_READ : SALLY_PHASE_WRITE};
    ssl_status status = check_open(port, &op, err);
    if (status == SALLY_OK) {
        sally_scope tried; /* whether the token can be obeyed at all (B10) */
        status = sally_port_scope(port, how, op.phase, &tried, err);
    }
    return status == SALLY_OK ? open_stream(port, how, &op, file, err) : status;
}

ssl_status ssl_port_file(ssl_port *port, FILE **file, ssl_error *err)
{
    return make_file(port, SALLY_PLAIN, "ssl_port_file", file, err);
}

ssl_status ssl_port_file_enable_break(ssl_port *port, ssl_break *brk, FILE **file, ssl_error *err)
{
    return make_file(port, SALLY_ENABLE(brk), "ssl_port_file_enable_break", file, err);
}

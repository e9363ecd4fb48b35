/* L5 ports: another connection as a transport: TLS in TLS (P7), to any depth.
 *
 * The connection below is the far side of a box (transport_box.h): reading and writing it are its
 * calls that never block, made while the lock of the one above is free. So no thread ever holds the
 * locks of two connections, and their order is no question.
 *
 * Waiting is done in the connection below, on what its last read and write wanted: by poll, or if it runs
 * over a box itself, as that one waits, down to the bottom. Meanwhile the thread's wake is in
 * `carried.asleep`, so that whoever closes a port below, or takes bytes out of the socket there that no
 * poll will show again, wakes it. What was received between the read that found nothing and the
 * wait is seen by comparing `carried.seen`.
 *
 * Where there are descriptors at the bottom, they are handed up to a thread that waits for several things at
 * once (ssl_sync), by `watch`; it is in `carried.asleep` of each connection on the way down.
 *
 * The struct of the connection below is retained: its ports may be freed at any time, which cuts us.
 */
#include "transport_port.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "mem.h"
#include "transport_box.h"

typedef struct port_far {
    sally_conn *below;
    bool close_original;
    sally_carried carried; /* the lock of `below` */
    bool has_fds;          /* at the bottom; constant, as the three that follow */
    int no_address;        /* an errno */
    sally_addr local;
    sally_addr remote;
} port_far;

static const char call[] = "ssl_wrap_ports";

/* ---- bytes --------------------------------------------------------------------------------- */

static int errno_for(ssl_status status, const ssl_error *why)
{
    if (why->sys_errno != 0) {
        return why->sys_errno;
    }
    switch (status) {
    case SALLY_CLOSED: return ECONNABORTED;
    case SALLY_MEMORY: return ENOMEM;
    default: return EPROTO;
    }
}

/* An end below, clean or not, is an end for us; whether it is clean we hear from our own peer. */
static sally_io failed(ssl_status status, const ssl_error *why, ssl_io_result *result)
{
    bool ended = status == SALLY_EOF || (status == SALLY_TRUNCATED && why->sys_errno == 0);
    result->sys_errno = ended ? 0 : errno_for(status, why);
    return ended ? SALLY_IO_END : SALLY_IO_FAILED;
}

static sally_io try_below(port_far *p, sally_op *op, ssl_io_result *result)
{
    ssl_error why = {.sys_errno = 0};
    op->call = call;
    op->carried = &p->carried;
    ssl_status status = sally_conn_try(p->below, op, &why);
    result->count = op->count;
    if (op->count != 0) { /* the failure comes again, with the next call */
        return SALLY_IO_DONE;
    }
    return status == SALLY_OK ? SALLY_IO_WOULD_BLOCK : failed(status, &why, result);
}

static sally_io read_below(void *far, void *buf, size_t n, ssl_io_result *result)
{
    sally_op op = {.step = sally_port_read_some,
                   .side = SALLY_IN,
                   .phase = SALLY_PHASE_READ,
                   .buf = buf,
                   .n = n};
    return try_below(far, &op, result);
}

static sally_io write_below(void *far, const void *buf, size_t n, ssl_io_result *result)
{
    sally_op op = {.step = sally_port_write_some,
                   .side = SALLY_OUT,
                   .phase = SALLY_PHASE_WRITE,
                   .bytes = buf,
                   .n = n};
    sally_io io = try_below(far, &op, result);
    return io == SALLY_IO_END ? SALLY_IO_FAILED : io;
}

/* What was written is ciphertext below, and may have to wait there. */
static sally_io flush_below(void *far, ssl_io_result *result)
{
    port_far *p = far;
    sally_op op = {.step = sally_port_flush, .side = SALLY_OUT, .phase = SALLY_PHASE_WRITE};
    sally_io io = try_below(p, &op, result);
    if (io != SALLY_IO_WOULD_BLOCK) {
        return SALLY_IO_FAILED;
    }
    result->count = ssl_pending_output(&p->below->out);
    return result->count == 0 ? SALLY_IO_DONE : SALLY_IO_WOULD_BLOCK;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* What the connection below waits for, on our behalf. */
static sally_want want_below(const port_far *p, const ssl_io_wait *what)
{
    const sally_want *in = &p->carried.want[SALLY_IN];
    const sally_want *out = &p->carried.want[SALLY_OUT];
    return (sally_want){.receive =
                            (what->for_read && in->receive) || (what->for_write && out->receive),
                        .send = (what->for_read && in->send) || (what->for_write && out->send)};
}

/* The lock of `below` is held: whether there is no sense in waiting. */
static bool must_look_again(const port_far *p, const ssl_io_wait *what)
{
    const sally_conn *below = p->below;
    return below->engine == NULL || (what->for_read && below->in.closed) ||
           (what->for_write && below->out.closed) ||
           (what->for_read && sally_engine_receives(below->engine) != p->carried.seen);
}

/* The lock of `below` is held, and free in between; its engine stays, because our thread is asleep for it
 * (take_finished_locked in conn.c). */
static int wait_locked(port_far *p, const sally_transport_wait *how)
{
    sally_conn *below = p->below;
    sally_want want = want_below(p, &how->what);
    sally_transport *t = sally_engine_transport(below->engine);
    struct pollfd fds[2 + SALLY_WAIT_SPARE];
    int count = sally_conn_watch_locked(below, want, fds);
    sally_conn_unlock(below);
    int failure;
    if (t->ops->wait != NULL) {
        sally_transport_wait deeper = *how;
        deeper.what.for_read = want.receive;
        deeper.what.for_write = want.send;
        failure = t->ops->wait(t, &deeper);
    } else {
        memcpy(fds + count, how->what.wakes, how->what.wake_count * sizeof *fds);
        failure = sally_wait_poll(fds, count + (int)how->what.wake_count, how->what.deadline);
    }
    sally_conn_lock(below);
    return failure;
}

static int wait_below(void *far, const sally_transport_wait *how)
{
    port_far *p = far;
    int failure = 0;
    sally_conn_lock(p->below);
    if (!must_look_again(p, &how->what)) {
        p->carried.asleep[how->side] = how->self;
        failure = wait_locked(p, how);
        p->carried.asleep[how->side] = NULL;
    }
    sally_conn_leave(p->below);
    return failure;
}

/* The transport below, which stays because our thread is asleep for it. */
static sally_transport *transport_below(port_far *p)
{
    sally_conn_lock(p->below);
    sally_transport *t = sally_engine_transport(p->below->engine);
    sally_conn_unlock(p->below);
    return t;
}

static void unwatch_below(void *far, int side)
{
    port_far *p = far;
    sally_transport *t = transport_below(p);
    if (t->ops->unwatch != NULL) {
        t->ops->unwatch(t, side);
    }
    sally_conn_lock(p->below);
    p->carried.asleep[side] = NULL;
    sally_conn_leave(p->below);
}

/* Asleep already: the pollfds of the transport below, of a connection further down if it is a box again. */
static int watch_asleep(port_far *p, const sally_transport_wait *how, struct pollfd *fds)
{
    sally_transport_wait deeper = *how;
    sally_conn_lock(p->below);
    sally_want want = want_below(p, &how->what);
    sally_transport *t = sally_engine_transport(p->below->engine);
    int count = t->ops->watch == NULL ? sally_conn_watch_locked(p->below, want, fds) : 0;
    sally_conn_unlock(p->below);
    if (t->ops->watch == NULL) {
        return count;
    }
    deeper.what.for_read = want.receive;
    deeper.what.for_write = want.send;
    return t->ops->watch(t, &deeper, fds);
}

static int watch_below(void *far, const sally_transport_wait *how, struct pollfd *fds)
{
    port_far *p = far;
    sally_conn_lock(p->below);
    bool again = must_look_again(p, &how->what);
    p->carried.asleep[how->side] = again ? NULL : how->self;
    sally_conn_leave(p->below);
    int count = again ? -1 : watch_asleep(p, how, fds);
    if (!again && count < 0) {
        sally_conn_lock(p->below);
        p->carried.asleep[how->side] = NULL;
        sally_conn_leave(p->below);
    }
    return count;
}

/* ---- the end and the beginning ------------------------------------------------------------- */

static int address_below(void *far, bool remote, sally_addr *addr)
{
    const port_far *p = far;
    if (p->no_address == 0) {
        *addr = remote ? p->remote : p->local;
    }
    return p->no_address;
}

static void end_below(void *far, bool given_back)
{
    port_far *p = far;
    sally_conn_lock(p->below);
    p->below->carried = NULL;
    sally_conn_leave(p->below);
    if (p->close_original && !given_back) {
        sally_conn_hang_up(p->below);
    }
    sally_conn_release(p->below);
    sally_free(p);
}

static const sally_far_ops port_ops = {
    .read = read_below,
    .write = write_below,
    .flush = flush_below,
    .wait = wait_below,
    .watch = watch_below,
    .unwatch = unwatch_below,
    .address = address_below,
    .end = end_below,
};

static void note_bottom_locked(port_far *p)
{
    sally_transport *t = sally_engine_transport(p->below->engine);
    p->has_fds = t->ops->wait == NULL || t->ops->watch != NULL;
    p->no_address = t->ops->address != NULL ? t->ops->address(t, false, &p->local) : ENOTSOCK;
    sally_addr_recall(&p->below->remote, &p->remote);
}

static ssl_status claim_locked(port_far *p, const char *by, ssl_error *err)
{
    sally_conn *below = p->below;
    if (below->engine == NULL || below->in.closed || below->out.closed) {
        return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_HANDSHAKE,
                          "%s: a port of the pair below has been closed or abandoned", by);
    }
    if (below->carried != NULL || below->slots[SALLY_IN].busy || below->slots[SALLY_OUT].busy) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_HANDSHAKE, "%s: the pair below %s", by,
                          below->carried != NULL ? "carries another connection already"
                                                 : "is being read or written by another thread");
    }
    note_bottom_locked(p);
    below->carried = &p->carried;
    sally_conn_retain(below);
    return SALLY_OK;
}

static ssl_status claim_below(port_far *p, const char *by, ssl_error *err)
{
    sally_conn_lock(p->below);
    ssl_status status = claim_locked(p, by, err);
    sally_conn_unlock(p->below);
    return status;
}

ssl_status sally_transport_port_new(const sally_port_setup *setup, sally_transport **t,
                                    ssl_error *err)
{
    *t = NULL;
    port_far *p = sally_alloc(sizeof *p);
    sally_transport *made = p != NULL ? sally_transport_box_new(&port_ops, p, true) : NULL;
    if (made == NULL) {
        sally_free(p);
        return sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, setup->call);
    }
    p->below = setup->ports.in->conn;
    p->close_original = setup->close_original;
    ssl_status status = claim_below(p, setup->call, err);
    if (status != SALLY_OK) {
        sally_free(p);
        sally_transport_box_drop(made);
        return status;
    }
    if (p->has_fds) {
        sally_transport_box_let_watch(made);
    }
    *t = made;
    return SALLY_OK;
}

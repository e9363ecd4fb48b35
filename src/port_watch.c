/* L5 ports: a port as one of several things that a thread waits for (L1).
 *
 * An input port is ready when the next read would not wait: plaintext is there, or its end, or the
 * door is closed. That the fd is readable is not enough, it may be half a record or a session ticket:
 * the engine is stepped over those, and what it receives stays in it. An output port is ready when
 * nothing that was accepted earlier is unsent, so that the next write is accepted at once, or refused.
 *
 * The thread has the slot of its side all the time, and publishes its wake there while it sleeps. So it is
 * woken like a reader or a writer: by whoever closes the door, receives, or leaves something unsent.
 *
 * Locks: the connection's, around each function here.
 */
#include "port_watch.h"

#include "error.h"

static bool is_flushed_locked(sally_conn *conn, sally_want *want)
{
    sally_op op = {.step = sally_port_flush, .side = SALLY_OUT};
    return sally_conn_step_locked(conn, &op, want) != SALLY_STEP_WANT;
}

static bool has_fds_locked(const sally_conn *conn)
{
    const sally_transport_ops *ops = sally_engine_transport(conn->engine)->ops;
    return ops->wait == NULL || ops->watch != NULL;
}

ssl_status sally_port_watch_enter(ssl_port *port, const char *call, ssl_error *err)
{
    sally_op op = {.side = port->side, .phase = SALLY_PHASE_WAIT, .call = call};
    sally_conn_lock(port->conn);
    ssl_status status = sally_conn_enter_locked(port->conn, &op, err);
    if (status == SALLY_OK && !has_fds_locked(port->conn)) {
        sally_conn_exit_locked(port->conn, port->side);
        status = sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_WAIT,
                            "%s: there is nothing to poll for a port over callbacks with a wait "
                            "function",
                            call);
    }
    sally_conn_leave(port->conn);
    return status;
}

void sally_port_watch_leave(ssl_port *port)
{
    sally_conn_lock(port->conn);
    sally_conn_exit_locked(port->conn, port->side);
    sally_conn_leave(port->conn);
}

ssl_status sally_port_watch_check(const ssl_port *port, const char *call, ssl_error *err)
{
    sally_scope served = SALLY_SCOPE_NONE;
    served.call = call;
    sally_scope_own(&served, port->conn->owner);
    return sally_scope_check(&served, SALLY_PHASE_WAIT, err);
}

static int watch_owner(const sally_conn *conn, struct pollfd *fds, int count)
{
    if (conn->owner != NULL) {
        fds[count++] = (struct pollfd){.fd = sally_break_wait_fd(conn->owner), .events = POLLIN};
    }
    return count;
}

static bool is_ready_locked(ssl_port *port, sally_want *want)
{
    sally_conn *conn = port->conn;
    return port->closed || (port->side == SALLY_IN ? sally_conn_look_inside_locked(conn, want)
                                                   : is_flushed_locked(conn, want));
}

static bool is_ready_now_locked(ssl_port *port, sally_want *want)
{
    sally_conn *conn = port->conn;
    return port->closed || (port->side == SALLY_IN ? sally_conn_look_locked(conn, want)
                                                   : is_flushed_locked(conn, want));
}

/* How many pollfds; -1: look again. The lock is free in between where the transport is another connection,
 * but `self` is in the slot by then. */
static int watch_transport_locked(sally_conn *conn, sally_side side, sally_want want,
                                  struct pollfd *fds)
{
    sally_transport *t = sally_engine_transport(conn->engine);
    if (t->ops->watch == NULL) {
        return sally_conn_watch_locked(conn, want, fds);
    }
    sally_transport_wait how = {.side = (int)side, .self = conn->slots[side].asleep};
    how.what = (ssl_io_wait){.for_read = want.receive, .for_write = want.send};
    sally_conn_unlock(conn);
    int count = t->ops->watch(t, &how, fds);
    sally_conn_lock(conn);
    return count;
}

/* Whether it is ready; if not, *want says for what to wait. */
static bool exchange_until_ready_locked(ssl_port *port, bool ready, sally_want *want)
{
    while (!ready && sally_conn_exchange_locked(port->conn, port->side, *want)) {
        ready = is_ready_now_locked(port, want);
    }
    return ready;
}

bool sally_port_watch_begin(ssl_port *port, const sally_wake *self, struct pollfd *fds, int *count)
{
    sally_conn *conn = port->conn;
    sally_slot *slot = &conn->slots[port->side];
    sally_want want = {false, false};
    *count = -1;
    sally_conn_lock(conn);
    bool ready = exchange_until_ready_locked(port, is_ready_locked(port, &want), &want);
    while (!ready && *count < 0) {
        slot->asleep = self;
        slot->want = want;
        *count = watch_transport_locked(conn, port->side, want, fds);
        if (*count < 0) {
            ready = exchange_until_ready_locked(port, is_ready_now_locked(port, &want), &want);
        }
    }
    slot->asleep = ready ? NULL : self;
    *count = ready ? 0 : watch_owner(conn, fds, *count);
    sally_conn_unlock(conn);
    return ready;
}

/* The owner's wake, which is the last one, may be left over from a break that was cleared. */
static void calm_owner(const sally_conn *conn, const struct pollfd *last)
{
    if (last->revents != 0 && !ssl_break_pending(conn->owner, NULL, NULL)) {
        sally_break_calm(conn->owner);
    }
}

void sally_port_watch_end(ssl_port *port, const struct pollfd *fds, int count)
{
    sally_conn *conn = port->conn;
    sally_conn_lock(conn);
    sally_transport *t = sally_engine_transport(conn->engine);
    conn->slots[port->side].asleep = NULL;
    sally_conn_unlock(conn);
    if (t->ops->unwatch != NULL) {
        t->ops->unwatch(t, (int)port->side);
    }
    if (conn->owner != NULL) {
        calm_owner(conn, &fds[count - 1]);
    }
}

bool sally_port_watch_look(ssl_port *port)
{
    sally_conn *conn = port->conn;
    sally_want want;
    sally_conn_lock(conn);
    bool ready = exchange_until_ready_locked(port, is_ready_now_locked(port, &want), &want);
    sally_conn_unlock(conn);
    return ready;
}

/* L5 ports: the connection behind two ports, and the one loop of all blocking calls (P1, B2).
 *
 * A call enters its side's slot, and then alternates: look for a closed door, look for a break, take
 * one step under the lock, sleep without it. Sleepers publish their thread's wake in the slot. They
 * are woken for three reasons, each under the lock:
 *   - their door was closed;
 *   - another side received bytes, which may now lie inside OpenSSL where poll cannot see them, or
 *     may have been what a writer in the middle of a handshake message waits for;
 *   - a call left ciphertext unsent, so that a sleeping reader must wait for writability too (B6).
 * Who is woken where the transport is a box: conn_exchange.c.
 * Between two steps of a long call the lock is let go; queue_for_lock says how that is fair.
 */
#include "conn.h"

#include "error.h"
#include "mem.h"
#include "ossl.h"

/* ---- life ---------------------------------------------------------------------------------- */

static void init_port(ssl_port *port, sally_conn *conn, sally_side side)
{
    port->conn = conn;
    port->side = side;
    sally_store_rel(&port->timeout_ms, (uint64_t)-1);
}

ssl_status sally_conn_new(const sally_conn_setup *setup, sally_transport *transport,
                          sally_conn **conn, ssl_error *err)
{
    *conn = NULL;
    sally_conn *made = sally_alloc(sizeof *made);
    if (made == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, setup->engine.call);
    }
    ssl_status status = setup->remote == NULL || sally_addr_keep(&made->remote, setup->remote)
                            ? sally_engine_new(&setup->engine, transport, &made->engine, err)
                            : sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, setup->engine.call);
    if (status != SALLY_OK) {
        sally_addr_kept_fini(&made->remote);
        sally_free(made);
        return status;
    }
    sally_mutex_init(&made->lock, SALLY_RANK_CONNECTION);
    init_port(&made->in, made, SALLY_IN);
    init_port(&made->out, made, SALLY_OUT);
    made->call = setup->engine.call;
    made->held = setup->hold;
    made->proxied = setup->proxied;
    sally_store_rel(&made->handles, setup->hold ? 3 : 2);
    *conn = made;
    return SALLY_OK;
}

ssl_ports sally_conn_ports(sally_conn *conn)
{
    return (ssl_ports){&conn->in, &conn->out};
}

void sally_conn_set_owner(sally_conn *conn, ssl_break *owner)
{
    conn->owner = ssl_break_retain(owner);
}

static void free_turn(sally_mutex *turn)
{
    if (turn != NULL) {
        sally_mutex_fini(turn);
        sally_free(turn);
    }
}

static void destroy(sally_conn *conn)
{
    sally_mutex_fini(&conn->lock);
    free_turn(sally_load_ptr_acq(&conn->turn));
    sally_buf_fini(&conn->plain);
    ssl_break_release(conn->owner);
    sally_proxied_free(conn->proxied);
    sally_addr_kept_fini(&conn->remote);
    sally_free(conn);
}

void sally_conn_retain(sally_conn *conn)
{
    sally_add_relaxed(&conn->handles, 1);
}

void sally_conn_release(sally_conn *conn)
{
    if (sally_drop_ref(&conn->handles)) {
        destroy(conn);
    }
}

void sally_conn_let_go(sally_conn *conn)
{
    sally_conn_lock(conn);
    conn->held = false;
    if (conn->engine != NULL) {
        sally_engine_stop_counting(conn->engine);
    }
    sally_conn_leave(conn);
    sally_conn_release(conn);
}

void sally_conn_drop(sally_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    bool held = conn->held; /* by the caller, so nobody else changes it */
    ssl_ports ports = sally_conn_ports(conn);
    ssl_free_ports(&ports);
    if (held) {
        sally_conn_let_go(conn);
    }
}

void ssl_free_port(ssl_port *port)
{
    if (port == NULL) {
        return;
    }
    sally_conn *conn = port->conn;
    ssl_abandon_port(port);
    sally_conn_release(conn);
}

void ssl_free_ports(ssl_ports *ports)
{
    if (ports != NULL) {
        ssl_free_port(ports->in);
        ssl_free_port(ports->out);
        *ports = (ssl_ports){NULL, NULL};
    }
}

/* ---- lock, doors, slots -------------------------------------------------------------------- */

/* Made by the first who has to wait: most connections have one thread at a time. NULL: no memory. */
static sally_mutex *turn_of(sally_conn *conn)
{
    sally_mutex *there = sally_load_ptr_acq(&conn->turn);
    sally_mutex *made = there == NULL ? sally_alloc(sizeof *made) : NULL;
    if (made == NULL) {
        return there;
    }
    sally_mutex_init(made, SALLY_RANK_TURN);
    there = sally_publish_ptr_once(&conn->turn, made);
    if (there != made) {
        free_turn(made);
    }
    return there;
}

/* A thread in a long loop of steps, or of calls, must not retake the lock before one that waits for it:
 * whoever finds somebody waiting queues behind `turn`, of which the first in the queue lets go only when
 * it has the lock. Without memory for that there is no queue, and the lock is taken as it comes. */
static void queue_for_lock(sally_conn *conn)
{
    sally_mutex *turn = turn_of(conn);
    sally_add_relaxed(&conn->waiting, 1);
    if (turn != NULL) {
        sally_mutex_lock(turn);
    }
    sally_mutex_lock(&conn->lock);
    if (turn != NULL) {
        sally_mutex_unlock(turn);
    }
    sally_add_relaxed(&conn->waiting, (uint64_t)-1);
}

void sally_conn_lock(sally_conn *conn)
{
    if (sally_load_relaxed(&conn->waiting) != 0 || !sally_mutex_try(&conn->lock)) {
        queue_for_lock(conn);
    }
}

void sally_conn_unlock(sally_conn *conn)
{
    sally_mutex_unlock(&conn->lock);
}

static void wake_locked(sally_slot *slot)
{
    if (slot->asleep != NULL) {
        sally_wake_raise(slot->asleep);
    }
}

/* Those of the connection that this one carries look at everything again. */
static void wake_carried_locked(const sally_conn *conn)
{
    for (int side = 0; conn->carried != NULL && side < SALLY_SIDES; side++) {
        if (conn->carried->asleep[side] != NULL) {
            sally_wake_raise(conn->carried->asleep[side]);
        }
    }
}

void sally_conn_shut_locked(ssl_port *port, bool abandon)
{
    sally_conn *conn = port->conn;
    sally_mutex_assert_held(&conn->lock);
    port->closed = true;
    port->abandoned = port->abandoned || abandon;
    wake_locked(&conn->slots[port->side]);
    if (port->abandoned && port->side == SALLY_OUT) {
        wake_locked(&conn->slots[SALLY_CLOSER]);
    }
    wake_carried_locked(conn);
}

sally_engine *sally_conn_open_engine_locked(const sally_conn *conn)
{
    return conn->in.closed && conn->out.closed ? NULL : conn->engine;
}

/* Nobody needs the engine any more: both doors are closed, no call is inside, and no server watches
 * the fd, whose number another connection might get. */
static sally_engine *take_finished_locked(sally_conn *conn)
{
    if (conn->held || !conn->in.closed || !conn->out.closed) {
        return NULL;
    }
    for (int side = 0; side < SALLY_SIDES; side++) {
        if (conn->slots[side].busy ||
            (conn->carried != NULL && conn->carried->asleep[side] != NULL)) {
            return NULL;
        }
    }
    sally_engine *finished = conn->engine;
    conn->engine = NULL;
    return finished;
}

/* Secrets are logged here, because that may call the application. */
void sally_conn_leave(sally_conn *conn)
{
    sally_key_lines lines;
    bool has_lines = conn->engine != NULL && sally_engine_take_key_lines(conn->engine, &lines);
    sally_engine *finished = take_finished_locked(conn);
    sally_conn_unlock(conn);
    sally_engine_free(finished);
    if (has_lines) {
        sally_key_lines_deliver(&lines);
    }
}

/* The closer works behind a closed door; only giving the port up stops it. */
static bool is_shut_locked(const sally_conn *conn, sally_side side)
{
    if (conn->engine == NULL) {
        return true;
    }
    return side == SALLY_IN    ? conn->in.closed
           : side == SALLY_OUT ? conn->out.closed
                               : conn->out.abandoned;
}

static ssl_status fail_shut(const sally_op *op, ssl_error *err)
{
    return sally_fail(err, SALLY_CLOSED, op->phase, "%s: this port has been closed or abandoned",
                      op->call);
}

static ssl_status fail_shut_beside(const sally_op *op, ssl_error *err)
{
    bool in = op->beside->side == SALLY_IN;
    return sally_fail(err, SALLY_CLOSED, in ? SALLY_PHASE_READ : SALLY_PHASE_WRITE,
                      "%s: the %s port has been closed or abandoned", op->call,
                      in ? "input" : "output");
}

ssl_status sally_conn_enter_locked(sally_conn *conn, const sally_op *op, ssl_error *err)
{
    if (is_shut_locked(conn, op->side)) {
        return fail_shut(op, err);
    }
    if (conn->slots[op->side].busy) {
        return sally_fail(err, SALLY_USAGE, op->phase,
                          "%s: another thread is inside a call on this port; one reader and one "
                          "writer at a time",
                          op->call);
    }
    if (conn->carried != op->carried) {
        return sally_fail(err, SALLY_USAGE, op->phase,
                          "%s: this port carries another connection (ssl_wrap_ports); use the "
                          "ports of that one",
                          op->call);
    }
    conn->slots[op->side].busy = true;
    return SALLY_OK;
}

/* A reader that sleeps for input only must now flush for those who left. */
void sally_conn_exit_locked(sally_conn *conn, sally_side side)
{
    sally_conn_hand_on_locked(conn, side);
    conn->slots[side].busy = false;
    conn->slots[side].stalled = false;
    sally_slot *reader = &conn->slots[SALLY_IN];
    if (!reader->want.send && sally_engine_unsent(conn->engine) != 0) {
        wake_locked(reader);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Others may wait for bytes that this step took from the transport, or for its failure. */
void sally_conn_tell_others_locked(sally_conn *conn, sally_side self, bool received, bool failed)
{
    if (!received && !failed) {
        return;
    }
    for (int side = 0; side < SALLY_SIDES; side++) {
        sally_slot *slot = &conn->slots[side];
        if (side != (int)self && (failed || (received && slot->want.receive))) {
            wake_locked(slot);
        }
    }
    wake_carried_locked(conn);
}

sally_step sally_conn_step_locked(sally_conn *conn, sally_op *op, sally_want *want)
{
    unsigned long receives = sally_engine_receives(conn->engine);
    sally_step step = op->step(conn, op, want);
    sally_conn_tell_others_locked(conn, op->side, sally_engine_receives(conn->engine) != receives,
                                  step == SALLY_STEP_FAILED);
    return step;
}

/* Where the next read cannot find anything that poll would not show, poll comes first. */
static bool must_wait_locked(const sally_conn *conn, const sally_op *op, sally_want *want)
{
    if (!op->poll_first || conn->plain.length != 0 || sally_engine_has_ended(conn->engine) ||
        sally_engine_has_buffered(conn->engine)) {
        return false;
    }
    *want = (sally_want){.receive = true, .send = sally_engine_unsent(conn->engine) != 0};
    return true;
}

void sally_conn_peer_text(const sally_conn *conn, char text[SALLY_ADDR_TEXT_SIZE])
{
    text[0] = '\0';
    if (conn->remote.length != 0) {
        sally_addr remote;
        sally_addr_recall(&conn->remote, &remote);
        sally_addr_text_port(&remote, text, SALLY_ADDR_TEXT_SIZE);
    }
}

static ssl_status report_locked(sally_conn *conn, const sally_op *op, ssl_error *err)
{
    if (op->refused != SALLY_OK) {
        return sally_fail(err, op->refused, op->phase, "%s: %s", op->call, op->why);
    }
    char peer[SALLY_ADDR_TEXT_SIZE] = "";
    if (err != NULL) {
        sally_conn_peer_text(conn, peer);
    }
    conn->end_reported =
        conn->end_reported || (op->side == SALLY_IN && sally_engine_has_ended(conn->engine));
    return sally_engine_report(conn->engine, op->phase, op->call, peer, err);
}

static int add_direction(sally_transport *t, sally_direction direction, struct pollfd *fds,
                         int count)
{
    short events;
    int fd = t->ops->wait_fd(t, direction, &events);
    if (count != 0 && fds[0].fd == fd) {
        fds[0].events = (short)(fds[0].events | events);
        return count;
    }
    fds[count] = (struct pollfd){.fd = fd, .events = events};
    return count + 1;
}

/* One pollfd where both directions share a descriptor. */
int sally_conn_watch_locked(sally_conn *conn, sally_want want, struct pollfd *fds)
{
    sally_transport *t = sally_engine_transport(conn->engine);
    int count = want.receive ? add_direction(t, SALLY_RECEIVE, fds, 0) : 0;
    return want.send ? add_direction(t, SALLY_SEND, fds, count) : count;
}

/* A copy sleeps at one of its doors and has the slot of the other one too: whoever shuts that must
 * wake it as well. NULL takes the wake back. False when the other door is shut. No lock is held. */
static bool publish_beside(ssl_port *beside, const sally_wake *self)
{
    if (beside == NULL) {
        return true;
    }
    sally_slot *slot = &beside->conn->slots[beside->side];
    sally_conn_lock(beside->conn);
    slot->asleep = self;
    slot->want = (sally_want){false, false};
    bool open = !beside->closed;
    sally_conn_unlock(beside->conn);
    return open;
}

/* Sleeps without the lock. *ready: poll has seen the transport, so the next step need not wait. */
static ssl_status sleep_locked(sally_conn *conn, const sally_op *op, sally_want want,
                               const sally_scope *scope, bool *ready, ssl_error *err)
{
    const sally_wake *self;
    ssl_status status = sally_wait_self(&self, op->phase, err);
    if (status != SALLY_OK) {
        return status;
    }
    *ready = sally_conn_exchange_locked(conn, op->side, want);
    if (*ready) {
        return SALLY_OK;
    }
    struct pollfd fds[2 + SALLY_WAIT_SPARE];
    sally_wait wait = {.fds = fds, .scope = scope, .self = self, .phase = op->phase};
    wait.count = sally_conn_watch_locked(conn, want, fds);
    sally_conn_sleeper sleeper;
    sally_conn_sleep_with(&sleeper, sally_engine_transport(conn->engine), want, &wait, op->side);
    sally_slot *slot = &conn->slots[op->side];
    slot->asleep = self;
    slot->want = want;
    sally_conn_unlock(conn);
    *ready = publish_beside(op->beside, self) &&
             sally_wait_run(&wait, &status, err) == SALLY_WAITED_READY;
    bool open = publish_beside(op->beside, NULL);
    sally_conn_lock(conn);
    slot->asleep = NULL;
    return status == SALLY_OK && !open ? fail_shut_beside(op, err) : status;
}

static ssl_status loop_locked(sally_conn *conn, sally_op *op, const sally_scope *unnamed,
                              ssl_error *err)
{
    bool ready = false;
    sally_scope scope = *unnamed;
    scope.call = op->call;
    for (;;) {
        if (is_shut_locked(conn, op->side)) {
            return fail_shut(op, err);
        }
        ssl_status status = sally_scope_check(&scope, op->phase, err);
        if (status != SALLY_OK) {
            return status;
        }
        sally_want want = {false, false};
        sally_step step = !ready && must_wait_locked(conn, op, &want)
                              ? SALLY_STEP_WANT
                              : sally_conn_step_locked(conn, op, &want);
        ready = false;
        switch (step) {
        case SALLY_STEP_DONE: return SALLY_OK;
        case SALLY_STEP_FAILED: return report_locked(conn, op, err);
        case SALLY_STEP_AGAIN:
            sally_conn_unlock(conn);
            sally_conn_lock(conn);
            break;
        case SALLY_STEP_ASK: sally_conn_ask_locked(conn); break;
        case SALLY_STEP_WANT:
            status = sleep_locked(conn, op, want, &scope, &ready, err);
            if (status != SALLY_OK) {
                return status;
            }
        }
    }
}

ssl_status sally_conn_run_entered(sally_conn *conn, sally_op *op, const sally_scope *scope,
                                  ssl_error *err)
{
    ssl_status status = loop_locked(conn, op, scope, err);
    sally_conn_exit_locked(conn, op->side);
    sally_conn_leave(conn);
    return status;
}

ssl_status sally_conn_run(sally_conn *conn, sally_op *op, const sally_scope *scope, ssl_error *err)
{
    sally_conn_lock(conn);
    ssl_status status = sally_conn_enter_locked(conn, op, err);
    if (status == SALLY_OK) {
        return sally_conn_run_entered(conn, op, scope, err);
    }
    sally_conn_leave(conn);
    return status;
}

/* Under the same lock as the step: what is received after it makes a difference to `seen`. */
static void note_for_carried_locked(sally_conn *conn, const sally_op *op)
{
    if (conn->carried != NULL) {
        conn->carried->want[op->side] = op->want;
    }
    if (conn->carried != NULL && op->side == SALLY_IN) {
        conn->carried->seen = sally_engine_receives(conn->engine);
    }
}

ssl_status sally_conn_enter(sally_conn *conn, const sally_op *op, ssl_error *err)
{
    sally_conn_lock(conn);
    ssl_status status = sally_conn_enter_locked(conn, op, err);
    sally_conn_leave(conn);
    return status;
}

ssl_status sally_conn_run_inside(sally_conn *conn, sally_op *op, const sally_scope *scope,
                                 ssl_error *err)
{
    sally_conn_lock(conn);
    ssl_status status = loop_locked(conn, op, scope, err);
    sally_conn_unlock(conn);
    return status;
}

void sally_conn_exit(sally_conn *conn, sally_side side)
{
    sally_conn_lock(conn);
    sally_conn_exit_locked(conn, side);
    sally_conn_leave(conn);
}

ssl_status sally_conn_try(sally_conn *conn, sally_op *op, ssl_error *err)
{
    sally_conn_lock(conn);
    ssl_status status = sally_conn_enter_locked(conn, op, err);
    if (status == SALLY_OK) {
        sally_step step;
        do {
            step = sally_conn_step_locked(conn, op, &op->want);
        } while (step == SALLY_STEP_AGAIN ||
                 (step == SALLY_STEP_WANT && sally_conn_exchange_locked(conn, op->side, op->want)));
        if (step == SALLY_STEP_FAILED) {
            status = report_locked(conn, op, err);
        }
        note_for_carried_locked(conn, op);
        sally_conn_exit_locked(conn, op->side);
    }
    sally_conn_leave(conn);
    return status;
}

/* ---- checks and scopes of public calls ----------------------------------------------------- */

ssl_status sally_port_check(const ssl_port *port, sally_side side, const sally_op *op,
                            ssl_error *err)
{
    sally_ossl_begin(); /* for the engine, and E1 holds for a call that never gets there too */
    if (port == NULL) {
        return sally_fail(err, SALLY_USAGE, op->phase, "%s: the port is NULL", op->call);
    }
    if (port->side != side) {
        return sally_fail(err, SALLY_USAGE, op->phase, "%s: this is an %s port; use the %s port",
                          op->call, side == SALLY_IN ? "output" : "input",
                          side == SALLY_IN ? "input" : "output");
    }
    return SALLY_OK;
}

ssl_status sally_port_scope(ssl_port *port, sally_how how, ssl_phase phase, sally_scope *scope,
                            ssl_error *err)
{
    ssl_status status = sally_scope_begin(scope, how, phase, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_scope_own(scope, port->conn->owner);
    int64_t timeout_ms = (int64_t)sally_load_relaxed(&port->timeout_ms);
    if (timeout_ms >= 0) {
        sally_scope_bound(scope, sally_deadline_after_ms(timeout_ms));
    }
    return SALLY_OK;
}

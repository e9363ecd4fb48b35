/* L7 service: how a server ends (W6).
 *
 *   DRAINING  until the soft deadline: the gates close, after what is in their backlogs came in; the
 *             park hurries, so that workers look at every connection once more. A request that is
 *             there is served; a connection whose peer was heard within SALLY_DRAIN_QUIET_MS gets as
 *             long again; the others are hung up, with close_notify.
 *   BREAKING  until the hard deadline: the connections' tokens are broken, parked connections hung
 *             up, no handler is called any more; those that run can still end by themselves.
 *   CUTTING   handlers that still run lose their ports, so that their calls give CLOSED. The threads
 *             are joined: a handler that neither calls us nor returns is waited for without bound,
 *             because a thread cannot be taken away from it safely.
 *   ENDED     what is on its way out (linger.h) gets the rest of the time to the hard deadline.
 *
 * The stages are passed whatever happens; a break of the caller's token only skips the waits. The
 * caller sleeps on `empty`, which is raised when no connection and no gate is left.
 */
#include "connection.h"
#include "error.h"
#include "gate.h"
#include "linger.h"
#include "listener.h"
#include "observe.h"
#include "ossl.h"
#include "wait.h"

/* How often the lingering sockets are counted: they have no one to tell when they are gone. */
#define LINGER_LOOK_MS 5

typedef struct drain_plan {
    int64_t soft_ms;
    int64_t hard_ms;
    sally_scope scope; /* how the caller may be broken */
} drain_plan;

typedef struct drain {
    ssl_server *server;
    sally_scope scope;
    ssl_deadline soft;
    ssl_deadline hard;
    ssl_status broken; /* not OK: the caller wants no more waiting */
    ssl_error *err;
} drain;

/* ---- waiting ------------------------------------------------------------------------------- */

/* One wait, until `until` at most. A limit that is the caller's own token's counts as a break. */
static void sleep_until(drain *d, struct pollfd *fds, int count, ssl_deadline until)
{
    sally_scope scope = d->scope;
    sally_scope_bound(&scope, until);
    sally_wait wait = {.fds = fds, .count = count, .scope = &scope, .phase = SALLY_PHASE_SERVE};
    ssl_status status;
    if (sally_wait_run(&wait, &status, d->err) != SALLY_WAITED_STOPPED) {
        return;
    }
    if (status != SALLY_TIMEOUT || !sally_deadline_passed(until)) {
        d->broken = status;
    }
}

static bool is_empty(ssl_server *server)
{
    sally_mutex_lock(&server->lock);
    bool empty = server->gates_open == 0 && server->places == 0;
    sally_mutex_unlock(&server->lock);
    return empty;
}

static bool must_wait(const drain *d, ssl_deadline until)
{
    return d->broken == SALLY_OK && !sally_deadline_passed(until);
}

static void await_empty(drain *d, ssl_deadline until)
{
    while (must_wait(d, until) && !is_empty(d->server)) {
        struct pollfd fds[1 + SALLY_WAIT_SPARE] = {
            {.fd = d->server->empty.wait_fd, .events = POLLIN}};
        sleep_until(d, fds, 1, until);
    }
}

static void await_lingering(drain *d)
{
    while (must_wait(d, d->hard) && sally_linger_count() > 0) {
        struct pollfd fds[SALLY_WAIT_SPARE];
        ssl_deadline look = sally_deadline_after_ms(LINGER_LOOK_MS);
        sleep_until(d, fds, 0, sally_deadline_earlier(look, d->hard));
    }
}

/* ---- stages -------------------------------------------------------------------------------- */

static void enter(ssl_server *server, sally_stage stage)
{
    sally_mutex_lock(&server->lock);
    sally_store_seq(&server->stage, (uint64_t)stage);
    sally_mutex_unlock(&server->lock);
}

static void stop_accepting(ssl_server *server)
{
    enter(server, SALLY_STAGE_DRAINING);
    sally_park_hurry(server->park, SALLY_DRAIN_QUIET_MS);
    sally_pool_stir(server->pool);
    for (sally_node *n = server->gates.next; n != &server->gates; n = n->next) {
        sally_gate_close(SALLY_CONTAINER(n, sally_gate, node), true);
    }
}

static void break_handlers(ssl_server *server)
{
    enter(server, SALLY_STAGE_BREAKING);
    sally_mutex_lock(&server->lock);
    for (sally_node *n = server->connections.next; n != &server->connections; n = n->next) {
        ssl_connection *c = SALLY_CONTAINER(n, ssl_connection, node);
        if (c->brk != NULL) {
            (void)ssl_break_send(c->brk, SALLY_REASON_DRAIN);
        }
    }
    sally_mutex_unlock(&server->lock);
    sally_park_hurry(server->park, 0);
    sally_pool_stir(server->pool);
}

/* Takes the ports of running handlers; returns how many there were. */
static size_t cut_handlers(ssl_server *server)
{
    size_t cut = 0;
    enter(server, SALLY_STAGE_CUTTING);
    sally_mutex_lock(&server->lock);
    for (sally_node *n = server->connections.next; n != &server->connections; n = n->next) {
        ssl_connection *c = SALLY_CONTAINER(n, ssl_connection, node);
        if (sally_load_seq(&c->running) != 0) {
            ssl_ports ports = sally_conn_ports(c->conn);
            ssl_abandon_port(ports.in);
            ssl_abandon_port(ports.out);
            cut++;
        }
    }
    sally_mutex_unlock(&server->lock);
    return cut;
}

/* No lock is needed: nobody else is there. */
void sally_server_end_leftovers(ssl_server *server)
{
    while (!sally_list_is_empty(&server->connections)) {
        ssl_connection *c = SALLY_CONTAINER(server->connections.next, ssl_connection, node);
        (void)sally_park_claim(server->park, c->task);
        sally_connection_end(c);
    }
}

/* Those that no one closed: of a server that has not been started, or was held up in the park. */
static void discard_gates(ssl_server *server)
{
    for (sally_node *n = server->gates.next; n != &server->gates; n = n->next) {
        sally_gate_discard(SALLY_CONTAINER(n, sally_gate, node));
    }
}

static void close_listeners(ssl_server *server)
{
    for (int i = 0; i < server->listener_count; i++) {
        (void)ssl_close(server->listeners[i], NULL);
        sally_listener_leave(server->listeners[i]);
    }
}

/* The pool is there for others to ask about until its threads are gone. */
static void stop_pool(ssl_server *server)
{
    sally_pool_stop(server->pool);
    sally_mutex_lock(&server->lock);
    server->pool = NULL;
    sally_mutex_unlock(&server->lock);
}

static size_t pass_stages(drain *d)
{
    ssl_server *server = d->server;
    sally_observe_drain(server);
    stop_accepting(server);
    await_empty(d, d->soft);
    break_handlers(server);
    await_empty(d, d->hard);
    size_t cut = cut_handlers(server);
    stop_pool(server);
    sally_server_end_leftovers(server);
    discard_gates(server);
    close_listeners(server);
    await_lingering(d);
    sally_observe_drained(server, cut);
    return cut;
}

static size_t end_unstarted(ssl_server *server)
{
    discard_gates(server);
    close_listeners(server);
    return 0;
}

/* ---- the call ------------------------------------------------------------------------------ */

typedef enum entry {
    ENTRY_OURS,
    ENTRY_DRAINED, /* by an earlier call */
    ENTRY_BUSY,    /* by another thread, just now */
    ENTRY_INSIDE   /* from a handler */
} entry;

static entry judge_entry_locked(const ssl_server *server)
{
    if (sally_pool_is_inside(server->pool)) {
        return ENTRY_INSIDE;
    }
    if (server->in_drain) {
        return ENTRY_BUSY;
    }
    return sally_server_stage(server) == SALLY_STAGE_ENDED ? ENTRY_DRAINED : ENTRY_OURS;
}

static entry enter_drain(ssl_server *server)
{
    sally_mutex_lock(&server->lock);
    entry result = judge_entry_locked(server);
    server->in_drain = server->in_drain || result == ENTRY_OURS;
    sally_mutex_unlock(&server->lock);
    return result;
}

static void leave_drain(ssl_server *server)
{
    sally_mutex_lock(&server->lock);
    server->in_drain = false;
    sally_store_seq(&server->stage, SALLY_STAGE_ENDED);
    sally_mutex_unlock(&server->lock);
}

static ssl_status result_of(const drain *d, size_t cut)
{
    if (cut == 0) {
        return d->broken;
    }
    return sally_fail(d->err, SALLY_TIMEOUT, SALLY_PHASE_SERVE,
                      "ssl_server_drain: %zu handler%s still ran at the hard deadline and lost "
                      "the connection",
                      cut, cut == 1 ? "" : "s");
}

static ssl_status refuse(const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_server_drain: %s", why);
}

static ssl_status drain_by(ssl_server *server, const drain_plan *plan, size_t *unfinished,
                           ssl_error *err)
{
    ssl_deadline hard = sally_deadline_after_ms(plan->hard_ms);
    drain d = {.server = server,
               .scope = plan->scope,
               .soft = sally_deadline_earlier(sally_deadline_after_ms(plan->soft_ms), hard),
               .hard = hard,
               .err = err};
    *unfinished = server->pool != NULL ? pass_stages(&d) : end_unstarted(server);
    leave_drain(server);
    return result_of(&d, *unfinished);
}

static ssl_status drain_within(ssl_server *server, const drain_plan *plan, size_t *unfinished,
                               ssl_error *err)
{
    sally_ossl_begin();
    size_t ignored;
    size_t *cut = unfinished != NULL ? unfinished : &ignored;
    *cut = 0;
    if (server == NULL) {
        return refuse("server is NULL", err);
    }
    switch (enter_drain(server)) {
    case ENTRY_DRAINED: return SALLY_OK;
    case ENTRY_BUSY: return refuse("another thread drains it already", err);
    case ENTRY_INSIDE: return refuse("called by a handler, which it would wait for", err);
    case ENTRY_OURS: break;
    }
    return drain_by(server, plan, cut, err);
}

static ssl_status drain_how(ssl_server *server, drain_plan *plan, sally_how how, size_t *unfinished,
                            ssl_error *err)
{
    ssl_status status = sally_scope_begin(&plan->scope, how, SALLY_PHASE_SERVE, err);
    return status == SALLY_OK ? drain_within(server, plan, unfinished, err) : status;
}

ssl_status ssl_server_drain(ssl_server *server, int64_t soft_ms, int64_t hard_ms,
                            size_t *unfinished, ssl_error *err)
{
    drain_plan plan = {.soft_ms = soft_ms, .hard_ms = hard_ms};
    return drain_how(server, &plan, SALLY_PLAIN, unfinished, err);
}

ssl_status ssl_server_drain_enable_break(ssl_server *server, int64_t soft_ms, int64_t hard_ms,
                                         ssl_break *brk, size_t *unfinished, ssl_error *err)
{
    drain_plan plan = {.soft_ms = soft_ms, .hard_ms = hard_ms};
    return drain_how(server, &plan, SALLY_ENABLE(brk), unfinished, err);
}

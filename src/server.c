/* L7 service: a server as an object: made, started, counted, freed.
 *
 * What happens to a client is in connection.c, how it comes in in gate.c and admit.c, how all of it
 * ends in drain.c.
 */
#include "server.h"

#include <errno.h>

#include "error.h"
#include "gate.h"
#include "listener.h"
#include "mem.h"
#include "observe.h"
#include "ossl.h"
#include "server_log.h"

/* ---- life ---------------------------------------------------------------------------------- */

static ssl_status open_parts(ssl_server *server, ssl_error *err)
{
    int error = sally_wake_open(&server->empty);
    if (error == 0) {
        server->park = sally_park_open();
        error = server->park != NULL ? 0 : errno;
    }
    if (error == 0) {
        error = sally_probe_open(&server->probe, server->park, &server->metrics.queue_wait);
    }
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_SERVE, "ssl_server_new");
    }
    server->bank = sally_wake_bank_new();
    bool whole = server->bank != NULL;
    if (whole && server->options.address_connections_max != SALLY_UNLIMITED) {
        server->quota = sally_quota_new(server->options.address_connections_max);
        whole = server->quota != NULL;
    }
    return whole ? SALLY_OK : sally_fail_memory(err, SALLY_PHASE_SERVE, "ssl_server_new");
}

static void free_parts(ssl_server *server)
{
    sally_node *node;
    while ((node = sally_list_take_first(&server->gates)) != NULL) {
        sally_gate_free(SALLY_CONTAINER(node, sally_gate, node));
    }
    for (int i = 0; i < server->listener_count; i++) {
        ssl_free_listener(server->listeners[i]);
    }
    sally_probe_close(&server->probe);
    sally_park_close(server->park);
    sally_wake_bank_release(server->bank);
    sally_quota_free(server->quota);
    sally_wake_close(&server->empty);
    sally_mutex_fini(&server->lock);
    sally_free(server);
}

ssl_status ssl_server_new(const ssl_server_options *options, ssl_server **server, ssl_error *err)
{
    sally_ossl_begin();
    if (server == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_server_new: server is NULL");
    }
    *server = NULL;
    if (options == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_server_new: options is NULL");
    }
    ssl_status status = sally_server_check_options(options, err);
    if (status != SALLY_OK) {
        return status;
    }
    ssl_server *made = sally_alloc(sizeof *made);
    if (made == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_SERVE, "ssl_server_new");
    }
    made->options = *options;
    made->empty = SALLY_WAKE_CLOSED;
    sally_list_init(&made->gates);
    sally_list_init(&made->connections);
    sally_list_init(&made->idle);
    sally_mutex_init(&made->lock, SALLY_RANK_SERVER);
    status = open_parts(made, err);
    if (status != SALLY_OK) {
        free_parts(made);
        return status;
    }
    *server = made;
    return SALLY_OK;
}

void ssl_server_free(ssl_server *server)
{
    if (server == NULL) {
        return;
    }
    (void)ssl_server_drain(server, 0, 0, NULL, NULL);
    free_parts(server);
}

/* ---- listeners and start ------------------------------------------------------------------- */

static ssl_status check_add(const ssl_server *server, const ssl_listener *listener, ssl_error *err)
{
    if (server == NULL || listener == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "ssl_server_add_listener: %s is NULL",
                          server == NULL ? "server" : "listener");
    }
    if (sally_server_stage(server) != SALLY_STAGE_NEW) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "ssl_server_add_listener: the server has been started; add listeners "
                          "before ssl_server_start");
    }
    if (server->listener_count == SALLY_SERVER_LISTENERS_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_SERVE,
                          "ssl_server_add_listener: the server has %d listeners, the most it can",
                          SALLY_SERVER_LISTENERS_MAX);
    }
    return SALLY_OK;
}

/* Frees the gates that were made after `before`. */
static void free_gates_after(ssl_server *server, const sally_node *before)
{
    while (server->gates.prev != before) {
        sally_gate_free(SALLY_CONTAINER(server->gates.prev, sally_gate, node));
    }
}

/* One gate for each of its sockets, or none. */
static ssl_status add_gates(ssl_server *server, ssl_listener *listener, ssl_error *err)
{
    int fds[SALLY_LISTENER_FDS_MAX];
    int count = sally_listener_fds(listener, fds);
    const sally_front *front = sally_listener_front(listener);
    const sally_node *before = server->gates.prev;
    ssl_status status = SALLY_OK;
    for (int i = 0; i < count && status == SALLY_OK; i++) {
        status = sally_gate_new(server, front, fds[i], err);
    }
    if (status != SALLY_OK) {
        free_gates_after(server, before);
    }
    return status;
}

/* The server is a user of the listener until its gates are closed (drain.c). */
ssl_status ssl_server_add_listener(ssl_server *server, ssl_listener *listener, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = check_add(server, listener, err);
    if (status != SALLY_OK) {
        return status;
    }
    if (!sally_listener_enter(listener)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "ssl_server_add_listener: the listener is closed");
    }
    status = add_gates(server, listener, err);
    if (status == SALLY_OK) {
        server->listeners[server->listener_count++] = listener;
    } else {
        sally_listener_leave(listener);
    }
    return status;
}

static ssl_status check_start(const ssl_server *server, ssl_error *err)
{
    if (server == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_server_start: server is NULL");
    }
    if (sally_server_stage(server) != SALLY_STAGE_NEW) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "ssl_server_start: the server has been started or drained before");
    }
    if (server->listener_count == 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "ssl_server_start: no listener; call ssl_server_add_listener first");
    }
    return SALLY_OK;
}

static ssl_status open_gates(ssl_server *server, ssl_error *err)
{
    for (sally_node *n = server->gates.next; n != &server->gates; n = n->next) {
        int error = sally_gate_open(SALLY_CONTAINER(n, sally_gate, node));
        if (error != 0) {
            return sally_fail_errno(err, error, SALLY_PHASE_SERVE,
                                    "ssl_server_start: cannot watch a listening socket");
        }
    }
    return SALLY_OK;
}

/* Back to what it was before the start: no threads, no clients. */
static void undo_start(ssl_server *server)
{
    for (sally_node *n = server->gates.next; n != &server->gates; n = n->next) {
        sally_gate_withdraw(SALLY_CONTAINER(n, sally_gate, node));
    }
    sally_server_end_leftovers(server);
    sally_store_seq(&server->stage, SALLY_STAGE_NEW);
}

static void on_start_failed(void *server, const ssl_error *why)
{
    sally_observe_lack(server, why);
}

static sally_pool_setup pool_setup(ssl_server *server)
{
    const ssl_server_options *o = &server->options;
    return (sally_pool_setup){.park = server->park,
                              .bank = server->bank,
                              .running = &server->tally.workers,
                              .workers = o->workers,
                              .workers_max = o->workers_max != 0 ? o->workers_max : o->workers,
                              .idle_ms = o->worker_idle_ms,
                              .queue = {.most = o->queue_max, .age_ms = o->queue_timeout_ms},
                              .stack_bytes = o->worker_stack_bytes,
                              .start_failed = on_start_failed,
                              .owner = server,
                              .beat = {.interval_ms = server->watchdog.interval_ms,
                                       .stuck_ms = o->stuck_ms,
                                       .tell = sally_watchdog_tell,
                                       .user = &server->watchdog}};
}

static ssl_status start_serving(ssl_server *server, ssl_error *err)
{
    sally_pool_setup setup = pool_setup(server);
    ssl_status status = open_gates(server, err);
    return status == SALLY_OK ? sally_pool_start(&setup, &server->pool, err) : status;
}

ssl_status ssl_server_start(ssl_server *server, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = check_start(server, err);
    if (status == SALLY_OK && server->options.watchdog) {
        status = sally_watchdog_find("ssl_server_start", &server->watchdog, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    ssl_error why;
    sally_store_seq(&server->stage, SALLY_STAGE_SERVING);
    status = start_serving(server, &why);
    if (status != SALLY_OK) {
        undo_start(server);
        sally_observe_start_failure(server, &why);
        if (err != NULL) {
            *err = why;
        }
        return status;
    }
    sally_server_remark(server);
    return SALLY_OK;
}

/* ---- counters ------------------------------------------------------------------------------ */

ssl_status ssl_server_count(const ssl_server *server, ssl_server_counters *counters, ssl_error *err)
{
    sally_ossl_begin();
    if (server == NULL || counters == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_server_count: %s is NULL",
                          server == NULL ? "server" : "counters");
    }
    const sally_tally *tally = &server->tally;
    *counters = (ssl_server_counters){
        .accepted = sally_load_relaxed(&tally->accepted),
        .handshakes_done = sally_load_relaxed(&tally->handshakes_done),
        .handshakes_failed = sally_load_relaxed(&tally->handshakes_failed),
        .handshakes_timed_out = sally_load_relaxed(&tally->handshakes_timed_out),
        .handler_calls = sally_load_relaxed(&tally->handler_calls),
        .idle_timed_out = sally_load_relaxed(&tally->idle_timed_out),
        .output_timed_out = sally_load_relaxed(&tally->output_timed_out),
        .accept_failures = sally_load_relaxed(&tally->accept_failures),
        .taken = sally_load_relaxed(&tally->taken),
        .proxy_refused = sally_load_relaxed(&tally->proxy_refused),
        .health_checks = sally_load_relaxed(&tally->health_checks),
        .open = sally_load_relaxed(&tally->open),
        .busy = sally_load_relaxed(&tally->busy),
        .workers = sally_load_relaxed(&tally->workers),
        .worker_start_failures = sally_load_relaxed(&tally->worker_start_failures),
    };
    for (int i = 0; i < SALLY_REFUSALS; i++) {
        counters->refused[i] = sally_load_relaxed(&tally->refused[i]);
    }
    return SALLY_OK;
}

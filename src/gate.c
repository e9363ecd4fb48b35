/* L7 service: taking clients from a listening socket.
 *
 * A worker that holds a gate takes a few clients and parks the gate again; it does nothing else for
 * them, so another worker can go on at once. A gate is parked without an event while the server is
 * full, and for RETRY_MS after the system had no descriptor or memory left (W5): the clients stay in
 * the backlog, and nothing spins. A connection that ends wakes such a gate; a place that was taken
 * for a client who then was not there wakes only those that lack a place, or two gates without
 * descriptors would wake each other for ever.
 *
 * Invariant: a gate is parked with the server's lock held, and only while the server serves. So a
 * drain, which raises the stage under that lock, finds each gate either parked, and closes it, or
 * held by a worker, who will see the stage when it wants to park, and closes it.
 */
#include "gate.h"

#include <errno.h>
#include <poll.h>

#include "admit.h"
#include "connection.h"
#include "error.h"
#include "mem.h"
#include "observe.h"
#include "sock.h"
#include "wait.h"

/* Clients taken in one turn. */
#define BATCH    16
/* Clients taken from the backlog of a gate that closes; more come only as fast as they are taken. */
#define SWEEP    4096
#define RETRY_MS 100

typedef enum intake {
    INTAKE_TOOK,
    INTAKE_NONE,
    INTAKE_FULL,  /* the server's limit */
    INTAKE_FAILED /* no descriptors, no memory */
} intake;

/* The kernel gave no client. */
static intake take_none(ssl_server *server, sally_verdict verdict, int error)
{
    if (verdict == SALLY_ADMITTED) {
        sally_server_withdraw_place(server);
    }
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return INTAKE_NONE;
    }
    sally_count(&server->tally.accept_failures);
    sally_observe_accept_failure(server, error);
    return INTAKE_FAILED;
}

/* Whoever is no trusted proxy, where only those may come, or comes to a full server. */
static void turn_away(ssl_server *server, const sally_client *client, sally_admission admission)
{
    if (admission.verdict == SALLY_ADMITTED) {
        sally_count(&server->tally.proxy_refused);
        sally_observe_refusal(server, &client->remote, "proxy");
    } else {
        sally_server_tell_refusal(server, &client->remote, admission.why);
    }
    if (server->options.when_full == SALLY_FULL_RESET) {
        sally_sock_reset_when_closed(client->fd);
    }
    sally_sock_close(client->fd);
    if (admission.verdict == SALLY_ADMITTED) {
        sally_server_withdraw_place(server);
    }
}

static intake take_in(const sally_gate *gate, const sally_client *client, sally_admission admission)
{
    ssl_server *server = gate->server;
    sally_standing standing = sally_trust_judge(gate->front->trust, &client->remote);
    if (admission.verdict == SALLY_REFUSED || standing == SALLY_CLIENT_REFUSED) {
        turn_away(server, client, admission);
        return INTAKE_TOOK;
    }
    if (!sally_connection_begin(server, client)) {
        sally_count(&server->tally.handshakes_failed);
        sally_observe_turned_away(server);
        return take_none(server, admission.verdict, ENOMEM);
    }
    return INTAKE_TOOK;
}

/* Nobody has to yield unless there is somebody to yield to. */
static sally_admission admit(const sally_gate *gate)
{
    ssl_server *server = gate->server;
    sally_admission admission = sally_server_admit(server);
    bool may_yield = server->options.oldest_idle_yields && admission.verdict != SALLY_ADMITTED &&
                     admission.why == SALLY_REFUSED_CONNECTIONS;
    if (may_yield && sally_wait_is_readable(gate->fd) &&
        sally_connection_oldest_idle_yields(server)) {
        return sally_server_admit(server);
    }
    return admission;
}

static intake take_one(const sally_gate *gate)
{
    ssl_server *server = gate->server;
    sally_admission admission = admit(gate);
    if (admission.verdict == SALLY_WAITS) {
        return INTAKE_FULL;
    }
    sally_client client = {.fd = -1, .front = gate->front};
    int error = sally_sock_accept(gate->fd, &client.fd, &client.remote);
    if (error != 0) {
        return take_none(server, admission.verdict, error);
    }
    sally_count(&server->tally.accepted);
    return take_in(gate, &client, admission);
}

static intake take_some(const sally_gate *gate, int most)
{
    intake last = INTAKE_TOOK;
    for (int i = 0; i < most && last == INTAKE_TOOK; i++) {
        last = take_one(gate);
    }
    return last;
}

/* ---- parking ------------------------------------------------------------------------------- */

/* Parking without an event cannot fail, so a gate that cannot be armed is tried again. */
static void park_locked(sally_gate *gate, intake last)
{
    sally_park *park = gate->server->park;
    gate->lack = SALLY_LACKS_NOTHING;
    if (last == INTAKE_FULL && sally_server_is_full_locked(gate->server)) {
        gate->lack = SALLY_LACKS_PLACE;
        (void)sally_park_put(park, gate->task, 0, SALLY_NEVER);
        return;
    }
    if (last != INTAKE_FAILED && sally_park_put(park, gate->task, POLLIN, SALLY_NEVER) == 0) {
        return;
    }
    gate->lack = SALLY_LACKS_RESOURCE;
    (void)sally_park_put(park, gate->task, 0, sally_deadline_after_ms(RETRY_MS));
}

static void shut(sally_gate *gate, bool sweep)
{
    ssl_server *server = gate->server;
    if (sweep) {
        (void)take_some(gate, SWEEP);
    }
    sally_mutex_lock(&server->lock);
    sally_task *task = gate->task;
    gate->task = NULL;
    sally_mutex_unlock(&server->lock);

    sally_task_free(server->park, task);

    sally_mutex_lock(&server->lock);
    server->gates_open--;
    sally_server_tell_empty_locked(server);
    sally_mutex_unlock(&server->lock);
}

/* Also when its retry is due, on the timekeeper: taking clients does not block. */
static void run(sally_task *task, const sally_turn *turn)
{
    (void)turn;
    sally_gate *gate = sally_task_owner(task);
    ssl_server *server = gate->server;
    intake last = take_some(gate, BATCH);
    sally_mutex_lock(&server->lock);
    bool serving = sally_server_stage(server) == SALLY_STAGE_SERVING;
    if (serving) {
        park_locked(gate, last);
    }
    sally_mutex_unlock(&server->lock);
    if (!serving) {
        shut(gate, true);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

ssl_status sally_gate_new(ssl_server *server, const sally_front *front, int fd, ssl_error *err)
{
    sally_gate *gate = sally_alloc(sizeof *gate);
    sally_task *task = gate != NULL ? sally_task_new(server->park, fd, run, gate) : NULL;
    if (task == NULL) {
        sally_free(gate);
        return sally_fail_memory(err, SALLY_PHASE_SERVE, "ssl_server_add_listener");
    }
    *gate = (sally_gate){.server = server, .front = front, .fd = fd, .task = task};
    sally_mutex_lock(&server->lock);
    sally_list_append(&server->gates, &gate->node);
    server->gates_open++;
    sally_mutex_unlock(&server->lock);
    return SALLY_OK;
}

void sally_gate_discard(sally_gate *gate)
{
    if (gate->task != NULL) {
        shut(gate, false);
    }
}

void sally_gate_free(sally_gate *gate)
{
    sally_gate_discard(gate);
    sally_list_remove(&gate->node);
    sally_free(gate);
}

int sally_gate_open(sally_gate *gate)
{
    return sally_park_put(gate->server->park, gate->task, POLLIN, SALLY_NEVER);
}

void sally_gate_withdraw(sally_gate *gate)
{
    (void)sally_park_claim(gate->server->park, gate->task);
}

void sally_gate_retry_locked(sally_gate *gate, sally_gate_lack most)
{
    if (gate->task != NULL && gate->lack != SALLY_LACKS_NOTHING && gate->lack <= most) {
        sally_park_rearm(gate->server->park, gate->task, POLLIN);
    }
}

void sally_gate_close(sally_gate *gate, bool sweep)
{
    ssl_server *server = gate->server;
    sally_mutex_lock(&server->lock);
    bool mine = gate->task != NULL && sally_park_claim(server->park, gate->task);
    sally_mutex_unlock(&server->lock);
    if (mine) {
        shut(gate, sweep);
    }
}

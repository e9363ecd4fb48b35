/* L7 service: one client of a server.
 *
 * Where a proxy speaks for the client, the first bytes are its header (proxied.h): NEW lasts until that is
 * there, and the client's own first byte.
 *
 * A connection is a task of the park: at any time it is parked, or one thread holds it. Its life:
 *
 *     NEW --first bytes--> SHAKING --done--> SHAKEN: parked <--> handler (KEEP)
 *      |                      |                 |                  |
 *      +-- timeout, peer gone +-- failure       +-- idle, drain    +-- DONE
 *
 * Only the holder touches it, so there is no lock of its own. A drain alone looks at a connection it
 * does not hold: under the server's lock it reads `conn`, `brk` and `running`; a connection leaves the
 * server's list, under the lock, before these go.
 *
 * A worker is given away for a handler only when there is plaintext or an end to read: bytes are
 * looked at first, so half a record costs no worker (W2, W3). While no other worker is free, the
 * handler of a connection that always has more to read is called ROUNDS times in a row at most; then
 * others have their turn.
 */
#include "connection.h"

#include <errno.h>
#include <poll.h>

#include "admit.h"
#include "error.h"
#include "linger.h"
#include "mem.h"
#include "observe.h"
#include "sock.h"
#include "wait.h"

#define ROUNDS     16
/* A peer that answers within this time is on this machine, or next to it. */
#define BRISK_NS   200000
/* An answer found within this time was there when poll was called. */
#define INSTANT_NS 4000

/* ---- the end ------------------------------------------------------------------------------- */

static void delist(ssl_connection *c)
{
    sally_mutex_lock(&c->server->lock);
    sally_list_remove(&c->node);
    sally_list_remove(&c->idle_node);
    sally_mutex_unlock(&c->server->lock);
}

/* No goodbye in the middle of what a handler writes: the peer must not take a part for the whole (P3). */
static void hang_up(ssl_connection *c)
{
    if (c->conn == NULL) {
        sally_sock_close(c->fd);
        return;
    }
    if (c->progress == SALLY_CLIENT_SHAKEN && !c->writing) {
        sally_conn_hang_up(c->conn);
    }
    sally_conn_drop(c->conn);
}

static void free_connection(ssl_connection *c)
{
    ssl_break_release(c->brk);
    sally_connection_drop_user(c);
    sally_quota_give(c->server->quota, c->resident);
    sally_proxied_free(c->proxied);
    sally_addr_kept_fini(&c->remote);
    sally_free(c);
}

/* The fd leaves the park before it is closed, and the place is free only after that. */
void sally_connection_end(ssl_connection *c)
{
    ssl_server *server = c->server;
    bool shaken = c->progress == SALLY_CLIENT_SHAKEN;
    delist(c);
    sally_task_free(server->park, c->task);
    hang_up(c);
    free_connection(c);
    sally_server_vacate(server, shaken);
}

/* A client whose handshake is done gets a goodbye. */
void sally_connection_refuse(ssl_connection *c, ssl_refusal why)
{
    sally_addr remote;
    sally_addr_recall(&c->remote, &remote);
    sally_server_tell_refusal(c->server, &remote, why);
    if (c->conn == NULL && c->server->options.when_full == SALLY_FULL_RESET) {
        sally_sock_reset_when_closed(c->fd);
    }
    sally_connection_end(c);
}

static void fail_handshake(ssl_connection *c, ssl_status why, const ssl_error *err)
{
    sally_tally *tally = &c->server->tally;
    sally_count(why == SALLY_TIMEOUT ? &tally->handshakes_timed_out : &tally->handshakes_failed);
    sally_observe_unshaken(c, why, err);
    sally_connection_end(c);
}

/* Ends it before the handshake was done, or after. */
void sally_connection_give_up(ssl_connection *c, ssl_status why)
{
    if (c->progress == SALLY_CLIENT_SHAKEN) {
        sally_connection_end(c);
    } else {
        fail_handshake(c, why, NULL);
    }
}

/* ---- serving ------------------------------------------------------------------------------- */

/* A drain that is past its soft deadline has sent its breaks to the tokens it found. */
static void publish_token(ssl_connection *c, ssl_break *brk)
{
    ssl_server *server = c->server;
    sally_conn_set_owner(c->conn, brk);
    sally_mutex_lock(&server->lock);
    c->brk = brk;
    bool late = sally_server_stage(server) >= SALLY_STAGE_BREAKING;
    sally_mutex_unlock(&server->lock);
    if (late) {
        (void)ssl_break_send(brk, SALLY_REASON_DRAIN);
    }
}

/* The token is made for the first handler: parked connections that never spoke have none. */
static bool has_token(ssl_connection *c)
{
    ssl_break *brk;
    if (c->brk == NULL && sally_break_new_owner(c->server->bank, &brk, NULL) == SALLY_OK) {
        publish_token(c, brk);
    }
    return c->brk != NULL;
}

/* `running` is stored before the stage is read, and a drain stores the stage before it reads
 * `running`: so either the handler is not called, or the drain takes its ports away. */
static ssl_served run_handler(ssl_connection *c)
{
    const ssl_server_options *options = &c->server->options;
    ssl_ports ports = sally_conn_ports(c->conn);
    ssl_served served = SALLY_DONE;
    sally_store_seq(&c->running, 1);
    if (sally_server_stage(c->server) < SALLY_STAGE_BREAKING) {
        sally_count(&c->server->tally.handler_calls);
        int64_t called_ns = sally_observe_call(c);
        served = options->handler(c, ports.in, ports.out, options->user);
        c->writing = served == SALLY_KEEP_WRITING;
        c->active_ns = sally_observe_return(c, called_ns);
        sally_shield_reset();
    }
    sally_store_seq(&c->running, 0);
    return served;
}

/* The ports are somebody else's now, who may be done with them already. */
static void hand_over(ssl_connection *c)
{
    ssl_server *server = c->server;
    delist(c);
    sally_task_free(server->park, c->task);
    sally_conn_let_go(c->conn);
    free_connection(c);
    sally_count(&server->tally.taken);
    sally_server_vacate(server, true);
}

static ssl_served call_handler(ssl_connection *c, const sally_worker *worker)
{
    sally_tally *tally = &c->server->tally;
    sally_count(&tally->busy);
    sally_break_lend(c->brk, worker->wake);
    ssl_served served = run_handler(c);
    sally_break_lend(c->brk, NULL);
    (void)sally_add_relaxed(&tally->busy, UINT64_MAX);
    return served;
}

/* Waits on the spot for a brisk peer, while another worker is free and nobody drains. */
static bool dwell(ssl_connection *c, const sally_worker *worker, sally_want *want)
{
    bool ready = sally_worker_dwell_begin(worker) &&
                 sally_server_stage(c->server) == SALLY_STAGE_SERVING &&
                 sally_wait_here(sally_task_fd(c->task), worker->wake, SALLY_DWELL_MS);
    sally_worker_dwell_end(worker);
    return ready && sally_conn_look(c->conn, want);
}

/* What the peer sends next is sought on the spot before the connection is parked, as long as that has
 * paid: parking costs two system calls, and often the next event wakes another thread.
 *   brisk    it answered within BRISK_NS: wait for it in poll
 *   instant  ... and before poll was called: look into the socket first
 * One that looking has made write does not dwell: it has to wait for more than the peer. */
static bool has_more(ssl_connection *c, const sally_worker *worker, sally_left *left)
{
    if (left->found || (c->instant && sally_conn_look(c->conn, &left->want))) {
        return true;
    }
    c->instant = false;
    if (!c->brisk || left->want.send) {
        return false;
    }
    bool found = dwell(c, worker, &left->want);
    int64_t took_ns = sally_now_ns() - c->active_ns; /* since the handler was done */
    c->brisk = found && took_ns < BRISK_NS;
    c->instant = found && took_ns < INSTANT_NS;
    return found;
}

static bool may_go_on(const sally_worker *worker, int round)
{
    return round < ROUNDS || sally_pool_has_idle(worker->pool);
}

static bool may_be_kept(ssl_connection *c, ssl_served served, sally_left *left)
{
    switch (served) {
    case SALLY_KEEP: return sally_conn_is_open(c->conn, left);
    case SALLY_KEEP_WRITING: return sally_conn_can_write(c->conn, &left->unsent);
    default: return false;
    }
}

static void serve(ssl_connection *c, const sally_worker *worker)
{
    bool alive = has_token(c);
    for (int round = 0; alive && may_go_on(worker, round); round++) {
        ssl_served served = call_handler(c, worker);
        if (served == SALLY_TAKEN) {
            hand_over(c);
            return;
        }
        sally_left left = {.unsent = false};
        alive = may_be_kept(c, served, &left);
        if (alive && left.unsent) {
            sally_connection_begin_sending(c);
            return;
        }
        if (alive && !c->writing && !has_more(c, worker, &left)) {
            sally_connection_begin_idling(c);
            sally_connection_wait_for_peer(c, left.want, c->deadline);
            return;
        }
    }
    if (alive) {
        sally_connection_wait_for_worker(c);
    } else {
        sally_connection_end(c);
    }
}

static void serve_if_ready(ssl_connection *c, const sally_worker *worker)
{
    sally_want want;
    if (sally_conn_look(c->conn, &want)) {
        serve(c, worker);
    } else {
        sally_connection_wait_for_peer(c, want, c->deadline);
    }
}

/* What is unsent goes out before anything is read; the handler that has more to write is called then. */
static void resume(ssl_connection *c, const sally_worker *worker)
{
    if (c->unsent && sally_conn_send_rest(c->conn)) {
        sally_connection_wait_to_send(c);
        return;
    }
    if (c->unsent) {
        c->unsent = false;
        sally_connection_begin_idling(c);
    }
    if (c->writing) {
        serve(c, worker);
    } else {
        serve_if_ready(c, worker);
    }
}

/* ---- the handshake ------------------------------------------------------------------------- */

/* From here on the transport owns the fd, and keeps it open until the park has let go of it. */
static bool make_conn(ssl_connection *c, ssl_error *err)
{
    sally_addr remote;
    sally_addr_recall(&c->remote, &remote);
    sally_conn_setup setup = {.engine = {.context = c->front->context,
                                         .registry = c->front->registry,
                                         .call = "ssl_server",
                                         .traffic = sally_observe_traffic(c)},
                              .remote = &remote,
                              .proxied = c->proxied,
                              .hold = true};
    sally_transport *transport = sally_transport_sock_new(c->fd, sally_linger_retire);
    if (transport == NULL) {
        (void)sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, "ssl_server");
        return false;
    }
    sally_transport_sock_set_linger(transport, c->server->options.close_timeout_ms);
    c->fd = -1;
    sally_conn *conn;
    if (sally_conn_new(&setup, transport, &conn, err) != SALLY_OK) {
        sally_buf nothing = {0};
        transport->ops->finish(transport, &nothing, false);
        return false;
    }
    c->proxied = NULL;
    sally_mutex_lock(&c->server->lock);
    c->conn = conn;
    sally_mutex_unlock(&c->server->lock);
    c->progress = SALLY_CLIENT_SHAKING;
    sally_observe_shaking(c);
    return true;
}

/* The client's first request often comes with the end of its handshake, so a worker looks at once. */
static void settle(ssl_connection *c, const sally_worker *worker)
{
    const ssl_server_options *options = &c->server->options;
    ssl_ports ports = sally_conn_ports(c->conn);
    c->progress = SALLY_CLIENT_SHAKEN;
    sally_server_note_shaken(c->server);
    sally_count(&c->server->tally.handshakes_done); /* its place among the handshakes is free */
    sally_observe_shaken(c);
    sally_connection_begin_idling(c);
    (void)ssl_port_set_timeout(ports.in, options->read_timeout_ms, NULL);
    (void)ssl_port_set_timeout(ports.out, options->write_timeout_ms, NULL);
    if (options->handler_first) {
        serve(c, worker);
    } else {
        serve_if_ready(c, worker);
    }
}

static void shake(ssl_connection *c, const sally_worker *worker)
{
    sally_want want;
    ssl_error err;
    switch (sally_conn_handshake_step(c->conn, &want, &err)) {
    case SALLY_STEP_DONE: settle(c, worker); break;
    case SALLY_STEP_FAILED: fail_handshake(c, err.status, &err); break;
    case SALLY_STEP_AGAIN:
    case SALLY_STEP_ASK:
    case SALLY_STEP_WANT: sally_connection_wait_for_peer(c, want, c->deadline); break;
    }
}

/* The client's address is known. False: it has clients enough, and the connection has ended. */
static bool enter_by_address(ssl_connection *c, const sally_addr *remote)
{
    int error = sally_addr_keep(&c->remote, remote)
                    ? sally_quota_take(c->server->quota, remote, &c->resident)
                    : ENOMEM;
    switch (error) {
    case 0: return true;
    case EDQUOT: sally_connection_refuse(c, SALLY_REFUSED_ADDRESS); break;
    default: fail_handshake(c, SALLY_MEMORY, NULL); break;
    }
    return false;
}

/* Whether it is known who the client is; if not, the connection is parked, or has ended. */
static bool knows_client(ssl_connection *c)
{
    if (c->proxied == NULL) {
        return true;
    }
    ssl_error err;
    sally_telling telling = sally_proxied_step(c->proxied, c->fd, "ssl_server", &err);
    switch (telling) {
    case SALLY_TELLS_CLIENT: return enter_by_address(c, sally_proxied_client(c->proxied));
    case SALLY_TELLS_MORE:
        sally_connection_wait_for_peer(c, (sally_want){.receive = true}, c->deadline);
        break;
    case SALLY_TELLS_NOBODY:
        sally_count(&c->server->tally.health_checks);
        sally_connection_end(c);
        break;
    case SALLY_TELLS_NOTHING: fail_handshake(c, err.status, &err); break;
    }
    return false;
}

/* An event without input is a drain's call to hurry. */
static void greet(ssl_connection *c, const sally_turn *turn)
{
    ssl_error err;
    if (turn->events == POLLOUT) {
        sally_connection_wait_for_peer(c, (sally_want){.receive = true}, c->deadline);
        return;
    }
    if (!knows_client(c)) {
        return;
    }
    if (make_conn(c, &err)) {
        shake(c, turn->worker);
    } else {
        fail_handshake(c, err.status, &err);
    }
}

/* ---- turns --------------------------------------------------------------------------------- */

/* The peer did not take what was written; or a drain hurries, and it has its time still. */
static void expire_sending(ssl_connection *c)
{
    if (!sally_deadline_passed(c->deadline)) {
        sally_connection_wait_to_send(c);
        return;
    }
    sally_count(&c->server->tally.output_timed_out);
    sally_connection_end(c);
}

/* One last look: what came at the last moment is still served, by a worker. */
static void expire_idle(ssl_connection *c)
{
    sally_stage stage = sally_server_stage(c->server);
    sally_want want;
    if (stage < SALLY_STAGE_BREAKING && sally_conn_look(c->conn, &want)) {
        sally_connection_wait_for_worker(c);
        return;
    }
    if (stage == SALLY_STAGE_SERVING) {
        sally_count(&c->server->tally.idle_timed_out);
        sally_observe_idle(c);
    }
    sally_connection_end(c);
}

static void expire(ssl_connection *c)
{
    if (c->progress == SALLY_CLIENT_SHAKEN && c->unsent) {
        expire_sending(c);
    } else if (c->progress == SALLY_CLIENT_SHAKEN) {
        expire_idle(c);
    } else if (sally_deadline_passed(c->deadline)) {
        fail_handshake(c, SALLY_TIMEOUT, NULL);
    } else {
        fail_handshake(c, SALLY_CLOSED, NULL); /* a drain hurries */
    }
}

/* No worker was there in time. A drain serves all that are there. */
static void give_up_waiting(ssl_connection *c, sally_overdue overdue)
{
    if (sally_server_stage(c->server) == SALLY_STAGE_SERVING) {
        sally_connection_refuse(c, overdue == SALLY_TOO_OLD ? SALLY_REFUSED_QUEUE_AGE
                                                            : SALLY_REFUSED_QUEUE_LENGTH);
    } else {
        sally_connection_wait_for_worker(c);
    }
}

static void run(sally_task *task, const sally_turn *turn)
{
    ssl_connection *c = sally_task_owner(task);
    sally_connection_delist_as_idle(c);
    if (turn->worker == NULL) {
        if (turn->overdue != SALLY_IN_TIME) {
            give_up_waiting(c, turn->overdue);
        } else {
            expire(c);
        }
        return;
    }
    if ((turn->events & POLLIN) != 0) {
        int64_t now_ns = sally_now_ns();
        c->brisk = now_ns - c->active_ns < BRISK_NS;
        c->active_ns = now_ns;
    }
    switch (c->progress) {
    case SALLY_CLIENT_NEW: greet(c, turn); break;
    case SALLY_CLIENT_SHAKING: shake(c, turn->worker); break;
    case SALLY_CLIENT_SHAKEN: resume(c, turn->worker); break;
    }
}

/* ---- the beginning ------------------------------------------------------------------------- */

static ssl_connection *new_connection(ssl_server *server, const sally_client *client)
{
    sally_proxied *proxied = NULL;
    const sally_trust *trust = client->front->trust;
    if (sally_trust_judge(trust, &client->remote) == SALLY_CLIENT_PROXY) {
        proxied = sally_proxied_new(&client->remote, sally_trust_keeps_tlvs(trust));
        if (proxied == NULL) {
            return NULL;
        }
    }
    ssl_connection *c = sally_alloc(sizeof *c);
    /* Who is at the socket is told of until a proxy has said who the client is. */
    bool kept = c != NULL && sally_addr_keep(&c->remote, &client->remote);
    sally_task *task = kept ? sally_task_new(server->park, client->fd, run, c) : NULL;
    if (task == NULL) {
        if (kept) {
            sally_addr_kept_fini(&c->remote);
        }
        sally_proxied_free(proxied);
        sally_free(c);
        return NULL;
    }
    c->server = server;
    c->task = task;
    c->front = client->front;
    c->fd = client->fd;
    c->proxied = proxied;
    sally_list_init(&c->node);
    sally_list_init(&c->idle_node);
    sally_task_may_be_overdue(task);
    c->active_ns = sally_now_ns();
    c->deadline = sally_deadline_after_ms(server->options.handshake_timeout_ms);
    return c;
}

bool sally_connection_begin(ssl_server *server, const sally_client *client)
{
    ssl_connection *c = new_connection(server, client);
    if (c == NULL) {
        sally_sock_close(client->fd);
        return false;
    }
    sally_mutex_lock(&server->lock);
    sally_list_append(&server->connections, &c->node);
    sally_count(&server->tally.open);
    sally_mutex_unlock(&server->lock);
    if (c->proxied != NULL || enter_by_address(c, &client->remote)) {
        sally_connection_wait_for_first_bytes(c);
    }
    return true;
}

/* L7 service: how a connection waits: for its peer, for a worker, for its output to go.
 *
 * Each of these ends by parking the connection: it may be another thread's when the call returns. Where
 * it cannot be parked, or a drain is in progress and has no use for it, it ends instead.
 */
#include "connection.h"

#include <poll.h>

#include "admit.h"

/* A peer heard within this time is in the middle of something, and a drain waits for it. */
#define QUIET_NS (SALLY_DRAIN_QUIET_MS * INT64_C(1000000))

static short events_of(sally_want want)
{
    return (short)((want.receive ? POLLIN : 0) | (want.send ? POLLOUT : 0));
}

static void put(ssl_connection *c, short events, ssl_deadline deadline)
{
    if (sally_park_put(c->server->park, c->task, events, deadline) != 0) {
        sally_connection_give_up(c, SALLY_SYSTEM);
    }
}

static bool may_stay(const ssl_connection *c)
{
    sally_stage stage = sally_server_stage(c->server);
    return stage < SALLY_STAGE_DRAINING ||
           (stage == SALLY_STAGE_DRAINING && sally_now_ns() - c->active_ns < QUIET_NS);
}

/* Where idle ones may have to yield, each is in the list from before it is parked until it is held. */
static bool is_listed_when_idle(const ssl_connection *c)
{
    return c->server->options.oldest_idle_yields && c->progress == SALLY_CLIENT_SHAKEN;
}

static void list_as_idle(ssl_connection *c)
{
    if (is_listed_when_idle(c)) {
        sally_mutex_lock(&c->server->lock);
        sally_list_append(&c->server->idle, &c->idle_node);
        sally_server_note_idle_locked(c->server);
        sally_mutex_unlock(&c->server->lock);
    }
}

void sally_connection_delist_as_idle(ssl_connection *c)
{
    if (is_listed_when_idle(c)) {
        sally_mutex_lock(&c->server->lock);
        sally_list_remove(&c->idle_node);
        sally_mutex_unlock(&c->server->lock);
    }
}

/* Waits for the peer; where a drain finds the peer quiet, it ends instead. */
void sally_connection_wait_for_peer(ssl_connection *c, sally_want want, ssl_deadline deadline)
{
    if (may_stay(c)) {
        if (c->conn != NULL) {
            sally_conn_rest(c->conn);
        }
        list_as_idle(c);
        put(c, events_of(want), deadline);
    } else {
        sally_connection_give_up(c, SALLY_CLOSED);
    }
}

void sally_connection_begin_idling(ssl_connection *c)
{
    c->deadline = sally_deadline_after_ms(c->server->options.idle_timeout_ms);
}

/* There is something to serve already, so any worker may go on at once: a socket can be written to,
 * or the peer that fills it will make room. */
void sally_connection_wait_for_worker(ssl_connection *c)
{
    sally_connection_begin_idling(c);
    put(c, POLLIN | POLLOUT, c->deadline);
}

/* Until the peer has taken what is written. A drain lets it, up to its soft deadline. */
void sally_connection_wait_to_send(ssl_connection *c)
{
    if (sally_server_stage(c->server) < SALLY_STAGE_BREAKING) {
        sally_conn_rest(c->conn);
        put(c, POLLOUT, c->deadline);
    } else {
        sally_connection_end(c);
    }
}

void sally_connection_begin_sending(ssl_connection *c)
{
    c->unsent = true;
    c->deadline = sally_deadline_after_ms(c->server->options.write_timeout_ms);
    sally_connection_wait_to_send(c);
}

void sally_connection_wait_for_first_bytes(ssl_connection *c)
{
    put(c, POLLIN, c->deadline);
}

bool sally_connection_oldest_idle_yields(ssl_server *server)
{
    ssl_connection *oldest = NULL;
    sally_mutex_lock(&server->lock);
    for (sally_node *n = server->idle.next; n != &server->idle && oldest == NULL; n = n->next) {
        ssl_connection *c = SALLY_CONTAINER(n, ssl_connection, idle_node);
        oldest = sally_park_claim(server->park, c->task) ? c : NULL;
    }
    sally_mutex_unlock(&server->lock);
    if (oldest != NULL) {
        sally_connection_refuse(oldest, SALLY_REFUSED_IDLE);
    }
    return oldest != NULL;
}

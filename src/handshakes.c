/* L6 ends: the half-done handshakes of a listener (L2, B6); the states are in handshakes.h.
 *
 * Invariants:
 *   - an fd is in the pollset exactly while its entry is in `running`, and is taken out of it before
 *     anyone can close it;
 *   - events are taken from the pollset under the listener's lock, and the entry is marked as held in
 *     the same section: so whoever finds an entry waiting, under the lock, may free it;
 *   - a handshake step, which is cryptography, runs without the lock.
 *
 * Locks: the listener's (SALLY_RANK_LISTENER), held by the callers of all ..._locked functions.
 */
#include "handshakes.h"

#include <errno.h>

#include "error.h"
#include "linger.h"
#include "mem.h"
#include "sock.h"

static const char call[] = "ssl_accept";

int sally_handshakes_init(sally_handshakes *set)
{
    sally_list_init(&set->running);
    sally_list_init(&set->finished);
    set->count = 0;
    set->pollset = sally_pollset_open();
    return set->pollset != NULL ? 0 : errno;
}

void sally_handshakes_fini(sally_handshakes *set)
{
    sally_pollset_close(set->pollset);
    set->pollset = NULL;
}

/* ---- entries ------------------------------------------------------------------------------- */

void sally_handshake_drop(sally_handshake *h)
{
    sally_buf nothing = {0};
    sally_proxied_free(h->proxied);
    if (h->conn != NULL) {
        sally_conn_drop(h->conn);
    } else if (h->transport != NULL) {
        h->transport->ops->finish(h->transport, &nothing, false);
    } else if (h->fd >= 0) {
        sally_sock_close(h->fd);
    }
    sally_free(h);
}

ssl_status sally_handshake_finish(sally_handshake *h, ssl_ports *ports, ssl_error *err)
{
    if (h->failed) {
        ssl_status status = h->error.status;
        if (err != NULL) {
            *err = h->error;
        }
        sally_handshake_drop(h);
        return status;
    }
    *ports = sally_conn_ports(h->conn);
    sally_free(h);
    sally_error_none(err);
    return SALLY_OK;
}

void sally_handshake_fail(sally_handshake *h, int sys_errno, const char *what)
{
    char peer[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&h->remote, peer, sizeof peer);
    h->failed = true;
    sally_fail_errno(&h->error, sys_errno, SALLY_PHASE_HANDSHAKE, "%s: %s: %s", call, peer, what);
}

void sally_handshake_fail_closed(sally_handshake *h)
{
    h->failed = true;
    sally_fail(&h->error, SALLY_CLOSED, SALLY_PHASE_ACCEPT, "%s: the listener has been closed",
               call);
}

static const char *what_is_missing(const sally_handshake *h)
{
    if (h->conn != NULL) {
        return "";
    }
    return h->proxied != NULL && !h->proxied->told ? "; no whole PROXY header came"
                                                   : "; not a byte came";
}

static void fail_late(sally_handshake *h)
{
    char peer[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&h->remote, peer, sizeof peer);
    h->failed = true;
    sally_fail(&h->error, SALLY_TIMEOUT, SALLY_PHASE_HANDSHAKE,
               "%s: %s: the TLS handshake took longer than the listener's handshake timeout%s",
               call, peer, what_is_missing(h));
}

static void fail_refused(sally_handshake *h)
{
    char peer[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&h->remote, peer, sizeof peer);
    h->failed = true;
    sally_fail(&h->error, SALLY_PROTOCOL, SALLY_PHASE_HANDSHAKE,
               "%s: %s: refused: it is not among the trusted proxies (options.proxy_trusted)", call,
               peer);
}

/* ---- in and out of the set ----------------------------------------------------------------- */

static int add_locked(sally_handshakes *set, sally_handshake *h)
{
    int error = sally_pollset_add(set->pollset, h->fd, POLLIN, h);
    if (error == 0) {
        sally_list_append(&set->running, &h->node);
        set->count++;
    }
    return error;
}

/* 0, or ENOMEM. */
static int receive_locked(sally_handshakes *set, sally_handshake *h, const sally_trust *trust)
{
    switch (sally_trust_judge(trust, &h->remote)) {
    case SALLY_CLIENT_REFUSED:
        fail_refused(h);
        sally_handshakes_queue_locked(set, h);
        return 0;
    case SALLY_CLIENT_PROXY:
        h->proxied = sally_proxied_new(&h->remote, sally_trust_keeps_tlvs(trust));
        return h->proxied != NULL ? add_locked(set, h) : ENOMEM;
    case SALLY_CLIENT_DIRECT: break;
    }
    return add_locked(set, h);
}

/* The entry is there before the client is taken, so that a lack of memory loses nobody. */
int sally_handshakes_accept_locked(sally_handshakes *set, int listen_fd, const sally_trust *trust,
                                   int64_t timeout_ms)
{
    sally_handshake *h = sally_alloc(sizeof *h);
    if (h == NULL) {
        return ENOMEM;
    }
    sally_list_init(&h->node);
    int error = sally_sock_accept(listen_fd, &h->fd, &h->remote);
    if (error == 0) {
        h->deadline = sally_deadline_after_ms(timeout_ms);
        error = receive_locked(set, h, trust);
    }
    if (error != 0) {
        sally_handshake_drop(h);
    }
    return error;
}

void sally_handshakes_take_out_locked(sally_handshakes *set, sally_handshake *h)
{
    sally_pollset_remove(set->pollset, h->fd);
    sally_list_remove(&h->node);
    set->count--;
}

void sally_handshakes_queue_locked(sally_handshakes *set, sally_handshake *h)
{
    sally_list_append(&set->finished, &h->node);
    set->count++;
}

static sally_handshake *first_waiting_locked(const sally_handshakes *set)
{
    for (sally_node *node = set->running.next; node != &set->running; node = node->next) {
        sally_handshake *h = SALLY_CONTAINER(node, sally_handshake, node);
        if (!h->held) {
            return h;
        }
    }
    return NULL;
}

static sally_handshake *take_late_locked(sally_handshakes *set)
{
    sally_handshake *h = first_waiting_locked(set);
    if (h == NULL || !sally_deadline_passed(h->deadline)) {
        return NULL;
    }
    sally_handshakes_take_out_locked(set, h);
    fail_late(h);
    return h;
}

void sally_handshakes_queue_late_locked(sally_handshakes *set)
{
    sally_handshake *h;
    while ((h = take_late_locked(set)) != NULL) {
        sally_handshakes_queue_locked(set, h);
    }
}

sally_handshake *sally_handshakes_take_finished_locked(sally_handshakes *set)
{
    sally_node *node = sally_list_take_first(&set->finished);
    if (node == NULL) {
        return take_late_locked(set);
    }
    set->count--;
    return SALLY_CONTAINER(node, sally_handshake, node);
}

void sally_handshakes_drop_locked(sally_handshakes *set)
{
    sally_handshake *h;
    while ((h = first_waiting_locked(set)) != NULL) {
        sally_handshakes_take_out_locked(set, h);
        sally_handshake_drop(h);
    }
    sally_node *node;
    while ((node = sally_list_take_first(&set->finished)) != NULL) {
        set->count--;
        sally_handshake_drop(SALLY_CONTAINER(node, sally_handshake, node));
    }
}

/* ---- waiting and stepping ------------------------------------------------------------------ */

int sally_handshakes_watch_locked(sally_handshakes *set, struct pollfd *fds, int most)
{
    return sally_pollset_watch(set->pollset, fds, most);
}

ssl_deadline sally_handshakes_deadline_locked(const sally_handshakes *set)
{
    const sally_handshake *h = first_waiting_locked(set);
    return h != NULL ? h->deadline : SALLY_NEVER;
}

sally_handshake *sally_handshakes_take_ready_locked(sally_handshakes *set)
{
    sally_pollset_event event;
    if (sally_pollset_take(set->pollset, &event, 1) == 0) {
        return NULL;
    }
    sally_handshake *h = event.item;
    h->held = true;
    return h;
}

/* Who it is. DONE: known, and the handshake can begin. */
static sally_step learn_client(sally_handshake *h, sally_want *want)
{
    sally_telling telling = sally_proxied_step(h->proxied, h->fd, call, &h->error);
    h->remote = *sally_proxied_client(h->proxied);
    switch (telling) {
    case SALLY_TELLS_MORE: want->receive = true; return SALLY_STEP_WANT;
    case SALLY_TELLS_CLIENT: return SALLY_STEP_DONE;
    case SALLY_TELLS_NOBODY: h->nobody = true; break;
    case SALLY_TELLS_NOTHING: break;
    }
    return SALLY_STEP_FAILED;
}

/* A failure leaves the fd open: it is still in the pollset. */
static ssl_status make_conn(sally_handshake *h, sally_front front)
{
    h->transport = sally_transport_sock_new(h->fd, sally_linger_retire);
    if (h->transport == NULL) {
        return sally_fail_memory(&h->error, SALLY_PHASE_HANDSHAKE, call);
    }
    sally_conn_setup setup = {
        .engine = {.context = front.context, .registry = front.registry, .call = call},
        .remote = &h->remote,
        .proxied = h->proxied};
    ssl_status status = sally_conn_new(&setup, h->transport, &h->conn, &h->error);
    if (status == SALLY_OK) {
        h->transport = NULL;
        h->proxied = NULL;
    }
    return status;
}

static sally_step step_on(sally_handshake *h, sally_front front, sally_want *want)
{
    sally_step step = SALLY_STEP_DONE;
    if (h->conn == NULL && h->proxied != NULL) {
        step = learn_client(h, want);
    }
    if (step == SALLY_STEP_DONE && h->conn == NULL && make_conn(h, front) != SALLY_OK) {
        step = SALLY_STEP_FAILED;
    }
    return step == SALLY_STEP_DONE ? sally_conn_handshake_step(h->conn, want, &h->error) : step;
}

sally_step sally_handshake_step(sally_handshake *h, sally_front front, sally_want *want)
{
    sally_step step = step_on(h, front, want);
    h->failed = step == SALLY_STEP_FAILED;
    return step;
}

int sally_handshakes_put_back_locked(sally_handshakes *set, sally_handshake *h, sally_want want)
{
    short events = (short)((want.receive ? POLLIN : 0) | (want.send ? POLLOUT : 0));
    int error = sally_pollset_arm(set->pollset, h->fd, events, h);
    h->held = error != 0;
    return error;
}

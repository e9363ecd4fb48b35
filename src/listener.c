/* L6 ends: accepting, and the life of a listener (L1, L2, B6, B7).
 *
 * A round of ssl_accept: look for a break, then for a finished handshake, sleep on everything, carry
 * one ready handshake on by one step, take waiting clients into the set. One step a round: so a break
 * sent before the step that finishes a handshake is always seen first, and clients that send a byte
 * at a time keep nobody in the backlog. What a round leaves behind is in the set, for any later call.
 *
 * Locks: lock, which is never held while waiting or during a handshake step. What it guards is in
 * listener.h. Under it come the pollset's and, when handshakes are dropped, the connection's.
 */
#include "listener.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "mem.h"
#include "ossl.h"
#include "sock.h"

/* Clients taken from one backlog in one round. */
#define ACCEPT_BATCH 64

static const char call[] = "ssl_accept";

/* ---- users --------------------------------------------------------------------------------- */

bool sally_listener_enter(ssl_listener *l)
{
    sally_mutex_lock(&l->lock);
    bool open = !l->closed;
    l->users += open;
    sally_mutex_unlock(&l->lock);
    return open;
}

static void wake_one_locked(ssl_listener *l)
{
    if (!sally_list_is_empty(&l->watches)) {
        sally_wake_raise(SALLY_CONTAINER(l->watches.next, sally_watch, node)->self);
    }
}

static void wake_all_locked(ssl_listener *l)
{
    for (sally_node *node = l->watches.next; node != &l->watches; node = node->next) {
        sally_wake_raise(SALLY_CONTAINER(node, sally_watch, node)->self);
    }
}

/* True for the last one out of a closed listener: nobody comes in any more. */
static bool leave_locked(ssl_listener *l)
{
    l->users--;
    wake_one_locked(l);
    return l->closed && l->users == 0;
}

void sally_listener_leave(ssl_listener *l)
{
    sally_mutex_lock(&l->lock);
    bool last = leave_locked(l);
    sally_mutex_unlock(&l->lock);
    if (last) {
        sally_handshakes_fini(&l->handshakes);
        sally_listener_close_fds(l);
    }
}

int sally_listener_fds(ssl_listener *l, int *fds)
{
    sally_mutex_lock(&l->lock);
    int count = l->closed ? 0 : l->fd_count;
    memcpy(fds, l->fds, (size_t)count * sizeof *fds);
    sally_mutex_unlock(&l->lock);
    return count;
}

const sally_front *sally_listener_front(const ssl_listener *l)
{
    return &l->front;
}

/* ---- watches ------------------------------------------------------------------------------- */

void sally_pollfds_init(sally_pollfds *p)
{
    p->fds = p->few;
    p->count = 0;
    p->capacity = SALLY_POLLFDS_FEW;
}

void sally_pollfds_fini(sally_pollfds *p)
{
    if (p->fds != p->few) {
        sally_free(p->fds);
    }
}

ssl_status sally_pollfds_sleep(sally_pollfds *p, const sally_wake *self, const sally_scope *scope,
                               ssl_deadline deadline, ssl_phase phase, ssl_error *err)
{
    sally_scope bounded = *scope;
    sally_scope_bound(&bounded, deadline);
    sally_wait wait = {
        .fds = p->fds, .count = p->count, .scope = &bounded, .self = self, .phase = phase};
    ssl_status status = SALLY_OK;
    (void)sally_wait_run(&wait, &status, err);
    bool a_handshakes = status == SALLY_TIMEOUT && !sally_deadline_passed(scope->deadline);
    return a_handshakes ? SALLY_OK : status;
}

static int room(const sally_pollfds *p)
{
    return p->capacity - p->count - SALLY_WAIT_SPARE;
}

bool sally_pollfds_make_room(sally_pollfds *p, int n)
{
    if (n <= room(p)) {
        return true;
    }
    int capacity = 2 * (p->count + n + SALLY_WAIT_SPARE);
    struct pollfd *grown = sally_alloc_array((size_t)capacity, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    memcpy(grown, p->fds, (size_t)p->count * sizeof *grown);
    sally_pollfds_fini(p);
    p->fds = grown;
    p->capacity = capacity;
    return true;
}

static bool watch_backlog(const ssl_listener *l, sally_pollfds *p)
{
    if (!sally_pollfds_make_room(p, l->fd_count)) {
        return false;
    }
    for (int i = 0; i < l->fd_count; i++) {
        p->fds[p->count++] = (struct pollfd){.fd = l->fds[i], .events = POLLIN};
    }
    return true;
}

static bool watch_handshakes_locked(ssl_listener *l, sally_pollfds *p)
{
    int needed = sally_handshakes_watch_locked(&l->handshakes, p->fds + p->count, room(p));
    if (needed > room(p)) {
        if (!sally_pollfds_make_room(p, needed)) {
            return false;
        }
        needed = sally_handshakes_watch_locked(&l->handshakes, p->fds + p->count, needed);
    }
    p->count += needed;
    return true;
}

static bool is_full_locked(const ssl_listener *l)
{
    return l->handshakes.count >= l->pending_max;
}

bool sally_watch_begin_locked(sally_watch *w, bool all, sally_pollfds *p, ssl_deadline *deadline)
{
    ssl_listener *l = w->listener;
    w->first = p->count;
    w->middle = p->count;
    if (all || !is_full_locked(l)) {
        if (!watch_backlog(l, p)) {
            return false;
        }
        w->middle = p->count;
    }
    if (!watch_handshakes_locked(l, p)) {
        return false;
    }
    w->end = p->count;
    sally_list_append(&l->watches, &w->node);
    *deadline = sally_deadline_earlier(*deadline, sally_handshakes_deadline_locked(&l->handshakes));
    return true;
}

void sally_watch_end(sally_watch *w)
{
    sally_mutex_lock(&w->listener->lock);
    sally_list_remove(&w->node);
    sally_mutex_unlock(&w->listener->lock);
}

static bool any_ready(const sally_pollfds *p, int first, int end)
{
    for (int i = first; i < end; i++) {
        if (p->fds[i].revents != 0) {
            return true;
        }
    }
    return false;
}

bool sally_watch_sees_client(const sally_watch *w, const sally_pollfds *p)
{
    return any_ready(p, w->first, w->middle);
}

bool sally_watch_sees_handshake(const sally_watch *w, const sally_pollfds *p)
{
    return any_ready(p, w->middle, w->end);
}

/* ---- handshakes ---------------------------------------------------------------------------- */

/* The holder puts a handshake back, to wait; true when it is done with, which a failure to wait is. */
static bool put_back_locked(ssl_listener *l, sally_handshake *h, sally_want want)
{
    if (l->closed) {
        sally_handshake_fail_closed(h);
        return true;
    }
    int error = sally_handshakes_put_back_locked(&l->handshakes, h, want);
    if (error != 0) {
        sally_handshake_fail(h, error, "cannot wait for the client");
    }
    return error != 0;
}

static bool settle_locked(ssl_listener *l, sally_handshake *h, sally_step step, sally_want want)
{
    bool over = step != SALLY_STEP_WANT || put_back_locked(l, h, want);
    if (over) {
        sally_handshakes_take_out_locked(&l->handshakes, h);
    }
    return over;
}

sally_handshake *sally_listener_drive(ssl_listener *l)
{
    sally_mutex_lock(&l->lock);
    sally_handshake *h = sally_handshakes_take_ready_locked(&l->handshakes);
    sally_mutex_unlock(&l->lock);
    if (h == NULL) {
        return NULL;
    }
    sally_want want = {false, false};
    sally_step step = sally_handshake_step(h, l->front, &want);
    sally_mutex_lock(&l->lock);
    bool over = settle_locked(l, h, step, want);
    sally_mutex_unlock(&l->lock);
    if (over && h->nobody) {
        sally_handshake_drop(h);
        return NULL;
    }
    return over ? h : NULL;
}

/* ---- accept -------------------------------------------------------------------------------- */

/* One call of ssl_accept. */
typedef struct acceptor {
    ssl_listener *listener;
    const sally_scope *scope;
    sally_watch watch;
    sally_pollfds pollfds;
    sally_handshake *finished; /* what the call will return */
} acceptor;

static ssl_status fail_closed(ssl_error *err)
{
    return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_ACCEPT, "%s: the listener has been closed",
                      call);
}

static ssl_status look_locked(acceptor *a, ssl_deadline *deadline, ssl_error *err)
{
    ssl_listener *l = a->listener;
    if (l->closed) {
        return fail_closed(err);
    }
    a->finished = sally_handshakes_take_finished_locked(&l->handshakes);
    if (a->finished != NULL) {
        return SALLY_OK;
    }
    a->pollfds.count = 0;
    return sally_watch_begin_locked(&a->watch, false, &a->pollfds, deadline)
               ? SALLY_OK
               : sally_fail_memory(err, SALLY_PHASE_ACCEPT, call);
}

static ssl_status fail_take(ssl_listener *l, int error, ssl_error *err)
{
    char where[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&l->local, where, sizeof where);
    return sally_fail_errno(err, error, SALLY_PHASE_ACCEPT,
                            "%s: cannot take a client that waits at %s", call, where);
}

/* The errno that ended it, EAGAIN for an empty backlog; 0: enough for one round, or for the set. */
static int take_from_locked(ssl_listener *l, int fd)
{
    int error = 0;
    for (int i = 0; i < ACCEPT_BATCH && error == 0 && !is_full_locked(l); i++) {
        error = sally_handshakes_accept_locked(&l->handshakes, fd, l->front.trust,
                                               l->handshake_timeout_ms);
    }
    return error;
}

static ssl_status take_clients(acceptor *a, ssl_error *err)
{
    ssl_listener *l = a->listener;
    int error = 0;
    sally_mutex_lock(&l->lock);
    for (int i = a->watch.first; i < a->watch.middle && !l->closed; i++) {
        int one = a->pollfds.fds[i].revents == 0 ? 0 : take_from_locked(l, a->pollfds.fds[i].fd);
        error = one != 0 && one != EAGAIN ? one : error;
    }
    sally_mutex_unlock(&l->lock);
    return error == 0 ? SALLY_OK : fail_take(l, error, err);
}

/* A pending break wins over a finished handshake (B2), so it is looked for first. */
static ssl_status accept_round(acceptor *a, ssl_error *err)
{
    ssl_deadline deadline = SALLY_NEVER;
    ssl_status status = sally_scope_check(a->scope, SALLY_PHASE_ACCEPT, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_mutex_lock(&a->listener->lock);
    status = look_locked(a, &deadline, err);
    sally_mutex_unlock(&a->listener->lock);
    if (status != SALLY_OK || a->finished != NULL) {
        return status;
    }
    status = sally_pollfds_sleep(&a->pollfds, a->watch.self, a->scope, deadline, SALLY_PHASE_ACCEPT,
                                 err);
    sally_watch_end(&a->watch);
    if (status != SALLY_OK) {
        return status;
    }
    if (sally_watch_sees_handshake(&a->watch, &a->pollfds)) {
        a->finished = sally_listener_drive(a->listener);
    }
    return a->finished == NULL ? take_clients(a, err) : SALLY_OK;
}

static ssl_status accept_loop(ssl_listener *l, const sally_scope *scope, ssl_ports *ports,
                              ssl_error *err)
{
    acceptor a = {.listener = l, .scope = scope, .watch = {.listener = l}};
    ssl_status status = sally_wait_self(&a.watch.self, SALLY_PHASE_ACCEPT, err);
    sally_pollfds_init(&a.pollfds);
    while (status == SALLY_OK && a.finished == NULL) {
        status = accept_round(&a, err);
    }
    sally_pollfds_fini(&a.pollfds);
    return status == SALLY_OK ? sally_handshake_finish(a.finished, ports, err) : status;
}

static ssl_status accept_how(ssl_listener *l, sally_how how, ssl_ports *ports, ssl_error *err)
{
    sally_ossl_begin();
    if (ports != NULL) {
        *ports = (ssl_ports){NULL, NULL};
    }
    if (l == NULL || ports == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_ACCEPT, "%s: %s is NULL", call,
                          l == NULL ? "the listener" : "ports");
    }
    sally_scope scope;
    ssl_status status = sally_scope_begin(&scope, how, SALLY_PHASE_ACCEPT, err);
    if (status != SALLY_OK) {
        return status;
    }
    if (!sally_listener_enter(l)) {
        return fail_closed(err);
    }
    scope.call = call;
    status = accept_loop(l, &scope, ports, err);
    sally_listener_leave(l);
    return status;
}

ssl_status ssl_accept(ssl_listener *listener, ssl_ports *ports, ssl_error *err)
{
    return accept_how(listener, SALLY_PLAIN, ports, err);
}

ssl_status ssl_accept_enable_break(ssl_listener *listener, ssl_break *brk, ssl_ports *ports,
                                   ssl_error *err)
{
    return accept_how(listener, SALLY_ENABLE(brk), ports, err);
}

/* ---- addresses and the end ----------------------------------------------------------------- */

static bool is_closed(const ssl_listener *l)
{
    sally_mutex *lock = (sally_mutex *)&l->lock; /* a lock is no part of what const promises */
    sally_mutex_lock(lock);
    bool closed = l->closed;
    sally_mutex_unlock(lock);
    return closed;
}

ssl_status ssl_listener_addresses(const ssl_listener *listener, ssl_endpoints *ends, ssl_error *err)
{
    sally_ossl_begin();
    if (listener == NULL || ends == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                          "ssl_listener_addresses: %s is NULL",
                          listener == NULL ? "the listener" : "ends");
    }
    memset(ends, 0, sizeof *ends);
    if (is_closed(listener)) {
        return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_LISTEN,
                          "ssl_listener_addresses: the listener has been closed");
    }
    sally_addr_text(&listener->local, ends->local, sizeof ends->local);
    ends->local_port = sally_addr_port(&listener->local);
    sally_error_none(err);
    return SALLY_OK;
}

ssl_status ssl_close(ssl_listener *listener, ssl_error *err)
{
    sally_ossl_begin();
    if (listener == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "ssl_close: the listener is NULL");
    }
    sally_error_none(err);
    if (!sally_listener_enter(listener)) {
        return SALLY_OK;
    }
    sally_mutex_lock(&listener->lock);
    listener->closed = true;
    sally_handshakes_drop_locked(&listener->handshakes);
    wake_all_locked(listener);
    sally_mutex_unlock(&listener->lock);
    sally_listener_leave(listener);
    return SALLY_OK;
}

void ssl_free_listener(ssl_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    (void)ssl_close(listener, NULL);
    ssl_context_release(listener->front.context);
    ssl_registry_release(listener->front.registry);
    sally_trust_free(listener->front.trust);
    sally_mutex_fini(&listener->lock);
    sally_free(listener);
}

/* L6 ends: waiting for any of several listeners and ports (L1).
 *
 * A round: look for breaks, look at each event in turn and begin a watch on it, sleep on all of them,
 * end the watches, look at those that poll has seen. Nothing is taken from a listener or a port: a
 * handshake that finishes here is queued there, for the next ssl_accept, and plaintext stays in its
 * engine.
 *
 * Locks: the lock of one listener or connection at a time. The thread is a user of each listener, and
 * inside of each port, from enter_all to leave_all.
 */
#include "clock.h"
#include "error.h"
#include "listener.h"
#include "mem.h"
#include "ossl.h"
#include "port_watch.h"

static const char call[] = "ssl_sync";

/* One event while it is watched. */
typedef struct watched {
    sally_watch client; /* of a listener */
    int first;          /* of a port: its pollfds */
    int count;
} watched;

/* One call. */
typedef struct syncer {
    const sally_scope *scope;
    const ssl_event *events;
    const sally_wake *self;
    size_t count;
    size_t entered; /* the first so many events */
    size_t begun;   /* watches on the first so many */
    sally_pollfds pollfds;
    watched watches[SALLY_SYNC_MAX];
} syncer;

/* No event is ready. */
#define NONE SALLY_SYNC_MAX

/* ---- one round ----------------------------------------------------------------------------- */

/* A pending break wins over readiness (B2), and so do those of the servers of the ports. */
static ssl_status check_breaks(const syncer *s, ssl_error *err)
{
    ssl_status status = sally_scope_check(s->scope, SALLY_PHASE_WAIT, err);
    for (size_t i = 0; i < s->count && status == SALLY_OK; i++) {
        const ssl_port *port = s->events[i].port;
        status = port == NULL ? SALLY_OK : sally_port_watch_check(port, call, err);
    }
    return status;
}

/* OK with *ready set, or left alone when the listener is watched now. */
static ssl_status look_at_listener(syncer *s, size_t i, ssl_deadline *deadline, size_t *ready,
                                   ssl_error *err)
{
    ssl_listener *l = s->events[i].listener;
    sally_watch *watch = &s->watches[i].client;
    ssl_status status = SALLY_OK;
    *watch = (sally_watch){.listener = l, .self = s->self};
    sally_mutex_lock(&l->lock);
    sally_handshakes_queue_late_locked(&l->handshakes);
    if (l->closed || !sally_list_is_empty(&l->handshakes.finished)) {
        *ready = i;
    } else if (sally_watch_begin_locked(watch, true, &s->pollfds, deadline)) {
        s->begun++;
    } else {
        status = sally_fail_memory(err, SALLY_PHASE_WAIT, call);
    }
    sally_mutex_unlock(&l->lock);
    return status;
}

/* The same for a port. */
static ssl_status look_at_port(syncer *s, size_t i, size_t *ready, ssl_error *err)
{
    sally_pollfds *p = &s->pollfds;
    watched *w = &s->watches[i];
    if (!sally_pollfds_make_room(p, SALLY_PORT_WATCH_FDS)) {
        return sally_fail_memory(err, SALLY_PHASE_WAIT, call);
    }
    w->first = p->count;
    if (sally_port_watch_begin(s->events[i].port, s->self, p->fds + p->count, &w->count)) {
        *ready = i;
    } else {
        p->count += w->count;
        s->begun++;
    }
    return SALLY_OK;
}

static void end_watch(syncer *s, size_t i)
{
    watched *w = &s->watches[i];
    if (s->events[i].port != NULL) {
        sally_port_watch_end(s->events[i].port, s->pollfds.fds + w->first, w->count);
    } else {
        sally_watch_end(&w->client);
    }
}

static void end_watches(syncer *s)
{
    while (s->begun > 0) {
        end_watch(s, --s->begun);
    }
}

/* Ends when one is ready already, or all are watched. */
static ssl_status look_at_all(syncer *s, ssl_deadline *deadline, size_t *ready, ssl_error *err)
{
    ssl_status status = SALLY_OK;
    s->pollfds.count = 0;
    for (size_t i = 0; i < s->count && status == SALLY_OK && *ready == NONE; i++) {
        status = s->events[i].port != NULL ? look_at_port(s, i, ready, err)
                                           : look_at_listener(s, i, deadline, ready, err);
    }
    return status;
}

/* Queues what a step finished; whoever accepts next takes it. */
static void queue(ssl_listener *l, sally_handshake *h)
{
    sally_mutex_lock(&l->lock);
    bool open = !l->closed;
    if (open) {
        sally_handshakes_queue_locked(&l->handshakes, h);
    }
    sally_mutex_unlock(&l->lock);
    if (!open) {
        sally_handshake_drop(h);
    }
}

static bool is_listener_ready(const syncer *s, const sally_watch *w)
{
    if (sally_watch_sees_client(w, &s->pollfds)) {
        return true;
    }
    if (!sally_watch_sees_handshake(w, &s->pollfds)) {
        return false;
    }
    sally_handshake *h = sally_listener_drive(w->listener);
    if (h == NULL) {
        return false;
    }
    queue(w->listener, h);
    return true;
}

/* What only woke us, or only frees the way out, shows in the next round. */
static bool is_port_ready(const syncer *s, size_t i)
{
    const struct pollfd *fds = s->pollfds.fds + s->watches[i].first;
    for (int k = 0; k < s->watches[i].count; k++) {
        if (fds[k].revents != 0) {
            return sally_port_watch_look(s->events[i].port);
        }
    }
    return false;
}

static bool is_ready_after_sleep(const syncer *s, size_t i)
{
    return s->events[i].port != NULL ? is_port_ready(s, i)
                                     : is_listener_ready(s, &s->watches[i].client);
}

static size_t first_ready_after_sleep(const syncer *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (is_ready_after_sleep(s, i)) {
            return i;
        }
    }
    return NONE;
}

static ssl_status sync_round(syncer *s, size_t *ready, ssl_error *err)
{
    ssl_deadline deadline = SALLY_NEVER;
    ssl_status status = check_breaks(s, err);
    if (status == SALLY_OK) {
        status = look_at_all(s, &deadline, ready, err);
    }
    bool sleep = status == SALLY_OK && *ready == NONE;
    if (sleep) {
        status =
            sally_pollfds_sleep(&s->pollfds, s->self, s->scope, deadline, SALLY_PHASE_WAIT, err);
    }
    end_watches(s);
    if (sleep && status == SALLY_OK) {
        status = check_breaks(s, err);
        *ready = status == SALLY_OK ? first_ready_after_sleep(s) : NONE;
    }
    return status;
}

/* ---- the call ------------------------------------------------------------------------------ */

static void leave(const ssl_event *event)
{
    if (event->port != NULL) {
        sally_port_watch_leave(event->port);
    } else {
        sally_listener_leave(event->listener);
    }
}

static void leave_all(syncer *s)
{
    while (s->entered > 0) {
        leave(&s->events[--s->entered]);
    }
}

/* CLOSED: it is closed, and so it is ready. */
static ssl_status enter(const ssl_event *event, ssl_error *err)
{
    if (event->port != NULL) {
        return sally_port_watch_enter(event->port, call, err);
    }
    return sally_listener_enter(event->listener) ? SALLY_OK : SALLY_CLOSED;
}

/* *closed is the index of an event that is closed; NONE when all are entered. */
static ssl_status enter_all(syncer *s, size_t *closed, ssl_error *err)
{
    ssl_status status = SALLY_OK;
    *closed = NONE;
    while (s->entered < s->count && status == SALLY_OK) {
        status = enter(&s->events[s->entered], err);
        s->entered += status == SALLY_OK;
    }
    if (status == SALLY_CLOSED) {
        *closed = s->entered;
        status = SALLY_OK;
    }
    return status;
}

static ssl_status sync_loop(syncer *s, size_t *ready, ssl_error *err)
{
    ssl_status status = sally_wait_self(&s->self, SALLY_PHASE_WAIT, err);
    sally_pollfds_init(&s->pollfds);
    while (status == SALLY_OK && *ready == NONE) {
        status = sync_round(s, ready, err);
    }
    sally_pollfds_fini(&s->pollfds);
    return status;
}

/* What is closed is ready, but a pending break wins over readiness (B2). */
static ssl_status sync_entered(syncer *s, size_t *ready, ssl_error *err)
{
    size_t found;
    ssl_status status = enter_all(s, &found, err);
    if (status == SALLY_OK) {
        status = found == NONE ? sync_loop(s, &found, err) : check_breaks(s, err);
    }
    leave_all(s);
    if (status == SALLY_OK) {
        *ready = found;
        sally_error_none(err);
    }
    return status;
}

static ssl_status fail_event(size_t i, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_WAIT, "%s: event %zu %s", call, i, why);
}

static bool is_same(const ssl_event *a, const ssl_event *b)
{
    return a->port != NULL && a->port == b->port;
}

static ssl_status check_event(const ssl_event *events, size_t i, ssl_error *err)
{
    if ((events[i].listener == NULL) == (events[i].port == NULL)) {
        return fail_event(i,
                          events[i].port == NULL ? "has no listener and no port"
                                                 : "has a listener and a port; use two events",
                          err);
    }
    for (size_t k = 0; k < i; k++) {
        if (is_same(&events[k], &events[i])) {
            return fail_event(i, "is a port that is there already", err);
        }
    }
    return SALLY_OK;
}

static ssl_status check_events(const ssl_event *events, size_t count, const size_t *ready,
                               ssl_error *err)
{
    if (events == NULL || ready == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_WAIT, "%s: %s is NULL", call,
                          events == NULL ? "events" : "ready");
    }
    if (count == 0 || count > SALLY_SYNC_MAX) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_WAIT, "%s: %zu events; it takes 1 to %d",
                          call, count, SALLY_SYNC_MAX);
    }
    ssl_status status = SALLY_OK;
    for (size_t i = 0; i < count && status == SALLY_OK; i++) {
        status = check_event(events, i, err);
    }
    return status;
}

/* On the heap: dozens of watches are much for the stack of a small thread. */
static ssl_status sync_checked(const ssl_event *events, size_t count, const sally_scope *scope,
                               size_t *ready, ssl_error *err)
{
    syncer *s = sally_alloc(sizeof *s);
    if (s == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_WAIT, call);
    }
    s->scope = scope;
    s->events = events;
    s->count = count;
    ssl_status status = sync_entered(s, ready, err);
    sally_free(s);
    return status;
}

static ssl_status sync_how(const ssl_event *events, size_t count, sally_how how, size_t *ready,
                           ssl_error *err)
{
    sally_ossl_begin();
    sally_scope scope;
    ssl_status status = check_events(events, count, ready, err);
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, SALLY_PHASE_WAIT, err);
    }
    scope.call = call;
    return status == SALLY_OK ? sync_checked(events, count, &scope, ready, err) : status;
}

ssl_status ssl_sync(const ssl_event *events, size_t count, size_t *ready, ssl_error *err)
{
    return sync_how(events, count, SALLY_PLAIN, ready, err);
}

ssl_status ssl_sync_enable_break(const ssl_event *events, size_t count, ssl_break *brk,
                                 size_t *ready, ssl_error *err)
{
    return sync_how(events, count, SALLY_ENABLE(brk), ready, err);
}

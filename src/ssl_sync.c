/* L6 ends: waiting for any of several listeners (L1).
 *
 * A round: look for a break, look at each listener in turn and begin a watch on it, sleep on all of
 * them, end the watches, carry ready handshakes on. Nothing is taken from a listener: a handshake that
 * finishes here is queued there, for the next ssl_accept.
 *
 * Locks: the lock of one listener at a time. The thread is a user of each listener while it is inside.
 */
#include "error.h"
#include "listener.h"
#include "mem.h"
#include "ossl.h"

static const char call[] = "ssl_sync";

/* One call. */
typedef struct syncer {
    const sally_scope *scope;
    const ssl_event *events;
    const sally_wake *self;
    size_t count;
    size_t entered; /* the first so many listeners */
    size_t begun;   /* watches on the first so many */
    sally_pollfds pollfds;
    sally_watch watches[SALLY_SYNC_MAX];
} syncer;

/* No listener is ready. */
#define NONE SALLY_SYNC_MAX

/* OK with *ready set, or left alone when the listener is watched now. */
static ssl_status look_at(syncer *s, size_t i, ssl_deadline *deadline, size_t *ready,
                          ssl_error *err)
{
    ssl_listener *l = s->events[i].listener;
    ssl_status status = SALLY_OK;
    s->watches[i] = (sally_watch){.listener = l, .self = s->self};
    sally_mutex_lock(&l->lock);
    sally_handshakes_queue_late_locked(&l->handshakes);
    if (l->closed || !sally_list_is_empty(&l->handshakes.finished)) {
        *ready = i;
    } else if (sally_watch_begin_locked(&s->watches[i], true, &s->pollfds, deadline)) {
        s->begun++;
    } else {
        status = sally_fail_memory(err, SALLY_PHASE_ACCEPT, call);
    }
    sally_mutex_unlock(&l->lock);
    return status;
}

static void end_watches(syncer *s)
{
    while (s->begun > 0) {
        sally_watch_end(&s->watches[--s->begun]);
    }
}

/* Ends when one is ready already, or all are watched. */
static ssl_status look_at_all(syncer *s, ssl_deadline *deadline, size_t *ready, ssl_error *err)
{
    ssl_status status = SALLY_OK;
    s->pollfds.count = 0;
    for (size_t i = 0; i < s->count && status == SALLY_OK && *ready == NONE; i++) {
        status = look_at(s, i, deadline, ready, err);
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

static bool is_ready_after_sleep(const syncer *s, const sally_watch *w)
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

static size_t first_ready_after_sleep(const syncer *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (is_ready_after_sleep(s, &s->watches[i])) {
            return i;
        }
    }
    return NONE;
}

static ssl_status sync_round(syncer *s, size_t *ready, ssl_error *err)
{
    ssl_deadline deadline = SALLY_NEVER;
    ssl_status status = sally_scope_check(s->scope, SALLY_PHASE_ACCEPT, err);
    if (status != SALLY_OK) {
        return status;
    }
    status = look_at_all(s, &deadline, ready, err);
    bool sleep = status == SALLY_OK && *ready == NONE;
    if (sleep) {
        status = sally_pollfds_sleep(&s->pollfds, s->self, s->scope, deadline, err);
    }
    end_watches(s);
    if (sleep && status == SALLY_OK) {
        *ready = first_ready_after_sleep(s);
    }
    return status;
}

static void leave_all(syncer *s)
{
    while (s->entered > 0) {
        sally_listener_leave(s->events[--s->entered].listener);
    }
}

/* The index of a listener that is closed; NONE when all are entered. */
static size_t enter_all(syncer *s)
{
    for (; s->entered < s->count; s->entered++) {
        if (!sally_listener_enter(s->events[s->entered].listener)) {
            return s->entered;
        }
    }
    return NONE;
}

static ssl_status sync_loop(syncer *s, size_t *ready, ssl_error *err)
{
    ssl_status status = sally_wait_self(&s->self, SALLY_PHASE_ACCEPT, err);
    sally_pollfds_init(&s->pollfds);
    while (status == SALLY_OK && *ready == NONE) {
        status = sync_round(s, ready, err);
    }
    sally_pollfds_fini(&s->pollfds);
    return status;
}

/* A closed listener is ready, but a pending break wins over readiness (B2). */
static ssl_status sync_entered(syncer *s, size_t *ready, ssl_error *err)
{
    size_t found = enter_all(s);
    ssl_status status = found == NONE ? sync_loop(s, &found, err)
                                      : sally_scope_check(s->scope, SALLY_PHASE_ACCEPT, err);
    leave_all(s);
    if (status == SALLY_OK) {
        *ready = found;
        sally_error_none(err);
    }
    return status;
}

static ssl_status check_events(const ssl_event *events, size_t count, const size_t *ready,
                               ssl_error *err)
{
    if (events == NULL || ready == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_ACCEPT, "%s: %s is NULL", call,
                          events == NULL ? "events" : "ready");
    }
    if (count == 0 || count > SALLY_SYNC_MAX) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_ACCEPT, "%s: %zu events; it takes 1 to %d",
                          call, count, SALLY_SYNC_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (events[i].listener == NULL) {
            return sally_fail(err, SALLY_USAGE, SALLY_PHASE_ACCEPT,
                              "%s: the listener of event %zu is NULL", call, i);
        }
    }
    return SALLY_OK;
}

/* On the heap: dozens of watches are much for the stack of a small thread. */
static ssl_status sync_checked(const ssl_event *events, size_t count, const sally_scope *scope,
                               size_t *ready, ssl_error *err)
{
    syncer *s = sally_alloc(sizeof *s);
    if (s == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_ACCEPT, call);
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
    sally_scope scope = SALLY_SCOPE_NONE;
    ssl_status status = check_events(events, count, ready, err);
    if (status == SALLY_OK && how.enable) {
        status = sally_scope_enable(&scope, how.brk, SALLY_PHASE_ACCEPT, err);
    }
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

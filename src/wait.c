/* L1 waiting: the single wait function (B2, B5, B7).
 *
 * A wait watches the caller's descriptors, the wakes of its tokens, and the wake of its own thread,
 * in one poll(2). Tokens are looked at before sleeping, so a break that is already pending needs no
 * readable wake. EINTR only begins the loop anew: the deadline is absolute.
 */
#include "wait.h"

#include <errno.h>

#include "clock.h"
#include "error.h"
#include "thread_own.h"

ssl_status sally_wait_self(const sally_wake **wake, ssl_phase phase, ssl_error *err)
{
    *wake = NULL;
    sally_thread_own *own = sally_thread_own_get();
    if (own == NULL) {
        return sally_fail_memory(err, phase, ssl_phase_name(phase));
    }
    int failed = own->wake.wait_fd >= 0 ? 0 : sally_wake_open(&own->wake);
    if (failed != 0) {
        return sally_fail_errno(err, failed, phase, "%s: no descriptor to wait with",
                                ssl_phase_name(phase));
    }
    *wake = &own->wake;
    return SALLY_OK;
}

/* The spare pollfds behind the caller's own: one for each token with a wake, one for the thread. */
typedef struct watched {
    ssl_break *tokens[SALLY_SCOPE_TOKENS];
    int count;
    struct pollfd *first; /* of the tokens */
    struct pollfd *self;  /* NULL: none */
} watched;

static int watch(sally_wait *wait, watched *w)
{
    w->count = sally_scope_wakes(wait->scope, w->tokens, SALLY_SCOPE_TOKENS);
    w->first = wait->fds + wait->count;
    for (int i = 0; i < w->count; i++) {
        w->first[i] = (struct pollfd){.fd = sally_break_wait_fd(w->tokens[i]), .events = POLLIN};
    }
    int total = wait->count + w->count;
    w->self = NULL;
    if (wait->self != NULL) {
        w->self = &wait->fds[total++];
        *w->self = (struct pollfd){.fd = wait->self->wait_fd, .events = POLLIN};
    }
    return total;
}

/* A readable wake whose token has nothing pending is left over from a break that was cleared. */
static void calm_stale(const watched *w)
{
    for (int i = 0; i < w->count; i++) {
        if (w->first[i].revents != 0 && !ssl_break_pending(w->tokens[i], NULL, NULL)) {
            sally_break_calm(w->tokens[i]);
        }
    }
}

static bool any_ready(const sally_wait *wait)
{
    for (int i = 0; i < wait->count; i++) {
        if (wait->fds[i].revents != 0) {
            return true;
        }
    }
    return false;
}

static bool any_token(const watched *w)
{
    for (int i = 0; i < w->count; i++) {
        if (w->first[i].revents != 0) {
            return true;
        }
    }
    return false;
}

static void forget_readiness(sally_wait *wait)
{
    for (int i = 0; i < wait->count; i++) {
        wait->fds[i].revents = 0;
    }
}

int sally_wait_poll(struct pollfd *fds, int count, ssl_deadline deadline)
{
    bool failed = poll(fds, (nfds_t)count, sally_deadline_poll_ms(deadline)) < 0;
    return failed && errno != EINTR ? errno : 0;
}

/* After a sleep elsewhere nobody has said which wakes were raised. */
static int sleep_elsewhere(sally_wait *wait, int total)
{
    int failed = wait->sleeper->sleep(wait->sleeper, wait->fds, total, wait->scope->deadline);
    if (failed != 0) {
        errno = failed != EINTR ? failed : EIO;
        return -1;
    }
    return poll(wait->fds, (nfds_t)total, 0);
}

/* One poll: how many are ready; 0 also for a signal that interrupted; -1 and *status for a failure. */
static int sleep_once(sally_wait *wait, int total, ssl_status *status, ssl_error *err)
{
    int ready = wait->sleeper != NULL
                    ? sleep_elsewhere(wait, total)
                    : poll(wait->fds, (nfds_t)total, sally_deadline_poll_ms(wait->scope->deadline));
    if (ready >= 0) {
        return ready;
    }
    if (errno == EINTR) {
        forget_readiness(wait);
        return 0;
    }
    *status = sally_fail_errno(err, errno, wait->phase, "%s: %s", ssl_phase_name(wait->phase),
                               wait->sleeper != NULL ? "waiting for the transport" : "poll");
    return -1;
}

sally_waited sally_wait_run(sally_wait *wait, ssl_status *status, ssl_error *err)
{
    watched w;
    for (;;) {
        *status = sally_scope_check(wait->scope, wait->phase, err);
        if (*status != SALLY_OK) {
            return SALLY_WAITED_STOPPED;
        }
        int ready = sleep_once(wait, watch(wait, &w), status, err);
        if (ready < 0) {
            return SALLY_WAITED_STOPPED;
        }
        if (ready == 0 && wait->sleeper == NULL) {
            continue;
        }
        if (any_token(&w)) { /* a pending break wins over readiness */
            calm_stale(&w);
            *status = sally_scope_check(wait->scope, wait->phase, err);
            if (*status != SALLY_OK) {
                return SALLY_WAITED_STOPPED;
            }
        }
        if (w.self != NULL && w.self->revents != 0) {
            sally_wake_drain(wait->self);
            return SALLY_WAITED_WOKEN;
        }
        if (any_ready(wait) || wait->sleeper != NULL) {
            return SALLY_WAITED_READY;
        }
    }
}

ssl_status sally_wait_readable(int fd, const sally_scope *scope, ssl_phase phase, ssl_error *err)
{
    struct pollfd fds[1 + SALLY_WAIT_SPARE] = {{.fd = fd, .events = POLLIN}};
    sally_wait wait = {.fds = fds, .count = 1, .scope = scope, .phase = phase};
    ssl_status status = SALLY_OK;
    (void)sally_wait_run(&wait, &status, err);
    return status;
}

bool sally_wait_here(int fd, const sally_wake *wake, int ms)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = wake->wait_fd, .events = POLLIN}};
    int ready = poll(fds, 2, ms);
    if (ready <= 0 || fds[1].revents == 0) {
        return ready > 0;
    }
    sally_wake_drain(wake);
    return false;
}

bool sally_wait_is_hung_up(int fd)
{
    struct pollfd look = {.fd = fd};
    return poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

bool sally_wait_is_readable(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) == 1 && (look.revents & POLLIN) != 0;
}

static ssl_status fail_not_open(int fd, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_WAIT,
                      "ssl_wait_fd_enable_break: descriptor %d is not open", fd);
}

/* Poll says so of a descriptor that is not open, but passes over negative ones, of which -1 has a meaning. */
ssl_status ssl_wait_fd_enable_break(int fd, bool for_write, ssl_break *brk, ssl_error *err)
{
    if (fd < -1) {
        return fail_not_open(fd, err);
    }
    sally_scope scope;
    ssl_status status = sally_scope_enable(&scope, brk, SALLY_PHASE_WAIT, err);
    if (status != SALLY_OK) {
        return status;
    }
    scope.call = "ssl_wait_fd_enable_break";
    struct pollfd fds[1 + SALLY_WAIT_SPARE] = {
        {.fd = fd, .events = (short)(for_write ? POLLOUT : POLLIN)}};
    sally_wait wait = {.fds = fds, .count = 1, .scope = &scope, .phase = SALLY_PHASE_WAIT};
    if (sally_wait_run(&wait, &status, err) == SALLY_WAITED_STOPPED) {
        return status;
    }
    return (fds[0].revents & POLLNVAL) != 0 ? fail_not_open(fd, err) : SALLY_OK;
}

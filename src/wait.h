/* L1 waiting: the single wait function. wait.c and pollset_*.c alone call poll or epoll; EINTR lives
 * in wait.c and is not a break (B7).
 *
 * Every thread that waits has a wake of its own, made on first use. Others raise it to make the
 * thread look again: the far side of its connection made progress, or its port was closed (P1, P4).
 */
#ifndef SALLY_WAIT_H
#define SALLY_WAIT_H

#include <poll.h>

#include "break.h"

/* Room that a caller leaves behind its own pollfds, for the wakes of tokens and of the thread. */
#define SALLY_WAIT_SPARE (SALLY_SCOPE_TOKENS + 1)

typedef enum sally_waited {
    SALLY_WAITED_READY,  /* some revents are set, or the sleeper came back */
    SALLY_WAITED_WOKEN,  /* the thread's wake was raised; revents may be set too */
    SALLY_WAITED_STOPPED /* BREAK, TIMEOUT or SYSTEM is in *status and *err */
} sally_waited;

/* Sleeps instead of poll, until one of the fds is ready or for a reason of its own: 0 or an errno.
 * Embedded in what it needs. */
typedef struct sally_sleeper sally_sleeper;
struct sally_sleeper {
    int (*sleep)(sally_sleeper *sleeper, struct pollfd *fds, int count, ssl_deadline deadline);
};

typedef struct sally_wait {
    struct pollfd *fds; /* events in, revents out; fd -1 is skipped; SALLY_WAIT_SPARE spare ones */
    int count;          /* the caller's own */
    const sally_scope *scope;
    const sally_wake *self; /* the thread's wake from sally_wait_self, or NULL */
    sally_sleeper *sleeper; /* NULL: poll */
    ssl_phase phase;        /* for the error text */
} sally_wait;

/* Sleeps until an fd is ready, the thread's wake is raised, or the scope stops it. A pending break
 * wins over readiness (B2). */
sally_waited sally_wait_run(sally_wait *wait, ssl_status *status, ssl_error *err);

/* Sleeps until there is something to read, or the scope stops it: OK, or BREAK, TIMEOUT or SYSTEM. */
ssl_status sally_wait_readable(int fd, const sally_scope *scope, ssl_phase phase, ssl_error *err);

/* Sleeps once, for `ms` milliseconds at most, until there is something to read, or an end. False: there is
 * not; the wake, which is not to be NULL, was raised, or a signal came. Looks at no token. */
bool sally_wait_here(int fd, const sally_wake *wake, int ms);

/* Whether the fd is hung up or in error now. Never blocks. */
bool sally_wait_is_hung_up(int fd);
/* Whether there is something to read, or to accept. Never blocks. */
bool sally_wait_is_readable(int fd);

/* The bare poll(2): 0 or an errno; EINTR and a passed deadline are 0. */
int sally_wait_poll(struct pollfd *fds, int count, ssl_deadline deadline);

/* The calling thread's wake, in *wake. It lives until the thread ends; whoever publishes it must
 * take it back before the waiting call returns. */
ssl_status sally_wait_self(const sally_wake **wake, ssl_phase phase, ssl_error *err);

#endif

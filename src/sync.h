/* L0 base: mutexes with ranks, conditions, once, and threads.
 *
 * Lock order: a thread takes mutexes in rising rank only. Debug and test builds check it, and check
 * sally_mutex_assert_held. The whole order is the enum below; docs/architecture.md explains it.
 */
#ifndef SALLY_SYNC_H
#define SALLY_SYNC_H

#include <pthread.h>
#include <stdbool.h>

#include "clock.h"
#include "error.h"

/* The test library always checks, and tests that see its structs must agree on their layout. */
#if defined(SALLY_TESTING) && !defined(SALLY_CHECK_LOCKS)
#define SALLY_CHECK_LOCKS 1
#endif

typedef enum sally_rank {
    SALLY_RANK_SERVER = 1, /* server.c: connections, limits, drain state */
    SALLY_RANK_PARK,       /* park.c: deadlines of parked items */
    SALLY_RANK_QUOTA,      /* quota.c: clients by address */
    SALLY_RANK_LISTENER,   /* listener.c: half-done and finished handshakes, waiters */
    SALLY_RANK_REGISTRY,   /* registry.c: names */
    SALLY_RANK_WATCH,      /* registry_watch.c: whether the registry is still there */
    SALLY_RANK_DEFAULTS,   /* context_default.c: default sources, the secure context */
    SALLY_RANK_CONTEXT,    /* context.c: the record and its built SSL_CTX */
    SALLY_RANK_TURN,       /* conn.c: whose turn it is to take the next */
    SALLY_RANK_CONNECTION, /* conn.c: one TLS connection */
    SALLY_RANK_TICKETS,    /* ticket.c: the keys of tickets */
    SALLY_RANK_RESOLVE,    /* resolve.c: queue of lookups */
    SALLY_RANK_LINGER,     /* linger.c: connections on their way out */
    SALLY_RANK_POLLSET,    /* pollset_poll.c: the armed set */
    SALLY_RANK_SIGNAL,     /* break_signal.c: who installs handlers */
    SALLY_RANK_WAKE        /* wakes of threads */
} sally_rank;

typedef struct sally_mutex {
    pthread_mutex_t raw;
#ifdef SALLY_CHECK_LOCKS
    sally_rank rank;
    pthread_t holder;
    bool held;
#endif
} sally_mutex;

typedef struct sally_cond {
    pthread_cond_t raw;
} sally_cond;

/* clang-format off */
#ifdef SALLY_CHECK_LOCKS
#define SALLY_MUTEX_INIT(rank_) {.raw = PTHREAD_MUTEX_INITIALIZER, .rank = (rank_)}
#else
#define SALLY_MUTEX_INIT(rank_) {.raw = PTHREAD_MUTEX_INITIALIZER}
#endif
#define SALLY_COND_INIT {.raw = PTHREAD_COND_INITIALIZER}
/* clang-format on */

void sally_mutex_init(sally_mutex *m, sally_rank rank);
void sally_mutex_fini(sally_mutex *m);
void sally_mutex_lock(sally_mutex *m);
bool sally_mutex_try(sally_mutex *m); /* false: somebody holds it; never waits */
void sally_mutex_unlock(sally_mutex *m);
void sally_mutex_assert_held(sally_mutex *m); /* nothing in release builds */

void sally_cond_init(sally_cond *c); /* on the monotonic clock */
void sally_cond_fini(sally_cond *c);
void sally_cond_wait(sally_cond *c, sally_mutex *m);
/* False when the deadline passed. Only for conditions made by sally_cond_init. */
bool sally_cond_wait_until(sally_cond *c, sally_mutex *m, ssl_deadline deadline);
void sally_cond_signal(sally_cond *c);
void sally_cond_broadcast(sally_cond *c);

/* The only callers of pthread_create. New threads have all signals blocked, so that the
 * application's handlers run on the application's threads. `stack_bytes` 0: the system's default.
 * Returns 0 or an errno. */
typedef struct sally_thread {
    pthread_t raw;
} sally_thread;

int sally_thread_start(sally_thread *t, size_t stack_bytes, void *(*run)(void *), void *arg);
int sally_thread_start_detached(size_t stack_bytes, void *(*run)(void *), void *arg);
void sally_thread_join(sally_thread *t);

#ifdef SALLY_TESTING
/* Lets the nth thread start from now in the calling thread fail with EAGAIN; 0 stops. */
void sally_thread_fail_at(long nth);
#endif

/* Grows by one in the child of every fork(2) (B10). Objects with helper threads or wake fds
 * remember the value they were made under. Async-signal-safe. */
unsigned sally_process_generation(void);

#endif

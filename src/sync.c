/* L0 base: mutexes with ranks, conditions, threads, and the process generation.
 *
 * The only caller of pthread_create. A mutex is a plain pthread mutex; with SALLY_CHECK_LOCKS each
 * lock and unlock is checked against the order of sally_rank, and a breach ends the program with a
 * message, because a deadlock that was not hit today is still a defect. Those builds are ours alone:
 * the library that users get has no checks and never aborts (E3).
 *
 * Invariants of the checks: held_ranks has bit r set while this thread holds a mutex of rank r, so a
 * new lock must have a rank above every bit. holder and held are written by the holder alone.
 */
#include "sync.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "atomic.h"
#include "fault.h"

#ifdef SALLY_CHECK_LOCKS

static _Thread_local unsigned held_ranks;

static void breach(const sally_mutex *m, const char *what)
{
    fprintf(stderr, "sallyport: lock of rank %d %s (ranks held: mask %#x)\n", (int)m->rank, what,
            held_ranks);
    abort();
}

static void check_may_lock(const sally_mutex *m)
{
    if (held_ranks >> m->rank != 0) {
        breach(m, "taken while a lock of the same or a higher rank is held");
    }
}

static void note_locked(sally_mutex *m)
{
    held_ranks |= 1U << m->rank;
    m->holder = pthread_self();
    m->held = true;
}

static void note_unlocked(sally_mutex *m)
{
    sally_mutex_assert_held(m);
    m->held = false;
    held_ranks &= ~(1U << m->rank);
}

/* A thread that sleeps with another lock in hand delays whoever wants that one. */
static void check_may_sleep(const sally_mutex *m)
{
    if (held_ranks != 1U << m->rank) {
        breach(m, "waited on while another lock is held");
    }
}

void sally_mutex_assert_held(sally_mutex *m)
{
    if (!m->held || !pthread_equal(m->holder, pthread_self())) {
        breach(m, "is not held by this thread");
    }
}

#else

static inline void check_may_lock(const sally_mutex *m)
{
    (void)m;
}

static inline void note_locked(sally_mutex *m)
{
    (void)m;
}

static inline void note_unlocked(sally_mutex *m)
{
    (void)m;
}

static inline void check_may_sleep(const sally_mutex *m)
{
    (void)m;
}

void sally_mutex_assert_held(sally_mutex *m)
{
    (void)m;
}

#endif

void sally_mutex_init(sally_mutex *m, sally_rank rank)
{
    (void)rank; /* without checks */
    *m = (sally_mutex)SALLY_MUTEX_INIT(rank);
    pthread_mutex_init(&m->raw, NULL);
}

void sally_mutex_fini(sally_mutex *m)
{
    pthread_mutex_destroy(&m->raw);
}

void sally_mutex_lock(sally_mutex *m)
{
    check_may_lock(m);
    pthread_mutex_lock(&m->raw);
    note_locked(m);
}

bool sally_mutex_try(sally_mutex *m)
{
    check_may_lock(m);
    if (pthread_mutex_trylock(&m->raw) != 0) {
        return false;
    }
    note_locked(m);
    return true;
}

void sally_mutex_unlock(sally_mutex *m)
{
    note_unlocked(m);
    pthread_mutex_unlock(&m->raw);
}

void sally_cond_init(sally_cond *c)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&c->raw, &attributes);
    pthread_condattr_destroy(&attributes);
}

void sally_cond_fini(sally_cond *c)
{
    pthread_cond_destroy(&c->raw);
}

void sally_cond_wait(sally_cond *c, sally_mutex *m)
{
    check_may_sleep(m);
    note_unlocked(m);
    pthread_cond_wait(&c->raw, &m->raw);
    note_locked(m);
}

static struct timespec timespec_of(ssl_deadline d)
{
    const int64_t ns_per_s = INT64_C(1000000000);
    int64_t ns = d.monotonic_ns > 0 ? d.monotonic_ns : 0;
    return (struct timespec){.tv_sec = (time_t)(ns / ns_per_s), .tv_nsec = (long)(ns % ns_per_s)};
}

bool sally_cond_wait_until(sally_cond *c, sally_mutex *m, ssl_deadline deadline)
{
    if (sally_deadline_is_never(deadline)) {
        sally_cond_wait(c, m);
        return true;
    }
    struct timespec until = timespec_of(deadline);
    check_may_sleep(m);
    note_unlocked(m);
    int result = pthread_cond_timedwait(&c->raw, &m->raw, &until);
    note_locked(m);
    return result != ETIMEDOUT;
}

void sally_cond_signal(sally_cond *c)
{
    pthread_cond_signal(&c->raw);
}

void sally_cond_broadcast(sally_cond *c)
{
    pthread_cond_broadcast(&c->raw);
}

#ifdef SALLY_TESTING

static _Thread_local sally_fault thread_fault;

void sally_thread_fail_at(long nth)
{
    thread_fault = (sally_fault){.nth = nth};
}

static bool start_must_fail(void)
{
    return sally_fault_hit(&thread_fault);
}

#else

static inline bool start_must_fail(void)
{
    return false;
}

#endif

static int set_stack(pthread_attr_t *attributes, size_t stack_bytes)
{
    size_t least = (size_t)PTHREAD_STACK_MIN;
    if (stack_bytes == 0) {
        return 0;
    }
    return pthread_attr_setstacksize(attributes, stack_bytes < least ? least : stack_bytes);
}

/* A thread starts with its creator's signal mask; blocking here leaves no moment in which the new
 * thread could be chosen for a handler. */
static int create_with_signals_blocked(pthread_t *raw, const pthread_attr_t *attributes,
                                       void *(*run)(void *), void *arg)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = start_must_fail() ? EAGAIN : pthread_create(raw, attributes, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int sally_thread_start(sally_thread *t, size_t stack_bytes, void *(*run)(void *), void *arg)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) {
        return error;
    }
    error = set_stack(&attributes, stack_bytes);
    if (error == 0) {
        error = create_with_signals_blocked(&t->raw, &attributes, run, arg);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

int sally_thread_start_detached(size_t stack_bytes, void *(*run)(void *), void *arg)
{
    sally_thread t;
    int error = sally_thread_start(&t, stack_bytes, run, arg);
    if (error == 0) {
        pthread_detach(t.raw);
    }
    return error;
}

void sally_thread_join(sally_thread *t)
{
    pthread_join(t->raw, NULL);
}

/* Relaxed: the only writer is the child of a fork, which has one thread then. */
static sally_atomic_u64 process_generation;

static void next_generation(void)
{
    sally_add_relaxed(&process_generation, 1);
}

/* At load time, so that no fork can come before it. */
__attribute__((constructor)) static void watch_for_fork(void)
{
    pthread_atfork(NULL, NULL, next_generation);
}

unsigned sally_process_generation(void)
{
    return (unsigned)sally_load_relaxed(&process_generation);
}

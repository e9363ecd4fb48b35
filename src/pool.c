/* L7 service: the threads that run parked tasks. Knows no TLS.
 *
 * Invariant: a thread that runs a task holds it alone (park.h), and no lock. The fields of a pool are
 * constant from before the first thread starts; `stopping` alone changes, and is read before each
 * turn. Whoever stores it also interrupts the waits, so that no thread sleeps through it.
 */
#include "pool.h"

#include <errno.h>

#include "atomic.h"
#include "error.h"
#include "list.h"
#include "mem.h"
#include "sync.h"

typedef struct pool_thread {
    sally_worker worker;
    sally_atomic_u64 dwells; /* 1: waits on the spot, and may be called away */
    sally_thread thread;
} pool_thread;

struct sally_pool {
    sally_pool_setup setup;
    sally_atomic_u64 stopping;
    sally_atomic_u64 idle; /* workers that wait for work */
    sally_thread timekeeper;
    bool keeps_time;      /* the timekeeper runs */
    int running;          /* so many of `threads` run */
    pool_thread *threads; /* setup.workers */
};

static _Thread_local const sally_pool *pool_of_this_thread;

/* ---- dwelling ------------------------------------------------------------------------------ */

static pool_thread *thread_of(const sally_worker *worker)
{
    return SALLY_CONTAINER((sally_worker *)(uintptr_t)worker, pool_thread, worker);
}

bool sally_pool_has_idle(const sally_pool *pool)
{
    return sally_load_seq(&pool->idle) != 0;
}

/* `dwells` is stored before `idle` is read, and whoever takes the last of `idle` reads `dwells` after:
 * so either the one does not dwell, or the other calls it away. */
bool sally_worker_dwell_begin(const sally_worker *worker)
{
    sally_store_seq(&thread_of(worker)->dwells, 1);
    return sally_pool_has_idle(worker->pool);
}

void sally_worker_dwell_end(const sally_worker *worker)
{
    sally_store_seq(&thread_of(worker)->dwells, 0);
}

static bool call_away(pool_thread *t)
{
    uint64_t dwells = 1;
    bool called = sally_cas_seq(&t->dwells, &dwells, 0);
    if (called) {
        sally_wake_raise(t->worker.wake);
    }
    return called;
}

/* Over all slots, not those that run: others may still be starting, and an empty one does not dwell. */
static void call_one_away(sally_pool *pool)
{
    for (int i = 0; i < pool->setup.workers && !call_away(&pool->threads[i]); i++) {}
}

void sally_pool_stir(sally_pool *pool)
{
    for (int i = 0; pool != NULL && i < pool->setup.workers; i++) {
        (void)call_away(&pool->threads[i]);
    }
}

/* ---- working ------------------------------------------------------------------------------- */

static sally_task *wait_for_task(sally_pool *pool, short *events)
{
    (void)sally_add_seq(&pool->idle, 1);
    sally_task *task = sally_park_take_ready(pool->setup.park, events);
    if (sally_add_seq(&pool->idle, UINT64_MAX) == 1) {
        call_one_away(pool);
    }
    return task;
}

static void *work(void *arg)
{
    sally_worker *worker = arg;
    sally_pool *pool = worker->pool;
    pool_of_this_thread = pool;
    while (sally_load_acq(&pool->stopping) == 0) {
        sally_turn turn = {.worker = worker};
        sally_task *task = wait_for_task(pool, &turn.events);
        if (task != NULL) {
            sally_task_run_held(task, &turn);
        }
    }
    return NULL;
}

static void *keep_time(void *arg)
{
    sally_pool *pool = arg;
    pool_of_this_thread = pool;
    sally_task *task;
    while ((task = sally_park_take_due(pool->setup.park)) != NULL) {
        sally_task_run_held(task, &(sally_turn){.worker = NULL});
    }
    return NULL;
}

bool sally_pool_is_inside(const sally_pool *pool)
{
    return pool != NULL && pool_of_this_thread == pool;
}

static ssl_status start_worker(sally_pool *pool, ssl_error *err)
{
    pool_thread *t = &pool->threads[pool->running];
    t->worker.pool = pool;
    t->worker.wake = sally_wake_bank_take(pool->setup.bank);
    if (t->worker.wake == NULL) {
        return sally_fail_errno(err, errno, SALLY_PHASE_SERVE, "cannot open a wake for worker %d",
                                pool->running + 1);
    }
    int error = sally_thread_start(&t->thread, pool->setup.stack_bytes, work, &t->worker);
    if (error != 0) {
        sally_wake_bank_give(pool->setup.bank, t->worker.wake);
        return sally_fail_errno(err, error, SALLY_PHASE_SERVE, "cannot start worker %d of %d",
                                pool->running + 1, pool->setup.workers);
    }
    pool->running++;
    return SALLY_OK;
}

static ssl_status start_timekeeper(sally_pool *pool, ssl_error *err)
{
    int error = sally_thread_start(&pool->timekeeper, pool->setup.stack_bytes, keep_time, pool);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_SERVE, "cannot start the timekeeper");
    }
    pool->keeps_time = true;
    return SALLY_OK;
}

static ssl_status start_threads(sally_pool *pool, ssl_error *err)
{
    ssl_status status = start_timekeeper(pool, err);
    while (status == SALLY_OK && pool->running < pool->setup.workers) {
        status = start_worker(pool, err);
    }
    return status;
}

static sally_pool *new_pool(const sally_pool_setup *setup)
{
    sally_pool *pool = sally_alloc(sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pool->setup = *setup;
    pool->threads = sally_alloc_array((size_t)setup->workers, sizeof *pool->threads);
    if (pool->threads == NULL) {
        sally_free(pool);
        return NULL;
    }
    return pool;
}

ssl_status sally_pool_start(const sally_pool_setup *setup, sally_pool **pool, ssl_error *err)
{
    *pool = NULL;
    sally_pool *made = new_pool(setup);
    if (made == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_SERVE, "ssl_server_start");
    }
    ssl_status status = start_threads(made, err);
    if (status != SALLY_OK) {
        sally_pool_stop(made);
        return status;
    }
    *pool = made;
    return SALLY_OK;
}

static void join_all(sally_pool *pool)
{
    if (pool->keeps_time) {
        sally_thread_join(&pool->timekeeper);
    }
    for (int i = 0; i < pool->running; i++) {
        sally_thread_join(&pool->threads[i].thread);
        sally_wake_bank_give(pool->setup.bank, pool->threads[i].worker.wake);
    }
}

void sally_pool_stop(sally_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    sally_store_rel(&pool->stopping, 1);
    sally_park_stop(pool->setup.park, true);
    sally_pool_stir(pool);
    join_all(pool);
    sally_park_stop(pool->setup.park, false);
    sally_free(pool->threads);
    sally_free(pool);
}

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
#include "mem.h"
#include "sync.h"

typedef struct pool_thread {
    sally_worker worker;
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

static void *work(void *arg)
{
    sally_worker *worker = arg;
    sally_pool *pool = worker->pool;
    pool_of_this_thread = pool;
    while (sally_load_acq(&pool->stopping) == 0) {
        sally_turn turn = {.worker = worker};
        (void)sally_add_relaxed(&pool->idle, 1);
        sally_task *task = sally_park_take_ready(pool->setup.park, &turn.events);
        (void)sally_add_relaxed(&pool->idle, UINT64_MAX);
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

bool sally_pool_has_idle(const sally_pool *pool)
{
    return sally_load_relaxed(&pool->idle) != 0;
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
    join_all(pool);
    sally_park_stop(pool->setup.park, false);
    sally_free(pool->threads);
    sally_free(pool);
}

/* L7 service: the threads that run parked tasks. Knows no TLS.
 *
 * Invariant: a thread that runs a task holds it alone (park.h), and no lock. `stopping` is read before
 * each turn; whoever stores it also interrupts the waits, so that no thread sleeps through it.
 *
 * Growth. A worker whose turn lasts longer than a tick is blocked, or computes, which is the same to
 * those who wait. When no worker is idle, the timekeeper counts those that are not blocked, tick by
 * tick, and starts as many as are missing to setup.workers. So a full pool with short turns, which
 * more threads would not help, does not grow; and one whose handlers block has an idle worker again
 * after two ticks, and there are no ticks then. Who takes the last idle one begins the watch. The
 * workers pay for this with one store a turn.
 *
 * Shrinking. While there are more than setup.workers, a worker that finds nothing to do for
 * setup.idle_ms ends; the kernel wakes the one first that came last, so the others have their rest.
 * The last idle one stays, or a pool whose handlers block would grow and shrink for ever.
 *
 * Slots. Only one thread at a time starts and joins workers: the starter, then the timekeeper, then the
 * stopper, who joined the timekeeper. `ended` is the last store of a worker.
 */
#include "pool.h"

#include <errno.h>

#include "error.h"
#include "list.h"
#include "mem.h"
#include "sync.h"

#define TICK_MS          10
/* After a thread could not be started. */
#define NEXT_TRY_MS      100
/* A long queue is looked through less often, so that looking takes a small part of the time. */
#define INSPECTED_PER_MS 20

typedef struct pool_thread {
    sally_worker worker;
    sally_atomic_u64 dwells; /* 1: waits on the spot, and may be called away */
    sally_atomic_u64 turns;  /* begun; written by the worker */
    sally_atomic_u64 ended;  /* 1: has retired, and is to be joined */
    /* of those who start and join */
    uint64_t turns_seen;
    bool started;
    sally_thread thread;
} pool_thread;

struct sally_pool {
    sally_pool_setup setup; /* constant */
    sally_atomic_u64 stopping;
    sally_atomic_u64 idle;    /* workers that wait for work */
    sally_atomic_u64 watched; /* 1: the timekeeper looks again at the next tick */
    sally_atomic_u64 used;    /* so many slots have ever had a thread */
    sally_thread timekeeper;
    bool keeps_time; /* the timekeeper runs */
    /* the timekeeper's: of the signs of life */
    ssl_deadline next_beat;
    uint64_t turns_begun;  /* by all workers, at the last beat */
    int64_t last_moved_ns; /* the last beat at which one was idle, or had begun a turn */
    pool_thread *threads;  /* setup.workers_max slots */
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

/* Over all slots that were ever used, not those that run: an empty one does not dwell. */
static void call_one_away(sally_pool *pool)
{
    uint64_t used = sally_load_seq(&pool->used);
    for (uint64_t i = 0; i < used && !call_away(&pool->threads[i]); i++) {}
}

void sally_pool_stir(sally_pool *pool)
{
    uint64_t used = pool != NULL ? sally_load_seq(&pool->used) : 0;
    for (uint64_t i = 0; i < used; i++) {
        (void)call_away(&pool->threads[i]);
    }
}

/* ---- working ------------------------------------------------------------------------------- */

static uint64_t running(const sally_pool *pool)
{
    return sally_load_seq(pool->setup.running);
}

static bool has_queue_limits(const sally_pool *pool)
{
    return pool->setup.queue.most >= 0 || pool->setup.queue.age_ms >= 0;
}

static bool may_lack_workers(const sally_pool *pool)
{
    bool may_grow = running(pool) < (uint64_t)pool->setup.workers_max;
    return !sally_pool_has_idle(pool) && (may_grow || has_queue_limits(pool));
}

static void watch(sally_pool *pool)
{
    uint64_t unwatched = 0;
    if (may_lack_workers(pool) && sally_cas_seq(&pool->watched, &unwatched, 1)) {
        sally_park_call(pool->setup.park, sally_deadline_after_ms(TICK_MS));
    }
}

static sally_task *wait_for_task(sally_pool *pool, ssl_deadline until, short *events)
{
    (void)sally_add_seq(&pool->idle, 1);
    sally_task *task = sally_park_take_ready(pool->setup.park, until, events);
    if (sally_add_seq(&pool->idle, UINT64_MAX) == 1) {
        call_one_away(pool);
        watch(pool);
    }
    return task;
}

static bool has_surplus(const sally_pool *pool)
{
    return running(pool) > (uint64_t)pool->setup.workers;
}

/* The caller is not counted as idle; another one must be. */
static bool may_retire(sally_pool *pool)
{
    uint64_t workers = running(pool);
    while (workers > (uint64_t)pool->setup.workers && sally_pool_has_idle(pool)) {
        if (sally_cas_seq(pool->setup.running, &workers, workers - 1)) {
            return true;
        }
    }
    return false;
}

static void run_turns(sally_pool *pool, pool_thread *t)
{
    uint64_t turns = sally_load_acq(&t->turns);
    while (sally_load_acq(&pool->stopping) == 0) {
        ssl_deadline until =
            has_surplus(pool) ? sally_deadline_after_ms(pool->setup.idle_ms) : SALLY_NEVER;
        sally_turn turn = {.worker = &t->worker};
        sally_task *task = wait_for_task(pool, until, &turn.events);
        if (task != NULL) {
            sally_store_rel(&t->turns, ++turns);
            sally_task_run_held(task, &turn);
        } else if (sally_deadline_passed(until) && may_retire(pool)) {
            sally_store_seq(&t->ended, 1);
            sally_park_call(pool->setup.park, sally_deadline_after_ms(0));
            return;
        }
    }
}

static void *work(void *arg)
{
    pool_thread *t = arg;
    pool_of_this_thread = t->worker.pool;
    run_turns(t->worker.pool, t);
    return NULL;
}

bool sally_pool_is_inside(const sally_pool *pool)
{
    return pool != NULL && pool_of_this_thread == pool;
}

/* ---- starting and joining workers ---------------------------------------------------------- */

/* NULL while one that has just retired is still to be joined. */
static pool_thread *empty_slot(sally_pool *pool)
{
    pool_thread *end = pool->threads + pool->setup.workers_max;
    pool_thread *t = pool->threads;
    while (t < end && t->started) {
        t++;
    }
    return t < end ? t : NULL;
}

/* `used` counts the slot before its thread is there, so that whoever looks for one that dwells sees it. */
static void use_slot(sally_pool *pool, const pool_thread *t)
{
    uint64_t needed = (uint64_t)(t - pool->threads) + 1;
    if (needed > sally_load_seq(&pool->used)) {
        sally_store_seq(&pool->used, needed);
    }
}

static ssl_status start_in(sally_pool *pool, pool_thread *t, ssl_error *err)
{
    int error = sally_thread_start(&t->thread, pool->setup.stack_bytes, work, t);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_SERVE, "cannot start worker %d of %d",
                                (int)running(pool), pool->setup.workers_max);
    }
    t->started = true;
    return SALLY_OK;
}

/* It is counted before it runs, or it could retire uncounted. */
static ssl_status start_worker(sally_pool *pool, pool_thread *t, ssl_error *err)
{
    use_slot(pool, t);
    t->worker.pool = pool;
    t->worker.wake = sally_wake_bank_take(pool->setup.bank);
    if (t->worker.wake == NULL) {
        return sally_fail_errno(err, errno, SALLY_PHASE_SERVE, "cannot open a wake for a worker");
    }
    (void)sally_add_seq(pool->setup.running, 1);
    ssl_status status = start_in(pool, t, err);
    if (status != SALLY_OK) {
        (void)sally_add_seq(pool->setup.running, UINT64_MAX);
        sally_wake_bank_give(pool->setup.bank, t->worker.wake);
    }
    return status;
}

static void join_worker(sally_pool *pool, pool_thread *t)
{
    sally_thread_join(&t->thread);
    sally_wake_bank_give(pool->setup.bank, t->worker.wake);
    sally_store_seq(&t->ended, 0);
    t->started = false;
}

static void join_retired(sally_pool *pool)
{
    uint64_t used = sally_load_seq(&pool->used);
    for (uint64_t i = 0; i < used; i++) {
        if (sally_load_seq(&pool->threads[i].ended) != 0) {
            join_worker(pool, &pool->threads[i]);
        }
    }
}

/* ---- growth -------------------------------------------------------------------------------- */

/* In the same turn as at the last look. One that dwells comes when it is called. */
static bool is_blocked(pool_thread *t)
{
    uint64_t turns = sally_load_acq(&t->turns);
    bool blocked = turns == t->turns_seen && sally_load_seq(&t->dwells) == 0;
    t->turns_seen = turns;
    return t->started && blocked;
}

static int count_blocked(sally_pool *pool)
{
    int blocked = 0;
    uint64_t used = sally_load_seq(&pool->used);
    for (uint64_t i = 0; i < used; i++) {
        blocked += is_blocked(&pool->threads[i]);
    }
    return blocked;
}

/* False when a thread could not be started. */
static bool grow(sally_pool *pool)
{
    int there = (int)running(pool);
    int wanted = pool->setup.workers + count_blocked(pool);
    pool_thread *t;
    for (; there < wanted && (t = empty_slot(pool)) != NULL; there++) {
        ssl_error why;
        if (start_worker(pool, t, &why) != SALLY_OK) {
            pool->setup.start_failed(pool->setup.owner, &why);
            return false;
        }
    }
    return true;
}

static int64_t inspect_queue(sally_pool *pool)
{
    bool limited = has_queue_limits(pool) && sally_load_acq(&pool->stopping) == 0;
    return limited ? (int64_t)sally_park_inspect(pool->setup.park, &pool->setup.queue) : 0;
}

/* ---- signs of life ------------------------------------------------------------------------- */

static uint64_t count_turns(const sally_pool *pool)
{
    uint64_t sum = 0;
    uint64_t used = sally_load_seq(&pool->used);
    for (uint64_t i = 0; i < used; i++) {
        sum += sally_load_acq(&pool->threads[i].turns);
    }
    return sum;
}

static bool is_stuck(sally_pool *pool)
{
    int64_t now = sally_now_ns();
    uint64_t turns = count_turns(pool);
    if (sally_pool_has_idle(pool) || turns != pool->turns_begun) {
        pool->turns_begun = turns;
        pool->last_moved_ns = now;
    }
    int64_t stuck_ms = pool->setup.beat.stuck_ms;
    return stuck_ms >= 0 && (now - pool->last_moved_ns) / 1000000 >= stuck_ms;
}

/* Also asks for the next call. */
static void beat(sally_pool *pool)
{
    const sally_pool_beat *how = &pool->setup.beat;
    if (how->interval_ms == 0) {
        return;
    }
    if (sally_deadline_passed(pool->next_beat)) {
        pool->next_beat = sally_deadline_after_ms(how->interval_ms);
        if (!is_stuck(pool)) {
            how->tell(how->user);
        }
    }
    sally_park_call(pool->setup.park, pool->next_beat);
}

/* ---- the timekeeper ------------------------------------------------------------------------ */

/* After the end of a watch it is looked once more: who took the last idle one before that relied on it. */
static void tend(sally_pool *pool)
{
    join_retired(pool);
    if (sally_load_seq(&pool->watched) == 0) {
        return;
    }
    if (may_lack_workers(pool)) {
        int64_t pause_ms = grow(pool) ? TICK_MS : NEXT_TRY_MS;
        pause_ms += inspect_queue(pool) / INSPECTED_PER_MS;
        sally_park_call(pool->setup.park, sally_deadline_after_ms(pause_ms));
        return;
    }
    sally_store_seq(&pool->watched, 0);
    watch(pool);
}

static void *keep_time(void *arg)
{
    sally_pool *pool = arg;
    pool_of_this_thread = pool;
    pool->last_moved_ns = sally_now_ns();
    beat(pool);
    while (sally_load_acq(&pool->stopping) == 0) {
        sally_task *task = sally_park_take_due(pool->setup.park);
        if (task != NULL) {
            sally_task_run_held(task, &(sally_turn){.worker = NULL});
        } else {
            tend(pool);
            beat(pool);
        }
    }
    return NULL;
}

/* ---- life ---------------------------------------------------------------------------------- */

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
    ssl_status status = SALLY_OK;
    for (int i = 0; status == SALLY_OK && i < pool->setup.workers; i++) {
        status = start_worker(pool, &pool->threads[i], err);
    }
    return status == SALLY_OK ? start_timekeeper(pool, err) : status;
}

static sally_pool *new_pool(const sally_pool_setup *setup)
{
    sally_pool *pool = sally_alloc(sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pool->setup = *setup;
    pool->threads = sally_alloc_array((size_t)setup->workers_max, sizeof *pool->threads);
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
    for (int i = 0; i < pool->setup.workers_max; i++) {
        if (pool->threads[i].started) {
            join_worker(pool, &pool->threads[i]);
        }
    }
    sally_store_seq(pool->setup.running, 0);
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

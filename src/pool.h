/* L7 service: the threads that run parked tasks: workers and one timekeeper. Knows no TLS.
 *
 * All workers wait in one pollset; the kernel's ready list is the queue. The timekeeper runs tasks
 * whose deadline has passed and never blocks in one. Workers that block are replaced up to a limit, and
 * those that are then too many end when they have been idle for a while (W2).
 */
#ifndef SALLY_POOL_H
#define SALLY_POOL_H

#include "atomic.h"
#include "break.h"
#include "park.h"

typedef struct sally_pool sally_pool;

typedef struct sally_worker {
    sally_pool *pool;
    const sally_wake *wake; /* from the bank, to be lent to what runs */
} sally_worker;

/* Signs of life, from the timekeeper: as long as it runs, and the workers are not stuck. They are when for
 * stuck_ms none of them was idle and none began a turn. */
typedef struct sally_pool_beat {
    int64_t interval_ms; /* 0: none */
    int64_t stuck_ms;    /* negative: they never are */
    void (*tell)(void *user);
    void *user;
} sally_pool_beat;

typedef struct sally_pool_setup {
    sally_park *park;          /* borrowed, for the life of the pool */
    sally_wake_bank *bank;     /* borrowed */
    sally_atomic_u64 *running; /* borrowed, 0 at first; workers now, for all to read */
    int workers;               /* that are not blocked, as far as workers_max allows */
    int workers_max;           /* at least `workers` */
    int64_t idle_ms;           /* after so long one that is not needed ends; negative: never */
    sally_queue_limits queue;
    size_t stack_bytes; /* of each thread; 0: the system's default */
    /* A worker that would have been of use could not be started, and is tried again: told each time,
     * on the timekeeper, no lock held. */
    void (*start_failed)(void *owner, const ssl_error *why);
    void *owner; /* for start_failed */
    sally_pool_beat beat;
} sally_pool_setup;

/* Starts all threads, or none: SYSTEM, MEMORY. */
ssl_status sally_pool_start(const sally_pool_setup *setup, sally_pool **pool, ssl_error *err);
/* Lets the threads end what they run, and no more; joins them, and frees the pool. The park can be
 * used by another pool then. NULL is fine. */
void sally_pool_stop(sally_pool *pool);
/* Whether a worker waits for work now: a hint, out of date when it arrives. */
bool sally_pool_has_idle(const sally_pool *pool);
/* Dwelling: a task that expects its event at once may wait for it on the spot, in a wait that
 * worker->wake ends, while another worker is free. Whoever takes the last free one raises the wake of
 * one that dwells. `begin` says whether it may; `end` follows in any case. */
bool sally_worker_dwell_begin(const sally_worker *worker);
void sally_worker_dwell_end(const sally_worker *worker);
/* Ends all dwelling. */
void sally_pool_stir(sally_pool *pool);
/* Whether the calling thread is one of its threads. */
bool sally_pool_is_inside(const sally_pool *pool);

#endif

/* L7 service: tasks that wait for an event or a deadline, holding no thread (W2). Knows no TLS.
 *
 * A task is an fd with a function. It is either PARKED, in the pollset and in the set of deadlines,
 * or HELD, by exactly one thread, which runs it and then parks or frees it. Whoever claims a parked
 * task holds it: a worker that got its event, the timekeeper when its deadline has passed, or a
 * third that asks for it by sally_park_claim. The claim protocol is at the top of park.c.
 */
#ifndef SALLY_PARK_H
#define SALLY_PARK_H

#include "clock.h"

typedef struct sally_park sally_park;
typedef struct sally_task sally_task;
struct sally_worker;

/* What is wrong with the place of a task among those that wait for a worker. */
typedef enum sally_overdue {
    SALLY_IN_TIME,
    SALLY_TOO_OLD, /* it has been ready for too long */
    SALLY_TOO_MANY /* too many are before it */
} sally_overdue;

/* Why a task runs. */
typedef struct sally_turn {
    struct sally_worker *worker; /* NULL: its deadline has passed, and this is the timekeeper */
    short events;                /* what is ready; POLLOUT alone may also be a call to hurry */
    sally_overdue overdue;       /* not IN_TIME: no worker was there; the worker is NULL */
} sally_turn;

/* For those that are ready and wait for a worker; negative: no limit. */
typedef struct sally_queue_limits {
    int64_t most;
    int64_t age_ms;
} sally_queue_limits;

/* Runs a held task. It ends by parking or freeing the task. */
typedef void (*sally_task_run)(sally_task *task, const sally_turn *turn);

/* NULL and errno on failure. */
sally_park *sally_park_open(void);
/* When no thread uses it; tasks need not be freed before. NULL is fine. */
void sally_park_close(sally_park *park);

/* A new task, held by the caller; NULL without memory. The fd stays the caller's. */
sally_task *sally_task_new(sally_park *park, int fd, sally_task_run run, void *owner);
/* Ends a held task; to be called before its fd is closed. */
void sally_task_free(sally_park *park, sally_task *task);
void *sally_task_owner(const sally_task *task);
int sally_task_fd(const sally_task *task);
/* The holder lets it be judged by sally_park_inspect from now on. */
void sally_task_may_be_overdue(sally_task *task);
/* Runs a task that the caller holds. */
void sally_task_run_held(sally_task *task, const sally_turn *turn);

/* Parks a held task until one of `events` (0: none) or `deadline`. From here on another thread may
 * hold it. 0, or an errno, and the caller holds it still. */
int sally_park_put(sally_park *park, sally_task *task, short events, ssl_deadline deadline);
/* True: it was parked, and the caller holds it now. */
bool sally_park_claim(sally_park *park, sally_task *task);
/* If it is parked, lets it wait for these events from now on. The task must not be freed meanwhile. */
void sally_park_rearm(sally_park *park, sally_task *task, short events);

/* Nothing stays parked longer than `limit_ms` any more. What waits for an event now is also woken
 * as soon as it can be written to, which is at once as a rule. */
void sally_park_hurry(sally_park *park, int64_t limit_ms);

/* For a worker: blocks until a task is ready or `until` has passed. NULL: that, or look whether to
 * stop, and come again. */
sally_task *sally_park_take_ready(sally_park *park, ssl_deadline until, short *events);
/* For the timekeeper: blocks until a deadline has passed. NULL: called, or stopped. */
sally_task *sally_park_take_due(sally_park *park);
/* For the timekeeper, while no worker is idle: goes through the tasks that are ready, in their order, and
 * runs those that are overdue; the others wait on. An age is counted from the first look at it. Returns
 * how many there are. */
size_t sally_park_inspect(sally_park *park, const sally_queue_limits *limits);
/* Makes the timekeeper come back with NULL, once, at `when` or at an earlier call. */
void sally_park_call(sally_park *park, ssl_deadline when);
/* Makes all that block in the two above return NULL, until called with false. */
void sally_park_stop(sally_park *park, bool on);

#endif

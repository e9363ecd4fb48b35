/* L7 service: tasks that wait for an event or a deadline. Knows no TLS.
 *
 * The claim protocol. A parked task may be wanted by three at once: a worker to which the kernel has
 * just given its event, the timekeeper, and a drain. Each takes the park's lock and looks at the
 * state; the first one finds PARKED, makes it HELD, and has the task alone. The others find HELD and
 * let go. Nobody can ask the kernel whether an event is already on its way to a worker, so:
 *   - the memory of a task is not freed before the park is closed, only used again: a worker that
 *     comes late with an event may always look at the state;
 *   - such a worker may find a new task in the old one's place, parked: it then claims that one
 *     without cause. So `run` must bear an event that is none; it parks the task again;
 *   - a task may stay armed in the kernel while it is held. Its event is then let go by whoever gets
 *     it, and is not lost: parking arms anew, and arming looks at the fd anew.
 * Parking arms the fd under the lock, because right after it the task may be another's.
 *
 * Deadlines are kept by one thread, the timekeeper, so they hold while every worker is in a handler.
 * `alarm` is the time it sleeps to; only a task that is due earlier wakes it, or a call (sally_park_call).
 *
 * The kernel's ready list is the queue of those that wait for a worker, and tells nobody its length. Where
 * that is limited, the timekeeper goes through it while no worker is idle: it takes out one after the
 * other, judges each by its place and its age, and arms it again, which puts it at the end, until it meets
 * one for the second time. So workers know nothing of it, and tasks stay parked meanwhile, except those
 * that are overdue. One that is parked anew begins its age anew.
 */
#include "park.h"

#include <errno.h>

#include "deadlines.h"
#include "list.h"
#include "mem.h"
#include "pollset.h"
#include "sync.h"

typedef enum task_state { TASK_FREE, TASK_HELD, TASK_PARKED } task_state;

struct sally_task {
    /* constant while not FREE */
    sally_task_run run;
    void *owner;
    int fd;
    /* the holder's, or under the lock while PARKED */
    bool watched;        /* the fd is in the pollset */
    bool may_be_overdue; /* sally_park_inspect judges it */
    short events;        /* while PARKED: armed for */
    /* lock */
    task_state state;
    sally_overdue overdue;
    int64_t ready_ns; /* when an inspection found it ready first; 0: none since it was parked */
    int64_t seen_ns;  /* which inspection saw it last */
    union {
        sally_due due;   /* while PARKED */
        sally_node node; /* else: in `free_tasks`, or among the overdue of an inspection */
    };
    sally_task *next_of_all;
};

struct sally_park {
    sally_pollset *set; /* constant */
    sally_mutex lock;
    sally_cond earlier; /* a deadline or a call before `alarm` came, or stop */
    /* lock */
    sally_deadlines parked;
    size_t tasks; /* not FREE: `parked` has room for all of them */
    sally_node free_tasks;
    sally_task *all_tasks;
    ssl_deadline alarm; /* the timekeeper sleeps until then; the past while it is awake */
    ssl_deadline call;  /* it comes back to its caller then */
    int64_t limit_ms;   /* negative: none */
    bool stopped;
};

#define AWAKE         ((ssl_deadline){INT64_MIN})
/* Ready tasks taken from the kernel at once. */
#define INSPECT_BATCH 64

sally_park *sally_park_open(void)
{
    sally_park *park = sally_alloc(sizeof *park);
    if (park == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    park->set = sally_pollset_open();
    if (park->set == NULL) {
        int error = errno;
        sally_free(park);
        errno = error;
        return NULL;
    }
    sally_mutex_init(&park->lock, SALLY_RANK_PARK);
    sally_cond_init(&park->earlier);
    sally_list_init(&park->free_tasks);
    park->alarm = AWAKE;
    park->call = SALLY_NEVER;
    park->limit_ms = -1;
    return park;
}

void sally_park_close(sally_park *park)
{
    if (park == NULL) {
        return;
    }
    while (park->all_tasks != NULL) {
        sally_task *task = park->all_tasks;
        park->all_tasks = task->next_of_all;
        sally_free(task);
    }
    sally_deadlines_fini(&park->parked);
    sally_pollset_close(park->set);
    sally_cond_fini(&park->earlier);
    sally_mutex_fini(&park->lock);
    sally_free(park);
}

/* ---- tasks --------------------------------------------------------------------------------- */

static sally_task *recycle_or_make_locked(sally_park *park)
{
    if (!sally_deadlines_reserve(&park->parked, park->tasks + 1)) {
        return NULL;
    }
    sally_node *node = sally_list_take_first(&park->free_tasks);
    if (node != NULL) {
        return SALLY_CONTAINER(node, sally_task, node);
    }
    sally_task *task = sally_alloc(sizeof *task);
    if (task != NULL) {
        task->next_of_all = park->all_tasks;
        park->all_tasks = task;
    }
    return task;
}

sally_task *sally_task_new(sally_park *park, int fd, sally_task_run run, void *owner)
{
    sally_mutex_lock(&park->lock);
    sally_task *task = recycle_or_make_locked(park);
    if (task != NULL) {
        task->state = TASK_HELD;
        task->watched = false;
        task->may_be_overdue = false;
        task->ready_ns = 0;
        task->fd = fd;
        task->run = run;
        task->owner = owner;
        park->tasks++;
    }
    sally_mutex_unlock(&park->lock);
    return task;
}

void sally_task_free(sally_park *park, sally_task *task)
{
    if (task->watched) {
        sally_pollset_remove(park->set, task->fd);
    }
    sally_mutex_lock(&park->lock);
    task->state = TASK_FREE;
    sally_list_append(&park->free_tasks, &task->node);
    park->tasks--;
    sally_mutex_unlock(&park->lock);
}

void *sally_task_owner(const sally_task *task)
{
    return task->owner;
}

int sally_task_fd(const sally_task *task)
{
    return task->fd;
}

void sally_task_may_be_overdue(sally_task *task)
{
    task->may_be_overdue = true;
}

void sally_task_run_held(sally_task *task, const sally_turn *turn)
{
    task->run(task, turn);
}

/* ---- parking ------------------------------------------------------------------------------- */

static int watch(sally_park *park, sally_task *task, short events)
{
    int error = task->watched ? sally_pollset_arm(park->set, task->fd, events, task)
                              : sally_pollset_add(park->set, task->fd, events, task);
    task->watched = task->watched || error == 0;
    return error;
}

/* A task that waits for no event is left out of the pollset: epoll would report its errors. */
static int arm_locked(sally_park *park, sally_task *task, short events)
{
    sally_mutex_assert_held(&park->lock);
    int error = events != 0 ? watch(park, task, events) : 0;
    if (error == 0) {
        task->events = events;
    }
    return error;
}

static void keep_time_locked(sally_park *park, ssl_deadline deadline)
{
    if (deadline.monotonic_ns < park->alarm.monotonic_ns) {
        park->alarm = deadline; /* so that the next one does not signal for the same */
        sally_cond_signal(&park->earlier);
    }
}

int sally_park_put(sally_park *park, sally_task *task, short events, ssl_deadline deadline)
{
    sally_mutex_lock(&park->lock);
    int error = arm_locked(park, task, events);
    if (error == 0) {
        if (park->limit_ms >= 0) {
            deadline = sally_deadline_earlier(deadline, sally_deadline_after_ms(park->limit_ms));
        }
        task->ready_ns = 0;
        task->state = TASK_PARKED;
        sally_deadlines_add(&park->parked, &task->due, deadline);
        keep_time_locked(park, deadline);
    }
    sally_mutex_unlock(&park->lock);
    return error;
}

static bool claim_locked(sally_park *park, sally_task *task)
{
    sally_mutex_assert_held(&park->lock);
    if (task->state != TASK_PARKED) {
        return false;
    }
    sally_deadlines_remove(&park->parked, &task->due);
    task->state = TASK_HELD;
    return true;
}

bool sally_park_claim(sally_park *park, sally_task *task)
{
    sally_mutex_lock(&park->lock);
    bool claimed = claim_locked(park, task);
    sally_mutex_unlock(&park->lock);
    return claimed;
}

void sally_park_rearm(sally_park *park, sally_task *task, short events)
{
    sally_mutex_lock(&park->lock);
    if (task->state == TASK_PARKED) {
        (void)arm_locked(park, task, events); /* if it fails, the deadline is left */
    }
    sally_mutex_unlock(&park->lock);
}

/* The new deadlines are in no need of an order of their own: all were cut at one time. */
void sally_park_hurry(sally_park *park, int64_t limit_ms)
{
    ssl_deadline limit = sally_deadline_after_ms(limit_ms);
    sally_mutex_lock(&park->lock);
    park->limit_ms = limit_ms;
    sally_deadlines_limit(&park->parked, limit);
    for (size_t i = 0; i < park->parked.count; i++) {
        sally_task *task = SALLY_CONTAINER(park->parked.entries[i], sally_task, due);
        if (task->events != 0) {
            (void)arm_locked(park, task, POLLIN | POLLOUT);
        }
    }
    keep_time_locked(park, limit);
    sally_mutex_unlock(&park->lock);
}

/* ---- those who run them -------------------------------------------------------------------- */

sally_task *sally_park_take_ready(sally_park *park, ssl_deadline until, short *events)
{
    sally_pollset_event event;
    /* One at a time: what a worker in a handler had in hand besides would wait for that handler. */
    if (sally_pollset_wait(park->set, until, &event, 1) == 0) {
        return NULL;
    }
    *events = event.events;
    return sally_park_claim(park, event.item) ? event.item : NULL;
}

/* ---- the queue ----------------------------------------------------------------------------- */

typedef struct inspection {
    const sally_queue_limits *limits;
    int64_t now_ns;     /* which inspection it is, too */
    size_t waiting;     /* in time */
    bool again;         /* one was seen twice: all have been seen */
    sally_node overdue; /* held */
} inspection;

static sally_overdue judge_locked(sally_task *task, const inspection *i)
{
    if (task->ready_ns == 0) {
        task->ready_ns = i->now_ns;
    }
    int64_t age_ms = (i->now_ns - task->ready_ns) / 1000000;
    if (i->limits->age_ms >= 0 && age_ms >= i->limits->age_ms) {
        return SALLY_TOO_OLD;
    }
    bool too_many = i->limits->most >= 0 && i->waiting >= (size_t)i->limits->most;
    return too_many ? SALLY_TOO_MANY : SALLY_IN_TIME;
}

/* True: it is held now. */
static bool is_overdue_locked(sally_park *park, sally_task *task, inspection *i)
{
    task->overdue = judge_locked(task, i);
    if (task->overdue == SALLY_IN_TIME) {
        i->waiting++;
        return false;
    }
    (void)claim_locked(park, task);
    sally_list_append(&i->overdue, &task->node);
    return true;
}

/* Its event was taken, so it is armed again, which puts it at the end of the kernel's list. It is not held
 * meanwhile: whoever looks for it must find it parked. */
static void inspect_locked(sally_park *park, sally_task *task, inspection *i)
{
    if (task->state != TASK_PARKED) {
        return;
    }
    bool seen = task->seen_ns == i->now_ns;
    task->seen_ns = i->now_ns;
    i->again = i->again || seen;
    if (seen || !task->may_be_overdue || !is_overdue_locked(park, task, i)) {
        (void)arm_locked(park, task, task->events); /* if it fails, the deadline is left */
    }
}

static void look_through(sally_park *park, inspection *i)
{
    sally_pollset_event events[INSPECT_BATCH];
    int count;
    do {
        count = sally_pollset_take(park->set, events, INSPECT_BATCH);
        sally_mutex_lock(&park->lock);
        for (int n = 0; n < count; n++) {
            inspect_locked(park, events[n].item, i);
        }
        sally_mutex_unlock(&park->lock);
    } while (count == INSPECT_BATCH && !i->again);
}

size_t sally_park_inspect(sally_park *park, const sally_queue_limits *limits)
{
    inspection i = {.limits = limits, .now_ns = sally_now_ns()};
    sally_node *node;
    sally_list_init(&i.overdue);
    look_through(park, &i);
    while ((node = sally_list_take_first(&i.overdue)) != NULL) {
        sally_task *task = SALLY_CONTAINER(node, sally_task, node);
        task->run(task, &(sally_turn){.overdue = task->overdue});
    }
    return i.waiting;
}

/* ---- the timekeeper ------------------------------------------------------------------------ */

static sally_task *claim_due_locked(sally_park *park)
{
    sally_due *first = sally_deadlines_first(&park->parked);
    if (first == NULL || !sally_deadline_passed(first->at)) {
        return NULL;
    }
    sally_task *task = SALLY_CONTAINER(first, sally_task, due);
    (void)claim_locked(park, task);
    return task;
}

static void sleep_locked(sally_park *park)
{
    const sally_due *first = sally_deadlines_first(&park->parked);
    park->alarm = first != NULL ? sally_deadline_earlier(first->at, park->call) : park->call;
    (void)sally_cond_wait_until(&park->earlier, &park->lock, park->alarm);
    park->alarm = AWAKE;
}

static bool is_called_locked(sally_park *park)
{
    bool called = sally_deadline_passed(park->call);
    if (called) {
        park->call = SALLY_NEVER;
    }
    return called;
}

sally_task *sally_park_take_due(sally_park *park)
{
    sally_task *task = NULL;
    sally_mutex_lock(&park->lock);
    while (!park->stopped && !is_called_locked(park) && (task = claim_due_locked(park)) == NULL) {
        sleep_locked(park);
    }
    sally_mutex_unlock(&park->lock);
    return task;
}

void sally_park_call(sally_park *park, ssl_deadline when)
{
    sally_mutex_lock(&park->lock);
    park->call = sally_deadline_earlier(park->call, when);
    keep_time_locked(park, when);
    sally_mutex_unlock(&park->lock);
}

void sally_park_stop(sally_park *park, bool on)
{
    sally_pollset_interrupt(park->set, on);
    sally_mutex_lock(&park->lock);
    park->stopped = on;
    sally_cond_signal(&park->earlier);
    sally_mutex_unlock(&park->lock);
}

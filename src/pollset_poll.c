/* L1 waiting: a pollset on poll(2), for systems without epoll; one of the files that may call it.
 *
 * One waiting thread at a time, the leader, sleeps in poll on a snapshot of the armed entries; the
 * others sleep on a condition. Whoever changes the entries raises the `change` wake, so that the
 * leader takes a new snapshot. A snapshot is only a reason to wake up: what is ready is found again,
 * under the lock, by a poll that does not block. So nothing stale is ever reported.
 *
 * Invariants:
 *   - entries[0, count) are in no order; events is 0 in those that are not armed;
 *   - `snapshot` belongs to the leader while there is one; `spare`, a larger one, takes its place at
 *     the next snapshot. The newer of the two has room for all entries, so that only adding can fail;
 *   - the change wake is raised only while a leader sleeps, and drained by it.
 * Linear in the number of entries: simple rather than fast.
 *
 * Locks: lock (SALLY_RANK_POLLSET).
 */
#include "pollset.h"

#include <errno.h>

#include "mem.h"
#include "sync.h"

/* Pollfds per poll that does not block: they live on the stack. */
#define BATCH_MAX      64
#define CAPACITY_FIRST 16

typedef struct entry {
    int fd;
    short events;
    void *item;
} entry;

struct sally_pollset {
    sally_mutex lock;
    sally_wake change;
    /* under lock: */
    entry *entries;
    int count;
    int capacity;
    int next; /* where the next search begins, so that no entry starves */
    struct pollfd *snapshot;
    struct pollfd *spare; /* or NULL */
    bool led;
    bool change_raised;
    bool interrupted;
    sally_cond followers;
};

/* Makes room for the entries and for a snapshot of them; the change wake takes one pollfd. */
static bool grow_locked(sally_pollset *set)
{
    int capacity = set->capacity == 0 ? CAPACITY_FIRST : 2 * set->capacity;
    struct pollfd *spare = sally_alloc_array((size_t)capacity + 1, sizeof *spare);
    if (spare == NULL) {
        return false;
    }
    entry *entries = sally_resize(set->entries, (size_t)capacity * sizeof *entries);
    if (entries == NULL) {
        sally_free(spare);
        return false;
    }
    sally_free(set->spare);
    set->spare = spare;
    set->entries = entries;
    set->capacity = capacity;
    return true;
}

/* ---- life ---------------------------------------------------------------------------------- */

/* What close finds, whatever succeeded: 0 or an errno. */
static int init_parts(sally_pollset *set)
{
    sally_mutex_init(&set->lock, SALLY_RANK_POLLSET);
    sally_cond_init(&set->followers);
    int error = sally_wake_open(&set->change);
    if (error != 0) {
        return error;
    }
    sally_mutex_lock(&set->lock);
    bool grown = grow_locked(set);
    sally_mutex_unlock(&set->lock);
    return grown ? 0 : ENOMEM;
}

sally_pollset *sally_pollset_open(void)
{
    sally_pollset *set = sally_alloc(sizeof *set);
    if (set == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    int error = init_parts(set);
    if (error != 0) {
        sally_pollset_close(set);
        errno = error;
        return NULL;
    }
    return set;
}

void sally_pollset_close(sally_pollset *set)
{
    if (set == NULL) {
        return;
    }
    sally_wake_close(&set->change);
    sally_cond_fini(&set->followers);
    sally_mutex_fini(&set->lock);
    sally_free(set->entries);
    sally_free(set->snapshot);
    sally_free(set->spare);
    sally_free(set);
}

/* ---- entries ------------------------------------------------------------------------------- */

static entry *find_locked(sally_pollset *set, int fd)
{
    for (int i = 0; i < set->count; i++) {
        if (set->entries[i].fd == fd) {
            return &set->entries[i];
        }
    }
    return NULL;
}

static void tell_leader_locked(sally_pollset *set)
{
    if (set->led && !set->change_raised) {
        set->change_raised = true;
        sally_wake_raise(&set->change);
    }
}

static int add_locked(sally_pollset *set, entry added)
{
    if (find_locked(set, added.fd) != NULL) {
        return EEXIST;
    }
    if (set->count == set->capacity && !grow_locked(set)) {
        return ENOMEM;
    }
    set->entries[set->count++] = added;
    tell_leader_locked(set);
    return 0;
}

int sally_pollset_add(sally_pollset *set, int fd, short events, void *item)
{
    sally_mutex_lock(&set->lock);
    int error = add_locked(set, (entry){fd, events, item});
    sally_mutex_unlock(&set->lock);
    return error;
}

int sally_pollset_arm(sally_pollset *set, int fd, short events, void *item)
{
    sally_mutex_lock(&set->lock);
    entry *found = find_locked(set, fd);
    if (found != NULL) {
        found->events = events;
        found->item = item;
        tell_leader_locked(set);
    }
    sally_mutex_unlock(&set->lock);
    return found != NULL ? 0 : ENOENT;
}

void sally_pollset_remove(sally_pollset *set, int fd)
{
    sally_mutex_lock(&set->lock);
    entry *found = find_locked(set, fd);
    if (found != NULL) {
        *found = set->entries[--set->count];
        tell_leader_locked(set);
    }
    sally_mutex_unlock(&set->lock);
}

/* ---- what is ready ------------------------------------------------------------------------- */

/* Fills a batch with armed entries from *from on; returns how many. `indices` tells which. */
static int fill_batch_locked(sally_pollset *set, int *from, int end, struct pollfd *fds,
                             int *indices)
{
    int filled = 0;
    for (; *from < end && filled < BATCH_MAX; ++*from) {
        int index = *from % set->count;
        if (set->entries[index].events != 0) {
            fds[filled] =
                (struct pollfd){.fd = set->entries[index].fd, .events = set->entries[index].events};
            indices[filled++] = index;
        }
    }
    return filled;
}

/* Without blocking; EINTR cannot come from a poll that does not sleep, but costs nothing. */
static void poll_now(struct pollfd *fds, int count)
{
    while (poll(fds, (nfds_t)count, 0) < 0 && errno == EINTR) {}
}

static int take_batch_locked(sally_pollset *set, const struct pollfd *fds, const int *indices,
                             int count, sally_pollset_event *events, int most)
{
    int taken = 0;
    for (int i = 0; i < count && taken < most; i++) {
        if (fds[i].revents != 0) {
            entry *e = &set->entries[indices[i]];
            events[taken++] = (sally_pollset_event){e->item, fds[i].revents};
            e->events = 0;
            set->next = indices[i] + 1;
        }
    }
    return taken;
}

/* Disarms what it returns. */
static int take_locked(sally_pollset *set, sally_pollset_event *events, int most)
{
    struct pollfd fds[BATCH_MAX];
    int indices[BATCH_MAX];
    int from = set->next;
    int end = from + set->count;
    int taken = 0;
    sally_mutex_assert_held(&set->lock);
    while (from < end && taken < most) {
        int count = fill_batch_locked(set, &from, end, fds, indices);
        poll_now(fds, count);
        taken += take_batch_locked(set, fds, indices, count, events + taken, most - taken);
    }
    set->next = set->count == 0 ? 0 : set->next % set->count;
    return taken;
}

int sally_pollset_take(sally_pollset *set, sally_pollset_event *events, int most)
{
    sally_mutex_lock(&set->lock);
    int taken = take_locked(set, events, most);
    sally_mutex_unlock(&set->lock);
    return taken;
}

/* As sally_pollset_watch. */
static int snapshot_locked(const sally_pollset *set, struct pollfd *fds, int most)
{
    int armed = 0;
    for (int i = 0; i < set->count; i++) {
        const entry *e = &set->entries[i];
        if (e->events == 0) {
            continue;
        }
        if (armed < most) {
            fds[armed] = (struct pollfd){.fd = e->fd, .events = e->events};
        }
        armed++;
    }
    return armed;
}

int sally_pollset_watch(sally_pollset *set, struct pollfd *fds, int most)
{
    sally_mutex_lock(&set->lock);
    int armed = snapshot_locked(set, fds, most);
    sally_mutex_unlock(&set->lock);
    return armed;
}

/* ---- waiting ------------------------------------------------------------------------------- */

static void sleep_on_snapshot(sally_pollset *set, int count, ssl_deadline deadline)
{
    set->snapshot[count] = (struct pollfd){.fd = set->change.wait_fd, .events = POLLIN};
    (void)poll(set->snapshot, (nfds_t)count + 1, sally_deadline_poll_ms(deadline));
}

static void adopt_spare_locked(sally_pollset *set)
{
    if (set->spare != NULL) {
        sally_free(set->snapshot);
        set->snapshot = set->spare;
        set->spare = NULL;
    }
}

/* Sleeps until something may be ready. The lock is not held meanwhile. */
static void lead_locked(sally_pollset *set, ssl_deadline deadline)
{
    adopt_spare_locked(set);
    int count = snapshot_locked(set, set->snapshot, set->capacity);
    set->led = true;
    sally_mutex_unlock(&set->lock);
    sleep_on_snapshot(set, count, deadline);
    sally_mutex_lock(&set->lock);
    set->led = false;
    if (set->change_raised) {
        set->change_raised = false;
        sally_wake_drain(&set->change);
    }
}

static int wait_locked(sally_pollset *set, ssl_deadline deadline, sally_pollset_event *events,
                       int most)
{
    for (;;) {
        int taken = take_locked(set, events, most);
        if (taken > 0 || set->interrupted || sally_deadline_passed(deadline)) {
            return taken;
        }
        if (set->led) {
            sally_cond_wait_until(&set->followers, &set->lock, deadline);
        } else {
            lead_locked(set, deadline);
        }
    }
}

int sally_pollset_wait(sally_pollset *set, ssl_deadline deadline, sally_pollset_event *events,
                       int most)
{
    sally_mutex_lock(&set->lock);
    int taken = wait_locked(set, deadline, events, most);
    sally_cond_signal(&set->followers); /* whoever leaves may leave the set without a leader */
    sally_mutex_unlock(&set->lock);
    return taken;
}

void sally_pollset_interrupt(sally_pollset *set, bool on)
{
    sally_mutex_lock(&set->lock);
    set->interrupted = on;
    if (on) {
        tell_leader_locked(set);
        sally_cond_broadcast(&set->followers);
    }
    sally_mutex_unlock(&set->lock);
}

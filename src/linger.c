/* L5 ports: the helper that sees sockets out (linger.h says why).
 *
 * One mutex guards the set of those that linger. A socket in it belongs to the helper thread alone: it
 * alone steps it, takes it out and closes it. The thread is started with the first entry and ends after
 * IDLE_MS without any; the pollset lives as long as the thread, which a deadline that is earlier than
 * those before it interrupts. A child of fork(2) has no such thread and starts with an empty set.
 */
#include "linger.h"

#include <poll.h>

#include "deadlines.h"
#include "list.h"
#include "mem.h"
#include "pollset.h"
#include "sock.h"
#include "sync.h"

enum {
    IDLE_MS = 500,
    EVENTS_AT_ONCE = 16,
    DISCARD_BYTES = 4096,
    DISCARDS_AT_ONCE = 64,
    STACK_BYTES = 64 * 1024
};

typedef struct leaver {
    int fd;
    sally_buf unsent;
    sally_due due;
} leaver;

static struct {
    sally_mutex lock;
    sally_deadlines waiting; /* lock; of leaver */
    sally_pollset *set;      /* lock to change; NULL: no thread */
    unsigned process;        /* lock; the generation the thread belongs to */
} room = {.lock = SALLY_MUTEX_INIT(SALLY_RANK_LINGER)};

/* ---- one socket ---------------------------------------------------------------------------- */

/* True when everything is on its way; a dead way out counts as that. */
static bool send_rest(int fd, sally_buf *unsent)
{
    while (unsent->length != 0) {
        size_t sent = 0;
        int failed;
        sally_io io = sally_sock_send(fd, sally_buf_front(unsent), unsent->length, &sent, &failed);
        if (io == SALLY_IO_WOULD_BLOCK) {
            return false;
        }
        sally_buf_consume(unsent, io == SALLY_IO_DONE ? sent : unsent->length);
    }
    return true;
}

/* True when the peer has ended or is gone. */
static bool discard_input(int fd)
{
    char bytes[DISCARD_BYTES];
    for (int i = 0; i < DISCARDS_AT_ONCE; i++) {
        size_t got;
        int failed;
        sally_io io = sally_sock_receive(fd, bytes, sizeof bytes, &got, &failed);
        if (io != SALLY_IO_DONE) {
            return io != SALLY_IO_WOULD_BLOCK;
        }
    }
    return false;
}

/* True when the socket may be closed now. */
static bool see_out(int fd, sally_buf *unsent, bool peer_done)
{
    if (!send_rest(fd, unsent)) {
        return false;
    }
    if (peer_done) {
        return true;
    }
    sally_sock_shut_send(fd);
    return discard_input(fd);
}

static short events_for(const leaver *l)
{
    return (short)(l->unsent.length != 0 ? POLLIN | POLLOUT : POLLIN);
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void dismiss_locked(leaver *l)
{
    sally_pollset_remove(room.set, l->fd);
    sally_deadlines_remove(&room.waiting, &l->due);
    sally_sock_close(l->fd);
    sally_buf_fini(&l->unsent);
    sally_free(l);
}

static void serve(sally_pollset *set, const sally_pollset_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        leaver *l = events[i].item;
        bool done = see_out(l->fd, &l->unsent, false);
        sally_mutex_lock(&room.lock);
        if (done || sally_pollset_arm(set, l->fd, events_for(l), l) != 0) {
            dismiss_locked(l);
        }
        sally_mutex_unlock(&room.lock);
    }
}

/* Closes what has lingered long enough; false when there was nothing to wait for any more. *next: when
 * to look again. */
static bool expire(bool was_idle, ssl_deadline *next)
{
    bool more = true;
    sally_mutex_lock(&room.lock);
    sally_due *due;
    while ((due = sally_deadlines_first(&room.waiting)) != NULL && sally_deadline_passed(due->at)) {
        dismiss_locked(SALLY_CONTAINER(due, leaver, due));
    }
    if (due == NULL) {
        *next = sally_deadline_after_ms(IDLE_MS);
        more = !was_idle;
    } else {
        *next = due->at;
    }
    if (more) {
        sally_pollset_interrupt(room.set, false);
    } else {
        sally_pollset_close(room.set);
        sally_deadlines_fini(&room.waiting);
        room.set = NULL;
    }
    sally_mutex_unlock(&room.lock);
    return more;
}

static void *run(void *set)
{
    ssl_deadline next = sally_deadline_after_ms(IDLE_MS);
    int count;
    do {
        sally_pollset_event events[EVENTS_AT_ONCE];
        count = sally_pollset_wait(set, next, events, EVENTS_AT_ONCE);
        serve(set, events, count);
    } while (expire(count == 0, &next));
    return NULL;
}

static bool has_thread_locked(void)
{
    if (room.process != sally_process_generation()) { /* the parent's, not ours */
        room.set = NULL;
        room.waiting.count = 0;
        room.process = sally_process_generation();
    }
    if (room.set != NULL) {
        return true;
    }
    room.set = sally_pollset_open();
    if (room.set != NULL && sally_thread_start_detached(STACK_BYTES, run, room.set) != 0) {
        sally_pollset_close(room.set);
        room.set = NULL;
    }
    return room.set != NULL;
}

static bool admit_locked(leaver *l, ssl_deadline deadline)
{
    size_t count = room.waiting.count;
    if (count >= SALLY_LINGER_MAX || !has_thread_locked() ||
        !sally_deadlines_reserve(&room.waiting, count + 1) ||
        sally_pollset_add(room.set, l->fd, events_for(l), l) != 0) {
        return false;
    }
    sally_deadlines_add(&room.waiting, &l->due, deadline);
    if (count != 0 && sally_deadlines_first(&room.waiting) == &l->due) {
        sally_pollset_interrupt(room.set, true); /* the thread sleeps to a later one */
    }
    return true;
}

void sally_linger_retire(int fd, sally_buf *unsent, bool peer_done, int64_t linger_ms)
{
    ssl_deadline deadline = sally_deadline_after_ms(linger_ms != 0 ? linger_ms : SALLY_LINGER_MS);
    leaver *l = see_out(fd, unsent, peer_done) ? NULL : sally_alloc(sizeof *l);
    bool admitted = false;
    if (l != NULL) {
        *l = (leaver){.fd = fd, .unsent = *unsent};
        sally_mutex_lock(&room.lock);
        admitted = admit_locked(l, deadline);
        sally_mutex_unlock(&room.lock);
    }
    if (admitted) {
        *unsent = (sally_buf){.data = NULL};
    } else {
        sally_sock_close(fd);
        sally_buf_fini(unsent);
        sally_free(l);
    }
}

size_t sally_linger_count(void)
{
    sally_mutex_lock(&room.lock);
    size_t count = room.process == sally_process_generation() ? room.waiting.count : 0;
    sally_mutex_unlock(&room.lock);
    return count;
}

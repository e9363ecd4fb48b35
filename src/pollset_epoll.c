/* L1 waiting: a pollset on epoll(7), one of two files that may call it.
 *
 * Each fd is registered with EPOLLONESHOT, and its item is epoll's own data: the kernel is the only
 * table, and it hands an entry to one thread (see pollset.h). There is no lock here.
 *
 * Invariants: an fd that was added but never armed is not registered, because epoll reports errors
 * and hang-ups of whatever is registered; data.ptr is NULL for the interrupt alone, which is
 * level-triggered and not one-shot, so that it ends every wait while it is raised.
 */
#include "pollset.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"
#include "wake.h"

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
                   EPOLLHUP == POLLHUP,
               "events are passed through");

/* Events per system call; a caller who wants more comes again. */
#define BATCH_MAX 64

struct sally_pollset {
    int fd; /* constant */
    sally_wake interrupt;
};

static int watch_interrupt(sally_pollset *set)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(set->fd, EPOLL_CTL_ADD, set->interrupt.wait_fd, &event) < 0 ? errno : 0;
}

static int open_fds(sally_pollset *set)
{
    set->interrupt = SALLY_WAKE_CLOSED;
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->fd < 0) {
        return errno;
    }
    int error = sally_wake_open(&set->interrupt);
    return error != 0 ? error : watch_interrupt(set);
}

sally_pollset *sally_pollset_open(void)
{
    sally_pollset *set = sally_alloc(sizeof *set);
    if (set == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    int error = open_fds(set);
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
    sally_wake_close(&set->interrupt);
    if (set->fd >= 0) {
        close(set->fd);
    }
    sally_free(set);
}

static int control(sally_pollset *set, int operation, int fd, short events, void *item)
{
    struct epoll_event event = {.events = (uint32_t)events | EPOLLONESHOT, .data.ptr = item};
    return epoll_ctl(set->fd, operation, fd, &event) < 0 ? errno : 0;
}

int sally_pollset_add(sally_pollset *set, int fd, short events, void *item)
{
    return events != 0 ? control(set, EPOLL_CTL_ADD, fd, events, item) : 0;
}

int sally_pollset_arm(sally_pollset *set, int fd, short events, void *item)
{
    int error = control(set, EPOLL_CTL_MOD, fd, events, item);
    return error == ENOENT ? control(set, EPOLL_CTL_ADD, fd, events, item) : error;
}

void sally_pollset_remove(sally_pollset *set, int fd)
{
    struct epoll_event ignored = {0}; /* kernels before 2.6.9 want one */
    (void)epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, &ignored);
}

/* Leaves the interrupt out; returns how many remain. */
static int keep_items(const struct epoll_event *got, int count, sally_pollset_event *events)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        if (got[i].data.ptr != NULL) {
            events[kept++] = (sally_pollset_event){got[i].data.ptr, (short)got[i].events};
        }
    }
    return kept;
}

/* As epoll_wait, which also gives -1; *interrupted: the interrupt is raised. */
static int wait_once(sally_pollset *set, int timeout_ms, sally_pollset_event *events, int most,
                     bool *interrupted)
{
    struct epoll_event got[BATCH_MAX];
    int count = epoll_wait(set->fd, got, most < BATCH_MAX ? most : BATCH_MAX, timeout_ms);
    if (count <= 0) {
        return count;
    }
    int kept = keep_items(got, count, events);
    *interrupted = kept < count;
    return kept;
}

int sally_pollset_wait(sally_pollset *set, ssl_deadline deadline, sally_pollset_event *events,
                       int most)
{
    for (;;) {
        bool interrupted = false;
        int count = wait_once(set, sally_deadline_poll_ms(deadline), events, most, &interrupted);
        if (count > 0) {
            return count;
        }
        if (interrupted || (count == 0 && sally_deadline_passed(deadline)) ||
            (count < 0 && errno != EINTR)) {
            return 0;
        }
    }
}

void sally_pollset_interrupt(sally_pollset *set, bool on)
{
    if (on) {
        sally_wake_raise(&set->interrupt);
    } else {
        sally_wake_drain(&set->interrupt);
    }
}

int sally_pollset_watch(sally_pollset *set, struct pollfd *fds, int most)
{
    if (most >= 1) {
        fds[0] = (struct pollfd){.fd = set->fd, .events = POLLIN};
    }
    return 1;
}

int sally_pollset_take(sally_pollset *set, sally_pollset_event *events, int most)
{
    bool interrupted;
    int count;
    do {
        count = wait_once(set, 0, events, most, &interrupted);
    } while (count < 0 && errno == EINTR);
    return count > 0 ? count : 0;
}

/* L1 waiting: many fds watched at once, each armed for one event at a time.
 *
 * pollset_epoll.c uses epoll with one-shot arming; pollset_poll.c, for the portable build, poll(2)
 * over the armed entries. An entry that was returned is disarmed: exactly one thread has it, until
 * that thread arms it again or removes it. So whoever holds an entry may free it.
 *
 * An entry that is armed may be returned to another thread at once. So whoever frees entries that
 * are armed, a deadline passed say, takes and removes under a lock of its own.
 * Threads: every call from any thread, except open and close.
 */
#ifndef SALLY_POLLSET_H
#define SALLY_POLLSET_H

#include <poll.h>

#include "break.h"

typedef struct sally_pollset sally_pollset;

typedef struct sally_pollset_event {
    void *item;
    short events; /* POLLIN, POLLOUT, POLLHUP, POLLERR */
} sally_pollset_event;

/* NULL and errno on failure. */
sally_pollset *sally_pollset_open(void);
/* NULL is fine. The fds in it stay open. */
void sally_pollset_close(sally_pollset *set);

/* Adds an fd, armed for `events` (POLLIN, POLLOUT, or 0: not armed). `item` is not NULL. 0 or an
 * errno. */
int sally_pollset_add(sally_pollset *set, int fd, short events, void *item);
/* Arms an fd of the set once more. 0 or an errno. */
int sally_pollset_arm(sally_pollset *set, int fd, short events, void *item);
/* Takes an fd out; to be called before it is closed. An event for it that another thread has
 * already been given stays with that thread. */
void sally_pollset_remove(sally_pollset *set, int fd);

/* Blocks until an entry is ready, `deadline` passes or sally_pollset_interrupt: returns how many
 * events were filled in, 0 for the latter two. Many threads may wait at once; one entry goes to one
 * of them. */
int sally_pollset_wait(sally_pollset *set, ssl_deadline deadline, sally_pollset_event *events,
                       int most);
/* Makes every present and future wait return at once, with what is ready or with 0, until called
 * with false. */
void sally_pollset_interrupt(sally_pollset *set, bool on);

/* For one who waits with poll(2) for the set and other things together: pollfds that become ready
 * when an entry is (one with epoll; the armed ones else). Returns how many there are; when they are
 * more than `most`, only so many were filled in: come again with more room.
 * The pollfds are a snapshot: they may not show what another thread arms later. Whoever arms, and
 * does not then watch itself, makes another one who watches look anew. */
int sally_pollset_watch(sally_pollset *set, struct pollfd *fds, int most);
/* What is ready now, without blocking; returns how many events were filled in. */
int sally_pollset_take(sally_pollset *set, sally_pollset_event *events, int most);

#endif

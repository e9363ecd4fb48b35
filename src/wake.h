/* L1 waiting: a level-triggered flag that poll(2) can see.
 *
 * wake_eventfd.c holds one file descriptor, wake_pipe.c two; the build chooses (SALLYPORT_WAKE).
 * A raised wake is readable until it is drained. Raising is async-signal-safe and keeps errno.
 */
#ifndef SALLY_WAKE_H
#define SALLY_WAKE_H

typedef struct sally_wake {
    int wait_fd;  /* what poll watches for POLLIN; -1: not open */
    int raise_fd; /* the same with eventfd */
} sally_wake;

#define SALLY_WAKE_CLOSED ((sally_wake){-1, -1})

/* 0 or an errno. */
int sally_wake_open(sally_wake *w);
void sally_wake_close(sally_wake *w);
void sally_wake_raise(const sally_wake *w);
void sally_wake_drain(const sally_wake *w);

#endif

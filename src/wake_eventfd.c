/* L1 waiting: wakes on eventfd(2). One descriptor both ways; its counter is the flag, so that raising
 * a raised wake adds nothing a waiter could see, and one read drains whatever was raised. */
#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "wake.h"

int sally_wake_open(sally_wake *w)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    w->wait_fd = fd;
    w->raise_fd = fd;
    return fd < 0 ? errno : 0;
}

void sally_wake_close(sally_wake *w)
{
    if (w->wait_fd >= 0) {
        close(w->wait_fd);
    }
    *w = SALLY_WAKE_CLOSED;
}

/* EAGAIN means that the counter is near its end, so the wake is raised already. */
void sally_wake_raise(const sally_wake *w)
{
    int kept = errno;
    const uint64_t one = 1;
    while (write(w->raise_fd, &one, sizeof one) < 0 && errno == EINTR) {}
    errno = kept;
}

void sally_wake_drain(const sally_wake *w)
{
    int kept = errno;
    uint64_t count;
    while (read(w->wait_fd, &count, sizeof count) < 0 && errno == EINTR) {}
    errno = kept;
}

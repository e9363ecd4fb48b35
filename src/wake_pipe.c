/* L1 waiting: wakes on pipe(2), for systems without eventfd. A byte in the pipe is the flag. A full
 * pipe is a raised wake, so a failed write loses nothing. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "wake.h"

static int make_quiet(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return errno;
    }
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? errno : 0;
}

int sally_wake_open(sally_wake *w)
{
    int ends[2];
    *w = SALLY_WAKE_CLOSED;
    if (pipe(ends) < 0) {
        return errno;
    }
    w->wait_fd = ends[0];
    w->raise_fd = ends[1];
    int failed = make_quiet(ends[0]);
    if (failed == 0) {
        failed = make_quiet(ends[1]);
    }
    if (failed != 0) {
        sally_wake_close(w);
    }
    return failed;
}

void sally_wake_close(sally_wake *w)
{
    if (w->wait_fd >= 0) {
        close(w->wait_fd);
        close(w->raise_fd);
    }
    *w = SALLY_WAKE_CLOSED;
}

void sally_wake_raise(const sally_wake *w)
{
    int kept = errno;
    while (write(w->raise_fd, "", 1) < 0 && errno == EINTR) {}
    errno = kept;
}

void sally_wake_drain(const sally_wake *w)
{
    int kept = errno;
    char bytes[256];
    ssize_t got;
    do {
        got = read(w->wait_fd, bytes, sizeof bytes);
    } while (got == (ssize_t)sizeof bytes || (got < 0 && errno == EINTR));
    errno = kept;
}

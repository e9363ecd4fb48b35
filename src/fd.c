/* L2 net: descriptors of the user's (fd.h says how they are borrowed). The only reader and writer of
 * what is no socket.
 *
 * SIGPIPE (E3): write(2) has no flag against it, so it is blocked in this thread around the write. The
 * signal of a failed write goes to the thread that wrote, so what becomes pending here is ours, and is
 * taken back before the mask is put back. One that was pending before is somebody else's (it can only be
 * because he blocked it), and stays: signals do not queue, so ours changes nothing then.
 *
 * EINTR is retried here and seen by nobody (B7). No locks.
 */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "sock.h"

#ifdef SALLY_TESTING

static _Thread_local sally_fault fd_fault;

void sally_fd_fail_at(long nth, int err)
{
    fd_fault = (sally_fault){.nth = nth, .err = err};
}

long sally_fd_count(void)
{
    return fd_fault.count;
}

static bool must_fail(void)
{
    bool hit = sally_fault_hit(&fd_fault);
    if (hit) {
        errno = fd_fault.err;
    }
    return hit;
}

#else

static inline bool must_fail(void)
{
    return false;
}

#endif

/* ---- the loan ------------------------------------------------------------------------------ */

static int flags_of(int number)
{
    return must_fail() ? -1 : fcntl(number, F_GETFL);
}

bool sally_fd_is_open(int number)
{
    return fcntl(number, F_GETFD) >= 0;
}

int sally_fd_look(int number, bool for_writing, sally_fd *fd)
{
    *fd = (sally_fd){.number = number};
    int flags = flags_of(number);
    if (flags < 0) {
        return errno;
    }
    if ((flags & O_ACCMODE) == (for_writing ? O_RDONLY : O_WRONLY)) {
        return EACCES;
    }
    int type;
    int failed = sally_sock_type(number, &type);
    if (failed != 0 && failed != ENOTSOCK) {
        return failed;
    }
    fd->is_socket = failed == 0;
    if (fd->is_socket && type != SOCK_STREAM) {
        return EPROTOTYPE;
    }
    fd->was_blocking = !fd->is_socket && (flags & O_NONBLOCK) == 0;
    fd->was_delaying = fd->is_socket && sally_sock_delays(number);
    return 0;
}

static int set_nonblocking(int number, bool on)
{
    int flags = flags_of(number);
    if (flags < 0) {
        return errno;
    }
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    int result = must_fail() ? -1 : fcntl(number, F_SETFL, wanted);
    return result < 0 ? errno : 0;
}

int sally_fd_borrow(const sally_fd *fd)
{
    if (fd->was_delaying) {
        sally_sock_no_delay(fd->number);
    }
    return fd->was_blocking ? set_nonblocking(fd->number, true) : 0;
}

void sally_fd_give_back(const sally_fd *fd)
{
    if (fd->was_delaying) {
        sally_sock_delay(fd->number);
    }
    if (fd->was_blocking) {
        (void)set_nonblocking(fd->number, false);
    }
}

int sally_fd_set_cloexec(int number)
{
    int result = must_fail() ? -1 : fcntl(number, F_SETFD, FD_CLOEXEC);
    return result < 0 ? errno : 0;
}

int sally_fd_adopt(int number)
{
    int error = sally_fd_set_cloexec(number);
    return error != 0 ? error : set_nonblocking(number, true);
}

int sally_fd_duplicate(int number)
{
    return must_fail() ? -1 : fcntl(number, F_DUPFD_CLOEXEC, 0);
}

int sally_fd_duplicate_above(int number, int number_below)
{
    return must_fail() ? -1 : fcntl(number, F_DUPFD_CLOEXEC, number_below + 1);
}

void sally_fd_close(int number)
{
    sally_sock_close(number);
}

/* ---- bytes --------------------------------------------------------------------------------- */

static sally_io failed_io(int *sys_errno)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return SALLY_IO_WOULD_BLOCK;
    }
    *sys_errno = errno;
    return SALLY_IO_FAILED;
}

sally_io sally_fd_receive(const sally_fd *fd, void *buf, size_t n, size_t *count, int *sys_errno)
{
    if (fd->is_socket) {
        return sally_sock_receive(fd->number, buf, n, count, sys_errno);
    }
    ssize_t got;
    *count = 0;
    do {
        got = must_fail() ? -1 : read(fd->number, buf, n);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return failed_io(sys_errno);
    }
    *count = (size_t)got;
    return got > 0 ? SALLY_IO_DONE : SALLY_IO_END;
}

static ssize_t write_again(int number, const void *buf, size_t n)
{
    ssize_t sent;
    do {
        sent = must_fail() ? -1 : write(number, buf, n);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

static bool is_pending(int signo)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, signo) == 1;
}

static void take_back(const sigset_t *set)
{
    const struct timespec at_once = {0, 0};
    while (sigtimedwait(set, NULL, &at_once) < 0 && errno == EINTR) {}
}

/* write(2) without its signal; errno is that of the write. */
static ssize_t write_quietly(int number, const void *buf, size_t n)
{
    if (is_pending(SIGPIPE)) {
        return write_again(number, buf, n);
    }
    sigset_t pipe_signal;
    sigset_t before;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    ssize_t sent = write_again(number, buf, n);
    int error = errno;
    if (sent < 0 && error == EPIPE) {
        take_back(&pipe_signal);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return sent;
}

sally_io sally_fd_send(const sally_fd *fd, const void *buf, size_t n, size_t *count, int *sys_errno)
{
    if (fd->is_socket) {
        return sally_sock_send(fd->number, buf, n, count, sys_errno);
    }
    *count = 0;
    ssize_t sent = write_quietly(fd->number, buf, n);
    if (sent < 0) {
        return failed_io(sys_errno);
    }
    *count = (size_t)sent;
    return SALLY_IO_DONE;
}

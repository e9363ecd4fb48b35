/* L2 net: the only maker of socket calls.
 *
 * Invariants: every socket that leaves this file is non-blocking and CLOEXEC (B10); every send has
 * MSG_NOSIGNAL, so SIGPIPE dies here (E3); sends and receives have MSG_DONTWAIT, so that they do not
 * block on a user's socket either; EINTR is retried here and seen by nobody (B7); a failure leaves
 * no fd behind; a closed fd is closed once.
 *
 * TCP_NODELAY (P6) is set on listening sockets, because Linux lets accepted ones inherit it: no
 * system call per connection.
 *
 * No locks; the injected fault of the test library is per thread.
 */
#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"

#ifdef SALLY_TESTING

static _Thread_local sally_fault sock_fault;

void sally_sock_fail_at(long nth, int err)
{
    sock_fault = (sally_fault){.nth = nth, .err = err};
}

long sally_sock_count(void)
{
    return sock_fault.count;
}

static bool must_fail(void)
{
    bool hit = sally_fault_hit(&sock_fault);
    if (hit) {
        errno = sock_fault.err;
    }
    return hit;
}

#else

static inline bool must_fail(void)
{
    return false;
}

#endif

/* The results of a call that gives -1 and errno, as an errno. */
static int errno_of(int result)
{
    return result < 0 ? errno : 0;
}

int sally_sock_open(int family, int *fd)
{
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    *fd = must_fail() ? -1 : socket(family, type, 0);
    return errno_of(*fd);
}

int sally_sock_open_datagram(int family, int *fd)
{
    *fd = must_fail() ? -1 : socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return errno_of(*fd);
}

int sally_sock_connect(int fd, const sally_addr *addr)
{
    const struct sockaddr *sa = (const struct sockaddr *)&addr->storage;
    int error = errno_of(must_fail() ? -1 : connect(fd, sa, addr->length));
    /* An interrupted connect goes on in the kernel (POSIX); calling again would say EALREADY. */
    return error == EINTR ? EINPROGRESS : error;
}

int sally_sock_connect_result(int fd)
{
    int result = 0;
    socklen_t size = sizeof result;
    int error = errno_of(must_fail() ? -1 : getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size));
    return error != 0 ? error : result;
}

static int set_flag(int fd, int level, int option, bool on)
{
    int value = on;
    return errno_of(must_fail() ? -1 : setsockopt(fd, level, option, &value, sizeof value));
}

static int set_listen_options(int fd, int family, const sally_sock_listen *how)
{
    int error = 0;
    if (family != AF_INET && family != AF_INET6) {
        return 0;
    }
    if (family == AF_INET6) {
        error = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, how->v6_only);
    }
    if (error == 0 && how->reuse) {
        error = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true);
    }
    return error != 0 ? error : set_flag(fd, IPPROTO_TCP, TCP_NODELAY, true);
}

/* The file that the bind of a Unix socket has made does not outlive a failure. */
static int bind_and_listen(int fd, const sally_addr *addr, int backlog)
{
    const struct sockaddr *sa = (const struct sockaddr *)&addr->storage;
    int error = errno_of(must_fail() ? -1 : bind(fd, sa, addr->length));
    if (error != 0) {
        return error;
    }
    error = errno_of(must_fail() ? -1 : listen(fd, backlog));
    const char *path = error != 0 ? sally_addr_unix_path(addr) : NULL;
    if (path != NULL) {
        (void)unlink(path);
    }
    return error;
}

int sally_sock_listen_on(const sally_addr *addr, const sally_sock_listen *how, int *fd)
{
    int error = sally_sock_open(addr->storage.ss_family, fd);
    if (error != 0) {
        return error;
    }
    error = set_listen_options(*fd, addr->storage.ss_family, how);
    if (error == 0) {
        error = bind_and_listen(*fd, addr, how->backlog);
    }
    if (error != 0) {
        sally_sock_close(*fd);
        *fd = -1;
    }
    return error;
}

/* Errors of one client that went away in the queue, or of the network on its way (accept(2)): the
 * next one in the queue is still good. */
static bool is_about_one_client(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH: return true;
    default: return false;
    }
}

int sally_sock_accept(int listen_fd, int *fd, sally_addr *peer)
{
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    struct sockaddr *sa = (struct sockaddr *)&peer->storage;
    int error;
    do {
        peer->length = sizeof peer->storage;
        *fd = must_fail() ? -1 : accept4(listen_fd, sa, &peer->length, flags);
        error = errno_of(*fd);
    } while (is_about_one_client(error));
    if (error != 0) {
        peer->length = 0;
    }
    return error;
}

/* What a send or receive that gave -1 and errno came to. */
static sally_io failed_io(int *sys_errno)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return SALLY_IO_WOULD_BLOCK;
    }
    *sys_errno = errno;
    return SALLY_IO_FAILED;
}

static sally_io receive(int fd, void *buf, size_t n, int flags, size_t *count, int *sys_errno)
{
    ssize_t got;
    *count = 0;
    do {
        got = must_fail() ? -1 : recv(fd, buf, n, MSG_DONTWAIT | flags);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return failed_io(sys_errno);
    }
    *count = (size_t)got;
    return got > 0 ? SALLY_IO_DONE : SALLY_IO_END;
}

sally_io sally_sock_receive(int fd, void *buf, size_t n, size_t *count, int *sys_errno)
{
    return receive(fd, buf, n, 0, count, sys_errno);
}

sally_io sally_sock_peek(int fd, void *buf, size_t n, size_t *count, int *sys_errno)
{
    return receive(fd, buf, n, MSG_PEEK, count, sys_errno);
}

sally_io sally_sock_send(int fd, const void *buf, size_t n, size_t *count, int *sys_errno)
{
    ssize_t sent;
    *count = 0;
    do {
        sent = must_fail() ? -1 : send(fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return failed_io(sys_errno);
    }
    *count = (size_t)sent;
    return SALLY_IO_DONE;
}

void sally_sock_shut_send(int fd)
{
    shutdown(fd, SHUT_WR);
}

void sally_sock_reset_when_closed(int fd)
{
    struct linger none = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void sally_sock_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool sally_sock_delays(int fd)
{
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0 && on == 0;
}

void sally_sock_delay(int fd)
{
    int off = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
}

int sally_sock_type(int fd, int *type)
{
    socklen_t size = sizeof *type;
    return errno_of(must_fail() ? -1 : getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &size));
}

int sally_sock_is_listening(int fd, bool *listening)
{
    int value = 0;
    socklen_t size = sizeof value;
    int result = must_fail() ? -1 : getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size);
    *listening = result == 0 && value != 0;
    return errno_of(result);
}

int sally_sock_local(int fd, sally_addr *addr)
{
    memset(addr, 0, sizeof *addr);
    addr->length = sizeof addr->storage;
    int error = errno_of(
        must_fail() ? -1 : getsockname(fd, (struct sockaddr *)&addr->storage, &addr->length));
    addr->length = error == 0 ? addr->length : 0;
    return error;
}

int sally_sock_remote(int fd, sally_addr *addr)
{
    memset(addr, 0, sizeof *addr);
    addr->length = sizeof addr->storage;
    int error = errno_of(
        must_fail() ? -1 : getpeername(fd, (struct sockaddr *)&addr->storage, &addr->length));
    addr->length = error == 0 ? addr->length : 0;
    return error;
}

/* ---- records and descriptors --------------------------------------------------------------- */

int sally_sock_open_records(int family, int *fd)
{
    *fd = must_fail() ? -1 : socket(family, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return errno_of(*fd);
}

/* Linux makes the file with the mode of the socket (unix(7)): it is never wider, and umask, which is the
 * whole process's, is left alone. */
int sally_sock_listen_private(int fd, const sally_addr *addr, int backlog)
{
    int error = errno_of(must_fail() ? -1 : fchmod(fd, S_IRUSR | S_IWUSR));
    return error != 0 ? error : bind_and_listen(fd, addr, backlog);
}

int sally_sock_peer(int fd, pid_t *pid, uid_t *user)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof peer;
    int error = errno_of(must_fail() ? -1 : getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    *pid = peer.pid;
    *user = peer.uid;
    return error;
}

/* Room for the descriptors of a message, aligned as the kernel wants it. */
typedef union parcel_room {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * SALLY_PARCEL_FDS_MAX)];
} parcel_room;

static void pack_fds(struct msghdr *message, const sally_parcel *parcel)
{
    size_t size = sizeof(int) * (size_t)parcel->fd_count;
    message->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), parcel->fds, size);
}

sally_io sally_sock_send_parcel(int fd, const sally_parcel *parcel, int *sys_errno)
{
    parcel_room room = {.bytes = {0}};
    struct iovec bytes = {.iov_base = parcel->bytes, .iov_len = parcel->length};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &room};
    ssize_t sent;
    pack_fds(&message, parcel);
    do {
        sent = must_fail() ? -1 : sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? failed_io(sys_errno) : SALLY_IO_DONE;
}

/* The kernel has opened them for us: each of them is taken, whatever the rest of the message is worth. */
static void unpack_fds(struct msghdr *message, sally_parcel *parcel)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
            size_t size = h->cmsg_len - CMSG_LEN(0);
            memcpy(parcel->fds + parcel->fd_count, CMSG_DATA(h), size);
            parcel->fd_count += (int)(size / sizeof(int));
        }
    }
}

sally_io sally_sock_receive_parcel(int fd, sally_parcel *parcel, int *sys_errno)
{
    parcel_room room = {.bytes = {0}};
    struct iovec bytes = {.iov_base = parcel->bytes, .iov_len = parcel->length};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = &room,
                             .msg_controllen = sizeof room.bytes};
    ssize_t got;
    parcel->length = 0;
    parcel->fd_count = 0;
    do {
        got = must_fail() ? -1 : recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return failed_io(sys_errno);
    }
    unpack_fds(&message, parcel);
    parcel->length = (size_t)got;
    parcel->cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return got > 0 || parcel->fd_count > 0 ? SALLY_IO_DONE : SALLY_IO_END;
}

/* Linux closes the fd even when close(2) says EINTR; a second close could hit another's fd. */
void sally_sock_close(int fd)
{
    int kept = errno;
    close(fd);
    errno = kept;
}

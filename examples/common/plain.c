/* TCP without TLS: see plain.h. Descriptors do not block; all waits are the library's. */
#include "plain.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "failure.h"

static ssl_status look_up(const char *host, int port, int flags, struct addrinfo **found,
                          ssl_error *err)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int failed = getaddrinfo(host, service, &wanted, found);
    if (failed != 0) {
        *err = (ssl_error){.status = SALLY_SYSTEM, .phase = SALLY_PHASE_RESOLVE};
        snprintf(err->text, sizeof err->text, "%s: %s", host, gai_strerror(failed));
        return SALLY_SYSTEM;
    }
    return SALLY_OK;
}

ssl_status plain_find(plain_place *place, ssl_error *err)
{
    return look_up(place->host, place->port, 0, &place->addresses, err);
}

void plain_forget(plain_place *place)
{
    if (place->addresses != NULL) {
        freeaddrinfo(place->addresses);
        place->addresses = NULL;
    }
}

static int new_socket(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    return fd;
}

static void name_of(int fd, ssl_endpoints *ends)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char port[16] = "0";
    getsockname(fd, (struct sockaddr *)&address, &length);
    getnameinfo((struct sockaddr *)&address, length, ends->local, sizeof ends->local, port,
                sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    ends->local_port = (int)strtol(port, NULL, 10);
}

ssl_status plain_listen(const char *host, int port, int *fd, ssl_endpoints *ends, ssl_error *err)
{
    struct addrinfo *found;
    if (look_up(host, port, AI_PASSIVE, &found, err) != SALLY_OK) {
        return SALLY_SYSTEM;
    }
    *fd = new_socket(found);
    bool listens = *fd >= 0 && bind(*fd, found->ai_addr, found->ai_addrlen) == 0 &&
                   listen(*fd, SOMAXCONN) == 0;
    int cause = errno;
    freeaddrinfo(found);
    if (!listens) {
        return fail_local(err, cause, "cannot listen on %s port %d", host, port);
    }
    name_of(*fd, ends);
    return SALLY_OK;
}

ssl_status plain_accept(int door, ssl_break *brk, int *fd, ssl_error *err)
{
    for (;;) {
        ssl_status status = ssl_wait_fd_enable_break(door, false, brk, err);
        if (status != SALLY_OK) {
            return status;
        }
        *fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (*fd >= 0) {
            return SALLY_OK;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            return fail_local(err, errno, "cannot accept");
        }
    }
}

/* 0, or why it does not answer; -1: broken, with *err. */
static int try_address(const struct addrinfo *address, ssl_break *brk, int *fd, ssl_error *err)
{
    int cause = 0;
    socklen_t length = sizeof cause;
    *fd = new_socket(address);
    if (*fd < 0) {
        return errno;
    }
    if (connect(*fd, address->ai_addr, address->ai_addrlen) != 0) {
        cause = errno;
    }
    if (cause == EINPROGRESS) {
        if (ssl_wait_fd_enable_break(*fd, true, brk, err) != SALLY_OK) {
            cause = -1;
        } else {
            getsockopt(*fd, SOL_SOCKET, SO_ERROR, &cause, &length);
        }
    }
    if (cause != 0) {
        close(*fd);
    }
    return cause;
}

ssl_status plain_connect(const plain_place *to, ssl_break *brk, int *fd, ssl_error *err)
{
    int cause = EHOSTUNREACH;
    for (const struct addrinfo *a = to->addresses; a != NULL && cause > 0; a = a->ai_next) {
        cause = try_address(a, brk, fd, err);
    }
    if (cause > 0) {
        return fail_local(err, cause, "cannot connect to %s port %d", to->host, to->port);
    }
    return cause == 0 ? SALLY_OK : err->status;
}

ssl_status plain_read(int fd, char *buf, size_t n, ssl_break *brk, size_t *got, ssl_error *err)
{
    for (;;) {
        ssize_t count = recv(fd, buf, n, 0);
        if (count >= 0) {
            *got = (size_t)count;
            return SALLY_OK;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail_local(err, errno, "cannot read the plain side");
        }
        ssl_status status = ssl_wait_fd_enable_break(fd, false, brk, err);
        if (status != SALLY_OK) {
            return status;
        }
    }
}

ssl_status plain_write(int fd, const char *bytes, size_t n, ssl_break *brk, ssl_error *err)
{
    while (n > 0) {
        ssize_t count = send(fd, bytes, n, MSG_NOSIGNAL);
        if (count >= 0) {
            bytes += count;
            n -= (size_t)count;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail_local(err, errno, "cannot write the plain side");
        }
        ssl_status status = ssl_wait_fd_enable_break(fd, true, brk, err);
        if (status != SALLY_OK) {
            return status;
        }
    }
    return SALLY_OK;
}

void plain_cut(int fd)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

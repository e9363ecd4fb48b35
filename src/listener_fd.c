/* L6 ends: ssl_listen_fd (L1): a listener of a socket that listens already. */
#include <errno.h>

#include "error.h"
#include "fd.h"
#include "listener.h"
#include "ossl.h"
#include "sallyport/inherit.h"
#include "sock.h"

static const char listen_fd[] = "ssl_listen_fd";

static ssl_status fail_fd(const char *call, int fd, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: descriptor %d %s", call, fd, why);
}

static ssl_status fail_errno(const char *call, int fd, int error, ssl_error *err)
{
    switch (error) {
    case EBADF: return fail_fd(call, fd, "is not open", err);
    case ENOTSOCK: return fail_fd(call, fd, "is not a socket", err);
    default: return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: descriptor %d", call, fd);
    }
}

static bool is_supported(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

ssl_status sally_listener_check_fd(const char *call, int fd, sally_addr *local, ssl_error *err)
{
    int type = 0;
    bool listening = false;
    int error = sally_sock_type(fd, &type);
    if (error == 0) {
        error = sally_sock_is_listening(fd, &listening);
    }
    if (error == 0) {
        error = sally_sock_local(fd, local);
    }
    if (error != 0) {
        return fail_errno(call, fd, error, err);
    }
    if (type != SOCK_STREAM) {
        return fail_fd(call, fd, "is not a stream socket (SOCK_STREAM), which TLS needs", err);
    }
    if (!is_supported(local->storage.ss_family)) {
        return fail_fd(call, fd, "is of another family than IPv4, IPv6 and Unix", err);
    }
    return listening ? SALLY_OK
                     : fail_fd(call, fd, "does not listen; bind(2) and listen(2) come first", err);
}

static ssl_status check_request(int fd, const sally_listener_setup *setup, sally_addr *local,
                                ssl_error *err)
{
    if (setup->options->host != NULL || setup->options->backlog != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                          "%s: options.%s is set, but the socket has its own already", listen_fd,
                          setup->options->host != NULL ? "host" : "backlog");
    }
    ssl_status status = sally_listener_check(setup, err);
    return status == SALLY_OK ? sally_listener_check_fd(listen_fd, fd, local, err) : status;
}

/* The last thing that can fail, so that a failure leaves the socket as it was. */
static ssl_status adopt(int fd, ssl_listener *l, const sally_addr *local, ssl_error *err)
{
    int error = sally_fd_adopt(fd);
    if (error != 0) {
        return fail_errno(listen_fd, fd, error, err);
    }
    if (local->storage.ss_family != AF_UNIX) {
        sally_sock_no_delay(fd); /* accepted sockets inherit it */
    }
    l->fds[0] = fd;
    l->fd_count = 1;
    l->local = *local;
    return SALLY_OK;
}

ssl_status ssl_listen_fd(int fd, const ssl_listen_options *options, ssl_context *context,
                         ssl_listener **listener, ssl_error *err)
{
    static const ssl_listen_options usual = SALLY_LISTEN_OPTIONS;
    sally_ossl_begin();
    if (listener == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: listener is NULL", listen_fd);
    }
    *listener = NULL;
    sally_addr local;
    ssl_listener *l;
    sally_listener_setup setup = {
        .options = options != NULL ? options : &usual, .context = context, .call = listen_fd};
    ssl_status status = check_request(fd, &setup, &local, err);
    if (status == SALLY_OK) {
        status = sally_listener_make(&setup, &l, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    status = adopt(fd, l, &local, err);
    if (status != SALLY_OK) {
        sally_listener_discard(l);
        return status;
    }
    *listener = l;
    sally_error_none(err);
    return SALLY_OK;
}

/* L6 ends: ssl_take_over (W8): a new process tells the old one that it serves.
 *
 * How it does depends on how it got the listeners: through the descriptor that SALLYPORT_READY_FD names, or the
 * connection that ssl_fetch_listeners left here. There is one such connection for the process, because a process
 * takes over from one other; whoever swaps it out owns it.
 */
#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fd.h"
#include "offer.h"
#include "ossl.h"
#include "sock.h"
#include "spawn.h"

static const char call[] = "ssl_take_over";

static ssl_status fail_to_tell(int error, ssl_error *err)
{
    return sally_fail_errno(err, error, SALLY_PHASE_SERVE,
                            "%s: cannot tell the process before this one", call);
}

/* ---- through the descriptor of a process that started us ------------------------------------- */

/* -1: it makes no sense. */
static int read_ready_fd(const char *text)
{
    size_t length = strspn(text, "0123456789");
    bool is_number = length != 0 && length < 8 && text[length] == '\0';
    return is_number ? (int)strtol(text, NULL, 10) : -1;
}

static int say_ready(int number)
{
    sally_fd fd;
    const char ready = SALLY_SPAWNED_READY;
    size_t count;
    int error = sally_fd_look(number, true, &fd);
    if (error != 0) {
        return error;
    }
    sally_io io = sally_fd_send(&fd, &ready, sizeof ready, &count, &error);
    sally_fd_close(number);
    return io == SALLY_IO_FAILED ? error : 0;
}

static ssl_status tell_by_pipe(const char *text, ssl_error *err)
{
    int number = read_ready_fd(text);
    if (number < 0) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_SERVE,
                          "%s: " SALLY_READY_FD " is \"%.64s\"; it must be a number", call, text);
    }
    (void)unsetenv(SALLY_READY_FD); /* NOLINT(concurrency-mt-unsafe): see the header */
    int error = say_ready(number);
    return error == 0 ? SALLY_OK : fail_to_tell(error, err);
}

/* ---- through the connection over which the sockets were fetched ------------------------------- */

/* A descriptor and 1; 0: none. */
static sally_atomic_u64 predecessor;

static int swap_predecessor(int fd)
{
    uint64_t before = sally_load_seq(&predecessor);
    while (!sally_cas_seq(&predecessor, &before, (uint64_t)fd + 1)) {}
    return (int)before - 1;
}

void sally_take_over_later(int fd)
{
    int before = swap_predecessor(fd);
    if (before >= 0) {
        sally_sock_close(before);
    }
}

static ssl_status tell_by_connection(int fd, sally_how how, ssl_error *err)
{
    sally_scope scope;
    ssl_status status = sally_scope_begin(&scope, how, SALLY_PHASE_SERVE, err);
    if (status == SALLY_OK) {
        scope.call = call;
        status = sally_scope_check(&scope, SALLY_PHASE_SERVE, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    int error = sally_offer_say(fd, SALLY_OFFER_SERVING);
    if (error != 0) {
        return fail_to_tell(error, err);
    }
    sally_scope_bound(&scope, sally_deadline_after_ms(SALLY_TAKE_OVER_TIMEOUT_MS));
    return sally_offer_hear(call, fd, SALLY_OFFER_LEFT, &scope, err);
}

/* ---- the calls ----------------------------------------------------------------------------- */

static ssl_status take_over_how(sally_how how, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status;
    int fd = swap_predecessor(-1);
    const char *text = getenv(SALLY_READY_FD); /* NOLINT(concurrency-mt-unsafe) */
    if (fd >= 0) {
        status = tell_by_connection(fd, how, err);
        sally_sock_close(fd);
    } else if (text != NULL) {
        status = tell_by_pipe(text, err);
    } else {
        status = sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_SERVE,
                            "%s: no process has handed its listeners to this one", call);
    }
    if (status == SALLY_OK) {
        sally_error_none(err);
    }
    return status;
}

ssl_status ssl_take_over(ssl_error *err)
{
    return take_over_how(SALLY_PLAIN, err);
}

ssl_status ssl_take_over_enable_break(ssl_break *brk, ssl_error *err)
{
    return take_over_how(SALLY_ENABLE(brk), err);
}

/* L7 service: telling a supervisor how the service is doing, as sd_notify(3) has it (W8).
 *
 * A message is one datagram over a socket of its own: messages are rare, and a socket that was kept would
 * be one more to keep from forks. The socket is connected before it is written to, so that a full queue
 * at the other end can be waited for.
 *
 * No state: the environment is read at each call.
 */
#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "sock.h"
#include "wait.h"

enum { BEATS = 4 /* in the time that the supervisor gives: one may be late */ };

/* ---- where to ------------------------------------------------------------------------------ */

static ssl_status find_supervisor(const char *call, sally_addr *addr, ssl_error *err)
{
    const char *name = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe) */
    if (name == NULL) {
        return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_SERVE,
                          "%s: there is no supervisor: NOTIFY_SOCKET is not set", call);
    }
    if (!sally_addr_parse_local(name, addr)) {
        return sally_fail(
            err, SALLY_CONFIG, SALLY_PHASE_SERVE,
            "%s: NOTIFY_SOCKET is \"%.128s\"; it must be the path of a Unix socket, or "
            "an abstract name (\"@name\")",
            call, name);
    }
    return SALLY_OK;
}

/* ---- the message --------------------------------------------------------------------------- */

/* 0 or an errno; ETIMEDOUT. */
static int send_within(int fd, const char *state, size_t length, ssl_deadline deadline)
{
    for (;;) {
        size_t sent;
        int error = 0;
        sally_io io = sally_sock_send(fd, state, length, &sent, &error);
        if (io != SALLY_IO_WOULD_BLOCK) {
            return io == SALLY_IO_DONE ? 0 : error;
        }
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        error = sally_wait_poll(&room, 1, deadline);
        if (error != 0 || sally_deadline_passed(deadline)) {
            return error != 0 ? error : ETIMEDOUT;
        }
    }
}

static int deliver(const sally_addr *addr, const char *state, size_t length, ssl_deadline deadline)
{
    int fd;
    int error = sally_sock_open_datagram(addr->storage.ss_family, &fd);
    if (error != 0) {
        return error;
    }
    error = sally_sock_connect(fd, addr);
    if (error == 0) {
        error = send_within(fd, state, length, deadline);
    }
    sally_sock_close(fd);
    return error;
}

static ssl_status tell(const char *call, const char *state, size_t length, ssl_error *err)
{
    sally_addr addr;
    ssl_status status = find_supervisor(call, &addr, err);
    if (status != SALLY_OK) {
        return status;
    }
    ssl_deadline deadline = sally_deadline_after_ms(SALLY_NOTIFY_TIMEOUT_MS);
    int error = deliver(&addr, state, length, deadline);
    if (error == 0) {
        sally_error_none(err);
        return SALLY_OK;
    }
    char where[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text(&addr, where, sizeof where);
    if (error == ETIMEDOUT) {
        return sally_fail(err, SALLY_TIMEOUT, SALLY_PHASE_SERVE,
                          "%s: the supervisor at %s takes no message", call, where);
    }
    return sally_fail_errno(err, error, SALLY_PHASE_SERVE, "%s: cannot tell the supervisor at %s",
                            call, where);
}

ssl_status ssl_notify(const char *state, ssl_error *err)
{
    size_t length = state != NULL ? strlen(state) : 0;
    if (length == 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_notify: state is %s",
                          state == NULL ? "NULL" : "empty");
    }
    if (length > SALLY_NOTIFY_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_SERVE,
                          "ssl_notify: state has %zu bytes; a message has %d at most", length,
                          SALLY_NOTIFY_MAX);
    }
    return tell("ssl_notify", state, length, err);
}

ssl_status ssl_notify_printf(ssl_error *err, const char *format, ...)
{
    if (format == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_notify_printf: format is NULL");
    }
    char state[SALLY_NOTIFY_MAX + 1];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(state, sizeof state, format, values);
    va_end(values);
    if (length <= 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_notify_printf: %s",
                          length == 0 ? "the text is empty" : "the format is wrong");
    }
    if (length > SALLY_NOTIFY_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_SERVE,
                          "ssl_notify_printf: the text has %d bytes; a message has %d at most",
                          length, SALLY_NOTIFY_MAX);
    }
    return tell("ssl_notify_printf", state, (size_t)length, err);
}

ssl_status ssl_notify_reloading(ssl_error *err)
{
    char state[64];
    int length = snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                          sally_now_ns() / 1000);
    return tell("ssl_notify_reloading", state, (size_t)length, err);
}

/* ---- the watchdog -------------------------------------------------------------------------- */

/* *number is -1 where the variable is not set. */
static ssl_status read_number(const char *call, const char *name, int64_t *number, ssl_error *err)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe) */
    *number = -1;
    if (text == NULL) {
        return SALLY_OK;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < 1) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_SERVE,
                          "%s: %s is \"%.64s\"; it must be a number from 1 on", call, name, text);
    }
    *number = value;
    return SALLY_OK;
}

static ssl_status read_patience(const char *call, int64_t *timeout_ms, ssl_error *err)
{
    int64_t usec;
    int64_t pid;
    *timeout_ms = -1;
    ssl_status status = read_number(call, "WATCHDOG_USEC", &usec, err);
    if (status == SALLY_OK) {
        status = read_number(call, "WATCHDOG_PID", &pid, err);
    }
    if (status == SALLY_OK && usec > 0 && (pid < 0 || pid == (int64_t)getpid())) {
        *timeout_ms = usec / 1000 > 0 ? usec / 1000 : 1;
    }
    return status;
}

ssl_status ssl_watchdog_timeout_ms(int64_t *timeout_ms, ssl_error *err)
{
    static const char call[] = "ssl_watchdog_timeout_ms";
    if (timeout_ms == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "%s: timeout_ms is NULL", call);
    }
    ssl_status status = read_patience(call, timeout_ms, err);
    if (status == SALLY_OK) {
        sally_error_none(err);
    }
    return status;
}

ssl_status sally_watchdog_find(const char *call, sally_watchdog *watchdog, ssl_error *err)
{
    int64_t timeout_ms;
    *watchdog = (sally_watchdog){.interval_ms = 0};
    ssl_status status = read_patience(call, &timeout_ms, err);
    if (status != SALLY_OK || timeout_ms < 0) {
        return status;
    }
    status = find_supervisor(call, &watchdog->addr, err);
    if (status == SALLY_UNSUPPORTED) {
        return SALLY_OK; /* there is nobody to be told */
    }
    watchdog->interval_ms = timeout_ms / BEATS > 0 ? timeout_ms / BEATS : 1;
    return status;
}

void sally_watchdog_tell(void *watchdog)
{
    static const char alive[] = "WATCHDOG=1";
    const sally_watchdog *w = watchdog;
    (void)deliver(&w->addr, alive, sizeof alive - 1, sally_deadline_after_ms(0));
}

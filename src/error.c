/* L0 base: fills the caller's ssl_error, and names statuses and phases.
 *
 * Invariants: a failure's text is never empty and always NUL-terminated; text that does not fit ends
 * in "..."; the reason (errno in words) is never cut off, the part before it is. Nothing allocates.
 *
 * No locks and no state: every function works on the caller's ssl_error alone.
 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REASON_SIZE 96

static const char cut_mark[] = "...";

const char *ssl_status_name(ssl_status status)
{
    switch (status) {
    case SALLY_OK: return "SALLY_OK";
    case SALLY_EOF: return "SALLY_EOF";
    case SALLY_TRUNCATED: return "SALLY_TRUNCATED";
    case SALLY_BREAK: return "SALLY_BREAK";
    case SALLY_TIMEOUT: return "SALLY_TIMEOUT";
    case SALLY_CLOSED: return "SALLY_CLOSED";
    case SALLY_PEER: return "SALLY_PEER";
    case SALLY_PROTOCOL: return "SALLY_PROTOCOL";
    case SALLY_VERIFY: return "SALLY_VERIFY";
    case SALLY_SEALED: return "SALLY_SEALED";
    case SALLY_UNSUPPORTED: return "SALLY_UNSUPPORTED";
    case SALLY_SYSTEM: return "SALLY_SYSTEM";
    case SALLY_CONFIG: return "SALLY_CONFIG";
    case SALLY_USAGE: return "SALLY_USAGE";
    case SALLY_MEMORY: return "SALLY_MEMORY";
    case SALLY_LIMIT: return "SALLY_LIMIT";
    }
    return "unknown status";
}

const char *ssl_phase_name(ssl_phase phase)
{
    switch (phase) {
    case SALLY_PHASE_NONE: return "none";
    case SALLY_PHASE_RESOLVE: return "name lookup";
    case SALLY_PHASE_CONNECT: return "connect";
    case SALLY_PHASE_LISTEN: return "listen";
    case SALLY_PHASE_ACCEPT: return "accept";
    case SALLY_PHASE_HANDSHAKE: return "handshake";
    case SALLY_PHASE_READ: return "read";
    case SALLY_PHASE_WRITE: return "write";
    case SALLY_PHASE_CLOSE: return "close";
    case SALLY_PHASE_CONFIG: return "configuration";
    case SALLY_PHASE_SERVE: return "serve";
    case SALLY_PHASE_WAIT: return "wait";
    }
    return "unknown phase";
}

static void start(ssl_error *err, ssl_status status, ssl_phase phase)
{
    memset(err, 0, offsetof(ssl_error, text));
    err->status = status;
    err->phase = phase;
}

/* Completes text that vsnprintf put into the first `room` bytes, returning `length`; gives the length
 * of what stands there. */
static size_t finish_text(ssl_error *err, size_t room, int length)
{
    if (length <= 0) {
        length = snprintf(err->text, room, "%s", ssl_status_name(err->status));
    }
    if ((size_t)length < room) {
        return (size_t)length;
    }
    memcpy(err->text + room - sizeof cut_mark, cut_mark, sizeof cut_mark);
    return room - 1;
}

ssl_status(sally_fail)(ssl_error *err, ssl_status status, ssl_phase phase, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        start(err, status, phase);
        int length = vsnprintf(err->text, sizeof err->text, format, args);
        finish_text(err, sizeof err->text, length);
        va_end(args);
    }
    return status;
}

/* strerror_r(3) has two shapes; the type of its result tells which one this C library has. */
static inline const char *reason_of_gnu(const char *result, const char *buffer)
{
    (void)buffer;
    return result;
}

static inline const char *reason_of_xsi(int result, const char *buffer)
{
    return result == 0 ? buffer : "";
}

#define REASON_OF(result, buffer)                                                                  \
    _Generic((result), char * : reason_of_gnu, int : reason_of_xsi)((result), (buffer))

void sally_errno_text(int sys_errno, char *text, size_t size)
{
    char buffer[REASON_SIZE] = "";
    const char *words = REASON_OF(strerror_r(sys_errno, buffer, sizeof buffer), buffer);
    if (words[0] != '\0') {
        snprintf(text, size, "%s", words);
    } else {
        snprintf(text, size, "error %d", sys_errno);
    }
}

ssl_status(sally_fail_errno)(ssl_error *err, int sys_errno, ssl_phase phase, const char *format,
                             ...)
{
    ssl_status status = sys_errno == ENOMEM ? SALLY_MEMORY : SALLY_SYSTEM;
    if (err != NULL) {
        char reason[REASON_SIZE] = ": ";
        va_list args;
        va_start(args, format);
        start(err, status, phase);
        err->sys_errno = sys_errno;
        sally_errno_text(sys_errno, reason + 2, sizeof reason - 2);
        size_t room = sizeof err->text - strlen(reason);
        size_t length = finish_text(err, room, vsnprintf(err->text, room, format, args));
        memcpy(err->text + length, reason, strlen(reason) + 1);
        va_end(args);
    }
    return status;
}

ssl_status(sally_fail_memory)(ssl_error *err, ssl_phase phase, const char *call)
{
    return sally_fail(err, SALLY_MEMORY, phase, "out of memory in %s", call);
}

void sally_error_none(ssl_error *err)
{
    if (err != NULL) {
        start(err, SALLY_OK, SALLY_PHASE_NONE);
        err->text[0] = '\0';
    }
}

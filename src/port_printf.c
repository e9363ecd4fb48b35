/* L5 ports: formatted writing (P2).
 *
 * The text is made whole before any of it is written: a format that fails writes nothing, and a break
 * counts bytes of the text. A short text is made on the stack, a longer one in one block of its size.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "error.h"
#include "mem.h"
#include "port_io.h"

#define SHORT_TEXT 1024

/* printf(3): EILSEQ (no such character in this locale), EOVERFLOW (longer than INT_MAX), ENOMEM. */
static ssl_status fail_format(const char *call, ssl_error *err)
{
    return sally_fail_errno(err, errno, SALLY_PHASE_WRITE, "%s: cannot make the text", call);
}

SALLY_PRINTF(5, 0)
static ssl_status print_long(ssl_port *out, size_t length, const sally_write *write, ssl_error *err,
                             const char *format, va_list args)
{
    char *text = sally_alloc(length + 1);
    if (text == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_WRITE, write->call);
    }
    /* An argument that another thread changes meanwhile may make it longer: no more than its room. */
    int made = vsnprintf(text, length + 1, format, args);
    size_t n = made >= 0 && (size_t)made < length ? (size_t)made : length;
    ssl_status status =
        made < 0 ? fail_format(write->call, err) : sally_port_write(out, text, n, write, err);
    sally_free(text);
    return status;
}

SALLY_PRINTF(4, 0)
static ssl_status print_text(ssl_port *out, const sally_write *write, ssl_error *err,
                             const char *format, va_list args)
{
    char text[SHORT_TEXT];
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(text, sizeof text, format, args);
    ssl_status status = length < 0 ? fail_format(write->call, err)
                        : (size_t)length < sizeof text
                            ? sally_port_write(out, text, (size_t)length, write, err)
                            : print_long(out, (size_t)length, write, err, format, again);
    va_end(again);
    return status;
}

SALLY_PRINTF(4, 0)
static ssl_status print(ssl_port *out, const sally_write *write, ssl_error *err, const char *format,
                        va_list args)
{
    if (write->done != NULL) {
        *write->done = 0;
    }
    const sally_op op = {.phase = SALLY_PHASE_WRITE, .call = write->call};
    ssl_status status = sally_port_check(out, SALLY_OUT, &op, err);
    if (status == SALLY_OK && format == NULL) {
        status = sally_fail(err, SALLY_USAGE, op.phase, "%s: the format is NULL", op.call);
    }
    return status == SALLY_OK ? print_text(out, write, err, format, args) : status;
}

ssl_status ssl_vprintf(ssl_port *out, size_t *done, ssl_error *err, const char *format,
                       va_list args)
{
    sally_write write = {"ssl_vprintf", SALLY_PLAIN, done};
    return print(out, &write, err, format, args);
}

ssl_status ssl_vprintf_enable_break(ssl_port *out, ssl_break *brk, size_t *done, ssl_error *err,
                                    const char *format, va_list args)
{
    sally_write write = {"ssl_vprintf_enable_break", SALLY_ENABLE(brk), done};
    return print(out, &write, err, format, args);
}

ssl_status ssl_printf(ssl_port *out, size_t *done, ssl_error *err, const char *format, ...)
{
    sally_write write = {"ssl_printf", SALLY_PLAIN, done};
    va_list args;
    va_start(args, format);
    ssl_status status = print(out, &write, err, format, args);
    va_end(args);
    return status;
}

ssl_status ssl_printf_enable_break(ssl_port *out, ssl_break *brk, size_t *done, ssl_error *err,
                                   const char *format, ...)
{
    sally_write write = {"ssl_printf_enable_break", SALLY_ENABLE(brk), done};
    va_list args;
    va_start(args, format);
    ssl_status status = print(out, &write, err, format, args);
    va_end(args);
    return status;
}

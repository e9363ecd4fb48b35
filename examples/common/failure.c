/* See failure.h. */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ssl_status fail_local(ssl_error *err, int cause, const char *format, ...)
{
    char what[SALLY_ERROR_TEXT_SIZE / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    *err = (ssl_error){.status = SALLY_SYSTEM, .sys_errno = cause};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): strerror is safe in the C libraries of Linux */
    snprintf(err->text, sizeof err->text, "%s: %s", what, strerror(cause));
    return SALLY_SYSTEM;
}

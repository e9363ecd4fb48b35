/* L0 base: fills the caller's ssl_error. Text is bounded; nothing allocates.
 *
 * Idiom: `return sally_fail(err, SALLY_USAGE, SALLY_PHASE_READ, "ssl_read: ...");`
 * An error is written once, where it is understood, and never overwritten by a vaguer one.
 */
#ifndef SALLY_ERROR_H
#define SALLY_ERROR_H

#include "sallyport/error.h"

/* Each returns `status`, so that a caller can return it in one line. `err` may be NULL. */
ssl_status sally_fail(ssl_error *err, ssl_status status, ssl_phase phase, const char *format, ...)
    SALLY_PRINTF(4, 5);

/* As sally_fail with SALLY_SYSTEM (SALLY_MEMORY for ENOMEM); appends ": " and strerror(sys_errno). */
ssl_status sally_fail_errno(ssl_error *err, int sys_errno, ssl_phase phase, const char *format, ...)
    SALLY_PRINTF(4, 5);

/* "out of memory in CALL". */
ssl_status sally_fail_memory(ssl_error *err, ssl_phase phase, const char *call);

/* Makes *err say OK with an empty text; for calls that succeed. NULL is fine. */
void sally_error_none(ssl_error *err);

/* What strerror(3) says, in the caller's memory. */
void sally_errno_text(int sys_errno, char *text, size_t size);

#ifdef __clang_analyzer__ /* sees no body: tell it that a failure is never returned as SALLY_OK */
#define sally_fail(err, status, ...) ((void)(sally_fail)(err, status, __VA_ARGS__), (status))
#define sally_fail_errno(...)        ((void)(sally_fail_errno)(__VA_ARGS__), SALLY_SYSTEM)
#define sally_fail_memory(...)       ((void)(sally_fail_memory)(__VA_ARGS__), SALLY_MEMORY)
#endif

#endif

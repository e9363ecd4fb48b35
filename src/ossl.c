/* L3 crypto: OpenSSL's error queue, emptied on the way in and out, and put into words (E1).
 *
 * Every public call that enters OpenSSL is between sally_ossl_begin and sally_ossl_end, so that what
 * somebody left in the queue never looks like our failure, and ours never like somebody else's.
 *
 * No locks and no state: OpenSSL keeps the queue per thread.
 */
#include "ossl.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

#define REASON_SIZE 128

void sally_ossl_begin(void)
{
    /* Clearing walks the whole ring of entries; peeking looks at one. */
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

void sally_ossl_end(void)
{
    sally_ossl_begin();
}

ssl_status sally_ossl_ended(ssl_status status)
{
    sally_ossl_end();
    return status;
}

void sally_ossl_reason(uint64_t code, char *text, size_t size)
{
    unsigned long packed = (unsigned long)code;
    const char *words = packed != 0 ? ERR_reason_error_string(packed) : "OpenSSL gave no reason";
    if (words != NULL) {
        snprintf(text, size, "%s", words);
    } else if (ERR_SYSTEM_ERROR(packed)) {
        snprintf(text, size, "system error %d", ERR_GET_REASON(packed));
    } else {
        snprintf(text, size, "OpenSSL error %08lX", packed);
    }
}

/* Takes every entry out; true when one of them says that memory ran out. The newest entry is often
 * a wrapper around the one that knows. */
static bool drain_queue(unsigned long *newest)
{
    bool no_memory = false;
    unsigned long code;
    *newest = 0;
    while ((code = ERR_get_error()) != 0) {
        no_memory = no_memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
        *newest = code;
    }
    return no_memory;
}

bool sally_ossl_ran_out(void)
{
    unsigned long newest;
    return drain_queue(&newest);
}

ssl_status sally_fail_ossl(ssl_error *err, ssl_status status, ssl_phase phase, const char *format,
                           ...)
{
    char what[SALLY_ERROR_TEXT_SIZE - REASON_SIZE];
    char reason[REASON_SIZE - 2];
    unsigned long newest;
    va_list args;

    if (drain_queue(&newest)) {
        status = SALLY_MEMORY;
    }
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    sally_ossl_reason(newest, reason, sizeof reason);
    sally_fail(err, status, phase, "%s: %s", what, reason);
    if (err != NULL) {
        err->ossl_code = newest;
    }
    return status;
}

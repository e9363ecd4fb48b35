/* L3 crypto: the setters for the log of secrets (C6).
 *
 * Locks: the context's, by sally_context_edit and sally_context_edited.
 */
#include "context_record.h"
#include "error.h"
#include "ossl.h"

/* Takes the reference over, or gives it back. */
static ssl_status put(ssl_context *context, sally_keylog *log, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        sally_keylog *old = context->keylog;
        context->keylog = log;
        log = old;
        sally_context_edited(context);
    }
    sally_keylog_release(log);
    return status;
}

static ssl_status set_callback(ssl_context *context, ssl_keylogger callback, void *user,
                               const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_keylog *log = callback != NULL ? sally_keylog_new(callback, user) : NULL;
    if (callback != NULL && log == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    return put(context, log, call, err);
}

ssl_status ssl_set_keylogger(ssl_context *context, ssl_keylogger callback, void *user,
                             ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_callback(context, callback, user, "ssl_set_keylogger", err));
}

static ssl_status set_file(ssl_context *context, const char *path, const char *call, ssl_error *err)
{
    sally_keylog *log = NULL;
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && path != NULL) {
        status = sally_keylog_open(path, call, &log, err);
    }
    return status == SALLY_OK ? put(context, log, call, err) : status;
}

ssl_status ssl_set_keylog_file(ssl_context *context, const char *path, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_file(context, path, "ssl_set_keylog_file", err));
}

uint64_t ssl_keylog_lost(ssl_context *context)
{
    if (context == NULL) {
        return 0;
    }
    sally_mutex_lock(&context->lock);
    uint64_t lost = sally_keylog_lost(context->keylog);
    sally_mutex_unlock(&context->lock);
    return lost;
}

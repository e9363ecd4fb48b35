/* L3 crypto: the process's default verify sources, and the secure client context made from them (C1).
 *
 * Locks: defaults.lock guards both. It is held while the secure context is made, so that threads that
 * come together make one; it ranks below the locks of contexts. Old lists and contexts are given up
 * after it is released.
 *
 * Invariant: defaults.secure was made from defaults.sources. A change of the sources drops it; those
 * who hold it keep it.
 */
#include "context_record.h"

#include <string.h>

#include "mem.h"
#include "ossl.h"

/* Immutable once made. */
typedef struct source_list {
    size_t count;
    ssl_verify_source sources[SALLY_VERIFY_SOURCES_MAX]; /* paths are ours */
} source_list;

static struct {
    sally_mutex lock;
    source_list *list;   /* lock; NULL: one SALLY_VERIFY_DEFAULT */
    ssl_context *secure; /* lock; NULL: not made since the list changed */
} defaults = {.lock = SALLY_MUTEX_INIT(SALLY_RANK_DEFAULTS)};

/* ---- the list ------------------------------------------------------------------------------ */

static void free_list(source_list *list)
{
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        sally_free((char *)list->sources[i].path);
    }
    sally_free(list);
}

static bool append_source(source_list *list, const ssl_verify_source *source)
{
    bool has_path = source->kind != SALLY_VERIFY_DEFAULT;
    char *path = has_path ? sally_copy_text(source->path) : NULL;
    if (has_path && path == NULL) {
        return false;
    }
    list->sources[list->count++] = (ssl_verify_source){source->kind, path};
    return true;
}

/* NULL when out of memory. */
static source_list *copy_list(const ssl_verify_source *sources, size_t count)
{
    source_list *list = sally_alloc(sizeof *list);
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (!append_source(list, &sources[i])) {
            free_list(list);
            list = NULL;
        }
    }
    return list;
}

/* A copy of what is set, for use without the lock, which the caller holds. */
static source_list *copy_current(void)
{
    static const ssl_verify_source system = {SALLY_VERIFY_DEFAULT, NULL};
    sally_mutex_assert_held(&defaults.lock);
    return defaults.list != NULL ? copy_list(defaults.list->sources, defaults.list->count)
                                 : copy_list(&system, 1);
}

static ssl_status check_list(const ssl_verify_source *sources, size_t count, const char *call,
                             ssl_error *err)
{
    if (count > SALLY_VERIFY_SOURCES_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_CONFIG, "%s: %zu sources, and at most %d",
                          call, count, SALLY_VERIFY_SOURCES_MAX);
    }
    if (count > 0 && sources == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: sources is NULL", call);
    }
    for (size_t i = 0; i < count; i++) {
        ssl_status status = sally_source_check(&sources[i], call, err);
        if (status != SALLY_OK) {
            return status;
        }
    }
    return SALLY_OK;
}

static ssl_status set_list(const ssl_verify_source *sources, size_t count, ssl_error *err)
{
    static const char call[] = "ssl_default_verify_sources_set";
    ssl_status status = check_list(sources, count, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    source_list *list = copy_list(sources, count);
    if (list == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    sally_mutex_lock(&defaults.lock);
    source_list *old_list = defaults.list;
    ssl_context *old_secure = defaults.secure;
    defaults.list = list;
    defaults.secure = NULL;
    sally_mutex_unlock(&defaults.lock);
    free_list(old_list);
    ssl_context_release(old_secure);
    return SALLY_OK;
}

ssl_status ssl_default_verify_sources_set(const ssl_verify_source *sources, size_t count,
                                          ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_list(sources, count, err));
}

/* ---- showing it ---------------------------------------------------------------------------- */

static size_t path_size(const ssl_verify_source *source)
{
    return source->path != NULL ? strlen(source->path) + 1 : 0;
}

/* The list as one block, paths behind the sources. NULL when out of memory. */
static ssl_verify_source *flatten(const source_list *list)
{
    size_t size = list->count * sizeof list->sources[0];
    for (size_t i = 0; i < list->count; i++) {
        size += path_size(&list->sources[i]);
    }
    ssl_verify_source *block = sally_alloc(size);
    char *at = block != NULL ? (char *)(block + list->count) : NULL;
    for (size_t i = 0; block != NULL && i < list->count; i++) {
        const ssl_verify_source *source = &list->sources[i];
        size_t length = path_size(source);
        block[i] = (ssl_verify_source){source->kind, length > 0 ? at : NULL};
        if (length > 0) {
            memcpy(at, source->path, length);
        }
        at += length;
    }
    return block;
}

static ssl_status show_list(ssl_verify_source **sources, size_t *count, ssl_error *err)
{
    static const char call[] = "ssl_default_verify_sources";
    if (sources != NULL) {
        *sources = NULL;
    }
    if (count != NULL) {
        *count = 0;
    }
    if (sources == NULL || count == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: %s is NULL", call,
                          sources == NULL ? "sources" : "count");
    }
    sally_mutex_lock(&defaults.lock);
    source_list *list = copy_current();
    sally_mutex_unlock(&defaults.lock);
    *sources = list != NULL ? flatten(list) : NULL;
    *count = *sources != NULL ? list->count : 0;
    free_list(list);
    return *sources != NULL ? SALLY_OK : sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
}

ssl_status ssl_default_verify_sources(ssl_verify_source **sources, size_t *count, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(show_list(sources, count, err));
}

/* ---- using it ------------------------------------------------------------------------------ */

static ssl_status add_list(ssl_context *context, const source_list *list, const char *call,
                           ssl_error *err)
{
    if (list == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    for (size_t i = 0; i < list->count; i++) {
        ssl_status status = sally_context_add_source(context, &list->sources[i], true, call, err);
        if (status != SALLY_OK) {
            return status;
        }
    }
    return SALLY_OK;
}

static ssl_status load_defaults(ssl_context *context, ssl_error *err)
{
    static const char call[] = "ssl_load_default_verify_sources";
    ssl_status status = sally_context_check_open(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_mutex_lock(&defaults.lock);
    source_list *list = copy_current();
    sally_mutex_unlock(&defaults.lock);
    status = add_list(context, list, call, err);
    free_list(list);
    return status;
}

ssl_status ssl_load_default_verify_sources(ssl_context *context, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(load_defaults(context, err));
}

/* ---- the secure client context ------------------------------------------------------------- */

/* `list` NULL: out of memory. */
static ssl_status secure(ssl_context *context, const source_list *list, const char *call,
                         ssl_error *err)
{
    ssl_status status = add_list(context, list, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    context->demand = SALLY_DEMAND_VALID;
    context->verify_hostname = true;
    return sally_context_seal(context, call, err);
}

ssl_status sally_context_secure(ssl_context *context, const char *call, ssl_error *err)
{
    sally_mutex_lock(&defaults.lock);
    source_list *list = copy_current();
    sally_mutex_unlock(&defaults.lock);
    ssl_status status = secure(context, list, call, err);
    free_list(list);
    return status;
}

/* Lock held. */
static ssl_status make_secure(const char *call, ssl_error *err)
{
    ssl_context *fresh = sally_context_new(true, SALLY_PROTOCOL_AUTO);
    if (fresh == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    source_list *list = copy_current();
    ssl_status status = secure(fresh, list, call, err);
    free_list(list);
    if (status != SALLY_OK) {
        ssl_context_release(fresh);
        return status;
    }
    defaults.secure = fresh;
    return SALLY_OK;
}

ssl_status sally_context_shared(const char *call, ssl_context **context, ssl_error *err)
{
    sally_ossl_begin();
    sally_mutex_lock(&defaults.lock);
    ssl_status status = defaults.secure != NULL ? SALLY_OK : make_secure(call, err);
    *context = ssl_context_retain(defaults.secure);
    sally_mutex_unlock(&defaults.lock);
    return sally_ossl_ended(status);
}

ssl_status ssl_secure_client_context(ssl_context **context, ssl_error *err)
{
    static const char call[] = "ssl_secure_client_context";
    if (context == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: context is NULL", call);
    }
    return sally_context_shared(call, context, err);
}

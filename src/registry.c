/* L3 crypto: a table from names to sealed contexts, shared by threads (C5).
 *
 * The entries are an array in the order of their names, so a look-up is a binary search. That order takes
 * upper and lower case for one first, and parts them next: so it serves those who look for exactly a
 * name, and servers, to whom "WWW" and "www" are one. The registry
 * holds one reference to each context; get gives the caller one of its own, so a replaced context
 * lives as long as somebody uses it.
 *
 * Locks: the registry's own around the array. Contexts are released after it is given back: the last
 * release frees an SSL_CTX, and nobody should wait for that.
 */
#include "registry.h"

#include <string.h>

#include "mem.h"
#include "ossl.h"
#include "registry_object.h"

/* ---- life ---------------------------------------------------------------------------------- */

ssl_status ssl_registry_new(ssl_registry **registry, ssl_error *err)
{
    static const char call[] = "ssl_registry_new";
    sally_ossl_begin();
    if (registry == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: registry is NULL", call);
    }
    ssl_registry *fresh = sally_alloc(sizeof *fresh);
    *registry = fresh;
    if (fresh == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    sally_mutex_init(&fresh->lock, SALLY_RANK_REGISTRY);
    sally_store_rel(&fresh->refs, 1);
    return SALLY_OK;
}

ssl_registry *ssl_registry_retain(ssl_registry *registry)
{
    if (registry != NULL) {
        sally_add_relaxed(&registry->refs, 1);
    }
    return registry;
}

static void free_entry(sally_entry *e)
{
    ssl_context_release(e->context);
    sally_origin_release(e->origin);
    sally_free(e->name);
}

void ssl_registry_release(ssl_registry *registry)
{
    if (registry == NULL || !sally_drop_ref(&registry->refs)) {
        return;
    }
    sally_watch_abandon(registry->watch);
    for (size_t i = 0; i < registry->count; i++) {
        free_entry(&registry->entries[i]);
    }
    sally_free(registry->entries);
    sally_mutex_fini(&registry->lock);
    sally_free(registry);
}

/* ---- arguments ----------------------------------------------------------------------------- */

ssl_status sally_registry_check(const ssl_registry *registry, const char *name, const char *call,
                                ssl_error *err)
{
    if (registry == NULL || name == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the %s is NULL", call,
                          registry == NULL ? "registry" : "name");
    }
    if (name[0] == '\0') {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the name is empty", call);
    }
    if (strnlen(name, SALLY_REGISTRY_NAME_MAX + 1) > SALLY_REGISTRY_NAME_MAX) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: the name \"%.40s...\" is longer than %d bytes", call, name,
                          SALLY_REGISTRY_NAME_MAX);
    }
    return SALLY_OK;
}

static ssl_status check_context(const ssl_context *context, const char *name, const char *call,
                                ssl_error *err)
{
    if (context == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the context is NULL", call);
    }
    if (!ssl_context_is_sealed(context)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: the context for \"%s\" is not sealed; call ssl_seal_context first",
                          call, name);
    }
    return SALLY_OK;
}

static ssl_status check_entry(const ssl_registry *registry, const char *name,
                              const ssl_context *context, const char *call, ssl_error *err)
{
    ssl_status status = sally_registry_check(registry, name, call, err);
    return status == SALLY_OK ? check_context(context, name, call, err) : status;
}

static ssl_status fail_missing(const char *name, const char *call, ssl_error *err)
{
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      "%s: there is no context under \"%s\"; add one with ssl_registry_put", call,
                      name);
}

/* ---- the array; the lock is held in all of these ------------------------------------------- */

static unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static int order_folded(const char *a, const char *b)
{
    while (*a != '\0' && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return (int)fold(*a) - (int)fold(*b);
}

static int order(const char *a, const char *b)
{
    int folded = order_folded(a, b);
    return folded != 0 ? folded : strcmp(a, b);
}

/* How many entries come before the name. */
static size_t before(const ssl_registry *registry, const char *name,
                     int (*by)(const char *, const char *))
{
    size_t low = 0;
    size_t high = registry->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by(registry->entries[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Where the name is, or would be. */
size_t sally_registry_find_locked(const ssl_registry *registry, const char *name, bool *found)
{
    size_t at = before(registry, name, order);
    *found = at < registry->count && strcmp(registry->entries[at].name, name) == 0;
    return at;
}

static bool insert(ssl_registry *registry, size_t at, const sally_entry *entry)
{
    sally_entry *grown = sally_resize(registry->entries, (registry->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    registry->entries = grown;
    char *copy = sally_copy_text(entry->name);
    if (copy == NULL) {
        return false;
    }
    memmove(&grown[at + 1], &grown[at], (registry->count - at) * sizeof *grown);
    grown[at] = (sally_entry){copy, ssl_context_retain(entry->context), entry->origin};
    registry->count++;
    return true;
}

static sally_entry take_out(ssl_registry *registry, size_t at)
{
    sally_entry gone = registry->entries[at];
    registry->count--;
    memmove(&registry->entries[at], &registry->entries[at + 1],
            (registry->count - at) * sizeof gone);
    return gone;
}

static ssl_status add_locked(ssl_registry *registry, const sally_entry *entry, const char *call,
                             ssl_error *err)
{
    bool found;
    size_t at = sally_registry_find_locked(registry, entry->name, &found);
    if (found) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          "%s: the name \"%s\" is taken; use ssl_registry_replace", call,
                          entry->name);
    }
    return insert(registry, at, entry) ? SALLY_OK
                                       : sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
}

ssl_status sally_registry_add(ssl_registry *registry, const sally_entry *entry, const char *call,
                              ssl_error *err)
{
    sally_mutex_lock(&registry->lock);
    ssl_status status = add_locked(registry, entry, call, err);
    sally_mutex_unlock(&registry->lock);
    return status;
}

/* ---- the calls ----------------------------------------------------------------------------- */

ssl_status ssl_registry_put(ssl_registry *registry, const char *name, ssl_context *context,
                            ssl_error *err)
{
    static const char call[] = "ssl_registry_put";
    sally_ossl_begin();
    ssl_status status = check_entry(registry, name, context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_entry entry = {(char *)name, context, NULL};
    return sally_registry_add(registry, &entry, call, err);
}

ssl_status ssl_registry_replace(ssl_registry *registry, const char *name, ssl_context *context,
                                ssl_error *err)
{
    static const char call[] = "ssl_registry_replace";
    sally_ossl_begin();
    ssl_status status = check_entry(registry, name, context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    ssl_context *old = NULL;
    bool found;
    sally_mutex_lock(&registry->lock);
    size_t at = sally_registry_find_locked(registry, name, &found);
    if (found) {
        old = registry->entries[at].context;
        registry->entries[at].context = ssl_context_retain(context);
    }
    sally_mutex_unlock(&registry->lock);
    ssl_context_release(old);
    return found ? SALLY_OK : fail_missing(name, call, err);
}

ssl_status ssl_registry_get(ssl_registry *registry, const char *name, ssl_context **context,
                            ssl_error *err)
{
    static const char call[] = "ssl_registry_get";
    sally_ossl_begin();
    if (context == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: context is NULL", call);
    }
    *context = NULL;
    ssl_status status = sally_registry_check(registry, name, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    bool found;
    sally_mutex_lock(&registry->lock);
    size_t at = sally_registry_find_locked(registry, name, &found);
    if (found) {
        *context = ssl_context_retain(registry->entries[at].context);
    }
    sally_mutex_unlock(&registry->lock);
    return found ? SALLY_OK : fail_missing(name, call, err);
}

ssl_status ssl_registry_remove(ssl_registry *registry, const char *name, ssl_error *err)
{
    static const char call[] = "ssl_registry_remove";
    sally_ossl_begin();
    ssl_status status = sally_registry_check(registry, name, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_entry gone = {NULL, NULL, NULL};
    bool found;
    sally_mutex_lock(&registry->lock);
    size_t at = sally_registry_find_locked(registry, name, &found);
    if (found) {
        gone = take_out(registry, at);
    }
    sally_mutex_unlock(&registry->lock);
    free_entry(&gone);
    return found ? SALLY_OK : fail_missing(name, call, err);
}

/* ---- server names -------------------------------------------------------------------------- */

/* Borrowed; NULL: none. */
static ssl_context *find_folded(const ssl_registry *registry, const char *name)
{
    size_t at = before(registry, name, order_folded);
    bool found = at < registry->count && order_folded(registry->entries[at].name, name) == 0;
    return found ? registry->entries[at].context : NULL;
}

static ssl_context *resolve_locked(const ssl_registry *registry, char *name)
{
    ssl_context *found = find_folded(registry, name);
    char *rest = found == NULL ? strchr(name, '.') : NULL;
    if (rest == NULL || rest == name) {
        return found;
    }
    rest[-1] = '*';
    return find_folded(registry, rest - 1);
}

ssl_context *sally_registry_resolve(ssl_registry *registry, const char *name)
{
    char copy[SALLY_REGISTRY_NAME_MAX + 1];
    size_t length = strnlen(name, sizeof copy);
    length -= length > 0 && name[length - 1] == '.';
    if (length == 0 || length == sizeof copy) {
        return NULL;
    }
    memcpy(copy, name, length);
    copy[length] = '\0';
    sally_mutex_lock(&registry->lock);
    ssl_context *found = ssl_context_retain(resolve_locked(registry, copy));
    sally_mutex_unlock(&registry->lock);
    return found;
}

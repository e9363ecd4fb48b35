/* L3 crypto: what is in a registry, and how its reloads have gone (C5).
 *
 * Locks: the registry's, while names are copied.
 */
#include <string.h>

#include "error.h"
#include "mem.h"
#include "ossl.h"
#include "registry.h"
#include "registry_object.h"

/* One block: the pointers, a NULL behind the last, then the texts. */
static size_t list_size_locked(const ssl_registry *registry)
{
    size_t size = (registry->count + 1) * sizeof(char *);
    for (size_t i = 0; i < registry->count; i++) {
        size += strlen(registry->entries[i].name) + 1;
    }
    return size;
}

static void fill_locked(const ssl_registry *registry, const char **list)
{
    char *text = (char *)(list + registry->count + 1);
    for (size_t i = 0; i < registry->count; i++) {
        size_t size = strlen(registry->entries[i].name) + 1;
        memcpy(text, registry->entries[i].name, size);
        list[i] = text;
        text += size;
    }
}

ssl_status ssl_registry_list(ssl_registry *registry, const char ***names, size_t *count,
                             ssl_error *err)
{
    static const char call[] = "ssl_registry_list";
    sally_ossl_begin();
    if (names == NULL || count == NULL || registry == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: %s is NULL", call,
                          registry == NULL ? "the registry" : "names or count");
    }
    *names = NULL;
    *count = 0;
    sally_mutex_lock(&registry->lock);
    const char **list = sally_alloc(list_size_locked(registry));
    if (list != NULL) {
        fill_locked(registry, list);
        *count = registry->count;
    }
    sally_mutex_unlock(&registry->lock);
    *names = list;
    return list != NULL ? SALLY_OK : sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
}

ssl_status ssl_registry_count(const ssl_registry *registry, ssl_registry_counters *counters,
                              ssl_error *err)
{
    sally_ossl_begin();
    if (registry == NULL || counters == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "ssl_registry_count: %s is NULL",
                          registry == NULL ? "the registry" : "counters");
    }
    *counters = (ssl_registry_counters){.reloads = sally_load_relaxed(&registry->reloads),
                                        .failures = sally_load_relaxed(&registry->failures)};
    return SALLY_OK;
}

ssl_context *sally_registry_next(ssl_registry *registry, char *name)
{
    bool found;
    ssl_context *context = NULL;
    sally_mutex_lock(&registry->lock);
    size_t at = sally_registry_find_locked(registry, name, &found);
    at += found ? 1 : 0;
    if (at < registry->count) {
        const sally_entry *next = &registry->entries[at];
        memcpy(name, next->name, strlen(next->name) + 1);
        context = ssl_context_retain(next->context);
    }
    sally_mutex_unlock(&registry->lock);
    return context;
}

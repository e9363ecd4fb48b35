/* L3 crypto: contexts that a registry makes from files, and makes again (C5).
 *
 * A build takes its number before it looks at the files, and is put into service only if its number is
 * the highest so far (registry_object.h). It validates everything, so what fails changes nothing.
 *
 * Locks: the registry's, around numbers and the swap; files are read, and the application's makers run,
 * with none held. An origin is retained meanwhile.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "mem.h"
#include "ossl.h"
#include "registry_object.h"
#include "sallyport/load.h"
#include "sallyport/session.h"

/* ---- origins ------------------------------------------------------------------------------- */

void sally_origin_release(sally_origin *origin)
{
    if (origin == NULL || !sally_drop_ref(&origin->refs)) {
        return;
    }
    if (origin->destroy != NULL) {
        origin->destroy(origin->user);
    }
    for (size_t i = 0; i < origin->file_count; i++) {
        sally_free(origin->files[i]);
    }
    sally_free(origin->files);
    sally_free(origin);
}

static bool copy_files(sally_origin *origin, const char *const *files, size_t count)
{
    origin->files = sally_alloc_array(count, sizeof *origin->files);
    if (origin->files == NULL) {
        return false;
    }
    for (; origin->file_count < count; origin->file_count++) {
        char *copy = sally_copy_text(files[origin->file_count]);
        if (copy == NULL) {
            return false;
        }
        origin->files[origin->file_count] = copy;
    }
    return true;
}

/* The user's part is not taken yet. NULL when out of memory. */
static sally_origin *make_origin(const ssl_registry_source *source)
{
    const char *pair[] = {source->chain_path, source->key_path};
    bool own = source->make == NULL;
    sally_origin *origin = sally_alloc(sizeof *origin);
    if (origin == NULL) {
        return NULL;
    }
    sally_store_rel(&origin->refs, 1);
    origin->make = source->make;
    origin->user = source->user;
    if (!copy_files(origin, own ? pair : source->files, own ? 2 : source->file_count)) {
        sally_origin_release(origin);
        return NULL;
    }
    return origin;
}

static ssl_status check_source(const ssl_registry_source *source, const char *call, ssl_error *err)
{
    if (source == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: source is NULL", call);
    }
    if (source->make == NULL && (source->chain_path == NULL || source->key_path == NULL)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: source has neither `make` nor both chain_path and key_path", call);
    }
    for (size_t i = 0; source->make != NULL && i < source->file_count; i++) {
        if (source->files == NULL || source->files[i] == NULL) {
            return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                              "%s: source.files has %zu paths, and number %zu is NULL", call,
                              source->file_count, i);
        }
    }
    return SALLY_OK;
}

/* ---- files as they look -------------------------------------------------------------------- */

/* FNV-1a. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        hash = (hash ^ ((value >> (8 * i)) & 0xff)) * UINT64_C(1099511628211);
    }
    return hash;
}

/* Links are followed, so that a link that is turned elsewhere is a change. A tool may give a file that it
 * has written the time of another one (utimensat(2)); it cannot do so with the time of change. */
static uint64_t look_at(uint64_t hash, const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        return mix(hash, (uint64_t)errno);
    }
    hash = mix(hash, (uint64_t)about.st_dev);
    hash = mix(hash, (uint64_t)about.st_ino);
    hash = mix(hash, (uint64_t)about.st_size);
    hash = mix(hash, (uint64_t)about.st_mtim.tv_sec);
    hash = mix(hash, (uint64_t)about.st_mtim.tv_nsec);
    hash = mix(hash, (uint64_t)about.st_ctim.tv_sec);
    return mix(hash, (uint64_t)about.st_ctim.tv_nsec);
}

uint64_t sally_origin_look(const sally_origin *origin)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < origin->file_count; i++) {
        hash = look_at(hash, origin->files[i]);
    }
    return hash;
}

/* ---- building ------------------------------------------------------------------------------ */

static ssl_status fill_context(ssl_context *context, const sally_origin *origin, const char *name,
                               ssl_error *err)
{
    ssl_status status = ssl_load_identity(context, origin->files[0], origin->files[1], NULL, err);
    if (status == SALLY_OK) {
        status = ssl_set_context_name(context, name, err);
    }
    return status == SALLY_OK ? ssl_seal_context(context, err) : status;
}

static ssl_status make_own(const sally_origin *origin, const char *name, ssl_context **context,
                           ssl_error *err)
{
    ssl_status status = ssl_make_server_context(SALLY_PROTOCOL_AUTO, context, err);
    return status == SALLY_OK ? fill_context(*context, origin, name, err) : status;
}

static ssl_status check_made(const ssl_context *context, const char *name, ssl_error *err)
{
    return ssl_context_is_sealed(context)
               ? SALLY_OK
               : sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                            "the maker of \"%s\" said SALLY_OK and gave no sealed context", name);
}

static ssl_status ask_maker(const sally_origin *origin, const char *name, ssl_context **context,
                            ssl_error *err)
{
    ssl_error told = {.status = SALLY_OK};
    ssl_status status = origin->make(name, origin->user, context, &told);
    sally_ossl_begin();
    if (status != SALLY_OK && told.status == SALLY_OK) {
        return sally_fail(err, status, SALLY_PHASE_CONFIG, "the maker of \"%s\" gave no reason",
                          name);
    }
    if (err != NULL) {
        *err = told;
    }
    return status == SALLY_OK ? check_made(*context, name, err) : status;
}

/* *context is NULL unless it is OK. */
static ssl_status build(const sally_origin *origin, const char *name, ssl_context **context,
                        ssl_error *err)
{
    *context = NULL;
    ssl_status status = origin->make != NULL ? ask_maker(origin, name, context, err)
                                             : make_own(origin, name, context, err);
    if (status != SALLY_OK) {
        ssl_context_release(*context);
        *context = NULL;
    }
    return status;
}

/* ---- loading ------------------------------------------------------------------------------- */

static ssl_status load(ssl_registry *registry, const char *name, const ssl_registry_source *source,
                       const char *call, ssl_error *err)
{
    sally_entry entry = {(char *)name, NULL, make_origin(source)};
    if (entry.origin == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    entry.origin->seen = sally_origin_look(entry.origin);
    ssl_status status = build(entry.origin, name, &entry.context, err);
    if (status == SALLY_OK) {
        entry.origin->destroy = source->destroy;
        status = sally_registry_add(registry, &entry, call, err);
    }
    if (status != SALLY_OK) {
        entry.origin->destroy = NULL;
        sally_origin_release(entry.origin);
    }
    ssl_context_release(entry.context);
    return status;
}

ssl_status ssl_registry_load(ssl_registry *registry, const char *name,
                             const ssl_registry_source *source, ssl_error *err)
{
    static const char call[] = "ssl_registry_load";
    sally_ossl_begin();
    ssl_status status = sally_registry_check(registry, name, call, err);
    if (status == SALLY_OK) {
        status = check_source(source, call, err);
    }
    if (status == SALLY_OK) {
        status = load(registry, name, source, call, err);
    }
    return sally_ossl_ended(status);
}

/* ---- reloading ----------------------------------------------------------------------------- */

/* The number of the build. */
static uint64_t begin_build(ssl_registry *registry, sally_origin *origin)
{
    uint64_t look = sally_origin_look(origin);
    sally_mutex_lock(&registry->lock);
    uint64_t number = ++origin->started;
    origin->seen = look;
    sally_mutex_unlock(&registry->lock);
    return number;
}

/* `context` comes out with what it replaces, or as it was where a later build was faster, or the name is
 * somebody else's by now. */
static void install(ssl_registry *registry, const char *name, sally_origin *origin, uint64_t number,
                    ssl_context **context)
{
    bool found;
    sally_mutex_lock(&registry->lock);
    size_t at = sally_registry_find_locked(registry, name, &found);
    if (found && registry->entries[at].origin == origin && number > origin->installed) {
        ssl_context *old = registry->entries[at].context;
        registry->entries[at].context = *context;
        *context = old;
        origin->installed = number;
    }
    sally_mutex_unlock(&registry->lock);
}

static void note_outcome(ssl_registry *registry, sally_origin *origin, uint64_t number, bool failed)
{
    (void)sally_add_relaxed(failed ? &registry->failures : &registry->reloads, 1);
    sally_mutex_lock(&registry->lock);
    if (number == origin->started) {
        origin->failed = failed;
    }
    sally_mutex_unlock(&registry->lock);
}

ssl_status sally_registry_renew(ssl_registry *registry, const char *name, sally_origin *origin,
                                ssl_error *err)
{
    ssl_context *context = NULL;
    uint64_t number = begin_build(registry, origin);
    ssl_status status = build(origin, name, &context, err);
    if (status == SALLY_OK) {
        install(registry, name, origin, number, &context);
    }
    note_outcome(registry, origin, number, status != SALLY_OK);
    ssl_context_release(context);
    return status;
}

static sally_origin *retain_origin(sally_origin *origin)
{
    if (origin != NULL) {
        (void)sally_add_relaxed(&origin->refs, 1);
    }
    return origin;
}

bool sally_registry_next_origin(ssl_registry *registry, char *name, sally_origin **origin)
{
    bool found;
    sally_mutex_lock(&registry->lock);
    size_t at = sally_registry_find_locked(registry, name, &found);
    at += found ? 1 : 0;
    while (at < registry->count && registry->entries[at].origin == NULL) {
        at++;
    }
    found = at < registry->count;
    *origin = found ? retain_origin(registry->entries[at].origin) : NULL;
    if (found) {
        const char *next = registry->entries[at].name;
        memcpy(name, next, strlen(next) + 1);
    }
    sally_mutex_unlock(&registry->lock);
    return found;
}

/* All of them, also after one that fails; the first failure is told. */
static ssl_status reload_all(ssl_registry *registry, ssl_error *err)
{
    char name[SALLY_REGISTRY_NAME_MAX + 1] = "";
    sally_origin *origin;
    ssl_error first = {.status = SALLY_OK};
    while (sally_registry_next_origin(registry, name, &origin)) {
        ssl_error told;
        ssl_status status = sally_registry_renew(registry, name, origin, &told);
        sally_origin_release(origin);
        if (status != SALLY_OK && first.status == SALLY_OK) {
            first = told;
        }
    }
    if (err != NULL) {
        *err = first;
    }
    return first.status;
}

static ssl_status reload_one(ssl_registry *registry, const char *name, const char *call,
                             ssl_error *err)
{
    bool found;
    sally_mutex_lock(&registry->lock);
    size_t at = sally_registry_find_locked(registry, name, &found);
    sally_origin *origin = found ? retain_origin(registry->entries[at].origin) : NULL;
    sally_mutex_unlock(&registry->lock);
    if (origin == NULL) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          "%s: there is nothing to reload under \"%s\"; load it with "
                          "ssl_registry_load",
                          call, name);
    }
    ssl_status status = sally_registry_renew(registry, name, origin, err);
    sally_origin_release(origin);
    return status;
}

ssl_status ssl_registry_reload(ssl_registry *registry, const char *name, ssl_error *err)
{
    static const char call[] = "ssl_registry_reload";
    sally_ossl_begin();
    ssl_status status = sally_registry_check(registry, name != NULL ? name : "all", call, err);
    if (status == SALLY_OK) {
        status = name != NULL ? reload_one(registry, name, call, err) : reload_all(registry, err);
    }
    return sally_ossl_ended(status);
}

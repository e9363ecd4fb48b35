/*
 * sallyport/registry.h: named sealed contexts, shared by threads (C5).
 */
#ifndef SALLYPORT_REGISTRY_H
#define SALLYPORT_REGISTRY_H

#include "context.h"
#include "memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A refcounted table from names to sealed contexts. Names are compared byte for byte. */
typedef struct ssl_registry ssl_registry;

/** The longest name, in bytes without the NUL. */
#define SALLY_REGISTRY_NAME_MAX 255

/** Makes an empty registry, in *registry. Ownership: returns one reference. Threads: any.
 *  Errors: MEMORY. */
SALLY_API ssl_status ssl_registry_new(ssl_registry **registry, ssl_error *err);
/** Adds a reference; returns `registry`. Threads: any. */
SALLY_API ssl_registry *ssl_registry_retain(ssl_registry *registry);
/** Gives a reference back; the last one releases every context. NULL is fine. Threads: any. */
SALLY_API void ssl_registry_release(ssl_registry *registry);

/** Adds `context` under a new name. Ownership: copies the name, retains the context on success only.
 *  Threads: any. Errors: USAGE (name empty or too long, context not sealed), CONFIG (the name is
 *  taken: use ssl_registry_replace), MEMORY. Keeps: C5. */
SALLY_API ssl_status ssl_registry_put(ssl_registry *registry, const char *name,
                                      ssl_context *context, ssl_error *err);
/** Puts `context` in the place of the one under `name`, at once for all threads: connections keep
 *  what they have, later gets find the new one. Errors: USAGE, CONFIG (no such name), MEMORY. */
SALLY_API ssl_status ssl_registry_replace(ssl_registry *registry, const char *name,
                                          ssl_context *context, ssl_error *err);
/** Finds a context, in *context. Ownership: returns a reference of the caller's own.
 *  Threads: any. Errors: USAGE, CONFIG (no such name). */
SALLY_API ssl_status ssl_registry_get(ssl_registry *registry, const char *name,
                                      ssl_context **context, ssl_error *err);
/** Takes a name out. Errors: USAGE, CONFIG (no such name). */
SALLY_API ssl_status ssl_registry_remove(ssl_registry *registry, const char *name, ssl_error *err);

/* ---- what is in it --------------------------------------------------------------------------- */

/** The names, in *names, each once, with a NULL behind the last; *count is how many.
 *  Ownership: returns one block; ssl_free_block frees it. Threads: any. Errors: USAGE, MEMORY.
 *  Keeps: C5. */
SALLY_API ssl_status ssl_registry_list(ssl_registry *registry, const char ***names, size_t *count,
                                       ssl_error *err);

/* ---- contexts that are made from files ------------------------------------------------------- */

/**
 * How a context is made, and made again. Start from SALLY_REGISTRY_SOURCE, and set chain_path and
 * key_path: a server context (SALLY_PROTOCOL_AUTO) with that identity, whose stable name is its name in
 * the registry (ssl_set_context_name). Or set `make`, which makes any context at all:
 *   make(name, user, &context, &err) gives a sealed context in *context, whose reference it hands over,
 *   or fails with an error. It is called with no lock held, by the thread that loads or reloads and by
 *   the registry's watch, several at once too. It reads `files`, and is called again when they change.
 */
typedef struct ssl_registry_source {
    const char *chain_path;
    const char *key_path;
    ssl_status (*make)(const char *name, void *user, ssl_context **context, ssl_error *err);
    void *user;
    void (*destroy)(void *user); /**< called when the source is given up; may be NULL */
    const char *const *files;    /**< what `make` reads, for ssl_registry_watch */
    size_t file_count;
    uint64_t reserved[8];
} ssl_registry_source;
/* clang-format off */
#define SALLY_REGISTRY_SOURCE {NULL, NULL, NULL, NULL, NULL, NULL, 0, {0}}
/* clang-format on */

/**
 * Makes a context from `source` and adds it under a new name; the source is kept for reloads, until the
 * name is removed. ssl_registry_replace changes the context and leaves the source.
 * With SALLY_OK, err->text may hold a remark, as after ssl_seal_context.
 * Ownership: copies the paths; takes source->user on success only (then `destroy` is called for it).
 * Threads: any. Errors: USAGE, CONFIG (the name is taken), those of ssl_load_identity or of `make`,
 *   MEMORY. Keeps: C5.
 */
SALLY_API ssl_status ssl_registry_load(ssl_registry *registry, const char *name,
                                       const ssl_registry_source *source, ssl_error *err);

/**
 * Makes the context of `name` anew and puts it into service at once for all threads: connections keep
 * what they have. Tickets of the old context stay good (session.h). NULL: all names that were loaded,
 * each on its own; the error is that of the first that failed.
 * When it fails the old context stays in service.
 * Threads: any, several at once too: what was read last is in service in the end.
 * Errors: USAGE, CONFIG (the name was not loaded), and as for ssl_registry_load. Keeps: C5.
 */
SALLY_API ssl_status ssl_registry_reload(ssl_registry *registry, const char *name, ssl_error *err);

/** How to watch. Start from SALLY_WATCH_OPTIONS; NULL stands for the same. */
typedef struct ssl_watch_options {
    int64_t interval_ms; /**< between two looks; at least SALLY_WATCH_INTERVAL_MIN_MS */
    /** Told what came of each reload, on the watch's thread with no lock held: SALLY_OK, or why the old
     *  context stays. The same failure of the same files is told once. May be NULL. */
    void (*report)(const char *name, ssl_status status, const ssl_error *err, void *user);
    void *user;
    uint64_t reserved[8];
} ssl_watch_options;
#define SALLY_WATCH_INTERVAL_MS     1000
#define SALLY_WATCH_INTERVAL_MIN_MS 10
/* clang-format off */
#define SALLY_WATCH_OPTIONS {SALLY_WATCH_INTERVAL_MS, NULL, NULL, {0}}
/* clang-format on */

/**
 * Starts a thread that reloads what was loaded whenever its files change. It looks at device, inode,
 * size and time of change of each path, links followed: so it sees a file that was renamed over another
 * and a link that was turned. A reload that fails is tried again at each look, so that chain and key may
 * be replaced one after the other.
 * It ends with ssl_registry_unwatch, or with the registry.
 * Ownership: copies the options. Threads: any. The thread blocks all signals.
 * Errors: USAGE (watched already, an option out of range), SYSTEM (no thread), MEMORY. Keeps: C5.
 */
SALLY_API ssl_status ssl_registry_watch(ssl_registry *registry, const ssl_watch_options *options,
                                        ssl_error *err);
/** Ends the watch. After it no report is under way and none will come, unless it is called by a report
 *  itself. Not watched: OK. A registry that goes while it is watched waits for nobody, so that a report
 *  may still be under way then.
 *  Blocks: for a report or a maker that runs. Threads: any. Errors: USAGE. Keeps: C5. */
SALLY_API ssl_status ssl_registry_unwatch(ssl_registry *registry, ssl_error *err);

/** How reloads have gone, those of the watch too; the first load does not count. */
typedef struct ssl_registry_counters {
    uint64_t reloads;  /**< that made a context */
    uint64_t failures; /**< that left the old one in service */
    uint64_t reserved[6];
} ssl_registry_counters;
/** The counters since the registry was made, in *counters. Threads: any. Errors: USAGE. Keeps: C5. */
SALLY_API ssl_status ssl_registry_count(const ssl_registry *registry,
                                        ssl_registry_counters *counters, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

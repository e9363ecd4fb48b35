/*
 * sallyport/registry.h: named sealed contexts, shared by threads (C5).
 */
#ifndef SALLYPORT_REGISTRY_H
#define SALLYPORT_REGISTRY_H

#include "context.h"

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

#ifdef __cplusplus
}
#endif
#endif

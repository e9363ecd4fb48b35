/* L3 crypto: the inside of a registry, for the registry*.c files alone.
 *
 * An entry that was loaded has an origin: how its context is made, and the files that it is made of.
 * Builds are numbered in the order in which they looked at the files, and one is put into service only
 * if no later one has been: so reloads may overlap, and none brings old files back.
 */
#ifndef SALLY_REGISTRY_OBJECT_H
#define SALLY_REGISTRY_OBJECT_H

#include "atomic.h"
#include "sallyport/registry.h"
#include "sync.h"

typedef struct sally_watch sally_watch;

typedef struct sally_origin {
    sally_atomic_u64 refs;
    /* constant */
    ssl_status (*make)(const char *name, void *user, ssl_context **context, ssl_error *err);
    void *user;
    void (*destroy)(void *user); /* NULL: nothing to do */
    char **files;                /* without `make`: the chain, then the key */
    size_t file_count;
    /* the registry's lock */
    uint64_t started;   /* builds that have begun */
    uint64_t installed; /* the number of the one that is in service */
    uint64_t seen;      /* the files as they were when the last of them began */
    bool failed;        /* that one failed */
} sally_origin;

typedef struct sally_entry {
    char *name;
    ssl_context *context;
    sally_origin *origin; /* NULL: it was put */
} sally_entry;

struct ssl_registry {
    sally_atomic_u64 refs;
    sally_atomic_u64 reloads;
    sally_atomic_u64 failures;
    sally_mutex lock;
    sally_entry *entries; /* lock; sorted by name, no name twice */
    size_t count;         /* lock */
    sally_watch *watch;   /* lock; NULL: not watched */
};

/* ---- registry.c ---- */

/* USAGE for a NULL registry, and for a name that is NULL, empty or too long. */
ssl_status sally_registry_check(const ssl_registry *registry, const char *name, const char *call,
                                ssl_error *err);
/* Lock held: where the name is, or would be. */
size_t sally_registry_find_locked(const ssl_registry *registry, const char *name, bool *found);
/* Adds a name. Retains the context; takes `origin` over on success only. */
ssl_status sally_registry_add(ssl_registry *registry, const sally_entry *entry, const char *call,
                              ssl_error *err);

/* ---- registry_source.c ---- */

void sally_origin_release(sally_origin *origin); /* NULL is fine */
/* The first entry after `name` that has an origin: its name in `name` of SALLY_REGISTRY_NAME_MAX + 1
 * bytes, its origin retained. An empty name: the first of all. False: there is none. */
bool sally_registry_next_origin(ssl_registry *registry, char *name, sally_origin **origin);
/* What the files look like now; two that differ are told apart but for a chance of 1 to 2^64. */
uint64_t sally_origin_look(const sally_origin *origin);
/* Makes the context anew, with no lock held, and puts it into service. */
ssl_status sally_registry_renew(ssl_registry *registry, const char *name, sally_origin *origin,
                                ssl_error *err);

/* ---- registry_watch.c ---- */

/* Ends a watch, without waiting for its thread; NULL is fine. */
void sally_watch_abandon(sally_watch *watch);

#endif

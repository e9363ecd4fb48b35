/* L3 crypto: who chooses the context of a server's connection by the name that a client sent (C4). */
#ifndef SALLY_NAMES_H
#define SALLY_NAMES_H

#include "context.h"
#include "sallyport/names.h"
#include "sallyport/registry.h"

/* Whom to ask. All zero: nobody. */
typedef struct sally_names {
    ssl_server_name_callback callback; /* asked first; may be NULL */
    void *user;
    ssl_registry *registry; /* asked next; may be NULL; borrowed */
    bool required;          /* nobody serves a client for whom no context is found */
} sally_names;

static inline bool sally_names_asks_anybody(const sally_names *names)
{
    return names->callback != NULL || names->registry != NULL;
}

/* The context for `name`, "" for none, as a policy, which the caller gives back. OK with a NULL ctx: the
 * first context goes on. Otherwise why the client is refused. Calls the application: no lock may be
 * held. */
ssl_status sally_names_resolve(const sally_names *names, const char *name, const char *call,
                               sally_policy *policy, ssl_error *err);

#endif

/* L3 crypto: how servers look names up in a registry (C4). */
#ifndef SALLY_REGISTRY_H
#define SALLY_REGISTRY_H

#include "sallyport/registry.h"

/* The context for a server name: under that name, then under "*." and what follows its first label; upper
 * and lower case are one, and a dot at the end is no part of the name. Retained; NULL: none. */
ssl_context *sally_registry_resolve(ssl_registry *registry, const char *name);

/* The first entry after `name`, its name in `name` of SALLY_REGISTRY_NAME_MAX + 1 bytes; an empty name: the
 * first of all. Its context, retained; NULL: there is none. */
ssl_context *sally_registry_next(ssl_registry *registry, char *name);

#endif

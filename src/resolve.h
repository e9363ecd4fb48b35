/* L2 net: name lookup that can be broken (B8).
 *
 * getaddrinfo(3) runs on a bounded set of helper threads (signals blocked, gone when idle). A lookup
 * that is broken is abandoned: one compare-and-swap decides whether the caller or the helper frees
 * it. Numeric addresses, Unix paths and wildcards bypass the helpers.
 */
#ifndef SALLY_RESOLVE_H
#define SALLY_RESOLVE_H

#include "addr.h"
#include "wait.h"

#define SALLY_RESOLVE_MAX 16

typedef struct sally_resolved {
    sally_addr addresses
        [SALLY_RESOLVE_MAX]; /* in the order of getaddrinfo; of more, the first ones when the
                                                families take turns */
    int count;               /* at least 1 on success */
} sally_resolved;

/* Blocks until the answer or until the scope stops it. `host` NULL with `passive`: the wildcard
 * addresses, IPv6 first. Errors: BREAK, TIMEOUT, SYSTEM (unknown host: the text names it), MEMORY,
 * USAGE (port out of range, NULL host). */
ssl_status sally_resolve(const char *host, int port, bool passive, const sally_scope *scope,
                         sally_resolved *result, ssl_error *err);

#ifdef SALLY_TESTING
/* Runs in place of getaddrinfo in the helpers; what it gives is freed by freeaddrinfo. NULL restores
 * getaddrinfo. The test library only. */
struct addrinfo;
typedef int (*sally_resolve_hook)(const char *host, const char *service,
                                  const struct addrinfo *hints, struct addrinfo **result);
void sally_resolve_set_hook(sally_resolve_hook hook);
/* How many helper threads there are. */
int sally_resolve_helpers(void);
#endif

#endif

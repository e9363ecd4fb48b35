/* L2 net: name lookup that can be broken (B8).
 *
 * getaddrinfo(3) cannot be interrupted, so it runs on a helper thread while the caller waits on its
 * own wake. A lookup has two owners, caller and helper, and one compare-and-swap on its state tells
 * which of them is the last:
 *     waiting -> delivered   by the helper: the caller takes the answer and frees
 *     waiting -> abandoned   by the caller: the helper frees when getaddrinfo returns
 *
 * Invariants:
 *   - A helper leaves, under the lock, when it finds the queue empty; so helpers are gone when idle,
 *     and while the queue holds something there is a helper.
 *   - The helper delivers and raises the caller's wake in one section under the lock, and the caller
 *     looks at the state under it: when it sees "delivered", nobody will touch its wake any more.
 *   - Lookups that are stuck in getaddrinfo keep their helper even when abandoned, at most
 *     HELPERS_MAX; later ones queue behind them and can be broken there.
 *
 * Locks: service.lock (SALLY_RANK_RESOLVE). No lock is held during getaddrinfo.
 */
#include "resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "atomic.h"
#include "error.h"
#include "list.h"
#include "mem.h"
#include "sync.h"
#include "wake.h"

#define HELPERS_MAX  8
#define PORT_MAX     65535
#define SERVICE_SIZE sizeof "65535"

enum lookup_state { LOOKUP_WAITING, LOOKUP_DELIVERED, LOOKUP_ABANDONED };

typedef struct lookup {
    sally_node node; /* under service.lock, while queued */
    sally_atomic_u64 state;
    const sally_wake *wake; /* the caller's; not to be touched once abandoned */
    bool passive;
    /* Written by the helper before it delivers, read by the caller after. */
    int gai_error;
    int sys_errno;
    sally_resolved result;
    char service[SERVICE_SIZE];
    char host[];
} lookup;

static struct {
    sally_mutex lock;
    /* under lock: */
    sally_node queue;
    int helpers;
} service;

/* At load time, and in the child of a fork, which has none of its parent's helpers and may have been
 * born while one of them held the lock (B10). */
static void start_fresh(void)
{
    sally_mutex_init(&service.lock, SALLY_RANK_RESOLVE);
    sally_list_init(&service.queue);
    service.helpers = 0;
}

__attribute__((constructor)) static void set_up(void)
{
    start_fresh();
    pthread_atfork(NULL, NULL, start_fresh);
}

#ifdef SALLY_TESTING

static sally_resolve_hook test_hook; /* under service.lock */

void sally_resolve_set_hook(sally_resolve_hook hook)
{
    sally_mutex_lock(&service.lock);
    test_hook = hook;
    sally_mutex_unlock(&service.lock);
}

int sally_resolve_helpers(void)
{
    sally_mutex_lock(&service.lock);
    int helpers = service.helpers;
    sally_mutex_unlock(&service.lock);
    return helpers;
}

static int ask_system(const char *host, const char *port, const struct addrinfo *hints,
                      struct addrinfo **found)
{
    sally_mutex_lock(&service.lock);
    sally_resolve_hook ask = test_hook != NULL ? test_hook : getaddrinfo;
    sally_mutex_unlock(&service.lock);
    return ask(host, port, hints, found);
}

#else

static inline int ask_system(const char *host, const char *port, const struct addrinfo *hints,
                             struct addrinfo **found)
{
    return getaddrinfo(host, port, hints, found);
}

#endif

/* How many IPv6 addresses are kept: as many as there is room for, but the others get half of it if they need
 * that. So what is kept are the first ones when the families take turns (RFC 8305 section 4). */
static int room_for_v6(const struct addrinfo *found)
{
    int v6 = 0;
    int others = 0;
    for (; found != NULL; found = found->ai_next) {
        v6 += found->ai_family == AF_INET6;
        others += found->ai_family != AF_INET6;
    }
    int half = SALLY_RESOLVE_MAX / 2;
    int room = SALLY_RESOLVE_MAX - (others < half ? others : half);
    return v6 < room ? v6 : room;
}

static void keep_answers(sally_resolved *result, const struct addrinfo *found)
{
    int v6 = room_for_v6(found);
    int others = SALLY_RESOLVE_MAX - v6;
    for (; found != NULL; found = found->ai_next) {
        int *room = found->ai_family == AF_INET6 ? &v6 : &others;
        sally_addr *addr = &result->addresses[result->count];
        if (*room > 0 && found->ai_addrlen <= sizeof addr->storage) {
            memcpy(&addr->storage, found->ai_addr, found->ai_addrlen);
            addr->length = found->ai_addrlen;
            result->count++;
            (*room)--;
        }
    }
}

/* No AI_ADDRCONFIG: it hides ::1 on a host whose only IPv6 address is loopback, so that "localhost"
 * would not reach a server there. getaddrinfo sorts what is unreachable to the end anyway. */
static void ask(lookup *l)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    hints.ai_flags = AI_NUMERICSERV | (l->passive ? AI_PASSIVE : 0);
    l->gai_error = ask_system(l->host, l->service, &hints, &found);
    l->sys_errno = errno;
    if (l->gai_error != 0) {
        return;
    }
    keep_answers(&l->result, found);
    freeaddrinfo(found);
    if (l->result.count == 0) {
        l->gai_error = EAI_NONAME;
    }
}

static bool leave_waiting(lookup *l, enum lookup_state next)
{
    uint64_t expected = LOOKUP_WAITING;
    return sally_cas_seq(&l->state, &expected, next);
}

static void deliver_locked(lookup *l)
{
    sally_mutex_assert_held(&service.lock);
    if (leave_waiting(l, LOOKUP_DELIVERED)) {
        sally_wake_raise(l->wake);
    } else {
        sally_free(l);
    }
}

static lookup *take_queued_locked(void)
{
    sally_node *node = sally_list_take_first(&service.queue);
    return node != NULL ? SALLY_CONTAINER(node, lookup, node) : NULL;
}

static void *help(void *unused)
{
    lookup *l;
    (void)unused;
    sally_mutex_lock(&service.lock);
    while ((l = take_queued_locked()) != NULL) {
        sally_mutex_unlock(&service.lock);
        if (sally_load_acq(&l->state) == LOOKUP_WAITING) {
            ask(l);
        }
        sally_mutex_lock(&service.lock);
        deliver_locked(l);
    }
    service.helpers--;
    sally_mutex_unlock(&service.lock);
    return NULL;
}

/* Every helper there is has work, so a new lookup gets a new one while the bound allows it. */
static int add_helper_locked(void)
{
    if (service.helpers == HELPERS_MAX) {
        return 0;
    }
    int error = sally_thread_start_detached(0, help, NULL);
    if (error == 0) {
        service.helpers++;
    }
    return service.helpers > 0 ? 0 : error;
}

/* 0, or an errno when there is nobody to do it; then the lookup is still the caller's alone. */
static int submit(lookup *l)
{
    sally_mutex_lock(&service.lock);
    int error = add_helper_locked();
    if (error == 0) {
        sally_list_append(&service.queue, &l->node);
    }
    sally_mutex_unlock(&service.lock);
    return error;
}

static bool is_delivered(lookup *l)
{
    sally_mutex_lock(&service.lock);
    bool delivered = sally_load_acq(&l->state) == LOOKUP_DELIVERED;
    sally_mutex_unlock(&service.lock);
    return delivered;
}

static void abandon(lookup *l)
{
    if (leave_waiting(l, LOOKUP_ABANDONED)) {
        return;
    }
    /* Delivered meanwhile: the helper may still be raising our wake, under the lock. */
    (void)is_delivered(l);
    sally_free(l);
}

/* On failure the lookup is abandoned and not the caller's any more. */
static ssl_status await(lookup *l, const sally_scope *scope, ssl_error *err)
{
    struct pollfd spare[SALLY_WAIT_SPARE];
    sally_wait wait = {.fds = spare, .scope = scope, .self = l->wake, .phase = SALLY_PHASE_RESOLVE};
    while (!is_delivered(l)) {
        ssl_status status = SALLY_OK;
        if (sally_wait_run(&wait, &status, err) == SALLY_WAITED_STOPPED) {
            abandon(l);
            return status;
        }
    }
    return SALLY_OK;
}

static ssl_status fail_lookup(const lookup *l, ssl_error *err)
{
    switch (l->gai_error) {
    case EAI_MEMORY: return sally_fail_memory(err, SALLY_PHASE_RESOLVE, "getaddrinfo");
    case EAI_SYSTEM:
        return sally_fail_errno(err, l->sys_errno, SALLY_PHASE_RESOLVE, "cannot look up \"%s\"",
                                l->host);
    default:
        return sally_fail(err, SALLY_SYSTEM, SALLY_PHASE_RESOLVE, "cannot look up \"%s\": %s",
                          l->host, gai_strerror(l->gai_error));
    }
}

static ssl_status take_answer(lookup *l, sally_resolved *result, ssl_error *err)
{
    ssl_status status = SALLY_OK;
    if (l->gai_error == 0) {
        *result = l->result;
    } else {
        status = fail_lookup(l, err);
    }
    sally_free(l);
    return status;
}

static lookup *new_lookup(const char *host, int port, bool passive, const sally_wake *wake)
{
    size_t host_size = strlen(host) + 1;
    lookup *l = sally_alloc(sizeof *l + host_size);
    if (l == NULL) {
        return NULL;
    }
    sally_list_init(&l->node);
    l->wake = wake;
    l->passive = passive;
    snprintf(l->service, sizeof l->service, "%d", port);
    memcpy(l->host, host, host_size);
    return l;
}

/* Frees the lookup, or leaves it to a helper. */
static ssl_status run_lookup(lookup *l, const sally_scope *scope, sally_resolved *result,
                             ssl_error *err)
{
    int error = submit(l);
    if (error != 0) {
        ssl_status failed = sally_fail_errno(err, error, SALLY_PHASE_RESOLVE,
                                             "cannot start a thread to look up \"%s\"", l->host);
        sally_free(l);
        return failed;
    }
    ssl_status status = await(l, scope, err);
    return status == SALLY_OK ? take_answer(l, result, err) : status;
}

/* IPv6 first: where the system has it, its socket serves IPv4 too. */
static void put_wildcards(int port, sally_resolved *result)
{
    sally_addr_parse("::", port, &result->addresses[0]);
    sally_addr_parse("0.0.0.0", port, &result->addresses[1]);
    result->count = 2;
}

static bool is_known(const char *host, int port, sally_resolved *result)
{
    if (host == NULL) {
        put_wildcards(port, result);
    } else if (sally_addr_parse(host, port, &result->addresses[0])) {
        result->count = 1;
    }
    return result->count > 0;
}

static ssl_status check_target(const char *host, int port, bool passive, ssl_error *err)
{
    if (port < 0 || port > PORT_MAX) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_RESOLVE,
                          "port %d is out of range (0 to %d)", port, PORT_MAX);
    }
    if (host == NULL && !passive) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_RESOLVE, "the host to look up is NULL");
    }
    return SALLY_OK;
}

static ssl_status check_is_name(const char *host, ssl_error *err)
{
    if (strncmp(host, "unix:", 5) == 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_RESOLVE,
                          "the Unix socket path in \"%s\" is empty or too long", host);
    }
    return SALLY_OK;
}

ssl_status sally_resolve(const char *host, int port, bool passive, const sally_scope *scope,
                         sally_resolved *result, ssl_error *err)
{
    const sally_wake *wake = NULL;
    result->count = 0;
    ssl_status status = check_target(host, port, passive, err);
    if (status == SALLY_OK) {
        status = sally_scope_check(scope, SALLY_PHASE_RESOLVE, err);
    }
    if (status != SALLY_OK || is_known(host, port, result)) {
        return status;
    }
    status = check_is_name(host, err);
    if (status == SALLY_OK) {
        status = sally_wait_self(&wake, SALLY_PHASE_RESOLVE, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    lookup *l = new_lookup(host, port, passive, wake);
    return l != NULL ? run_lookup(l, scope, result, err)
                     : sally_fail_memory(err, SALLY_PHASE_RESOLVE, "name lookup");
}

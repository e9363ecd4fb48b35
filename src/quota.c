/* L7 service: how many clients each address has (quota.h).
 *
 * A table of lists of those that have any. Its size is fixed: at 100,000 addresses a list has 25. The
 * hash begins with a number that a stranger does not know, so that nobody can choose addresses for one
 * list. Who has an IPv6 address has the whole network of 64 bits around it, and takes another address of
 * it for each connection if that helps: so the network is what counts. IPv6 addresses that stand for IPv4
 * ones count as those.
 *
 * Locks: lock, for everything but what is constant.
 */
#include "quota.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "list.h"
#include "mem.h"
#include "sync.h"

enum {
    LISTS = 4096,
    HOST_BYTES = 16,
    NETWORK_BYTES = 8, /* of an IPv6 client (RFC 4291 section 2.5.1, RFC 6177) */
    PREFIX_BYTES = 12  /* before an IPv4 address that an IPv6 one stands for */
};

struct sally_resident {
    uint8_t host[HOST_BYTES]; /* constant; an IPv6 network, or an IPv4 address mapped into IPv6 */
    sally_node node;
    int64_t clients; /* at least 1 */
};

struct sally_quota {
    int64_t most;  /* constant */
    uint64_t seed; /* constant */
    sally_mutex lock;
    sally_node lists[LISTS];
};

sally_quota *sally_quota_new(int64_t most)
{
    sally_quota *quota = sally_alloc(sizeof *quota);
    if (quota == NULL) {
        return NULL;
    }
    quota->most = most;
    quota->seed = (uint64_t)sally_now_ns() ^ (uint64_t)(uintptr_t)quota;
    sally_mutex_init(&quota->lock, SALLY_RANK_QUOTA);
    for (int i = 0; i < LISTS; i++) {
        sally_list_init(&quota->lists[i]);
    }
    return quota;
}

void sally_quota_free(sally_quota *quota)
{
    if (quota != NULL) {
        sally_mutex_fini(&quota->lock);
        sally_free(quota);
    }
}

static const uint8_t mapped[PREFIX_BYTES] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
/* By a translator in front of us (RFC 6052 section 2.1). */
static const uint8_t translated[PREFIX_BYTES] = {0, 0x64, 0xff, 0x9b};

static void put_v4(const void *address, uint8_t host[HOST_BYTES])
{
    memcpy(host, mapped, PREFIX_BYTES);
    memcpy(host + PREFIX_BYTES, address, HOST_BYTES - PREFIX_BYTES);
}

static void put_v6(const struct in6_addr *address, uint8_t host[HOST_BYTES])
{
    const uint8_t *bytes = address->s6_addr;
    if (memcmp(bytes, mapped, PREFIX_BYTES) == 0 || memcmp(bytes, translated, PREFIX_BYTES) == 0) {
        put_v4(bytes + PREFIX_BYTES, host);
        return;
    }
    memcpy(host, bytes, NETWORK_BYTES);
    memset(host + NETWORK_BYTES, 0, HOST_BYTES - NETWORK_BYTES);
}

static bool host_of(const sally_addr *addr, uint8_t host[HOST_BYTES])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;
    switch (addr->length != 0 ? addr->storage.ss_family : AF_UNSPEC) {
    case AF_INET: put_v4(&in->sin_addr, host); return true;
    case AF_INET6: put_v6(&in6->sin6_addr, host); return true;
    default: return false;
    }
}

/* FNV-1a. */
static sally_node *list_of(sally_quota *quota, const uint8_t host[HOST_BYTES])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ quota->seed;
    for (int i = 0; i < HOST_BYTES; i++) {
        hash = (hash ^ host[i]) * UINT64_C(0x100000001b3);
    }
    return &quota->lists[(hash ^ hash >> 32) % LISTS];
}

static sally_resident *find_locked(const sally_node *list, const uint8_t host[HOST_BYTES])
{
    for (sally_node *n = list->next; n != list; n = n->next) {
        sally_resident *r = SALLY_CONTAINER(n, sally_resident, node);
        if (memcmp(r->host, host, HOST_BYTES) == 0) {
            return r;
        }
    }
    return NULL;
}

static sally_resident *add_locked(sally_node *list, const uint8_t host[HOST_BYTES])
{
    sally_resident *r = sally_alloc(sizeof *r);
    if (r != NULL) {
        memcpy(r->host, host, HOST_BYTES);
        sally_list_append(list, &r->node);
    }
    return r;
}

static int take_locked(sally_quota *quota, const uint8_t host[HOST_BYTES],
                       sally_resident **resident)
{
    sally_node *list = list_of(quota, host);
    sally_resident *r = find_locked(list, host);
    if (r != NULL && r->clients >= quota->most) {
        return EDQUOT;
    }
    r = r != NULL ? r : add_locked(list, host);
    if (r == NULL) {
        return ENOMEM;
    }
    r->clients++;
    *resident = r;
    return 0;
}

int sally_quota_take(sally_quota *quota, const sally_addr *addr, sally_resident **resident)
{
    uint8_t host[HOST_BYTES];
    *resident = NULL;
    if (quota == NULL || !host_of(addr, host)) {
        return 0;
    }
    sally_mutex_lock(&quota->lock);
    int error = take_locked(quota, host, resident);
    sally_mutex_unlock(&quota->lock);
    return error;
}

void sally_quota_give(sally_quota *quota, sally_resident *resident)
{
    if (resident == NULL) {
        return;
    }
    sally_mutex_lock(&quota->lock);
    bool last = --resident->clients == 0;
    if (last) {
        sally_list_remove(&resident->node);
    }
    sally_mutex_unlock(&quota->lock);
    if (last) {
        sally_free(resident);
    }
}

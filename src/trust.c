/* L2 net: the sources that a listener believes (W8).
 *
 * Networks are kept as IPv6 ones, IPv4 in its mapped form, because a dual-stack socket shows IPv4 clients
 * that way: one comparison serves both. No locks: constant once made.
 */
#include "trust.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "mem.h"

#define SEPARATORS    ", \t\n"
#define ITEM_SIZE     64 /* the longest network in words has 49 bytes */
#define MAPPED_PREFIX 96
#define UNIX_WORD     "unix"

typedef struct network {
    unsigned char address[sizeof(struct in6_addr)];
    int bits;
} network;

struct sally_trust {
    bool others_are_clients; /* who is not trusted is a client, and is not refused */
    bool unix_sockets;
    bool keeps_tlvs;
    size_t count;
    network networks[];
};

/* ---- networks ------------------------------------------------------------------------------ */

static bool put_address(const sally_addr *addr, unsigned char address[sizeof(struct in6_addr)])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;
    switch (addr->storage.ss_family) {
    case AF_INET:
        memset(address, 0, MAPPED_PREFIX / 8 - 2);
        memset(address + MAPPED_PREFIX / 8 - 2, 0xFF, 2);
        memcpy(address + MAPPED_PREFIX / 8, &in->sin_addr, sizeof in->sin_addr);
        return true;
    case AF_INET6: memcpy(address, &in6->sin6_addr, sizeof in6->sin6_addr); return true;
    default: return false;
    }
}

/* The byte of a network's mask. */
static unsigned char mask_byte(int bits, size_t at)
{
    int left = bits - 8 * (int)at;
    return left >= 8 ? 0xFF : left <= 0 ? 0 : (unsigned char)(0xFF << (8 - left));
}

static bool contains(const network *net, const unsigned char address[sizeof(struct in6_addr)])
{
    for (size_t i = 0; i < sizeof net->address; i++) {
        if (((net->address[i] ^ address[i]) & mask_byte(net->bits, i)) != 0) {
            return false;
        }
    }
    return true;
}

static bool has_bits_behind_prefix(const network *net)
{
    for (size_t i = 0; i < sizeof net->address; i++) {
        if ((net->address[i] & (unsigned char)~mask_byte(net->bits, i)) != 0) {
            return true;
        }
    }
    return false;
}

/* Decimal digits, three at most. -1: something else. */
static int prefix_length(const char *text)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 3 || text[length] != '\0') {
        return -1;
    }
    int number = 0;
    for (; *text != '\0'; text++) {
        number = number * 10 + (*text - '0');
    }
    return number;
}

/* NULL, or what is wrong with it. `item` is changed. */
static const char *read_network(char *item, network *net)
{
    sally_addr addr;
    char *slash = strchr(item, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    bool zone = strchr(item, '%') != NULL;
    if (zone || !sally_addr_parse(item, 0, &addr) || !put_address(&addr, net->address)) {
        return "it is neither an IP address, nor a network like 10.0.0.0/8, nor \"unix\"";
    }
    bool v4 = addr.storage.ss_family == AF_INET;
    int most = v4 ? 32 : 128;
    int bits = slash != NULL ? prefix_length(slash + 1) : most;
    if (bits < 0 || bits > most) {
        return v4 ? "behind the slash there must be a number from 0 to 32"
                  : "behind the slash there must be a number from 0 to 128";
    }
    net->bits = bits + (v4 ? MAPPED_PREFIX : 0);
    return has_bits_behind_prefix(net) ? "it has bits set behind its prefix: is the number right?"
                                       : NULL;
}

/* ---- the list ------------------------------------------------------------------------------ */

static size_t count_items(const char *list)
{
    size_t count = 0;
    for (list += strspn(list, SEPARATORS); *list != '\0'; list += strspn(list, SEPARATORS)) {
        count++;
        list += strcspn(list, SEPARATORS);
    }
    return count;
}

static const char *read_item(const char *item, size_t length, sally_trust *trust)
{
    char copy[ITEM_SIZE];
    if (length >= sizeof copy) {
        return "it is too long for a network";
    }
    memcpy(copy, item, length);
    copy[length] = '\0';
    if (strcmp(copy, UNIX_WORD) == 0) {
        trust->unix_sockets = true;
        return NULL;
    }
    const char *why = read_network(copy, &trust->networks[trust->count]);
    trust->count += why == NULL;
    return why;
}

static ssl_status read_list(const char *list, const char *call, sally_trust *trust, ssl_error *err)
{
    for (list += strspn(list, SEPARATORS); *list != '\0'; list += strspn(list, SEPARATORS)) {
        size_t length = strcspn(list, SEPARATORS);
        const char *why = read_item(list, length, trust);
        if (why != NULL) {
            return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                              "%s: options.proxy_trusted: \"%.*s\": %s", call,
                              (int)(length < ITEM_SIZE ? length : ITEM_SIZE), list, why);
        }
        list += length;
    }
    return SALLY_OK;
}

static ssl_status check_setup(const sally_trust_setup *setup, const char *call, ssl_error *err)
{
    ssl_proxy_mode mode = setup->mode;
    const char *trusted = setup->trusted;
    const char *why = NULL;
    if (mode != SALLY_PROXY_OFF && mode != SALLY_PROXY_REQUIRED && mode != SALLY_PROXY_OR_DIRECT) {
        why = "options.proxy is none of ssl_proxy_mode";
    } else if (mode == SALLY_PROXY_OFF && trusted != NULL) {
        why = "options.proxy_trusted is given, and options.proxy is SALLY_PROXY_OFF";
    } else if (mode == SALLY_PROXY_OFF && setup->tlvs) {
        why = "options.proxy_tlvs is given, and options.proxy is SALLY_PROXY_OFF";
    } else if (mode != SALLY_PROXY_OFF && (trusted == NULL || count_items(trusted) == 0)) {
        why = "options.proxy_trusted is empty; name the proxies whose word is taken for who a "
              "client is, as in \"10.0.0.0/8, ::1\"";
    }
    return why == NULL ? SALLY_OK
                       : sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", call, why);
}

ssl_status sally_trust_new(const sally_trust_setup *setup, const char *call, sally_trust **trust,
                           ssl_error *err)
{
    *trust = NULL;
    ssl_status status = check_setup(setup, call, err);
    if (status != SALLY_OK || setup->mode == SALLY_PROXY_OFF) {
        return status;
    }
    size_t items = count_items(setup->trusted);
    sally_trust *made = sally_alloc(sizeof *made + items * sizeof made->networks[0]);
    if (made == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, call);
    }
    made->others_are_clients = setup->mode == SALLY_PROXY_OR_DIRECT;
    made->keeps_tlvs = setup->tlvs;
    status = read_list(setup->trusted, call, made, err);
    if (status != SALLY_OK) {
        sally_trust_free(made);
        return status;
    }
    *trust = made;
    return SALLY_OK;
}

void sally_trust_free(sally_trust *trust)
{
    sally_free(trust);
}

bool sally_trust_keeps_tlvs(const sally_trust *trust)
{
    return trust->keeps_tlvs;
}

/* ---- judging ------------------------------------------------------------------------------- */

static bool is_trusted(const sally_trust *trust, const sally_addr *remote)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (!put_address(remote, address)) {
        return trust->unix_sockets && remote->storage.ss_family == AF_UNIX;
    }
    for (size_t i = 0; i < trust->count; i++) {
        if (contains(&trust->networks[i], address)) {
            return true;
        }
    }
    return false;
}

sally_standing sally_trust_judge(const sally_trust *trust, const sally_addr *remote)
{
    if (trust == NULL) {
        return SALLY_CLIENT_DIRECT;
    }
    if (is_trusted(trust, remote)) {
        return SALLY_CLIENT_PROXY;
    }
    return trust->others_are_clients ? SALLY_CLIENT_DIRECT : SALLY_CLIENT_REFUSED;
}

/* L2 net: socket addresses as values and as text (P5).
 *
 * A sally_addr is plain data: copied freely, nothing behind it. Text that is not a numeric address
 * or "unix:..." is a host name and none of this file's business (resolve.c). IPv4-mapped IPv6
 * addresses, which a dual-stack listener sees, are written as the IPv4 addresses they stand for.
 *
 * No locks and no state.
 */
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX        "unix:"
#define UNIX_PREFIX_LENGTH (sizeof UNIX_PREFIX - 1)
#define PATH_OFFSET        offsetof(struct sockaddr_un, sun_path)

static bool parse_ipv4(const char *text, int port, sally_addr *addr)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&addr->storage;
    if (inet_pton(AF_INET, text, &in->sin_addr) != 1) {
        return false;
    }
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    addr->length = sizeof *in;
    return true;
}

/* A zone is an interface, by name or by number (RFC 4007). */
static bool parse_zone(const char *zone, uint32_t *scope_id)
{
    char *end = NULL;
    unsigned long number;
    *scope_id = if_nametoindex(zone);
    if (*scope_id != 0) {
        return true;
    }
    if (zone[0] < '0' || zone[0] > '9') {
        return false;
    }
    errno = 0;
    number = strtoul(zone, &end, 10);
    *scope_id = (uint32_t)number;
    return errno == 0 && *end == '\0' && number <= UINT32_MAX;
}

/* The part before '%', in `host`; *zone is what follows, or NULL. False when it is too long. */
static bool split_zone(const char *text, char host[INET6_ADDRSTRLEN], const char **zone)
{
    size_t length = strcspn(text, "%");
    *zone = text[length] == '%' ? text + length + 1 : NULL;
    if (length >= INET6_ADDRSTRLEN) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    return true;
}

static bool parse_ipv6(const char *text, int port, sally_addr *addr)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr->storage;
    char host[INET6_ADDRSTRLEN];
    const char *zone;
    if (!split_zone(text, host, &zone) || inet_pton(AF_INET6, host, &in6->sin6_addr) != 1) {
        return false;
    }
    if (zone != NULL && !parse_zone(zone, &in6->sin6_scope_id)) {
        return false;
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    addr->length = sizeof *in6;
    return true;
}

/* "@name" is Linux's abstract namespace, whose names start with a NUL and end with the length. */
static bool parse_unix(const char *path, sally_addr *addr)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&addr->storage;
    size_t length = strlen(path);
    bool is_abstract = path[0] == '@';
    if (length == 0 || length >= sizeof un->sun_path) {
        return false;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length);
    if (is_abstract) {
        un->sun_path[0] = '\0';
    }
    addr->length = (socklen_t)(PATH_OFFSET + length + (is_abstract ? 0 : 1));
    return true;
}

bool sally_addr_parse_local(const char *name, sally_addr *addr)
{
    memset(addr, 0, sizeof *addr);
    return (name[0] == '/' || name[0] == '@') && name[1] != '\0' && parse_unix(name, addr);
}

bool sally_addr_parse(const char *text, int port, sally_addr *addr)
{
    memset(addr, 0, sizeof *addr);
    if (strncmp(text, UNIX_PREFIX, UNIX_PREFIX_LENGTH) == 0) {
        return parse_unix(text + UNIX_PREFIX_LENGTH, addr);
    }
    return parse_ipv4(text, port, addr) || parse_ipv6(text, port, addr);
}

bool sally_addr_is_ip(const char *text)
{
    struct in_addr v4;
    struct in6_addr v6;
    char host[INET6_ADDRSTRLEN];
    const char *zone;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        return true;
    }
    return split_zone(text, host, &zone) && inet_pton(AF_INET6, host, &v6) == 1;
}

static void put_ipv4(const void *bytes, char *text, size_t size)
{
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, bytes, host, sizeof host);
    snprintf(text, size, "%s", host);
}

static void put_ipv6(const struct sockaddr_in6 *in6, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    char zone[IF_NAMESIZE];
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    if (in6->sin6_scope_id == 0) {
        snprintf(text, size, "%s", host);
    } else if (if_indextoname(in6->sin6_scope_id, zone) != NULL) {
        snprintf(text, size, "%s%%%s", host, zone);
    } else {
        snprintf(text, size, "%s%%%u", host, (unsigned)in6->sin6_scope_id);
    }
}

/* The kernel's length counts a path's NUL or does not; an abstract name has none and may hold some. */
static void put_unix(const sally_addr *addr, char *text, size_t size)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
    int length = (int)addr->length - (int)PATH_OFFSET;
    if (length <= 0) {
        snprintf(text, size, UNIX_PREFIX);
    } else if (un->sun_path[0] == '\0') {
        snprintf(text, size, UNIX_PREFIX "@%.*s", length - 1, un->sun_path + 1);
    } else {
        snprintf(text, size, UNIX_PREFIX "%.*s", length, un->sun_path);
    }
}

static bool is_mapped_ipv4(const sally_addr *addr)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;
    return addr->storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
}

void sally_addr_text(const sally_addr *addr, char *text, size_t size)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;
    if (addr->length == 0) {
        snprintf(text, size, "no address");
    } else if (addr->storage.ss_family == AF_UNIX) {
        put_unix(addr, text, size);
    } else if (is_mapped_ipv4(addr)) {
        put_ipv4(&in6->sin6_addr.s6_addr[12], text, size);
    } else if (addr->storage.ss_family == AF_INET6) {
        put_ipv6(in6, text, size);
    } else if (addr->storage.ss_family == AF_INET) {
        put_ipv4(&in->sin_addr, text, size);
    } else {
        snprintf(text, size, "address family %d", (int)addr->storage.ss_family);
    }
}

void sally_addr_text_port(const sally_addr *addr, char *text, size_t size)
{
    char host[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text(addr, host, sizeof host);
    if (strchr(host, ':') != NULL && addr->storage.ss_family == AF_INET6) {
        snprintf(text, size, "[%s]:%d", host, sally_addr_port(addr));
    } else if (addr->storage.ss_family == AF_INET || addr->storage.ss_family == AF_INET6) {
        snprintf(text, size, "%s:%d", host, sally_addr_port(addr));
    } else {
        snprintf(text, size, "%s", host);
    }
}

int sally_addr_port(const sally_addr *addr)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;
    switch (addr->storage.ss_family) {
    case AF_INET: return ntohs(in->sin_port);
    case AF_INET6: return ntohs(in6->sin6_port);
    default: return 0;
    }
}

void sally_addr_set_port(sally_addr *addr, int port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&addr->storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr->storage;
    if (addr->storage.ss_family == AF_INET) {
        in->sin_port = htons((uint16_t)port);
    } else if (addr->storage.ss_family == AF_INET6) {
        in6->sin6_port = htons((uint16_t)port);
    }
}

const char *sally_addr_unix_path(const sally_addr *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
    bool has_file =
        addr->length > PATH_OFFSET && un->sun_family == AF_UNIX && un->sun_path[0] != '\0';
    return has_file ? un->sun_path : NULL;
}

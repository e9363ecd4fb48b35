/* L2 net: the PROXY protocol's header (W8).
 *
 * The first byte tells the version: 'P' of "PROXY", or the CR of version 2's signature. Damage is
 * reported with the first byte that shows it, where that is cheap to see; a line of version 1 is judged
 * when it is whole, which takes 107 bytes at most.
 *
 * Everything is strict, because a header that two programs read differently is a way to lie: single
 * spaces, no leading zeros, CRLF, the lengths of all parts within the length of the whole.
 *
 * No locks and no state.
 */
#include "proxy.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include "proxy_tlv.h"

static sally_proxy_verdict malformed(const char **why, const char *what)
{
    *why = what;
    return SALLY_PROXY_MALFORMED;
}

/* ---- version 1: a line of text ------------------------------------------------------------- */

#define V1_PREFIX        "PROXY "
#define V1_PREFIX_LENGTH (sizeof V1_PREFIX - 1)
#define V1_LINE_MAX      107 /* with CRLF */
#define V1_WORD_SIZE     40  /* an IPv6 address and its NUL */

/* The word behind exactly one space. */
static bool next_word(const char **at, char word[V1_WORD_SIZE])
{
    if (**at != ' ') {
        return false;
    }
    const char *start = *at + 1;
    size_t length = strcspn(start, " ");
    if (length == 0 || length >= V1_WORD_SIZE) {
        return false;
    }
    memcpy(word, start, length);
    word[length] = '\0';
    *at = start + length;
    return true;
}

/* A zone names an interface of this machine, so there is none in what another one says. */
static bool read_address(const char **at, int family, sally_addr *addr)
{
    char word[V1_WORD_SIZE];
    return next_word(at, word) && strchr(word, '%') == NULL && sally_addr_parse(word, 0, addr) &&
           addr->storage.ss_family == family;
}

static bool read_port(const char **at, sally_addr *addr)
{
    char word[V1_WORD_SIZE];
    int port = 0;
    if (!next_word(at, word) || (word[0] == '0' && word[1] != '\0')) {
        return false;
    }
    for (const char *digit = word; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || port > UINT16_MAX) {
            return false;
        }
        port = port * 10 + (*digit - '0');
    }
    sally_addr_set_port(addr, port);
    return port <= UINT16_MAX;
}

static sally_proxy_verdict read_v1_line(const char *line, sally_proxy_header *header,
                                        const char **why)
{
    const char *at = line + V1_PREFIX_LENGTH - 1;
    char word[V1_WORD_SIZE];
    if (!next_word(&at, word)) {
        return malformed(why, "the PROXY line names no protocol");
    }
    if (strcmp(word, "UNKNOWN") == 0) {
        return SALLY_PROXY_WHOLE;
    }
    bool v4 = strcmp(word, "TCP4") == 0;
    int family = v4 ? AF_INET : AF_INET6;
    if (!v4 && strcmp(word, "TCP6") != 0) {
        return malformed(why, "the PROXY line's protocol is none of TCP4, TCP6 and UNKNOWN");
    }
    if (!read_address(&at, family, &header->source) ||
        !read_address(&at, family, &header->destination)) {
        return malformed(why, "an address of the PROXY line is not one of its protocol");
    }
    if (!read_port(&at, &header->source) || !read_port(&at, &header->destination)) {
        return malformed(why, "a port of the PROXY line is not a number from 0 to 65535");
    }
    return *at == '\0' ? SALLY_PROXY_WHOLE
                       : malformed(why, "the PROXY line goes on after its ports");
}

/* A CR that is not followed by LF, or the other way round, ends nothing. */
static sally_proxy_verdict parse_v1(const unsigned char *bytes, size_t n,
                                    sally_proxy_header *header, const char **why)
{
    char line[V1_LINE_MAX] = "";
    size_t length = 0;
    size_t most = n < V1_LINE_MAX ? n : V1_LINE_MAX;
    while (length < most && bytes[length] != '\r' && bytes[length] != '\n' &&
           bytes[length] != '\0') {
        length++;
    }
    if (length + 1 >= most && (length == most || bytes[length] == '\r')) {
        return n < V1_LINE_MAX ? SALLY_PROXY_MORE
                               : malformed(why, "the PROXY line has no end in 107 bytes");
    }
    if (bytes[length] != '\r' || bytes[length + 1] != '\n') {
        return malformed(why, "the PROXY line does not end with CRLF");
    }
    memcpy(line, bytes, length);
    line[length] = '\0';
    header->length = length + 2;
    header->tlvs_at = (uint16_t)header->length;
    return read_v1_line(line, header, why);
}

/* ---- version 2: bytes ---------------------------------------------------------------------- */

static const unsigned char v2_signature[] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                             '\n', 'Q',  'U',  'I',  'T', '\n'};

enum {
    V2_COMMAND_AT = 12, /* the version above, the command below */
    V2_FAMILY_AT = 13,  /* the family above, the protocol below */
    V2_LENGTH_AT = 14,
    V2_FIXED = 16,
    V2_VERSION = 2,
    V2_LOCAL = 0,
    V2_PROXY = 1,
    V2_UNSPEC = 0,
    V2_INET = 1,
    V2_INET6 = 2,
    V2_UNIX = 3,
    V2_STREAM = 1,
    V2_DGRAM = 2,
    V2_UNIX_PATH = 108,
    V2_CRC_SIZE = 4
};

static uint32_t read_32(const unsigned char *bytes)
{
    return (uint32_t)sally_tlv_read_16(bytes) << 16 | (uint32_t)sally_tlv_read_16(bytes + 2);
}

/* The block of addresses, both ends. */
static size_t v2_addresses_length(int family)
{
    switch (family) {
    case V2_INET: return 2 * (sizeof(struct in_addr) + sizeof(in_port_t));
    case V2_INET6: return 2 * (sizeof(struct in6_addr) + sizeof(in_port_t));
    case V2_UNIX: return 2 * V2_UNIX_PATH;
    default: return 0;
    }
}

static void put_inet(const unsigned char *address, const unsigned char *port, sally_addr *addr)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&addr->storage;
    in->sin_family = AF_INET;
    memcpy(&in->sin_addr, address, sizeof in->sin_addr);
    memcpy(&in->sin_port, port, sizeof in->sin_port);
    addr->length = sizeof *in;
}

static void put_inet6(const unsigned char *address, const unsigned char *port, sally_addr *addr)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr->storage;
    in6->sin6_family = AF_INET6;
    memcpy(&in6->sin6_addr, address, sizeof in6->sin6_addr);
    memcpy(&in6->sin6_port, port, sizeof in6->sin6_port);
    addr->length = sizeof *in6;
}

/* A path ends at its first NUL, an abstract name before the NULs that fill the field. */
static void put_unix(const unsigned char *path, sally_addr *addr)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&addr->storage;
    size_t length = V2_UNIX_PATH;
    if (path[0] != '\0') {
        length = strnlen((const char *)path, V2_UNIX_PATH);
    }
    while (length > 0 && path[length - 1] == '\0') {
        length--;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length);
    addr->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void read_v2_addresses(int family, const unsigned char *block, sally_proxy_header *header)
{
    const size_t v4 = sizeof(struct in_addr);
    const size_t v6 = sizeof(struct in6_addr);
    const size_t port = sizeof(in_port_t);
    switch (family) {
    case V2_INET:
        put_inet(block, block + 2 * v4, &header->source);
        put_inet(block + v4, block + 2 * v4 + port, &header->destination);
        break;
    case V2_INET6:
        put_inet6(block, block + 2 * v6, &header->source);
        put_inet6(block + v6, block + 2 * v6 + port, &header->destination);
        break;
    default: put_unix(block, &header->source); put_unix(block + V2_UNIX_PATH, &header->destination);
    }
}

/* CRC32c (RFC 4960, appendix B), the four bytes at `hole` taken for zeros. A bit at a time: a header is
 * short, and few have a checksum. */
static uint32_t crc32c(const unsigned char *bytes, size_t n, size_t hole)
{
    const uint32_t polynomial = 0x82F63B78;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        bool in_hole = i >= hole && i < hole + V2_CRC_SIZE;
        crc ^= in_hole ? 0 : bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
        }
    }
    return ~crc;
}

static bool is_checksum_right(const unsigned char *bytes, size_t n, size_t at, size_t length)
{
    return length == V2_CRC_SIZE && read_32(bytes + at) == crc32c(bytes, n, at);
}

/* What follows the addresses: extensions, each of them whole. Only the checksum is looked at. */
static sally_proxy_verdict check_v2_extras(const unsigned char *bytes, size_t at, size_t end,
                                           const char **why)
{
    sally_tlv tlv;
    while (sally_tlv_next(bytes, end, &at, &tlv)) {
        size_t value_at = at - tlv.length;
        if (tlv.type == SALLY_TLV_CRC32C && !is_checksum_right(bytes, end, value_at, tlv.length)) {
            return malformed(why, "the checksum of the PROXY header is wrong");
        }
    }
    return at == end ? SALLY_PROXY_WHOLE
                     : malformed(why, "an extension of the PROXY header goes beyond its end");
}

/* What the fixed part says, as far as it is there. */
static sally_proxy_verdict check_v2_fixed(const unsigned char *bytes, size_t n, const char **why)
{
    size_t signed_bytes = n < sizeof v2_signature ? n : sizeof v2_signature;
    if (memcmp(bytes, v2_signature, signed_bytes) != 0) {
        return malformed(why, "these bytes are no PROXY header");
    }
    if (n > V2_COMMAND_AT && bytes[V2_COMMAND_AT] >> 4 != V2_VERSION) {
        return malformed(why, "the PROXY header's version is neither 1 nor 2");
    }
    if (n > V2_COMMAND_AT && (bytes[V2_COMMAND_AT] & 15) > V2_PROXY) {
        return malformed(why, "the PROXY header's command is neither LOCAL nor PROXY");
    }
    if (n > V2_FAMILY_AT && (bytes[V2_COMMAND_AT] & 15) == V2_PROXY &&
        (bytes[V2_FAMILY_AT] >> 4 > V2_UNIX || (bytes[V2_FAMILY_AT] & 15) > V2_DGRAM)) {
        return malformed(why, "the PROXY header's family or protocol is unknown");
    }
    if (n >= V2_FIXED &&
        V2_FIXED + sally_tlv_read_16(bytes + V2_LENGTH_AT) > SALLY_PROXY_HEADER_MAX) {
        return malformed(why, "the PROXY header is longer than 4096 bytes");
    }
    return n < V2_FIXED ? SALLY_PROXY_MORE : SALLY_PROXY_WHOLE;
}

/* LOCAL, and a family or protocol that is not told, leave the rest of the header without a meaning: it is
 * skipped. Addresses of datagrams are not those of a stream. */
static sally_proxy_verdict parse_v2(const unsigned char *bytes, size_t n,
                                    sally_proxy_header *header, const char **why)
{
    sally_proxy_verdict verdict = check_v2_fixed(bytes, n, why);
    if (verdict != SALLY_PROXY_WHOLE) {
        return verdict;
    }
    size_t length = sally_tlv_read_16(bytes + V2_LENGTH_AT);
    int family = bytes[V2_FAMILY_AT] >> 4;
    int protocol = bytes[V2_FAMILY_AT] & 15;
    size_t addresses = v2_addresses_length(family);
    header->local = (bytes[V2_COMMAND_AT] & 15) == V2_LOCAL;
    header->length = V2_FIXED + length;
    header->tlvs_at = (uint16_t)header->length;
    bool tells = !header->local && family != V2_UNSPEC && protocol != V2_UNSPEC;
    if (tells && length < addresses) {
        return malformed(why, "the PROXY header has no room for its addresses");
    }
    if (n < header->length || !tells) {
        return n < header->length ? SALLY_PROXY_MORE : SALLY_PROXY_WHOLE;
    }
    if (protocol == V2_STREAM) {
        read_v2_addresses(family, bytes + V2_FIXED, header);
    }
    header->tlvs_at = (uint16_t)(V2_FIXED + addresses);
    return check_v2_extras(bytes, header->tlvs_at, header->length, why);
}

/* ---- either -------------------------------------------------------------------------------- */

sally_proxy_verdict sally_proxy_parse(const unsigned char *bytes, size_t n,
                                      sally_proxy_header *header, const char **why)
{
    memset(header, 0, sizeof *header);
    size_t prefix = n < V1_PREFIX_LENGTH ? n : V1_PREFIX_LENGTH;
    if (n != 0 && memcmp(bytes, V1_PREFIX, prefix) == 0) {
        return parse_v1(bytes, n, header, why);
    }
    return parse_v2(bytes, n, header, why);
}

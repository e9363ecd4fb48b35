/* L2 net: the header in which a proxy says for whom it connects: the PROXY protocol, versions 1 and 2, as
 * HAProxy's doc/proxy-protocol.txt has it (W8).
 *
 * A parser over bytes that are there; it reads nothing and keeps nothing. Whom to believe is the
 * business of trust.c, where the bytes come from that of proxied.c.
 */
#ifndef SALLY_PROXY_H
#define SALLY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

/* The longest header that is read. Version 1 has 107 bytes at most; version 2 could announce 64 KiB, and
 * has a few hundred in real life. */
#define SALLY_PROXY_HEADER_MAX 4096

typedef enum sally_proxy_verdict {
    SALLY_PROXY_MORE,     /* a beginning: every byte that is there is the header's */
    SALLY_PROXY_WHOLE,    /* `length` bytes are the header, what follows is the client's */
    SALLY_PROXY_MALFORMED /* no more bytes could make it one */
} sally_proxy_verdict;

typedef struct sally_proxy_header {
    size_t length;
    bool local;       /* the proxy's own connection, a health check: nobody is behind it */
    uint16_t tlvs_at; /* its last bytes, from there to `length`, are extensions (proxy_tlv.h) */
    /* No address (length 0) in a header that names none: then the ends are those of the socket. */
    sally_addr source;
    sally_addr destination;
} sally_proxy_header;

/* Judges the first `n` bytes of a connection. *header is complete with WHOLE only; *why, with MALFORMED,
 * is what is wrong. */
sally_proxy_verdict sally_proxy_parse(const unsigned char *bytes, size_t n,
                                      sally_proxy_header *header, const char **why);

#endif

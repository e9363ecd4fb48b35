/* L2 net: a client that comes through a proxy, and what the proxy says of it (W8).
 *
 * Made for a connection from a trusted source (trust.h). It reads the header from the socket, byte for
 * byte and not one too many, as the bytes come; then it is constant, and the connection keeps it.
 * One thread at a time. */
#ifndef SALLY_PROXIED_H
#define SALLY_PROXIED_H

#include "buf.h"
#include "proxy.h"
#include "proxy_tlv.h"
#include "sallyport/error.h"

/* What is kept of a header's extensions. */
typedef struct sally_tlvs {
    size_t length;
    unsigned char bytes[];
} sally_tlvs;

typedef struct sally_proxied {
    sally_addr proxy; /* who connected */
    sally_proxy_header header;
    bool keeps_tlvs;  /* constant */
    bool told;        /* the header is there */
    sally_buf held;   /* its first bytes, while the rest is waited for */
    sally_tlvs *tlvs; /* NULL: it had none, or none are kept */
} sally_proxied;

typedef enum sally_telling {
    SALLY_TELLS_MORE,   /* wait for input, then step again */
    SALLY_TELLS_CLIENT, /* the header is there, and behind it something for TLS to look at */
    SALLY_TELLS_NOBODY, /* the proxy went without a client: a health check */
    SALLY_TELLS_NOTHING /* no good header: *err has the reason */
} sally_telling;

/* NULL: no memory. */
sally_proxied *sally_proxied_new(const sally_addr *proxy, bool keeps_tlvs);
/* NULL is fine. */
void sally_proxied_free(sally_proxied *p);

/* Reads what there is of the header. Never blocks. `call` is for the error text. */
sally_telling sally_proxied_step(sally_proxied *p, int fd, const char *call, ssl_error *err);

/* Who the client is; the proxy itself, where it names nobody. */
const sally_addr *sally_proxied_client(const sally_proxied *p);
/* The address that the client connected to; NULL: it was not told. */
const sally_addr *sally_proxied_destination(const sally_proxied *p);
/* The extension of a type (sally_tlv_is_type). */
sally_tlv_found sally_proxied_tlv(const sally_proxied *p, int type, sally_tlv *tlv);

#endif

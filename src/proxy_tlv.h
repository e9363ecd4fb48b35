/* L2 net: the extensions (TLVs) in a PROXY header of version 2: type, length, value, and again (W8). They
 * are bytes that others have sent: nothing is believed of a length that the bytes around it do not bear
 * out. No state. */
#ifndef SALLY_PROXY_TLV_H
#define SALLY_PROXY_TLV_H

#include <stdbool.h>
#include <stddef.h>

#include "sallyport/proxy.h"

typedef struct sally_tlv {
    int type;
    const unsigned char *value; /* borrowed from the bytes; never NULL */
    size_t length;
} sally_tlv;

/* The extension that begins at *at, which moves on to the next. False at the end; and where one goes
 * beyond it, which leaves *at in front of `end`. */
bool sally_tlv_next(const unsigned char *bytes, size_t end, size_t *at, sally_tlv *tlv);

typedef enum sally_tlv_found {
    SALLY_TLV_ABSENT,
    SALLY_TLV_FOUND,
    SALLY_TLV_TWICE, /* more than once */
    SALLY_TLV_BROKEN /* the extensions of SALLY_TLV_SSL go beyond its end */
} sally_tlv_found;

/* Whether `type` can be one of ssl_tlv_type. */
bool sally_tlv_is_type(int type);
/* The extension of such a type; *tlv with FOUND only. */
sally_tlv_found sally_tlv_find(const unsigned char *bytes, size_t n, int type, sally_tlv *tlv);

/* In network order. */
static inline size_t sally_tlv_read_16(const unsigned char *bytes)
{
    return (size_t)bytes[0] << 8 | bytes[1];
}

#endif

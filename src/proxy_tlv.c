/* L2 net: the extensions in a PROXY header of version 2 (W8). No locks and no state. */
#include "proxy_tlv.h"

enum {
    HEAD = 3,        /* type, length */
    TYPE_MAX = 0xFF, /* of one byte; an inner type has its outer one above it */
    OUTER_SHIFT = 8,
    SSL_HEAD = 5 /* of the value of SALLY_TLV_SSL, before its own extensions */
};

bool sally_tlv_next(const unsigned char *bytes, size_t end, size_t *at, sally_tlv *tlv)
{
    size_t left = end - *at;
    if (left < HEAD || left - HEAD < sally_tlv_read_16(bytes + *at + 1)) {
        return false;
    }
    tlv->type = bytes[*at];
    tlv->length = sally_tlv_read_16(bytes + *at + 1);
    tlv->value = bytes + *at + HEAD;
    *at += HEAD + tlv->length;
    return true;
}

bool sally_tlv_is_type(int type)
{
    return type >= 0 && (type <= TYPE_MAX || type >> OUTER_SHIFT == SALLY_TLV_SSL);
}

static sally_tlv_found find_one(const unsigned char *bytes, size_t n, int type, sally_tlv *tlv)
{
    sally_tlv next;
    sally_tlv last = {.value = NULL};
    size_t at = 0;
    int count = 0;
    while (sally_tlv_next(bytes, n, &at, &next)) {
        if (next.type == type) {
            last = next;
            count++;
        }
    }
    if (at != n || count > 1) {
        return at != n ? SALLY_TLV_BROKEN : SALLY_TLV_TWICE;
    }
    if (count == 1) {
        *tlv = last;
    }
    return count == 1 ? SALLY_TLV_FOUND : SALLY_TLV_ABSENT;
}

sally_tlv_found sally_tlv_find(const unsigned char *bytes, size_t n, int type, sally_tlv *tlv)
{
    if (type <= TYPE_MAX) {
        return find_one(bytes, n, type, tlv);
    }
    sally_tlv outer;
    sally_tlv_found found = find_one(bytes, n, type >> OUTER_SHIFT, &outer);
    if (found != SALLY_TLV_FOUND) {
        return found;
    }
    if (outer.length < SSL_HEAD) {
        return SALLY_TLV_BROKEN;
    }
    return find_one(outer.value + SSL_HEAD, outer.length - SSL_HEAD, type & TYPE_MAX, tlv);
}

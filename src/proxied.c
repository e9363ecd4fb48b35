/* L2 net: reading a proxy's header from a socket (W8).
 *
 * The bytes behind the header are TLS and belong to the engine, so none of them may be taken. What is there
 * is peeked at and judged; then exactly the header's part of it is received. A beginning is received whole,
 * or the socket would stay ready and whoever waits for it would spin. A header that comes in one piece, as
 * proxies send it, takes two calls and no memory.
 *
 * Once the header is there, the client's first byte is waited for, so that a silent client behind a
 * proxy costs no more than a silent client (W2), and a health check is seen for what it is.
 */
#include "proxied.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "mem.h"
#include "sock.h"

sally_proxied *sally_proxied_new(const sally_addr *proxy, bool keeps_tlvs)
{
    sally_proxied *p = sally_alloc(sizeof *p);
    if (p != NULL) {
        p->proxy = *proxy;
        p->keeps_tlvs = keeps_tlvs;
    }
    return p;
}

void sally_proxied_free(sally_proxied *p)
{
    if (p != NULL) {
        sally_buf_fini(&p->held);
        sally_free(p->tlvs);
        sally_free(p);
    }
}

const sally_addr *sally_proxied_client(const sally_proxied *p)
{
    return p->told && p->header.source.length != 0 ? &p->header.source : &p->proxy;
}

const sally_addr *sally_proxied_destination(const sally_proxied *p)
{
    return p->told && p->header.destination.length != 0 ? &p->header.destination : NULL;
}

sally_tlv_found sally_proxied_tlv(const sally_proxied *p, int type, sally_tlv *tlv)
{
    return p->tlvs != NULL ? sally_tlv_find(p->tlvs->bytes, p->tlvs->length, type, tlv)
                           : SALLY_TLV_ABSENT;
}

/* ---- one step ------------------------------------------------------------------------------ */

/* A step at work. */
typedef struct reading {
    sally_proxied *proxied;
    int fd;
    const char *call;
    ssl_error *err;
    unsigned char bytes[SALLY_PROXY_HEADER_MAX]; /* the held ones, then those peeked at */
} reading;

static sally_telling refuse(reading *r, ssl_status status, const char *why)
{
    char proxy[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&r->proxied->proxy, proxy, sizeof proxy);
    (void)sally_fail(r->err, status, SALLY_PHASE_HANDSHAKE, "%s: %s: %s", r->call, proxy, why);
    return SALLY_TELLS_NOTHING;
}

static sally_telling refuse_errno(reading *r, int sys_errno)
{
    char proxy[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&r->proxied->proxy, proxy, sizeof proxy);
    (void)sally_fail_errno(r->err, sys_errno, SALLY_PHASE_HANDSHAKE,
                           "%s: %s: cannot read the PROXY header", r->call, proxy);
    return SALLY_TELLS_NOTHING;
}

/* Proxies end their health checks with a reset too. */
static bool is_end(sally_io io, int sys_errno)
{
    return io == SALLY_IO_END || (io == SALLY_IO_FAILED && sys_errno == ECONNRESET);
}

/* The end, or a failure, before the header was there. */
static sally_telling cut_short(reading *r, sally_io io, int sys_errno)
{
    if (!is_end(io, sys_errno)) {
        return refuse_errno(r, sys_errno);
    }
    return r->proxied->held.length == 0
               ? SALLY_TELLS_NOBODY
               : refuse(r, SALLY_TRUNCATED, "the stream ended inside of the PROXY header");
}

/* Receives `n` bytes that were peeked at; they lie behind the held ones in `bytes`. */
static bool take(reading *r, size_t n, int *sys_errno)
{
    unsigned char *at = r->bytes + r->proxied->held.length;
    while (n > 0) {
        size_t count;
        sally_io io = sally_sock_receive(r->fd, at, n, &count, sys_errno);
        if (io != SALLY_IO_DONE) {
            *sys_errno = io == SALLY_IO_FAILED ? *sys_errno : EIO;
            return false;
        }
        at += count;
        n -= count;
    }
    return true;
}

static sally_telling refuse_memory(reading *r)
{
    (void)sally_fail_memory(r->err, SALLY_PHASE_HANDSHAKE, r->call);
    return SALLY_TELLS_NOTHING;
}

static sally_telling keep_beginning(reading *r, size_t peeked)
{
    int sys_errno = 0;
    if (!take(r, peeked, &sys_errno)) {
        return refuse_errno(r, sys_errno);
    }
    sally_buf *held = &r->proxied->held;
    return sally_buf_append(held, r->bytes + held->length, peeked) ? SALLY_TELLS_MORE
                                                                   : refuse_memory(r);
}

/* False: no memory. Those of a header that has none, and of one whose client nobody asks for, cost nothing. */
static bool keep_tlvs(const reading *r)
{
    sally_proxied *p = r->proxied;
    size_t length = p->header.length - p->header.tlvs_at;
    if (!p->keeps_tlvs || length == 0) {
        return true;
    }
    p->tlvs = sally_alloc(sizeof *p->tlvs + length);
    if (p->tlvs != NULL) {
        p->tlvs->length = length;
        memcpy(p->tlvs->bytes, r->bytes + p->header.tlvs_at, length);
    }
    return p->tlvs != NULL;
}

/* Version 1 has no LOCAL: a proxy that checks whether we are there names its own end of the socket. */
static bool names_itself(const sally_proxied *p)
{
    char source[SALLY_ADDR_TEXT_SIZE];
    char proxy[SALLY_ADDR_TEXT_SIZE];
    bool has_port = sally_addr_port(&p->header.source) != 0;
    sally_addr_text_port(&p->header.source, source, sizeof source);
    sally_addr_text_port(&p->proxy, proxy, sizeof proxy);
    return has_port && strcmp(source, proxy) == 0;
}

static sally_telling judge(reading *r, size_t peeked)
{
    sally_proxied *p = r->proxied;
    const char *why = NULL;
    int sys_errno = 0;
    size_t there = p->held.length + peeked;
    switch (sally_proxy_parse(r->bytes, there, &p->header, &why)) {
    case SALLY_PROXY_MORE: return keep_beginning(r, peeked);
    case SALLY_PROXY_MALFORMED: return refuse(r, SALLY_PROTOCOL, why);
    case SALLY_PROXY_WHOLE: break;
    }
    if (!take(r, p->header.length - p->held.length, &sys_errno)) {
        return refuse_errno(r, sys_errno);
    }
    sally_buf_fini(&p->held);
    if (!keep_tlvs(r)) {
        return refuse_memory(r);
    }
    p->told = true;
    p->header.local = p->header.local || names_itself(p);
    return there > p->header.length ? SALLY_TELLS_CLIENT : SALLY_TELLS_MORE;
}

static sally_telling read_header(reading *r)
{
    const sally_buf *held = &r->proxied->held;
    size_t peeked;
    int sys_errno = 0;
    if (held->length != 0) {
        memcpy(r->bytes, sally_buf_front(held), held->length);
    }
    sally_io io = sally_sock_peek(r->fd, r->bytes + held->length, sizeof r->bytes - held->length,
                                  &peeked, &sys_errno);
    switch (io) {
    case SALLY_IO_WOULD_BLOCK: return SALLY_TELLS_MORE;
    case SALLY_IO_DONE: return judge(r, peeked);
    default: return cut_short(r, io, sys_errno);
    }
}

/* The end of a real client's connection is for TLS to report. */
static sally_telling await_client(reading *r)
{
    size_t peeked;
    int sys_errno = 0;
    sally_io io = sally_sock_peek(r->fd, r->bytes, 1, &peeked, &sys_errno);
    if (io == SALLY_IO_WOULD_BLOCK) {
        return SALLY_TELLS_MORE;
    }
    return r->proxied->header.local && is_end(io, sys_errno) ? SALLY_TELLS_NOBODY
                                                             : SALLY_TELLS_CLIENT;
}

sally_telling sally_proxied_step(sally_proxied *p, int fd, const char *call, ssl_error *err)
{
    reading r = {.proxied = p, .fd = fd, .call = call, .err = err};
    if (!p->told) {
        sally_telling telling = read_header(&r);
        if (telling != SALLY_TELLS_MORE || !p->told) {
            return telling;
        }
    }
    return await_client(&r);
}

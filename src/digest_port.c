/* L5 ports: digests of what ends: memory, a FILE, a descriptor, a port.
 *
 * A source is read in portions, and before each one the scope is looked at, so that a break or a
 * deadline stops a digest wherever its bytes come from. Nothing here blocks in read(2): a descriptor
 * that may have nothing yet is waited for first, and then asked for what it has.
 *
 * A FILE has a buffer that C gives no look into. So fread is asked for no more bytes than the
 * descriptor holds: whatever the buffer holds only makes them come sooner, and the reads that it makes
 * find what they want. That bytes lie in the buffer while we wait for the descriptor does no harm,
 * because there is no digest before the descriptor's end. A stream that is not a pipe, a socket or a
 * terminal needs none of this.
 *
 * Invariant: the output is written once, when all has gone well, and is zeroed or empty before.
 *
 * No locks of its own; a reading belongs to one call.
 */
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"
#include "error.h"
#include "ossl.h"
#include "wait.h"

#ifdef __has_include
#if __has_include(<stdio_ext.h>)
#define HAS_STDIO_EXT
#include <stdio_ext.h>
#endif
#endif

/* As much as a TLS record brings. */
#define PORTION ((size_t)16384)

/* What the caller asks for. */
typedef struct request {
    const char *call;
    const sally_digest_kind *kind;
    sally_how how;
} request;

/* A source while it is read. */
typedef struct reading {
    const ssl_digest_source *in;
    const char *call;
    /* The next portion: *at and *got; none: the source has ended. */
    ssl_status (*next)(struct reading *r, ssl_error *err);
    sally_scope scope;
    int fd;     /* of a FILE or a descriptor; -1: none */
    bool waits; /* it may have nothing to read yet */
    size_t done;
    const void *at;
    size_t got;
    unsigned char buf[PORTION];
} reading;

static ssl_status fail_null(const reading *r, const char *what, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_READ, "%s: the %s is NULL", r->call, what);
}

/* ---- descriptors --------------------------------------------------------------------------- */

static ssl_status look_at_fd(reading *r, int fd, ssl_error *err)
{
    struct stat about;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_READ, "%s: descriptor %d is not open%s",
                          r->call, fd, flags < 0 ? "" : " for reading");
    }
    r->fd = fd;
    r->waits = fstat(fd, &about) != 0 || !S_ISREG(about.st_mode);
    return SALLY_OK;
}

/* Until the next read will not block: it finds bytes, the end, or a failure. */
static ssl_status await(const reading *r, ssl_error *err)
{
    if (!r->waits) {
        return sally_scope_check(&r->scope, SALLY_PHASE_READ, err);
    }
    ssl_status status;
    struct pollfd fds[1 + SALLY_WAIT_SPARE] = {{.fd = r->fd, .events = POLLIN}};
    sally_wait wait = {.fds = fds, .count = 1, .scope = &r->scope, .phase = SALLY_PHASE_READ};
    return sally_wait_run(&wait, &status, err) == SALLY_WAITED_STOPPED ? status : SALLY_OK;
}

/* Whether a read that failed is to be waited for and made again: a signal came (B7), or another reader
 * was there first. */
static bool is_passing(const reading *r, int error)
{
    return error == EINTR || (error == EAGAIN && r->waits);
}

static ssl_status next_of_fd(reading *r, ssl_error *err)
{
    ssize_t n = -1;
    while (n < 0) {
        ssl_status status = await(r, err);
        if (status != SALLY_OK) {
            return status;
        }
        n = read(r->fd, r->buf, PORTION);
        if (n < 0 && !is_passing(r, errno)) {
            return sally_fail_errno(err, errno, SALLY_PHASE_READ, "%s: descriptor %d", r->call,
                                    r->fd);
        }
    }
    r->at = r->buf;
    r->got = (size_t)n;
    return SALLY_OK;
}

/* ---- stdio --------------------------------------------------------------------------------- */

/* Bytes that fread finds without blocking, after `await`. A descriptor at its end, or one that cannot
 * tell, is asked for one: that is either there, or the end is. */
static size_t held_by_fd(const reading *r)
{
    int held = 0;
    if (!r->waits) {
        return PORTION;
    }
    if (ioctl(r->fd, FIONREAD, &held) != 0 || held < 1) {
        return 1;
    }
    return (size_t)held < PORTION ? (size_t)held : PORTION;
}

static ssl_status next_of_file(reading *r, ssl_error *err)
{
    FILE *file = r->in->file;
    r->got = 0;
    while (r->got == 0 && !feof(file)) {
        ssl_status status = await(r, err);
        if (status != SALLY_OK) {
            return status;
        }
        size_t n = held_by_fd(r);
        errno = 0;
        r->got = fread(r->buf, 1, n, file);
        if (r->got < n && is_passing(r, errno)) {
            clearerr(file);
        } else if (r->got == 0 && !feof(file)) {
            return sally_fail_errno(err, errno != 0 ? errno : EIO, SALLY_PHASE_READ, "%s: the FILE",
                                    r->call);
        }
    }
    r->at = r->buf;
    return SALLY_OK;
}

/* ---- memory and ports ---------------------------------------------------------------------- */

static ssl_status next_of_bytes(reading *r, ssl_error *err)
{
    size_t left = r->in->size - r->done;
    r->got = left < PORTION ? left : PORTION;
    r->at = r->got != 0 ? (const unsigned char *)r->in->bytes + r->done : NULL;
    r->done += r->got;
    return sally_scope_check(&r->scope, SALLY_PHASE_READ, err);
}

static ssl_status next_of_port(reading *r, ssl_error *err)
{
    sally_op op = {.call = r->call, .buf = r->buf, .n = PORTION};
    ssl_status status = sally_port_read_in_scope(r->in->port, &op, &r->scope, err);
    r->at = r->buf;
    r->got = op.count;
    if (status == SALLY_EOF) {
        sally_error_none(err);
        status = SALLY_OK;
    }
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* A FILE for writing over a descriptor for both would be waited for in vain. Where the C library cannot tell,
 * the descriptor alone is asked. */
#ifdef HAS_STDIO_EXT
static bool is_for_reading(FILE *file)
{
    return __freadable(file) != 0;
}
#else
static bool is_for_reading(FILE *file)
{
    (void)file;
    return true;
}
#endif

static ssl_status open_file(reading *r, ssl_error *err)
{
    r->next = next_of_file;
    if (r->in->file == NULL) {
        return fail_null(r, "FILE", err);
    }
    if (!is_for_reading(r->in->file)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_READ,
                          "%s: the FILE is not open for reading", r->call);
    }
    int fd = fileno(r->in->file);
    return fd < 0 ? SALLY_OK : look_at_fd(r, fd, err);
}

static ssl_status open_source(reading *r, ssl_error *err)
{
    const ssl_digest_source *in = r->in;
    if (in == NULL) {
        return fail_null(r, "source", err);
    }
    switch (in->kind) {
    case SALLY_DIGEST_OF_BYTES:
        r->next = next_of_bytes;
        return in->bytes == NULL && in->size != 0 ? fail_null(r, "memory", err) : SALLY_OK;
    case SALLY_DIGEST_OF_FILE: return open_file(r, err);
    case SALLY_DIGEST_OF_FD: r->next = next_of_fd; return look_at_fd(r, in->fd, err);
    case SALLY_DIGEST_OF_PORT: {
        sally_op op = {.call = r->call, .phase = SALLY_PHASE_READ};
        r->next = next_of_port;
        return sally_port_check(in->port, SALLY_IN, &op, err);
    }
    case SALLY_DIGEST_OF_NOTHING: break;
    }
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_READ,
                      "%s: the source was not made by one of the ssl_digest_of_... functions",
                      r->call);
}

static ssl_status set_scope(reading *r, sally_how how, ssl_error *err)
{
    if (r->in->kind == SALLY_DIGEST_OF_PORT) {
        return sally_port_scope(r->in->port, how, SALLY_PHASE_READ, &r->scope, err);
    }
    return sally_scope_begin(&r->scope, how, SALLY_PHASE_READ, err);
}

static ssl_status read_all(reading *r, sally_digest *digest, ssl_error *err)
{
    ssl_status status = r->next(r, err);
    while (status == SALLY_OK && r->got != 0) {
        status = sally_digest_add(digest, r->at, r->got, err);
        if (status == SALLY_OK) {
            status = r->next(r, err);
        }
    }
    return status;
}

static ssl_status run(const ssl_digest_source *in, const request *ask, unsigned char *bytes,
                      ssl_error *err)
{
    sally_digest digest;
    reading r; /* not zeroed whole, for the buffer's sake */
    r.in = in;
    r.call = ask->call;
    r.scope = SALLY_SCOPE_NONE;
    r.fd = -1;
    r.waits = false;
    r.done = 0;
    ssl_status status = open_source(&r, err);
    if (status == SALLY_OK) {
        status = set_scope(&r, ask->how, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    r.scope.call = ask->call;
    status = sally_digest_begin(&digest, ask->kind, ask->call, err);
    if (status == SALLY_OK) {
        status = read_all(&r, &digest, err);
    }
    if (status == SALLY_OK) {
        status = sally_digest_end(&digest, bytes, err);
    }
    sally_digest_fini(&digest);
    return status;
}

static ssl_status give_bytes(const ssl_digest_source *in, request ask, unsigned char *digest,
                             ssl_error *err)
{
    sally_ossl_begin();
    if (digest == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_READ, "%s: digest is NULL", ask.call);
    }
    unsigned char made[SALLY_DIGEST_MAX] = {0};
    memset(digest, 0, ask.kind->size);
    ssl_status status = run(in, &ask, made, err);
    sally_ossl_end();
    if (status == SALLY_OK) {
        memcpy(digest, made, ask.kind->size);
    }
    return status;
}

static ssl_status give_hex(const ssl_digest_source *in, request ask, char *hex, ssl_error *err)
{
    sally_ossl_begin();
    if (hex == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_READ, "%s: hex is NULL", ask.call);
    }
    unsigned char digest[SALLY_DIGEST_MAX];
    hex[0] = '\0';
    ssl_status status = give_bytes(in, ask, digest, err);
    return status != SALLY_OK
               ? status
               : ssl_bytes_to_hex_string(digest, ask.kind->size, hex, 2 * ask.kind->size + 1, err);
}

/* ---- calls --------------------------------------------------------------------------------- */

ssl_status ssl_sha1(const ssl_digest_source *in, char hex[SALLY_SHA1_HEX_SIZE], ssl_error *err)
{
    return give_hex(in, (request){"ssl_sha1", &sally_digest_sha1, SALLY_PLAIN}, hex, err);
}

ssl_status ssl_sha1_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                 char hex[SALLY_SHA1_HEX_SIZE], ssl_error *err)
{
    request ask = {"ssl_sha1_enable_break", &sally_digest_sha1, SALLY_ENABLE(brk)};
    return give_hex(in, ask, hex, err);
}

ssl_status ssl_sha1_bytes(const ssl_digest_source *in, unsigned char digest[SALLY_SHA1_SIZE],
                          ssl_error *err)
{
    return give_bytes(in, (request){"ssl_sha1_bytes", &sally_digest_sha1, SALLY_PLAIN}, digest,
                      err);
}

ssl_status ssl_sha1_bytes_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                       unsigned char digest[SALLY_SHA1_SIZE], ssl_error *err)
{
    request ask = {"ssl_sha1_bytes_enable_break", &sally_digest_sha1, SALLY_ENABLE(brk)};
    return give_bytes(in, ask, digest, err);
}

ssl_status ssl_md5(const ssl_digest_source *in, char hex[SALLY_MD5_HEX_SIZE], ssl_error *err)
{
    return give_hex(in, (request){"ssl_md5", &sally_digest_md5, SALLY_PLAIN}, hex, err);
}

ssl_status ssl_md5_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                char hex[SALLY_MD5_HEX_SIZE], ssl_error *err)
{
    request ask = {"ssl_md5_enable_break", &sally_digest_md5, SALLY_ENABLE(brk)};
    return give_hex(in, ask, hex, err);
}

ssl_status ssl_md5_bytes(const ssl_digest_source *in, unsigned char digest[SALLY_MD5_SIZE],
                         ssl_error *err)
{
    return give_bytes(in, (request){"ssl_md5_bytes", &sally_digest_md5, SALLY_PLAIN}, digest, err);
}

ssl_status ssl_md5_bytes_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                      unsigned char digest[SALLY_MD5_SIZE], ssl_error *err)
{
    request ask = {"ssl_md5_bytes_enable_break", &sally_digest_md5, SALLY_ENABLE(brk)};
    return give_bytes(in, ask, digest, err);
}

ssl_status ssl_sha256(const ssl_digest_source *in, char hex[SALLY_SHA256_HEX_SIZE], ssl_error *err)
{
    return give_hex(in, (request){"ssl_sha256", &sally_digest_sha256, SALLY_PLAIN}, hex, err);
}

ssl_status ssl_sha256_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                   char hex[SALLY_SHA256_HEX_SIZE], ssl_error *err)
{
    request ask = {"ssl_sha256_enable_break", &sally_digest_sha256, SALLY_ENABLE(brk)};
    return give_hex(in, ask, hex, err);
}

ssl_status ssl_sha256_bytes(const ssl_digest_source *in, unsigned char digest[SALLY_SHA256_SIZE],
                            ssl_error *err)
{
    return give_bytes(in, (request){"ssl_sha256_bytes", &sally_digest_sha256, SALLY_PLAIN}, digest,
                      err);
}

ssl_status ssl_sha256_bytes_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                         unsigned char digest[SALLY_SHA256_SIZE], ssl_error *err)
{
    request ask = {"ssl_sha256_bytes_enable_break", &sally_digest_sha256, SALLY_ENABLE(brk)};
    return give_bytes(in, ask, digest, err);
}

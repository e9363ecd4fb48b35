/*
 * sallyport/digest.h: SHA-1, MD5 and SHA-256 of memory, files, descriptors and ports; hex.
 *
 * What is digested is one value, made by one of four functions, and read to its end:
 *
 *     ssl_digest_source in = ssl_digest_of_fd(fd);
 *     char hex[SALLY_SHA256_HEX_SIZE];
 *     if (ssl_sha256(&in, hex, &err) == SALLY_OK) puts(hex);
 *
 * Each digest has two shapes, the bytes (ssl_sha1_bytes) and the same in hex, lower case, with its
 * NUL (ssl_sha1), and each of these a form that `brk` can break; NULL stands for the thread's own
 * token. The plain forms obey no token (B9). After any failure the output is zeroed, or empty.
 *
 * For all of them:
 *   Blocks: until the source ends. Memory needs no waiting, and a regular file is not waited for.
 *   On break: what has been read is gone from the source, and no digest of it comes. A break, or a
 *     deadline that has passed, is seen before each portion of at most 16 KiB.
 *   Ownership: borrows what the source names; closes nothing.
 *   Threads: any; one at a time on one source. For a port, its one reader.
 *   Errors: UNSUPPORTED (this OpenSSL's providers do not offer the digest, as in FIPS mode; nothing has
 *     been read then), SYSTEM (reading failed), USAGE, MEMORY; for a port those of ssl_read: one that
 *     is cut gives TRUNCATED, never the digest of a half.
 *
 * MD5 and SHA-1 are broken as signatures (RFC 6151, RFC 6194); use them for names and for comparing
 * with what others have published.
 */
#ifndef SALLYPORT_DIGEST_H
#define SALLYPORT_DIGEST_H

#include <stdint.h>
#include <stdio.h>

#include "break.h"
#include "error.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what is digested ---------------------------------------------------------------------- */

typedef enum ssl_digest_source_kind {
    SALLY_DIGEST_OF_NOTHING = 0, /**< a source that was never set: USAGE */
    SALLY_DIGEST_OF_BYTES,
    SALLY_DIGEST_OF_FILE,
    SALLY_DIGEST_OF_FD,
    SALLY_DIGEST_OF_PORT
} ssl_digest_source_kind;

/** A source, to be made by the functions below; which fields count is up to `kind`. */
typedef struct ssl_digest_source {
    ssl_digest_source_kind kind;
    int fd;
    const void *bytes;
    size_t size; /**< of `bytes`, in bytes */
    FILE *file;
    ssl_port *port;
    uintptr_t reserved[2];
} ssl_digest_source;

/** `size` bytes of memory; NULL is fine for 0. */
static inline ssl_digest_source ssl_digest_of_bytes(const void *bytes, size_t size)
{
    ssl_digest_source source = {SALLY_DIGEST_OF_BYTES, -1, bytes, size, NULL, NULL, {0, 0}};
    return source;
}

/** A stdio stream from where it stands, what it has buffered first, to its end. It stays at its end.
 *  One without a descriptor (fmemopen(3)) is read with no waiting that a break could end. One that is
 *  open for writing alone is USAGE. */
static inline ssl_digest_source ssl_digest_of_file(FILE *file)
{
    ssl_digest_source source = {SALLY_DIGEST_OF_FILE, -1, NULL, 0, file, NULL, {0, 0}};
    return source;
}

/** A descriptor that is open for reading, blocking or not: a file from its offset, a pipe, a socket,
 *  a terminal. Its flags are not changed. */
static inline ssl_digest_source ssl_digest_of_fd(int fd)
{
    ssl_digest_source source = {SALLY_DIGEST_OF_FD, fd, NULL, 0, NULL, NULL, {0, 0}};
    return source;
}

/** An input port, up to the peer's goodbye. A timeout of the port bounds the whole digest (P8). */
static inline ssl_digest_source ssl_digest_of_port(ssl_port *in)
{
    ssl_digest_source source = {SALLY_DIGEST_OF_PORT, -1, NULL, 0, NULL, in, {0, 0}};
    return source;
}

/* ---- SHA-1 (FIPS 180-4) -------------------------------------------------------------------- */

/** Bytes of a digest; bytes of it in hex, the NUL included. */
#define SALLY_SHA1_SIZE     20
#define SALLY_SHA1_HEX_SIZE 41

/** SHA-1 in hex. */
SALLY_API ssl_status ssl_sha1(const ssl_digest_source *in, char hex[SALLY_SHA1_HEX_SIZE],
                              ssl_error *err);
/** ssl_sha1 that `brk` can break. Keeps: B1, B5. */
SALLY_API ssl_status ssl_sha1_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                           char hex[SALLY_SHA1_HEX_SIZE], ssl_error *err);
/** SHA-1 as bytes. */
SALLY_API ssl_status ssl_sha1_bytes(const ssl_digest_source *in,
                                    unsigned char digest[SALLY_SHA1_SIZE], ssl_error *err);
/** ssl_sha1_bytes that `brk` can break. Keeps: B1, B5. */
SALLY_API ssl_status ssl_sha1_bytes_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                                 unsigned char digest[SALLY_SHA1_SIZE],
                                                 ssl_error *err);

/* ---- MD5 (RFC 1321) ------------------------------------------------------------------------ */

/** Bytes of a digest; bytes of it in hex, the NUL included. */
#define SALLY_MD5_SIZE     16
#define SALLY_MD5_HEX_SIZE 33

/** MD5 in hex. */
SALLY_API ssl_status ssl_md5(const ssl_digest_source *in, char hex[SALLY_MD5_HEX_SIZE],
                             ssl_error *err);
/** ssl_md5 that `brk` can break. Keeps: B1, B5. */
SALLY_API ssl_status ssl_md5_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                          char hex[SALLY_MD5_HEX_SIZE], ssl_error *err);
/** MD5 as bytes. */
SALLY_API ssl_status ssl_md5_bytes(const ssl_digest_source *in,
                                   unsigned char digest[SALLY_MD5_SIZE], ssl_error *err);
/** ssl_md5_bytes that `brk` can break. Keeps: B1, B5. */
SALLY_API ssl_status ssl_md5_bytes_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                                unsigned char digest[SALLY_MD5_SIZE],
                                                ssl_error *err);

/* ---- SHA-256 (FIPS 180-4) ------------------------------------------------------------------ */

/** Bytes of a digest; bytes of it in hex, the NUL included. */
#define SALLY_SHA256_SIZE     32
#define SALLY_SHA256_HEX_SIZE 65

/** SHA-256 in hex. */
SALLY_API ssl_status ssl_sha256(const ssl_digest_source *in, char hex[SALLY_SHA256_HEX_SIZE],
                                ssl_error *err);
/** ssl_sha256 that `brk` can break. Keeps: B1, B5. */
SALLY_API ssl_status ssl_sha256_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                             char hex[SALLY_SHA256_HEX_SIZE], ssl_error *err);
/** SHA-256 as bytes. */
SALLY_API ssl_status ssl_sha256_bytes(const ssl_digest_source *in,
                                      unsigned char digest[SALLY_SHA256_SIZE], ssl_error *err);
/** ssl_sha256_bytes that `brk` can break. Keeps: B1, B5. */
SALLY_API ssl_status ssl_sha256_bytes_enable_break(const ssl_digest_source *in, ssl_break *brk,
                                                   unsigned char digest[SALLY_SHA256_SIZE],
                                                   ssl_error *err);

/* ---- hex ----------------------------------------------------------------------------------- */

/**
 * Writes `n` bytes as 2 * n lower-case digits and a NUL into `hex`, which has room for `size`
 * characters. The two must not overlap. n = 0 gives "".
 * Threads: any.
 * Errors: LIMIT (`size` is less than 2 * n + 1), USAGE; `hex` is "" then, where it has any room.
 */
SALLY_API ssl_status ssl_bytes_to_hex_string(const void *bytes, size_t n, char *hex, size_t size,
                                             ssl_error *err);

/**
 * Reads the digits of `hex`, upper or lower case, into `bytes`, which has room for `size`; *count
 * says how many bytes they were. The two must not overlap. "" gives 0.
 * Threads: any.
 * Errors: USAGE (an odd number of digits, or a character that is none: the text says where, counted
 *   from 0), LIMIT (more bytes than `size`). *count is 0 then, and nothing was written.
 */
SALLY_API ssl_status ssl_hex_string_to_bytes(const char *hex, void *bytes, size_t size,
                                             size_t *count, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

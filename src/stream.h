/* L0 base: a stdio FILE whose bytes come from functions of ours.
 *
 * stream_cookie.c makes it with fopencookie(3), which glibc and musl have; stream_none.c stands where
 * the C library has nothing like it. The build takes one of them.
 */
#ifndef SALLY_STREAM_H
#define SALLY_STREAM_H

#include <stdio.h>
#include <sys/types.h>

/* Each with the cookie first. They set errno where they fail, and call no stdio on the same FILE. */
typedef struct sally_stream_ops {
    /* As read(2): 0 is the end, -1 a failure. NULL in a stream for writing. */
    ssize_t (*read)(void *cookie, char *buf, size_t n);
    /* How many bytes were taken; fewer than n is a failure, and stdio drops the rest. */
    ssize_t (*write)(void *cookie, const char *buf, size_t n);
    /* By fclose, after the last write; 0, or -1 for a failure. The cookie is not used again. */
    int (*close)(void *cookie);
} sally_stream_ops;

/* 0, or an errno: ENOSYS where this build has no such streams. A stream for reading holds no buffer of
 * its own, one for writing is fully buffered. */
int sally_stream_open(const sally_stream_ops *ops, void *cookie, FILE **file);

#endif

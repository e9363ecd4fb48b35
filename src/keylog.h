/* L3 crypto: where the secrets of connections are logged, and how lines get there (C6).
 *
 * OpenSSL has a line in the middle of a step, under the connection's lock. It is kept in the connection's
 * sally_key_lines, and delivered by the same thread once the lock is free, because that may call the
 * application. A connection without a keylog has no sally_key_lines.
 */
#ifndef SALLY_KEYLOG_LINES_H
#define SALLY_KEYLOG_LINES_H

#include <openssl/types.h>
#include <stdbool.h>

#include "buf.h"
#include "sallyport/keylog.h"

/* Refcounted: the context that it was set on may have another by the time that its connections end. */
typedef struct sally_keylog sally_keylog;

/* NULL when out of memory. */
sally_keylog *sally_keylog_new(ssl_keylogger callback, void *user);
/* Errors: SYSTEM, CONFIG (no regular file), MEMORY. */
ssl_status sally_keylog_open(const char *path, const char *call, sally_keylog **log,
                             ssl_error *err);
/* NULL is fine in both. */
sally_keylog *sally_keylog_retain(sally_keylog *log);
void sally_keylog_release(sally_keylog *log);
uint64_t sally_keylog_lost(const sally_keylog *log);

/* Whole lines, each with its newline, on their way to a log. */
typedef struct sally_key_lines {
    sally_keylog *log; /* retained */
    sally_buf text;
} sally_key_lines;

/* Once per SSL_CTX of a context with a keylog. */
void sally_keylog_configure(SSL_CTX *ctx);
/* Lets the lines of `ssl` be kept in `lines`, which is borrowed. False: out of memory. */
bool sally_keylog_attach(SSL *ssl, sally_key_lines *lines);
/* Gives the lines to the log, wipes and drops them, and gives the log back. No lock may be held. */
void sally_key_lines_deliver(sally_key_lines *lines);
/* Moves what there is, with a reference to the log; false: nothing. */
bool sally_key_lines_take(sally_key_lines *from, sally_key_lines *to);
void sally_key_lines_fini(sally_key_lines *lines);

#endif

/*
 * sallyport/keylog.h: TLS secrets for those who debug with a packet analyser.
 *
 * Whoever has the lines can read the connections that they belong to. Nothing is logged unless the program
 * asks for it here; no environment variable turns it on. Lines are in the NSS key log format, which
 * Wireshark reads: "CLIENT_RANDOM 52362c10... 9f9a0f19...".
 */
#ifndef SALLYPORT_KEYLOG_H
#define SALLYPORT_KEYLOG_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Gets one line, without a newline, good during the call. `user` is what the setter was given.
 * It runs on the thread that drove the handshake, before that call returns, with no lock of the library
 * held; several threads may be inside at once.
 */
typedef void (*ssl_keylogger)(const char *line, void *user);

/**
 * Sets who gets the secrets of the connections of a context; NULL: nobody. A context has one keylogger, a
 * callback or a file: the later call takes the place of the earlier.
 * Ownership: borrows `user`, for as long as the context has connections.
 * Threads: any. Errors: SEALED, USAGE (NULL), MEMORY. Keeps: C6.
 */
SALLY_API ssl_status ssl_set_keylogger(ssl_context *context, ssl_keylogger callback, void *user,
                                       ssl_error *err);

/**
 * As ssl_set_keylogger, to a file: opened now, made with mode 0600 where there is none, and appended to.
 * Each write has whole lines, so contexts, threads and processes may share a file. A line that cannot be
 * written is lost, and no connection fails for it: ssl_keylog_lost counts. `path` NULL: nobody.
 * Errors: SEALED (the file is not touched then), USAGE (the context is NULL), SYSTEM (it cannot be opened),
 *   CONFIG (no regular file), MEMORY. Keeps: C6.
 */
SALLY_API ssl_status ssl_set_keylog_file(ssl_context *context, const char *path, ssl_error *err);

/** Lines that were lost by the keylogger that the context has now: to a full disk, or for want of memory.
 *  0 for NULL. Threads: any. */
SALLY_API uint64_t ssl_keylog_lost(ssl_context *context);

#ifdef __cplusplus
}
#endif
#endif

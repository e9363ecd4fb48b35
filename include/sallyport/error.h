/*
 * sallyport/error.h: results and errors.
 *
 * Every call that can fail returns an ssl_status and takes, as its last argument, an ssl_error that
 * the caller owns and that may be NULL. There is no thread-local error state, and nothing here
 * allocates, prints, exits or raises a signal (E3).
 *
 *     ssl_error err;
 *     size_t got;
 *     switch (ssl_read(in, buf, sizeof buf, &got, &err)) {
 *     case SALLY_OK:        use(buf, got); break;
 *     case SALLY_EOF:       the peer said goodbye: all it sent is here; break;
 *     case SALLY_TRUNCATED: the stream was cut: what is here may be half a message; break;
 *     default:              fprintf(stderr, "%s\n", err.text);
 *     }
 *
 * Promises that hold for every call of the library:
 *   E1  OpenSSL's error queue of the calling thread is empty when the call returns, and what it
 *       held before is neither trusted nor kept. Read it before you call us if you need it. (The
 *       calls of break.h, the hex calls and the names of things know no OpenSSL and leave the queue
 *       alone.)
 *   E2  Object out-parameters are NULL on failure. Counts are exact, on failure too.
 *   E3  A bad argument gives SALLY_USAGE. Sockets never raise SIGPIPE.
 */
#ifndef SALLYPORT_ERROR_H
#define SALLYPORT_ERROR_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SALLY_API                 __attribute__((visibility("default")))
#define SALLY_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define SALLY_API
#define SALLY_PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What a call came to. Closed: a switch over it needs no default. */
typedef enum ssl_status {
    SALLY_OK = 0,      /**< done */
    SALLY_EOF,         /**< the peer said goodbye (close_notify): the stream is whole */
    SALLY_TRUNCATED,   /**< the stream was cut without goodbye: distrust the last message */
    SALLY_BREAK,       /**< a break was delivered; the connection is intact, call again to go on */
    SALLY_TIMEOUT,     /**< a deadline passed; intact as after SALLY_BREAK */
    SALLY_CLOSED,      /**< this side closed or abandoned it, perhaps from another thread */
    SALLY_PEER,        /**< the peer refused with a TLS alert; ssl_error.code is its number */
    SALLY_PROTOCOL,    /**< the peer broke the TLS protocol, or no common version or cipher */
    SALLY_VERIFY,      /**< the peer's certificate or name was not accepted */
    SALLY_SEALED,      /**< the context is sealed: make a new one */
    SALLY_UNSUPPORTED, /**< this build, OpenSSL or peer cannot do it */
    SALLY_SYSTEM,      /**< the operating system refused; ssl_error.sys_errno says why */
    SALLY_CONFIG,      /**< a file, key, certificate or setting is wrong */
    SALLY_USAGE,       /**< the program called us wrongly: fix the program */
    SALLY_MEMORY,      /**< out of memory */
    SALLY_LIMIT        /**< a bound that you or the library set was reached */
} ssl_status;

/** What was going on when it failed. */
typedef enum ssl_phase {
    SALLY_PHASE_NONE = 0,
    SALLY_PHASE_RESOLVE,   /**< looking up a host name */
    SALLY_PHASE_CONNECT,   /**< connecting TCP */
    SALLY_PHASE_LISTEN,    /**< opening a listener */
    SALLY_PHASE_ACCEPT,    /**< taking a client from a listener */
    SALLY_PHASE_HANDSHAKE, /**< TLS handshake */
    SALLY_PHASE_READ,
    SALLY_PHASE_WRITE,
    SALLY_PHASE_CLOSE,
    SALLY_PHASE_CONFIG, /**< loading files or building a context */
    SALLY_PHASE_SERVE,  /**< inside ssl_server */
    SALLY_PHASE_WAIT    /**< waiting for a descriptor or a break alone */
} ssl_phase;

/** Bytes of ssl_error.text, the terminating NUL included. */
#define SALLY_ERROR_TEXT_SIZE 400

/** An error as a value: fixed size, owned by the caller, copied freely. */
typedef struct ssl_error {
    ssl_status status;
    ssl_phase phase;
    int code;           /**< PEER: alert number; BREAK: reason; VERIFY: X509_V_ERR_...; else 0 */
    int sys_errno;      /**< errno behind it, or 0 */
    uint64_t ossl_code; /**< OpenSSL's packed error code behind it, or 0 */
    uint64_t reserved[4];
    char text[SALLY_ERROR_TEXT_SIZE]; /**< what, on what, why, and the way out; with SALLY_OK a
                                           remark, or empty */
} ssl_error;

/** The name of a status as it stands in the source, as "SALLY_EOF". Never NULL.
 *  Threads: any, async-signal-safe. */
SALLY_API const char *ssl_status_name(ssl_status status);

/** The name of a phase in plain words, as "handshake". Never NULL.
 *  Threads: any, async-signal-safe. */
SALLY_API const char *ssl_phase_name(ssl_phase phase);

#ifdef __cplusplus
}
#endif
#endif

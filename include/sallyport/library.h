/*
 * sallyport/library.h: the OpenSSL below us: is it usable, which one is it, what can it speak, and
 * handles for calling into it.
 */
#ifndef SALLYPORT_LIBRARY_H
#define SALLYPORT_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include "context.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- is it usable -------------------------------------------------------------------------- */

/**
 * Whether this process can speak TLS: OpenSSL starts, and its configuration leaves it the algorithms
 * that TLS needs. Found out once, by making a context; the answer stays.
 * Threads: any. Keeps: E1.
 */
SALLY_API bool ssl_available(void);

/** Why ssl_available is false, in words that live as long as the process; NULL when it is true.
 *  Threads: any. Keeps: E1. */
SALLY_API const char *ssl_load_fail_reason(void);

/* ---- the libraries themselves -------------------------------------------------------------- */

/**
 * A handle of the libssl that this process uses, for dlsym(3); NULL when there is none, and
 * ssl_libssl_load_fail_reason says why. Where OpenSSL is linked into the program, the handle is the
 * program's own, if the program exports OpenSSL's functions; where it is linked in and hidden, there
 * is none, and TLS is available all the same.
 * Ownership: borrowed, lives as long as the process; not to be closed with dlclose(3).
 * Threads: any. Keeps: E1.
 */
SALLY_API void *ssl_libssl(void);
/** Why ssl_libssl is NULL, in words that live as long as the process; NULL when it is not.
 *  Threads: any. Keeps: E1. */
SALLY_API const char *ssl_libssl_load_fail_reason(void);

/** As ssl_libssl, of the libcrypto that this process uses. */
SALLY_API void *ssl_libcrypto(void);
/** Why ssl_libcrypto is NULL. As ssl_libssl_load_fail_reason. */
SALLY_API const char *ssl_libcrypto_load_fail_reason(void);

/**
 * The versions of the shared libraries that are tried, best first, and NULL at the end: "3" for
 * libssl.so.3. There is one, because the build settles it and the dynamic linker looks for no other.
 * Ownership: borrowed, static. Threads: any, async-signal-safe.
 */
SALLY_API const char *const *ssl_openssl_lib_versions(void);

/** OpenSSL's version in words, as "OpenSSL 3.0.13 30 Jan 2024": of the library that runs, which need not
 *  be the one of the headers. Static. Threads: any. */
SALLY_API const char *ssl_openssl_version(void);

/** OpenSSL's version as a number, 0xMNN00PP0 (OpenSSL_version_num(3)): 0x300000D0 is 3.0.13.
 *  Threads: any. */
SALLY_API unsigned long ssl_openssl_version_number(void);

/**
 * Loads OpenSSL's legacy provider (MD4, RC4, DES and others, OSSL_PROVIDER-legacy(7)) for the whole
 * process, beside what is there: the default provider stays. It is not unloaded again; calling twice
 * is fine.
 * Blocks: while a file is loaded. Threads: any.
 * Errors: UNSUPPORTED (the module is not installed, or not fit), MEMORY. Keeps: E1.
 */
SALLY_API ssl_status ssl_load_legacy_provider(ssl_error *err);

/* ---- what it can speak --------------------------------------------------------------------- */

/** Room for every protocol that there is. */
#define SALLY_PROTOCOLS_MAX 16

/**
 * The protocols that a client context can be made with here, worst first, as Racket has them: SECURE and
 * AUTO, then TLS by rising version. Each is tried: OpenSSL's build, its configuration and its
 * providers all have a say. Names that stand for AUTO are not among them. While memory is so short
 * that OpenSSL leaves algorithms out without a word, the list may be short too.
 * Fills at most `room` elements, SALLY_PROTOCOLS_MAX being enough; *count says how many.
 * Blocks: for milliseconds, computing. Threads: any.
 * Errors: LIMIT (there are more than `room`, which is filled), USAGE, MEMORY. Keeps: C1, E1.
 */
SALLY_API ssl_status ssl_supported_client_protocols(ssl_protocol *protocols, size_t room,
                                                    size_t *count, ssl_error *err);
/** As ssl_supported_client_protocols, for server contexts. */
SALLY_API ssl_status ssl_supported_server_protocols(ssl_protocol *protocols, size_t room,
                                                    size_t *count, ssl_error *err);

/**
 * The best of ssl_supported_client_protocols, in *protocol.
 * Threads: any. Errors: UNSUPPORTED (there is none), USAGE, MEMORY; *protocol is SALLY_PROTOCOL_SECURE
 * then. Keeps: C1, E1.
 */
SALLY_API ssl_status ssl_max_client_protocol(ssl_protocol *protocol, ssl_error *err);
/** As ssl_max_client_protocol, for server contexts. */
SALLY_API ssl_status ssl_max_server_protocol(ssl_protocol *protocol, ssl_error *err);

/** A protocol's name, Racket's symbol: "secure", "auto", "tls13", "tls12", "tls11", "tls",
 *  "sslv2-or-v3", "sslv2", "sslv3". "unknown protocol" for a number that names none; never NULL.
 *  Threads: any, async-signal-safe. */
SALLY_API const char *ssl_protocol_name(ssl_protocol protocol);

/** The protocol of a name that ssl_protocol_name gives, in *protocol; lower case, as a whole.
 *  Threads: any. Errors: USAGE (no such name: the text lists them); *protocol is SALLY_PROTOCOL_SECURE
 *  then. */
SALLY_API ssl_status ssl_protocol_from_name(const char *name, ssl_protocol *protocol,
                                            ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

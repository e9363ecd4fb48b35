/* L3 crypto: files, whole and bounded, and the certificates and keys in them (C3).
 *
 * Nothing here knows contexts. A path is opened once, must be a regular file, and is read into memory
 * before it is parsed, so that a FIFO, a device or a huge file is refused at once and never waited for.
 */
#ifndef SALLY_LOAD_H
#define SALLY_LOAD_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "sallyport/load.h"

/* What is loaded from where, for error texts. */
typedef struct sally_source {
    const char *noun; /* "certificate chain" */
    const char *path;
} sally_source;

/* The start of every error text here; its arguments are noun and path. */
#define SALLY_CANNOT_LOAD "cannot load %s \"%.160s\": "

typedef struct sally_file {
    unsigned char *bytes; /* a NUL follows the last one */
    size_t size;
} sally_file;

/* Never empty. Errors: SYSTEM, CONFIG (not a regular file, empty), LIMIT, MEMORY. */
ssl_status sally_file_read(const sally_source *source, sally_file *file, ssl_error *err);
/* Wipes before it frees: there may have been a key in it. */
void sally_file_fini(sally_file *file);

bool sally_file_contains(const sally_file *file, const char *text);
/* In words, what a file holds that was expected to hold PEM of another kind. */
const char *sally_file_describe(const sally_file *file);

/* All certificates of a PEM file, in order, at least one; blocks of other kinds are passed over.
 * Errors: as sally_file_read; CONFIG (no certificate in it, damaged). */
ssl_status sally_load_certificates(const sally_source *source, STACK_OF(X509) * *certificates,
                                   ssl_error *err);
/* Whether each certificate is issued and signed by the next one: OK or CONFIG. */
ssl_status sally_chain_check(const sally_source *source, STACK_OF(X509) * chain, ssl_error *err);

/* `options` may be NULL. Errors: as sally_file_read; CONFIG (no key in it, damaged, encrypted and no or
 * the wrong passphrase). */
ssl_status sally_load_key(const sally_source *source, const ssl_key_options *options,
                          EVP_PKEY **key, ssl_error *err);

#endif

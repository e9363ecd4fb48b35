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

/* What is loaded, and from where: a file, or bytes in memory. */
typedef struct sally_source {
    const char *noun;  /* "certificate chain" */
    const char *path;  /* of the file; for bytes, what texts call them */
    const void *bytes; /* borrowed; NULL for a file */
    size_t size;
} sally_source;

sally_source sally_source_file(const char *noun, const char *path);
/* `bytes` NULL, or without data: a source that is not given. */
sally_source sally_source_bytes(const char *noun, const ssl_bytes *bytes);
/* USAGE for a path, or bytes, that are NULL. */
ssl_status sally_source_given(const sally_source *source, const char *call, ssl_error *err);

/* The start of every error text here; its arguments are noun and path. */
#define SALLY_CANNOT_LOAD "cannot load %s \"%.160s\": "

/* What a source holds, without the byte order mark that some editors put before UTF-8. */
typedef struct sally_file {
    const unsigned char *bytes;
    size_t size;
    unsigned char *owned; /* the memory; NULL: the bytes are borrowed */
    size_t owned_size;
} sally_file;

/* Never empty. Errors: SYSTEM, CONFIG (not a regular file, empty), LIMIT, MEMORY. */
ssl_status sally_file_read(const sally_source *source, sally_file *file, ssl_error *err);
/* Wipes before it frees: there may have been a key in it. */
void sally_file_fini(sally_file *file);

bool sally_file_contains(const sally_file *file, const char *text);
/* In words, what a file holds that was expected to hold PEM of another kind. */
const char *sally_file_describe(const sally_file *file);

/* Blocks of PEM that a loader wants. */
typedef struct sally_pem_kind {
    const char *noun; /* one of them, in texts: "certificate" */
    bool (*wants)(const char *label);
    /* Parses a block and adds it to `kept`: false with OpenSSL's queue saying why. */
    bool (*keep)(void *kept, const char *label, const unsigned char *der, long size);
} sally_pem_kind;

/* How many there are, of any kind; LIMIT for more than SALLY_PEM_BLOCKS_MAX. Before anything is parsed, because
 * that is what takes the time. */
ssl_status sally_pem_count(const sally_source *source, const sally_file *file, size_t *blocks,
                           ssl_error *err);
/* Gives each block of the kind to `keep`, in order, none too; the others are passed over.
 * Errors: CONFIG (a block of any kind is damaged or cut off), LIMIT (too many blocks), MEMORY. */
ssl_status sally_pem_read(const sally_source *source, const sally_file *file,
                          const sally_pem_kind *kind, void *kept, ssl_error *err);

/* Whether it is a directory of hashed names that can be searched without waiting. Errors: SYSTEM, CONFIG. */
ssl_status sally_directory_check(const char *path, ssl_error *err);

/* All certificates of a PEM file, in order, at least one; blocks of other kinds are passed over.
 * Errors: as sally_file_read; CONFIG (no certificate in it, damaged). */
ssl_status sally_load_certificates(const sally_source *source, STACK_OF(X509) * *certificates,
                                   ssl_error *err);
/* Whether each certificate is issued and signed by the next one: OK, CONFIG, or LIMIT (too many). */
ssl_status sally_chain_check(const sally_source *source, STACK_OF(X509) * chain, ssl_error *err);

/* All revocation lists of a PEM file, at least one, or the one of a DER file.
 * Errors: as sally_file_read; CONFIG (none in it, damaged). */
ssl_status sally_load_crls(const sally_source *source, STACK_OF(X509_CRL) * *crls, ssl_error *err);

/* Parameters of finite-field Diffie-Hellman from a PEM file, checked: at least SALLY_DH_BITS_MIN, no more
 * than can be checked in bounded time, and sound. Errors: as sally_file_read; CONFIG, LIMIT. */
ssl_status sally_load_dh(const sally_source *source, EVP_PKEY **dh, ssl_error *err);
#define SALLY_DH_BITS_MIN 2048
/* The group ffdhe4096 (RFC 7919), which OpenSSL holds; NULL with its queue saying why. */
EVP_PKEY *sally_dh_4096(void);

/* Whether it takes more than SALLY_KEY_ROUNDS_MAX to read a key from the file in that way (key_cost.c).
 * OpenSSL's queue may have something in it then. */
bool sally_key_is_dear(const sally_file *file, const ssl_key_options *options);
/* `options` may be NULL. Errors: as sally_file_read; CONFIG (no key in it, damaged, encrypted and no or
 * the wrong passphrase). */
ssl_status sally_load_key(const sally_source *source, const ssl_key_options *options,
                          EVP_PKEY **key, ssl_error *err);

#endif

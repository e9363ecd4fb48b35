/*
 * sallyport/load.h: who a context is, and whom it trusts: certificates and keys.
 *
 * Files are read at the call, whole, and must be regular files of at most SALLY_FILE_MAX bytes; a FIFO, a
 * device or a directory is refused at once. What was read is wiped. A call that fails changes nothing
 * (C2), and its text names the file, the reason and, where there is one, the way out. CRLF line ends,
 * text around the PEM blocks and a byte order mark before UTF-8 do no harm.
 */
#ifndef SALLYPORT_LOAD_H
#define SALLYPORT_LOAD_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The largest file that is loaded, in bytes. */
#define SALLY_FILE_MAX (8 * 1024 * 1024)

/** The most PEM blocks, of any kind, in a file: OpenSSL takes time with the square of their number. The roots
 *  of a system are about 150. */
#define SALLY_PEM_BLOCKS_MAX 4096

/** The most certificates in a chain that identifies us. Verifiers go no further (SSL_set_verify_depth(3)). */
#define SALLY_CHAIN_MAX 100

/** How often the passphrase of an encrypted key may be hashed (the iterations of RFC 8018 section 4.2; the
 *  product of the three costs of scrypt, RFC 7914): more takes longer than C3 allows, and is refused with
 *  CONFIG before it is begun. With `rsa_only` it is the sum over the keys of the file, because those that
 *  are skipped have to be decrypted too. */
#define SALLY_KEY_ROUNDS_MAX 1000000

/** What would be in a file, in memory. It is looked at during the call only and not copied; what is kept
 *  is the parsed certificate or key. Wiping a key's bytes afterwards is the caller's, whose they are.
 *  A call that ends in _bytes does what the one without does, from memory; it gives USAGE for NULL too. */
typedef struct ssl_bytes {
    const void *data;  /**< not NULL */
    size_t size;       /**< at most SALLY_FILE_MAX */
    const char *label; /**< what error texts call it; NULL: "(memory)" */
} ssl_bytes;

/** How to read a private key. All zero: any key type, PEM, no passphrase. */
typedef struct ssl_key_options {
    bool rsa_only; /**< take the first RSA key of the file, skip others (Racket's rsa? #t) */
    bool asn1;     /**< the file is DER, not PEM */
    /** Called for an encrypted key: write at most `size` bytes of passphrase to `buf`, return their
     *  number, or -1 for none. Called on the loading thread, no library lock held. May be NULL: an
     *  encrypted key is refused then; no terminal is ever asked. */
    int (*passphrase)(char *buf, int size, void *user);
    void *user;
    uint64_t reserved[4];
} ssl_key_options;

/**
 * Loads the chain that identifies us: PEM, leaf first, then its issuers. Replaces the old chain. If a
 * key is loaded already it must match: to replace both use ssl_load_identity.
 * Threads: any, one setter at a time.
 * Errors: SEALED, SYSTEM (cannot read), CONFIG (not PEM, damaged, not a certificate, out of order, does not
 *   match the key), LIMIT (larger than SALLY_FILE_MAX, more than SALLY_PEM_BLOCKS_MAX blocks or
 *   SALLY_CHAIN_MAX certificates), MEMORY. Keeps: C2, C3.
 */
SALLY_API ssl_status ssl_load_certificate_chain(ssl_context *context, const char *path,
                                                ssl_error *err);

/** Loads the private key of the chain. `options` may be NULL.
 *  Threads and errors as for ssl_load_certificate_chain; CONFIG too for one that is encrypted, without the
 *  right passphrase or with more rounds than SALLY_KEY_ROUNDS_MAX. Keeps: C2, C3. */
SALLY_API ssl_status ssl_load_private_key(ssl_context *context, const char *path,
                                          const ssl_key_options *options, ssl_error *err);

/** Loads chain and key as a pair: both are replaced, or neither. `options` may be NULL.
 *  Threads and errors as for ssl_load_certificate_chain. Keeps: C2, C3. */
SALLY_API ssl_status ssl_load_identity(ssl_context *context, const char *chain_path,
                                       const char *key_path, const ssl_key_options *options,
                                       ssl_error *err);

/** ssl_load_certificate_chain from memory. Keeps: C2, C3. */
SALLY_API ssl_status ssl_load_certificate_chain_bytes(ssl_context *context, const ssl_bytes *chain,
                                                      ssl_error *err);
/** ssl_load_private_key from memory. Keeps: C2, C3. */
SALLY_API ssl_status ssl_load_private_key_bytes(ssl_context *context, const ssl_bytes *key,
                                                const ssl_key_options *options, ssl_error *err);
/** ssl_load_identity from memory. Keeps: C2, C3. */
SALLY_API ssl_status ssl_load_identity_bytes(ssl_context *context, const ssl_bytes *chain,
                                             const ssl_bytes *key, const ssl_key_options *options,
                                             ssl_error *err);

/** How to make a context with its identity. Start from SALLY_CONTEXT_OPTIONS; NULL stands for the same. */
typedef struct ssl_context_options {
    ssl_protocol protocol;
    const char *certificate_chain; /**< path, PEM; NULL: none yet */
    const char *private_key;       /**< path; NULL: none yet */
    ssl_key_options key;           /**< how to read it */
    uint64_t reserved[8];
} ssl_context_options;

/* clang-format off */
#define SALLY_CONTEXT_OPTIONS \
    {SALLY_PROTOCOL_SECURE, NULL, NULL, {false, false, NULL, NULL, {0}}, {0}}
/* clang-format on */

/**
 * ssl_make_client_context and an identity, in one. A SALLY_PROTOCOL_SECURE with an identity is a sealed
 * context of its own that verifies as ssl_secure_client_context does; it needs both chain and key.
 * Ownership: returns one reference; copies. Threads: any.
 * Errors: as for ssl_make_client_context and ssl_load_identity (*context is NULL then). Keeps: C1, C3.
 */
SALLY_API ssl_status ssl_make_client_context_with(const ssl_context_options *options,
                                                  ssl_context **context, ssl_error *err);
/** ssl_make_server_context and an identity, in one.
 *  Ownership, threads and errors as for ssl_make_client_context_with. Keeps: C1, C3. */
SALLY_API ssl_status ssl_make_server_context_with(const ssl_context_options *options,
                                                  ssl_context **context, ssl_error *err);

/** Where trust anchors come from. */
typedef enum ssl_verify_source_kind {
    SALLY_VERIFY_FILE = 0, /**< a PEM file of certificates, loaded at the call */
    SALLY_VERIFY_DIRECTORY, /**< a directory of hashed names (openssl-rehash(1)), searched when needed */
    SALLY_VERIFY_DEFAULT, /**< SSL_CERT_FILE and SSL_CERT_DIR, or the system's; path is ignored */
    SALLY_VERIFY_WIN32_STORE,    /**< a store of Windows; path is its name. UNSUPPORTED elsewhere */
    SALLY_VERIFY_MACOSX_KEYCHAIN /**< the file of a keychain of Mac OS. UNSUPPORTED elsewhere */
} ssl_verify_source_kind;

typedef struct ssl_verify_source {
    ssl_verify_source_kind kind;
    const char *path;
} ssl_verify_source;

/**
 * Adds trust anchors. With `try_only` a source that cannot be loaded is passed over.
 * SALLY_VERIFY_DEFAULT is read when the context is sealed or first used, and what is missing there is
 *   passed over: less is trusted then, never more. A directory's path must not have a colon.
 * Threads: any, one setter at a time.
 * Errors: SEALED, SYSTEM, CONFIG, LIMIT, UNSUPPORTED (another system's kind of source), MEMORY, USAGE.
 * Keeps: C3.
 */
SALLY_API ssl_status ssl_load_verify_source(ssl_context *context, const ssl_verify_source *source,
                                            bool try_only, ssl_error *err);
/** ssl_load_verify_source of a PEM file. */
SALLY_API ssl_status ssl_load_verify_root_certificates(ssl_context *context, const char *path,
                                                       ssl_error *err);
/** ssl_load_verify_root_certificates from memory. Keeps: C3. */
SALLY_API ssl_status ssl_load_verify_root_certificates_bytes(ssl_context *context,
                                                             const ssl_bytes *roots,
                                                             ssl_error *err);
/** Adds every source of the list set by ssl_default_verify_sources_set, passing over what cannot be
 *  loaded. */
SALLY_API ssl_status ssl_load_default_verify_sources(ssl_context *context, ssl_error *err);
/**
 * Replaces the process's list of default sources; `count` 0 is an empty list. At first it is one
 * SALLY_VERIFY_DEFAULT. At most SALLY_VERIFY_SOURCES_MAX.
 * Ownership: copies. Threads: any. Errors: USAGE, LIMIT, MEMORY.
 */
SALLY_API ssl_status ssl_default_verify_sources_set(const ssl_verify_source *sources, size_t count,
                                                    ssl_error *err);
#define SALLY_VERIFY_SOURCES_MAX 32

/**
 * The process's list of default sources, as it is set now, in *sources; *count says how many. The
 * path of a SALLY_VERIFY_DEFAULT is NULL.
 * Ownership: returns one block, the paths inside; free it with ssl_free_block. Threads: any.
 * Errors: USAGE, MEMORY (*sources is NULL and *count 0 then).
 */
SALLY_API ssl_status ssl_default_verify_sources(ssl_verify_source **sources, size_t *count,
                                                ssl_error *err);

/**
 * The names of the authorities that a server sends when it asks for a client's certificate: those of the
 * certificates in a PEM file, each once. They help the client to choose and imply no trust: what it
 * sends is judged by the verify sources. Replaces the old names.
 * Threads: any, one setter at a time.
 * Errors: SEALED, USAGE (a client context, NULL), SYSTEM, CONFIG, LIMIT, MEMORY. Keeps: C3.
 */
SALLY_API ssl_status ssl_load_suggested_certificate_authorities(ssl_context *context,
                                                                const char *path, ssl_error *err);

/**
 * Adds the certificate revocation lists of a file, PEM (any number) or DER (one; RFC 5280). From then on
 * the peer's certificate, and with `whole_chain` each of its issuers but the root, must have a list of
 * its issuer that is in force and does not name it: a list that is missing or has expired refuses the
 * peer. Once asked for, `whole_chain` stays. It says nothing where verification is not asked for.
 * Lists are not fetched; load a new one into a new context before the old one expires.
 * Threads: any, one setter at a time.
 * Errors: SEALED, USAGE (NULL), SYSTEM, CONFIG, LIMIT, MEMORY. Keeps: C3.
 */
SALLY_API ssl_status ssl_load_crls(ssl_context *context, const char *path, bool whole_chain,
                                   ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

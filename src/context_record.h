/* L3 crypto: the inside of an ssl_context, for the context_*.c files alone.
 *
 * A setter is: look whether the context is sealed, prepare the new value with no lock held (files are
 * read and passphrases asked for there), then sally_context_edit, swap the value in, and
 * sally_context_edited. Nothing between edit and edited can fail, so a failed setter changes nothing.
 */
#ifndef SALLY_CONTEXT_RECORD_H
#define SALLY_CONTEXT_RECORD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <time.h>

#include "alpn.h"
#include "atomic.h"
#include "context.h"
#include "keylog.h"
#include "load.h"
#include "sallyport/load.h"
#include "sallyport/ocsp.h"
#include "sallyport/session.h"
#include "sallyport/verify.h"
#include "sync.h"

/* Who we are. All NULL: nobody. A key may come before its chain, and the reverse. */
typedef struct sally_identity {
    X509 *leaf;
    STACK_OF(X509) * issuers; /* the rest of the chain, in order; may be empty */
    EVP_PKEY *key;
} sally_identity;

/* Whom we trust. An X509_STORE cannot be changed once connections use it, so the parts are kept, and
 * each build puts them into a store of its own. */
typedef struct sally_anchors {
    STACK_OF(X509) * roots; /* NULL: none */
    char **directories;
    size_t directory_count;
    bool defaults; /* SALLY_VERIFY_DEFAULT is among the sources */
} sally_anchors;

/* Revocation lists. NULL: nothing is looked up. */
typedef struct sally_revocation {
    STACK_OF(X509_CRL) * lists;
    bool whole_chain;
} sally_revocation;

/* What is preferred in the key exchange. */
typedef struct sally_exchange {
    char *groups;      /* NULL: OpenSSL's */
    const char *curve; /* to be put before them; static; NULL: none */
    EVP_PKEY *dh;      /* NULL: no preference, OpenSSL's parameters */
} sally_exchange;

/* How it resumes. */
typedef struct sally_sessions {
    char *name;                   /* NULL: the names of the certificate stand for it */
    ssl_ticket_keys *ticket_keys; /* retained; NULL: the process's own */
    unsigned tickets;             /* a server's, for each full handshake */
} sally_sessions;

/* A server's OCSP response, or what a client asks for. */
typedef struct sally_stapling {
    ssl_ocsp_mode mode;
    unsigned char *response; /* DER; NULL: none */
    size_t size;
    X509 *leaf;   /* whom it is for */
    time_t until; /* it is good */
} sally_stapling;

struct ssl_context {
    sally_atomic_u64 refs;
    sally_atomic_u64 sealed; /* 0 or 1; the store of 1 publishes everything below */
    bool client;             /* constant */
    bool doorkeeper;         /* constant */
    ssl_protocol protocol;   /* constant */
    sally_mutex lock;

    /* lock, until sealed; constant then and read without it */
    sally_identity identity;
    sally_anchors trust;
    sally_revocation revocation;
    sally_exchange exchange;
    STACK_OF(X509_NAME) * suggested; /* a server's; NULL: none */
    char *ciphers;                   /* NULL: the default list */
    char *ciphersuites;              /* NULL: OpenSSL's */
    sally_sessions sessions;
    sally_stapling stapling;
    sally_demand demand; /* on the peer's certificate */
    bool verify_hostname;
    bool common_name; /* may stand in for a missing DNS name */
    bool shutdown_on_close;
    bool renegotiation;
    sally_asked asked;
    sally_alpn alpn;
    sally_keylog *keylog; /* retained; NULL: secrets are not logged */
    SSL_CTX *built;       /* NULL: not built since the last change */
};

/* USAGE for NULL, SEALED for a sealed one: each setter's first look, before it touches a file. */
ssl_status sally_context_check_open(const ssl_context *context, const char *call, ssl_error *err);
/* The same, and takes the lock when OK. */
ssl_status sally_context_edit(ssl_context *context, const char *call, ssl_error *err);
/* Drops what was built from the old record and gives the lock back. */
void sally_context_edited(ssl_context *context);
/* Whole edits of one field, which is named by its offset, because `context` may be NULL still. Errors as for
 * sally_context_edit. */
ssl_status sally_context_turn(ssl_context *context, size_t field, bool on, const char *call,
                              ssl_error *err);
/* Puts a copy of `text` into the place of the old one, which is freed. MEMORY too. */
ssl_status sally_context_put_text(ssl_context *context, size_t field, const char *text,
                                  const char *call, ssl_error *err);

/* Whether there is a range of versions for it: UNSUPPORTED where OpenSSL 3 has none, USAGE for a number that
 * names no protocol. */
ssl_status sally_protocol_check(ssl_protocol protocol, const char *call, ssl_error *err);
/* An SSL_CTX with protocols and security level only: to try a value out on. NULL on failure, with
 * OpenSSL's queue saying why. */
SSL_CTX *sally_context_scratch(const ssl_context *context);
/* Whether its protocols and ciphers leave anything to offer. OpenSSL's queue may say why not. Found out anew
 * each time, at the price of an SSL_CTX (a quarter of a millisecond): the answer is that of the providers,
 * properties and configuration of this moment, and OpenSSL tells nobody when those change. */
bool sally_context_can_offer(const ssl_context *context);
/* The whole SSL_CTX, from a record that nobody changes meanwhile. Errors: CONFIG, MEMORY. */
ssl_status sally_context_build(const ssl_context *context, const char *call, SSL_CTX **ctx,
                               ssl_error *err);

/* As ssl_seal_context, under the name of `call`. */
ssl_status sally_context_seal(ssl_context *context, const char *call, ssl_error *err);
/* For a context that can be sealed: puts what is odd about its certificates into err->text, which is
 * empty, or leaves it so. */
void sally_context_remark(const ssl_context *context, ssl_error *err);

/* An unsealed context, refs 1; the protocol has been checked. NULL when out of memory. */
ssl_context *sally_context_new(bool client, ssl_protocol protocol);
/* USAGE for a source that names nothing. */
ssl_status sally_source_check(const ssl_verify_source *source, const char *call, ssl_error *err);
/* Adds one source. Errors as for ssl_load_verify_source. */
ssl_status sally_context_add_source(ssl_context *context, const ssl_verify_source *source,
                                    bool try_only, const char *call, ssl_error *err);

/* What an identity is loaded from; either part may be missing. */
typedef struct sally_identity_sources {
    const sally_source *chain;
    const sally_source *key;
    const ssl_key_options *options; /* of the key; NULL: none */
} sally_identity_sources;
/* Errors as for ssl_load_identity. */
ssl_status sally_context_load_identity(ssl_context *context, const sally_identity_sources *sources,
                                       const char *call, ssl_error *err);
/* Default sources, verification of chain and name, and seals it: a fresh client context. */
ssl_status sally_context_secure(ssl_context *context, const char *call, ssl_error *err);

/* Parts of the build (context_build.c): false with OpenSSL's queue saying why. */
bool sally_exchange_set(const ssl_context *context, SSL_CTX *ctx);
bool sally_revocation_set(const ssl_context *context, SSL_CTX *ctx);
bool sally_suggested_set(const ssl_context *context, SSL_CTX *ctx);

/* What a context is as to resumption, in `identity` of SHA256_DIGEST_LENGTH bytes. False with OpenSSL's
 * queue saying why. */
bool sally_context_identify(const ssl_context *context, unsigned char *identity);
/* A part of the build: sets what the context says of sessions. */
bool sally_sessions_configure(const ssl_context *context, SSL_CTX *ctx);
/* Another one: sets OCSP stapling. */
bool sally_stapling_configure(const ssl_context *context, SSL_CTX *ctx);
/* CONFIG where the response is for another certificate than the one that is loaded. */
ssl_status sally_stapling_check(const ssl_context *context, const char *call, ssl_error *err);
/* Whether there is a response that has expired. */
bool sally_stapling_is_stale(const ssl_context *context);

void sally_identity_fini(sally_identity *identity);
void sally_anchors_fini(sally_anchors *trust);
void sally_revocation_fini(sally_revocation *revocation);
void sally_exchange_fini(sally_exchange *exchange);
void sally_sessions_fini(sally_sessions *sessions);
void sally_stapling_fini(sally_stapling *stapling);

#endif

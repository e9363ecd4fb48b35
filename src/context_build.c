/* L3 crypto: from the record of a context to an SSL_CTX, whole (C2).
 *
 * What every connection needs is set here once, so that a connection costs no more than SSL_new:
 *   - partial writes with a moving buffer, and no auto-retry, because the engine wants control back
 *     after each record and each message (engine.h);
 *   - read-ahead: one receive brings a whole small record.
 *
 * Locks: none of its own; the caller sees to it that the record does not change meanwhile. The set_...
 * functions give false with OpenSSL's queue saying why.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "context_record.h"
#include "hello.h"
#include "load.h"
#include "ossl.h"
#include "verify.h"

/* ---- protocols ----------------------------------------------------------------------------- */

typedef struct version_range {
    int lowest;
    int highest;   /* 0: what OpenSSL has */
    bool insecure; /* needs a lowered security level */
} version_range;

/* False for a number that names no protocol, or one that OpenSSL 3 lacks. */
static bool find_range(ssl_protocol protocol, version_range *range)
{
    switch (protocol) {
    case SALLY_PROTOCOL_SECURE:
    case SALLY_PROTOCOL_AUTO:
    case SALLY_PROTOCOL_SSLV2_OR_V3:
        *range = (version_range){TLS1_2_VERSION, 0, false};
        return true;
    case SALLY_PROTOCOL_TLS13: *range = (version_range){TLS1_3_VERSION, 0, false}; return true;
    case SALLY_PROTOCOL_TLS12:
        *range = (version_range){TLS1_2_VERSION, TLS1_2_VERSION, false};
        return true;
    case SALLY_PROTOCOL_TLS11_INSECURE:
        *range = (version_range){TLS1_1_VERSION, TLS1_1_VERSION, true};
        return true;
    case SALLY_PROTOCOL_TLS10_INSECURE:
        *range = (version_range){TLS1_VERSION, TLS1_VERSION, true};
        return true;
    default: return false;
    }
}

ssl_status sally_protocol_check(ssl_protocol protocol, const char *call, ssl_error *err)
{
    version_range range;
    if (find_range(protocol, &range)) {
        return SALLY_OK;
    }
    if (protocol == SALLY_PROTOCOL_SSLV2 || protocol == SALLY_PROTOCOL_SSLV3) {
        return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
                          "%s: this OpenSSL has no SSL %d; use SALLY_PROTOCOL_AUTO", call,
                          protocol == SALLY_PROTOCOL_SSLV2 ? 2 : 3);
    }
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: there is no protocol number %d",
                      call, (int)protocol);
}

static bool set_versions(SSL_CTX *ctx, ssl_protocol protocol)
{
    version_range range;
    if (!find_range(protocol, &range)) {
        return false;
    }
    if (range.insecure) {
        SSL_CTX_set_security_level(ctx, 0); /* TLS 1.0 and 1.1 sign with SHA-1 */
    }
    return SSL_CTX_set_min_proto_version(ctx, range.lowest) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, range.highest) == 1;
}

SSL_CTX *sally_context_scratch(const ssl_context *context)
{
    SSL_CTX *ctx = SSL_CTX_new(context->client ? TLS_client_method() : TLS_server_method());
    if (ctx != NULL && !set_versions(ctx, context->protocol)) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

/* ---- the parts ----------------------------------------------------------------------------- */

/* Forward secrecy only (RFC 9325 section 4.2); the CBC suites at the end are for peers without AEAD. */
static const char default_ciphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:"
    "!aNULL:!eNULL:!DSS:!PSK:!SRP:!AESCCM";

static bool set_options(const ssl_context *context, SSL_CTX *ctx)
{
    const uint64_t refuse = SSL_OP_NO_RENEGOTIATION;
    const uint64_t allow = SSL_OP_ALLOW_CLIENT_RENEGOTIATION;

    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_dh_auto(ctx, 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 (context->renegotiation ? allow : refuse));
    SSL_CTX_set_post_handshake_auth(ctx, context->client && context->identity.key != NULL);
    return true;
}

static bool set_names(const ssl_context *context, SSL_CTX *ctx)
{
    if (!context->client) {
        sally_hello_configure(ctx);
    }
    return true;
}

/* Zero is OpenSSL's success for a client's list. */
static bool set_keylog(const ssl_context *context, SSL_CTX *ctx)
{
    if (context->keylog != NULL) {
        sally_keylog_configure(ctx);
    }
    return true;
}

static bool set_alpn(const ssl_context *context, SSL_CTX *ctx)
{
    const sally_alpn *alpn = &context->alpn;
    if (alpn->wire == NULL) {
        return true;
    }
    return context->client ? SSL_CTX_set_alpn_protos(ctx, alpn->wire, alpn->length) == 0
                           : sally_alpn_serve(ctx, alpn);
}

static bool set_verify(const ssl_context *context, SSL_CTX *ctx)
{
    sally_verify_rules rules = {context->client, context->demand, context->verify_hostname,
                                context->common_name};
    sally_verify_configure(ctx, &rules);
    return true;
}

static bool set_ciphers(const ssl_context *context, SSL_CTX *ctx)
{
    const char *list = context->ciphers != NULL ? context->ciphers : default_ciphers;
    const char *suites = context->ciphersuites;
    return SSL_CTX_set_cipher_list(ctx, list) == 1 &&
           (suites == NULL || SSL_CTX_set_ciphersuites(ctx, suites) == 1);
}

/* Whether protocols, lists and security level together leave anything to offer. */
static bool has_cipher(const ssl_context *context, SSL_CTX *ctx)
{
    (void)context;
    SSL *ssl = SSL_new(ctx);
    STACK_OF(SSL_CIPHER) *left = ssl != NULL ? SSL_get1_supported_ciphers(ssl) : NULL;
    bool some = sk_SSL_CIPHER_num(left) > 0;
    sk_SSL_CIPHER_free(left);
    SSL_free(ssl);
    return some;
}

/* TLS 1.0 and 1.1 derive their keys with MD5 and SHA-1 as one digest, which a FIPS provider lacks; the
 * list of ciphers does not show that. */
static bool has_derivation(const ssl_context *context, SSL_CTX *ctx)
{
    (void)ctx;
    version_range range;
    if (!find_range(context->protocol, &range) || !range.insecure) {
        return true;
    }
    EVP_MD *both = EVP_MD_fetch(NULL, "MD5-SHA1", NULL);
    EVP_MD_free(both);
    return both != NULL;
}

bool sally_context_can_offer(const ssl_context *context)
{
    SSL_CTX *ctx = sally_context_scratch(context);
    bool can = ctx != NULL && set_ciphers(context, ctx) && has_cipher(context, ctx) &&
               has_derivation(context, ctx);
    SSL_CTX_free(ctx);
    return can;
}

static ssl_status check_identity(const ssl_context *context, const char *call, ssl_error *err)
{
    bool has_leaf = context->identity.leaf != NULL;
    bool has_key = context->identity.key != NULL;
    if (has_leaf ? has_key : (context->client && !has_key) || context->doorkeeper) {
        return SALLY_OK;
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      "%s: the %s context has no %s; load both with ssl_load_identity", call,
                      context->client ? "client" : "server",
                      has_leaf ? "private key" : "certificate");
}

static bool set_identity(const ssl_context *context, SSL_CTX *ctx)
{
    const sally_identity *identity = &context->identity;
    return identity->leaf == NULL ||
           SSL_CTX_use_cert_and_key(ctx, identity->leaf, identity->key, identity->issuers, 1) == 1;
}

/* ---- trust --------------------------------------------------------------------------------- */

static bool add_roots(X509_STORE *store, STACK_OF(X509) * roots)
{
    for (int i = 0; i < sk_X509_num(roots); i++) {
        if (X509_STORE_add_cert(store, sk_X509_value(roots, i)) != 1) {
            return false;
        }
    }
    return true;
}

/* As OpenSSL does: the environment of a set-user-ID program is not trusted (secure_getenv(3)). */
static const char *default_path(const char *variable, const char *otherwise)
{
    const char *value = secure_getenv(variable);
    return value != NULL ? value : otherwise;
}

/* Not X509_STORE_set_default_paths, which would wait for ever on a FIFO. A file that is missing or bad
 * is passed over: less is trusted then, never more. */
static bool add_default_file(X509_STORE *store)
{
    sally_source source =
        sally_source_file("default verify source", default_path(X509_get_default_cert_file_env(),
                                                                X509_get_default_cert_file()));
    STACK_OF(X509) *roots = NULL;
    if (sally_load_certificates(&source, &roots, NULL) == SALLY_MEMORY) {
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
        return false;
    }
    bool added = add_roots(store, roots);
    sk_X509_pop_free(roots, X509_free);
    return added;
}

static bool add_defaults(X509_STORE *store)
{
    const char *directory =
        default_path(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
    bool is_list = strchr(directory, ':') != NULL;
    bool usable = is_list || sally_directory_check(directory, NULL) == SALLY_OK;
    return add_default_file(store) && (!usable || X509_STORE_load_path(store, directory) == 1);
}

static bool set_trust(const ssl_context *context, SSL_CTX *ctx)
{
    const sally_anchors *trust = &context->trust;
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    for (size_t i = 0; i < trust->directory_count; i++) {
        if (X509_STORE_load_path(store, trust->directories[i]) != 1) {
            return false;
        }
    }
    return add_roots(store, trust->roots) && (!trust->defaults || add_defaults(store));
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* Each sets what it reads from the record; false with OpenSSL's queue saying why. In this order: later
 * parts build on earlier ones. */
static const struct part {
    bool (*set)(const ssl_context *context, SSL_CTX *ctx);
    const char *why; /* it failed */
} parts[] = {
    {set_options, "the options are refused"},
    {set_names, "server names cannot be set up"},
    {set_alpn, "the protocol names are refused"},
    {set_keylog, "the key log cannot be set up"},
    {set_verify, "verification cannot be set up"},
    {sally_sessions_configure, "sessions cannot be set up"},
    {sally_stapling_configure, "OCSP stapling cannot be set up"},
    {set_ciphers, "the ciphers are refused"},
    {sally_exchange_set, "the groups or the Diffie-Hellman parameters are refused"},
    {set_identity, "certificate and private key are refused"},
    {set_trust, "the verify sources are refused"},
    {sally_revocation_set, "the revocation lists are refused"},
    {sally_suggested_set, "the suggested authorities are refused"},
    {has_cipher, "no cipher is left for these protocols at this security level"},
    {has_derivation, "no provider offers MD5-SHA1, without which there is no TLS 1.0 and 1.1"},
};

static ssl_status configure(const ssl_context *context, SSL_CTX *ctx, const char *call,
                            ssl_error *err)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!parts[i].set(context, ctx)) {
            return sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_CONFIG, "%s: %s", call,
                                   parts[i].why);
        }
    }
    return SALLY_OK;
}

ssl_status sally_context_build(const ssl_context *context, const char *call, SSL_CTX **ctx,
                               ssl_error *err)
{
    *ctx = NULL;
    ssl_status status = check_identity(context, call, err);
    if (status == SALLY_OK) {
        status = sally_stapling_check(context, call, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    SSL_CTX *made = sally_context_scratch(context);
    if (made == NULL) {
        return sally_fail_ossl(err, SALLY_MEMORY, SALLY_PHASE_CONFIG, "%s", call);
    }
    status = configure(context, made, call, err);
    if (status != SALLY_OK) {
        SSL_CTX_free(made);
        return status;
    }
    *ctx = made;
    return SALLY_OK;
}

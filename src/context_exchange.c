/* L3 crypto: the key exchange: groups, and the preferences of Racket's calls (C3).
 *
 * Racket's enable-dhe and enable-ecdhe come from times in which a server had no ephemeral exchange
 * until it was told parameters. Here every context has both, so they only move what they name to the
 * front: nothing is added to what the context allows, and no other way in is closed.
 *
 * Locks: the context's, by sally_context_edit and sally_context_edited.
 */
#include "context_record.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

#include "buf.h"
#include "mem.h"
#include "ossl.h"

static const char dh4096_path[] = "sallyport:dh4096";

void sally_exchange_fini(sally_exchange *exchange)
{
    sally_free(exchange->groups);
    EVP_PKEY_free(exchange->dh);
    *exchange = (sally_exchange){NULL, NULL, NULL};
}

static ssl_status check_server(const ssl_context *context, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && context->client) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: this is a client context; what a client offers is set with "
                          "ssl_set_groups and ssl_set_ciphers",
                          call);
    }
    return status;
}

/* ---- groups -------------------------------------------------------------------------------- */

static ssl_status check_groups(const ssl_context *context, const char *groups, const char *call,
                               ssl_error *err)
{
    ssl_status status = SALLY_OK;
    SSL_CTX *scratch = sally_context_scratch(context);
    if (scratch == NULL || SSL_CTX_set1_groups_list(scratch, groups) != 1) {
        status = sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                                 "%s: a group in \"%.160s\" is not known or is there twice (names "
                                 "look like X25519, P-256, ffdhe3072)",
                                 call, groups);
    }
    SSL_CTX_free(scratch);
    return status;
}

static ssl_status set_groups(ssl_context *context, const char *groups, ssl_error *err)
{
    static const char call[] = "ssl_set_groups";
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK && groups == NULL) {
        status = sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the list is NULL", call);
    }
    if (status == SALLY_OK) {
        status = check_groups(context, groups, call, err);
    }
    return status != SALLY_OK
               ? status
               : sally_context_put_text(context, offsetof(ssl_context, exchange.groups), groups,
                                        call, err);
}

ssl_status ssl_set_groups(ssl_context *context, const char *groups, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_groups(context, groups, err));
}

/* ---- the preferred curve ------------------------------------------------------------------- */

/* Racket's names, which are OpenSSL's too, and those of TLS 1.3 (RFC 8446 section 4.2.7). */
static const struct curve {
    const char *name;
    bool tls13;
} curves[] = {
    {"sect163k1", false}, {"sect163r1", false}, {"sect163r2", false}, {"sect193r1", false},
    {"sect193r2", false}, {"sect233k1", false}, {"sect233r1", false}, {"sect239k1", false},
    {"sect283k1", false}, {"sect283r1", false}, {"sect409k1", false}, {"sect409r1", false},
    {"sect571k1", false}, {"sect571r1", false}, {"secp160k1", false}, {"secp160r1", false},
    {"secp160r2", false}, {"secp192k1", false}, {"secp224k1", false}, {"secp224r1", false},
    {"secp256k1", false}, {"secp384r1", true},  {"secp521r1", true},  {"prime192v1", false},
    {"prime256v1", true},
};

static const struct curve *find_curve(const char *name)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        if (strcmp(curves[i].name, name) == 0) {
            return &curves[i];
        }
    }
    return NULL;
}

/* Bits of security, 0 where OpenSSL was built without the curve. */
static int strength_of(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen(name);
    int bits = key != NULL ? EVP_PKEY_get_security_bits(key) : 0;
    EVP_PKEY_free(key);
    return bits;
}

/* Of the security level (SSL_CTX_set_security_level(3)). */
static int least_strength(const SSL_CTX *ctx)
{
    static const int bits[] = {1, 80, 112, 128, 192, 256};
    int level = SSL_CTX_get_security_level(ctx);
    return bits[level < 0 ? 0 : level > 5 ? 5 : level];
}

/* Why a curve cannot be used; NULL: it can. */
static const char *why_unusable(const ssl_context *context, SSL_CTX *scratch,
                                const struct curve *curve)
{
    if (context->protocol == SALLY_PROTOCOL_TLS13 && !curve->tls13) {
        return "TLS 1.3 does not have it";
    }
    if (SSL_CTX_set1_groups_list(scratch, curve->name) != 1) {
        return "this OpenSSL does not have it";
    }
    return strength_of(curve->name) < least_strength(scratch) ? "it is too weak" : NULL;
}

static ssl_status check_curve(const ssl_context *context, const struct curve *curve,
                              const char *call, ssl_error *err)
{
    SSL_CTX *scratch = sally_context_scratch(context);
    if (scratch == NULL) {
        return sally_fail_ossl(err, SALLY_MEMORY, SALLY_PHASE_CONFIG, "%s", call);
    }
    const char *why = why_unusable(context, scratch, curve);
    SSL_CTX_free(scratch);
    if (sally_ossl_ran_out()) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    if (why == NULL) {
        return SALLY_OK;
    }
    return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
                      "%s: the curve %s cannot be used: %s; use secp384r1, or secp521r1", call,
                      curve->name, why);
}

static ssl_status enable_ecdhe(ssl_context *context, const char *name, ssl_error *err)
{
    static const char call[] = "ssl_server_context_enable_ecdhe";
    ssl_status status = check_server(context, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    const struct curve *curve = find_curve(name);
    if (curve == NULL) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          "%s: there is no curve \"%.80s\" (names look like secp384r1 and "
                          "prime256v1; X25519 is set with ssl_set_groups)",
                          call, name);
    }
    status = check_curve(context, curve, call, err);
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status == SALLY_OK) {
        context->exchange.curve = curve->name;
        sally_context_edited(context);
    }
    return status;
}

ssl_status ssl_server_context_enable_ecdhe(ssl_context *context, const char *curve_name,
                                           ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(
        enable_ecdhe(context, curve_name != NULL ? curve_name : "secp521r1", err));
}

/* ---- finite-field Diffie-Hellman ----------------------------------------------------------- */

const char *ssl_dh4096_param_path(void)
{
    return dh4096_path;
}

static ssl_status load_dh(const char *path, const char *call, EVP_PKEY **dh, ssl_error *err)
{
    sally_source source = sally_source_file("Diffie-Hellman parameters", path);
    if (path != NULL && strcmp(path, dh4096_path) != 0) {
        return sally_load_dh(&source, dh, err);
    }
    *dh = sally_dh_4096();
    return *dh != NULL ? SALLY_OK
                       : sally_fail_ossl(err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
                                         "%s: this OpenSSL does not have ffdhe4096; name a file of "
                                         "parameters",
                                         call);
}

/* Parameters that the security level refuses fail here, not at the first connection. */
static ssl_status check_level(const ssl_context *context, EVP_PKEY *dh, const char *call,
                              ssl_error *err)
{
    ssl_status status = SALLY_OK;
    SSL_CTX *scratch = sally_context_scratch(context);
    EVP_PKEY_up_ref(dh);
    if (scratch == NULL || SSL_CTX_set0_tmp_dh_pkey(scratch, dh) != 1) {
        EVP_PKEY_free(dh);
        status = sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                                 "%s: OpenSSL refuses the Diffie-Hellman parameters", call);
    }
    SSL_CTX_free(scratch);
    return status;
}

static ssl_status enable_dhe(ssl_context *context, const char *path, ssl_error *err)
{
    static const char call[] = "ssl_server_context_enable_dhe";
    EVP_PKEY *dh = NULL;
    ssl_status status = check_server(context, call, err);
    if (status == SALLY_OK) {
        status = load_dh(path, call, &dh, err);
    }
    if (status == SALLY_OK) {
        status = check_level(context, dh, call, err);
    }
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status == SALLY_OK) {
        EVP_PKEY *old = context->exchange.dh;
        context->exchange.dh = dh;
        dh = old;
        sally_context_edited(context);
    }
    EVP_PKEY_free(dh);
    return status;
}

ssl_status ssl_server_context_enable_dhe(ssl_context *context, const char *dh_param_path,
                                         ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(enable_dhe(context, dh_param_path, err));
}

/* ---- into an SSL_CTX ----------------------------------------------------------------------- */

/* What OpenSSL 3.0 uses when nobody asks for anything. Newer ones use more (3.5: hybrids with ML-KEM), but a
 * list cannot say "and the rest" in a way that all of them read: who wants those names them himself. */
static const char default_groups[] = "X25519:P-256:X448:P-521:P-384:ffdhe2048:ffdhe3072:ffdhe4096:"
                                     "ffdhe6144:ffdhe8192";

static bool append_name(sally_buf *list, const char *name, size_t length)
{
    bool first = list->length == 0;
    return (first || sally_buf_append(list, ":", 1)) && sally_buf_append(list, name, length);
}

/* Whether a group goes by two names: OpenSSL refuses lists that name one twice. */
static bool is_same_group(SSL_CTX *ctx, const char *curve, const char *name, size_t length)
{
    char both[128];
    int n = snprintf(both, sizeof both, "%s:%.*s", curve, (int)length, name);
    return n < (int)sizeof both && SSL_CTX_set1_groups_list(ctx, both) != 1;
}

/* `curve`, then the groups of `list` but for that one; a text with its NUL. */
static bool put_first(SSL_CTX *ctx, const char *curve, const char *list, sally_buf *text)
{
    bool done = append_name(text, curve, strlen(curve));
    for (const char *at = list; done && *at != '\0';) {
        size_t length = strcspn(at, ":");
        if (!is_same_group(ctx, curve, at, length)) {
            done = append_name(text, at, length);
        }
        at += length + (at[length] == ':');
    }
    return done && sally_buf_append(text, "", 1);
}

static bool set_all_groups(const sally_exchange *exchange, SSL_CTX *ctx)
{
    if (exchange->curve == NULL) {
        return exchange->groups == NULL || SSL_CTX_set1_groups_list(ctx, exchange->groups) == 1;
    }
    const char *list = exchange->groups != NULL ? exchange->groups : default_groups;
    sally_buf text = {0};
    bool set = false;
    if (put_first(ctx, exchange->curve, list, &text)) {
        set = SSL_CTX_set1_groups_list(ctx, (char *)text.data) == 1;
    } else {
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
    }
    sally_buf_fini(&text);
    return set;
}

/* The TLS 1.2 ciphers of ctx that use DHE, or those that do not. */
static bool append_ciphers(const SSL_CTX *ctx, bool dhe, sally_buf *text)
{
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
        const char *name = SSL_CIPHER_get_name(cipher);
        int exchange = SSL_CIPHER_get_kx_nid(cipher);
        bool wanted = exchange != NID_kx_any && (exchange == NID_kx_dhe) == dhe;
        if (wanted && !append_name(text, name, strlen(name))) {
            return false;
        }
    }
    return true;
}

static bool put_dhe_first(SSL_CTX *ctx)
{
    sally_buf text = {0};
    bool set = append_ciphers(ctx, true, &text);
    bool has_dhe = text.length > 0;
    set = set && append_ciphers(ctx, false, &text) && sally_buf_append(&text, "", 1);
    if (!set) {
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
    } else if (has_dhe) {
        set = SSL_CTX_set_cipher_list(ctx, (char *)text.data) == 1;
    }
    sally_buf_fini(&text);
    return set;
}

static bool set_dh(const sally_exchange *exchange, SSL_CTX *ctx)
{
    if (exchange->dh == NULL) {
        return true;
    }
    SSL_CTX_set_dh_auto(ctx, 0); /* it would win */
    EVP_PKEY_up_ref(exchange->dh);
    if (SSL_CTX_set0_tmp_dh_pkey(ctx, exchange->dh) != 1) {
        EVP_PKEY_free(exchange->dh);
        return false;
    }
    return put_dhe_first(ctx);
}

bool sally_exchange_set(const ssl_context *context, SSL_CTX *ctx)
{
    if (!set_all_groups(&context->exchange, ctx) || !set_dh(&context->exchange, ctx)) {
        return false;
    }
    sally_ossl_end(); /* lists that were tried out left their failures there */
    return true;
}

/* L3 crypto: the setters that touch no file: ciphers and switches (C2, C3).
 *
 * Cipher lists are tried out on a scratch SSL_CTX before they are kept, so that a list that OpenSSL
 * would refuse fails here, where it was given, and changes nothing.
 *
 * Locks: the context's, by sally_context_edit and sally_context_edited.
 */
#include "context_record.h"

#include <string.h>

#include "mem.h"
#include "ossl.h"

/* ---- switches ------------------------------------------------------------------------------ */

typedef void (*set_switch)(ssl_context *context, bool on);

static void put_shutdown_on_close(ssl_context *context, bool on)
{
    context->shutdown_on_close = on;
}

static void put_renegotiation(ssl_context *context, bool on)
{
    context->renegotiation = on;
}

static ssl_status turn(ssl_context *context, set_switch put, bool on, const char *call,
                       ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        put(context, on);
        sally_context_edited(context);
    }
    sally_ossl_end();
    return status;
}

ssl_status ssl_set_shutdown_on_close(ssl_context *context, bool on, ssl_error *err)
{
    return turn(context, put_shutdown_on_close, on, "ssl_set_shutdown_on_close", err);
}

ssl_status ssl_set_insecure_renegotiation(ssl_context *context, bool on, ssl_error *err)
{
    return turn(context, put_renegotiation, on, "ssl_set_insecure_renegotiation", err);
}

/* ---- ciphers ------------------------------------------------------------------------------- */

/* What the lists of TLS 1.2 and TLS 1.3 differ in. */
typedef struct cipher_kind {
    const char *call;
    const char *noun;
    const char *way_out;
    int (*try_out)(SSL_CTX *ctx, const char *spec);
    char **(*field)(ssl_context *context);
} cipher_kind;

static char **ciphers_field(ssl_context *context)
{
    return &context->ciphers;
}

static char **ciphersuites_field(ssl_context *context)
{
    return &context->ciphersuites;
}

/* OpenSSL passes over suites that it does not know, and takes a list of none. */
static int try_suites(SSL_CTX *ctx, const char *names)
{
    if (SSL_CTX_set_ciphersuites(ctx, names) != 1) {
        return 0;
    }
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
        if (strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0) {
            return 1;
        }
    }
    return 0;
}

static const cipher_kind tls12_list = {"ssl_set_ciphers", "cipher", "see openssl-ciphers(1)",
                                       SSL_CTX_set_cipher_list, ciphers_field};
static const cipher_kind tls13_list = {"ssl_set_ciphersuites", "TLS 1.3 cipher suite",
                                       "names look like TLS_AES_128_GCM_SHA256", try_suites,
                                       ciphersuites_field};

static ssl_status check_list(const ssl_context *context, const cipher_kind *kind, const char *spec,
                             ssl_error *err)
{
    ssl_status status = SALLY_OK;
    SSL_CTX *scratch = sally_context_scratch(context);
    if (scratch == NULL || kind->try_out(scratch, spec) != 1) {
        status = sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                                 "%s: no %s is known in \"%.160s\" (%s)", kind->call, kind->noun,
                                 spec, kind->way_out);
    }
    SSL_CTX_free(scratch);
    return status;
}

static ssl_status replace_text(ssl_context *context, const cipher_kind *kind, const char *spec,
                               ssl_error *err)
{
    char *copy = sally_copy_text(spec);
    if (copy == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, kind->call);
    }
    ssl_status status = sally_context_edit(context, kind->call, err);
    if (status == SALLY_OK) {
        char **field = kind->field(context);
        char *old = *field;
        *field = copy;
        copy = old;
        sally_context_edited(context);
    }
    sally_free(copy);
    return status;
}

static ssl_status set_list(ssl_context *context, const cipher_kind *kind, const char *spec,
                           ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, kind->call, err);
    if (status == SALLY_OK && spec == NULL) {
        status =
            sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the list is NULL", kind->call);
    }
    if (status == SALLY_OK) {
        status = check_list(context, kind, spec, err);
    }
    return status != SALLY_OK ? status : replace_text(context, kind, spec, err);
}

ssl_status ssl_set_ciphers(ssl_context *context, const char *spec, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = set_list(context, &tls12_list, spec, err);
    sally_ossl_end();
    return status;
}

ssl_status ssl_set_ciphersuites(ssl_context *context, const char *names, ssl_error *err)
{
    sally_ossl_begin();
    ssl_status status = set_list(context, &tls13_list, names, err);
    sally_ossl_end();
    return status;
}

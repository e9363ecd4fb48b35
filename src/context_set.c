/* L3 crypto: the setters that touch no file: ciphers and switches (C2, C3).
 *
 * Cipher lists are tried out on a scratch SSL_CTX before they are kept, so that a list that OpenSSL
 * would refuse fails here, where it was given, and changes nothing.
 *
 * Locks: the context's, by sally_context_edit and sally_context_edited.
 */
#include "context_record.h"

#include <stddef.h>
#include <string.h>

#include "ossl.h"

/* ---- switches ------------------------------------------------------------------------------ */

ssl_status ssl_set_shutdown_on_close(ssl_context *context, bool on, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(sally_context_turn(context, offsetof(ssl_context, shutdown_on_close),
                                               on, "ssl_set_shutdown_on_close", err));
}

ssl_status ssl_set_insecure_renegotiation(ssl_context *context, bool on, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(sally_context_turn(context, offsetof(ssl_context, renegotiation), on,
                                               "ssl_set_insecure_renegotiation", err));
}

/* ---- ciphers ------------------------------------------------------------------------------- */

/* What the lists of TLS 1.2 and TLS 1.3 differ in. */
typedef struct cipher_kind {
    const char *call;
    const char *noun;
    const char *way_out;
    int (*try_out)(SSL_CTX *ctx, const char *spec);
    size_t field; /* its offset */
} cipher_kind;

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
                                       SSL_CTX_set_cipher_list, offsetof(ssl_context, ciphers)};
static const cipher_kind tls13_list = {"ssl_set_ciphersuites", "TLS 1.3 cipher suite",
                                       "names look like TLS_AES_128_GCM_SHA256", try_suites,
                                       offsetof(ssl_context, ciphersuites)};

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
    return status != SALLY_OK ? status
                              : sally_context_put_text(context, kind->field, spec, kind->call, err);
}

ssl_status ssl_set_ciphers(ssl_context *context, const char *spec, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_list(context, &tls12_list, spec, err));
}

ssl_status ssl_set_ciphersuites(ssl_context *context, const char *names, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(set_list(context, &tls13_list, names, err));
}

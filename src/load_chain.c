/* L3 crypto: the certificates of a PEM file, and whether they make a chain (C3).
 *
 * No locks and no state; everything is freed here unless the load succeeds.
 */
#include "load.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "ossl.h"

/* ---- reading ------------------------------------------------------------------------------- */

static bool is_trusted_certificate(const char *label)
{
    return strcmp(label, PEM_STRING_X509_TRUSTED) == 0;
}

static bool is_certificate(const char *label)
{
    return strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0 ||
           is_trusted_certificate(label);
}

static bool keep_certificate(void *kept, const char *label, const unsigned char *der, long size)
{
    STACK_OF(X509) *found = kept;
    X509 *certificate =
        is_trusted_certificate(label) ? d2i_X509_AUX(NULL, &der, size) : d2i_X509(NULL, &der, size);
    if (certificate == NULL || sk_X509_push(found, certificate) > 0) {
        return certificate != NULL;
    }
    X509_free(certificate);
    ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
    return false;
}

static bool is_der(const sally_file *file)
{
    const unsigned char *der = file->bytes;
    X509 *certificate = d2i_X509(NULL, &der, (long)file->size);
    X509_free(certificate);
    sally_ossl_end();
    return certificate != NULL;
}

/* Nothing that can be used: say what is there instead. */
static ssl_status fail_none(const sally_source *source, const sally_file *file, ssl_error *err)
{
    if (is_der(file)) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "not PEM (DER found); convert it with: openssl x509 "
                                            "-inform der -in %.60s -out FILE.pem",
                          source->noun, source->path, source->path);
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      SALLY_CANNOT_LOAD "no certificate in it (%s found); a PEM file with "
                                        "\"-----BEGIN CERTIFICATE-----\" is needed",
                      source->noun, source->path, sally_file_describe(file));
}

static ssl_status parse(const sally_source *source, const sally_file *file,
                        STACK_OF(X509) * *certificates, ssl_error *err)
{
    static const sally_pem_kind kind = {"certificate", is_certificate, keep_certificate};
    STACK_OF(X509) *found = sk_X509_new_null();
    if (found == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading certificates");
    }
    ssl_status status = sally_pem_read(source, file, &kind, found, err);
    if (status == SALLY_OK && sk_X509_num(found) == 0) {
        status = fail_none(source, file, err);
    }
    if (status != SALLY_OK) {
        sk_X509_pop_free(found, X509_free);
        return status;
    }
    *certificates = found;
    return SALLY_OK;
}

ssl_status sally_load_certificates(const sally_source *source, STACK_OF(X509) * *certificates,
                                   ssl_error *err)
{
    sally_file file;
    *certificates = NULL;
    ssl_status status = sally_file_read(source, &file, err);
    if (status == SALLY_OK) {
        status = parse(source, &file, certificates, err);
        sally_file_fini(&file);
    }
    return status;
}

/* ---- order --------------------------------------------------------------------------------- */

/* The subject in one bounded line, for a text. */
static const char *subject_of(X509 *certificate, char *text, int size)
{
    const char *line = X509_NAME_oneline(X509_get_subject_name(certificate), text, size);
    return line != NULL ? line : "?";
}

static ssl_status check_link(const sally_source *source, STACK_OF(X509) * chain, int i,
                             ssl_error *err)
{
    X509 *subject = sk_X509_value(chain, i);
    X509 *issuer = sk_X509_value(chain, i + 1);
    char name[80];
    char next[80];

    if (X509_check_issued(issuer, subject) != X509_V_OK) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "out of order: certificate %d (%s) is not issued by "
                                            "certificate %d (%s); put the leaf first, then its "
                                            "issuers",
                          source->noun, source->path, i + 1, subject_of(subject, name, sizeof name),
                          i + 2, subject_of(issuer, next, sizeof next));
    }
    if (X509_verify(subject, X509_get0_pubkey(issuer)) != 1) {
        return sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                               SALLY_CANNOT_LOAD "the signature of certificate %d is not by the "
                                                 "key of certificate %d",
                               source->noun, source->path, i + 1, i + 2);
    }
    return SALLY_OK;
}

static ssl_status check_length(const sally_source *source, int length, ssl_error *err)
{
    if (length > SALLY_CHAIN_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD
                          "it has %d certificates, and a chain has at most %d; is it "
                          "the right file?",
                          source->noun, source->path, length, SALLY_CHAIN_MAX);
    }
    return SALLY_OK;
}

ssl_status sally_chain_check(const sally_source *source, STACK_OF(X509) * chain, ssl_error *err)
{
    ssl_status status = check_length(source, sk_X509_num(chain), err);
    for (int i = 0; status == SALLY_OK && i + 1 < sk_X509_num(chain); i++) {
        status = check_link(source, chain, i, err);
    }
    return status;
}

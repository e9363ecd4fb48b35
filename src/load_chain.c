/* L3 crypto: the certificates of a PEM file, and whether they make a chain (C3).
 *
 * Blocks that are no certificates are passed over, because people keep key and chain in one file. A
 * block that is cut off or damaged fails the load: OpenSSL's own reader takes some of those for the
 * end of the file, so the blocks that it found are counted against the BEGIN lines.
 *
 * No locks and no state; everything is freed here unless the load succeeds.
 */
#include "load.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "ossl.h"

static const char begin_line[] = "-----BEGIN ";

/* A load under way. */
typedef struct reading {
    const sally_source *source;
    BIO *bio;
    STACK_OF(X509) * found;
    size_t blocks; /* of any kind, seen so far */
    ssl_error *err;
} reading;

static size_t count_begin_lines(const sally_file *file)
{
    const char *at = (const char *)file->bytes;
    const char *end = at + file->size;
    size_t count = 0;
    while ((at = memmem(at, (size_t)(end - at), begin_line, strlen(begin_line))) != NULL) {
        count++;
        at += strlen(begin_line);
    }
    return count;
}

static bool is_certificate(const char *label)
{
    return strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0;
}

static bool is_trusted_certificate(const char *label)
{
    return strcmp(label, PEM_STRING_X509_TRUSTED) == 0;
}

static ssl_status fail_damaged(const reading *r)
{
    return sally_fail_ossl(r->err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                           SALLY_CANNOT_LOAD "certificate %d in it is damaged or cut off",
                           r->source->noun, r->source->path, sk_X509_num(r->found) + 1);
}

static ssl_status keep_certificate(reading *r, const char *label, const unsigned char *der,
                                   long size)
{
    X509 *certificate =
        is_trusted_certificate(label) ? d2i_X509_AUX(NULL, &der, size) : d2i_X509(NULL, &der, size);
    if (certificate == NULL) {
        return fail_damaged(r);
    }
    if (sk_X509_push(r->found, certificate) <= 0) {
        X509_free(certificate);
        return sally_fail_memory(r->err, SALLY_PHASE_CONFIG, "loading certificates");
    }
    return SALLY_OK;
}

/* The next block, with *more false when there is none left. */
static ssl_status read_block(reading *r, bool *more)
{
    char *label = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long size = 0;
    ssl_status status = SALLY_OK;

    *more = PEM_read_bio(r->bio, &label, &header, &der, &size) == 1;
    if (*more) {
        r->blocks++;
        if (is_certificate(label) || is_trusted_certificate(label)) {
            status = keep_certificate(r, label, der, size);
        }
    } else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        status = fail_damaged(r);
    }
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)size);
    return status;
}

/* Nothing that can be used: say what is there instead. */
static ssl_status fail_none(const reading *r, const sally_file *file)
{
    const unsigned char *der = file->bytes;
    X509 *certificate = d2i_X509(NULL, &der, (long)file->size);
    bool is_der = certificate != NULL;
    X509_free(certificate);
    sally_ossl_end();
    if (is_der) {
        return sally_fail(r->err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "not PEM (DER found); convert it with: openssl x509 "
                                            "-inform der -in %.60s -out FILE.pem",
                          r->source->noun, r->source->path, r->source->path);
    }
    return sally_fail(r->err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      SALLY_CANNOT_LOAD "no certificate in it (%s found); a PEM file with "
                                        "\"-----BEGIN CERTIFICATE-----\" is needed",
                      r->source->noun, r->source->path, sally_file_describe(file));
}

static ssl_status read_all(reading *r, const sally_file *file)
{
    bool more = true;
    while (more) {
        ssl_status status = read_block(r, &more);
        if (status != SALLY_OK) {
            return status;
        }
    }
    sally_ossl_end();
    if (r->blocks < count_begin_lines(file)) {
        return fail_damaged(r);
    }
    return sk_X509_num(r->found) > 0 ? SALLY_OK : fail_none(r, file);
}

static ssl_status parse(const sally_source *source, const sally_file *file,
                        STACK_OF(X509) * *certificates, ssl_error *err)
{
    reading r = {source, BIO_new_mem_buf(file->bytes, (int)file->size), sk_X509_new_null(), 0, err};
    ssl_status status = r.bio != NULL && r.found != NULL
                            ? read_all(&r, file)
                            : sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading certificates");
    BIO_free(r.bio);
    if (status == SALLY_OK) {
        *certificates = r.found;
    } else {
        sk_X509_pop_free(r.found, X509_free);
    }
    return status;
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

ssl_status sally_chain_check(const sally_source *source, STACK_OF(X509) * chain, ssl_error *err)
{
    for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
        ssl_status status = check_link(source, chain, i, err);
        if (status != SALLY_OK) {
            return status;
        }
    }
    return SALLY_OK;
}

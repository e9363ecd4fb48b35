/* L3 crypto: the revocation lists of a file, PEM or DER (C3).
 *
 * Authorities publish them in DER (RFC 5280 section 4.2.1.13), tools write PEM; a file is tried as DER
 * only if there is no PEM at all in it.
 *
 * No locks and no state; everything is freed here unless the load succeeds.
 */
#include "load.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "ossl.h"

static bool is_crl(const char *label)
{
    return strcmp(label, PEM_STRING_X509_CRL) == 0;
}

static bool keep_crl(void *kept, const char *label, const unsigned char *der, long size)
{
    STACK_OF(X509_CRL) *found = kept;
    X509_CRL *crl = d2i_X509_CRL(NULL, &der, size);
    (void)label;
    if (crl == NULL || sk_X509_CRL_push(found, crl) > 0) {
        return crl != NULL;
    }
    X509_CRL_free(crl);
    ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
    return false;
}

static ssl_status fail_none(const sally_source *source, const sally_file *file, ssl_error *err)
{
    if (sally_ossl_ran_out()) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading revocation lists");
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      SALLY_CANNOT_LOAD "no revocation list in it (%s found); PEM with "
                                        "\"-----BEGIN X509 CRL-----\" or DER is needed",
                      source->noun, source->path, sally_file_describe(file));
}

static ssl_status read_lists(const sally_source *source, const sally_file *file,
                             STACK_OF(X509_CRL) * found, ssl_error *err)
{
    static const sally_pem_kind kind = {"revocation list", is_crl, keep_crl};
    ssl_status status = sally_pem_read(source, file, &kind, found, err);
    if (status != SALLY_OK || sk_X509_CRL_num(found) > 0) {
        return status;
    }
    return keep_crl(found, "", file->bytes, (long)file->size) ? SALLY_OK
                                                              : fail_none(source, file, err);
}

static ssl_status parse(const sally_source *source, const sally_file *file,
                        STACK_OF(X509_CRL) * *crls, ssl_error *err)
{
    STACK_OF(X509_CRL) *found = sk_X509_CRL_new_null();
    if (found == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading revocation lists");
    }
    ssl_status status = read_lists(source, file, found, err);
    if (status != SALLY_OK) {
        sk_X509_CRL_pop_free(found, X509_CRL_free);
        return status;
    }
    *crls = found;
    return SALLY_OK;
}

ssl_status sally_load_crls(const sally_source *source, STACK_OF(X509_CRL) * *crls, ssl_error *err)
{
    sally_file file;
    *crls = NULL;
    ssl_status status = sally_file_read(source, &file, err);
    if (status == SALLY_OK) {
        status = parse(source, &file, crls, err);
        sally_file_fini(&file);
    }
    return status;
}

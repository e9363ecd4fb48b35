/* L3 crypto: parameters of finite-field Diffie-Hellman (C3).
 *
 * Parameters that are too small, or whose prime is none, would let anybody read the traffic, so they are
 * checked before they are kept. The groups of RFC 7919 and RFC 3526 are known to OpenSSL by name and
 * need no check; the time that others take grows with the third power of their size, so that larger
 * ones than can be checked in about a second are refused.
 *
 * No locks and no state; everything is freed here unless the load succeeds.
 */
#include "load.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "ossl.h"

#define CHECKED_BITS_MAX 4096

static const char way_out[] = "use ssl_dh4096_param_path(), or make them with: openssl genpkey "
                              "-genparam -algorithm DH -pkeyopt group:ffdhe3072";

/* ---- reading ------------------------------------------------------------------------------- */

static bool is_dh(const char *label)
{
    return strcmp(label, PEM_STRING_DHPARAMS) == 0 || strcmp(label, PEM_STRING_DHXPARAMS) == 0;
}

/* The first block counts. */
static bool keep_dh(void *kept, const char *label, const unsigned char *der, long size)
{
    EVP_PKEY **dh = kept;
    int type = strcmp(label, PEM_STRING_DHPARAMS) == 0 ? EVP_PKEY_DH : EVP_PKEY_DHX;
    if (*dh == NULL) {
        *dh = d2i_KeyParams(type, NULL, &der, size);
    }
    return *dh != NULL;
}

static ssl_status parse(const sally_source *source, EVP_PKEY **dh, ssl_error *err)
{
    static const sally_pem_kind kind = {"parameter set", is_dh, keep_dh};
    sally_file file;
    ssl_status status = sally_file_read(source, &file, err);
    if (status != SALLY_OK) {
        return status;
    }
    status = sally_pem_read(source, &file, &kind, dh, err);
    if (status == SALLY_OK && *dh == NULL) {
        status = sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                            SALLY_CANNOT_LOAD "no parameters in it (%s found); a PEM file with "
                                              "\"-----BEGIN DH PARAMETERS-----\" is needed",
                            source->noun, source->path, sally_file_describe(&file));
    }
    sally_file_fini(&file);
    return status;
}

/* ---- checking ------------------------------------------------------------------------------ */

static bool is_known_group(const EVP_PKEY *dh)
{
    char name[32];
    size_t length;
    return EVP_PKEY_get_group_name(dh, name, sizeof name, &length) == 1;
}

static bool is_sound(EVP_PKEY *dh)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(dh, NULL);
    bool sound = ctx != NULL && EVP_PKEY_param_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return sound;
}

static ssl_status check(const sally_source *source, EVP_PKEY *dh, ssl_error *err)
{
    int bits = EVP_PKEY_get_bits(dh);
    if (bits < SALLY_DH_BITS_MIN) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "%d bits are too small, at least %d are needed; %s",
                          source->noun, source->path, bits, SALLY_DH_BITS_MIN, way_out);
    }
    if (is_known_group(dh)) {
        return SALLY_OK;
    }
    if (bits > CHECKED_BITS_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "%d bits, and at most %d can be checked in time unless "
                                            "it is a group of RFC 7919; %s",
                          source->noun, source->path, bits, CHECKED_BITS_MAX, way_out);
    }
    sally_ossl_end();
    if (is_sound(dh)) {
        return SALLY_OK;
    }
    return sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                           SALLY_CANNOT_LOAD "the parameters are damaged or unsafe; %s",
                           source->noun, source->path, way_out);
}

/* ---- the whole ----------------------------------------------------------------------------- */

ssl_status sally_load_dh(const sally_source *source, EVP_PKEY **dh, ssl_error *err)
{
    *dh = NULL;
    ssl_status status = parse(source, dh, err);
    if (status == SALLY_OK) {
        status = check(source, *dh, err);
    }
    if (status != SALLY_OK) {
        EVP_PKEY_free(*dh);
        *dh = NULL;
    }
    return status;
}

EVP_PKEY *sally_dh_4096(void)
{
    char group[] = "ffdhe4096";
    OSSL_PARAM of_group[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                             OSSL_PARAM_construct_end()};
    EVP_PKEY *dh = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    bool made = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
                EVP_PKEY_fromdata(ctx, &dh, EVP_PKEY_KEY_PARAMETERS, of_group) == 1;
    EVP_PKEY_CTX_free(ctx);
    return made ? dh : NULL;
}

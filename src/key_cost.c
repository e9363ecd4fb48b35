/* L3 crypto: what it costs to turn a passphrase into the key of an encrypted private key, read off before
 * anybody pays it (C3).
 *
 * The file says how often the passphrase is hashed, and OpenSSL does it as often: a file that says two
 * thousand million times keeps the loading thread for an hour. So the number is looked at first, in the
 * EncryptedPrivateKeyInfo of PKCS #8 (RFC 5958 section 3; RFC 8018 for PBKDF2 and the older ways, RFC 7914 for
 * scrypt). Keys that are encrypted in OpenSSL's own old way ("Proc-Type: 4,ENCRYPTED") hash once.
 *
 * What cannot be read here is left to the parser, which says what is wrong with it. No locks and no state.
 */
#include "load.h"

#include <openssl/pem.h>
#include <string.h>

/* Beyond every bound. */
#define TOO_MANY ((uint64_t)SALLY_KEY_ROUNDS_MAX + 1)

static uint64_t number_of(const ASN1_INTEGER *integer)
{
    uint64_t number;
    bool fits = integer != NULL && ASN1_INTEGER_get_uint64(&number, integer) == 1;
    return fits && number < TOO_MANY ? number : TOO_MANY;
}

/* NULL where the algorithm has no parameters of that form. */
static void *parameters(const X509_ALGOR *algorithm, const ASN1_ITEM *form)
{
    const ASN1_OBJECT *name;
    const void *value;
    int type;
    X509_ALGOR_get0(&name, &type, &value, algorithm);
    return type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, form) : NULL;
}

static int name_of(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *name;
    X509_ALGOR_get0(&name, NULL, NULL, algorithm);
    return OBJ_obj2nid(name);
}

/* ---- one for each way -------------------------------------------------------------------------- */

static uint64_t cost_of_pbkdf2(const X509_ALGOR *derivation)
{
    PBKDF2PARAM *p = parameters(derivation, ASN1_ITEM_rptr(PBKDF2PARAM));
    uint64_t cost = p != NULL ? number_of(p->iter) : 0;
    PBKDF2PARAM_free(p);
    return cost;
}

/* A block is mixed N * r * p times, which takes about as long as a round of the others. None of the three
 * is beyond TOO_MANY, so that the product of two has room. */
static uint64_t cost_of_scrypt(const X509_ALGOR *derivation)
{
    SCRYPT_PARAMS *p = parameters(derivation, ASN1_ITEM_rptr(SCRYPT_PARAMS));
    if (p == NULL) {
        return 0;
    }
    uint64_t cost = number_of(p->costParameter) * number_of(p->blockSize);
    cost = (cost < TOO_MANY ? cost : TOO_MANY) * number_of(p->parallelizationParameter);
    SCRYPT_PARAMS_free(p);
    return cost;
}

static uint64_t cost_of_pbes2(const X509_ALGOR *algorithm)
{
    PBE2PARAM *p = parameters(algorithm, ASN1_ITEM_rptr(PBE2PARAM));
    uint64_t cost = 0;
    if (p != NULL) {
        cost = name_of(p->keyfunc) == NID_id_scrypt ? cost_of_scrypt(p->keyfunc)
                                                    : cost_of_pbkdf2(p->keyfunc);
    }
    PBE2PARAM_free(p);
    return cost;
}

static uint64_t cost_of_pbes1(const X509_ALGOR *algorithm)
{
    PBEPARAM *p = parameters(algorithm, ASN1_ITEM_rptr(PBEPARAM));
    uint64_t cost = p != NULL ? number_of(p->iter) : 0;
    PBEPARAM_free(p);
    return cost;
}

/* ---- one key, and a file ----------------------------------------------------------------------- */

static uint64_t cost_of_der(const unsigned char *der, long size)
{
    X509_SIG *encrypted = d2i_X509_SIG(NULL, &der, size);
    const X509_ALGOR *algorithm;
    if (encrypted == NULL) {
        return 0;
    }
    X509_SIG_get0(encrypted, &algorithm, NULL);
    uint64_t cost =
        name_of(algorithm) == NID_pbes2 ? cost_of_pbes2(algorithm) : cost_of_pbes1(algorithm);
    X509_SIG_free(encrypted);
    return cost;
}

/* Of the dearest key in it, or of all of them `together`. Each is at most TOO_MANY, and so is the sum. */
static uint64_t cost_of_pem(const sally_file *file, bool together)
{
    BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->size);
    char *label;
    char *header;
    unsigned char *der;
    long size;
    uint64_t total = 0;
    while (bio != NULL && PEM_read_bio(bio, &label, &header, &der, &size) == 1) {
        uint64_t cost = strcmp(label, PEM_STRING_PKCS8) == 0 ? cost_of_der(der, size) : 0;
        total = together ? total + cost : cost > total ? cost : total;
        total = total < TOO_MANY ? total : TOO_MANY;
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(bio);
    return total;
}

/* A key that is skipped, because it is no RSA key, has been decrypted too. */
bool sally_key_is_dear(const sally_file *file, const ssl_key_options *options)
{
    uint64_t cost = options->asn1 ? cost_of_der(file->bytes, (long)file->size)
                                  : cost_of_pem(file, options->rsa_only);
    return cost > SALLY_KEY_ROUNDS_MAX;
}

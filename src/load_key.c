/* L3 crypto: a private key from a file, PEM or DER, plain or encrypted (C3).
 *
 * OpenSSL asks the terminal for a passphrase unless it is given a callback, so it is always given one:
 * ask_user, which asks the application or nobody. It also notes what happened, because OpenSSL says
 * the same about a wrong passphrase, a missing one and a damaged key.
 *
 * No locks: the application's callback runs on the loading thread with none held.
 */
#include "load.h"

#include <openssl/decoder.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "ossl.h"

/* A load under way. */
typedef struct asking {
    const ssl_key_options *options;
    bool asked;
    bool answered;
    bool overran;     /* the callback claims more bytes than there was room for */
    char skipped[32]; /* the type of a key that was passed over; empty: none was */
} asking;

static int ask_user(char *buf, int size, int writing, void *arg)
{
    asking *a = arg;
    (void)writing;
    a->asked = true;
    if (a->options->passphrase == NULL) {
        return -1;
    }
    int n = a->options->passphrase(buf, size, a->options->user);
    a->answered = n >= 0 && n <= size;
    a->overran = n > size;
    return a->answered ? n : -1;
}

/* ---- parsing ------------------------------------------------------------------------------- */

/* Frees a key that the options do not want. */
static bool pass_over(EVP_PKEY *key, asking *a)
{
    if (!a->options->rsa_only || EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        return false;
    }
    snprintf(a->skipped, sizeof a->skipped, "%s", EVP_PKEY_get0_type_name(key));
    EVP_PKEY_free(key);
    return true;
}

static EVP_PKEY *parse_der(const sally_file *file, asking *a)
{
    EVP_PKEY *key = NULL;
    const unsigned char *at = file->bytes;
    size_t left = file->size;
    OSSL_DECODER_CTX *ctx =
        OSSL_DECODER_CTX_new_for_pkey(&key, "DER", NULL, NULL, EVP_PKEY_KEYPAIR, NULL, NULL);
    if (ctx == NULL || OSSL_DECODER_CTX_set_pem_password_cb(ctx, ask_user, a) != 1 ||
        OSSL_DECODER_from_data(ctx, &at, &left) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    OSSL_DECODER_CTX_free(ctx);
    return key != NULL && !pass_over(key, a) ? key : NULL;
}

/* The first key of the file that is wanted. */
static EVP_PKEY *parse_pem(const sally_file *file, asking *a)
{
    BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->size);
    if (bio == NULL) {
        return NULL;
    }
    EVP_PKEY *key;
    do {
        key = PEM_read_bio_PrivateKey(bio, NULL, ask_user, a);
    } while (key != NULL && pass_over(key, a));
    BIO_free(bio);
    return key;
}

/* ---- saying why not ------------------------------------------------------------------------ */

static bool is_der_key(const sally_file *file)
{
    static const ssl_key_options any = {0};
    asking a = {.options = &any};
    EVP_PKEY *key = parse_der(file, &a);
    bool found = key != NULL || a.asked;
    EVP_PKEY_free(key);
    return found;
}

static const char *why_locked(const asking *a)
{
    if (a->options->passphrase == NULL) {
        return "the key is encrypted; give a passphrase callback in ssl_key_options";
    }
    if (a->overran) {
        return "the passphrase callback says that it wrote more than its room; at most `size` bytes fit";
    }
    return a->answered ? "the passphrase is wrong, or the key is damaged"
                       : "the key is encrypted, and the passphrase callback gave none; have it "
                         "return the number of bytes that it wrote";
}

static const char *why_unreadable(const sally_file *file, const ssl_key_options *options)
{
    if (sally_file_contains(file, "PRIVATE KEY-----")) {
        return options->asn1 ? "not DER (PEM found); leave asn1 off in ssl_key_options"
                             : "the key is damaged or cut off; copy it anew";
    }
    if (!options->asn1 && is_der_key(file)) {
        return "not PEM (DER found); set asn1 in ssl_key_options, or convert it with: openssl pkey "
               "-inform der";
    }
    return options->asn1
               ? "no private key in DER in it"
               : "no private key in it; a PEM block named PRIVATE KEY is needed (RFC 7468)";
}

static ssl_status fail_key(const sally_source *source, const sally_file *file, const asking *a,
                           ssl_error *err)
{
    if (sally_ossl_ran_out()) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading a private key");
    }
    if (a->skipped[0] != '\0') {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "no RSA key in it (%s found), and rsa_only is set; "
                                            "leave it off to take any key",
                          source->noun, source->path, a->skipped);
    }
    const char *why = a->asked ? why_locked(a) : why_unreadable(file, a->options);
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG, SALLY_CANNOT_LOAD "%s (%s found)",
                      source->noun, source->path, why, sally_file_describe(file));
}

/* ---- the whole ----------------------------------------------------------------------------- */

static ssl_status fail_dear(const sally_source *source, ssl_error *err)
{
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      SALLY_CANNOT_LOAD
                      "to decrypt it the passphrase is hashed more than %d times; "
                      "encrypt it anew with: openssl pkcs8 -topk8 -iter 600000",
                      source->noun, source->path, SALLY_KEY_ROUNDS_MAX);
}

static ssl_status parse_key(const sally_source *source, const sally_file *file,
                            const ssl_key_options *options, EVP_PKEY **key, ssl_error *err)
{
    asking a = {.options = options};
    size_t blocks;
    ssl_status status = sally_pem_count(source, file, &blocks, err);
    if (status != SALLY_OK) {
        return status;
    }
    bool dear = sally_key_is_dear(file, options);
    sally_ossl_end(); /* what it could not read, the parser says better */
    if (dear) {
        return fail_dear(source, err);
    }
    *key = options->asn1 ? parse_der(file, &a) : parse_pem(file, &a);
    return *key != NULL ? SALLY_OK : fail_key(source, file, &a, err);
}

ssl_status sally_load_key(const sally_source *source, const ssl_key_options *options,
                          EVP_PKEY **key, ssl_error *err)
{
    static const ssl_key_options plain = {0};
    sally_file file;
    *key = NULL;
    ssl_status status = sally_file_read(source, &file, err);
    if (status == SALLY_OK) {
        status = parse_key(source, &file, options != NULL ? options : &plain, key, err);
        sally_file_fini(&file);
    }
    return status;
}

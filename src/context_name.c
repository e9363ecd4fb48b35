/* L3 crypto: the identity of a context: which sessions it takes (C4).
 *
 * It is a digest, and OpenSSL's session id context: only what has the same one is resumed. What goes in:
 * the stable name, or for want of one the names of the certificate, so that a renewed certificate changes
 * nothing; and the policy with the trust anchors and revocation lists, so that what was begun under a laxer
 * one is no pass.
 * Everything is preceded by its length, so that no two records feed the same bytes.
 *
 * Locks: none of its own; the caller sees to it that the record does not change meanwhile.
 */
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "context_record.h"

static bool feed(EVP_MD_CTX *digest, const void *bytes, size_t size)
{
    uint64_t length = size;
    return EVP_DigestUpdate(digest, &length, sizeof length) == 1 &&
           (size == 0 || EVP_DigestUpdate(digest, bytes, size) == 1);
}

static bool feed_text(EVP_MD_CTX *digest, const char *text)
{
    return feed(digest, text, text != NULL ? strlen(text) : 0);
}

static bool feed_flag(EVP_MD_CTX *digest, int value)
{
    return feed(digest, &value, sizeof value);
}

/* ---- who it is ----------------------------------------------------------------------------- */

static bool feed_alternative_names(EVP_MD_CTX *digest, X509 *leaf)
{
    int at = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
    ASN1_OCTET_STRING *names = at >= 0 ? X509_EXTENSION_get_data(X509_get_ext(leaf, at)) : NULL;
    return names == NULL
               ? feed(digest, NULL, 0)
               : feed(digest, ASN1_STRING_get0_data(names), (size_t)ASN1_STRING_length(names));
}

static bool feed_leaf(EVP_MD_CTX *digest, X509 *leaf)
{
    unsigned char subject[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (leaf == NULL) {
        return feed(digest, NULL, 0);
    }
    return X509_NAME_digest(X509_get_subject_name(leaf), EVP_sha256(), subject, &size) == 1 &&
           feed(digest, subject, size) && feed_alternative_names(digest, leaf);
}

static bool feed_name(EVP_MD_CTX *digest, const ssl_context *context)
{
    const char *name = context->sessions.name;
    return feed_text(digest, name) && (name != NULL || feed_leaf(digest, context->identity.leaf));
}

/* ---- what it asks for ---------------------------------------------------------------------- */

static bool feed_roots(EVP_MD_CTX *digest, STACK_OF(X509) * roots)
{
    unsigned char root[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    for (int i = 0; i < sk_X509_num(roots); i++) {
        if (X509_digest(sk_X509_value(roots, i), EVP_sha256(), root, &size) != 1 ||
            !feed(digest, root, size)) {
            return false;
        }
    }
    return feed(digest, NULL, 0);
}

/* A client that has been revoked since is to be judged anew. */
static bool feed_lists(EVP_MD_CTX *digest, const sally_revocation *revocation)
{
    unsigned char list[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    for (int i = 0; i < sk_X509_CRL_num(revocation->lists); i++) {
        X509_CRL *crl = sk_X509_CRL_value(revocation->lists, i);
        if (X509_CRL_digest(crl, EVP_sha256(), list, &size) != 1 || !feed(digest, list, size)) {
            return false;
        }
    }
    return feed(digest, NULL, 0) && feed_flag(digest, revocation->whole_chain);
}

static bool feed_directories(EVP_MD_CTX *digest, const sally_anchors *trust)
{
    for (size_t i = 0; i < trust->directory_count; i++) {
        if (!feed_text(digest, trust->directories[i])) {
            return false;
        }
    }
    return feed(digest, NULL, 0);
}

static bool feed_policy(EVP_MD_CTX *digest, const ssl_context *context)
{
    return feed_flag(digest, context->client) && feed_flag(digest, (int)context->demand) &&
           feed_flag(digest, context->verify_hostname) && feed_flag(digest, context->common_name) &&
           feed_lists(digest, &context->revocation) &&
           feed_flag(digest, (int)context->stapling.mode) &&
           feed_flag(digest, context->trust.defaults) && feed_roots(digest, context->trust.roots) &&
           feed_directories(digest, &context->trust);
}

bool sally_context_identify(const ssl_context *context, unsigned char *identity)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool done = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                feed_text(digest, "sallyport context 1") && feed_name(digest, context) &&
                feed_policy(digest, context) && EVP_DigestFinal_ex(digest, identity, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return done;
}

/* L3 crypto: judging OCSP responses, one's own before it is served, and the peer's (C6, RFC 6960).
 *
 * A response counts when it is signed by the issuer of the certificate, or by one that the issuer has
 * appointed for it, when it speaks of exactly this certificate, and when it is of now. OpenSSL does the
 * signature; the rest is here, because what a response says of other certificates, or said last year, is
 * a valid signature too.
 *
 * No locks and no state. Responses come from the peer: nothing in them is trusted before the signature.
 */
#include "ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

static const sally_ocsp_verdict unreadable = {X509_V_ERR_OCSP_VERIFY_FAILED,
                                              "it is no OCSP response, or a damaged one", 0};
static const sally_ocsp_verdict unsuccessful = {
    X509_V_ERR_OCSP_VERIFY_FAILED, "the responder answered with an error instead of a status", 0};
static const sally_ocsp_verdict issuer_missing = {
    X509_V_ERR_OCSP_VERIFY_FAILED, "the issuer of the certificate is not at hand to check it", 0};
static const sally_ocsp_verdict badly_signed = {
    X509_V_ERR_OCSP_VERIFY_FAILED,
    "it is not signed by the certificate's issuer or one appointed by it", 0};
static const sally_ocsp_verdict elsewhere = {X509_V_ERR_OCSP_VERIFY_FAILED,
                                             "it is for another certificate", 0};
static const sally_ocsp_verdict untimely = {X509_V_ERR_OCSP_VERIFY_FAILED,
                                            "it has expired, or is not valid yet", 0};
static const sally_ocsp_verdict revoked = {X509_V_ERR_CERT_REVOKED, "the certificate is revoked",
                                           0};
static const sally_ocsp_verdict unknown = {X509_V_ERR_OCSP_CERT_UNKNOWN,
                                           "the responder does not know the certificate", 0};

X509 *sally_ocsp_issuer(X509 *leaf, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *candidate = sk_X509_value(chain, i);
        if (X509_check_issued(candidate, leaf) == X509_V_OK) {
            return candidate;
        }
    }
    return NULL;
}

/* ---- which certificate --------------------------------------------------------------------- */

/* Responders choose the digest of the certificate's id; ours is made with the same. */
static bool is_about(OCSP_SINGLERESP *single, X509 *leaf, X509 *issuer)
{
    ASN1_OBJECT *algorithm = NULL;
    OCSP_CERTID *theirs = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
    OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, theirs);
    const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
    OCSP_CERTID *ours = digest != NULL ? OCSP_cert_to_id(digest, leaf, issuer) : NULL;
    bool same = ours != NULL && OCSP_id_cmp(ours, theirs) == 0;
    OCSP_CERTID_free(ours);
    return same;
}

static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, X509 *leaf, X509 *issuer)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        if (is_about(single, leaf, issuer)) {
            return single;
        }
    }
    return NULL;
}

/* ---- when ---------------------------------------------------------------------------------- */

/* The times have been found valid. */
static time_t time_of(const ASN1_GENERALIZEDTIME *when)
{
    int days = 0;
    int seconds = 0;
    (void)ASN1_TIME_diff(&days, &seconds, NULL, when);
    return time(NULL) + (time_t)days * 86400 + seconds;
}

static time_t end_of(const ASN1_GENERALIZEDTIME *from, const ASN1_GENERALIZEDTIME *next)
{
    return next != NULL ? time_of(next) : time_of(from) + SALLY_OCSP_AGE_MAX_S;
}

static sally_ocsp_verdict judge_single(OCSP_SINGLERESP *single)
{
    ASN1_GENERALIZEDTIME *from = NULL;
    ASN1_GENERALIZEDTIME *next = NULL;
    int status = OCSP_single_get0_status(single, NULL, NULL, &from, &next);
    long age_max = next == NULL ? SALLY_OCSP_AGE_MAX_S : -1;
    if (OCSP_check_validity(from, next, SALLY_OCSP_SKEW_S, age_max) != 1) {
        return untimely;
    }
    switch (status) {
    case V_OCSP_CERTSTATUS_GOOD: return (sally_ocsp_verdict){X509_V_OK, "", end_of(from, next)};
    case V_OCSP_CERTSTATUS_REVOKED: return revoked;
    default: return unknown;
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static sally_ocsp_verdict judge_basic(OCSP_BASICRESP *basic, const sally_ocsp_case *about)
{
    X509 *issuer = sally_ocsp_issuer(about->leaf, about->chain);
    if (issuer == NULL) {
        return issuer_missing;
    }
    if (OCSP_basic_verify(basic, about->chain, about->store, 0) != 1) {
        return badly_signed;
    }
    OCSP_SINGLERESP *single = find_single(basic, about->leaf, issuer);
    return single != NULL ? judge_single(single) : elsewhere;
}

static sally_ocsp_verdict judge_response(OCSP_RESPONSE *response, const sally_ocsp_case *about)
{
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        return unsuccessful;
    }
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    sally_ocsp_verdict verdict = basic != NULL ? judge_basic(basic, about) : unreadable;
    OCSP_BASICRESP_free(basic);
    return verdict;
}

sally_ocsp_verdict sally_ocsp_judge(const unsigned char *der, size_t size,
                                    const sally_ocsp_case *about)
{
    const unsigned char *at = der;
    sally_ocsp_verdict verdict = unreadable;
    ERR_set_mark();
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)size);
    if (response != NULL && at == der + size) {
        verdict = judge_response(response, about);
    }
    OCSP_RESPONSE_free(response);
    ERR_pop_to_mark();
    return verdict;
}

/* ---- the client's side --------------------------------------------------------------------- */

static int judge_peer(SSL *ssl, const unsigned char *der, long size)
{
    STACK_OF(X509) *verified = SSL_get0_verified_chain(ssl);
    sally_ocsp_case about = {SSL_get0_peer_certificate(ssl),
                             verified != NULL ? verified : SSL_get_peer_cert_chain(ssl),
                             SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl))};
    return about.leaf != NULL ? sally_ocsp_judge(der, (size_t)size, &about).code
                              : X509_V_ERR_OCSP_VERIFY_FAILED;
}

/* Called once a handshake, when the certificate has been judged; 0 ends it. A resumed one shows neither
 * certificate nor response. */
static int check_response(SSL *ssl, void *arg)
{
    const bool *required = arg;
    const unsigned char *der = NULL;
    if (SSL_session_reused(ssl) == 1) {
        return 1;
    }
    long size = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
    int none = *required ? X509_V_ERR_OCSP_VERIFY_NEEDED : X509_V_OK;
    int code = der != NULL && size > 0 ? judge_peer(ssl, der, size) : none;
    if (code == X509_V_OK) {
        return 1;
    }
    SSL_set_verify_result(ssl, code);
    return 0;
}

bool sally_ocsp_ask(SSL_CTX *ctx, bool required)
{
    static bool yes = true;
    static bool no = false;
    return SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp) == 1 &&
           SSL_CTX_set_tlsext_status_cb(ctx, check_response) == 1 &&
           SSL_CTX_set_tlsext_status_arg(ctx, required ? &yes : &no) == 1;
}

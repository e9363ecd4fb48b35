#include "support/ocsp_responses.h"

#include <cstdio>
#include <ctime>
#include <memory>

#include <gtest/gtest.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "support/certs.h"

namespace sallytest
{
namespace
{

using X509Owner = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyOwner = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using TimeOwner = std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)>;
using BasicOwner = std::unique_ptr<OCSP_BASICRESP, decltype(&OCSP_BASICRESP_free)>;
using ResponseOwner = std::unique_ptr<OCSP_RESPONSE, decltype(&OCSP_RESPONSE_free)>;

X509Owner certificate(const std::string &stem)
{
    FILE *file = std::fopen(cert_path(stem + ".pem").c_str(), "r");
    X509Owner found(file != nullptr ? PEM_read_X509(file, nullptr, nullptr, nullptr) : nullptr,
                    X509_free);
    EXPECT_NE(nullptr, found) << stem;
    std::fclose(file);
    return found;
}

KeyOwner key(const std::string &stem)
{
    FILE *file = std::fopen(cert_path(stem + "-key.pem").c_str(), "r");
    KeyOwner found(file != nullptr ? PEM_read_PrivateKey(file, nullptr, nullptr, nullptr) : nullptr,
                   EVP_PKEY_free);
    EXPECT_NE(nullptr, found) << stem;
    std::fclose(file);
    return found;
}

TimeOwner in_seconds(long seconds)
{
    return TimeOwner(X509_time_adj_ex(nullptr, 0, seconds, nullptr), ASN1_TIME_free);
}

int status_number(const std::string &status)
{
    return status == "good"      ? V_OCSP_CERTSTATUS_GOOD
           : status == "revoked" ? V_OCSP_CERTSTATUS_REVOKED
                                 : V_OCSP_CERTSTATUS_UNKNOWN;
}

// OpenSSL takes generalized times here alone, and X509_time_adj_ex makes the short ones.
void add_status(OCSP_BASICRESP *basic, const OcspOptions &options)
{
    X509Owner leaf = certificate(options.about);
    X509Owner issuer = certificate(options.issuer);
    const EVP_MD *digest = options.sha256_id ? EVP_sha256() : EVP_sha1();
    OCSP_CERTID *id = OCSP_cert_to_id(digest, leaf.get(), issuer.get());
    time_t now = std::time(nullptr);
    ASN1_GENERALIZEDTIME *from = ASN1_GENERALIZEDTIME_set(nullptr, now + options.from_s);
    ASN1_GENERALIZEDTIME *until = ASN1_GENERALIZEDTIME_set(nullptr, now + options.until_s);
    TimeOwner revoked_at = in_seconds(-3600);
    bool revoked = options.status == "revoked";
    EXPECT_NE(nullptr, OCSP_basic_add1_status(basic, id, status_number(options.status),
                                              revoked ? OCSP_REVOKED_STATUS_KEYCOMPROMISE : 0,
                                              revoked ? revoked_at.get() : nullptr, from,
                                              options.has_end ? until : nullptr));
    ASN1_GENERALIZEDTIME_free(from);
    ASN1_GENERALIZEDTIME_free(until);
    OCSP_CERTID_free(id);
}

std::string der_of(OCSP_RESPONSE *response)
{
    unsigned char *der = nullptr;
    int size = i2d_OCSP_RESPONSE(response, &der);
    EXPECT_GT(size, 0);
    std::string bytes(reinterpret_cast<char *>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return bytes;
}

} // namespace

std::string ocsp_response(const OcspOptions &options)
{
    BasicOwner basic(OCSP_BASICRESP_new(), OCSP_BASICRESP_free);
    X509Owner signer = certificate(options.signer);
    KeyOwner signing = key(options.signer);
    add_status(basic.get(), options);
    EXPECT_EQ(1, OCSP_basic_sign(basic.get(), signer.get(), signing.get(), EVP_sha256(), nullptr,
                                 OCSP_NOCERTS));
    int outcome = options.refuses ? OCSP_RESPONSE_STATUS_TRYLATER : OCSP_RESPONSE_STATUS_SUCCESSFUL;
    ResponseOwner response(OCSP_response_create(outcome, options.refuses ? nullptr : basic.get()),
                           OCSP_RESPONSE_free);
    return der_of(response.get());
}

} // namespace sallytest

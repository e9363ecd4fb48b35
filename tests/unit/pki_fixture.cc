#include "pki_fixture.h"

#include <functional>

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "support/certs.h"

namespace sallytest
{
namespace
{

std::string written(const std::function<int(BIO *)> &write)
{
    BIO *bio = BIO_new(BIO_s_mem());
    EXPECT_EQ(1, write(bio));
    char *text = nullptr;
    long size = BIO_get_mem_data(bio, &text);
    std::string result(text, static_cast<size_t>(size));
    BIO_free(bio);
    return result;
}

X509 *certificate(const std::string &stem)
{
    BIO *bio = BIO_new_file(cert_path(stem + ".pem").c_str(), "r");
    X509 *read = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return read;
}

Key private_key(const std::string &stem)
{
    BIO *bio = BIO_new_file(cert_path(stem + "-key.pem").c_str(), "r");
    Key read(PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr));
    BIO_free(bio);
    return read;
}

void revoke(X509_CRL *crl, const std::string &stem)
{
    X509 *subject = certificate(stem);
    X509_REVOKED *entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(subject));
    X509_REVOKED_set_revocationDate(entry, const_cast<ASN1_TIME *>(X509_CRL_get0_lastUpdate(crl)));
    EXPECT_EQ(1, X509_CRL_add0_revoked(crl, entry));
    X509_free(subject);
}

X509_CRL *new_crl(const std::string &stem, const std::vector<std::string> &revoked, int days)
{
    constexpr long kDay = 24 * 3600;
    X509 *issuer = certificate(stem);
    Key key = private_key(stem);
    ASN1_TIME *time = X509_gmtime_adj(nullptr, -2 * kDay);
    X509_CRL *crl = X509_CRL_new();
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
    X509_CRL_set1_lastUpdate(crl, time);
    X509_gmtime_adj(time, days * kDay);
    X509_CRL_set1_nextUpdate(crl, time);
    ASN1_TIME_free(time);
    for (const std::string &one : revoked) {
        revoke(crl, one);
    }
    EXPECT_NE(0, X509_CRL_sign(crl, key.get(), EVP_sha256()));
    X509_free(issuer);
    return crl;
}

std::string dh_pem_of(OSSL_PARAM *params)
{
    EVP_PKEY *dh = nullptr;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr);
    EVP_PKEY_fromdata_init(ctx);
    EXPECT_EQ(1, EVP_PKEY_fromdata(ctx, &dh, EVP_PKEY_KEY_PARAMETERS, params));
    EVP_PKEY_CTX_free(ctx);
    std::string text = written([&](BIO *bio) { return PEM_write_bio_Parameters(bio, dh); });
    EVP_PKEY_free(dh);
    return text;
}

} // namespace

Key new_key(const std::string &type)
{
    if (type == "EC") {
        return Key(EVP_EC_gen("P-256"));
    }
    EVP_PKEY *key = nullptr;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(nullptr, type.c_str(), nullptr);
    EVP_PKEY_keygen_init(ctx);
    if (type == "RSA" || type == "RSA-PSS") {
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048);
    }
    EXPECT_EQ(1, EVP_PKEY_generate(ctx, &key)) << type;
    EVP_PKEY_CTX_free(ctx);
    return Key(key);
}

std::string pkcs8_pem(EVP_PKEY *key)
{
    return written([&](BIO *bio) {
        return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
}

std::string pkcs8_der(EVP_PKEY *key)
{
    return written([&](BIO *bio) {
        return i2d_PKCS8PrivateKey_bio(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
}

std::string traditional_pem(EVP_PKEY *key)
{
    return written([&](BIO *bio) {
        return PEM_write_bio_PrivateKey_traditional(bio, key, nullptr, nullptr, 0, nullptr,
                                                    nullptr);
    });
}

std::string self_signed_pem(EVP_PKEY *key)
{
    X509 *made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char *>("localhost"), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    X509_set_pubkey(made, key);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(made, names, -1);
    X509_EXTENSION_free(names);
    bool own_digest = EVP_PKEY_is_a(key, "ED25519") == 1 || EVP_PKEY_is_a(key, "ED448") == 1;
    EXPECT_NE(0, X509_sign(made, key, own_digest ? nullptr : EVP_sha256()));
    std::string text = written([&](BIO *bio) { return PEM_write_bio_X509(bio, made); });
    X509_free(made);
    return text;
}

std::string crl_pem(const std::string &stem, const std::vector<std::string> &revoked, int days)
{
    X509_CRL *crl = new_crl(stem, revoked, days);
    std::string text = written([&](BIO *bio) { return PEM_write_bio_X509_CRL(bio, crl); });
    X509_CRL_free(crl);
    return text;
}

std::string crl_der(const std::string &stem, const std::vector<std::string> &revoked)
{
    X509_CRL *crl = new_crl(stem, revoked, 30);
    std::string bytes = written([&](BIO *bio) { return i2d_X509_CRL_bio(bio, crl); });
    X509_CRL_free(crl);
    return bytes;
}

std::string dh_pem(const std::string &group)
{
    std::string name = group;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.data(), 0),
        OSSL_PARAM_construct_end()};
    return dh_pem_of(params);
}

std::string unsafe_dh_pem()
{
    BIGNUM *p = BN_new();
    BIGNUM *g = BN_new();
    BN_set_bit(p, 2047);
    BN_add_word(p, 1); // divisible by 3
    BN_set_word(g, 2);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_P, p);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_G, g);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    std::string text = dh_pem_of(params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(p);
    BN_free(g);
    return text;
}

// Made once with openssl dhparam -dsaparam 2048.
std::string unnamed_dh_pem()
{
    return R"(-----BEGIN X9.42 DH PARAMETERS-----
MIICKAKCAQEAlV79i6/gd83ZyvDU4LG3RhdNe6sGpHoMthqw149Ei1t6xCnYk3Wh
9NkyYdPGwb8sHpiMiV5eNLnEv1bPM8xdq3SyxatgVT+cO5YFXcWLggFmq3uho1Un
qUUbWeRzdEkI3y9WALDALkP+Fh0wKeGfyAQo4I6ki2mduCIK8187K1PEYDDZqCTJ
gLUIEbqsjTe+AL+fzuLOi0s+dLlbAH/N+Xf+lcKApGx/JNfN9gRW0x0HFQPE3JaI
HhwLaFRRsK2KzxIfbYIwPQNwPlCJYmOvoshY3voPHA3Em9i7zZcCO8tQjxAvIhym
GNXofYqX7LryAoy4YjUkmOxFzZEcV6RwmQKCAQAH1ljCiS+rqiPg6mIrm8Dh9XTm
DtiGPi+OpKwLeQjD/bKssCl18UbnpDfT6IwZgTh8kH9zek7wXIy8ecGbtM1vfXyK
EhG6vkuzs8Zh8DPjw0Bniw4Fq7D7hO1ozj5/9/jCIY2yBX61NSbi2es/obtWmv81
/mIxLaNhoVz5CAQgkSFV4dXXAZYDPK/e/nSJRP6GlIoeWS3RqDLn6VrMuCEzrPVf
rLavNflBNSqczXID9gRCMKcFGlUtxbh2fzMwtnL5VAL0ytk5O93BfxFcSySM6Toy
J8Z4D5eaETjvtZK0I/uLThrJKOqkVy7d14e86hLZXzQEjUjYy2wM2/aWPj/JAh0A
srvO9Ji8hTyieXrh061zePCu4O303TYaRncILQ==
-----END X9.42 DH PARAMETERS-----
)";
}

} // namespace sallytest

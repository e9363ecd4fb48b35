// key_cost.c: what an encrypted private key costs is read off before it is paid (C3).
#include <cstring>
#include <string>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto_fixture.h"

extern "C" {
#include "load.h"
}

using namespace sallytest;

namespace
{

constexpr int kMost = SALLY_KEY_ROUNDS_MAX;

// An EncryptedPrivateKeyInfo with that algorithm, and bytes that decrypt to nothing. Takes it over.
std::string encrypted_with(X509_ALGOR *algorithm)
{
    X509_SIG *sig = X509_SIG_new();
    X509_ALGOR *own;
    ASN1_OCTET_STRING *bytes;
    X509_SIG_getm(sig, &own, &bytes);
    EXPECT_EQ(1, X509_ALGOR_copy(own, algorithm));
    EXPECT_EQ(1,
              ASN1_OCTET_STRING_set(bytes, reinterpret_cast<const unsigned char *>("xxxxxxxx"), 8));
    unsigned char *der = nullptr;
    int size = i2d_X509_SIG(sig, &der);
    std::string made(reinterpret_cast<char *>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    X509_SIG_free(sig);
    X509_ALGOR_free(algorithm);
    return made;
}

std::string pbkdf2(int rounds)
{
    return encrypted_with(PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), rounds, nullptr, 0, nullptr, -1));
}

std::string pbes1(int rounds)
{
    return encrypted_with(
        PKCS5_pbe_set(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, rounds, nullptr, 0));
}

std::string scrypt(uint64_t n, uint64_t r, uint64_t p)
{
    return encrypted_with(PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nullptr, 0, nullptr, n, r, p));
}

// A number of rounds that OpenSSL would not write.
std::string pbes1_with(const ASN1_INTEGER *rounds)
{
    PBEPARAM *param = PBEPARAM_new();
    ASN1_INTEGER_free(param->iter);
    param->iter = ASN1_INTEGER_dup(rounds);
    X509_ALGOR *algorithm = X509_ALGOR_new();
    ASN1_STRING *packed = nullptr;
    EXPECT_NE(nullptr, ASN1_item_pack(param, ASN1_ITEM_rptr(PBEPARAM), &packed));
    EXPECT_EQ(1, X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_pbeWithMD5AndDES_CBC), V_ASN1_SEQUENCE,
                                 packed));
    PBEPARAM_free(param);
    return encrypted_with(algorithm);
}

std::string pem_of(const std::string &der)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio(bio, PEM_STRING_PKCS8, "", reinterpret_cast<const unsigned char *>(der.data()),
                  static_cast<long>(der.size()));
    char *text = nullptr;
    long size = BIO_get_mem_data(bio, &text);
    std::string made(text, static_cast<size_t>(size));
    BIO_free(bio);
    return made;
}

bool is_dear(const std::string &bytes, bool is_der, bool rsa_only = false)
{
    ssl_key_options options = {};
    options.asn1 = is_der;
    options.rsa_only = rsa_only;
    sally_file file = {};
    file.bytes = reinterpret_cast<const unsigned char *>(bytes.data());
    file.size = bytes.size();
    bool dear = sally_key_is_dear(&file, &options);
    ERR_clear_error();
    return dear;
}

void expect_dear(bool dear, const std::string &der)
{
    EXPECT_EQ(dear, is_dear(der, true));
    EXPECT_EQ(dear, is_dear(pem_of(der), false));
}

int count_and_answer(char *buf, int, void *user)
{
    ++*static_cast<int *>(user);
    memcpy(buf, "secret", 6);
    return 6;
}

} // namespace

TEST(KeyCost, C3_TheBoundItselfIsPaid)
{
    expect_dear(false, pbkdf2(kMost));
    expect_dear(true, pbkdf2(kMost + 1));
    expect_dear(false, pbes1(kMost));
    expect_dear(true, pbes1(kMost + 1));
}

TEST(KeyCost, C3_OfScryptItIsTheProduct)
{
    expect_dear(false, scrypt(16384, 8, 1)); // OpenSSL's own
    expect_dear(false, scrypt(16384, 8, 7));
    expect_dear(true, scrypt(16384, 8, 8));
    expect_dear(true, scrypt(16, 1, 1 << 17)); // little memory, and many times
}

TEST(KeyCost, C3_NumbersBeyondAllMeasureAreDear)
{
    expect_dear(true, pbkdf2(INT32_MAX));
    ASN1_INTEGER *rounds = ASN1_INTEGER_new();
    for (int64_t number : {INT64_MAX, static_cast<int64_t>(-1)}) {
        ASN1_INTEGER_set_int64(rounds, number);
        expect_dear(true, pbes1_with(rounds));
    }
    BIGNUM *huge = BN_new();
    BN_set_bit(huge, 2000);
    BN_to_ASN1_INTEGER(huge, rounds);
    expect_dear(true, pbes1_with(rounds));
    BN_free(huge);
    ASN1_INTEGER_free(rounds);
}

TEST(KeyCost, C3_OfSeveralTheDearestCounts)
{
    std::string cheap = pem_of(pbkdf2(2048));
    EXPECT_FALSE(is_dear(cheap + cheap, false));
    EXPECT_TRUE(is_dear(cheap + pem_of(pbkdf2(kMost + 1)), false));
}

// The others are decrypted before it is known that they are none.
TEST(KeyCost, C3_WhereTheRsaKeyIsLookedForTheirSumCounts)
{
    std::string half = pem_of(pbkdf2(kMost / 2));
    EXPECT_FALSE(is_dear(half + half, false, true));
    EXPECT_TRUE(is_dear(half + half + pem_of(pbkdf2(1)), false, true));
    EXPECT_FALSE(is_dear(half + half + pem_of(pbkdf2(1)), false));
    std::string dear = pem_of(pbkdf2(INT32_MAX));
    EXPECT_TRUE(is_dear(dear + dear, false, true));
}

TEST(KeyCost, C3_WhatCannotBeReadIsLeftToTheParser)
{
    EXPECT_FALSE(is_dear("no key at all", true));
    EXPECT_FALSE(is_dear("no key at all", false));
    std::string cut = pbkdf2(kMost + 1);
    EXPECT_FALSE(is_dear(cut.substr(0, cut.size() / 2), true));
}

// In no time, and before anybody is asked for a passphrase.
TEST(KeyCost, C3_ADearKeyIsRefusedWithTheWayOut)
{
    std::string der = pbkdf2(INT32_MAX);
    std::string pem = pem_of(der);
    for (bool asn1 : {false, true}) {
        int asked = 0;
        ssl_key_options options = {};
        options.asn1 = asn1;
        options.passphrase = count_and_answer;
        options.user = &asked;
        const std::string &bytes = asn1 ? der : pem;
        ssl_bytes key = {bytes.data(), bytes.size(), nullptr};
        ssl_context *made = nullptr;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_make_server_context(SALLY_PROTOCOL_AUTO, &made, &err), err));
        Context context(made);
        ssl_status status = ssl_load_private_key_bytes(made, &key, &options, &err);
        EXPECT_TRUE(is(SALLY_CONFIG, status, err));
        EXPECT_NE(nullptr, strstr(err.text, "hashed more than 1000000 times")) << err.text;
        EXPECT_NE(nullptr, strstr(err.text, "openssl pkcs8")) << err.text;
        EXPECT_EQ(0, asked);
        EXPECT_TRUE(openssl_queue_is_empty());
    }
}

// Certificates and keys: what is accepted, and how keys are asked for (C3). What each bad file is told
// is in load_matrix_test.cc.
#include <cstring>
#include <string>

#include <openssl/pem.h>

#include "crypto_fixture.h"

using namespace sallytest;

namespace
{

ssl_status load_key(ssl_context *context, const std::string &path, const ssl_key_options *options,
                    ssl_error *err)
{
    return ssl_load_private_key(context, path.c_str(), options, err);
}

int say_sallyport(char *buf, int size, void *)
{
    const char passphrase[] = "sallyport";
    EXPECT_GE(size, 9);
    std::memcpy(buf, passphrase, 9);
    return 9;
}

int say_nonsense(char *buf, int, void *)
{
    buf[0] = 'x';
    return 1;
}

int say_nothing(char *, int, void *asked)
{
    *static_cast<int *>(asked) += 1;
    return -1;
}

int say_too_much(char *, int size, void *)
{
    return size + 1;
}

TEST(LoadKey, C3_DerOnRequest)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.asn1 = true;
    EXPECT_TRUE(
        is(SALLY_OK, load_key(context.get(), cert_path("server-key.der"), &options, &err), err));
}

TEST(LoadKey, C3_PemWhereDerWasPromisedSaysSo)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.asn1 = true;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "PEM found")) << err.text;
}

TEST(LoadKey, C3_EncryptedWithItsPassphrase)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.passphrase = say_sallyport;
    EXPECT_TRUE(is(SALLY_OK,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
}

TEST(LoadKey, C3_WrongPassphraseIsTold)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    ASSERT_EQ(SALLY_OK, load_key(context.get(), cert_path("server-key.pem"), nullptr, &err));
    const EVP_PKEY *before = context->identity.key;
    options.passphrase = say_nonsense;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "passphrase is wrong")) << err.text;
    EXPECT_NE(nullptr, std::strstr(err.text, "server-key-enc.pem")) << err.text;
    EXPECT_EQ(before, context->identity.key);
    EXPECT_TRUE(openssl_queue_is_empty());
}

TEST(LoadKey, C3_CallbackMayGiveNone)
{
    Context context = bare_server();
    int asked = 0;
    ssl_key_options options = {};
    ssl_error err;
    options.passphrase = say_nothing;
    options.user = &asked;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "gave none")) << err.text;
    EXPECT_GE(asked, 1);
}

TEST(LoadKey, CallbackThatClaimsMoreThanTheRoomIsNotBelieved)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.passphrase = say_too_much;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "wrote more than its room")) << err.text;
}

TEST(LoadKey, C3_RsaOnlySkipsOthers)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string both = dir.write("both", cert("server-key.pem") + cert("server-rsa-key.pem"));
    ssl_key_options options = {};
    ssl_error err;
    options.rsa_only = true;
    EXPECT_TRUE(is(SALLY_OK, load_key(context.get(), both, &options, &err), err));
    EXPECT_EQ(EVP_PKEY_RSA, EVP_PKEY_get_base_id(context->identity.key));
}

TEST(LoadKey, C3_RsaOnlyWithoutOneNamesWhatThereIs)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.rsa_only = true;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "EC found")) << err.text;
    options.asn1 = true;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key.der"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "EC found")) << err.text;
}

// As `openssl ecparam -genkey` writes it.
TEST(LoadKey, ParametersBeforeTheKeyArePassedOver)
{
    ScratchDir dir;
    Context context = bare_server();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey_traditional(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    char *text = nullptr;
    long size = BIO_get_mem_data(bio, &text);
    std::string parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                             "-----END EC PARAMETERS-----\n";
    std::string path = dir.write("key", parameters + std::string(text, static_cast<size_t>(size)));
    BIO_free(bio);
    EVP_PKEY_free(key);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, load_key(context.get(), path, nullptr, &err), err));
}

TEST(LoadIdentity, KeyAndChainMayShareAFile)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string path = dir.write("both", cert("chain-key.pem") + cert("chain.pem"));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_load_identity(context.get(), path.c_str(), path.c_str(), nullptr, &err),
                   err));
    EXPECT_EQ(1, sk_X509_num(context->identity.issuers));
}

TEST(LoadIdentity, TextAroundTheBlocksIsNoMatter)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string path = dir.write("chatty", "Certificate:\n  of somebody\n" + cert("server.pem") +
                                               "and that was it");
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_load_certificate_chain(context.get(), path.c_str(), &err), err));
}

// A path that is longer than the text of an error.
TEST(LoadIdentity, OverlongPathLeavesRoomForTheReason)
{
    Context context = bare_server();
    std::string path = "/" + std::string(3000, 'x');
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_SYSTEM, ssl_load_certificate_chain(context.get(), path.c_str(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "name too long")) << err.text;
}

} // namespace

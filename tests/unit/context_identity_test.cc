// Chain and key: in any order, as a pair, and never one without the other (C2, C3).
#include <cstring>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto_fixture.h"
#include "support/faults.h"

using namespace sallytest;

namespace
{

TEST(Setters, C2_ChainThenKeyOrKeyThenChain)
{
    for (bool chain_first : {true, false}) {
        Context server = bare_server();
        auto chain = [&] {
            return ssl_load_certificate_chain(server.get(), cert_path("server.pem").c_str(),
                                              nullptr);
        };
        auto key = [&] {
            return ssl_load_private_key(server.get(), cert_path("server-key.pem").c_str(), nullptr,
                                        nullptr);
        };
        EXPECT_EQ(SALLY_OK, chain_first ? chain() : key());
        EXPECT_EQ(SALLY_OK, chain_first ? key() : chain());
        EXPECT_TRUE(shake(client_context().get(), server.get()));
    }
}

TEST(Setters, C2_HalfThatDoesNotMatchIsRefused)
{
    Context server = server_context();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   ssl_load_certificate_chain(server.get(), cert_path("sni.pem").c_str(), &err),
                   err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_load_identity")) << err.text;
    EXPECT_TRUE(is(
        SALLY_CONFIG,
        ssl_load_private_key(server.get(), cert_path("sni-key.pem").c_str(), nullptr, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_load_identity")) << err.text;
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_TRUE(shake(client_context().get(), server.get()));
}

TEST(Setters, C3_PairIsReplacedAsOne)
{
    Context server = server_context();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_load_identity(server.get(), cert_path("sni.pem").c_str(),
                                     cert_path("sni-key.pem").c_str(), nullptr, &err),
                   err));
    EXPECT_TRUE(shake(client_context().get(), server.get(), "second.example"));
}

TEST(Setters, C3_PairThatIsNoneChangesNothing)
{
    Context server = server_context();
    std::string before = shown_subject(server.get());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   ssl_load_identity(server.get(), cert_path("sni.pem").c_str(),
                                     cert_path("client-key.pem").c_str(), nullptr, &err),
                   err));
    EXPECT_NE(nullptr, std::strstr(err.text, "does not match")) << err.text;
    EXPECT_TRUE(is(SALLY_SYSTEM,
                   ssl_load_identity(server.get(), cert_path("sni.pem").c_str(), "/nowhere/key",
                                     nullptr, &err),
                   err));
    EXPECT_EQ(before, shown_subject(server.get()));
    EXPECT_TRUE(shake(client_context().get(), server.get()));
}

// A leaf that is too weak for the security level fails where it is loaded, not at the first client.
TEST(Setters, C2_WeakKeyIsRefusedAtTheLoad)
{
    EVP_PKEY *key = EVP_RSA_gen(512 + 512);
    X509 *weak = X509_new();
    X509_set_pubkey(weak, key);
    X509_gmtime_adj(X509_getm_notBefore(weak), 0);
    X509_gmtime_adj(X509_getm_notAfter(weak), 3600);
    ASSERT_NE(0, X509_sign(weak, key, EVP_sha256()));
    ScratchDir dir;
    BIO *bio = BIO_new_file(dir.path("weak.pem").c_str(), "w");
    PEM_write_bio_X509(bio, weak);
    BIO_free(bio);
    X509_free(weak);
    EVP_PKEY_free(key);
    ssl_error err;
    EXPECT_TRUE(is(
        SALLY_CONFIG,
        ssl_load_certificate_chain(bare_server().get(), dir.path("weak.pem").c_str(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "too small")) << err.text;
}

TEST(ContextAllocations, Loads)
{
    Context client = bare_client();
    sweep_allocations("ssl_load_identity", [&](ssl_error *err) {
        return ssl_load_identity(client.get(), cert_path("client.pem").c_str(),
                                 cert_path("client-key.pem").c_str(), nullptr, err);
    });
    sweep_allocations("ssl_load_verify_root_certificates", [&](ssl_error *err) {
        return ssl_load_verify_root_certificates(client.get(), cert_path("ca.pem").c_str(), err);
    });
    sweep_allocations("ssl_load_verify_source", [&](ssl_error *err) {
        ssl_verify_source source = {SALLY_VERIFY_DIRECTORY, "/tmp"};
        return ssl_load_verify_source(client.get(), &source, false, err);
    });
    sweep_allocations("ssl_set_ciphers",
                      [&](ssl_error *err) { return ssl_set_ciphers(client.get(), "HIGH", err); });
}

} // namespace

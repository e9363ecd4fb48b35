// Contexts: protocols, setters that change nothing when they fail, sealing, defaults (C1, C2, C3).
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto_fixture.h"
#include "support/faults.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

std::string path(const char *file)
{
    return cert_path(file);
}

// ---- protocols ----

TEST(Protocols, C1_AutoIsTls12AndUp)
{
    EXPECT_EQ("TLSv1.3", shake(bare_client().get(), server_context().get()).version);
    Context old = server_context("server", SALLY_PROTOCOL_TLS12);
    EXPECT_EQ("TLSv1.2", shake(bare_client().get(), old.get()).version);
    Context older = server_context("server", SALLY_PROTOCOL_TLS11_INSECURE);
    EXPECT_FALSE(shake(bare_client().get(), older.get()));
}

TEST(Protocols, C1_OneVersionOnly)
{
    Context only12 = bare_client(SALLY_PROTOCOL_TLS12);
    Context only13 = bare_client(SALLY_PROTOCOL_TLS13);
    EXPECT_EQ("TLSv1.2", shake(only12.get(), server_context().get()).version);
    EXPECT_EQ("TLSv1.3", shake(only13.get(), server_context().get()).version);
    EXPECT_FALSE(shake(only13.get(), server_context("server", SALLY_PROTOCOL_TLS12).get()));
}

TEST(Protocols, C1_InsecureOnesWorkWhereTheyAreAskedFor)
{
    for (ssl_protocol protocol : {SALLY_PROTOCOL_TLS11_INSECURE, SALLY_PROTOCOL_TLS10_INSECURE}) {
        Context client = bare_client(protocol);
        Context server = server_context("server-rsa", protocol);
        Shake result = shake(client.get(), server.get());
        EXPECT_TRUE(result);
        EXPECT_EQ(protocol == SALLY_PROTOCOL_TLS11_INSECURE ? "TLSv1.1" : "TLSv1", result.version);
    }
}

TEST(Protocols, C1_OldNameIsAuto)
{
    Context client = bare_client(SALLY_PROTOCOL_SSLV2_OR_V3);
    EXPECT_EQ("TLSv1.3", shake(client.get(), server_context().get()).version);
    EXPECT_FALSE(ssl_context_is_sealed(client.get()));
}

TEST(Protocols, C1_WhatOpensslLacksIsUnsupported)
{
    ssl_error err;
    for (ssl_protocol protocol : {SALLY_PROTOCOL_SSLV2, SALLY_PROTOCOL_SSLV3}) {
        ssl_context *context = bare_client().release();
        ssl_context *kept = context;
        EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_make_client_context(protocol, &context, &err), err));
        EXPECT_EQ(nullptr, context);
        EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_make_server_context(protocol, &context, &err), err));
        ssl_context_release(kept);
    }
}

TEST(Protocols, UnknownNumbersAreUsage)
{
    ssl_context *context = nullptr;
    ssl_error err;
    for (int number : {-1, 9, 4711}) {
        auto protocol = static_cast<ssl_protocol>(number);
        EXPECT_TRUE(is(SALLY_USAGE, ssl_make_client_context(protocol, &context, &err), err));
    }
    EXPECT_TRUE(is(SALLY_USAGE, ssl_make_client_context(SALLY_PROTOCOL_AUTO, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_make_server_context(SALLY_PROTOCOL_AUTO, nullptr, &err), err));
}

// ---- what is built ----

struct Built {
    explicit Built(ssl_context *context)
    {
        ssl_error err;
        ssl_status status =
            sally_context_policy(context, ssl_context_is_client(context), "Built", &policy, &err);
        EXPECT_TRUE(is(SALLY_OK, status, err));
    }
    ~Built()
    {
        sally_policy_fini(&policy);
    }
    SSL_CTX *ctx() const
    {
        return policy.ctx;
    }
    sally_policy policy;
};

TEST(Build, IsMadeOnceAndAgainAfterAChange)
{
    Context context = server_context();
    Built first(context.get());
    Built second(context.get());
    EXPECT_EQ(first.ctx(), second.ctx());
    ASSERT_EQ(SALLY_OK, ssl_set_shutdown_on_close(context.get(), false, nullptr));
    Built third(context.get());
    EXPECT_NE(first.ctx(), third.ctx());
    EXPECT_TRUE(first.policy.shutdown_on_close);
    EXPECT_FALSE(third.policy.shutdown_on_close);
}

TEST(Build, SettingsOfTheEngine)
{
    Context context = server_context();
    Built built(context.get());
    long mode = static_cast<long>(SSL_CTX_get_mode(built.ctx()));
    EXPECT_TRUE(mode & SSL_MODE_ENABLE_PARTIAL_WRITE);
    EXPECT_TRUE(mode & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    EXPECT_FALSE(mode & SSL_MODE_AUTO_RETRY);
    EXPECT_TRUE(SSL_CTX_get_read_ahead(built.ctx()));
    EXPECT_EQ(1u, SSL_CTX_get_num_tickets(built.ctx()));
    EXPECT_EQ(SSL_SESS_CACHE_OFF, SSL_CTX_get_session_cache_mode(built.ctx()));
    EXPECT_TRUE(SSL_CTX_get_options(built.ctx()) & SSL_OP_NO_COMPRESSION);
}

TEST(Build, P1_RenegotiationIsRefusedUnlessAllowed)
{
    Context context = server_context();
    Built refusing(context.get());
    EXPECT_TRUE(SSL_CTX_get_options(refusing.ctx()) & SSL_OP_NO_RENEGOTIATION);
    ASSERT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(context.get(), true, nullptr));
    Built allowing(context.get());
    EXPECT_FALSE(SSL_CTX_get_options(allowing.ctx()) & SSL_OP_NO_RENEGOTIATION);
    EXPECT_TRUE(SSL_CTX_get_options(allowing.ctx()) & SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
}

TEST(Build, DefaultCiphersAreSafe)
{
    Context context = bare_client();
    Built built(context.get());
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(built.ctx());
    EXPECT_GT(sk_SSL_CIPHER_num(ciphers), 0);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        EXPECT_GE(SSL_CIPHER_get_bits(cipher, nullptr), 128) << SSL_CIPHER_get_name(cipher);
        EXPECT_NE(NID_auth_null, SSL_CIPHER_get_auth_nid(cipher)) << SSL_CIPHER_get_name(cipher);
        EXPECT_NE(NID_kx_rsa, SSL_CIPHER_get_kx_nid(cipher)) << SSL_CIPHER_get_name(cipher);
    }
}

TEST(Build, PolicyChecksTheKind)
{
    sally_policy policy;
    ssl_error err;
    Context client = bare_client();
    Context server = server_context();
    EXPECT_TRUE(
        is(SALLY_USAGE, sally_context_policy(server.get(), true, "ssl_x", &policy, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_x")) << err.text;
    EXPECT_EQ(nullptr, policy.ctx);
    EXPECT_TRUE(
        is(SALLY_USAGE, sally_context_policy(client.get(), false, "ssl_x", &policy, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, sally_context_policy(nullptr, false, "ssl_x", &policy, &err), err));
}

TEST(Build, ServerNeedsAWholeIdentity)
{
    sally_policy policy;
    ssl_error err;
    Context server = bare_server();
    auto take = [&] { return sally_context_policy(server.get(), false, "ssl_x", &policy, &err); };
    EXPECT_TRUE(is(SALLY_CONFIG, take(), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "no certificate")) << err.text;
    ASSERT_EQ(SALLY_OK,
              ssl_load_certificate_chain(server.get(), path("server.pem").c_str(), nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, take(), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "no private key")) << err.text;
}

// ---- setters ----

TEST(Setters, C2_ChainThenKeyOrKeyThenChain)
{
    for (bool chain_first : {true, false}) {
        Context server = bare_server();
        auto chain = [&] {
            return ssl_load_certificate_chain(server.get(), path("server.pem").c_str(), nullptr);
        };
        auto key = [&] {
            return ssl_load_private_key(server.get(), path("server-key.pem").c_str(), nullptr,
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
                   ssl_load_certificate_chain(server.get(), path("sni.pem").c_str(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_load_identity")) << err.text;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   ssl_load_private_key(server.get(), path("sni-key.pem").c_str(), nullptr, &err),
                   err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_load_identity")) << err.text;
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_TRUE(shake(client_context().get(), server.get()));
}

TEST(Setters, C3_PairIsReplacedAsOne)
{
    Context server = server_context();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_load_identity(server.get(), path("sni.pem").c_str(),
                                     path("sni-key.pem").c_str(), nullptr, &err),
                   err));
    EXPECT_TRUE(shake(client_context().get(), server.get(), "second.example"));
}

TEST(Setters, C3_PairThatIsNoneChangesNothing)
{
    Context server = server_context();
    std::string before = shown_subject(server.get());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   ssl_load_identity(server.get(), path("sni.pem").c_str(),
                                     path("client-key.pem").c_str(), nullptr, &err),
                   err));
    EXPECT_NE(nullptr, std::strstr(err.text, "does not match")) << err.text;
    EXPECT_TRUE(
        is(SALLY_SYSTEM,
           ssl_load_identity(server.get(), path("sni.pem").c_str(), "/nowhere/key", nullptr, &err),
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

TEST(Setters, C3_CiphersOfTls12)
{
    Context client = bare_client(SALLY_PROTOCOL_TLS12);
    ssl_error err;
    const char one[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
    EXPECT_TRUE(is(SALLY_OK, ssl_set_ciphers(client.get(), one, &err), err));
    EXPECT_EQ(one, shake(client.get(), server_context().get()).cipher);
}

TEST(Setters, C3_SuitesOfTls13)
{
    Context client = bare_client();
    ssl_error err;
    const char one[] = "TLS_CHACHA20_POLY1305_SHA256";
    EXPECT_TRUE(is(SALLY_OK, ssl_set_ciphersuites(client.get(), one, &err), err));
    EXPECT_EQ(one, shake(client.get(), server_context().get()).cipher);
}

TEST(Setters, C3_ListsOfNothingKnownAreRefused)
{
    Context client = bare_client();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphers(client.get(), "NO-SUCH-CIPHER", &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "NO-SUCH-CIPHER")) << err.text;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphers(client.get(), "", &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_ciphers(client.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphersuites(client.get(), "TLS_NO_SUCH", &err), err));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphersuites(client.get(), "", &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_ciphersuites(client.get(), nullptr, &err), err));
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_TRUE(shake(client.get(), server_context().get()));
}

TEST(Setters, C7_HostNameOfAServerIsUsage)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_verify_hostname(bare_server().get(), true, &err), err));
}

// ---- every setter, alike ----

struct Setter {
    const char *name;
    std::function<ssl_status(ssl_context *, ssl_error *)> call;
};

const ssl_verify_source nowhere = {SALLY_VERIFY_FILE, "/nowhere"};

const Setter setters[] = {
    {"ssl_load_certificate_chain",
     [](ssl_context *c, ssl_error *e) { return ssl_load_certificate_chain(c, "/nowhere", e); }},
    {"ssl_load_private_key",
     [](ssl_context *c, ssl_error *e) { return ssl_load_private_key(c, "/nowhere", nullptr, e); }},
    {"ssl_load_identity",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_identity(c, "/nowhere", "/nowhere", nullptr, e);
     }},
    {"ssl_load_verify_source",
     [](ssl_context *c, ssl_error *e) { return ssl_load_verify_source(c, &nowhere, true, e); }},
    {"ssl_load_verify_root_certificates",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_verify_root_certificates(c, "/nowhere", e);
     }},
    {"ssl_load_default_verify_sources",
     [](ssl_context *c, ssl_error *e) { return ssl_load_default_verify_sources(c, e); }},
    {"ssl_set_verify", [](ssl_context *c, ssl_error *e) { return ssl_set_verify(c, true, e); }},
    {"ssl_set_verify_hostname",
     [](ssl_context *c, ssl_error *e) { return ssl_set_verify_hostname(c, true, e); }},
    {"ssl_set_ciphers",
     [](ssl_context *c, ssl_error *e) { return ssl_set_ciphers(c, "NO-SUCH", e); }},
    {"ssl_set_ciphersuites",
     [](ssl_context *c, ssl_error *e) { return ssl_set_ciphersuites(c, nullptr, e); }},
    {"ssl_set_shutdown_on_close",
     [](ssl_context *c, ssl_error *e) { return ssl_set_shutdown_on_close(c, false, e); }},
    {"ssl_set_insecure_renegotiation",
     [](ssl_context *c, ssl_error *e) { return ssl_set_insecure_renegotiation(c, true, e); }},
};

TEST(Sealing, C2_EverySetterSaysSealedUnderItsName)
{
    Context context = client_context();
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    Built before(context.get());
    for (const Setter &setter : setters) {
        poison_openssl_queue();
        EXPECT_TRUE(is(SALLY_SEALED, setter.call(context.get(), &err), err)) << setter.name;
        EXPECT_EQ(0, std::strncmp(err.text, setter.name, std::strlen(setter.name))) << err.text;
    }
    Built after(context.get());
    EXPECT_EQ(before.ctx(), after.ctx());
}

TEST(Setters, E3_NullContextIsUsage)
{
    ssl_error err;
    for (const Setter &setter : setters) {
        EXPECT_TRUE(is(SALLY_USAGE, setter.call(nullptr, &err), err)) << setter.name;
        EXPECT_EQ(SALLY_USAGE, setter.call(nullptr, nullptr)) << setter.name;
    }
    EXPECT_TRUE(is(SALLY_USAGE, ssl_seal_context(nullptr, &err), err));
}

TEST(Setters, E3_NullPathIsUsage)
{
    Context context = bare_server();
    ssl_context *c = context.get();
    ssl_error err;
    ssl_verify_source no_path = {SALLY_VERIFY_FILE, nullptr};
    ssl_verify_source no_kind = {static_cast<ssl_verify_source_kind>(9), "/nowhere"};
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_certificate_chain(c, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_private_key(c, nullptr, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_identity(c, nullptr, "x", nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_identity(c, "x", nullptr, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_root_certificates(c, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_source(c, nullptr, true, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_source(c, &no_path, true, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_source(c, &no_kind, true, &err), err));
}

TEST(Setters, E1_QueueIsEmptyAfterEveryCall)
{
    Context context = bare_client();
    for (const Setter &setter : setters) {
        poison_openssl_queue();
        setter.call(context.get(), nullptr);
        EXPECT_TRUE(openssl_queue_is_empty()) << setter.name;
    }
    poison_openssl_queue();
    ssl_seal_context(context.get(), nullptr);
    EXPECT_TRUE(openssl_queue_is_empty());
    poison_openssl_queue();
    context.reset();
    EXPECT_TRUE(openssl_queue_is_empty());
    poison_openssl_queue();
    context = bare_server();
    EXPECT_TRUE(openssl_queue_is_empty());
}

// ---- sealing ----

TEST(Sealing, C2_TwiceIsFine)
{
    Context context = server_context();
    ssl_error err;
    EXPECT_FALSE(ssl_context_is_sealed(context.get()));
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
    EXPECT_TRUE(ssl_context_is_sealed(context.get()));
    EXPECT_TRUE(shake(client_context().get(), context.get()));
}

TEST(Sealing, C2_ServerWithoutIdentityStaysOpen)
{
    Context context = bare_server();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_seal_context(context.get(), &err), err));
    EXPECT_FALSE(ssl_context_is_sealed(context.get()));
    EXPECT_EQ(SALLY_OK, ssl_set_verify(context.get(), true, nullptr));
}

TEST(Sealing, C2_ClientWithHalfAnIdentityStaysOpen)
{
    Context context = bare_client();
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_load_private_key(context.get(), path("client-key.pem").c_str(), nullptr,
                                             nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_seal_context(context.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "certificate")) << err.text;
    EXPECT_FALSE(ssl_context_is_sealed(context.get()));
}

TEST(Sealing, C2_NothingLeftToOfferStaysOpen)
{
    Context context = bare_client(SALLY_PROTOCOL_TLS12);
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_set_ciphers(context.get(), "AES128-SHA:@SECLEVEL=5", nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_seal_context(context.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "no cipher is left")) << err.text;
}

TEST(Sealing, C2_SealedIsSharedWithoutALock)
{
    Context context = client_context();
    ASSERT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    sally_mutex_lock(&context->lock); // whoever took it would hang
    Thread other([&] { Built built(context.get()); });
    other.join();
    sally_mutex_unlock(&context->lock);
}

TEST(Sealing, C2_SettersRaceWithConnectionsAndTheSeal)
{
    Context context = client_context();
    Thread setter([&] {
        while (ssl_set_shutdown_on_close(context.get(), true, nullptr) == SALLY_OK) {}
    });
    for (int i = 0; i < 50; i++) {
        Built built(context.get());
        EXPECT_NE(nullptr, built.ctx());
    }
    EXPECT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    setter.join();
}

// ---- trust ----

TEST(Trust, C3_DirectoryIsSearchedWhenNeeded)
{
    ScratchDir dir;
    Context client = bare_client();
    std::string root = dir.path("");
    ssl_verify_source source = {SALLY_VERIFY_DIRECTORY, root.c_str()};
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &source, false, &err), err));
    ASSERT_EQ(SALLY_OK, ssl_set_verify(client.get(), true, nullptr));
    EXPECT_FALSE(shake(client.get(), server_context().get()));

    BIO *bio = BIO_new_file(path("ca.pem").c_str(), "r");
    X509 *ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    char name[32];
    std::snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(ca));
    X509_free(ca);
    BIO_free(bio);
    dir.write(name, cert("ca.pem"));
    EXPECT_TRUE(shake(client.get(), server_context().get()));
}

TEST(Trust, C3_DirectoryThatIsNoneIsRefusedOrPassedOver)
{
    ScratchDir dir;
    Context client = bare_client();
    std::string file = dir.write("file", "x");
    ssl_verify_source missing = {SALLY_VERIFY_DIRECTORY, "/nowhere"};
    ssl_verify_source no_directory = {SALLY_VERIFY_DIRECTORY, file.c_str()};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_load_verify_source(client.get(), &missing, false, &err), err));
    EXPECT_TRUE(
        is(SALLY_CONFIG, ssl_load_verify_source(client.get(), &no_directory, false, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &missing, true, &err), err));
    ASSERT_EQ(0, mkdir(dir.path("a:b").c_str(), 0700));
    std::string colon = dir.path("a:b");
    ssl_verify_source list = {SALLY_VERIFY_DIRECTORY, colon.c_str()};
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_load_verify_source(client.get(), &list, false, &err), err));
}

TEST(Trust, C2_AddedRootsReachLaterConnectionsOnly)
{
    Context client = bare_client();
    Built before(client.get());
    ASSERT_EQ(SALLY_OK,
              ssl_load_verify_root_certificates(client.get(), path("ca.pem").c_str(), nullptr));
    EXPECT_EQ(0, sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(before.ctx()))));
    EXPECT_TRUE(shake(client.get(), server_context().get()).client_verified);
}

// ---- defaults ----

// Puts the environment and the list of default sources back.
class Defaults : public testing::Test
{
  protected:
    ~Defaults() override
    {
        unsetenv("SSL_CERT_FILE");
        unsetenv("SSL_CERT_DIR");
        ssl_verify_source system = {SALLY_VERIFY_DEFAULT, nullptr};
        ssl_default_verify_sources_set(&system, 1, nullptr);
    }
    static Context secure()
    {
        ssl_context *context = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_secure_client_context(&context, &err), err));
        return Context(context);
    }
    static void set_one_file(const std::string &file)
    {
        ssl_verify_source source = {SALLY_VERIFY_FILE, file.c_str()};
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_default_verify_sources_set(&source, 1, &err), err));
    }
};

TEST_F(Defaults, C1_SecureContextIsCachedAndSealed)
{
    Context one = secure();
    Context two = secure();
    EXPECT_EQ(one.get(), two.get());
    EXPECT_TRUE(ssl_context_is_sealed(one.get()));
    EXPECT_TRUE(ssl_context_is_client(one.get()));
    EXPECT_FALSE(ssl_context_is_server(one.get()));
    EXPECT_EQ(one.get(), bare_client(SALLY_PROTOCOL_SECURE).get());
    sally_policy policy;
    ASSERT_EQ(SALLY_OK, sally_context_policy(nullptr, true, "x", &policy, nullptr));
    EXPECT_TRUE(policy.verify && policy.verify_hostname && policy.shutdown_on_close);
    EXPECT_EQ(one->built, policy.ctx);
    sally_policy_fini(&policy);
}

TEST_F(Defaults, C1_SecureContextIsRebuiltWhenTheSourcesChange)
{
    Context before = secure();
    EXPECT_FALSE(shake(before.get(), server_context().get()));
    set_one_file(path("ca.pem"));
    Context after = secure();
    EXPECT_NE(before.get(), after.get());
    EXPECT_TRUE(shake(after.get(), server_context().get()));
    EXPECT_FALSE(shake(after.get(), server_context("wrong-host").get()));
    EXPECT_FALSE(shake(after.get(), server_context("wrong-ca").get()));
}

TEST_F(Defaults, C3_EnvironmentNamesTheFile)
{
    setenv("SSL_CERT_FILE", path("ca.pem").c_str(), 1);
    Context client = bare_client();
    ASSERT_EQ(SALLY_OK, ssl_load_default_verify_sources(client.get(), nullptr));
    EXPECT_TRUE(shake(client.get(), server_context().get()).client_verified);
}

TEST_F(Defaults, C3_WhatIsMissingPoisonsNothing)
{
    ScratchDir dir;
    ASSERT_EQ(0, mkfifo(dir.path("fifo").c_str(), 0600));
    for (const std::string &file : {std::string("/nowhere"), dir.path("fifo"), std::string("")}) {
        setenv("SSL_CERT_FILE", file.c_str(), 1);
        setenv("SSL_CERT_DIR", "", 1);
        Context client = client_context();
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_load_default_verify_sources(client.get(), &err), err));
        EXPECT_TRUE(shake(client.get(), server_context().get())) << file;
        EXPECT_TRUE(openssl_queue_is_empty());
    }
}

TEST_F(Defaults, C3_ListIsCopiedCheckedAndBounded)
{
    ssl_verify_source many[SALLY_VERIFY_SOURCES_MAX + 1] = {};
    for (ssl_verify_source &source : many) {
        source = {SALLY_VERIFY_DEFAULT, nullptr};
    }
    ssl_verify_source no_path = {SALLY_VERIFY_DIRECTORY, nullptr};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_LIMIT,
                   ssl_default_verify_sources_set(many, SALLY_VERIFY_SOURCES_MAX + 1, &err), err));
    EXPECT_TRUE(
        is(SALLY_OK, ssl_default_verify_sources_set(many, SALLY_VERIFY_SOURCES_MAX, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_default_verify_sources_set(&no_path, 1, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_default_verify_sources_set(nullptr, 1, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_default_verify_sources_set(nullptr, 0, &err), err));
    Context nobody = secure();
    EXPECT_EQ(nullptr, nobody->trust.roots);
    EXPECT_FALSE(nobody->trust.defaults);
}

TEST_F(Defaults, C1_ThreadsThatComeTogetherShareOne)
{
    set_one_file(path("ca.pem"));
    Context found[4];
    {
        Thread a([&] { found[0] = secure(); });
        Thread b([&] { found[1] = secure(); });
        Thread c([&] { found[2] = secure(); });
        found[3] = secure();
    }
    for (const Context &one : found) {
        EXPECT_EQ(found[3].get(), one.get());
    }
}

// ---- allocation failures ----

TEST(ContextAllocations, Make)
{
    for (auto make : {ssl_make_client_context, ssl_make_server_context}) {
        sweep_allocations("make", [&](ssl_error *err) {
            ssl_context *made = nullptr;
            ssl_status status = make(SALLY_PROTOCOL_AUTO, &made, err);
            EXPECT_EQ(status == SALLY_OK, made != nullptr);
            ssl_context_release(made);
            return status;
        });
    }
}

TEST(ContextAllocations, Loads)
{
    Context client = bare_client();
    sweep_allocations("ssl_load_identity", [&](ssl_error *err) {
        return ssl_load_identity(client.get(), path("client.pem").c_str(),
                                 path("client-key.pem").c_str(), nullptr, err);
    });
    sweep_allocations("ssl_load_verify_root_certificates", [&](ssl_error *err) {
        return ssl_load_verify_root_certificates(client.get(), path("ca.pem").c_str(), err);
    });
    sweep_allocations("ssl_load_verify_source", [&](ssl_error *err) {
        ssl_verify_source source = {SALLY_VERIFY_DIRECTORY, "/tmp"};
        return ssl_load_verify_source(client.get(), &source, false, err);
    });
    sweep_allocations("ssl_set_ciphers",
                      [&](ssl_error *err) { return ssl_set_ciphers(client.get(), "HIGH", err); });
}

TEST_F(Defaults, AllocationFailures)
{
    setenv("SSL_CERT_FILE", path("ca.pem").c_str(), 1);
    sweep_allocations("ssl_secure_client_context", [](ssl_error *err) {
        ssl_context *made = nullptr;
        ssl_verify_source sources[] = {{SALLY_VERIFY_DEFAULT, nullptr},
                                       {SALLY_VERIFY_FILE, "/nowhere"}};
        ssl_status status = ssl_default_verify_sources_set(sources, 2, err);
        if (status == SALLY_OK) {
            status = ssl_secure_client_context(&made, err);
            EXPECT_EQ(status == SALLY_OK, made != nullptr);
        }
        ssl_context_release(made);
        return status;
    });
}

} // namespace

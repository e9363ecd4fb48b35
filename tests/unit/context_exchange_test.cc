// Groups, and the preferences of enable-dhe and enable-ecdhe (C2, C3).
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "pki_fixture.h"
#include "support/faults.h"

using namespace sallytest;

namespace
{

Context server_of(const std::string &stem, ssl_protocol protocol = SALLY_PROTOCOL_AUTO)
{
    return server_context(stem, protocol);
}

// ---- groups ----

TEST(Groups, C3_TheFirstThatBothHaveIsTaken)
{
    for (ssl_protocol protocol : {SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13}) {
        Context server = server_context();
        Context client = client_context(protocol);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_set_groups(server.get(), "P-384:P-256", &err), err));
        EXPECT_EQ("secp384r1", shake(client.get(), server.get()).exchange.substr(0, 9));
        EXPECT_TRUE(is(SALLY_OK, ssl_set_groups(client.get(), "P-256", &err), err));
        EXPECT_EQ("prime256v1", shake(client.get(), server.get()).exchange);
    }
}

TEST(Groups, C3_NoOtherIsUsedThen)
{
    Context server = server_context();
    Context client = client_context();
    ASSERT_EQ(SALLY_OK, ssl_set_groups(server.get(), "P-384:P-256", nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_groups(client.get(), "X25519", nullptr));
    EXPECT_FALSE(shake(client.get(), server.get()));
}

TEST(Groups, C2_BadListsAreRefusedAndChangeNothing)
{
    Context client = client_context();
    Built before(client.get());
    ssl_error err;
    for (const char *bad : {"", "NO-SUCH", "X25519:NO-SUCH", "P-521:secp521r1"}) {
        poison_openssl_queue();
        EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_groups(client.get(), bad, &err), err)) << bad;
        EXPECT_NE(nullptr, std::strstr(err.text, bad)) << err.text;
        EXPECT_NE(nullptr, std::strstr(err.text, "X25519, P-256")) << err.text;
        EXPECT_TRUE(openssl_queue_is_empty());
    }
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_groups(client.get(), nullptr, &err), err));
    EXPECT_EQ(before.ctx(), Built(client.get()).ctx());
}

// ---- the preferred curve ----

TEST(Ecdhe, C3_CurveIsPreferredAndNeverTheOnlyOne)
{
    Context server = server_context();
    Context tls12 = client_context(SALLY_PROTOCOL_TLS12);
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_context_enable_ecdhe(server.get(), nullptr, &err), err));
    EXPECT_EQ("secp521r1", shake(tls12.get(), server.get()).exchange);
    ASSERT_EQ(SALLY_OK, ssl_server_context_enable_ecdhe(server.get(), "secp384r1", nullptr));
    EXPECT_EQ("secp384r1", shake(tls12.get(), server.get()).exchange);
    EXPECT_TRUE(shake(client_context().get(), server.get())) << "TLS 1.3";
    ASSERT_EQ(SALLY_OK, ssl_set_groups(tls12.get(), "X25519:P-256", nullptr));
    EXPECT_TRUE(shake(tls12.get(), server.get())) << "a client that does not have it";
}

TEST(Ecdhe, C3_CurveGoesBeforeTheGroupsThatAreSet)
{
    Context server = server_context();
    Context tls12 = client_context(SALLY_PROTOCOL_TLS12);
    ASSERT_EQ(SALLY_OK, ssl_server_context_enable_ecdhe(server.get(), "secp521r1", nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_groups(server.get(), "P-256:P-521", nullptr));
    EXPECT_EQ("secp521r1", shake(tls12.get(), server.get()).exchange);
    ASSERT_EQ(SALLY_OK, ssl_set_groups(tls12.get(), "X25519", nullptr));
    EXPECT_FALSE(shake(tls12.get(), server.get())) << "X25519 was not set";
}

// Each name of Racket's list is served, or refused with the way out.
TEST(Ecdhe, C3_EveryNameOfRacketIsServedOrUnsupported)
{
    const struct {
        const char *name;
        bool usable; // at the security level of 112 bits
    } curves[] = {
        {"sect163k1", false}, {"sect163r1", false}, {"sect163r2", false}, {"sect193r1", false},
        {"sect193r2", false}, {"sect233k1", true},  {"sect233r1", true},  {"sect239k1", true},
        {"sect283k1", true},  {"sect283r1", true},  {"sect409k1", true},  {"sect409r1", true},
        {"sect571k1", true},  {"sect571r1", true},  {"secp160k1", false}, {"secp160r1", false},
        {"secp160r2", false}, {"secp192k1", false}, {"secp224k1", true},  {"secp224r1", true},
        {"secp256k1", true},  {"secp384r1", true},  {"secp521r1", true},  {"prime192v1", false},
        {"prime256v1", true},
    };
    bool level_2 = SSL_CTX_get_security_level(Built(client_context().get()).ctx()) == 2;
    for (const auto &curve : curves) {
        SCOPED_TRACE(curve.name);
        Context server = server_context();
        Context client = client_context(SALLY_PROTOCOL_TLS12);
        ssl_error err;
        ssl_status status = ssl_server_context_enable_ecdhe(server.get(), curve.name, &err);
        EXPECT_TRUE(openssl_queue_is_empty());
        if (level_2) {
            EXPECT_TRUE(is(curve.usable ? SALLY_OK : SALLY_UNSUPPORTED, status, err));
        }
        if (status == SALLY_UNSUPPORTED) {
            EXPECT_NE(nullptr, std::strstr(err.text, curve.name)) << err.text;
            EXPECT_NE(nullptr, std::strstr(err.text, "use secp384r1")) << err.text;
        } else {
            std::string list = curve.name;
            list += list == "prime256v1" ? "" : ":P-256"; // the certificate's curve
            ASSERT_EQ(SALLY_OK, ssl_set_groups(client.get(), list.c_str(), nullptr)) << list;
            EXPECT_EQ(curve.name, shake(client.get(), server.get()).exchange);
        }
    }
}

TEST(Ecdhe, C3_CurveThatTls13LacksIsUnsupportedThere)
{
    ssl_error err;
    Context server = bare_server(SALLY_PROTOCOL_TLS13);
    EXPECT_TRUE(is(SALLY_UNSUPPORTED,
                   ssl_server_context_enable_ecdhe(server.get(), "secp256k1", &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "TLS 1.3")) << err.text;
    EXPECT_EQ(SALLY_OK, ssl_server_context_enable_ecdhe(server.get(), "prime256v1", nullptr));
}

TEST(Ecdhe, C3_UnknownNamesAndClientsAreRefused)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   ssl_server_context_enable_ecdhe(bare_server().get(), "secp999", &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "secp999")) << err.text;
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_set_groups")) << err.text;
    EXPECT_TRUE(
        is(SALLY_USAGE, ssl_server_context_enable_ecdhe(bare_client().get(), nullptr, &err), err));
}

// ---- finite-field Diffie-Hellman ----

TEST(Dhe, C3_IsPreferredInTls12AndNeverTheOnlyWay)
{
    Context server = server_of("server-rsa");
    Context tls12 = client_context(SALLY_PROTOCOL_TLS12);
    EXPECT_EQ("X25519", shake(tls12.get(), server.get()).exchange);
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_context_enable_dhe(server.get(), nullptr, &err), err));
    Shake preferred = shake(tls12.get(), server.get());
    EXPECT_EQ("DH 4096", preferred.exchange);
    EXPECT_EQ("DHE-RSA-", preferred.cipher.substr(0, 8));
    EXPECT_TRUE(shake(client_context().get(), server.get())) << "TLS 1.3";
    ASSERT_EQ(SALLY_OK, ssl_set_ciphers(tls12.get(), "ECDHE+AESGCM", nullptr));
    EXPECT_EQ("X25519", shake(tls12.get(), server.get()).exchange);
}

TEST(Dhe, C3_AddsNoCipherToThoseThatAreSet)
{
    Context server = server_of("server-rsa");
    Context tls12 = client_context(SALLY_PROTOCOL_TLS12);
    ASSERT_EQ(SALLY_OK, ssl_set_ciphers(server.get(), "ECDHE+AESGCM", nullptr));
    ASSERT_EQ(SALLY_OK, ssl_server_context_enable_dhe(server.get(), nullptr, nullptr));
    EXPECT_EQ("X25519", shake(tls12.get(), server.get()).exchange);
}

TEST(Dhe, C3_ParametersOfAFile)
{
    ScratchDir dir;
    Context tls12 = client_context(SALLY_PROTOCOL_TLS12);
    for (const std::string &pem : {dh_pem("ffdhe3072"), dh_pem("modp_3072")}) {
        Context server = server_of("server-rsa");
        std::string path = dir.write("dh", pem);
        ssl_error err;
        ASSERT_TRUE(
            is(SALLY_OK, ssl_server_context_enable_dhe(server.get(), path.c_str(), &err), err));
        EXPECT_EQ("DH 3072", shake(tls12.get(), server.get()).exchange);
    }
}

TEST(Dhe, C3_ParametersWithoutANameAreCheckedAndUsed)
{
    ScratchDir dir;
    Context server = server_of("server-rsa");
    Context tls12 = client_context(SALLY_PROTOCOL_TLS12);
    std::string path = dir.write("dh", unnamed_dh_pem());
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_context_enable_dhe(server.get(), path.c_str(), &err), err));
    EXPECT_EQ("DH 2048", shake(tls12.get(), server.get()).exchange);
}

TEST(Dhe, C3_PseudoPathNeedsNoFile)
{
    Context server = server_of("server-rsa");
    const char *path = ssl_dh4096_param_path();
    EXPECT_STREQ("sallyport:dh4096", path);
    EXPECT_EQ(path, ssl_dh4096_param_path());
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_context_enable_dhe(server.get(), path, &err), err));
    EXPECT_EQ("DH 4096", shake(client_context(SALLY_PROTOCOL_TLS12).get(), server.get()).exchange);
}

TEST(Dhe, C3_ClientIsUsage)
{
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_USAGE, ssl_server_context_enable_dhe(bare_client().get(), nullptr, &err), err));
}

TEST(ContextAllocations, KeyExchange)
{
    ScratchDir dir;
    std::string path = dir.write("dh", dh_pem("ffdhe2048"));
    Context server = server_context();
    sweep_allocations("ssl_set_groups", [&](ssl_error *err) {
        return ssl_set_groups(server.get(), "X25519:P-256", err);
    });
    sweep_allocations("ssl_server_context_enable_dhe", [&](ssl_error *err) {
        return ssl_server_context_enable_dhe(server.get(), path.c_str(), err);
    });
    sweep_openssl_setter("ssl_set_groups", true, [](ssl_context *c, ssl_error *err) {
        return ssl_set_groups(c, "X25519:P-256", err);
    });
    sweep_openssl_setter("ssl_server_context_enable_dhe", false,
                         [&](ssl_context *c, ssl_error *err) {
                             return ssl_server_context_enable_dhe(c, path.c_str(), err);
                         });
    sweep_openssl_setter("ssl_server_context_enable_ecdhe", false,
                         [](ssl_context *c, ssl_error *err) {
                             return ssl_server_context_enable_ecdhe(c, nullptr, err);
                         });
    ASSERT_EQ(SALLY_OK, ssl_server_context_enable_ecdhe(server.get(), nullptr, nullptr));
    sweep_allocations("building with preferences", [&](ssl_error *err) {
        EXPECT_EQ(SALLY_OK, ssl_set_verify(server.get(), false, nullptr)); // drops the built one
        sally_policy policy;
        ssl_status status = sally_context_policy(server.get(), false, "build", &policy, err);
        sally_policy_fini(&policy);
        return status;
    });
}

} // namespace

// Protocols, and the SSL_CTX that is built from a record (C1, C2).
#include <cstring>
#include <string>

#include "crypto_fixture.h"

using namespace sallytest;

namespace
{

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
              ssl_load_certificate_chain(server.get(), cert_path("server.pem").c_str(), nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, take(), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "no private key")) << err.text;
}

} // namespace

TEST(Seal, C2_ReportsWhatIsOddAndRefusesItNot)
{
    struct {
        const char *identity;
        const char *remark; // "": none
    } cases[] = {{"expired", "has expired"}, {"server", "alone"}, {"chain", ""}};
    for (const auto &one : cases) {
        SCOPED_TRACE(one.identity);
        Context context = server_context(one.identity);
        ssl_error err = {};
        EXPECT_EQ(SALLY_OK, ssl_seal_context(context.get(), &err));
        EXPECT_TRUE(ssl_context_is_sealed(context.get()));
        EXPECT_EQ(SALLY_OK, err.status);
        EXPECT_EQ(one.remark[0] == '\0', err.text[0] == '\0') << err.text;
        EXPECT_NE(nullptr, strstr(err.text, one.remark)) << err.text;
        ssl_error again;
        strcpy(again.text, "what an earlier call left");
        EXPECT_EQ(SALLY_OK, ssl_seal_context(context.get(), &again)) << "twice is fine";
        EXPECT_STREQ(err.text, again.text);
    }
}

TEST(Seal, C2_ACertificateWhoseIssuerIsAmongItsRootsIsNotAlone)
{
    Context context = server_context("server");
    ssl_error err = {};
    ASSERT_EQ(SALLY_OK,
              ssl_load_verify_root_certificates(context.get(), cert_path("ca.pem").c_str(), &err));
    EXPECT_EQ(SALLY_OK, ssl_seal_context(context.get(), &err));
    EXPECT_STREQ("", err.text);
}

// Judging the peer: chain and name, apart and together, by real handshakes in memory (C7, RFC 9525).
#include <cstring>
#include <string>

#include "crypto_fixture.h"

using namespace sallytest;

namespace
{

// A client that trusts ca.pem and requires what it is told.
Context client_that(bool verifies_chain, bool verifies_name)
{
    Context context = client_context();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_set_verify(context.get(), verifies_chain, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(context.get(), verifies_name, &err), err));
    return context;
}

// ---- what is required, against every kind of server ----

struct Case {
    const char *server; // stem of its certificate
    const char *name;   // that the client looks for
    bool chain_good;
    bool name_good;
};

std::ostream &operator<<(std::ostream &out, const Case &c)
{
    return out << c.server << " for " << c.name;
}

const Case cases[] = {
    {"server", "localhost", true, true},
    {"server", "127.0.0.1", true, true},
    {"server", "::1", true, true},
    {"server", "LOCALHOST", true, true},
    {"server", "localhost.", true, true},
    {"server", "127.0.0.2", true, false},
    {"server", "::2", true, false},
    {"server", "other.example", true, false},
    {"server-rsa", "localhost", true, true},
    {"chain", "localhost", true, true},
    {"sni", "second.example", true, true},
    {"wrong-host", "localhost", true, false},
    {"wrong-host", "127.0.0.1", true, false},
    {"wrong-ca", "localhost", false, true},
    {"wrong-ca", "other.example", false, false},
    {"expired", "localhost", false, true},
    {"expired", "other.example", false, false},
    {"wildcard", "one.wild.example", true, true},
    {"wildcard", "wild.example", true, false},
    {"wildcard", "one.two.wild.example", true, false},
};

class Judging : public testing::TestWithParam<std::tuple<Case, ssl_protocol>>
{
  protected:
    Shake shake_with(bool chain, bool name)
    {
        auto [c, protocol] = GetParam();
        Context server = server_context(c.server, protocol);
        return shake(client_that(chain, name).get(), server.get(), c.name);
    }
    const Case &given() const
    {
        return std::get<0>(GetParam());
    }
};

TEST_P(Judging, C7_BothRequired)
{
    bool good = given().chain_good && given().name_good;
    Shake result = shake_with(true, true);
    EXPECT_EQ(good, static_cast<bool>(result)) << result.client_reason;
    EXPECT_EQ(good, result.client_verified);
}

TEST_P(Judging, C7_ChainAloneRequired)
{
    Shake result = shake_with(true, false);
    EXPECT_EQ(given().chain_good, static_cast<bool>(result)) << result.client_reason;
    EXPECT_EQ(given().chain_good, result.client_verified);
}

TEST_P(Judging, C7_NameAloneRequired)
{
    Shake result = shake_with(false, true);
    EXPECT_EQ(given().name_good, static_cast<bool>(result)) << result.client_reason;
    EXPECT_EQ(given().chain_good && given().name_good, result.client_verified);
}

TEST_P(Judging, C7_NothingRequiredStillHasAVerdict)
{
    Shake result = shake_with(false, false);
    EXPECT_TRUE(result) << result.client_reason;
    EXPECT_EQ(given().chain_good, result.client_verified);
}

INSTANTIATE_TEST_SUITE_P(Verify, Judging,
                         testing::Combine(testing::ValuesIn(cases),
                                          testing::Values(SALLY_PROTOCOL_TLS12,
                                                          SALLY_PROTOCOL_TLS13)));

TEST(Verify, C7_TrustingNobodyVerifiesNobody)
{
    Context client = bare_client();
    Shake result = shake(client.get(), server_context().get());
    EXPECT_TRUE(result);
    EXPECT_FALSE(result.client_verified);
    ASSERT_EQ(SALLY_OK, ssl_set_verify(client.get(), true, nullptr));
    EXPECT_FALSE(shake(client.get(), server_context().get()));
}

// A certificate for client authentication is none for a server.
TEST(Verify, C7_PurposeIsChecked)
{
    Shake result = shake(client_that(true, false).get(), server_context("client").get());
    EXPECT_FALSE(result);
    EXPECT_EQ(X509_V_ERR_INVALID_PURPOSE, result.client_code) << result.client_reason;
}

TEST(Verify, ReasonSaysWhatAndForWhom)
{
    Shake name = shake(client_that(true, true).get(), server_context("wrong-host").get());
    EXPECT_NE(std::string::npos, name.client_reason.find("not for localhost"))
        << name.client_reason;
    Shake address =
        shake(client_that(true, true).get(), server_context("wrong-host").get(), "127.0.0.1");
    EXPECT_NE(std::string::npos, address.client_reason.find("not for 127.0.0.1"))
        << address.client_reason;
    Shake expired = shake(client_that(true, true).get(), server_context("expired").get());
    EXPECT_NE(std::string::npos, expired.client_reason.find("expired")) << expired.client_reason;
    EXPECT_EQ(X509_V_ERR_CERT_HAS_EXPIRED, expired.client_code);
}

// ---- servers that ask ----

struct Asking : testing::TestWithParam<ssl_protocol> {
    Asking() : server(server_context("server", GetParam()))
    {
        EXPECT_EQ(SALLY_OK, ssl_load_verify_root_certificates(
                                server.get(), cert_path("ca.pem").c_str(), nullptr));
        EXPECT_EQ(SALLY_OK, ssl_set_verify(server.get(), true, nullptr));
    }
    Context client_with(const std::string &stem)
    {
        Context client = client_context();
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK,
                       ssl_load_identity(client.get(), cert_path(stem + ".pem").c_str(),
                                         cert_path(stem + "-key.pem").c_str(), nullptr, &err),
                       err));
        return client;
    }
    Context server;
};

TEST_P(Asking, C7_ClientWithACertificateIsVerified)
{
    Shake result = shake(client_with("client").get(), server.get());
    EXPECT_TRUE(result) << result.server_reason;
    EXPECT_TRUE(result.server_verified);
}

TEST_P(Asking, C7_ClientWithoutOneIsRefused)
{
    Shake result = shake(client_context().get(), server.get());
    EXPECT_FALSE(result.server_done);
    EXPECT_FALSE(result.server_verified);
    EXPECT_NE(std::string::npos, result.server_reason.find("no certificate"))
        << result.server_reason;
}

TEST_P(Asking, C7_ClientOfAnotherCaIsRefused)
{
    Shake result = shake(client_with("wrong-ca").get(), server.get());
    EXPECT_FALSE(result.server_done);
    EXPECT_FALSE(result.server_verified);
}

INSTANTIATE_TEST_SUITE_P(Verify, Asking,
                         testing::Values(SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13));

TEST(Verify, C7_ServerThatDoesNotAskHasNoVerdict)
{
    Shake result = shake(client_context().get(), server_context().get());
    EXPECT_TRUE(result);
    EXPECT_FALSE(result.server_verified);
}

// ---- names ----

TEST(Verify, NamesAreSentAndAddressesAreNot)
{
    Context client = bare_client();
    Context server = server_context();
    EXPECT_EQ("localhost", shake(client.get(), server.get(), "localhost").server_name);
    EXPECT_EQ("localhost", shake(client.get(), server.get(), "localhost.").server_name);
    for (const char *address : {"127.0.0.1", "::1", "fe80::1%lo", "127.0.0.1."}) {
        EXPECT_EQ("", shake(client.get(), server.get(), address).server_name) << address;
    }
}

TEST(Verify, ZoneOfAnAddressIsNoPartOfIt)
{
    EXPECT_TRUE(shake(client_context().get(), server_context().get(), "::1%lo"));
}

ssl_status prepare(ssl_context *context, const char *hostname, ssl_error *err)
{
    sally_policy policy;
    ssl_status status = sally_context_policy(context, true, "prepare", &policy, err);
    if (status != SALLY_OK) {
        return status;
    }
    SSL *ssl = SSL_new(policy.ctx);
    status = sally_verify_prepare(ssl, &policy, hostname, "prepare", err);
    SSL_free(ssl);
    sally_policy_fini(&policy);
    return status;
}

TEST(Verify, C7_NamesThatNameNobodyAreUsage)
{
    Context context = client_context();
    ssl_error err;
    std::string longest(256, 'x');
    for (const char *name : {"", ".", ".d", ".localhost", longest.c_str()}) {
        EXPECT_TRUE(is(SALLY_USAGE, prepare(context.get(), name, &err), err)) << name;
        EXPECT_TRUE(openssl_queue_is_empty());
    }
}

TEST(Verify, C7_CheckWithoutANameIsUsage)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, prepare(client_context().get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_OK, prepare(bare_client().get(), nullptr, &err), err));
}

} // namespace

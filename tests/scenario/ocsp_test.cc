// OCSP stapling between our two ends (C6).
#include <cstring>
#include <fstream>
#include <string>

#include "exchange.h"
#include "support/ocsp_responses.h"

extern "C" {
#include <openssl/x509_vfy.h>
}

using namespace sallytest;

namespace
{

class Stapling : public testing::TestWithParam<ssl_protocol>
{
  protected:
    Context server = server_context("server", GetParam());
    Context client = client_context(GetParam());

    void SetUp() override
    {
        std::string roots = cert_path("ca.pem");
        ASSERT_EQ(SALLY_OK,
                  ssl_load_verify_root_certificates(server.get(), roots.c_str(), nullptr));
    }
    void staple(const OcspOptions &options = {})
    {
        std::string path = testing::TempDir() + "sally-ocsp-" + std::to_string(getpid()) + ".der";
        std::ofstream(path, std::ios::binary) << ocsp_response(options);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_load_ocsp_response(server.get(), path.c_str(), &err), err));
        std::remove(path.c_str());
    }
    void ask(ssl_ocsp_mode mode)
    {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_set_ocsp(client.get(), mode, &err), err));
    }
};

ssl_ocsp_status status_of(const Outcome &outcome)
{
    ssl_ocsp_status status = SALLY_OCSP_NONE;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_peer_ocsp_status(outcome.ports.in(), &status, &err), err));
    return status;
}

} // namespace

TEST_P(Stapling, C6_AGoodResponseIsShownToWhoAsks)
{
    staple();
    EXPECT_EQ(SALLY_OCSP_NONE, status_of(exchange(server.get(), client.get()).client));
    for (ssl_ocsp_mode mode : {SALLY_OCSP_ASK, SALLY_OCSP_REQUIRE}) {
        ask(mode);
        Exchange met = exchange(server.get(), client.get());
        EXPECT_TRUE(is(SALLY_OK, met.client));
        EXPECT_EQ(SALLY_OCSP_GOOD, status_of(met.client));
        EXPECT_EQ(SALLY_OCSP_NONE, status_of(met.server));
        EXPECT_TRUE(met.client_verified);
    }
}

TEST_P(Stapling, C6_WithoutAResponseOnlyWhoRequiresOneRefuses)
{
    ask(SALLY_OCSP_ASK);
    Exchange met = exchange(server.get(), client.get());
    EXPECT_TRUE(is(SALLY_OK, met.client));
    EXPECT_EQ(SALLY_OCSP_NONE, status_of(met.client));
    ask(SALLY_OCSP_REQUIRE);
    Exchange refused = exchange(server.get(), client.get());
    EXPECT_TRUE(is(SALLY_VERIFY, refused.client));
    EXPECT_EQ(X509_V_ERR_OCSP_VERIFY_NEEDED, refused.client.err.code);
    EXPECT_NE(nullptr, std::strstr(refused.client.err.text, "OCSP")) << refused.client.err.text;
    EXPECT_NE(SALLY_OK, refused.server.status);
}

// Who asks for less than the session was begun with resumes it or not, but never the reverse.
TEST_P(Stapling, C6_WhereAResponseIsRequiredNothingIsResumed)
{
    staple();
    ask(SALLY_OCSP_ASK);
    Exchange met = exchange(server.get(), client.get());
    Exchange again = exchange(server.get(), client.get(), met.session.get());
    EXPECT_TRUE(again.is_resumed());
    EXPECT_EQ(SALLY_OCSP_NONE, status_of(again.client));
    ask(SALLY_OCSP_REQUIRE);
    Exchange strict = exchange(server.get(), client.get());
    Exchange full = exchange(server.get(), client.get(), strict.session.get());
    EXPECT_FALSE(full.is_resumed());
    EXPECT_EQ(SALLY_OCSP_GOOD, status_of(full.client));
}

INSTANTIATE_TEST_SUITE_P(Versions, Stapling,
                         testing::Values(SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13),
                         [](const auto &protocol) {
                             return protocol.param == SALLY_PROTOCOL_TLS12 ? "Tls12" : "Tls13";
                         });

TEST(Ocsp, E3_BadArgumentsAreUsage)
{
    Context server = server_context();
    Context client = client_context();
    Exchange met = exchange(server.get(), client.get());
    ssl_ocsp_status status = SALLY_OCSP_GOOD;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_peer_ocsp_status(nullptr, &status, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_peer_ocsp_status(met.client.ports.in(), nullptr, &err), err));
    ssl_abandon_port(met.client.ports.in());
    ssl_abandon_port(met.client.ports.out());
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_peer_ocsp_status(met.client.ports.in(), &status, &err), err));
    EXPECT_EQ(SALLY_OCSP_NONE, status);
}

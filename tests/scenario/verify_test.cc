// What contexts and listeners demand of the peer, and how a refusal reads (C7).
#include <cstring>
#include <string>

#include <openssl/x509_vfy.h>

#include "scenario/ends.h"
#include "support/forge.h"

using namespace sallytest;

namespace
{

Context trusting_server()
{
    Context context = server_context();
    std::string roots = cert_path("ca.pem");
    EXPECT_EQ(SALLY_OK, ssl_load_verify_root_certificates(context.get(), roots.c_str(), nullptr));
    return context;
}

struct Demand : testing::TestWithParam<int> {
    RawOptions client_with(const std::string &identity)
    {
        RawOptions options = raw_client(GetParam());
        options.client_identity = identity;
        return options;
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, Demand, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_P(Demand, C7_AServerThatTriesTakesEveryClientAndTellsThemApart)
{
    Context context = trusting_server();
    ASSERT_EQ(SALLY_OK, ssl_try_verify(context.get(), true, nullptr));
    for (const char *identity : {"", "wrong-ca", "client"}) {
        SCOPED_TRACE(identity);
        RawPair pair = server_of_raw(client_with(identity), context.get());
        ASSERT_TRUE(pair);
        EXPECT_EQ(identity == std::string("client"), ssl_peer_verified(pair.ours.in()));
        expect_echo(pair.ours, *pair.raw);
    }
}

TEST_P(Demand, C7_AClientThatTriesGoesOnWhateverIsFound)
{
    Context context = client_context();
    ASSERT_EQ(SALLY_OK, ssl_try_verify(context.get(), true, nullptr));
    for (const char *identity : {"server", "wrong-host", "wrong-ca", "expired"}) {
        SCOPED_TRACE(identity);
        RawOptions options = raw_server(GetParam());
        options.identity = identity;
        RawPair pair = client_of_raw(options, context.get(), 0);
        ASSERT_TRUE(pair);
        EXPECT_EQ(identity == std::string("server"), ssl_peer_verified(pair.ours.in()));
        expect_echo(pair.ours, *pair.raw);
    }
}

TEST_P(Demand, C7_TheLastOfTheTwoSettersCounts)
{
    Context context = trusting_server();
    ASSERT_EQ(SALLY_OK, ssl_set_verify(context.get(), true, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_try_verify(context.get(), true, nullptr));
    EXPECT_TRUE(server_of_raw(client_with(""), context.get()));
    ASSERT_EQ(SALLY_OK, ssl_try_verify(context.get(), false, nullptr));
    RawPair pair = server_of_raw(client_with("client"), context.get());
    ASSERT_TRUE(pair);
    EXPECT_EQ(0, pair.raw->certificate_requests_received());
}

TEST_P(Demand, C7_AListenersDemandIsForItsNextClients)
{
    Context context = trusting_server();
    Listener listener = listen_on_loopback(context.get());
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_listener_set_verify(listener.get(), true, &err), err));
    {
        Handshaker client(raw_peer(connect_to(port_of(listener.get())), client_with("")));
        Outcome outcome = accept_from(listener.get());
        EXPECT_TRUE(is(SALLY_VERIFY, outcome));
        client.result();
    }
    ASSERT_TRUE(is(SALLY_OK, ssl_listener_try_verify(listener.get(), true, &err), err));
    Handshaker client(raw_peer(connect_to(port_of(listener.get())), client_with("")));
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, client.result());
}

TEST(DemandSetters, C2_SealedAndBadArguments)
{
    Context server = trusting_server();
    Listener listener = listen_on_loopback(server.get());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_insecure_common_name(server.get(), true, &err), err));
    ASSERT_EQ(SALLY_OK, ssl_seal_context(server.get(), nullptr));
    EXPECT_TRUE(is(SALLY_SEALED, ssl_try_verify(server.get(), true, &err), err));
    EXPECT_EQ(err.text, strstr(err.text, "ssl_try_verify: "));
    EXPECT_TRUE(is(SALLY_SEALED, ssl_listener_set_verify(listener.get(), true, &err), err));
    EXPECT_EQ(err.text, strstr(err.text, "ssl_listener_set_verify: "));
    EXPECT_TRUE(is(SALLY_SEALED, ssl_listener_try_verify(listener.get(), true, &err), err));
    EXPECT_EQ(err.text, strstr(err.text, "ssl_listener_try_verify: "));
    ssl_close(listener.get(), nullptr);
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_listener_try_verify(listener.get(), true, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listener_set_verify(nullptr, true, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_try_verify(nullptr, true, &err), err));
}

// ---- how it reads ----

TEST(Refusal, C7_SaysWhichCertificateAndWhy)
{
    struct Case {
        const char *identity;
        int code;
        const char *words[3];
    };
    const Case cases[] = {
        {"expired",
         X509_V_ERR_CERT_HAS_EXPIRED,
         {"has expired", "/CN=localhost, depth 0", "clock"}},
        {"wrong-ca",
         X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         {"issuer", "depth 0", "ssl_load_verify_source"}},
        {"wrong-host",
         X509_V_ERR_IP_ADDRESS_MISMATCH,
         {"not for 127.0.0.1", "other.example", "127.0.0.1:"}},
        {"client", X509_V_ERR_INVALID_PURPOSE, {"purpose", "Test client", "extendedKeyUsage"}},
    };
    Context context = client_context();
    for (const Case &c : cases) {
        SCOPED_TRACE(c.identity);
        Context server = server_context(c.identity);
        Listener listener = listen_on_loopback(server.get());
        Thread acceptor([&] { accept_from(listener.get()); });
        Outcome outcome = connect_at("127.0.0.1", port_of(listener.get()), context.get());
        EXPECT_TRUE(is(SALLY_VERIFY, outcome));
        EXPECT_EQ(c.code, outcome.err.code);
        for (const char *words : c.words) {
            EXPECT_NE(nullptr, strstr(outcome.err.text, words)) << outcome.err.text;
        }
    }
}

TEST(Refusal, C7_SelfSignedAndNotYetValid)
{
    Forgery early;
    early.addresses = {"127.0.0.1"};
    early.begins = 1800;
    Forged forged = forge(early);
    Context trusting = client_that_trusts(forged);
    Context other = client_context();
    ASSERT_EQ(SALLY_OK, ssl_set_verify(trusting.get(), true, nullptr));
    Context server = server_that_shows(forged);
    Listener listener = listen_on_loopback(server.get());
    Thread acceptor([&] {
        accept_from(listener.get());
        accept_from(listener.get());
    });
    Outcome not_yet = connect_at("127.0.0.1", port_of(listener.get()), trusting.get());
    EXPECT_TRUE(is(SALLY_VERIFY, not_yet));
    EXPECT_EQ(X509_V_ERR_CERT_NOT_YET_VALID, not_yet.err.code) << not_yet.err.text;
    Outcome unknown = connect_at("127.0.0.1", port_of(listener.get()), other.get());
    EXPECT_TRUE(is(SALLY_VERIFY, unknown));
    EXPECT_EQ(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, unknown.err.code) << unknown.err.text;
}

// SPEC: connect succeeds, and the first read reports the alert.
TEST(Refusal, C7_AMissingClientCertificateIsReportedByTheFirstRead)
{
    Context context = trusting_server();
    ASSERT_EQ(SALLY_OK, ssl_set_verify(context.get(), true, nullptr));
    Listener listener = listen_on_loopback(context.get());
    Thread acceptor([&] { EXPECT_TRUE(is(SALLY_VERIFY, accept_from(listener.get()))); });
    Context client = client_context(SALLY_PROTOCOL_TLS13);
    Outcome outcome = connect_at("127.0.0.1", port_of(listener.get()), client.get());
    ASSERT_TRUE(is(SALLY_OK, outcome));
    char byte = 0;
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_PEER, ssl_read(outcome.ports.in(), &byte, 1, &got, &err), err));
    EXPECT_EQ(116, err.code); // certificate_required
    EXPECT_NE(nullptr, strstr(err.text, "ssl_load_identity")) << err.text;
}

} // namespace

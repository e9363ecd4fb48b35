// Questions about the peer, and channel bindings, from both ends (C6, C7).
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "support/forge.h"
#include "support/pairs.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

Pair pair_with(const Forged &forged, ssl_protocol protocol = SALLY_PROTOCOL_AUTO)
{
    Context server = server_that_shows(forged, protocol);
    Context client = client_that_trusts(forged, protocol);
    return pair_of(client.get(), server.get());
}

std::vector<std::string> hostnames(const ssl_port *port)
{
    char **names = nullptr;
    size_t count = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_peer_certificate_hostnames(port, &names, &count, &err), err));
    std::vector<std::string> all(names, names + count);
    EXPECT_EQ(count == 0, names == nullptr);
    ssl_free_block(names);
    return all;
}

using NameQuestion = ssl_status (*)(const ssl_port *, char *, size_t, size_t *, ssl_error *);

std::string name_of(NameQuestion question, const ssl_port *port)
{
    char text[2000];
    size_t length = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, question(port, text, sizeof text, &length, &err), err));
    EXPECT_EQ(strlen(text), length);
    return text;
}

std::string chain_of(const ssl_port *port)
{
    char *pem = nullptr;
    size_t length = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_peer_certificate_chain(port, &pem, &length, &err), err));
    std::string all = pem != nullptr ? pem : "";
    EXPECT_EQ(all.size(), length);
    ssl_free_block(pem);
    return all;
}

size_t count_of(const std::string &text, const std::string &part)
{
    size_t count = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
        count++;
    }
    return count;
}

// ---- names -------------------------------------------------------------------------------------

TEST(Peer, C7_HostnamesAreDnsNamesAndAddressesInOrder)
{
    Forgery what;
    what.dns = {"a.example", "*.b.example", std::string("c.example\0.d", 12), "\xff.example"};
    what.addresses = {"192.0.2.1", "2001:db8::1"};
    Pair pair = pair_with(forge(what));
    ASSERT_TRUE(pair);
    std::vector<std::string> wanted = {"a.example", "*.b.example", "192.0.2.1", "2001:db8::1"};
    EXPECT_EQ(wanted, hostnames(pair.client.in()));
    EXPECT_EQ(wanted, hostnames(pair.client.out()));
}

TEST(Peer, C7_TheCommonNameIsListedOnlyWhereItCounts)
{
    Forgery what;
    what.common_name = "cn.example";
    Forged forged = forge(what);
    Context server = server_that_shows(forged);
    Context client = client_that_trusts(forged);
    EXPECT_EQ(std::vector<std::string>(),
              hostnames(pair_of(client.get(), server.get()).client.in()));
    ASSERT_EQ(SALLY_OK, ssl_set_insecure_common_name(client.get(), true, nullptr));
    EXPECT_EQ(std::vector<std::string>{"cn.example"},
              hostnames(pair_of(client.get(), server.get()).client.in()));
}

TEST(Peer, C7_SubjectAndIssuerInOneLine)
{
    Pair pair = connected_pair();
    ASSERT_TRUE(pair);
    EXPECT_EQ("/O=Sallyport tests/CN=localhost", name_of(ssl_peer_subject_name, pair.client.in()));
    EXPECT_EQ("/O=Sallyport tests/CN=Test CA", name_of(ssl_peer_issuer_name, pair.client.out()));
}

TEST(Peer, E2_ANameThatDoesNotFitIsLimitWithItsLength)
{
    Forgery what;
    what.common_name = std::string("x\x01y");
    Pair pair = pair_with(forge(what));
    ASSERT_TRUE(pair);
    const std::string whole = "/CN=x\\x01y";
    for (size_t size = 1; size <= whole.size() + 1; size++) {
        std::string text(size, '?');
        size_t length = 0;
        ssl_error err;
        ssl_status status = ssl_peer_subject_name(pair.client.in(), &text[0], size, &length, &err);
        EXPECT_TRUE(is(size > whole.size() ? SALLY_OK : SALLY_LIMIT, status, err)) << size;
        EXPECT_EQ(whole.size(), length);
        EXPECT_EQ(size > whole.size() ? whole : "", std::string(text.c_str()));
    }
}

TEST(Peer, C7_TheChainIsPemLeafFirst)
{
    Context server = server_context("chain");
    Context client = client_context();
    Pair pair = pair_of(client.get(), server.get());
    ASSERT_TRUE(pair);
    EXPECT_EQ(2u, count_of(chain_of(pair.client.in()), "BEGIN CERTIFICATE"));
    EXPECT_EQ("", chain_of(pair.server.in()));
}

TEST(Peer, C7_AServerSeesItsClientInTheSameWay)
{
    Context server = server_context();
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(server.get(), cert_path("ca.pem").c_str(),
                                                          nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_verify(server.get(), true, nullptr));
    Context client = client_context_with_identity();
    Pair pair = pair_of(client.get(), server.get());
    ASSERT_TRUE(pair);
    EXPECT_TRUE(ssl_peer_verified(pair.server.out()));
    EXPECT_EQ("/O=Sallyport tests/CN=Test client",
              name_of(ssl_peer_subject_name, pair.server.in()));
    EXPECT_EQ(std::vector<std::string>{"client.example"}, hostnames(pair.server.in()));
    EXPECT_EQ(1u, count_of(chain_of(pair.server.in()), "BEGIN CERTIFICATE"));
}

TEST(Peer, C7_NoCertificateIsNoError)
{
    Pair pair = connected_pair();
    ASSERT_TRUE(pair);
    const ssl_port *port = pair.server.in();
    bool matches = true;
    EXPECT_FALSE(ssl_peer_verified(port));
    EXPECT_EQ(std::vector<std::string>(), hostnames(port));
    EXPECT_EQ("", name_of(ssl_peer_subject_name, port));
    EXPECT_EQ("", name_of(ssl_peer_issuer_name, port));
    EXPECT_EQ("", chain_of(port));
    EXPECT_EQ(SALLY_OK, ssl_peer_check_hostname(port, "localhost", &matches, nullptr));
    EXPECT_FALSE(matches);
}

TEST(Peer, VersionAndCipherHaveNames)
{
    Pair pair13 = connected_pair(SALLY_PROTOCOL_TLS13);
    EXPECT_STREQ("TLSv1.3", ssl_protocol_version(pair13.client.in()));
    EXPECT_EQ(0, strncmp("TLS_", ssl_cipher_name(pair13.client.in()), 4));
    EXPECT_STREQ(ssl_cipher_name(pair13.client.out()), ssl_cipher_name(pair13.server.in()));
    Pair pair12 = connected_pair(SALLY_PROTOCOL_TLS12);
    EXPECT_STREQ("TLSv1.2", ssl_protocol_version(pair12.server.out()));
    EXPECT_EQ(0, strncmp("ECDHE-", ssl_cipher_name(pair12.server.out()), 6));
}

// ---- bindings ----------------------------------------------------------------------------------

ssl_status binding_of(const ssl_port *port, ssl_binding_type type, ssl_binding *binding,
                      ssl_error *err = nullptr)
{
    memset(binding, 0xff, sizeof *binding);
    ssl_status status = ssl_channel_binding(port, type, binding, err);
    if (status != SALLY_OK) {
        EXPECT_EQ(0u, binding->length);
    }
    return status;
}

void expect_equal_bindings(const Pair &pair, ssl_binding_type type, size_t length)
{
    ssl_binding client;
    ssl_binding server;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, binding_of(pair.client.in(), type, &client, &err), err));
    EXPECT_TRUE(is(SALLY_OK, binding_of(pair.server.out(), type, &server, &err), err));
    EXPECT_EQ(length, client.length);
    EXPECT_EQ(length, server.length);
    EXPECT_EQ(0, memcmp(client.bytes, server.bytes, sizeof client.bytes));
    EXPECT_EQ(type, client.type);
}

TEST(Binding, C6_Tls13HasExporterAndEndPoint)
{
    Pair pair = connected_pair(SALLY_PROTOCOL_TLS13);
    ASSERT_TRUE(pair);
    expect_equal_bindings(pair, SALLY_BINDING_TLS_EXPORTER, 32);
    expect_equal_bindings(pair, SALLY_BINDING_TLS_SERVER_END_POINT, 32);
    ssl_binding binding;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_UNSUPPORTED,
                   binding_of(pair.client.in(), SALLY_BINDING_TLS_UNIQUE, &binding, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "use tls-exporter")) << err.text;
    EXPECT_EQ(SALLY_OK, ssl_default_channel_binding(pair.server.in(), &binding, nullptr));
    EXPECT_EQ(SALLY_BINDING_TLS_EXPORTER, binding.type);
}

TEST(Binding, C6_Tls12HasAllThree)
{
    Pair pair = connected_pair(SALLY_PROTOCOL_TLS12);
    ASSERT_TRUE(pair);
    expect_equal_bindings(pair, SALLY_BINDING_TLS_EXPORTER, 32);
    expect_equal_bindings(pair, SALLY_BINDING_TLS_UNIQUE, 12);
    expect_equal_bindings(pair, SALLY_BINDING_TLS_SERVER_END_POINT, 32);
    ssl_binding binding;
    EXPECT_EQ(SALLY_OK, ssl_default_channel_binding(pair.client.in(), &binding, nullptr));
    EXPECT_EQ(SALLY_BINDING_TLS_UNIQUE, binding.type);
}

// In a resumed handshake the server's Finished is the first (RFC 5929 section 3.1).
TEST(Binding, C6_UniqueOfAResumedSessionIsTheServersFinished)
{
    Context context = server_context("server", SALLY_PROTOCOL_TLS12);
    Listener listener = listen_on_loopback(context.get());
    SSL_SESSION *session = nullptr;
    for (bool resumed : {false, true}) {
        auto raw = raw_peer(connect_to(port_of(listener.get())), raw_client(TLS1_2_VERSION));
        if (resumed) {
            ASSERT_EQ(1, SSL_set_session(raw->ssl(), session));
        }
        Thread client([&] { EXPECT_EQ(Raw::Ok, raw->handshake()) << raw->last_error(); });
        Ports ports;
        ASSERT_EQ(SALLY_OK, ssl_accept(listener.get(), ports.fill(), nullptr));
        client.join();
        ASSERT_EQ(resumed, SSL_session_reused(raw->ssl()) == 1);
        unsigned char wanted[64];
        size_t length = resumed ? SSL_get_peer_finished(raw->ssl(), wanted, sizeof wanted)
                                : SSL_get_finished(raw->ssl(), wanted, sizeof wanted);
        ssl_binding binding;
        ASSERT_EQ(SALLY_OK, binding_of(ports.in(), SALLY_BINDING_TLS_UNIQUE, &binding));
        ASSERT_EQ(length, binding.length);
        EXPECT_EQ(0, memcmp(wanted, binding.bytes, length));
        SSL_SESSION_free(session);
        session = SSL_get1_session(raw->ssl());
        EXPECT_EQ(Raw::Ok, raw->send_goodbye()); // without it OpenSSL never resumes the session
    }
    SSL_SESSION_free(session);
}

TEST(Binding, C6_NoTwoConnectionsHaveTheSame)
{
    Pair one = connected_pair();
    Pair two = connected_pair();
    ssl_binding first;
    ssl_binding second;
    ASSERT_EQ(SALLY_OK, ssl_default_channel_binding(one.client.in(), &first, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_default_channel_binding(two.client.in(), &second, nullptr));
    EXPECT_NE(0, memcmp(first.bytes, second.bytes, first.length));
}

// RFC 7627: without it tls-unique and the exporter bind nothing.
TEST(Binding, C6_WithoutExtendedMasterSecretOnlyTheEndPointIsLeft)
{
    RawOptions options = raw_client(TLS1_2_VERSION);
    options.extended_master_secret = false;
    RawPair pair = server_of_raw(options);
    ASSERT_TRUE(pair);
    ssl_binding binding;
    ssl_error err;
    for (ssl_binding_type type : {SALLY_BINDING_TLS_UNIQUE, SALLY_BINDING_TLS_EXPORTER}) {
        EXPECT_TRUE(is(SALLY_UNSUPPORTED, binding_of(pair.ours.in(), type, &binding, &err), err));
        EXPECT_NE(nullptr, strstr(err.text, "RFC 7627")) << err.text;
    }
    EXPECT_EQ(SALLY_OK, binding_of(pair.ours.in(), SALLY_BINDING_TLS_SERVER_END_POINT, &binding));
}

TEST(Binding, C6_ExporterIsUndefinedWhereRenegotiationIsAllowed)
{
    Context server = server_context("server", SALLY_PROTOCOL_TLS12);
    ASSERT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(server.get(), true, nullptr));
    Context client = client_context();
    Pair pair = pair_of(client.get(), server.get());
    ASSERT_TRUE(pair);
    ssl_binding binding;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_UNSUPPORTED,
                   binding_of(pair.server.in(), SALLY_BINDING_TLS_EXPORTER, &binding, &err), err));
    expect_equal_bindings(pair, SALLY_BINDING_TLS_UNIQUE, 12);
}

struct Hash {
    const char *name;
    size_t length; // of the end-point binding
};

TEST(Binding, C6_EndPointHasTheHashOfTheSignature)
{
    for (const Hash &hash :
         {Hash{"SHA1", 32}, Hash{"SHA256", 32}, Hash{"SHA384", 48}, Hash{"SHA512", 64}}) {
        SCOPED_TRACE(hash.name);
        Forgery what;
        what.hash = hash.name;
        Pair pair = pair_with(forge(what));
        ASSERT_TRUE(pair);
        expect_equal_bindings(pair, SALLY_BINDING_TLS_SERVER_END_POINT, hash.length);
    }
}

TEST(Binding, C6_EndPointIsUndefinedForAnEd25519Signature)
{
    Forgery what;
    what.ed25519 = true;
    Pair pair = pair_with(forge(what));
    ASSERT_TRUE(pair);
    ssl_binding binding;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_UNSUPPORTED,
                   binding_of(pair.client.in(), SALLY_BINDING_TLS_SERVER_END_POINT, &binding, &err),
                   err));
}

TEST(Binding, NamesAreTheRegisteredOnes)
{
    EXPECT_STREQ("tls-exporter", ssl_binding_name(SALLY_BINDING_TLS_EXPORTER));
    EXPECT_STREQ("tls-unique", ssl_binding_name(SALLY_BINDING_TLS_UNIQUE));
    EXPECT_STREQ("tls-server-end-point", ssl_binding_name(SALLY_BINDING_TLS_SERVER_END_POINT));
    EXPECT_EQ(nullptr, ssl_binding_name(static_cast<ssl_binding_type>(3)));
}

// ---- at any time -------------------------------------------------------------------------------

// Every question, its outputs dirty before; the outputs are defined afterwards.
void expect_every_question(const ssl_port *port, ssl_status wanted)
{
    char text[400] = "?";
    char **names = reinterpret_cast<char **>(text);
    char *pem = text;
    size_t n = 99;
    bool matches = true;
    ssl_binding binding;
    ssl_error err;
    EXPECT_TRUE(is(wanted, ssl_peer_certificate_hostnames(port, &names, &n, &err), err));
    EXPECT_EQ(nullptr, names);
    EXPECT_EQ(0u, n);
    EXPECT_TRUE(is(wanted, ssl_peer_check_hostname(port, "localhost", &matches, &err), err));
    EXPECT_FALSE(matches);
    n = 99;
    EXPECT_TRUE(is(wanted, ssl_peer_subject_name(port, text, sizeof text, &n, &err), err));
    EXPECT_EQ(0u, n);
    EXPECT_STREQ("", text);
    EXPECT_TRUE(is(wanted, ssl_peer_issuer_name(port, text, sizeof text, &n, &err), err));
    n = 99;
    EXPECT_TRUE(is(wanted, ssl_peer_certificate_chain(port, &pem, &n, &err), err));
    EXPECT_EQ(nullptr, pem);
    EXPECT_EQ(0u, n);
    EXPECT_EQ(wanted, binding_of(port, SALLY_BINDING_TLS_EXPORTER, &binding));
    EXPECT_EQ(wanted, ssl_default_channel_binding(port, &binding, nullptr));
    EXPECT_FALSE(ssl_peer_verified(port));
    EXPECT_EQ(nullptr, ssl_protocol_version(port));
    EXPECT_EQ(nullptr, ssl_cipher_name(port));
}

TEST(Peer, C7_QuestionsWorkWithOneDoorAndAreClosedAfterBoth)
{
    Pair pair = connected_pair();
    ASSERT_TRUE(pair);
    ssl_close_port(pair.client.out(), nullptr);
    EXPECT_EQ("/O=Sallyport tests/CN=localhost", name_of(ssl_peer_subject_name, pair.client.out()));
    EXPECT_TRUE(ssl_peer_verified(pair.client.in()));
    ssl_close_port(pair.client.in(), nullptr);
    expect_every_question(pair.client.in(), SALLY_CLOSED);
    expect_every_question(pair.client.out(), SALLY_CLOSED);
}

TEST(Peer, E3_BadArgumentsAreUsage)
{
    expect_every_question(nullptr, SALLY_USAGE);
    Pair pair = connected_pair();
    const ssl_port *port = pair.client.in();
    char text[4];
    size_t n = 0;
    bool matches = false;
    EXPECT_EQ(SALLY_USAGE, ssl_peer_certificate_hostnames(port, nullptr, &n, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_peer_check_hostname(port, nullptr, &matches, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_peer_check_hostname(port, "x", nullptr, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_peer_subject_name(port, nullptr, 0, &n, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_peer_issuer_name(port, text, 0, &n, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_peer_issuer_name(port, text, 4, nullptr, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_peer_certificate_chain(port, nullptr, &n, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_default_channel_binding(port, nullptr, nullptr));
    ssl_binding binding;
    EXPECT_EQ(SALLY_USAGE, binding_of(port, static_cast<ssl_binding_type>(77), &binding));
}

} // namespace

// What nobody set is safe (C1, C3, P1): peers that try what a default context must refuse. Each refusal has
// its control: a context that was told to allow it gets through with the same peer.
#include <gtest/gtest.h>

#include <cstring>

#include "scenario/ends.h"

using namespace sallytest;

namespace
{

// ---- a server that nobody vouches for ----

ssl_status make_client(ssl_protocol protocol, ssl_context **context)
{
    return ssl_make_client_context(protocol, context, nullptr);
}

struct Made {
    const char *name;
    ssl_status (*make)(ssl_context **context); // leaves NULL for: no context
    bool verifies;
};

void PrintTo(const Made &made, std::ostream *out)
{
    *out << made.name;
}

const Made ways[] = {
    {"Null", [](ssl_context **) { return SALLY_OK; }, true},
    {"SecureClientContext",
     [](ssl_context **made) { return ssl_secure_client_context(made, nullptr); }, true},
    {"Secure", [](ssl_context **made) { return make_client(SALLY_PROTOCOL_SECURE, made); }, true},
    {"WithNullOptions",
     [](ssl_context **made) { return ssl_make_client_context_with(nullptr, made, nullptr); }, true},
    {"WithUsualOptions",
     [](ssl_context **made) {
         ssl_context_options options = SALLY_CONTEXT_OPTIONS;
         return ssl_make_client_context_with(&options, made, nullptr);
     },
     true},
    {"WithAnIdentity",
     [](ssl_context **made) {
         std::string chain = cert_path("client.pem");
         std::string key = cert_path("client-key.pem");
         ssl_context_options options = SALLY_CONTEXT_OPTIONS;
         options.certificate_chain = chain.c_str();
         options.private_key = key.c_str();
         return ssl_make_client_context_with(&options, made, nullptr);
     },
     true},
    // Racket's rule: these verify nothing until ssl_set_verify; ssl_peer_verified tells.
    {"Auto", [](ssl_context **made) { return make_client(SALLY_PROTOCOL_AUTO, made); }, false},
    {"Tls12", [](ssl_context **made) { return make_client(SALLY_PROTOCOL_TLS12, made); }, false},
    {"Tls13", [](ssl_context **made) { return make_client(SALLY_PROTOCOL_TLS13, made); }, false},
    {"SslV2OrV3", [](ssl_context **made) { return make_client(SALLY_PROTOCOL_SSLV2_OR_V3, made); },
     false},
};

class Unvouched : public testing::TestWithParam<Made>
{
};

TEST_P(Unvouched, C1_ServerIsRefusedByWhatVerifies)
{
    ssl_context *made = nullptr;
    ASSERT_EQ(SALLY_OK, GetParam().make(&made));
    Context client(made);
    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    Outcome connected;
    Thread connector(
        [&] { connected = connect_at("127.0.0.1", port_of(listener.get()), client.get()); });
    Outcome served = accept_from(listener.get());
    connector.join();
    if (GetParam().verifies) {
        EXPECT_TRUE(is(SALLY_VERIFY, connected));
    } else {
        ASSERT_TRUE(is(SALLY_OK, connected));
        EXPECT_FALSE(ssl_peer_verified(connected.ports.in())) << "it is not hidden";
    }
}

INSTANTIATE_TEST_SUITE_P(Ways, Unvouched, testing::ValuesIn(ways),
                         [](const auto &one) { return std::string(one.param.name); });

// ---- a peer that offers too little ----

struct Offer {
    const char *name;
    int lowest; // versions
    int highest;
    const char *ciphers; // nullptr: all that OpenSSL has
    ssl_protocol told;   // the control's
    const char *told_ciphers;
};

void PrintTo(const Offer &offer, std::ostream *out)
{
    *out << offer.name;
}

const Offer offers[] = {
    {"Tls10", TLS1_VERSION, TLS1_VERSION, nullptr, SALLY_PROTOCOL_TLS10_INSECURE, nullptr},
    {"Tls11", TLS1_1_VERSION, TLS1_1_VERSION, nullptr, SALLY_PROTOCOL_TLS11_INSECURE, nullptr},
    {"NoForwardSecrecy", TLS1_2_VERSION, TLS1_2_VERSION, "AES128-GCM-SHA256:AES256-SHA",
     SALLY_PROTOCOL_TLS12, "AES128-GCM-SHA256:AES256-SHA"},
    {"Anonymous", TLS1_2_VERSION, TLS1_2_VERSION, "aNULL", SALLY_PROTOCOL_TLS12,
     "aNULL:@SECLEVEL=0"},
    {"NoEncryption", TLS1_2_VERSION, TLS1_2_VERSION, "eNULL:!aNULL", SALLY_PROTOCOL_TLS12,
     "eNULL:!aNULL:@SECLEVEL=0"},
};

class TooLittle : public testing::TestWithParam<Offer>
{
  protected:
    // The raw peer, told to go as low as it can.
    static void lower(SSL *ssl)
    {
        const Offer &offer = GetParam();
        SSL_set_security_level(ssl, 0);
        EXPECT_EQ(1, SSL_set_min_proto_version(ssl, offer.lowest));
        EXPECT_EQ(1, SSL_set_max_proto_version(ssl, offer.highest));
        EXPECT_EQ(1, SSL_set_cipher_list(ssl, offer.ciphers != nullptr ? offer.ciphers : "ALL"));
    }
    // Ours as the server.
    static ssl_status serve(ssl_context *context)
    {
        Listener listener = listen_on_loopback(context);
        auto raw = raw_client_at(port_of(listener.get()));
        lower(raw->ssl());
        Handshaker client(std::move(raw));
        ssl_status status = accept_from(listener.get()).status;
        client.result();
        return status;
    }
    // Ours as the client.
    static ssl_status connect(ssl_context *context)
    {
        RawListener listener;
        Outcome connected;
        Thread connector([&] { connected = connect_at("127.0.0.1", listener.port(), context); });
        RawOptions options = raw_server();
        options.identity = "server-rsa";
        auto raw = raw_peer(listener.accept(), options);
        lower(raw->ssl());
        raw->handshake();
        connector.join();
        return connected.status;
    }
    static Context told(Context context)
    {
        const char *ciphers = GetParam().told_ciphers;
        EXPECT_EQ(SALLY_OK,
                  ciphers != nullptr ? ssl_set_ciphers(context.get(), ciphers, nullptr) : SALLY_OK);
        return context;
    }
    static Context bare_client(ssl_protocol protocol)
    {
        ssl_context *made = nullptr;
        EXPECT_EQ(SALLY_OK, make_client(protocol, &made));
        return Context(made);
    }
};

TEST_P(TooLittle, C1_IsRefusedByAServerUnlessItWasTold)
{
    for (ssl_protocol protocol : {SALLY_PROTOCOL_SECURE, SALLY_PROTOCOL_AUTO,
                                  SALLY_PROTOCOL_SSLV2_OR_V3, SALLY_PROTOCOL_TLS12}) {
        EXPECT_NE(SALLY_OK, serve(server_context("server-rsa", protocol).get())) << protocol;
    }
    EXPECT_EQ(SALLY_OK, serve(told(server_context("server-rsa", GetParam().told)).get()));
}

TEST_P(TooLittle, C1_IsRefusedByAClientUnlessItWasTold)
{
    for (ssl_protocol protocol :
         {SALLY_PROTOCOL_AUTO, SALLY_PROTOCOL_SSLV2_OR_V3, SALLY_PROTOCOL_TLS12}) {
        EXPECT_NE(SALLY_OK, connect(bare_client(protocol).get())) << protocol;
    }
    EXPECT_EQ(SALLY_OK, connect(told(bare_client(GetParam().told)).get()));
}

INSTANTIATE_TEST_SUITE_P(Offers, TooLittle, testing::ValuesIn(offers),
                         [](const auto &one) { return std::string(one.param.name); });

// ---- what a default client offers, to a server that looks ----

TEST(DefaultClient, C1_OffersNothingWeakAndNoCompression)
{
    RawListener listener;
    ssl_context *made = nullptr;
    ASSERT_EQ(SALLY_OK, make_client(SALLY_PROTOCOL_AUTO, &made));
    Context client(made);
    Outcome connected;
    Thread connector([&] { connected = connect_at("127.0.0.1", listener.port(), client.get()); });
    auto raw = raw_peer(listener.accept(), raw_server());
    ASSERT_EQ(Raw::Ok, raw->handshake());
    connector.join();
    STACK_OF(SSL_CIPHER) *offered = SSL_get_client_ciphers(raw->ssl());
    ASSERT_GT(sk_SSL_CIPHER_num(offered), 0);
    for (int i = 0; i < sk_SSL_CIPHER_num(offered); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(offered, i);
        int exchange = SSL_CIPHER_get_kx_nid(cipher);
        int who = SSL_CIPHER_get_auth_nid(cipher);
        const char *name = SSL_CIPHER_get_name(cipher);
        EXPECT_GE(SSL_CIPHER_get_bits(cipher, nullptr), 128) << name;
        EXPECT_TRUE(exchange == NID_kx_any || exchange == NID_kx_ecdhe || exchange == NID_kx_dhe)
            << name;
        EXPECT_TRUE(who == NID_auth_any || who == NID_auth_rsa || who == NID_auth_ecdsa) << name;
    }
    EXPECT_EQ(nullptr, SSL_get_current_compression(raw->ssl()));
    EXPECT_EQ(nullptr, SSL_get_current_expansion(raw->ssl()));
}

// ---- renegotiation ----

// A TLS 1.2 client asks a server for it, and is refused by a warning; the connection goes on.
TEST(DefaultServer, P1_RefusesRenegotiationUnlessTold)
{
    for (bool told : {false, true}) {
        Context server = server_context("server", SALLY_PROTOCOL_TLS12);
        ASSERT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(server.get(), told, nullptr));
        Listener listener = listen_on_loopback(server.get());
        Handshaker client(
            raw_peer(connect_to(port_of(listener.get())), raw_client(TLS1_2_VERSION)));
        Outcome served = accept_from(listener.get());
        ASSERT_TRUE(is(SALLY_OK, served));
        RawPeer &raw = client.raw();
        ASSERT_TRUE(raw.request_renegotiation());
        auto is_answered = [&] {
            char byte;
            size_t n;
            raw.handshake_step();
            ssl_read_available(served.ports.in(), &byte, 1, &n, nullptr);
            return told ? SSL_renegotiate_pending(raw.ssl()) == 0 : raw.last_alert() != -1;
        };
        EXPECT_TRUE(eventually(is_answered));
        EXPECT_EQ(told ? -1 : 100, raw.last_alert()) << "100 is no_renegotiation";
    }
}

} // namespace

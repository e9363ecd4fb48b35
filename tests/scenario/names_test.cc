// A server for several names: which context a client gets, and that everything of it holds (C4).
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include <openssl/tls1.h>

#include "names.h"
#include "support/guards.h"

using namespace sallytest;

namespace
{

const char kName[] = "second.example";

Context server_of(const std::string &stem, ssl_protocol protocol = SALLY_PROTOCOL_AUTO)
{
    return server_context(stem, protocol);
}

void seal(const Context &context)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
}

// The first context is "localhost", the other "second.example"; a callback on the first chooses.
class Names : public testing::TestWithParam<int>
{
  protected:
    int version() const
    {
        return GetParam();
    }
    // Both versions of ours, or only the one under test, or only the other.
    ssl_protocol only_this() const
    {
        return version() == TLS1_3_VERSION ? SALLY_PROTOCOL_TLS13 : SALLY_PROTOCOL_TLS12;
    }
    ssl_protocol only_the_other() const
    {
        return version() == TLS1_3_VERSION ? SALLY_PROTOCOL_TLS12 : SALLY_PROTOCOL_TLS13;
    }
    RawOptions naming_it() const
    {
        return naming(kName, version());
    }
    void begin(Context first, Context other)
    {
        first_ = std::move(first);
        other_ = std::move(other);
        choose_ = only(kName, other_.get());
        ask(first_.get(), &choose_);
        listener_ = listen_on_loopback(first_.get());
    }

    Context first_;
    Context other_;
    Choose choose_;
    Listener listener_;
};

INSTANTIATE_TEST_SUITE_P(Versions, Names, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

// ---- everything of the chosen context holds ----------------------------------------------------

TEST_P(Names, C4_CallbackChoosesTheIdentity)
{
    begin(server_of("server"), server_of("sni"));
    Meeting meeting = meet(listener_.get(), naming_it());
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ(Raw::Ok, meeting.result) << meeting.raw->last_error();
    EXPECT_EQ("second.example", shown(*meeting.raw));
    expect_echo(meeting.ours.ports, *meeting.raw);
}

TEST_P(Names, C4_ChosenProtocolsHoldWhereTheFirstHasOthers)
{
    begin(server_of("server", only_the_other()), server_of("sni", only_this()));
    Meeting meeting = meet(listener_.get(), naming_it());
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("second.example", shown(*meeting.raw));
    expect_echo(meeting.ours.ports, *meeting.raw);
}

TEST_P(Names, C4_ChosenProtocolsHoldWhereTheFirstAllowsMore)
{
    begin(server_of("server"), server_of("sni", only_the_other()));
    Meeting meeting = meet(listener_.get(), naming_it());
    EXPECT_TRUE(is(SALLY_PROTOCOL, meeting.ours));
    EXPECT_EQ(Raw::Alert, meeting.result);
    EXPECT_EQ(SSL_AD_PROTOCOL_VERSION, meeting.raw->last_alert());
}

TEST_P(Names, C4_ChosenContextRequiresACertificate)
{
    Context strict = server_of("sni");
    ssl_error err;
    std::string roots = cert_path("ca.pem");
    ASSERT_TRUE(
        is(SALLY_OK, ssl_load_verify_root_certificates(strict.get(), roots.c_str(), &err), err));
    ASSERT_TRUE(is(SALLY_OK, ssl_set_verify(strict.get(), true, &err), err));
    begin(server_of("server"), std::move(strict));
    EXPECT_TRUE(is(SALLY_VERIFY, meet(listener_.get(), naming_it()).ours));

    RawOptions known = naming_it();
    known.client_identity = "client";
    Meeting meeting = meet(listener_.get(), known);
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_TRUE(ssl_peer_verified(meeting.ours.ports.in()));
    EXPECT_TRUE(is(SALLY_OK, meet(listener_.get(), raw_client(version())).ours));
}

TEST_P(Names, C4_ChosenContextRequiresNoCertificate)
{
    Context strict = server_of("server");
    ASSERT_EQ(SALLY_OK, ssl_set_verify(strict.get(), true, nullptr));
    begin(std::move(strict), server_of("sni"));
    EXPECT_TRUE(is(SALLY_OK, meet(listener_.get(), naming_it()).ours));
    EXPECT_TRUE(is(SALLY_VERIFY, meet(listener_.get(), raw_client(version())).ours));
}

TEST_P(Names, C4_ChosenAlpnHolds)
{
    static const ssl_alpn_name firsts[] = {SALLY_ALPN("first")};
    static const ssl_alpn_name others[] = {SALLY_ALPN("other"), SALLY_ALPN("first")};
    Context first = server_of("server");
    Context other = server_of("sni");
    ASSERT_EQ(SALLY_OK, ssl_set_server_alpn(first.get(), firsts, 1, false, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_server_alpn(other.get(), others, 2, false, nullptr));
    begin(std::move(first), std::move(other));
    auto both = [](SSL *ssl) { offer(ssl, "\5first\5other"); };
    Meeting chosen = meet(listener_.get(), naming_it(), both);
    ASSERT_TRUE(is(SALLY_OK, chosen.ours));
    EXPECT_EQ("other", selected(chosen.ours.ports.in()));
    EXPECT_EQ("other", selected(*chosen.raw));
    Meeting plain = meet(listener_.get(), raw_client(version()), both);
    ASSERT_TRUE(is(SALLY_OK, plain.ours));
    EXPECT_EQ("first", selected(plain.ours.ports.in()));
}

TEST_P(Names, C4_ChosenCiphersHold)
{
    Context other = server_of("sni");
    ASSERT_EQ(SALLY_OK, ssl_set_ciphers(other.get(), "ECDHE-ECDSA-CHACHA20-POLY1305", nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_ciphersuites(other.get(), "TLS_CHACHA20_POLY1305_SHA256", nullptr));
    begin(server_of("server"), std::move(other));
    Meeting meeting = meet(listener_.get(), naming_it());
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_NE(nullptr, std::strstr(SSL_get_cipher(meeting.raw->ssl()), "CHACHA20"));
    Meeting plain = meet(listener_.get(), raw_client(version()));
    EXPECT_EQ(nullptr, std::strstr(SSL_get_cipher(plain.raw->ssl()), "CHACHA20"));
}

TEST_P(Names, P4_ChosenShutdownOnCloseHolds)
{
    Context other = server_of("sni");
    ASSERT_EQ(SALLY_OK, ssl_set_shutdown_on_close(other.get(), false, nullptr));
    begin(server_of("server"), std::move(other));
    Meeting chosen = meet(listener_.get(), naming_it());
    Meeting plain = meet(listener_.get(), raw_client(version()));
    std::string rest;
    EXPECT_EQ(SALLY_OK, ssl_close_port(chosen.ours.ports.out(), nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(plain.ours.ports.out(), nullptr));
    chosen.ours.ports.reset();
    plain.ours.ports.reset();
    EXPECT_EQ(Raw::Cut, chosen.raw->read_to_end(&rest));
    EXPECT_EQ(Raw::Eof, plain.raw->read_to_end(&rest));
}

void note_acknowledgement(SSL *, int, int type, const unsigned char *, int, void *seen)
{
    *static_cast<bool *>(seen) |= type == TLSEXT_TYPE_server_name;
}

TEST_P(Names, C4_ClientLearnsThatItsNameCounted)
{
    begin(server_of("server"), server_of("sni"));
    for (const char *name : {kName, "unknown.example"}) {
        bool told = false;
        Meeting meeting = meet(listener_.get(), naming(name, version()), [&](SSL *ssl) {
            SSL_set_tlsext_debug_callback(ssl, note_acknowledgement);
            SSL_set_tlsext_debug_arg(ssl, &told);
        });
        ASSERT_TRUE(is(SALLY_OK, meeting.ours));
        EXPECT_EQ(name == kName, told) << name;
    }
}

// A ticket of a name that asks for nothing is no pass where a certificate is required, also when the
// ticket keys were the same.
TEST_P(Names, C4_TicketOfOneNameIsNoPassForAStricterOne)
{
    Context strict = server_of("sni");
    ASSERT_EQ(SALLY_OK, ssl_set_verify(strict.get(), true, nullptr));
    begin(server_of("server"), std::move(strict));
    Meeting first = meet(listener_.get(), raw_client(version()));
    ASSERT_TRUE(is(SALLY_OK, first.ours));
    expect_echo(first.ours.ports, *first.raw);
    SSL_SESSION *session = SSL_get1_session(first.raw->ssl());
    ASSERT_NE(nullptr, session);
    auto resume = [session](SSL *ssl) { SSL_set_session(ssl, session); };
    EXPECT_TRUE(is(SALLY_VERIFY, meet(listener_.get(), naming_it(), resume).ours));
    SSL_SESSION_free(session);
}

// ---- which name --------------------------------------------------------------------------------

TEST_P(Names, C4_CallbackGetsTheNameAsSent)
{
    std::vector<std::string> asked;
    begin(server_of("server"), server_of("sni"));
    choose_ = [&](const char *hostname, ssl_context **) {
        asked.push_back(hostname);
        return SALLY_OK;
    };
    std::string longest(SALLY_SERVER_NAME_MAX, 'x');
    std::vector<std::string> names = {"second.example", "SECOND.Example", "second.example.",
                                      "_x-1.example", longest};
    for (const std::string &name : names) {
        Meeting meeting = meet(listener_.get(), naming(name, version()));
        EXPECT_TRUE(is(SALLY_OK, meeting.ours));
        EXPECT_EQ("localhost", shown(*meeting.raw));
    }
    EXPECT_EQ(names, asked);
}

TEST_P(Names, C4_WithoutANameTheFirstContextServesAndNobodyIsAsked)
{
    bool asked = false;
    begin(server_of("server"), server_of("sni"));
    choose_ = [&](const char *, ssl_context **) {
        asked = true;
        return SALLY_CONFIG;
    };
    for (const char *name : {"", "with space", "\xc3\xbcmlaut.example", "bell\x07"}) {
        Meeting meeting = meet(listener_.get(), naming(name, version()));
        EXPECT_TRUE(is(SALLY_OK, meeting.ours)) << name;
        EXPECT_EQ("localhost", shown(*meeting.raw));
    }
    EXPECT_FALSE(asked);
}

TEST_P(Names, C4_UnknownNameKeepsTheFirstContext)
{
    begin(server_of("server"), server_of("sni"));
    Meeting meeting = meet(listener_.get(), naming("unknown.example", version()));
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("localhost", shown(*meeting.raw));
    expect_echo(meeting.ours.ports, *meeting.raw);
}

TEST_P(Names, C4_FirstContextMayBeChosenToo)
{
    begin(server_of("server"), server_of("sni"));
    choose_ = only(kName, first_.get());
    Meeting meeting = meet(listener_.get(), naming_it());
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("localhost", shown(*meeting.raw));
}

TEST_P(Names, C4_ChosenContextsOwnCallbackIsNotAsked)
{
    Choose never = [](const char *, ssl_context **) { return SALLY_CONFIG; };
    Context other = server_of("sni");
    ask(other.get(), &never);
    seal(other);
    begin(server_of("server"), std::move(other));
    EXPECT_TRUE(is(SALLY_OK, meet(listener_.get(), naming_it()).ours));
}

TEST_P(Names, C4_NullTakesTheCallbackOff)
{
    begin(server_of("server"), server_of("sni"));
    ssl_error err;
    ASSERT_TRUE(
        is(SALLY_OK,
           ssl_set_server_name_identification_callback(first_.get(), nullptr, nullptr, &err), err));
    EXPECT_EQ("localhost", shown(*meet(listener_.get(), naming_it()).raw));
}

// Bytes of a ClientHello that names "second#example", and is damaged there.
std::string damaged_hello(const std::function<void(std::string *, size_t)> &damage)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_tlsext_host_name(ssl, "second#example");
    SSL_set_connect_state(ssl);
    (void)SSL_do_handshake(ssl);
    char *bytes = nullptr;
    long n = BIO_get_mem_data(SSL_get_wbio(ssl), &bytes);
    std::string hello(bytes, static_cast<size_t>(n));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    damage(&hello, hello.find("second#example"));
    return hello;
}

TEST(NamesOfRawBytes, C4_WhatIsNoHostNameIsRefusedAndNobodyIsAsked)
{
    const std::vector<std::function<void(std::string *, size_t)>> damages = {
        [](std::string *hello, size_t at) { (*hello)[at + 6] = '\0'; },  // a NUL in the name
        [](std::string *hello, size_t at) { (*hello)[at - 3] = '\1'; },  // another kind of name
        [](std::string *hello, size_t at) { (*hello)[at - 4] = '\0'; },  // an empty list, with more
        [](std::string *hello, size_t at) { (*hello)[at - 1] = '\0'; },  // an empty name, with more
        [](std::string *hello, size_t at) { (*hello)[at - 1] = '\xff'; } // longer than the list
    };
    Context context = server_of("server");
    bool asked = false;
    Choose choose = [&](const char *, ssl_context **) {
        asked = true;
        return SALLY_OK;
    };
    ask(context.get(), &choose);
    Listener listener = listen_on_loopback(context.get());
    for (const auto &damage : damages) {
        SocketChannel client(connect_to(port_of(listener.get())));
        std::string hello = damaged_hello(damage);
        EXPECT_EQ(static_cast<long>(hello.size()), client.send(hello));
        EXPECT_TRUE(is(SALLY_PROTOCOL, accept_from(listener.get())));
    }
    EXPECT_FALSE(asked);
    EXPECT_TRUE(is(SALLY_OK, meet(listener.get(), naming(kName)).ours)) << "the next one is served";
    EXPECT_TRUE(asked);
}

TEST(NamesOfRawBytes, C4_ClientHelloOfManyRecordsAndPieces)
{
    Context first = server_of("server");
    Context other = server_of("sni");
    Choose choose = only(kName, other.get());
    ask(first.get(), &choose);
    Listener listener = listen_on_loopback(first.get());
    Meeting meeting = meet(listener.get(), naming(kName), [](SSL *ssl) {
        EXPECT_EQ(1, SSL_set_max_send_fragment(ssl, 512));
        offer(ssl, std::string(1, '\xff') + std::string(255, 'x') + std::string(1, '\xff') +
                       std::string(255, 'y') + std::string(1, '\xff') + std::string(255, 'z'));
    });
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("second.example", shown(*meeting.raw));
    expect_echo(meeting.ours.ports, *meeting.raw);
}

// ---- refusals ----------------------------------------------------------------------------------

struct Refusal {
    ssl_status given;    // by the callback
    ssl_status reported; // by accept
    int alert;           // to the client
};

class NamesRefused : public testing::TestWithParam<Refusal>
{
};

INSTANTIATE_TEST_SUITE_P(Statuses, NamesRefused,
                         testing::Values(Refusal{SALLY_CONFIG, SALLY_CONFIG,
                                                 SSL_AD_UNRECOGNIZED_NAME},
                                         Refusal{SALLY_MEMORY, SALLY_MEMORY, SSL_AD_INTERNAL_ERROR},
                                         Refusal{SALLY_SYSTEM, SALLY_SYSTEM, SSL_AD_INTERNAL_ERROR},
                                         Refusal{SALLY_LIMIT, SALLY_LIMIT, SSL_AD_INTERNAL_ERROR},
                                         Refusal{SALLY_BREAK, SALLY_USAGE, SSL_AD_INTERNAL_ERROR},
                                         Refusal{SALLY_CLOSED, SALLY_USAGE, SSL_AD_INTERNAL_ERROR}),
                         [](const testing::TestParamInfo<Refusal> &refusal) {
                             return std::string(ssl_status_name(refusal.param.given)).substr(6);
                         });

TEST_P(NamesRefused, C4_CallbackThatFailsFailsThatHandshakeAlone)
{
    Context context = server_of("server");
    Choose choose = [](const char *hostname, ssl_context **) {
        return std::string("bad.example") == hostname ? GetParam().given : SALLY_OK;
    };
    ask(context.get(), &choose);
    Listener listener = listen_on_loopback(context.get());
    Meeting refused = meet(listener.get(), naming("bad.example"));
    EXPECT_TRUE(is(GetParam().reported, refused.ours));
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, refused.ours.err.phase);
    EXPECT_NE(nullptr, std::strstr(refused.ours.err.text, "ssl_accept: 127.0.0.1:"))
        << refused.ours.err.text;
    EXPECT_NE(nullptr, std::strstr(refused.ours.err.text, "bad.example")) << refused.ours.err.text;
    EXPECT_EQ(Raw::Alert, refused.result);
    EXPECT_EQ(GetParam().alert, refused.raw->last_alert());
    EXPECT_TRUE(is(SALLY_OK, meet(listener.get(), naming("good.example")).ours));
}

TEST(NamesChosen, C4_AClientContextIsRefusedUnderTheCallsName)
{
    Context context = server_of("server");
    Context wrong = client_context();
    Choose choose = only(kName, wrong.get());
    ask(context.get(), &choose);
    Listener listener = listen_on_loopback(context.get());
    Meeting meeting = meet(listener.get(), naming(kName));
    EXPECT_TRUE(is(SALLY_USAGE, meeting.ours));
    EXPECT_NE(nullptr, std::strstr(meeting.ours.err.text, "this is a client context"))
        << meeting.ours.err.text;
    EXPECT_EQ(SSL_AD_INTERNAL_ERROR, meeting.raw->last_alert());
}

TEST(NamesSetter, C4_ChecksItsContext)
{
    Context client = client_context();
    Context server = server_of("server");
    ssl_error err;
    auto set = [&](ssl_context *context) {
        return ssl_set_server_name_identification_callback(context, call_choose, nullptr, &err);
    };
    EXPECT_TRUE(is(SALLY_USAGE, set(nullptr), err));
    EXPECT_TRUE(is(SALLY_USAGE, set(client.get()), err));
    seal(server);
    EXPECT_TRUE(is(SALLY_SEALED, set(server.get()), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_set_server_name_identification_callback"));
}

// ---- threads and breaks ------------------------------------------------------------------------

TEST_P(Names, C4_CallbackThatBlocksHoldsUpItsOwnThreadOnly)
{
    begin(server_of("server"), server_of("sni"));
    Latch inside;
    Latch go_on;
    choose_ = [&](const char *hostname, ssl_context **chosen) {
        if (std::string("slow.example") == hostname) {
            inside.open();
            go_on.wait();
        }
        *chosen = other_.get();
        return SALLY_OK;
    };
    Outcome slow_one;
    Thread slow_acceptor([&] { slow_one = accept_from(listener_.get()); });
    Handshaker slow_client(
        raw_peer(connect_to(port_of(listener_.get())), naming("slow.example", version())));
    ASSERT_TRUE(inside.wait());
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(is(SALLY_OK, meet(listener_.get(), naming_it()).ours));
    }
    go_on.open();
    EXPECT_EQ(Raw::Ok, slow_client.result());
    slow_acceptor.join();
    EXPECT_TRUE(is(SALLY_OK, slow_one));
}

TEST_P(Names, B6_BreakDuringTheCallbackLosesNobody)
{
    begin(server_of("server"), server_of("sni"));
    Break brk = new_break();
    choose_ = [&](const char *, ssl_context **chosen) {
        EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 7));
        *chosen = other_.get();
        return SALLY_OK;
    };
    Handshaker client(raw_peer(connect_to(port_of(listener_.get())), naming_it()));
    EXPECT_TRUE(is(SALLY_BREAK, accept_from(listener_.get(), brk.get())));
    Outcome later = accept_from(listener_.get());
    EXPECT_TRUE(is(SALLY_OK, later));
    EXPECT_EQ(Raw::Ok, client.result());
    EXPECT_EQ("second.example", shown(client.raw()));
    expect_echo(later.ports, client.raw());
}

TEST_P(Names, C4_CallbackMayCallTheLibrary)
{
    begin(server_of("server"), server_of("sni"));
    Context made;
    choose_ = [&](const char *, ssl_context **chosen) {
        Pair pair = connected_pair(); // locks of every kind
        EXPECT_TRUE(pair);
        made = server_of("sni");
        *chosen = made.get();
        return SALLY_OK;
    };
    EXPECT_EQ("second.example", shown(*meet(listener_.get(), naming_it()).raw));
}

TEST_P(Names, C4_NothingIsLeftOfRefusedAndSwitchedHandshakes)
{
    warm_up();
    begin(server_of("server"), server_of("sni"));
    EXPECT_TRUE(is(SALLY_OK, meet(listener_.get(), naming_it()).ours));
    LeakGuard leaks;
    for (int i = 0; i < 20; i++) {
        EXPECT_TRUE(is(SALLY_OK, meet(listener_.get(), naming_it()).ours));
        choose_ = [](const char *, ssl_context **) { return SALLY_CONFIG; };
        EXPECT_TRUE(is(SALLY_CONFIG, meet(listener_.get(), naming_it()).ours));
        choose_ = only(kName, other_.get());
    }
}

} // namespace

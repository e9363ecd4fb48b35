// What ssl_wrap_ports agrees on, as ssl_connect and ssl_listen have it: ALPN, contexts by server name,
// sessions; in both modes (P7, C4, C6).
#include <cstring>
#include <string>

#include "scenario/names.h"
#include "scenario/wrapping.h"

namespace sallytest
{
namespace
{

const ssl_alpn_name kOffers[] = {SALLY_ALPN("smtp"), SALLY_ALPN("h2")};

class WrapNames : public Wrap
{
  protected:
    WrapNames()
    {
        ssl_registry *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_registry_new(&made, nullptr));
        registry_.reset(made);
        put("second.example", "sni");
    }
    void put(const char *name, const std::string &stem)
    {
        Context context = server_context(stem);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
        EXPECT_TRUE(
            is(SALLY_OK, ssl_registry_put(registry_.get(), name, context.get(), &err), err));
    }
    // Both ends over a socketpair, with the options as they are now.
    void make()
    {
        auto ends = socketpair_ends();
        Thread connector([&] { connected_ = wrap(over_fd(ends.first), connect_); });
        accepted_ = wrap(over_fd(ends.second), accept_);
        connector.join();
        connected_.ports.reset();
        accepted_.ports.reset();
    }
    // Ours in accept mode, a raw client that names a server at the other end: whom it saw.
    std::string shown_for(const std::string &name)
    {
        auto ends = socketpair_ends();
        auto raw = raw_peer(std::move(ends.first), naming(name));
        Thread client([&] { result_ = raw->handshake(); });
        accepted_ = wrap(over_fd(ends.second), accept_);
        client.join();
        alert_ = raw->last_alert();
        std::string seen = shown(*raw);
        accepted_.ports.reset();
        return seen;
    }
    void expect_usage(const ssl_wrap_options &options, const char *words)
    {
        auto ends = socketpair_ends();
        Outcome outcome = wrap(over_fd(ends.first), options);
        EXPECT_TRUE(is(SALLY_USAGE, outcome));
        EXPECT_NE(nullptr, strstr(outcome.err.text, words)) << outcome.err.text;
        EXPECT_EQ("", drain_plain(ends.second.get()));
    }

    Registry registry_;
    Outcome connected_;
    Outcome accepted_;
    Raw result_ = Raw::Failed;
    int alert_ = -1;
};

// ---- ALPN -------------------------------------------------------------------------------------------

class WrapAlpn : public WrapNames
{
  protected:
    WrapAlpn()
    {
        const ssl_alpn_name served[] = {SALLY_ALPN("h2"), SALLY_ALPN("smtp")};
        EXPECT_EQ(SALLY_OK, ssl_set_server_alpn(server_.get(), served, 2, false, nullptr));
    }
    // What both ends say was agreed on.
    std::string agreed()
    {
        auto ends = socketpair_ends();
        Pair pair;
        Thread connector(
            [&] { pair.client = std::move(wrap(over_fd(ends.first), connect_).ports); });
        pair.server = std::move(wrap(over_fd(ends.second), accept_).ports);
        connector.join();
        EXPECT_TRUE(pair);
        std::string name = selected(pair.client.in());
        EXPECT_EQ(name, selected(pair.server.out()));
        return name;
    }
};

TEST_F(WrapAlpn, C6_AClientOffersAndTheOrderOfTheServersContextWins)
{
    connect_.alpn = kOffers;
    connect_.alpn_count = 2;
    EXPECT_EQ("h2", agreed());
    connect_.alpn_count = 1;
    EXPECT_EQ("smtp", agreed());
}

TEST_F(WrapAlpn, C6_WithoutNamesTheContextOffers)
{
    EXPECT_EQ("", agreed());
    ASSERT_EQ(SALLY_OK, ssl_set_alpn(client_.get(), kOffers, 1, nullptr));
    EXPECT_EQ("smtp", agreed());
    connect_.alpn = kOffers + 1;
    connect_.alpn_count = 1;
    EXPECT_EQ("h2", agreed()) << "the options come first";
}

TEST_F(WrapAlpn, C6_NoMatchFailsBothEnds)
{
    const ssl_alpn_name other[] = {SALLY_ALPN("irc")};
    connect_.alpn = other;
    connect_.alpn_count = 1;
    make();
    EXPECT_TRUE(is(SALLY_PEER, connected_));
    EXPECT_TRUE(is(SALLY_PROTOCOL, accepted_));
}

TEST_F(WrapAlpn, C6_NamesThatCannotBeSentAreUsage)
{
    const ssl_alpn_name empty[] = {SALLY_ALPN("")};
    connect_.alpn = empty;
    connect_.alpn_count = 1;
    expect_usage(connect_, "protocol name");
    connect_.alpn = nullptr;
    expect_usage(connect_, "NULL");
}

TEST_F(WrapAlpn, P7_InAcceptModeTheContextHasTheNames)
{
    accept_.alpn = kOffers;
    accept_.alpn_count = 2;
    expect_usage(accept_, "ssl_set_server_alpn");
}

// ---- server names -----------------------------------------------------------------------------------

TEST_F(WrapNames, C4_TheRegistryIsAskedThenTheContextServes)
{
    accept_.registry = registry_.get();
    EXPECT_EQ("second.example", shown_for("second.example"));
    EXPECT_EQ("second.example", shown_for("SECOND.example."));
    EXPECT_EQ("localhost", shown_for("unknown.example"));
    EXPECT_EQ("localhost", shown_for(""));
    EXPECT_TRUE(is(SALLY_OK, accepted_.status, accepted_.err));
}

TEST_F(WrapNames, C4_TheCallbackOfTheContextComesFirst)
{
    Context other = server_context("wildcard");
    Choose choose = only("second.example", other.get());
    ask(server_.get(), &choose);
    EXPECT_EQ("wild.example", shown_for("second.example"));
    accept_.registry = registry_.get();
    put("third.example", "sni");
    EXPECT_EQ("wild.example", shown_for("second.example"));
    EXPECT_EQ("second.example", shown_for("third.example"));
}

TEST_F(WrapNames, C4_WithoutAContextTheRegistryAloneSaysWhoServes)
{
    accept_.context = nullptr;
    accept_.registry = registry_.get();
    EXPECT_EQ("second.example", shown_for("second.example"));
    shown_for("unknown.example");
    EXPECT_EQ(SALLY_CONFIG, accepted_.status) << accepted_.err.text;
    EXPECT_EQ(Raw::Alert, result_);
    EXPECT_EQ(SSL_AD_UNRECOGNIZED_NAME, alert_);
    shown_for("");
    EXPECT_EQ(SALLY_CONFIG, accepted_.status) << accepted_.err.text;
}

TEST_F(WrapNames, C4_AClientSendsItsHostname)
{
    accept_.registry = registry_.get();
    connect_.hostname = "second.example";
    make();
    EXPECT_EQ(SALLY_OK, connected_.status) << connected_.err.text;
    EXPECT_EQ(SALLY_OK, accepted_.status) << accepted_.err.text;
}

TEST_F(WrapNames, P7_InConnectModeThereIsNoRegistry)
{
    connect_.registry = registry_.get();
    expect_usage(connect_, "options.registry is for accept mode");
}

// ---- sessions ---------------------------------------------------------------------------------------

TEST_F(WrapNames, C6_ASessionIsResumed)
{
    Session session;
    for (bool again : {false, true}) {
        auto ends = socketpair_ends();
        connect_.session = session.get();
        Outcome connected;
        Thread connector([&] { connected = wrap(over_fd(ends.first), connect_); });
        Outcome accepted = wrap(over_fd(ends.second), accept_);
        connector.join();
        ASSERT_TRUE(is(SALLY_OK, connected));
        EXPECT_EQ(again, ssl_port_is_resumed(connected.ports.in()));
        say(accepted.ports, "x"); // behind the ticket
        EXPECT_EQ("x", hear(connected.ports, 1));
        ssl_session *left = nullptr;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_port_session(connected.ports.in(), &left, &err), err));
        session.reset(left);
    }
}

TEST_F(WrapNames, P7_InAcceptModeThereIsNoSession)
{
    Context other = client_context();
    accept_.session = reinterpret_cast<ssl_session *>(other.get()); // not looked into
    expect_usage(accept_, "options.session is for connect mode");
}

// ---- contexts that are made -------------------------------------------------------------------------

TEST_F(WrapNames, P7_AContextThatCannotBeMadeFailsUnderTheNameOfTheCall)
{
    auto ends = socketpair_ends();
    ssl_transport over = over_fd(ends.first);
    for (ssl_wrap_options options : {connect_, accept_}) {
        options.context = nullptr;
        options.protocol = SALLY_PROTOCOL_SSLV3;
        ssl_ports ports;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_wrap_ports(&over, &options, &ports, &err), err));
        EXPECT_EQ(0, strncmp(err.text, "ssl_wrap_ports: ", 16)) << err.text;
    }
}

} // namespace
} // namespace sallytest

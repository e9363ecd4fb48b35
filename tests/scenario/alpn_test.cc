// The protocol inside (ALPN, RFC 7301): what is offered, what a server selects, and who is refused (C6).
#include <cstring>
#include <string>
#include <vector>

#include "names.h"

using namespace sallytest;

namespace
{

const ssl_alpn_name kServed[] = {SALLY_ALPN("h2"), SALLY_ALPN("http/1.1")};

Context serving(bool allow_no_match, const ssl_alpn_name *names = kServed, size_t count = 2)
{
    Context context = server_context();
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_OK, ssl_set_server_alpn(context.get(), names, count, allow_no_match, &err), err));
    return context;
}

class Alpn : public testing::TestWithParam<int>
{
  protected:
    // A raw client that offers `list`.
    Meeting meet_offering(const Context &context, const std::string &list) const
    {
        Listener listener = listen_on_loopback(context.get());
        return meet(listener.get(), raw_client(GetParam()), [&](SSL *ssl) { offer(ssl, list); });
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, Alpn, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

TEST_P(Alpn, C6_TheServersOrderWins)
{
    Meeting meeting = meet_offering(serving(false), "\10http/1.1\2h2");
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("h2", selected(meeting.ours.ports.in()));
    EXPECT_EQ("h2", selected(meeting.ours.ports.out()));
    EXPECT_EQ("h2", selected(*meeting.raw));
}

TEST_P(Alpn, C6_NoMatchIsServedWhereItIsAllowed)
{
    Meeting meeting = meet_offering(serving(true), "\4smtp");
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("", selected(meeting.ours.ports.in()));
    EXPECT_EQ("", selected(*meeting.raw));
    expect_echo(meeting.ours.ports, *meeting.raw);
}

TEST_P(Alpn, C6_NoMatchIsRefusedWhereItIsNot)
{
    Meeting meeting = meet_offering(serving(false), "\4smtp");
    EXPECT_TRUE(is(SALLY_PROTOCOL, meeting.ours));
    EXPECT_EQ(Raw::Alert, meeting.result);
    EXPECT_EQ(SSL_AD_NO_APPLICATION_PROTOCOL, meeting.raw->last_alert());
}

TEST_P(Alpn, C6_AClientThatOffersNothingIsServed)
{
    Meeting meeting = meet_offering(serving(false), "");
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("", selected(meeting.ours.ports.in()));
}

TEST_P(Alpn, C6_AServerWithoutNamesDoesNotLook)
{
    Meeting meeting = meet_offering(serving(false, nullptr, 0), "\2h2");
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ("", selected(*meeting.raw));
}

TEST_P(Alpn, C6_NamesAreBytesOfUpTo255)
{
    const std::string grease("\0\n\xff\x0a", 4);
    const std::string longest(SALLY_ALPN_NAME_MAX, 'x');
    const ssl_alpn_name names[] = {{grease.data(), grease.size()},
                                   {longest.data(), longest.size()}};
    Context context = serving(false, names, 2);
    EXPECT_EQ(longest, selected(meet_offering(context, "\xff" + longest).ours.ports.in()));
    EXPECT_EQ(grease,
              selected(meet_offering(context, "\xff" + longest + "\4" + grease).ours.ports.in()));
}

// ---- the client --------------------------------------------------------------------------------

// Ours at both ends: what the client reads after a connect with `options`.
std::string agreed(const Context &server, ssl_connect_options options, const Context &client)
{
    Listener listener = listen_on_loopback(server.get());
    Ports ports;
    Thread connector([&] {
        ssl_error err;
        options.context = client.get();
        options.timeout_ms = kBoundMs;
        EXPECT_TRUE(
            is(SALLY_OK,
               ssl_connect_with("127.0.0.1", port_of(listener.get()), &options, ports.fill(), &err),
               err));
    });
    Outcome accepted = accept_from(listener.get());
    connector.join();
    EXPECT_TRUE(is(SALLY_OK, accepted));
    std::string name = selected(ports.in());
    EXPECT_EQ(name, selected(accepted.ports.in()));
    return name;
}

TEST(AlpnOfClient, C6_TheContextOffers)
{
    Context client = client_context();
    const ssl_alpn_name offers[] = {SALLY_ALPN("http/1.1")};
    ASSERT_EQ(SALLY_OK, ssl_set_alpn(client.get(), offers, 1, nullptr));
    EXPECT_EQ("http/1.1", agreed(serving(false), SALLY_CONNECT_OPTIONS, client));
    ASSERT_EQ(SALLY_OK, ssl_set_alpn(client.get(), nullptr, 0, nullptr));
    EXPECT_EQ("", agreed(serving(false), SALLY_CONNECT_OPTIONS, client));
}

TEST(AlpnOfClient, C6_OneConnectionOffersSomethingElse)
{
    Context client = client_context();
    const ssl_alpn_name offers[] = {SALLY_ALPN("http/1.1")};
    const ssl_alpn_name special[] = {SALLY_ALPN("x"), SALLY_ALPN("h2")};
    ASSERT_EQ(SALLY_OK, ssl_set_alpn(client.get(), offers, 1, nullptr));
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.alpn = special;
    options.alpn_count = 2;
    EXPECT_EQ("h2", agreed(serving(false), options, client));
    EXPECT_EQ("http/1.1", agreed(serving(false), SALLY_CONNECT_OPTIONS, client));
}

TEST(AlpnOfClient, C6_ARefusalIsThePeersAlert)
{
    Context server = serving(false);
    Listener listener = listen_on_loopback(server.get());
    Context client = client_context();
    const ssl_alpn_name offers[] = {SALLY_ALPN("smtp")};
    ASSERT_EQ(SALLY_OK, ssl_set_alpn(client.get(), offers, 1, nullptr));
    Outcome connected;
    Thread connector(
        [&] { connected = connect_at("127.0.0.1", port_of(listener.get()), client.get()); });
    EXPECT_TRUE(is(SALLY_PROTOCOL, accept_from(listener.get())));
    connector.join();
    EXPECT_TRUE(is(SALLY_PEER, connected));
    EXPECT_EQ(SSL_AD_NO_APPLICATION_PROTOCOL, connected.err.code);
}

TEST(AlpnOfClient, C6_ConnectChecksItsNamesBeforeAnyNetwork)
{
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    const ssl_alpn_name empty[] = {{"", 0}};
    options.alpn = empty;
    options.alpn_count = 1;
    ssl_ports ports;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_connect_with("127.0.0.1", 1, &options, &ports, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "protocol name 1 is empty")) << err.text;
}

// ---- arguments ---------------------------------------------------------------------------------

TEST(AlpnSetters, C6_CheckTheirContext)
{
    Context client = client_context();
    Context server = server_context();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_alpn(nullptr, kServed, 2, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_alpn(server.get(), kServed, 2, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_set_server_alpn")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_server_alpn(client.get(), kServed, 2, false, &err), err));
    ASSERT_EQ(SALLY_OK, ssl_seal_context(server.get(), nullptr));
    EXPECT_TRUE(is(SALLY_SEALED, ssl_set_server_alpn(server.get(), kServed, 2, false, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_set_server_alpn")) << err.text;
}

TEST(AlpnSetters, C6_AFailedOneChangesNothing)
{
    Context client = client_context();
    const std::string too_long(SALLY_ALPN_NAME_MAX + 1, 'x');
    const std::string longest(SALLY_ALPN_NAME_MAX, 'x');
    std::vector<ssl_alpn_name> most(127, {longest.data(), longest.size()}); // 32512 bytes
    most.push_back({longest.data(), 252});                                  // 32765
    most.push_back(kServed[0]);                                             // 32768
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_alpn(client.get(), most.data(), most.size(), &err), err));
    EXPECT_EQ("h2", agreed(serving(false), SALLY_CONNECT_OPTIONS, client)) << "it can be sent";
    ASSERT_TRUE(is(SALLY_OK, ssl_set_alpn(client.get(), kServed, 2, &err), err));
    most[0].length--;
    most[1].length--;
    most.push_back({"x", 2});
    const ssl_alpn_name no_bytes[] = {{nullptr, 1}};
    const ssl_alpn_name no_length[] = {{"h2", 0}};
    const ssl_alpn_name large[] = {SALLY_ALPN("h2"), {too_long.data(), too_long.size()}};
    auto set = [&](const ssl_alpn_name *names, size_t count) {
        return ssl_set_alpn(client.get(), names, count, &err);
    };
    EXPECT_TRUE(is(SALLY_USAGE, set(nullptr, 1), err));
    EXPECT_TRUE(is(SALLY_USAGE, set(no_bytes, 1), err));
    EXPECT_TRUE(is(SALLY_USAGE, set(no_length, 1), err));
    EXPECT_TRUE(is(SALLY_USAGE, set(large, 2), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "name 2 is too long")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, set(most.data(), most.size()), err));
    EXPECT_EQ("h2", agreed(serving(false), SALLY_CONNECT_OPTIONS, client));
}

TEST(AlpnSelected, C6_ChecksItsArguments)
{
    Pair pair = connected_pair();
    char name[SALLY_ALPN_NAME_MAX];
    size_t length = 7;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_get_alpn_selected(nullptr, name, 1, &length, &err), err));
    EXPECT_EQ(0u, length);
    EXPECT_TRUE(
        is(SALLY_USAGE, ssl_get_alpn_selected(pair.client.in(), name, 1, nullptr, &err), err));
    EXPECT_TRUE(
        is(SALLY_USAGE, ssl_get_alpn_selected(pair.client.in(), nullptr, 1, &length, &err), err));
    EXPECT_TRUE(
        is(SALLY_OK, ssl_get_alpn_selected(pair.client.in(), nullptr, 0, &length, &err), err));
}

TEST(AlpnSelected, C6_TooLittleRoomIsALimitAndClosedIsClosed)
{
    Context server = serving(false);
    Listener listener = listen_on_loopback(server.get());
    Meeting meeting =
        meet(listener.get(), raw_client(), [](SSL *ssl) { offer(ssl, "\10http/1.1"); });
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    const Ports &ours = meeting.ours.ports;
    char name[8];
    size_t length = 7;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_get_alpn_selected(ours.in(), name, 7, &length, &err), err));
    EXPECT_EQ(0u, length);
    EXPECT_TRUE(is(SALLY_OK, ssl_get_alpn_selected(ours.in(), name, 8, &length, &err), err));
    EXPECT_EQ("http/1.1", std::string(name, length));
    ssl_abandon_port(ours.in());
    EXPECT_TRUE(is(SALLY_OK, ssl_get_alpn_selected(ours.in(), name, 8, &length, &err), err));
    ssl_abandon_port(ours.out());
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_get_alpn_selected(ours.in(), name, 8, &length, &err), err));
    EXPECT_EQ(0u, length);
}

} // namespace

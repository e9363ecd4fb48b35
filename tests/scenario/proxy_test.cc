// Clients behind a proxy that says who they are (W8, P5): over real sockets, by accept and by a server.
#include <cstring>
#include <string>

#include <sys/un.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "scenario/service.h"
#include "support/guards.h"
#include "support/proxy_headers.h"

using namespace sallytest;

namespace
{

ssl_listen_options proxied_options(ssl_proxy_mode mode = SALLY_PROXY_REQUIRED,
                                   const char *trusted = "127.0.0.1")
{
    ssl_listen_options options = loopback_options();
    options.proxy = mode;
    options.proxy_trusted = trusted;
    return options;
}

void send_all(RawPeer *peer, const std::string &bytes)
{
    EXPECT_EQ(static_cast<long>(bytes.size()), peer->channel().send(bytes));
}

std::unique_ptr<RawPeer> proxied_client(int port, const std::string &header)
{
    auto peer = raw_client_at(port);
    send_all(peer.get(), header);
    return peer;
}

std::string at(const char *address, int port)
{
    return std::string(address) + " " + std::to_string(port);
}

struct Ends {
    std::string remote;
    std::string local;
};

Ends ends_of(const ssl_port *port, decltype(ssl_addresses) *ask = ssl_addresses)
{
    ssl_endpoints ends = {};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ask(port, &ends, &err), err));
    return {at(ends.remote, ends.remote_port), at(ends.local, ends.local_port)};
}

class ProxyTest : public testing::Test
{
  protected:
    // Accepts while the client, behind `header`, does its handshake.
    Outcome accept_behind(const std::string &header,
                          const ssl_listen_options &options = proxied_options())
    {
        listener = listen_with(options, server.get());
        port = port_of(listener.get());
        client = std::make_unique<Handshaker>(proxied_client(port, header));
        return accept_from(listener.get());
    }

    Context server = server_context();
    Listener listener;
    int port = 0;
    std::unique_ptr<Handshaker> client;
};

TEST_F(ProxyTest, W8_P5_TheAddressesAreTheClients)
{
    for (const std::string &header : {v1_tcp4(), v2_tcp4()}) {
        Outcome served = accept_behind(header);
        ASSERT_TRUE(is(SALLY_OK, served));
        for (ssl_port *door : {served.ports.in(), served.ports.out()}) {
            EXPECT_EQ("192.0.2.7 40001", ends_of(door).remote);
            EXPECT_EQ("203.0.113.9 443", ends_of(door).local);
            EXPECT_EQ(at("127.0.0.1", port), ends_of(door, ssl_socket_addresses).local);
            EXPECT_EQ(0U, ends_of(door, ssl_socket_addresses).remote.find("127.0.0.1 "));
        }
        expect_echo(served.ports, client->raw());
    }
}

TEST_F(ProxyTest, W8_P5_Ipv6AndUnixClients)
{
    Outcome v6 = accept_behind(v2_tcp6());
    ASSERT_TRUE(is(SALLY_OK, v6));
    EXPECT_EQ("2001:db8::7 40001", ends_of(v6.ports.in()).remote);
    EXPECT_EQ("2001:db8::9 443", ends_of(v6.ports.in()).local);
    EXPECT_EQ(Raw::Ok, client->result());
    Outcome local = accept_behind(v2_header(0x21, 0x31, unix_block("/run/client", "/run/door")));
    ASSERT_TRUE(is(SALLY_OK, local));
    EXPECT_EQ("unix:/run/client 0", ends_of(local.ports.in()).remote);
    EXPECT_EQ("unix:/run/door 0", ends_of(local.ports.in()).local);
}

TEST_F(ProxyTest, W8_P5_LocalAndUnknownHaveTheSocketsAddresses)
{
    for (const std::string &header : {v2_local(), std::string("PROXY UNKNOWN\r\n")}) {
        Outcome served = accept_behind(header);
        ASSERT_TRUE(is(SALLY_OK, served));
        Ends ends = ends_of(served.ports.in());
        EXPECT_EQ(at("127.0.0.1", port), ends.local);
        EXPECT_EQ(ends_of(served.ports.in(), ssl_socket_addresses).remote, ends.remote);
        expect_echo(served.ports, client->raw());
    }
}

TEST_F(ProxyTest, P5_WithoutAProxyTheSocketsAddressesAreTheSame)
{
    Pair pair = connected_pair();
    for (ssl_port *door : {pair.client.in(), pair.server.out()}) {
        EXPECT_EQ(ends_of(door).remote, ends_of(door, ssl_socket_addresses).remote);
        EXPECT_EQ(ends_of(door).local, ends_of(door, ssl_socket_addresses).local);
    }
    ssl_endpoints ends;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_socket_addresses(nullptr, &ends, &err), err));
    EXPECT_STREQ("ssl_socket_addresses: the port is NULL", err.text);
    ASSERT_EQ(SALLY_OK, ssl_close_port(pair.client.in(), nullptr));
    ASSERT_EQ(SALLY_OK, ssl_close_port(pair.client.out(), nullptr));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_socket_addresses(pair.client.in(), &ends, &err), err));
}

TEST_F(ProxyTest, W8_AByteAtATimeIsAsGood)
{
    listener = listen_with(proxied_options(), server.get());
    Thread accepting([&] { EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get()))); });
    auto slow_one = raw_client_at(port_of(listener.get()));
    for (char byte : v2_tcp4()) {
        ASSERT_TRUE(wait_until_asleep(accepting));
        send_all(slow_one.get(), std::string(1, byte));
    }
    EXPECT_EQ(Raw::Ok, slow_one->handshake());
}

TEST_F(ProxyTest, W8_ErrorsNameTheClient)
{
    listener = listen_with(proxied_options(), server.get());
    auto rude = proxied_client(port_of(listener.get()), v2_tcp4() + "this is no TLS");
    Outcome refused = accept_from(listener.get());
    EXPECT_TRUE(is(SALLY_PROTOCOL, refused));
    EXPECT_NE(nullptr, std::strstr(refused.err.text, "192.0.2.7:40001")) << refused.err.text;
}

TEST_F(ProxyTest, L2_W8_SilentHalvesOfHeadersDelayNobody)
{
    listener = listen_with(proxied_options(), server.get());
    port = port_of(listener.get());
    std::vector<std::unique_ptr<RawPeer>> slow_ones;
    for (size_t n = 0; n < v2_tcp4().size(); n++) {
        slow_ones.push_back(proxied_client(port, v2_tcp4().substr(0, n)));
    }
    client = std::make_unique<Handshaker>(proxied_client(port, v2_tcp4()));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    expect_echo(served.ports, client->raw());
}

TEST_F(ProxyTest, L2_W8_HalfAHeaderIsDroppedAtTheHandshakeDeadline)
{
    ssl_listen_options options = proxied_options();
    options.handshake_timeout_ms = 50;
    for (const std::string &half : {std::string(), v1_tcp4().substr(0, 9), v2_tcp4()}) {
        listener = listen_with(options, server.get());
        auto silent = proxied_client(port_of(listener.get()), half);
        Outcome late = accept_from(listener.get());
        EXPECT_TRUE(is(SALLY_TIMEOUT, late));
        EXPECT_EQ(SALLY_PHASE_HANDSHAKE, late.err.phase);
        const char *why = half == v2_tcp4() ? "192.0.2.7:40001" : "no whole PROXY header came";
        EXPECT_NE(nullptr, std::strstr(late.err.text, why)) << late.err.text;
    }
}

// What a trusted source says must be right: it is never taken for a client of its own.
TEST_F(ProxyTest, W8_ATrustedSourceMustSendTheHeader)
{
    for (ssl_proxy_mode mode : {SALLY_PROXY_REQUIRED, SALLY_PROXY_OR_DIRECT}) {
        listener = listen_with(proxied_options(mode), server.get());
        auto direct = raw_client_at(port_of(listener.get()));
        direct->send_half_client_hello();
        Outcome refused = accept_from(listener.get());
        EXPECT_TRUE(is(SALLY_PROTOCOL, refused));
        EXPECT_NE(nullptr, std::strstr(refused.err.text, "no PROXY header")) << refused.err.text;
        std::string rest;
        EXPECT_EQ(Raw::Cut, direct->read_to_end(&rest));
    }
}

TEST_F(ProxyTest, W8_OthersAreRefusedBeforeAByteIsRead)
{
    listener = listen_with(proxied_options(SALLY_PROXY_REQUIRED, "192.0.2.0/24"), server.get());
    auto liar = raw_client_at(port_of(listener.get()));
    Outcome refused = accept_from(listener.get());
    EXPECT_TRUE(is(SALLY_PROTOCOL, refused));
    EXPECT_NE(nullptr, std::strstr(refused.err.text, "not among the trusted proxies"));
    std::string rest;
    EXPECT_EQ(Raw::Cut, liar->read_to_end(&rest));
}

TEST_F(ProxyTest, W8_OrAreClientsWhoseHeadersAreNotBelieved)
{
    ssl_listen_options options = proxied_options(SALLY_PROXY_OR_DIRECT, "192.0.2.0/24");
    Outcome direct = accept_behind("", options);
    ASSERT_TRUE(is(SALLY_OK, direct));
    EXPECT_EQ(0U, ends_of(direct.ports.in()).remote.find("127.0.0.1 "));
    expect_echo(direct.ports, client->raw());
    Outcome liar = accept_behind(v2_tcp4(), options);
    EXPECT_TRUE(is(SALLY_PROTOCOL, liar));
    EXPECT_EQ(nullptr, std::strstr(liar.err.text, "192.0.2.7")) << liar.err.text;
    EXPECT_NE(Raw::Ok, client->result());
}

TEST_F(ProxyTest, W8_AListenerWithoutTheOptionBelievesNobody)
{
    for (const std::string &header : {v1_tcp4(), v2_tcp4()}) {
        Outcome liar = accept_behind(header, loopback_options());
        EXPECT_TRUE(is(SALLY_PROTOCOL, liar));
        EXPECT_NE(Raw::Ok, client->result());
    }
}

// A health check is neither a client nor a failure: the accept that saw it goes on to the next.
TEST_F(ProxyTest, W8_HealthChecksAreNoNews)
{
    listener = listen_with(proxied_options(), server.get());
    port = port_of(listener.get());
    connect_to(port).close();
    reset_socket(connect_to(port));
    proxied_client(port, v2_local())->end();
    proxied_client(port, v2_local())->reset();
    client = std::make_unique<Handshaker>(proxied_client(port, v2_tcp4()));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    EXPECT_EQ("192.0.2.7 40001", ends_of(served.ports.in()).remote);
    expect_echo(served.ports, client->raw());
}

TEST_F(ProxyTest, W8_AClientThatLeavesIsStillAFailure)
{
    listener = listen_with(proxied_options(), server.get());
    proxied_client(port_of(listener.get()), v2_tcp4())->end();
    Outcome gone = accept_from(listener.get());
    EXPECT_TRUE(is(SALLY_TRUNCATED, gone));
    EXPECT_NE(nullptr, std::strstr(gone.err.text, "192.0.2.7:40001")) << gone.err.text;
}

TEST_F(ProxyTest, E3_AWrongItemOfTheListIsNamed)
{
    ssl_listen_options options = proxied_options(SALLY_PROXY_REQUIRED, "127.0.0.1, 10.0.0.1/8");
    ssl_listener *made = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(0, &options, server.get(), &made, &err), err));
    EXPECT_EQ(nullptr, made);
    EXPECT_NE(nullptr, std::strstr(err.text, "\"10.0.0.1/8\"")) << err.text;
}

// Whoever may open a Unix socket's file may be trusted with it.
TEST_F(ProxyTest, W8_ProxiesOverAUnixSocket)
{
    std::string path = "@sallyport-proxy-" + std::to_string(getpid());
    std::string host = "unix:" + path;
    ssl_listen_options options = proxied_options(SALLY_PROXY_REQUIRED, "unix");
    options.host = host.c_str();
    listener = listen_with(options, server.get());
    sockaddr_un addr = {};
    addr.sun_family = AF_UNIX;
    std::memcpy(addr.sun_path + 1, path.data() + 1, path.size() - 1);
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, connect(fd.get(), reinterpret_cast<sockaddr *>(&addr),
                         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())));
    auto raw = raw_peer(std::move(fd), raw_client());
    send_all(raw.get(), v2_tcp4());
    client = std::make_unique<Handshaker>(std::move(raw));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    EXPECT_EQ("192.0.2.7 40001", ends_of(served.ports.in()).remote);
    EXPECT_EQ(host + " 0", ends_of(served.ports.in(), ssl_socket_addresses).local);
}

// ---- what else a proxy says ----------------------------------------------------------------------

ssl_listen_options telling_options(ssl_proxy_mode mode = SALLY_PROXY_REQUIRED,
                                   const char *trusted = "127.0.0.1")
{
    ssl_listen_options options = proxied_options(mode, trusted);
    options.proxy_tlvs = true;
    return options;
}

std::string v2_telling(const std::string &extensions)
{
    return v2_header(0x21, 0x11, v2_tcp4().substr(16) + extensions);
}

// Of the TLS between client and proxy, with one extension of its own.
std::string ssl_tlv(const std::string &inner)
{
    return tlv(SALLY_TLV_SSL, std::string("\x01\0\0\0\0", 5) + inner);
}

// In angle brackets; "none" without.
std::string tlv_of(const ssl_port *port, int type)
{
    const void *value = port;
    size_t length = 77;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_proxy_tlv(port, type, &value, &length, &err), err));
    return value != nullptr ? "<" + std::string(static_cast<const char *>(value), length) + ">"
                            : "none";
}

void expect_no_tlv(ssl_status wanted, const ssl_port *port, int type, const char *says)
{
    const void *value = port;
    size_t length = 77;
    ssl_error err;
    EXPECT_TRUE(is(wanted, ssl_proxy_tlv(port, type, &value, &length, &err), err));
    EXPECT_EQ(nullptr, value);
    EXPECT_EQ(0U, length);
    EXPECT_EQ(err.text, std::strstr(err.text, "ssl_proxy_tlv: ")) << err.text;
    EXPECT_NE(nullptr, std::strstr(err.text, says)) << err.text;
}

TEST_F(ProxyTest, W8_WhatElseTheProxySaysIsGiven)
{
    const std::string header =
        v2_telling(tlv(SALLY_TLV_ALPN, "h2") + tlv(SALLY_TLV_AUTHORITY, "www.example.org") +
                   tlv(SALLY_TLV_UNIQUE_ID, std::string("\0id", 3)) + tlv(0xE0, "") +
                   ssl_tlv(tlv(0x21, "TLSv1.3")));
    Outcome served = accept_behind(header, telling_options());
    ASSERT_TRUE(is(SALLY_OK, served));
    EXPECT_EQ("192.0.2.7 40001", ends_of(served.ports.in()).remote);
    for (ssl_port *door : {served.ports.in(), served.ports.out()}) {
        EXPECT_EQ("<h2>", tlv_of(door, SALLY_TLV_ALPN));
        EXPECT_EQ("<www.example.org>", tlv_of(door, SALLY_TLV_AUTHORITY));
        EXPECT_EQ(std::string("<\0id>", 5), tlv_of(door, SALLY_TLV_UNIQUE_ID));
        EXPECT_EQ("<TLSv1.3>", tlv_of(door, SALLY_TLV_SSL_VERSION));
        EXPECT_EQ("<>", tlv_of(door, 0xE0)) << "empty is not absent";
        EXPECT_EQ("none", tlv_of(door, 0xE1));
        EXPECT_EQ("none", tlv_of(door, SALLY_TLV_SSL_CN));
    }
    expect_echo(served.ports, client->raw());
    ssl_abandon_port(served.ports.in());
    ssl_abandon_port(served.ports.out());
    EXPECT_EQ("<h2>", tlv_of(served.ports.in(), SALLY_TLV_ALPN)) << "closed, and not freed";
}

TEST_F(ProxyTest, W8_WhoSaysNothingMoreHasNoExtensions)
{
    const std::string behind_addresses = v2_tcp4().substr(16) + tlv(SALLY_TLV_ALPN, "h2");
    for (const std::string &header :
         {v1_tcp4(), v2_tcp4(), v2_local(), v2_header(0x20, 0x11, behind_addresses)}) {
        Outcome served = accept_behind(header, telling_options());
        ASSERT_TRUE(is(SALLY_OK, served));
        EXPECT_EQ("none", tlv_of(served.ports.in(), SALLY_TLV_ALPN));
        EXPECT_EQ(Raw::Ok, client->result());
    }
    Outcome direct = accept_behind("", telling_options(SALLY_PROXY_OR_DIRECT, "::1"));
    ASSERT_TRUE(is(SALLY_OK, direct));
    EXPECT_EQ("none", tlv_of(direct.ports.in(), SALLY_TLV_ALPN)) << "no proxy is in between";
    EXPECT_EQ(Raw::Ok, client->result());
}

TEST_F(ProxyTest, W8_TwoOfAKindAndLyingLengthsInsideAreNotGuessedAt)
{
    std::string liar = tlv(0x22, "name");
    liar[2] = 9;
    const std::string name = tlv(SALLY_TLV_AUTHORITY, "a.example");
    Outcome served = accept_behind(v2_telling(name + name + ssl_tlv(liar)), telling_options());
    ASSERT_TRUE(is(SALLY_OK, served));
    ssl_port *in = served.ports.in();
    expect_no_tlv(SALLY_PROTOCOL, in, SALLY_TLV_AUTHORITY,
                  "type 0x02: the PROXY header has it more");
    expect_no_tlv(SALLY_PROTOCOL, in, SALLY_TLV_SSL_CN,
                  "type 0x2022: the extensions in SALLY_TLV_SSL");
    EXPECT_EQ("none", tlv_of(in, SALLY_TLV_ALPN));
    expect_echo(served.ports, client->raw());
}

TEST_F(ProxyTest, W8_AHeaderWhoseChecksumIsWrongTellsNothing)
{
    std::string header = v2_with_checksum(0x11, v2_tcp4().substr(16));
    Outcome good = accept_behind(header, telling_options());
    ASSERT_TRUE(is(SALLY_OK, good));
    EXPECT_EQ("<unique>", tlv_of(good.ports.in(), SALLY_TLV_UNIQUE_ID));
    EXPECT_EQ(6U, tlv_of(good.ports.in(), SALLY_TLV_CRC32C).size());
    EXPECT_EQ(Raw::Ok, client->result());
    header.back() ^= 1;
    Outcome bad = accept_behind(header, telling_options());
    EXPECT_TRUE(is(SALLY_PROTOCOL, bad));
    EXPECT_NE(Raw::Ok, client->result());
}

TEST_F(ProxyTest, E3_AskingForExtensionsThatWereNotKeptOrCannotBe)
{
    Outcome served = accept_behind(v2_telling(tlv(SALLY_TLV_ALPN, "h2")));
    ASSERT_TRUE(is(SALLY_OK, served));
    const ssl_port *in = served.ports.in();
    expect_no_tlv(SALLY_USAGE, in, SALLY_TLV_ALPN, "set options.proxy_tlvs for ssl_listen");
    expect_no_tlv(SALLY_USAGE, nullptr, SALLY_TLV_ALPN, "the port is NULL");
    for (int type : {-1, 0x100, 0x2100}) {
        expect_no_tlv(SALLY_USAGE, in, type, "is no type");
    }
    const void *value = in;
    size_t length = 77;
    EXPECT_EQ(SALLY_USAGE, ssl_proxy_tlv(in, SALLY_TLV_ALPN, nullptr, &length, nullptr));
    EXPECT_EQ(0U, length);
    EXPECT_EQ(SALLY_USAGE, ssl_proxy_tlv(in, SALLY_TLV_ALPN, &value, nullptr, nullptr));
    EXPECT_EQ(nullptr, value);
    EXPECT_EQ(Raw::Ok, client->result());
    ssl_listen_options off = loopback_options();
    off.proxy_tlvs = true;
    ssl_listener *made = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(0, &off, server.get(), &made, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "options.proxy_tlvs")) << err.text;
}

// ---- through a server --------------------------------------------------------------------------

// Answers every line with the client's address.
ssl_served tell_address(ssl_connection *, ssl_port *in, ssl_port *out)
{
    char line[64];
    size_t length = 0;
    ssl_endpoints ends = {};
    if (ssl_read_line(in, line, sizeof line, &length, nullptr) != SALLY_OK ||
        ssl_addresses(in, &ends, nullptr) != SALLY_OK) {
        return SALLY_DONE;
    }
    bool told =
        ssl_printf(out, nullptr, nullptr, "%s %d\n", ends.remote, ends.remote_port) == SALLY_OK;
    return told ? SALLY_KEEP : SALLY_DONE;
}

std::string ask_address(RawPeer *peer)
{
    std::string answer;
    EXPECT_EQ(Raw::Ok, peer->write_all("who am I?\n"));
    while (answer.find('\n') == std::string::npos) {
        std::string more;
        if (peer->read_some(&more) != Raw::Ok) {
            return "no answer";
        }
        answer += more;
    }
    return answer;
}

TEST(ProxyServer, W8_P5_HandlersSeeTheClient)
{
    Service service(tell_address, service_options(), proxied_options());
    for (const std::string &header : {v1_tcp4(), v2_tcp4()}) {
        auto peer = proxied_client(service.port(), header);
        ASSERT_EQ(Raw::Ok, peer->handshake());
        EXPECT_EQ("192.0.2.7 40001\n", ask_address(peer.get()));
        EXPECT_EQ("192.0.2.7 40001\n", ask_address(peer.get()));
    }
}

TEST(ProxyServer, W8_HandlersGetWhatElseTheProxySays)
{
    auto tell_name = [](ssl_connection *, ssl_port *in, ssl_port *out) {
        char line[64];
        size_t length = 0;
        if (ssl_read_line(in, line, sizeof line, &length, nullptr) != SALLY_OK) {
            return SALLY_DONE;
        }
        std::string name = tlv_of(in, SALLY_TLV_AUTHORITY) + "\n";
        (void)ssl_write(out, name.data(), name.size(), nullptr, nullptr);
        return SALLY_KEEP;
    };
    Service service(tell_name, service_options(), telling_options());
    auto named =
        proxied_client(service.port(), v2_telling(tlv(SALLY_TLV_AUTHORITY, "www.example.org")));
    auto nameless = proxied_client(service.port(), v2_tcp4());
    ASSERT_EQ(Raw::Ok, named->handshake());
    ASSERT_EQ(Raw::Ok, nameless->handshake());
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ("<www.example.org>\n", ask_address(named.get()));
        EXPECT_EQ("none\n", ask_address(nameless.get()));
    }
}

TEST(ProxyServer, W2_W8_AByteAtATimeBesideGoodClients)
{
    Service service(tell_address, service_options(1), proxied_options());
    auto slow_one = raw_client_at(service.port());
    auto half = proxied_client(service.port(), v2_tcp4().substr(0, 20));
    auto silent = proxied_client(service.port(), v2_tcp4());
    for (char byte : v1_tcp4()) {
        send_all(slow_one.get(), std::string(1, byte));
    }
    auto good = proxied_client(service.port(), v2_tcp6());
    ASSERT_EQ(Raw::Ok, good->handshake());
    EXPECT_EQ("2001:db8::7 40001\n", ask_address(good.get()));
    ASSERT_EQ(Raw::Ok, slow_one->handshake());
    EXPECT_EQ("192.0.2.7 40001\n", ask_address(slow_one.get()));
}

TEST(ProxyServer, W8_HalfAHeaderIsDroppedAtTheHandshakeDeadline)
{
    ssl_server_options quick = service_options();
    quick.handshake_timeout_ms = 50;
    Service service(tell_address, quick, proxied_options());
    auto half = proxied_client(service.port(), v2_tcp4().substr(0, 20));
    auto silent = proxied_client(service.port(), v2_tcp4());
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_timed_out == 2; }));
    EXPECT_TRUE(service.rests(0));
}

TEST(ProxyServer, W8_HealthChecksAndStrangersAreCountedApart)
{
    warm_up();
    LeakGuard leaks;
    Service service(tell_address, service_options(), proxied_options());
    connect_to(service.port()).close();
    proxied_client(service.port(), v2_local())->end();
    proxied_client(service.port(), v2_local())->reset();
    EXPECT_TRUE(service.reaches([](auto &now) { return now.health_checks == 3; }));
    auto bad = proxied_client(service.port(), "GET / HTTP/1.1\r\n");
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_failed == 1; }));
    Service closed(tell_address, service_options(), proxied_options(SALLY_PROXY_REQUIRED, "::1"));
    auto stranger = raw_client_at(closed.port());
    EXPECT_TRUE(closed.reaches([](auto &now) { return now.proxy_refused == 1; }));
    EXPECT_TRUE(closed.rests(0));
    EXPECT_EQ(0U, closed.count().handshakes_failed);
    EXPECT_EQ(0U, service.count().proxy_refused);
}

// The header comes first and the rest later, as from HAProxy. One worker takes events as they come: once
// it has served somebody else, it has seen the header.
TEST(ProxyServer, W8_AHealthCheckWhoseEndComesLaterIsOneToo)
{
    Service service(tell_address, service_options(1), proxied_options());
    auto check = proxied_client(service.port(), v2_local());
    auto good = proxied_client(service.port(), v2_tcp6());
    ASSERT_EQ(Raw::Ok, good->handshake());
    EXPECT_EQ("2001:db8::7 40001\n", ask_address(good.get()));
    check->end();
    EXPECT_TRUE(service.reaches([](auto &now) { return now.health_checks == 1; }));
    EXPECT_EQ(0U, service.count().handshakes_failed);
}

TEST(ProxyServer, W6_ADrainEndsWaitsForHeaders)
{
    Service service(tell_address, service_options(), proxied_options());
    auto half = proxied_client(service.port(), v2_tcp4().substr(0, 20));
    auto silent = proxied_client(service.port(), v2_tcp4());
    EXPECT_TRUE(service.reaches([](auto &now) { return now.open == 2; }));
    EXPECT_EQ(SALLY_OK, service.drain(kBoundMs, kBoundMs));
    EXPECT_EQ(0U, service.count().open);
}

} // namespace

// Connecting: what cannot be reached, what may not be asked, and breaks at every point.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "scenario/ends.h"
#include "support/full_listener.h"
#include "support/guards.h"

using namespace sallytest;
using testing::Test;

namespace
{

class ConnectTest : public Test
{
  protected:
    Context client_ = client_context();
};

TEST_F(ConnectTest, GivesTwoPortsThatTalk)
{
    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    Outcome client;
    Thread connector(
        [&] { client = connect_at("localhost", port_of(listener.get()), client_.get()); });
    Outcome served = accept_from(listener.get());
    connector.join();
    ASSERT_TRUE(is(SALLY_OK, client));
    ASSERT_TRUE(is(SALLY_OK, served));
    char byte = 0;
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_write(client.ports.out(), "a", 1, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_read(served.ports.in(), &byte, 1, &got, nullptr));
    EXPECT_EQ('a', byte);
}

TEST_F(ConnectTest, ThePlainCallConnectsToo)
{
    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    Outcome served;
    Thread acceptor([&] { served = accept_from(listener.get()); });
    Outcome client;
    client.status = ssl_connect("127.0.0.1", port_of(listener.get()), client_.get(),
                                client.ports.fill(), &client.err);
    acceptor.join();
    EXPECT_TRUE(is(SALLY_OK, client));
    EXPECT_TRUE(is(SALLY_OK, served));
}

TEST_F(ConnectTest, P6_TcpNoDelayIsOnAtBothEnds)
{
    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    SocketsSince since;
    Outcome client;
    Thread connector(
        [&] { client = connect_at("127.0.0.1", port_of(listener.get()), client_.get()); });
    Outcome served = accept_from(listener.get());
    connector.join();
    std::vector<int> fds = since.opened();
    EXPECT_EQ(2u, fds.size());
    for (int fd : fds) {
        int on = 0;
        socklen_t size = sizeof on;
        EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size));
        EXPECT_EQ(1, on);
        EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

// ---- what cannot be -----------------------------------------------------------------------------

struct BadConnect {
    const char *name;
    const char *host;
    int port;
    ssl_status status;
    const char *text; // what the message must name
};

void PrintTo(const BadConnect &bad, std::ostream *out)
{
    *out << bad.name;
}

class BadConnectTest : public testing::TestWithParam<BadConnect>
{
};

TEST_P(BadConnectTest, IsAClearError_E2_E3)
{
    Context client = client_context();
    FdGuard guard;
    in_new_thread([&] {
        int poison = 0;
        ssl_ports ports = {reinterpret_cast<ssl_port *>(&poison), nullptr};
        ssl_error err;
        ssl_status status =
            ssl_connect(GetParam().host, GetParam().port, client.get(), &ports, &err);
        EXPECT_TRUE(is(GetParam().status, status, err));
        EXPECT_EQ(nullptr, ports.in);
        EXPECT_EQ(nullptr, ports.out);
        EXPECT_NE(nullptr, strstr(err.text, GetParam().text)) << err.text;
    });
}

// No resolver asks anybody for it: a label has 63 letters at most (RFC 1035 section 2.3.4).
static const char kNoHost[] = "a-host-whose-name-is-longer-than-a-label-can-be-and-so-nobody-has";

INSTANTIATE_TEST_SUITE_P(
    All, BadConnectTest,
    testing::Values(
        BadConnect{"PortZero", "127.0.0.1", 0, SALLY_USAGE, "port 0"},
        BadConnect{"PortNegative", "127.0.0.1", -5, SALLY_USAGE, "port -5"},
        BadConnect{"PortTooLarge", "127.0.0.1", 65536, SALLY_USAGE, "65535"},
        BadConnect{"HostNull", nullptr, 443, SALLY_USAGE, "NULL"},
        BadConnect{"HostEmpty", "", 443, SALLY_USAGE, "empty"},
        BadConnect{"HostUnknown", kNoHost, 443, SALLY_SYSTEM, kNoHost},
        BadConnect{"HostIsNoName", "no such host", 443, SALLY_USAGE, "no such host"},
        BadConnect{"Unreachable", "255.255.255.255", 443, SALLY_SYSTEM, "255.255.255.255"},
        BadConnect{"UnixMissing", "unix:/no/such/socket", 0, SALLY_SYSTEM, "/no/such/socket"},
        BadConnect{"UnixWithPort", "unix:/no/such/socket", 443, SALLY_USAGE, "must be 0"},
        BadConnect{"UnixEmpty", "unix:", 0, SALLY_USAGE, "unix:"}),
    [](const auto &test) { return test.param.name; });

TEST_F(ConnectTest, ARefusalNamesHostPortAndReason)
{
    ClosedPort closed;
    Outcome outcome = connect_at("localhost", closed.port(), client_.get());
    EXPECT_TRUE(is(SALLY_SYSTEM, outcome));
    EXPECT_EQ(ECONNREFUSED, outcome.err.sys_errno);
    EXPECT_EQ(SALLY_PHASE_CONNECT, outcome.err.phase);
    for (std::string part :
         {std::string("localhost"), std::to_string(closed.port()), std::string("refused")}) {
        EXPECT_NE(nullptr, strstr(outcome.err.text, part.c_str())) << outcome.err.text;
    }
}

TEST_F(ConnectTest, OnlyAClientContextWillDoAndNothingIsSent)
{
    RawListener listener;
    Context server = server_context();
    ssl_ports ports;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE,
                   ssl_connect("127.0.0.1", listener.port(), server.get(), &ports, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE,
                   ssl_connect("127.0.0.1", listener.port(), client_.get(), nullptr, &err), err));
    Fd next = connect_to(listener.port()); // were anyone queued before it, it would be the second
    Fd first = listener.accept();
    sockaddr_in ours = {};
    sockaddr_in theirs = {};
    socklen_t length = sizeof ours;
    getsockname(next.get(), reinterpret_cast<sockaddr *>(&ours), &length);
    getpeername(first.get(), reinterpret_cast<sockaddr *>(&theirs), &length);
    EXPECT_EQ(ours.sin_port, theirs.sin_port);
}

TEST_F(ConnectTest, C7_ANameThatIsNotInTheCertificateIsRefused)
{
    Context server = server_context("wrong-host");
    Listener listener = listen_on_loopback(server.get());
    Outcome served;
    Thread acceptor([&] { served = accept_from(listener.get()); });
    Outcome client = connect_at("localhost", port_of(listener.get()), client_.get());
    acceptor.join();
    EXPECT_TRUE(is(SALLY_VERIFY, client));
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, client.err.phase);
    EXPECT_TRUE(is(SALLY_PEER, served));
}

TEST_F(ConnectTest, ACutInTheHandshakeIsTruncated)
{
    for (bool reset : {false, true}) {
        RawListener listener;
        Thread cutter([&] {
            Fd fd = listener.accept();
            std::vector<char> hello(64);
            EXPECT_LT(0, recv(fd.get(), hello.data(), hello.size(), 0));
            if (reset) {
                reset_socket(std::move(fd));
            }
        });
        Outcome outcome = connect_at("127.0.0.1", listener.port(), client_.get());
        cutter.join();
        EXPECT_TRUE(outcome.status == SALLY_TRUNCATED || outcome.status == SALLY_SYSTEM)
            << ssl_status_name(outcome.status);
        EXPECT_EQ(SALLY_PHASE_HANDSHAKE, outcome.err.phase);
        EXPECT_FALSE(outcome.ports);
    }
}

// ---- options ------------------------------------------------------------------------------------

ssl_connect_options options_for(ssl_context *context)
{
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context;
    options.timeout_ms = kBoundMs;
    return options;
}

TEST_F(ConnectTest, C7_AnotherServerNameIsSentAndChecked)
{
    for (const char *name : {"localhost", "elsewhere.example"}) {
        RawListener listener;
        std::string sent;
        Thread raw([&] {
            auto peer = raw_peer(listener.accept(), raw_server());
            (void)peer->handshake();
            const char *asked = SSL_get_servername(peer->ssl(), TLSEXT_NAMETYPE_host_name);
            sent = asked == nullptr ? "" : asked;
        });
        ssl_connect_options options = options_for(client_.get());
        options.server_name = name;
        Outcome outcome;
        outcome.status = ssl_connect_with("127.0.0.1", listener.port(), &options,
                                          outcome.ports.fill(), &outcome.err);
        raw.join();
        EXPECT_TRUE(is(name == std::string("localhost") ? SALLY_OK : SALLY_VERIFY, outcome));
        EXPECT_EQ(name, sent);
    }
}

TEST_F(ConnectTest, B5_TheTimeoutBoundsTheWholeCall)
{
    RawListener silent;
    SocketsSince since;
    ssl_connect_options options = options_for(client_.get());
    options.timeout_ms = 50;
    ssl_ports ports;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT,
                   ssl_connect_with("127.0.0.1", silent.port(), &options, &ports, &err), err));
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, err.phase);
    Break early = deadline_in_ms(10);
    options.timeout_ms = -1;
    EXPECT_TRUE(is(SALLY_TIMEOUT,
                   ssl_connect_with_enable_break("127.0.0.1", silent.port(), &options, early.get(),
                                                 &ports, &err),
                   err));
    EXPECT_TRUE(since.opened().empty());
}

TEST_F(ConnectTest, E3_OptionsOutOfRangeAreNamed)
{
    ssl_connect_options slow_down = options_for(nullptr);
    slow_down.attempt_delay_ms = 9;
    ssl_connect_options no_time = options_for(nullptr);
    no_time.timeout_ms = 0;
    ssl_connect_options no_name = options_for(nullptr);
    no_name.server_name = "";
    const std::pair<const ssl_connect_options *, const char *> bad[] = {
        {&slow_down, "attempt_delay_ms"}, {&no_time, "timeout_ms"}, {&no_name, "server_name"}};
    for (const auto &[options, word] : bad) {
        ssl_ports ports;
        ssl_error err;
        EXPECT_TRUE(
            is(SALLY_USAGE, ssl_connect_with("127.0.0.1", 443, options, &ports, &err), err));
        EXPECT_EQ(nullptr, ports.in);
        EXPECT_NE(nullptr, strstr(err.text, word)) << err.text;
        EXPECT_NE(nullptr, strstr(err.text, "ssl_connect_with")) << err.text;
    }
}

TEST_F(ConnectTest, NullOptionsStandForTheUsualOnes)
{
    ClosedPort closed;
    ssl_ports ports;
    ssl_error err;
    ssl_status status = ssl_connect_with("127.0.0.1", closed.port(), nullptr, &ports, &err);
    EXPECT_TRUE(is(SALLY_SYSTEM, status, err)); // the secure context was there
    EXPECT_EQ(ECONNREFUSED, err.sys_errno);
}

// ---- breaks -------------------------------------------------------------------------------------

// Calls connect in a thread, breaks it there once it sleeps, and sees that nothing is left: at once, not
// in a while.
void expect_broken(int port, ssl_context *context, ssl_phase phase)
{
    SocketsSince since;
    Break brk = new_break();
    Thread caller([&] {
        Outcome outcome = connect_at("127.0.0.1", port, context, brk.get());
        EXPECT_TRUE(since.opened().empty());
        EXPECT_TRUE(is(SALLY_BREAK, outcome));
        EXPECT_EQ(phase, outcome.err.phase);
        EXPECT_EQ(2, outcome.err.code);
    });
    EXPECT_TRUE(wait_until_asleep(caller));
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 2));
}

TEST_F(ConnectTest, B1_B6_ABreakInTcpConnectLeavesNothing)
{
    FullListener full;
    ASSERT_TRUE(full.is_full());
    expect_broken(full.port(), client_.get(), SALLY_PHASE_CONNECT);
}

TEST_F(ConnectTest, B1_B6_ABreakInTheHandshakeLeavesNothing)
{
    RawListener silent;
    expect_broken(silent.port(), client_.get(), SALLY_PHASE_HANDSHAKE);
}

TEST_F(ConnectTest, B5_TheDeadlineIsTotal)
{
    FullListener full;
    RawListener silent;
    SocketsSince since;
    for (int port : {full.port(), silent.port()}) {
        Break soon = deadline_in_ms(50);
        ssl_ports ports;
        ssl_error err;
        ssl_status status =
            ssl_connect_enable_break("127.0.0.1", port, client_.get(), soon.get(), &ports, &err);
        EXPECT_TRUE(is(SALLY_TIMEOUT, status, err));
        EXPECT_EQ(nullptr, ports.in);
        EXPECT_TRUE(since.opened().empty());
    }
}

TEST_F(ConnectTest, B2_APendingBreakWinsBeforeAnythingIsSent)
{
    RawListener listener;
    Break brk = new_break();
    ssl_break_send(brk.get(), 9);
    EXPECT_TRUE(
        is(SALLY_BREAK, connect_at("127.0.0.1", listener.port(), client_.get(), brk.get())));
    EXPECT_TRUE(
        is(SALLY_BREAK, connect_at("localhost", listener.port(), client_.get(), brk.get())));
    ssl_break_clear(brk.get());
    Thread raw([&] {
        auto peer = raw_peer(listener.accept(), raw_server());
        EXPECT_EQ(Raw::Ok, peer->handshake()) << peer->last_error();
    });
    EXPECT_TRUE(is(SALLY_OK, connect_at("127.0.0.1", listener.port(), client_.get(), brk.get())));
}

// Breaks at random moments of connect: it either connects or leaves nothing.
TEST_F(ConnectTest, B6_BrokenAtAnyMomentItLeavesNothing)
{
    const int rounds = static_cast<int>(long_run(200, 20000));
    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    int port = port_of(listener.get());
    warm_up();
    LeakGuard guard;
    std::atomic<bool> stop{false};
    Thread acceptor([&] {
        while (!stop) {
            (void)accept_from(listener.get()); // broken clients fail here
        }
    });
    Rng rng(3);
    int broken = 0;
    for (int i = 0; i < rounds; i++) {
        Break brk = new_break();
        auto moment = std::chrono::microseconds(rng.below(1500)); // a connect takes about as long
        Latch running; // or the breaker of a busy machine starts when the connection is there
        Thread breaker([&] {
            running.open();
            auto until = std::chrono::steady_clock::now() + moment;
            while (std::chrono::steady_clock::now() < until) {}
            ssl_break_send(brk.get(), 1);
        });
        running.wait();
        Outcome outcome = connect_at("127.0.0.1", port, client_.get(), brk.get());
        broken += outcome.status == SALLY_BREAK;
        EXPECT_TRUE(is(outcome.status == SALLY_OK ? SALLY_OK : SALLY_BREAK, outcome));
        breaker.join();
        EXPECT_TRUE(ssl_break_pending(brk.get(), nullptr, nullptr));
    }
    stop = true;
    ssl_close(listener.get(), nullptr);
    RecordProperty("broken", broken);
    EXPECT_GT(broken, 0);
}

} // namespace

// Connecting: what cannot be reached, what may not be asked, and breaks at every point.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "scenario/ends.h"
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

// By name, because numbers may be used again, and sockets of earlier connections go meanwhile.
class SocketsSince
{
  public:
    SocketsSince()
    {
        for (const auto &[fd, what] : open_fds()) {
            before_.insert(what);
        }
    }
    std::vector<int> opened() const
    {
        std::vector<int> fds;
        for (const auto &[fd, what] : open_fds()) {
            if (what.rfind("socket:", 0) == 0 && before_.count(what) == 0) {
                fds.push_back(fd);
            }
        }
        return fds;
    }

  private:
    std::set<std::string> before_;
};

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

INSTANTIATE_TEST_SUITE_P(
    All, BadConnectTest,
    testing::Values(
        BadConnect{"PortZero", "127.0.0.1", 0, SALLY_USAGE, "port 0"},
        BadConnect{"PortNegative", "127.0.0.1", -5, SALLY_USAGE, "port -5"},
        BadConnect{"PortTooLarge", "127.0.0.1", 65536, SALLY_USAGE, "65535"},
        BadConnect{"HostNull", nullptr, 443, SALLY_USAGE, "NULL"},
        BadConnect{"HostEmpty", "", 443, SALLY_USAGE, "empty"},
        BadConnect{"HostUnknown", "no such host", 443, SALLY_SYSTEM, "no such host"},
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

// ---- breaks -------------------------------------------------------------------------------------

// Takes no further connection: its backlog is full, and a further connect hangs.
class FullListener
{
  public:
    FullListener() : listener_(0, 0)
    {
        while (queued_.size() < 16 && connects_soon()) {}
    }
    int port() const
    {
        return listener_.port();
    }
    bool is_full() const
    {
        return queued_.size() < 16;
    }

  private:
    bool connects_soon()
    {
        Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_in to = {};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<uint16_t>(port()));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)connect(fd.get(), reinterpret_cast<sockaddr *>(&to), sizeof to);
        bool connected = wait_for_fd(fd.get(), POLLOUT, 200);
        queued_.push_back(std::move(fd));
        return connected;
    }

    RawListener listener_;
    std::vector<Fd> queued_;
};

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
        uint64_t spins = rng.below(400);
        Thread breaker([&] {
            for (uint64_t n = 0; n < spins; n++) {
                sched_yield();
            }
            ssl_break_send(brk.get(), 1);
        });
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

// ssl_accept and the end of a listener: who is let in, who holds nobody up, and what goes wrong clearly.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "support/guards.h"

using namespace sallytest;
using testing::Test;

namespace
{

class ListenerTest : public Test
{
  protected:
    Context server_ = server_context();
};

// ---- accepting ----------------------------------------------------------------------------------

TEST_F(ListenerTest, L2_FiftySilentClientsDoNotDelayAGoodOne)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    std::vector<Fd> silent;
    for (int i = 0; i < 50; i++) {
        silent.push_back(connect_to(port));
    }
    Handshaker good(port);
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    ASSERT_EQ(Raw::Ok, good.result());
    expect_echo(served.ports, good.raw());
}

TEST_F(ListenerTest, L2_HalfAMessageDoesNotDelayAGoodClient)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    std::vector<std::unique_ptr<RawPeer>> halves;
    for (int i = 0; i < 20; i++) {
        halves.push_back(raw_client_at(port));
        halves.back()->send_half_client_hello();
    }
    Handshaker good(port);
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    ASSERT_EQ(Raw::Ok, good.result());
    expect_echo(served.ports, good.raw());
}

TEST_F(ListenerTest, L2_SeveralThreadsInAcceptServeAllClients)
{
    const int clients = 60;
    const int threads = 4;
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    std::vector<Fd> silent;
    for (int i = 0; i < threads + 1; i++) {
        silent.push_back(connect_to(port));
    }
    std::atomic<int> served{0};
    std::vector<std::unique_ptr<Thread>> acceptors;
    for (int i = 0; i < threads; i++) {
        acceptors.push_back(std::make_unique<Thread>([&] {
            Outcome outcome = accept_from(listener.get());
            while (outcome.status == SALLY_OK) {
                served++;
                outcome = accept_from(listener.get());
            }
            EXPECT_TRUE(is(SALLY_CLOSED, outcome));
        }));
    }
    for (int i = 0; i < clients; i += 3) {
        Handshaker a(port), b(port), c(port);
        EXPECT_EQ(Raw::Ok, a.result());
        EXPECT_EQ(Raw::Ok, b.result());
        EXPECT_EQ(Raw::Ok, c.result());
    }
    EXPECT_TRUE(eventually([&] { return served == clients; }));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_close(listener.get(), &err), err));
}

// One thread takes the client into the set and leaves with another one; a thread that slept all along
// must see to the first, whose bytes and whose deadline it did not know of.
TEST_F(ListenerTest, L2_WhoLeavesHandsTheOthersOver)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    auto slow_client = raw_client_at(port);
    std::atomic<int> served{0};
    auto run = [&] {
        EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
        served++;
    };
    Thread first(run);
    Thread second(run);
    ASSERT_TRUE(wait_until_asleep(first));
    ASSERT_TRUE(wait_until_asleep(second));
    Handshaker quick(port);
    EXPECT_EQ(Raw::Ok, quick.result());
    EXPECT_TRUE(eventually([&] { return served == 1; }));
    EXPECT_EQ(Raw::Ok, slow_client->handshake());
    first.join();
    second.join();
    EXPECT_EQ(2, served);
}

struct BadClient {
    const char *name;
    void (*act)(RawPeer *client);
    ssl_status status;
};

void PrintTo(const BadClient &bad, std::ostream *out)
{
    *out << bad.name;
}

class BadClientTest : public testing::TestWithParam<BadClient>
{
};

TEST_P(BadClientTest, L2_FailsOneAcceptThatNamesItAndTheNextGoesOn)
{
    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    int port = port_of(listener.get());
    auto bad = raw_client_at(port);
    GetParam().act(bad.get());
    Outcome failed = accept_from(listener.get());
    EXPECT_TRUE(is(GetParam().status, failed));
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, failed.err.phase);
    EXPECT_NE(nullptr, strstr(failed.err.text, "127.0.0.1:")) << failed.err.text;
    Handshaker good(port);
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, good.result());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadClientTest,
    testing::Values(BadClient{"LeavesWithoutAWord", [](RawPeer *c) { c->end(); }, SALLY_TRUNCATED},
                    BadClient{"LeavesAfterHalfAMessage",
                              [](RawPeer *c) {
                                  c->send_half_client_hello();
                                  c->end();
                              },
                              SALLY_TRUNCATED},
                    BadClient{"SpeaksNoTls",
                              [](RawPeer *c) { c->send_garbage("GET / HTTP/1.0\r\n\r\n"); },
                              SALLY_PROTOCOL}),
    [](const auto &test) { return test.param.name; });

TEST_F(ListenerTest, P4_TheAlertOfAFailedHandshakeReachesThePeer)
{
    Context tls13 = server_context("server", SALLY_PROTOCOL_TLS13);
    Listener listener = listen_on_loopback(tls13.get());
    auto old = raw_peer(connect_to(port_of(listener.get())), raw_client(TLS1_2_VERSION));
    EXPECT_EQ(Raw::WantRead, old->handshake_step());
    old->send_garbage(
        std::string(100000, 'x')); // unread input must not turn the alert into a reset
    EXPECT_TRUE(is(SALLY_PROTOCOL, accept_from(listener.get())));
    EXPECT_EQ(Raw::Alert, old->handshake());
    EXPECT_EQ(70, old->last_alert()); // protocol_version (RFC 8446 section 6)
}

TEST_F(ListenerTest, L2_TheHandshakeDeadlineDropsItsClientAlone)
{
    ssl_listen_options options = loopback_options();
    options.handshake_timeout_ms = slow(300);
    Listener listener = listen_with(options, server_.get());
    int port = port_of(listener.get());
    auto silent = raw_client_at(port);
    auto half = raw_client_at(port);
    half->send_half_client_hello();
    Handshaker good(port);
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, good.result());
    for (int i = 0; i < 2; i++) {
        Outcome late = accept_from(listener.get());
        EXPECT_TRUE(is(SALLY_TIMEOUT, late));
        EXPECT_EQ(SALLY_PHASE_HANDSHAKE, late.err.phase);
        EXPECT_NE(nullptr, strstr(late.err.text, "127.0.0.1:")) << late.err.text;
    }
    EXPECT_EQ(Raw::Cut, silent->handshake());
    EXPECT_EQ(Raw::Cut, half->handshake());
    Handshaker next(port);
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, next.result());
}

TEST_F(ListenerTest, B5_TheTokensDeadlineIsTheCallsOwn)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    auto silent = raw_client_at(port_of(listener.get()));
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, &err), err));
    EXPECT_EQ(SALLY_PHASE_ACCEPT, err.phase);
    Handshaker same(std::move(silent));
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, same.result());
}

TEST_F(ListenerTest, BeyondPendingMaxClientsStayInTheBacklog)
{
    ssl_listen_options options = loopback_options();
    options.pending_max = 2;
    options.handshake_timeout_ms = slow(200);
    Listener listener = listen_with(options, server_.get());
    int port = port_of(listener.get());
    Fd first = connect_to(port);
    Fd second = connect_to(port);
    Handshaker good(port);
    int late = 0;
    Outcome outcome = accept_from(listener.get());
    for (; outcome.status == SALLY_TIMEOUT && late < 5; late++) {
        outcome = accept_from(listener.get());
    }
    EXPECT_TRUE(is(SALLY_OK, outcome));
    EXPECT_GE(late, 1);
    EXPECT_EQ(Raw::Ok, good.result());
}

// Lets the process open no further descriptor, until it goes out of scope.
class NoDescriptorsLeft
{
  public:
    NoDescriptorsLeft()
    {
        getrlimit(RLIMIT_NOFILE, &before_);
        for (Fd fd(dup(0)); fd; fd = Fd(dup(0))) {
            taken_.push_back(std::move(fd));
            rlimit now = before_;
            now.rlim_cur = static_cast<rlim_t>(taken_.back().get()) + 1;
            setrlimit(RLIMIT_NOFILE, &now);
        }
    }
    ~NoDescriptorsLeft()
    {
        setrlimit(RLIMIT_NOFILE, &before_);
    }

  private:
    rlimit before_ = {};
    std::vector<Fd> taken_;
};

TEST_F(ListenerTest, W5_WithoutDescriptorsTheClientStaysInTheBacklog)
{
    warm_up();
    Listener listener = listen_with(loopback_options(), server_.get());
    Handshaker client(port_of(listener.get()));
    {
        Break bound = deadline_in_ms(kBoundMs);
        NoDescriptorsLeft none;
        for (int i = 0; i < 3; i++) {
            ssl_ports ports;
            ssl_error err;
            EXPECT_TRUE(is(SALLY_SYSTEM,
                           ssl_accept_enable_break(listener.get(), bound.get(), &ports, &err),
                           err));
            EXPECT_EQ(EMFILE, err.sys_errno);
            EXPECT_EQ(SALLY_PHASE_ACCEPT, err.phase);
        }
    }
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, client.result());
}

// ---- the end ------------------------------------------------------------------------------------

TEST_F(ListenerTest, ClosingWakesAllThreadsInAcceptAndSync)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    Listener other = listen_with(loopback_options(), server_.get());
    auto run = [&] { EXPECT_TRUE(is(SALLY_CLOSED, accept_from(listener.get()))); };
    Thread first(run);
    Thread second(run);
    Thread syncer([&] {
        ssl_event events[] = {{other.get(), nullptr, {}}, {listener.get(), nullptr, {}}};
        size_t ready = 9;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_sync(events, 2, &ready, &err), err));
        EXPECT_EQ(1u, ready);
    });
    EXPECT_TRUE(wait_until_asleep(first));
    EXPECT_TRUE(wait_until_asleep(second));
    EXPECT_TRUE(wait_until_asleep(syncer));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_close(listener.get(), &err), err));
}

TEST_F(ListenerTest, ClosingDropsHalfDoneHandshakes)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    auto silent = raw_client_at(port_of(listener.get()));
    auto half = raw_client_at(port_of(listener.get()));
    half->send_half_client_hello();
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    EXPECT_EQ(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close(listener.get(), nullptr));
    EXPECT_EQ(Raw::Cut, silent->handshake());
    EXPECT_EQ(Raw::Cut, half->handshake());
}

TEST_F(ListenerTest, AClosedListenerSaysSo)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    ssl_error err;
    ssl_endpoints ends;
    size_t ready = 9;
    EXPECT_TRUE(is(SALLY_OK, ssl_close(listener.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_close(listener.get(), &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, accept_from(listener.get())));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_listener_addresses(listener.get(), &ends, &err), err));
    ssl_event event = {listener.get(), nullptr, {}};
    EXPECT_TRUE(is(SALLY_OK, ssl_sync(&event, 1, &ready, &err), err));
    EXPECT_EQ(0u, ready);
}

TEST_F(ListenerTest, NothingIsLeftBehind)
{
    warm_up();
    LeakGuard guard;
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    Fd silent = connect_to(port);
    auto half = raw_client_at(port);
    half->send_half_client_hello();
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    EXPECT_EQ(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, nullptr));
    Handshaker good(port);
    Outcome served = accept_from(listener.get());
    EXPECT_EQ(Raw::Ok, good.result());
}

} // namespace

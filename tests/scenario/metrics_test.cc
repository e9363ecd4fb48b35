// What a server counts, as a program sees it. Rules: W9.
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>

#include "sallyport/metrics.h"
#include "scenario/service.h"
#include "support/guards.h"

using namespace sallytest;

namespace
{

ssl_metrics metrics_of(const Service &service)
{
    ssl_metrics metrics = {};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_server_metrics(service.get(), &metrics, &err), err));
    return metrics;
}

uint64_t handshakes_ended(const ssl_metrics &metrics)
{
    return std::accumulate(std::begin(metrics.handshakes), std::end(metrics.handshakes),
                           uint64_t{0});
}

// Until the numbers are so.
bool counts(const Service &service, const std::function<bool(const ssl_metrics &)> &state)
{
    return eventually([&] { return state(metrics_of(service)); }, 15);
}

bool ended_as(const Service &service, ssl_status outcome, uint64_t count = 1)
{
    return counts(service, [=](auto &now) { return now.handshakes[outcome] == count; });
}

class Metrics : public testing::Test
{
  protected:
    Metrics()
    {
        warm_up();
    }
};

} // namespace

TEST_F(Metrics, W9_AServerThatHasServedNobodyHasCountedNothing)
{
    Service service(echo_once);
    ssl_metrics metrics = metrics_of(service);
    EXPECT_EQ(0u, handshakes_ended(metrics));
    EXPECT_EQ(0u, metrics.parked + metrics.resumed);
    EXPECT_EQ(0u, metrics.wire_received + metrics.wire_sent);
    for (const ssl_histogram *h : {&metrics.handshake_time, &metrics.handler_time,
                                   &metrics.queue_wait, &metrics.break_latency}) {
        EXPECT_EQ(0u, h->count);
        EXPECT_EQ(0u, h->sum_ns);
    }
}

TEST_F(Metrics, W9_BytesAreCountedAsPlaintextAndOnTheWire)
{
    Service service(echo_once);
    auto client = service.client();
    ASSERT_TRUE(ended_as(service, SALLY_OK));
    ssl_metrics before = metrics_of(service);
    EXPECT_LT(500u, before.wire_sent) << "a certificate and more";
    EXPECT_LT(100u, before.wire_received) << "a ClientHello and more";
    EXPECT_EQ(0u, before.plain_received + before.plain_sent);
    expect_echo(client.get(), std::string(3000, 'x'));
    ASSERT_TRUE(service.rests(1));
    ssl_metrics after = metrics_of(service);
    EXPECT_EQ(3000u, after.plain_received);
    EXPECT_EQ(3000u, after.plain_sent);
    EXPECT_LT(before.wire_received + 3000, after.wire_received) << "records have heads and tags";
    EXPECT_GT(before.wire_received + 3200, after.wire_received);
    EXPECT_LT(before.wire_sent + 3000, after.wire_sent);
}

TEST_F(Metrics, W9_ConnectionsAreBusyOrParked)
{
    HeldEcho held;
    Service service(held.handler());
    auto idle = service.client();
    auto busy = service.client();
    ASSERT_EQ(Raw::Ok, busy->write_all("!"));
    ASSERT_TRUE(held.entered.wait());
    ssl_metrics metrics = metrics_of(service);
    EXPECT_EQ(2u, metrics.server.open);
    EXPECT_EQ(1u, metrics.server.busy);
    EXPECT_EQ(1u, metrics.parked);
    held.release.open();
    EXPECT_TRUE(service.rests(2));
    EXPECT_EQ(2u, metrics_of(service).parked);
}

TEST_F(Metrics, W9_HandshakesAndHandlersAreTimed)
{
    HeldEcho held;
    Service service(held.handler());
    auto client = service.client();
    auto begun = std::chrono::steady_clock::now();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(held.entered.wait());
    EXPECT_EQ(0u, metrics_of(service).handler_time.count) << "it has not returned";
    std::string back;
    auto inside = std::chrono::steady_clock::now();
    ASSERT_TRUE(eventually(
        [&] { return std::chrono::steady_clock::now() - inside > std::chrono::milliseconds(20); }));
    held.release.open();
    ASSERT_EQ(Raw::Ok, client->read_full(&back, 1));
    ASSERT_TRUE(service.rests(1));
    std::chrono::nanoseconds all = std::chrono::steady_clock::now() - begun;
    ssl_metrics metrics = metrics_of(service);
    EXPECT_EQ(1u, metrics.handler_time.count);
    EXPECT_LE(20000000u, metrics.handler_time.sum_ns);
    EXPECT_GE(static_cast<uint64_t>(all.count()), metrics.handler_time.sum_ns);
    EXPECT_EQ(1u, metrics.handshake_time.count);
    EXPECT_LT(0u, metrics.handshake_time.sum_ns);
    EXPECT_EQ(1u, metrics.handshakes[SALLY_OK]);
}

// ---- handshakes ----

TEST_F(Metrics, W9_AResumedHandshakeIsCountedAsOne)
{
    Service service(echo_once);
    Context context = client_context();
    Session session;
    for (uint64_t resumed : {0, 1}) {
        ssl_connect_options options = SALLY_CONNECT_OPTIONS;
        options.context = context.get();
        options.session = session.get();
        Ports ports;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK,
                       ssl_connect_with("127.0.0.1", service.port(), &options, ports.fill(), &err),
                       err));
        char byte = '!';
        size_t got = 0;
        ASSERT_EQ(SALLY_OK, ssl_write(ports.out(), &byte, 1, nullptr, nullptr));
        ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), &byte, 1, &got, nullptr));
        ssl_session *taken = nullptr;
        ASSERT_TRUE(is(SALLY_OK, ssl_port_session(ports.in(), &taken, &err), err));
        session.reset(taken);
        EXPECT_EQ(resumed, metrics_of(service).resumed);
    }
    EXPECT_EQ(2u, metrics_of(service).handshakes[SALLY_OK]);
}

TEST_F(Metrics, W9_HandshakesAreCountedByWhatBecameOfThem)
{
    ssl_server_options options = service_options();
    options.handshake_timeout_ms = 300;
    Service service(echo_once, options);
    {
        Fd gone = connect_to(service.port());
    }
    EXPECT_TRUE(ended_as(service, SALLY_TRUNCATED)) << "left without a word";
    Fd babbling = connect_to(service.port());
    ASSERT_EQ(18, write(babbling.get(), "GET / HTTP/1.0\r\n\r\n", 18));
    EXPECT_TRUE(ended_as(service, SALLY_PROTOCOL)) << "no TLS at all";
    RawOptions distrustful = raw_client();
    distrustful.trust = "other-ca";
    auto peer = raw_peer(connect_to(service.port()), distrustful);
    EXPECT_NE(Raw::Ok, peer->handshake());
    EXPECT_TRUE(ended_as(service, SALLY_PEER)) << "an alert of the client's";
    Fd silent = connect_to(service.port());
    EXPECT_TRUE(ended_as(service, SALLY_TIMEOUT));
    ssl_metrics metrics = metrics_of(service);
    EXPECT_EQ(4u, handshakes_ended(metrics));
    EXPECT_EQ(3u, metrics.server.handshakes_failed);
    EXPECT_EQ(1u, metrics.server.handshakes_timed_out);
    EXPECT_EQ(0u, metrics.handshake_time.count) << "only those that were done";
}

TEST_F(Metrics, W9_ADrainClosesUnfinishedHandshakes)
{
    Service service(echo_once);
    Fd silent = connect_to(service.port());
    ASSERT_TRUE(service.rests(1));
    EXPECT_EQ(SALLY_OK, service.drain(10000, 10000));
    EXPECT_EQ(1u, metrics_of(service).handshakes[SALLY_CLOSED]);
    EXPECT_EQ(1u, handshakes_ended(metrics_of(service)));
}

// ---- breaks ----

TEST_F(Metrics, W9_ABreakIsTimedUntilACallReportsIt)
{
    Latch entered;
    Latch leave;
    std::atomic<ssl_break *> token{nullptr};
    std::atomic<bool> broken{false};
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *) {
        char byte;
        size_t got;
        EXPECT_EQ(SALLY_OK, ssl_read(in, &byte, 1, &got, nullptr));
        token = ssl_break_retain(ssl_connection_break(connection));
        entered.open();
        EXPECT_EQ(SALLY_BREAK, ssl_read(in, &byte, 1, &got, nullptr));
        broken = true;
        leave.wait();
        return SALLY_DONE;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(entered.wait());
    Break brk(token.load());
    auto sent = std::chrono::steady_clock::now();
    ASSERT_EQ(SALLY_OK, ssl_break_send(brk.get(), 1));
    ASSERT_TRUE(eventually([&] { return broken.load(); }));
    std::chrono::nanoseconds most = std::chrono::steady_clock::now() - sent;
    EXPECT_EQ(0u, metrics_of(service).break_latency.count) << "known when the handler returns";
    auto inside = std::chrono::steady_clock::now();
    ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() - inside > 2 * most; }));
    leave.open();
    ASSERT_TRUE(service.rests(0));
    ssl_metrics metrics = metrics_of(service);
    EXPECT_EQ(1u, metrics.break_latency.count);
    EXPECT_LT(0u, metrics.break_latency.sum_ns);
    EXPECT_GE(static_cast<uint64_t>(most.count()), metrics.break_latency.sum_ns);
}

TEST_F(Metrics, W9_ABreakThatNoCallReportsIsTimedUntilTheHandlerReturns)
{
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *) {
        char byte;
        size_t got;
        EXPECT_EQ(SALLY_OK, ssl_read(in, &byte, 1, &got, nullptr));
        ssl_break *brk = ssl_connection_break(connection);
        EXPECT_EQ(SALLY_OK, ssl_break_send(brk, 1));
        EXPECT_EQ(SALLY_OK, ssl_break_send(brk, 2)) << "one with the first";
        return SALLY_DONE;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(service.rests(0));
    EXPECT_EQ(1u, metrics_of(service).break_latency.count);
}

TEST_F(Metrics, W9_ABreakThatWasClearedIsNone)
{
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        ssl_break *brk = ssl_connection_break(connection);
        EXPECT_EQ(SALLY_OK, ssl_break_send(brk, 1));
        ssl_break_clear(brk);
        return echo_once(connection, in, out);
    });
    auto client = service.client();
    expect_echo(client.get(), "!");
    ASSERT_TRUE(service.rests(1));
    EXPECT_EQ(0u, metrics_of(service).break_latency.count);
}

// ---- waiting for a worker ----

TEST_F(Metrics, W9_TheQueueIsSampledWhileHandlersAreCalled)
{
    Service service(echo_once);
    auto client = service.client();
    ASSERT_TRUE(counts(service, [&](auto &now) {
        expect_echo(client.get(), "!");
        return now.queue_wait.count >= 2;
    }));
    ssl_metrics metrics = metrics_of(service);
    EXPECT_GE(metrics.handler_time.count, metrics.queue_wait.count);
    EXPECT_LT(0u, metrics.queue_wait.sum_ns);
}

TEST_F(Metrics, W9_TheQueueIsAsLongAsTheWorkersAreBusy)
{
    constexpr uint64_t kHeldNs = 50000000;
    HeldEcho held;
    Service service(held.handler(), service_options(1));
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(held.entered.wait());
    auto inside = std::chrono::steady_clock::now();
    ASSERT_TRUE(eventually([&] {
        return std::chrono::steady_clock::now() - inside > std::chrono::nanoseconds(kHeldNs);
    }));
    EXPECT_EQ(0u, metrics_of(service).queue_wait.count) << "the sample waits for the one worker";
    held.release.open();
    ASSERT_TRUE(counts(service, [](auto &now) { return now.queue_wait.count == 1; }));
    EXPECT_LE(kHeldNs, metrics_of(service).queue_wait.sum_ns);
}

TEST_F(Metrics, W9_ADrainEndsWithASampleUnderWay)
{
    LeakGuard leaks;
    Latch entered;
    Service service(
        [&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
            entered.open();
            return echo_to_the_end(connection, in, out);
        },
        service_options(1));
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(entered.wait());
    EXPECT_EQ(SALLY_OK, service.drain(0, 10000));
    client->end();
}

// ---- what was taken, and wrong use ----

TEST_F(Metrics, W9_ATakenPairIsCountedUpToThatMomentAndOutlivesItsServer)
{
    LeakGuard leaks;
    Ports ports;
    std::mutex lock;
    auto service = std::make_unique<Service>([&](ssl_connection *, ssl_port *in, ssl_port *out) {
        std::lock_guard<std::mutex> guard(lock);
        ports = Ports(ssl_ports{in, out});
        return SALLY_TAKEN;
    });
    auto client = service->client();
    ASSERT_EQ(Raw::Ok, client->write_all("12"));
    ASSERT_TRUE(service->reaches([](auto &now) { return now.taken == 1 && now.open == 0; }));
    std::lock_guard<std::mutex> guard(lock);
    char bytes[2];
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), bytes, 1, &got, nullptr));
    EXPECT_EQ(0u, metrics_of(*service).plain_received);
    EXPECT_EQ(1u, metrics_of(*service).handler_time.count);
    service.reset();
    ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), bytes, 1, &got, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_write(ports.out(), bytes, 1, nullptr, nullptr));
    client->end();
    ports.reset();
}

TEST_F(Metrics, E3_NullIsUsage)
{
    Service service(echo_once);
    ssl_metrics metrics;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_metrics(nullptr, &metrics, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_metrics(service.get(), nullptr, &err), err));
    EXPECT_EQ(SALLY_USAGE, ssl_server_metrics(nullptr, nullptr, nullptr));
}

TEST_F(Metrics, W9_SnapshotsMayBeTakenWhileAServerServesAndDrains)
{
    Service service(echo_once);
    std::atomic<bool> stop{false};
    Thread scraper([&] {
        while (!stop) {
            ssl_metrics now = metrics_of(service);
            EXPECT_LE(now.handler_time.count, now.server.handler_calls);
        }
    });
    for (int i = 0; i < 20; i++) {
        auto client = service.client();
        expect_echo(client.get(), "!");
        client->end();
    }
    service.drain(10000, 10000);
    stop = true;
    scraper.join();
    ssl_metrics metrics = metrics_of(service);
    EXPECT_LE(20u, metrics.handler_time.count);
    EXPECT_EQ(metrics.server.handler_calls, metrics.handler_time.count);
}

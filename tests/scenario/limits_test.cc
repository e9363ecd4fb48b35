// ssl_server: deadlines and counters. Rules: W4 W9.
#include <gtest/gtest.h>

#include "scenario/service.h"
#include "support/guards.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

class Limits : public testing::Test
{
  protected:
    Limits()
    {
        warm_up();
    }
};

} // namespace

TEST_F(Limits, W4_AFullServerLeavesClientsInTheBacklog)
{
    ssl_server_options options = service_options();
    options.connections_max = 2;
    Service service(echo_once, options);
    auto one = service.client();
    auto two = service.client();
    auto three = raw_peer(connect_to(service.port()), raw_client());
    EXPECT_EQ(Raw::WantRead, three->handshake_step());
    for (int i = 0; i < 10; i++) {
        expect_echo(one.get(), "x");
        expect_echo(two.get(), "y");
    }
    EXPECT_EQ(2u, service.count().accepted);
    one->send_goodbye();
    EXPECT_EQ(Raw::Eof, end_of(one.get()));
    EXPECT_EQ(Raw::Ok, three->handshake());
    expect_echo(three.get(), "z");
    EXPECT_EQ(3u, service.count().accepted);
    EXPECT_EQ(2u, service.count().open);
}

TEST_F(Limits, W4_ASilentClientIsDroppedAfterTheHandshakeTimeout)
{
    ssl_server_options options = service_options();
    options.handshake_timeout_ms = 30;
    Service service(echo_once, options);
    auto silent = raw_peer(connect_to(service.port()), raw_client());
    auto half = raw_peer(connect_to(service.port()), raw_client());
    half->send_half_client_hello();
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_timed_out == 2; }));
    EXPECT_TRUE(service.rests(0));
    EXPECT_EQ(Raw::Cut, silent->handshake());
    EXPECT_EQ(Raw::Cut, half->handshake());
}

TEST_F(Limits, W4_AnIdleClientIsSentAwayWithGoodbye)
{
    ssl_server_options options = service_options();
    options.idle_timeout_ms = 300;
    Service service(echo_once, options);
    auto client = service.client();
    expect_echo(client.get(), "x");
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_TRUE(
        service.reaches([](auto &now) { return now.idle_timed_out == 1 && now.open == 0; }));
}

TEST_F(Limits, W4_DeadlinesHoldWhileEveryWorkerIsInAHandler)
{
    ssl_server_options options = service_options(1);
    options.idle_timeout_ms = 300;
    Latch release;
    Service service(
        [&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
            ssl_served served = echo_once(connection, in, out);
            if (ssl_connection_user(connection) != nullptr) {
                release.wait();
            }
            ssl_connection_set_user(connection, &release, nullptr);
            return served;
        },
        options);
    auto idle = service.client();
    expect_echo(idle.get(), "x");
    auto busy = service.client();
    expect_echo(busy.get(), "x");
    expect_echo(busy.get(), "now it blocks");
    EXPECT_EQ(Raw::Eof, end_of(idle.get()));
    release.open();
}

TEST_F(Limits, W9_EveryClientIsCountedOnce)
{
    Service service(echo_once);
    for (int i = 0; i < 3; i++) {
        auto client = service.client();
        expect_echo(client.get(), "x");
        client->send_goodbye();
        EXPECT_EQ(Raw::Eof, end_of(client.get()));
    }
    auto garbage = raw_peer(connect_to(service.port()), raw_client());
    garbage->send_garbage("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_failed == 1; }));
    raw_peer(connect_to(service.port()), raw_client())->end();
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_failed == 2; }));
    EXPECT_TRUE(service.rests(0));
    ssl_server_counters now = service.count();
    EXPECT_EQ(5u, now.accepted);
    EXPECT_EQ(3u, now.handshakes_done);
    EXPECT_EQ(0u, now.handshakes_timed_out);
    EXPECT_EQ(6u, now.handler_calls) << "an echo and an end for each";
    EXPECT_EQ(0u, now.accept_failures);
}

TEST_F(Limits, L1_AFailedHandshakeTellsThePeerWhy)
{
    Service service(echo_once);
    RawOptions old = raw_client();
    old.version = TLS1_1_VERSION;
    old.ciphers = "ALL:@SECLEVEL=0";
    auto client = raw_peer(connect_to(service.port()), old);
    EXPECT_EQ(Raw::Alert, client->handshake()) << client->last_error();
    EXPECT_EQ(70, client->last_alert()) << "protocol_version";
}

TEST_F(Limits, W4_AClosedConnectionWaitsForItsPeerNoLongerThanItMay)
{
    ssl_server_options options = service_options();
    options.close_timeout_ms = 50;
    Service service([](ssl_connection *, ssl_port *, ssl_port *) { return SALLY_DONE; }, options);
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_TRUE(service.rests(0));
    // It does not end its own side; what it sends is discarded, then refused.
    EXPECT_TRUE(eventually([&] { return client->write_all("still there?") != Raw::Ok; }, 1));
}

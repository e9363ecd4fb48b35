// A server that speaks to the supervisor's watchdog for its process: while it works, and no longer. Rules: W8.
#include <gtest/gtest.h>

#include <cstring>

#include "scenario/service.h"
#include "support/environment.h"
#include "support/rng.h"
#include "support/supervisor.h"

using namespace sallytest;

namespace
{

constexpr int kIntervalMs = 10; // of the signs: a quarter of WATCHDOG_USEC
constexpr int kStuckMs = 100;

class Watched : public testing::Test
{
  protected:
    Watched()
    {
        warm_up();
    }
    static ssl_server_options watched_options(int workers, int64_t stuck_ms = kStuckMs)
    {
        ssl_server_options options = service_options(workers);
        options.watchdog = true;
        options.stuck_ms = stuck_ms;
        return options;
    }
    // Handlers do not return before `release_`.
    Handler stuck()
    {
        return [this](ssl_connection *, ssl_port *, ssl_port *) {
            release_.wait(slow(60));
            return SALLY_DONE;
        };
    }
    std::unique_ptr<RawPeer> client_of(const Service &service) const
    {
        auto client = service.client();
        EXPECT_EQ(Raw::Ok, client->write_all("!"));
        return client;
    }
    void expect_signs(int count)
    {
        for (int i = 0; i < count && !HasFailure(); i++) {
            EXPECT_EQ("WATCHDOG=1", supervisor_.waits_for("WATCHDOG", slow(20)));
        }
    }
    // No sign in the time of many, after those that are there already.
    bool is_silent()
    {
        while (!supervisor_.heard().empty()) {}
        return !wait_for_fd(supervisor_.fd(), POLLIN, 20 * kIntervalMs);
    }

    Supervisor supervisor_;
    Variable where_{"NOTIFY_SOCKET", supervisor_.name()};
    Variable patience_{"WATCHDOG_USEC", std::to_string(4 * kIntervalMs * 1000)};
    Variable process_{"WATCHDOG_PID", std::nullopt};
    Latch release_;
};

TEST_F(Watched, W8_AnIdleServerTellsAgainAndAgain)
{
    Service service(echo_once, watched_options(2));
    expect_signs(2 * kStuckMs / kIntervalMs);
    auto client = service.client();
    expect_echo(client.get(), "served");
    expect_signs(5);
    service.drain(0, 0);
    EXPECT_TRUE(is_silent()) << "a drained server says nothing more";
}

// One handler that is stuck for ever so long is no hung server.
TEST_F(Watched, W8_SoDoesOneWithAWorkerLeft)
{
    Service service(stuck(), watched_options(2));
    auto held = client_of(service);
    ASSERT_TRUE(service.reaches([](auto &now) { return now.busy == 1; }));
    expect_signs(3 * kStuckMs / kIntervalMs);
    release_.open();
}

TEST_F(Watched, W8_WithAllWorkersStuckNothingIsToldUntilOneIsFree)
{
    Service service(stuck(), watched_options(2));
    expect_signs(1);
    auto first = client_of(service);
    auto second = client_of(service);
    ASSERT_TRUE(service.reaches([](auto &now) { return now.busy == 2; }));
    EXPECT_TRUE(eventually([this] { return is_silent(); }, 30));
    EXPECT_TRUE(is_silent()) << "and it stays so";
    release_.open();
    expect_signs(3);
}

// A pool that grows is stuck only when it is as large as it may be.
TEST_F(Watched, W2_W8_ThePoolGrowsFirst)
{
    ssl_server_options options = watched_options(1);
    options.workers_max = 3;
    Service service(stuck(), options);
    auto first = client_of(service);
    auto second = client_of(service);
    ASSERT_TRUE(service.reaches([](auto &now) { return now.busy == 2; }));
    expect_signs(3 * kStuckMs / kIntervalMs);
    auto third = client_of(service);
    ASSERT_TRUE(service.reaches([](auto &now) { return now.busy == 3; }));
    EXPECT_TRUE(eventually([this] { return is_silent(); }, 30));
    release_.open();
    expect_signs(3);
}

// Handlers that serve a client to its end are not stuck for a program that says so.
TEST_F(Watched, W8_UnlimitedHandlersAreNeverStuck)
{
    Service service(stuck(), watched_options(1, SALLY_UNLIMITED));
    auto held = client_of(service);
    ASSERT_TRUE(service.reaches([](auto &now) { return now.busy == 1; }));
    expect_signs(3 * kStuckMs / kIntervalMs);
    release_.open();
}

TEST_F(Watched, W8_WhereNobodyAsksNothingIsTold)
{
    {
        Service service(echo_once, service_options()); // the program's own affair
        EXPECT_TRUE(is_silent());
    }
    Variable another("WATCHDOG_PID", "1");
    {
        Service service(echo_once, watched_options(1));
        EXPECT_TRUE(is_silent());
    }
    Variable ours("WATCHDOG_PID", std::nullopt);
    Variable nobody("NOTIFY_SOCKET", std::nullopt);
    Service service(echo_once, watched_options(1));
    EXPECT_TRUE(is_silent());
}

TEST_F(Watched, E3_VariablesThatMakeNoSenseStopTheStart)
{
    ssl_server_options options = watched_options(1);
    options.handler = call_handler;
    auto start = [&options](ssl_error *err) {
        ssl_server *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_server_new(&options, &made, err));
        Server server(made);
        Context context = server_context();
        ssl_listen_options listening = SALLY_LISTEN_OPTIONS;
        listening.host = "127.0.0.1";
        ssl_listener *listener = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_listen(0, &listening, context.get(), &listener, err));
        EXPECT_EQ(SALLY_OK, ssl_server_add_listener(made, listener, err));
        return ssl_server_start(made, err);
    };
    ssl_error err;
    {
        Variable wrong("WATCHDOG_USEC", "soon");
        EXPECT_TRUE(is(SALLY_CONFIG, start(&err), err));
        EXPECT_NE(nullptr, std::strstr(err.text, "ssl_server_start: WATCHDOG_USEC is \"soon\""))
            << err.text;
    }
    {
        Variable wrong("NOTIFY_SOCKET", "relative");
        EXPECT_TRUE(is(SALLY_CONFIG, start(&err), err));
    }
    options.stuck_ms = 0;
    ssl_server *made = nullptr;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_new(&options, &made, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "stuck_ms")) << err.text;
}

} // namespace

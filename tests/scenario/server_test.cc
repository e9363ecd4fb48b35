// ssl_server: who is served, when, and by how many threads; wrong use. Rules: B9 P8 W1 W3 W6.
#include <gtest/gtest.h>

#include <atomic>

#include "scenario/service.h"
#include "support/guards.h"

using namespace sallytest;

namespace
{

std::string lines(int count)
{
    std::string text;
    for (int i = 0; i < count; i++) {
        text += "line " + std::to_string(i) + "\n";
    }
    return text;
}

class Serving : public testing::Test
{
  protected:
    Serving()
    {
        warm_up();
    }
};

} // namespace

// ---- serving ----

class ServerVersion : public testing::TestWithParam<int>
{
  protected:
    // Twenty messages to one client, in so many calls of the handler; then goodbyes.
    static void expect_twenty_echoes(const Handler &handler, uint64_t calls)
    {
        Service service(handler);
        auto client = service.client(raw_client(GetParam()));
        for (int i = 0; i < 20; i++) {
            expect_echo(client.get(), "message " + std::to_string(i));
        }
        EXPECT_EQ(calls, service.count().handler_calls);
        EXPECT_EQ(Raw::Ok, client->send_goodbye());
        EXPECT_EQ(Raw::Eof, end_of(client.get()));
        service.rests(0);
    }
};
INSTANTIATE_TEST_SUITE_P(Both, ServerVersion, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_P(ServerVersion, W1_AKeptConnectionIsServedAgainAndAgain)
{
    expect_twenty_echoes(echo_once, 20);
}

TEST_P(ServerVersion, W1_ABlockingHandlerServesToTheEnd)
{
    expect_twenty_echoes(echo_to_the_end, 1);
}

TEST_F(Serving, W2_IdleConnectionsHoldNoWorker)
{
    Service service(echo_once, service_options(1));
    std::vector<std::unique_ptr<RawPeer>> clients;
    for (int i = 0; i < 40; i++) {
        clients.push_back(service.client());
        expect_echo(clients.back().get(), "hello");
    }
    EXPECT_TRUE(service.rests(clients.size()));
    for (auto &client : clients) {
        expect_echo(client.get(), "again");
    }
}

TEST_F(Serving, W2_HalfARecordStartsNoHandler)
{
    Service service(echo_once, service_options(1));
    auto half = service.client();
    auto good = service.client();
    half->channel().send(std::string("\x17\x03\x03\x40\x00 the beginning of a long record", 34));
    for (int i = 0; i < 5; i++) {
        expect_echo(good.get(), "not in the way");
    }
    EXPECT_EQ(5u, service.count().handler_calls);
    EXPECT_TRUE(service.rests(2));
}

TEST_F(Serving, W3_WhatIsLeftInTheRecordIsServedAtOnce)
{
    Service service(echo_line, service_options(1));
    auto client = service.client();
    std::string sent = lines(100);
    std::string back;
    ASSERT_EQ(Raw::Ok, client->write_all(sent));
    ASSERT_EQ(Raw::Ok, client->read_full(&back, sent.size()));
    EXPECT_EQ(sent, back);
    EXPECT_EQ(100u, service.count().handler_calls);
}

TEST_F(Serving, W3_TheRestAndTheGoodbyeInOnePieceAreServed)
{
    Service service(echo_line);
    auto client = service.client();
    std::string sent = lines(50);
    std::string back;
    ASSERT_EQ(Raw::Ok, client->write_all(sent));
    ASSERT_EQ(Raw::Ok, client->send_goodbye());
    EXPECT_EQ(Raw::Eof, client->read_to_end(&back));
    EXPECT_EQ(sent, back);
}

TEST_F(Serving, W1_ABusyClientLeavesTheOnlyWorkerToOthers)
{
    Service service(echo_line, service_options(1));
    auto busy = service.client();
    std::atomic<bool> stop{false};
    Thread streamer([&] {
        std::string sent = lines(200);
        std::string back;
        while (!stop && busy->write_all(sent) == Raw::Ok) {
            EXPECT_EQ(Raw::Ok, busy->read_full(&back, sent.size()));
        }
    });
    auto other = service.client();
    for (int i = 0; i < 10; i++) {
        expect_echo(other.get(), "my turn\n");
    }
    stop = true;
}

TEST_F(Serving, W1_TheServerMaySpeakFirst)
{
    ssl_server_options options = service_options();
    options.handler_first = true;
    Service service(
        [](ssl_connection *, ssl_port *, ssl_port *out) {
            EXPECT_EQ(SALLY_OK, ssl_write(out, "welcome", 7, nullptr, nullptr));
            return SALLY_DONE;
        },
        options);
    auto client = service.client();
    std::string text;
    EXPECT_EQ(Raw::Eof, client->read_to_end(&text));
    EXPECT_EQ("welcome", text);
}

TEST_F(Serving, W1_ByDefaultTheClientSpeaksFirst)
{
    Service service(echo_once);
    auto client = service.client();
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_done == 1; }));
    expect_echo(client.get(), "first");
    EXPECT_EQ(1u, service.count().handler_calls);
}

TEST_F(Serving, W1_DoneSaysGoodbyeThoughMoreIsOnItsWay)
{
    Service service([](ssl_connection *, ssl_port *, ssl_port *out) {
        EXPECT_EQ(SALLY_OK, ssl_write(out, "go away", 7, nullptr, nullptr));
        return SALLY_DONE;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all(std::string(100000, 'x')));
    std::string text;
    EXPECT_EQ(Raw::Eof, client->read_to_end(&text));
    EXPECT_EQ("go away", text);
}

TEST_F(Serving, W1_AHandlerThatKeepsAfterTheEndIsNotCalledForEver)
{
    Service service([](ssl_connection *, ssl_port *in, ssl_port *) {
        char byte;
        size_t got;
        (void)ssl_read(in, &byte, 1, &got, nullptr);
        return SALLY_KEEP;
    });
    auto client = service.client();
    client->send_goodbye();
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_TRUE(service.rests(0));
    EXPECT_EQ(1u, service.count().handler_calls);
}

TEST_F(Serving, W1_AHandlerMayCloseItsPorts)
{
    Service service([](ssl_connection *, ssl_port *in, ssl_port *out) {
        EXPECT_EQ(SALLY_OK, ssl_close_port(out, nullptr));
        EXPECT_EQ(SALLY_OK, ssl_close_port(in, nullptr));
        return SALLY_KEEP;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_TRUE(service.rests(0));
}

// The descriptor of a connection is watched until its handler has returned, so its number must not go
// to another client before.
TEST_F(Serving, W1_AHandlerThatClosedItsPortsDisturbsNoOtherConnection)
{
    Latch inside;
    Latch closed;
    Latch release_closer;
    Latch blocked;
    Latch release_blocker;
    Service service(
        [&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
            char first = 0;
            size_t got;
            if (ssl_peek(in, &first, 1, &got, nullptr) == SALLY_OK && first == 'A') {
                EXPECT_EQ(SALLY_OK, ssl_read(in, &first, 1, &got, nullptr));
                inside.open();
                EXPECT_EQ(SALLY_EOF, ssl_read(in, &first, 1, &got, nullptr));
                ssl_abandon_port(in);
                ssl_abandon_port(out);
                closed.open();
                release_closer.wait();
                return SALLY_DONE;
            }
            if (first == 'C') {
                blocked.open();
                release_blocker.wait();
            }
            return echo_once(connection, in, out);
        },
        service_options(2));
    auto closer = service.client();
    auto blocker = service.client();
    ASSERT_EQ(Raw::Ok, blocker->write_all("C"));
    ASSERT_TRUE(blocked.wait());
    ASSERT_EQ(Raw::Ok, closer->write_all("A"));
    ASSERT_TRUE(inside.wait());
    // Both workers are busy, so these wait in the backlog; several, for one to get a freed number.
    std::vector<std::unique_ptr<RawPeer>> others;
    for (int i = 0; i < 10; i++) {
        others.push_back(raw_peer(connect_to(service.port()), raw_client()));
    }
    ASSERT_EQ(Raw::Ok, closer->send_goodbye());
    ASSERT_TRUE(closed.wait());
    release_blocker.open();
    for (auto &other : others) {
        ASSERT_EQ(Raw::Ok, other->handshake());
        expect_echo(other.get(), "before");
    }
    release_closer.open();
    EXPECT_TRUE(service.rests(others.size() + 1));
    for (auto &other : others) {
        expect_echo(other.get(), "after");
    }
}

TEST_F(Serving, P6_AClientThatIsGoneEndsItsConnection)
{
    Service service(echo_once);
    for (int i = 0; i < 20; i++) {
        auto client = service.client();
        expect_echo(client.get(), "hello");
        client->reset();
    }
    EXPECT_TRUE(service.rests(0));
}

TEST_F(Serving, P8_TheReadTimeoutBoundsAHandlersRead)
{
    ssl_server_options options = service_options();
    options.read_timeout_ms = 20;
    std::atomic<int> second{-1};
    Service service(
        [&](ssl_connection *, ssl_port *in, ssl_port *) {
            char byte;
            size_t got;
            EXPECT_EQ(SALLY_OK, ssl_read(in, &byte, 1, &got, nullptr));
            second = ssl_read(in, &byte, 1, &got, nullptr);
            return SALLY_DONE;
        },
        options);
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_EQ(SALLY_TIMEOUT, second);
}

TEST_F(Serving, W1_SeveralHandlersRunAtOnce)
{
    Barrier all(SALLY_SERVER_WORKERS);
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        all.wait();
        (void)echo_once(connection, in, out);
        return SALLY_DONE;
    });
    std::vector<std::unique_ptr<RawPeer>> clients;
    for (int i = 0; i < SALLY_SERVER_WORKERS; i++) {
        clients.push_back(service.client());
        ASSERT_EQ(Raw::Ok, clients.back()->write_all("x"));
    }
    for (auto &client : clients) {
        std::string back;
        EXPECT_EQ(Raw::Ok, client->read_full(&back, 1));
    }
}

// ---- what a handler can ask ----

TEST_F(Serving, W1_TheUserPointerLivesAcrossKeepAndIsDestroyedOnce)
{
    static std::atomic<int> destroyed;
    destroyed = 0;
    auto destroy = [](void *user) {
        destroyed++;
        delete static_cast<int *>(user);
    };
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        auto *calls = static_cast<int *>(ssl_connection_user(connection));
        if (calls == nullptr) {
            ssl_connection_set_user(connection, new int(1), destroy);
        } else if (++*calls == 3) {
            ssl_connection_set_user(connection, new int(100), destroy);
        }
        return echo_once(connection, in, out);
    });
    auto client = service.client();
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(0, destroyed);
        expect_echo(client.get(), "x");
    }
    EXPECT_EQ(1, destroyed) << "replaced";
    client->send_goodbye();
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_TRUE(service.rests(0));
    EXPECT_EQ(2, destroyed);
}

TEST_F(Serving, W1_AConnectionKnowsItsServerAndItsToken)
{
    Service *self = nullptr;
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        EXPECT_EQ(self->get(), ssl_connection_server(connection));
        EXPECT_NE(nullptr, ssl_connection_break(connection));
        EXPECT_FALSE(ssl_break_pending(ssl_connection_break(connection), nullptr, nullptr));
        return echo_once(connection, in, out);
    });
    self = &service;
    auto client = service.client();
    expect_echo(client.get(), "x");
    EXPECT_EQ(nullptr, ssl_connection_server(nullptr));
    EXPECT_EQ(nullptr, ssl_connection_break(nullptr));
    EXPECT_EQ(nullptr, ssl_connection_user(nullptr));
    ssl_connection_set_user(nullptr, nullptr, nullptr);
}

TEST_F(Serving, B9_PlainCallsObeyTheConnectionsToken)
{
    Latch entered;
    std::atomic<ssl_break *> token{nullptr};
    std::atomic<int> status{-1};
    std::atomic<int> reason{0};
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *) {
        char byte;
        size_t got;
        ssl_error err;
        EXPECT_EQ(SALLY_OK, ssl_read(in, &byte, 1, &got, nullptr));
        token = ssl_break_retain(ssl_connection_break(connection));
        entered.open();
        status = ssl_read(in, &byte, 1, &got, &err);
        reason = err.code;
        return SALLY_DONE;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    ASSERT_TRUE(entered.wait());
    EXPECT_EQ(SALLY_OK, ssl_break_send(token, 42));
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_EQ(SALLY_BREAK, status);
    EXPECT_EQ(42, reason);
    ssl_break_release(token);
}

// ---- listeners ----

TEST_F(Serving, W1_OneServerHasSeveralListeners)
{
    Handler handler = echo_once;
    ssl_server_options options = service_options(2);
    options.handler = call_handler;
    options.user = &handler;
    ssl_server *made = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_new(&options, &made, &err), err));
    Server server(made);
    Context context = server_context();
    std::vector<int> ports;
    for (int i = 0; i < SALLY_SERVER_LISTENERS_MAX; i++) {
        Listener listener = listen_on_loopback(context.get());
        ports.push_back(port_of(listener.get()));
        ASSERT_TRUE(is(SALLY_OK, ssl_server_add_listener(made, listener.get(), &err), err));
        (void)listener.release();
    }
    Listener more = listen_on_loopback(context.get());
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_server_add_listener(made, more.get(), &err), err));
    ASSERT_TRUE(is(SALLY_OK, ssl_server_start(made, &err), err));
    for (int port : ports) {
        auto client = raw_peer(connect_to(port), raw_client());
        ASSERT_EQ(Raw::Ok, client->handshake());
        expect_echo(client.get(), "x");
    }
}

// ---- wrong use ----

namespace
{

void expect_refused(const ssl_server_options &options, const std::string &word)
{
    ssl_server *server = reinterpret_cast<ssl_server *>(1);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_new(&options, &server, &err), err));
    EXPECT_EQ(nullptr, server);
    EXPECT_NE(std::string::npos, std::string(err.text).find(word)) << err.text;
}

ssl_server_options whole_options()
{
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = call_handler;
    return options;
}

} // namespace

TEST_F(Serving, E3_ANumberOutOfRangeIsNamed)
{
    ssl_server_options options = whole_options();
    options.handler = nullptr;
    expect_refused(options, "handler");
    for (int workers : {0, -1, SALLY_SERVER_WORKERS_MAX + 1}) {
        options = whole_options();
        options.workers = workers;
        expect_refused(options, "workers is " + std::to_string(workers));
    }
    for (int most : {-1, 1, SALLY_SERVER_WORKERS_MAX + 1}) {
        options = whole_options();
        options.workers = 2;
        options.workers_max = most;
        expect_refused(options, "workers_max is " + std::to_string(most) + "; with workers 2");
    }
    struct {
        int64_t ssl_server_options::*field;
        const char *name;
    } const fields[] = {
        {&ssl_server_options::worker_idle_ms, "worker_idle_ms"},
        {&ssl_server_options::connections_max, "connections_max"},
        {&ssl_server_options::handshake_timeout_ms, "handshake_timeout_ms"},
        {&ssl_server_options::idle_timeout_ms, "idle_timeout_ms"},
        {&ssl_server_options::read_timeout_ms, "read_timeout_ms"},
        {&ssl_server_options::write_timeout_ms, "write_timeout_ms"},
    };
    for (auto &field : fields) {
        for (int64_t value : {INT64_C(0), INT64_C(-2), INT64_MIN}) {
            options = whole_options();
            options.*field.field = value;
            expect_refused(options, std::string(field.name) + " is " + std::to_string(value));
        }
    }
}

TEST_F(Serving, E3_NullIsUsage)
{
    ssl_error err;
    ssl_server *server = nullptr;
    ssl_server_options options = whole_options();
    ssl_server_counters counters;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_new(nullptr, &server, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_new(&options, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_add_listener(nullptr, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_start(nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_count(nullptr, &counters, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_drain(nullptr, 0, 0, nullptr, &err), err));
    EXPECT_EQ(SALLY_USAGE, ssl_server_drain_enable_break(nullptr, 0, 0, nullptr, nullptr, nullptr));
    ssl_server_free(nullptr);
}

TEST_F(Serving, E3_StartAndAddInTheWrongOrderAreUsage)
{
    LeakGuard leaks;
    ssl_error err;
    ssl_server *made = nullptr;
    ssl_server_options options = whole_options();
    ASSERT_TRUE(is(SALLY_OK, ssl_server_new(&options, &made, &err), err));
    Server server(made);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_start(made, &err), err)) << "no listener";
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_add_listener(made, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_count(made, nullptr, &err), err));
    Context context = server_context();
    Listener closed = listen_on_loopback(context.get());
    ASSERT_TRUE(is(SALLY_OK, ssl_close(closed.get(), &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_add_listener(made, closed.get(), &err), err));
    Listener open = listen_on_loopback(context.get());
    ASSERT_TRUE(is(SALLY_OK, ssl_server_add_listener(made, open.get(), &err), err));
    (void)open.release();
    ASSERT_TRUE(is(SALLY_OK, ssl_server_start(made, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_start(made, &err), err)) << "twice";
    Listener late = listen_on_loopback(context.get());
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_add_listener(made, late.get(), &err), err));
}

TEST_F(Serving, W6_AServerThatNeverStartedIsFreedWithItsListeners)
{
    LeakGuard leaks;
    ssl_error err;
    ssl_server *made = nullptr;
    ssl_server_options options = whole_options();
    ASSERT_TRUE(is(SALLY_OK, ssl_server_new(&options, &made, &err), err));
    Server server(made);
    Context context = server_context();
    Listener listener = listen_on_loopback(context.get());
    ASSERT_TRUE(is(SALLY_OK, ssl_server_add_listener(made, listener.get(), &err), err));
    (void)listener.release();
    EXPECT_TRUE(is(SALLY_OK, ssl_server_drain(made, 1000, 1000, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_start(made, &err), err)) << "drained";
}

// How a server ends: nothing that was accepted is lost, and nothing is waited for without bound.
// Rules: W6.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "scenario/service.h"
#include "support/guards.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

// Far beyond what a healthy drain needs; a test that gets there has failed.
constexpr int64_t kLongMs = 40000;

class Drain : public testing::Test
{
  protected:
    Drain()
    {
        warm_up();
    }
};

// A handler that takes a byte, says that it is inside, and then does something.
Handler after_a_byte(Latch *entered, std::function<void(ssl_port *in)> then)
{
    return [entered, then](ssl_connection *, ssl_port *in, ssl_port *) {
        char byte;
        size_t got;
        EXPECT_EQ(SALLY_OK, ssl_read(in, &byte, 1, &got, nullptr));
        entered->open();
        then(in);
        return SALLY_DONE;
    };
}

ssl_status read_a_byte(ssl_port *in, ssl_error *err)
{
    char byte;
    size_t got;
    return ssl_read(in, &byte, 1, &got, err);
}

} // namespace

TEST_F(Drain, W6_IdleConnectionsAreHungUpWithGoodbye)
{
    Service service(echo_once);
    std::vector<std::unique_ptr<RawPeer>> clients;
    for (int i = 0; i < 10; i++) {
        clients.push_back(service.client());
        expect_echo(clients.back().get(), "x");
    }
    EXPECT_TRUE(service.rests(10));
    Thread drainer([&] {
        size_t unfinished = 9;
        EXPECT_EQ(SALLY_OK, service.drain(kLongMs, kLongMs, &unfinished));
        EXPECT_EQ(0u, unfinished);
    });
    for (auto &client : clients) {
        EXPECT_EQ(Raw::Eof, end_of(client.get()));
        client->end();
    }
    drainer.join();
    EXPECT_EQ(0u, service.count().open);
}

TEST_F(Drain, W6_UnfinishedHandshakesEnd)
{
    Service service(echo_once);
    auto silent = raw_peer(connect_to(service.port()), raw_client());
    auto half = raw_peer(connect_to(service.port()), raw_client());
    half->send_half_client_hello();
    EXPECT_TRUE(service.rests(2));
    EXPECT_EQ(SALLY_OK, service.drain(kLongMs, kLongMs));
    EXPECT_EQ(Raw::Cut, silent->handshake());
    EXPECT_EQ(2u, service.count().handshakes_failed);
    EXPECT_EQ(0u, service.count().handshakes_timed_out);
}

TEST_F(Drain, W6_ARequestThatIsInTheSocketIsStillServed)
{
    HeldEcho held;
    Service service(held.handler(), service_options(1));
    auto first = service.client();
    auto second = service.client();
    ASSERT_EQ(Raw::Ok, first->write_all("first"));
    ASSERT_TRUE(held.entered.wait());
    ASSERT_EQ(Raw::Ok, second->write_all("second"));
    Thread drainer([&] { EXPECT_EQ(SALLY_OK, service.drain(kLongMs, kLongMs)); });
    ASSERT_TRUE(wait_until_asleep(drainer));
    held.release.open();
    std::string text;
    EXPECT_EQ(Raw::Eof, first->read_to_end(&text));
    EXPECT_EQ("first", text);
    EXPECT_EQ(Raw::Eof, second->read_to_end(&text));
    EXPECT_EQ("second", text);
    first->end();
    second->end();
}

TEST_F(Drain, W6_ClientsInTheBacklogComeInBeforeItCloses)
{
    ssl_server_options options = service_options(1);
    HeldEcho held;
    Service service(held.handler(), options);
    auto first = service.client();
    ASSERT_EQ(Raw::Ok, first->write_all("first"));
    ASSERT_TRUE(held.entered.wait());
    auto queued = raw_peer(connect_to(service.port()), raw_client());
    EXPECT_EQ(Raw::WantRead, queued->handshake_step());
    Thread drainer([&] { EXPECT_EQ(SALLY_OK, service.drain(kLongMs, kLongMs)); });
    EXPECT_TRUE(service.reaches([](auto &now) { return now.accepted == 2; }));
    held.release.open();
    EXPECT_EQ(Raw::Ok, queued->handshake());
    expect_echo(queued.get(), "from the queue");
    EXPECT_EQ(Raw::Eof, end_of(queued.get()));
    queued->end();
    first->end();
}

TEST_F(Drain, W6_NobodyComesInAfterwards)
{
    Service service(echo_once);
    EXPECT_EQ(SALLY_OK, service.drain(kLongMs, kLongMs));
    Context context = client_context();
    Ports ports;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM,
                   ssl_connect("127.0.0.1", service.port(), context.get(), ports.fill(), &err),
                   err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_start(service.get(), &err), err));
}

TEST_F(Drain, W6_TheSoftDeadlineBreaksAHandlerThatKnowsNothingOfBreaks)
{
    Latch entered;
    std::atomic<int> status{-1};
    std::atomic<int> reason{0};
    Service service(after_a_byte(&entered, [&](ssl_port *in) {
        ssl_error err;
        status = read_a_byte(in, &err);
        reason = err.code;
    }));
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    ASSERT_TRUE(entered.wait());
    size_t unfinished = 9;
    Thread reader([&] {
        EXPECT_EQ(Raw::Eof, end_of(client.get()));
        client->end();
    });
    EXPECT_EQ(SALLY_OK, service.drain(10, kLongMs, &unfinished));
    EXPECT_EQ(0u, unfinished);
    EXPECT_EQ(SALLY_BREAK, status);
    EXPECT_EQ(SALLY_REASON_DRAIN, reason);
}

TEST_F(Drain, W6_AfterTheSoftDeadlineNoHandlerIsCalled)
{
    Service service(echo_once);
    auto client = service.client();
    expect_echo(client.get(), "x");
    std::atomic<bool> stop{false};
    Thread talker([&] {
        std::string back;
        while (!stop && client->write_all("again") == Raw::Ok &&
               client->read_full(&back, 5) == Raw::Ok) {}
        client->end();
    });
    EXPECT_EQ(SALLY_OK, service.drain(50, kLongMs)) << "a client that never stops talking";
    stop = true;
}

TEST_F(Drain, W6_TheHardDeadlineTakesThePortsOfAHandlerThatGoesOn)
{
    Latch entered;
    std::atomic<int> last{-1};
    Service service(after_a_byte(&entered, [&](ssl_port *in) {
        do {
            last = read_a_byte(in, nullptr);
        } while (last == SALLY_BREAK);
    }));
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    ASSERT_TRUE(entered.wait());
    size_t unfinished = 0;
    ssl_error err;
    ssl_status status = ssl_server_drain(service.get(), 10, 30, &unfinished, &err);
    EXPECT_TRUE(is(SALLY_TIMEOUT, status, err));
    EXPECT_EQ(1u, unfinished);
    EXPECT_EQ(SALLY_CLOSED, last);
    EXPECT_EQ(SALLY_OK, service.drain(10, 10, &unfinished)) << "it is drained all the same";
    EXPECT_EQ(0u, unfinished);
}

TEST_F(Drain, W6_ABreakIsTheHardStop)
{
    Latch entered;
    Break stop = new_break();
    Service service(after_a_byte(&entered, [&](ssl_port *in) {
        while (read_a_byte(in, nullptr) == SALLY_BREAK) {}
    }));
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    ASSERT_TRUE(entered.wait());
    Thread drainer([&] {
        size_t unfinished = 0;
        ssl_error err;
        ssl_status status = ssl_server_drain_enable_break(service.get(), kLongMs, kLongMs,
                                                          stop.get(), &unfinished, &err);
        EXPECT_TRUE(is(SALLY_TIMEOUT, status, err));
        EXPECT_EQ(1u, unfinished);
    });
    ASSERT_TRUE(wait_until_asleep(drainer));
    ssl_break_send(stop.get(), 15);
}

TEST_F(Drain, W6_ABreakThatCutNobodyIsReported)
{
    Break stop = new_break();
    Service service(echo_once);
    auto client = service.client();
    expect_echo(client.get(), "x");
    // Its handler has returned: nothing is left to be cut.
    EXPECT_TRUE(service.rests(1));
    ssl_break_send(stop.get(), 15);
    ssl_error err;
    size_t unfinished = 9;
    ssl_status status = ssl_server_drain_enable_break(service.get(), kLongMs, kLongMs, stop.get(),
                                                      &unfinished, &err);
    EXPECT_TRUE(is(SALLY_BREAK, status, err));
    EXPECT_EQ(0u, unfinished);
    EXPECT_EQ(0u, service.count().open);
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
}

TEST_F(Drain, W6_AHandlerCannotDrainItsOwnServer)
{
    std::atomic<int> status{-1};
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        ssl_error err;
        status = ssl_server_drain(ssl_connection_server(connection), 0, 0, nullptr, &err);
        return echo_once(connection, in, out);
    });
    auto client = service.client();
    expect_echo(client.get(), "x");
    EXPECT_EQ(SALLY_USAGE, status);
}

TEST_F(Drain, W6_UserPointersAreDestroyedByTheHardStopToo)
{
    static std::atomic<int> destroyed;
    destroyed = 0;
    std::vector<std::unique_ptr<RawPeer>> clients;
    {
        Service service([](ssl_connection *connection, ssl_port *in, ssl_port *out) {
            ssl_connection_set_user(connection, nullptr, [](void *) { destroyed++; });
            return echo_once(connection, in, out);
        });
        for (int i = 0; i < 5; i++) {
            clients.push_back(service.client());
            expect_echo(clients.back().get(), "x");
        }
    }
    EXPECT_EQ(5, destroyed);
}

// ---- under load ----

namespace
{

// Sends `total` bytes and reads them back at the same time, each piece compared.
void echo_stream(const Service &service, uint64_t stream, size_t total, Latch *begun)
{
    Context context = client_context();
    Ports ports;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK,
                   ssl_connect("127.0.0.1", service.port(), context.get(), ports.fill(), &err),
                   err));
    Thread writer([&] {
        std::string bytes = stream_bytes(stream, 0, total);
        ssl_error failed;
        EXPECT_TRUE(
            is(SALLY_OK, ssl_write(ports.out(), bytes.data(), total, nullptr, &failed), failed));
    });
    std::string buffer(16384, '\0');
    for (size_t offset = 0; offset < total;) {
        size_t got = 0;
        ASSERT_TRUE(is(SALLY_OK, ssl_read(ports.in(), &buffer[0], buffer.size(), &got, &err), err))
            << "at " << offset << " of " << total;
        ASSERT_EQ(-1, stream_mismatch(stream, offset, buffer.data(), got));
        offset += got;
        begun->open();
    }
    writer.join();
    size_t got = 0;
    EXPECT_TRUE(is(SALLY_EOF, ssl_read(ports.in(), &buffer[0], 1, &got, &err), err));
}

// Sends small messages one after the other until the server hangs up, which it does between two.
void echo_messages(const Service &service, Latch *begun)
{
    auto client = service.client();
    for (int i = 0;; i++) {
        std::string message = "message " + std::to_string(i);
        std::string back;
        if (client->write_all(message) != Raw::Ok) {
            break;
        }
        Raw end = client->read_full(&back, message.size());
        if (end != Raw::Ok) {
            EXPECT_EQ("", back) << "half an answer";
            break;
        }
        EXPECT_EQ(message, back);
        begun->open();
    }
}

void drain_under_load(Handler handler)
{
    constexpr int kStreams = 6;
    Service service(std::move(handler), service_options(8));
    Latch begun[kStreams];
    std::vector<std::unique_ptr<Thread>> clients;
    for (int i = 0; i < kStreams; i++) {
        clients.push_back(std::make_unique<Thread>(
            [&, i] { echo_stream(service, static_cast<uint64_t>(i), 4 << 20, &begun[i]); }));
    }
    for (Latch &latch : begun) {
        ASSERT_TRUE(latch.wait());
    }
    size_t unfinished = 9;
    EXPECT_EQ(SALLY_OK, service.drain(kLongMs, kLongMs, &unfinished));
    EXPECT_EQ(0u, unfinished);
}

} // namespace

TEST_F(Drain, W6_UnderLoadNoByteOfAnEchoIsLost)
{
    drain_under_load(echo_once);
}

TEST_F(Drain, W6_SmallMessagesEndBetweenTwo)
{
    constexpr int kClients = 12;
    Service service(echo_once);
    Latch begun[kClients];
    std::vector<std::unique_ptr<Thread>> clients;
    for (Latch &latch : begun) {
        clients.push_back(std::make_unique<Thread>([&] { echo_messages(service, &latch); }));
    }
    for (Latch &latch : begun) {
        ASSERT_TRUE(latch.wait());
    }
    EXPECT_EQ(SALLY_OK, service.drain(300, kLongMs));
}

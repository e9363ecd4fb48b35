// Shielded sections: connecting and accepting in one, and a handler that finishes its answer although its
// server is drained. Rules: B9 W6.
#include <gtest/gtest.h>

#include <atomic>

#include <unistd.h>

#include "sallyport/digest.h"
#include "sallyport/wrap.h"
#include "scenario/ends.h"
#include "scenario/service.h"
#include "support/full_listener.h"

using namespace sallytest;

namespace
{

class Section
{
  public:
    explicit Section(int64_t timeout_ms = kBoundMs)
    {
        EXPECT_EQ(SALLY_OK, ssl_break_shield(timeout_ms, &shield_, nullptr));
    }
    ~Section()
    {
        EXPECT_EQ(SALLY_OK, ssl_break_unshield(&shield_, nullptr));
    }
    Section(const Section &) = delete;
    Section &operator=(const Section &) = delete;

  private:
    ssl_shield shield_;
};

class Shield : public testing::Test
{
  protected:
    Context server_ = server_context();
    Context client_ = client_context();
};

TEST_F(Shield, B9_ConnectAndAcceptInASection)
{
    Listener listener = listen_on_loopback(server_.get());
    Break brk = new_break();
    ssl_break_send(brk.get(), 1);
    Thread acceptor([&] {
        Section section;
        Outcome served;
        served.status =
            ssl_accept_enable_break(listener.get(), brk.get(), served.ports.fill(), &served.err);
        EXPECT_TRUE(is(SALLY_OK, served));
    });
    {
        Section section;
        Outcome client;
        client.status =
            ssl_connect_enable_break("localhost", port_of(listener.get()), client_.get(), brk.get(),
                                     client.ports.fill(), &client.err);
        EXPECT_TRUE(is(SALLY_OK, client));
    }
    acceptor.join();
    EXPECT_TRUE(is(SALLY_BREAK, accept_from(listener.get(), brk.get())));
    EXPECT_TRUE(is(SALLY_BREAK,
                   connect_at("localhost", port_of(listener.get()), client_.get(), brk.get())));
}

TEST_F(Shield, B9_PlainCallsOfASectionAreBoundedToo)
{
    Listener listener = listen_on_loopback(server_.get());
    FullListener full;
    RawListener silent;
    ssl_ports ports;
    ssl_error err;
    Section section(50);
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_accept(listener.get(), &ports, &err), err));
    for (int port : {full.port(), silent.port()}) {
        Section inner(20);
        EXPECT_TRUE(
            is(SALLY_TIMEOUT, ssl_connect("127.0.0.1", port, client_.get(), &ports, &err), err));
        EXPECT_EQ(nullptr, ports.in);
    }
    ssl_listener *second = nullptr;
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "localhost";
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_listen(0, &options, server_.get(), &second, &err), err));
}

// The answer is larger than what fits between the two, so that it is still being written when the break
// comes, and the client reads it after that.
// Nobody writes to the pipes and nobody answers, so only the section ends these.
TEST_F(Shield, B9_DigestsAndWrapsOfASectionAreBoundedToo)
{
    int silent[2];
    ASSERT_EQ(0, pipe(silent));
    Fd in(silent[0]), out(silent[1]);
    unsigned char digest[SALLY_SHA1_SIZE];
    ssl_digest_source source = ssl_digest_of_fd(in.get());
    ssl_transport over = ssl_transport_fds(in.get(), out.get());
    ssl_wrap_options options = SALLY_WRAP_OPTIONS;
    options.context = server_.get();
    Ports ports;
    Section section(50);
    EXPECT_EQ(SALLY_TIMEOUT, ssl_sha1_bytes(&source, digest, nullptr));
    EXPECT_EQ(SALLY_TIMEOUT, ssl_wrap_ports(&over, &options, ports.fill(), nullptr));
}

TEST_F(Shield, B9_W6_AHandlerFinishesItsAnswerDuringADrain)
{
    warm_up();
    constexpr size_t kAnswer = 16 << 20;
    std::string answer = stream_bytes(9, 0, kAnswer);
    Latch entered;
    std::atomic<int> written{-1};
    std::atomic<int> then{-1};
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        char byte;
        size_t got = 0;
        (void)ssl_read(in, &byte, 1, &got, nullptr);
        entered.open();
        EXPECT_EQ(SALLY_BREAK, ssl_read(in, &byte, 1, &got, nullptr)) << "the drain's";
        {
            Section section;
            written = ssl_write_enable_break(out, answer.data(), answer.size(),
                                             ssl_connection_break(connection), nullptr, nullptr);
        }
        then = ssl_read(in, &byte, 1, &got, nullptr);
        return SALLY_DONE;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    ASSERT_TRUE(entered.wait());
    std::string got;
    Thread drainer([&] {
        size_t unfinished = 9;
        EXPECT_EQ(SALLY_OK, service.drain(10, kBoundMs, &unfinished));
        EXPECT_EQ(0u, unfinished);
    });
    EXPECT_EQ(Raw::Eof, client->read_to_end(&got));
    client->end();
    drainer.join();
    EXPECT_EQ(kAnswer, got.size());
    EXPECT_TRUE(got == answer);
    EXPECT_EQ(SALLY_OK, written);
    EXPECT_EQ(SALLY_BREAK, then) << "the break was still pending";
}

TEST_F(Shield, B9_W6_TheSectionsDeadlineAndTheHardStopBoundAHandler)
{
    warm_up();
    for (bool by_section : {true, false}) {
        Latch entered;
        std::atomic<int> status{-1};
        Service service([&](ssl_connection *, ssl_port *in, ssl_port *) {
            char byte;
            size_t got = 0;
            (void)ssl_read(in, &byte, 1, &got, nullptr);
            Section section(by_section ? 150 : kBoundMs);
            entered.open();
            status = ssl_read(in, &byte, 1, &got, nullptr);
            return SALLY_DONE;
        });
        auto client = service.client();
        ASSERT_EQ(Raw::Ok, client->write_all("x"));
        ASSERT_TRUE(entered.wait());
        size_t unfinished = 9;
        Thread reader([&] {
            std::string rest;
            (void)client->read_to_end(&rest);
            client->end();
        });
        (void)service.drain(10, by_section ? kBoundMs : 60, &unfinished);
        EXPECT_EQ(by_section ? 0u : 1u, unfinished);
        EXPECT_EQ(by_section ? SALLY_TIMEOUT : SALLY_CLOSED, status);
    }
}

// The worker serves others after a handler that forgot its section, and they see breaks.
TEST_F(Shield, W1_ASectionThatAHandlerLeftOpenEndsWithIt)
{
    std::atomic<int> calls{0};
    std::atomic<int> second{-1};
    Service service(
        [&](ssl_connection *, ssl_port *in, ssl_port *out) {
            char byte = 0; // sent back also where nothing was read
            size_t got = 0;
            second = ssl_read(in, &byte, 1, &got, nullptr);
            (void)ssl_write(out, &byte, 1, nullptr, nullptr);
            if (calls++ == 0) {
                ssl_shield forgotten;
                EXPECT_EQ(SALLY_OK, ssl_break_shield(0, &forgotten, nullptr));
            }
            return SALLY_KEEP;
        },
        service_options(1));
    auto client = service.client();
    expect_echo(client.get(), "a");
    expect_echo(client.get(), "b");
    EXPECT_EQ(SALLY_OK, second);
}

} // namespace

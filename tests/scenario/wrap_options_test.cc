// The options of ssl_wrap_ports, and its wrong use (P7).
#include <cstring>

#include <sys/socket.h>

#include "scenario/wrapping.h"

namespace sallytest
{
namespace
{

// ---- options --------------------------------------------------------------------------------------

class WrapOptions : public Wrap
{
  protected:
    // Both ends over a socketpair, with the options as they are now.
    void make()
    {
        Thread connector([&] { client_end_ = wrap(over_fd(ends_.first), connect_); });
        server_end_ = wrap(over_fd(ends_.second), accept_);
        connector.join();
    }
    std::pair<Fd, Fd> ends_ = socketpair_ends();
    Outcome client_end_;
    Outcome server_end_;
};

TEST_F(WrapOptions, P4_WithShutdownOffThereIsNoGoodbye)
{
    connect_.shutdown_on_close = SALLY_SHUTDOWN_OFF;
    connect_.close_original = true;
    make();
    ASSERT_TRUE(is(SALLY_OK, client_end_));
    ends_.first.release();
    EXPECT_EQ(SALLY_OK, ssl_close_port(client_end_.ports.out(), nullptr));
    client_end_.ports.reset();
    EXPECT_EQ(SALLY_TRUNCATED, next_status(server_end_.ports));
}

TEST_F(WrapOptions, P4_WithShutdownOnThereIsOneWhateverTheContextSays)
{
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_shutdown_on_close(client_.get(), false, &err), err));
    connect_.shutdown_on_close = SALLY_SHUTDOWN_ON;
    make();
    EXPECT_EQ(SALLY_OK, ssl_close_port(client_end_.ports.out(), nullptr));
    EXPECT_EQ(SALLY_EOF, next_status(server_end_.ports));
}

TEST_F(WrapOptions, P7_WithoutAContextOneIsMadeForTheProtocol)
{
    connect_.context = nullptr;
    connect_.protocol = SALLY_PROTOCOL_TLS12;
    make();
    ASSERT_TRUE(is(SALLY_OK, client_end_));
    EXPECT_STREQ("TLSv1.2", ssl_protocol_version(client_end_.ports.in()));
    EXPECT_FALSE(ssl_peer_verified(client_end_.ports.in())) << "nobody said whom to trust";
}

TEST_F(WrapOptions, C1_WithoutContextAndProtocolAClientIsSecure)
{
    connect_.context = nullptr;
    make();
    EXPECT_TRUE(is(SALLY_VERIFY, client_end_)) << "the system does not trust our test authority";
    EXPECT_TRUE(is(SALLY_PEER, server_end_));
}

TEST_F(WrapOptions, C7_TheNameIsVerified)
{
    connect_.hostname = "other.example";
    make();
    EXPECT_TRUE(is(SALLY_VERIFY, client_end_));
}

TEST_F(WrapOptions, P7_NullOptionsAreTheDefaults)
{
    ssl_transport over = over_fd(ends_.first);
    ssl_ports ports;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_wrap_ports(&over, nullptr, &ports, &err), err))
        << "accept mode, and no identity";
}

TEST_F(WrapOptions, P7_ErrorTextsBeginWithTheNameOfTheCall)
{
    ssl_ports ports;
    ssl_error err;
    EXPECT_EQ(SALLY_USAGE, ssl_wrap_ports(nullptr, &accept_, &ports, &err));
    EXPECT_STREQ("ssl_wrap_ports: transport is NULL", err.text);
    accept_.error_call = "starttls";
    EXPECT_EQ(SALLY_USAGE, ssl_wrap_ports(nullptr, &accept_, &ports, &err));
    EXPECT_STREQ("starttls: transport is NULL", err.text);
    ends_.second.close();
    ssl_transport over = over_fd(ends_.first);
    EXPECT_EQ(SALLY_TRUNCATED, ssl_wrap_ports(&over, &accept_, &ports, &err));
    EXPECT_EQ(0, strncmp("starttls: ", err.text, 10)) << err.text;
}

// ---- wrong use ------------------------------------------------------------------------------------

class WrongWrap : public WrapOptions
{
  protected:
    // USAGE, with the words in its text, and nothing left behind.
    void expect_usage(const ssl_transport &over, const char *words, ssl_status wanted = SALLY_USAGE)
    {
        Outcome outcome = wrap(over, accept_);
        EXPECT_TRUE(is(wanted, outcome));
        EXPECT_NE(nullptr, strstr(outcome.err.text, words)) << outcome.err.text;
    }
};

TEST_F(WrongWrap, P7_TransportsThatAreNone)
{
    expect_usage(ssl_transport{}, "no transport; make one with ssl_transport_fds");
    expect_usage(ssl_transport_callbacks(nullptr), "the read callback is NULL");
    ssl_error err;
    ssl_transport over = over_fd(ends_.first);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_wrap_ports(&over, &accept_, nullptr, &err), err));
}

TEST_F(WrongWrap, P7_DescriptorsThatCannotBe)
{
    auto pipe = pipe_ends();
    expect_usage(ssl_transport_fds(-1, -1), "descriptor -1 is not open");
    expect_usage(ssl_transport_fds(pipe.second.get(), pipe.second.get()), "not open for reading");
    expect_usage(ssl_transport_fds(pipe.first.get(), pipe.first.get()), "not open for writing");
    Fd datagrams(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    expect_usage(over_fd(datagrams), "no stream");
    EXPECT_TRUE(is_blocking(pipe.first.get()));
    EXPECT_TRUE(is_blocking(pipe.second.get()));
}

TEST_F(WrongWrap, P7_PortsThatCannotBe)
{
    Pair below = connected_pair();
    Pair other = connected_pair();
    expect_usage(ssl_transport_ports({nullptr, nullptr}),
                 "the input port of the pair below is NULL");
    expect_usage(ssl_transport_ports({below.client.in(), other.client.out()}), "of one connection");
    expect_usage(ssl_transport_ports({below.client.out(), below.client.in()}), "of one connection");
    ssl_close_port(other.client.out(), nullptr);
    expect_usage(ssl_transport_ports({other.client.in(), other.client.out()}),
                 "closed or abandoned", SALLY_CLOSED);
}

TEST_F(WrongWrap, P7_PortsThatAreInUse)
{
    Pair pair = wrapped_over(connected_pair());
    expect_usage(ssl_transport_ports({pair.below->client.in(), pair.below->client.out()}),
                 "carries another connection already");
    Thread reader([&] { next_status(pair.client); });
    ASSERT_TRUE(wait_until_asleep(reader));
    expect_usage(ssl_transport_ports({pair.client.in(), pair.client.out()}),
                 "is being read or written by another thread");
    say(pair.server, "x");
}

TEST_F(WrongWrap, L1_SyncHasNothingToPollWhereWaitFunctionsAreAtTheBottom)
{
    Pair pairs[] = {wrapped_callbacks(SocketCallbacks::ByThemselves),
                    wrapped_over(wrapped_callbacks(SocketCallbacks::ByThemselves))};
    for (const Pair &pair : pairs) {
        ssl_event event = {};
        event.port = pair.client.in();
        size_t ready = 0;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_sync(&event, 1, &ready, &err), err));
        expect_both_ways(pair);
    }
}

TEST_F(WrongWrap, P7_OptionsThatCannotBe)
{
    accept_.mode = static_cast<ssl_wrap_mode>(7);
    expect_usage(over_fd(ends_.first), "mode 7");
    accept_.mode = SALLY_WRAP_CONNECT;
    expect_usage(over_fd(ends_.first), "this is a server context");
    accept_.context = client_.get();
    expect_usage(over_fd(ends_.first), "host");
    accept_.timeout_ms = 0;
    expect_usage(over_fd(ends_.first), "options.timeout_ms is 0");
}

TEST_F(WrongWrap, P7_InAcceptModeThereIsNoHostname)
{
    accept_.hostname = "localhost";
    expect_usage(over_fd(ends_.first), "options.hostname is for connect mode");
}

} // namespace
} // namespace sallytest

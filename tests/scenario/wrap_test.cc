// TLS over transports of the program's own (P7): what the conformance suite does not ask, because it is
// about the original below: who has it when, and in which state.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include <sys/socket.h>

#include "scenario/wrapping.h"
#include "support/guards.h"

namespace sallytest
{
namespace
{

// ---- the original after a wrap that came to nothing -----------------------------------------------

// A silent peer on the other end of a socketpair.
class BrokenWrap : public Wrap
{
  protected:
    void expect_plaintext_both_ways()
    {
        drain_plain(ends_.second.get()); // the ClientHello
        send_plain(ends_.first.get(), "QUIT\r\n");
        EXPECT_EQ("QUIT\r\n", receive_plain(ends_.second.get(), 6));
        send_plain(ends_.second.get(), "BYE\r\n");
        EXPECT_EQ("BYE\r\n", receive_plain(ends_.first.get(), 5));
    }
    std::pair<Fd, Fd> ends_ = socketpair_ends();
};

TEST_F(BrokenWrap, B1_ABreakEndsTheHandshakeAndTheOriginalIsUsableInPlaintext)
{
    Break brk = new_break();
    Thread caller([&] {
        Outcome outcome = wrap(over_fd(ends_.first), connect_, brk.get());
        EXPECT_TRUE(is(SALLY_BREAK, outcome));
        EXPECT_EQ(SALLY_PHASE_HANDSHAKE, outcome.err.phase);
    });
    ASSERT_TRUE(wait_until_asleep(caller));
    ssl_break_send(brk.get(), 1);
    caller.join();
    expect_plaintext_both_ways();
}

TEST_F(BrokenWrap, B2_APendingBreakWinsAndNothingWasSent)
{
    Break brk = new_break();
    ssl_break_send(brk.get(), 1);
    EXPECT_TRUE(is(SALLY_BREAK, wrap(over_fd(ends_.first), connect_, brk.get())));
    EXPECT_EQ("", drain_plain(ends_.second.get()));
}

TEST_F(BrokenWrap, B5_TheDeadlineOfTheTokenBoundsTheHandshake)
{
    Break soon = deadline_in_ms(30);
    EXPECT_TRUE(is(SALLY_TIMEOUT, wrap(over_fd(ends_.first), accept_, soon.get())));
    expect_plaintext_both_ways();
}

TEST_F(BrokenWrap, P8_TheTimeoutOfTheOptionsBoundsThePlainCall)
{
    accept_.timeout_ms = 30;
    ssl_transport over = over_fd(ends_.first);
    ssl_ports ports = {reinterpret_cast<ssl_port *>(1), nullptr};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_wrap_ports(&over, &accept_, &ports, &err), err));
    EXPECT_EQ(nullptr, ports.in);
    expect_plaintext_both_ways();
}

TEST_F(BrokenWrap, P7_AFailedHandshakeSendsItsAlertAndGivesTheOriginalBack)
{
    accept_.close_original = true; // is for a wrap that succeeded
    std::string no_message("\x16\x03\x01\x00\x04\xff\xff\xff\xff", 9); // in a good record
    send_plain(ends_.second.get(), no_message + "MAIL\r\n");
    Outcome outcome = wrap(over_fd(ends_.first), accept_);
    EXPECT_TRUE(is(SALLY_PROTOCOL, outcome));
    EXPECT_EQ(0, strncmp(outcome.err.text, "ssl_wrap_ports_enable_break: ", 29))
        << outcome.err.text;
    EXPECT_EQ('\x15', receive_plain(ends_.second.get(), 1)[0]) << "an alert record";
    EXPECT_EQ("MAIL\r\n", receive_plain(ends_.first.get(), 6)) << "nothing was read ahead";
    expect_plaintext_both_ways();
}

TEST_F(BrokenWrap, P3_AnEndInTheHandshakeIsTruncated)
{
    ends_.second.close();
    EXPECT_TRUE(is(SALLY_TRUNCATED, wrap(over_fd(ends_.first), accept_)));
    EXPECT_TRUE(is_open(ends_.first.get()));
}

TEST_F(BrokenWrap, P7_TheFlagsOfPipesArePutBackAfterABreak)
{
    auto up = pipe_ends();
    auto down = pipe_ends();
    ssl_transport over = ssl_transport_fds(down.first.get(), up.second.get());
    Break brk = new_break();
    Thread caller([&] { EXPECT_TRUE(is(SALLY_BREAK, wrap(over, connect_, brk.get()))); });
    ASSERT_TRUE(wait_until_asleep(caller));
    EXPECT_FALSE(is_blocking(down.first.get()));
    EXPECT_FALSE(is_blocking(up.second.get()));
    ssl_break_send(brk.get(), 1);
    caller.join();
    EXPECT_TRUE(is_blocking(down.first.get()));
    EXPECT_TRUE(is_blocking(up.second.get()));
}

TEST_F(BrokenWrap, P7_PortsBelowAreUsableAfterABreak)
{
    Pair below = connected_pair();
    ssl_transport over = ssl_transport_ports({below.client.in(), below.client.out()});
    Break brk = new_break();
    Thread caller([&] { EXPECT_TRUE(is(SALLY_BREAK, wrap(over, accept_, brk.get()))); });
    ASSERT_TRUE(wait_until_asleep(caller));
    ssl_break_send(brk.get(), 1);
    caller.join();
    expect_both_ways(below);
}

TEST_F(BrokenWrap, P7_CallbacksAreNotCalledAfterABreak)
{
    int closes = SocketCallbacks::closes;
    int releases = SocketCallbacks::releases;
    for (auto waits : {SocketCallbacks::ByPoll, SocketCallbacks::ByThemselves}) {
        SocketCallbacks socket(Fd(dup(ends_.first.get())), waits);
        ssl_callbacks callbacks = socket.callbacks();
        connect_.close_original = true;
        Break brk = new_break();
        Thread caller([&] {
            EXPECT_TRUE(
                is(SALLY_BREAK, wrap(ssl_transport_callbacks(&callbacks), connect_, brk.get())));
        });
        ASSERT_TRUE(wait_until_asleep(caller));
        ssl_break_send(brk.get(), 1);
        caller.join();
    }
    expect_plaintext_both_ways();
    EXPECT_EQ(closes, SocketCallbacks::closes);
    EXPECT_EQ(releases, SocketCallbacks::releases);
}

// ---- the original after both ports are closed -----------------------------------------------------

TEST_F(Wrap, P7_AKeptSocketGoesOnInPlaintextRightBehindTheLastRecord)
{
    auto ends = socketpair_ends();
    Pair pair = wrap_both(over_fd(ends.first), over_fd(ends.second), false);
    expect_both_ways(pair);
    ssl_error err;
    say(pair.client, "last words");
    EXPECT_TRUE(is(SALLY_OK, ssl_close_port(pair.client.out(), &err), err));
    send_plain(ends.first.get(), "plain\n"); // in the socket together with the goodbye
    EXPECT_EQ("last words", hear(pair.server, 10));
    EXPECT_EQ(SALLY_EOF, next_status(pair.server));
    EXPECT_TRUE(is(SALLY_OK, ssl_close_port(pair.server.out(), &err), err));
    pair.server.reset();
    EXPECT_EQ("plain\n", receive_plain(ends.second.get(), 6));
    EXPECT_EQ(SALLY_EOF, next_status(pair.client));
    pair.client.reset();
    send_plain(ends.second.get(), "too\n");
    EXPECT_EQ("too\n", receive_plain(ends.first.get(), 4));
}

TEST_F(Wrap, P7_KeptPipesAreOpenAndBlockingAgain)
{
    auto up = pipe_ends();
    auto down = pipe_ends();
    EXPECT_EQ(0, fcntl(up.first.get(), F_SETFL, O_NONBLOCK)); // one that does not block before
    Pair pair = wrap_both(ssl_transport_fds(down.first.get(), up.second.get()),
                          ssl_transport_fds(up.first.get(), down.second.get()), false);
    EXPECT_FALSE(is_blocking(up.second.get()));
    expect_both_ways(pair);
    end_tls(&pair);
    EXPECT_TRUE(is_blocking(up.second.get()));
    EXPECT_TRUE(is_blocking(down.first.get()));
    EXPECT_TRUE(is_blocking(down.second.get()));
    EXPECT_FALSE(is_blocking(up.first.get())) << "as it was";
    send_plain(up.second.get(), "plain");
    EXPECT_EQ("plain", receive_plain(up.first.get(), 5));
}

TEST_F(Wrap, P7_SocketsKeepTheirFlagsAllTheTime)
{
    auto ends = tcp_ends();
    int before = fcntl(ends.first.get(), F_GETFL);
    Pair pair = wrap_both(over_fd(ends.first), over_fd(ends.second), false);
    EXPECT_EQ(before, fcntl(ends.first.get(), F_GETFL));
    expect_both_ways(pair);
    end_tls(&pair);
    EXPECT_EQ(before, fcntl(ends.first.get(), F_GETFL));
}

TEST_F(Wrap, P7_KeptPortsGoOnWithTheirOwnConnection)
{
    Pair below = connected_pair();
    ssl_ports client = {below.client.in(), below.client.out()};
    ssl_ports server = {below.server.in(), below.server.out()};
    Pair pair = wrap_both(ssl_transport_ports(client), ssl_transport_ports(server), false);
    say(pair.client, "inside");
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_close_port(pair.client.out(), &err), err));
    EXPECT_EQ("inside", hear(pair.server, 6));
    end_tls(&pair);
    expect_both_ways(below);
}

TEST_F(Wrap, P7_KeptCallbacksAreReleasedAndNotClosed)
{
    int closes = SocketCallbacks::closes;
    int releases = SocketCallbacks::releases;
    auto ends = socketpair_ends();
    ssl_callbacks a =
        (new SocketCallbacks(std::move(ends.first), SocketCallbacks::ByPoll))->callbacks();
    ssl_callbacks b =
        (new SocketCallbacks(std::move(ends.second), SocketCallbacks::ByThemselves))->callbacks();
    Pair pair = wrap_both(ssl_transport_callbacks(&a), ssl_transport_callbacks(&b), false);
    end_tls(&pair);
    EXPECT_EQ(closes, SocketCallbacks::closes);
    EXPECT_EQ(releases + 2, SocketCallbacks::releases);
}

TEST_F(Wrap, P7_CloseOriginalClosesDescriptorsOnceBothPortsAreClosed)
{
    auto up = pipe_ends();
    auto down = pipe_ends();
    int fds[] = {down.first.release(), up.second.release(), up.first.release(),
                 down.second.release()};
    Pair pair =
        wrap_both(ssl_transport_fds(fds[0], fds[1]), ssl_transport_fds(fds[2], fds[3]), true);
    ssl_close_port(pair.client.out(), nullptr);
    EXPECT_TRUE(is_open(fds[1])) << "one door is still open";
    end_tls(&pair);
    for (int fd : fds) {
        EXPECT_FALSE(is_open(fd));
    }
}

TEST_F(Wrap, P7_CloseOriginalClosesThePortsBelowAndTheirHandlesStay)
{
    Pair below = connected_pair();
    ssl_ports client = {below.client.in(), below.client.out()};
    ssl_ports server = {below.server.in(), below.server.out()};
    Pair pair = wrap_both(ssl_transport_ports(client), ssl_transport_ports(server), true);
    end_tls(&pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_write(client.out, "x", 1, nullptr, &err), err));
    EXPECT_EQ(SALLY_CLOSED, next_status(below.server));
}

TEST_F(Wrap, P7_CloseOriginalClosesCallbacksThenReleasesThem)
{
    int closes = SocketCallbacks::closes;
    int releases = SocketCallbacks::releases;
    Pair pair = wrapped_callbacks(SocketCallbacks::ByThemselves);
    end_tls(&pair);
    EXPECT_EQ(closes + 2, SocketCallbacks::closes);
    EXPECT_EQ(releases + 2, SocketCallbacks::releases);
}

// What a pipe did not take goes out when somebody reads, after everything has been freed; the writer's
// own descriptor is free to be closed meanwhile, and its flag is put back when that is done.
TEST_F(Wrap, P4_UnsentBytesOfKeptPipesGoOutAfterEverythingIsFreed)
{
    LeakGuard guard;
    auto up = pipe_ends();
    auto down = pipe_ends();
    Pair pair = wrap_both(ssl_transport_fds(down.first.get(), up.second.get()),
                          ssl_transport_fds(up.first.get(), down.second.get()), false);
    std::string bytes(200000, 'x');
    size_t done = 0;
    EXPECT_EQ(SALLY_OK,
              ssl_write_available(pair.client.out(), bytes.data(), bytes.size(), &done, nullptr));
    EXPECT_GT(ssl_pending_output(pair.client.out()), 0u);
    Fd watched(dup(up.second.get()));
    pair.client.reset();
    up.second.close();
    EXPECT_FALSE(is_blocking(watched.get())) << "still lent";
    EXPECT_EQ(bytes.substr(0, done), hear(pair.server, done));
    EXPECT_TRUE(eventually([&] { return is_blocking(watched.get()); }));
    pair.server.reset();
}

TEST_F(Wrap, P4_AnOriginalThatTakesNothingIsGivenBackInBoundedTime)
{
    LeakGuard guard;
    auto up = pipe_ends();
    auto down = pipe_ends();
    Pair pair = wrap_both(ssl_transport_fds(down.first.get(), up.second.get()),
                          ssl_transport_fds(up.first.get(), down.second.get()), false);
    std::string bytes(200000, 'x');
    EXPECT_EQ(SALLY_OK,
              ssl_write_available(pair.client.out(), bytes.data(), bytes.size(), nullptr, nullptr));
    pair.client.reset();
    EXPECT_TRUE(eventually([&] { return is_blocking(up.second.get()); }));
}

// ---- signals --------------------------------------------------------------------------------------

bool is_sigpipe_pending()
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

// Pipes whose far ends are gone.
void write_to_nobody()
{
    auto up = pipe_ends();
    auto down = pipe_ends();
    Pair pair = wrap_both(ssl_transport_fds(down.first.get(), up.second.get()),
                          ssl_transport_fds(up.first.get(), down.second.get()), false);
    pair.server.reset();
    up.first.close();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_write(pair.client.out(), "x", 1, nullptr, &err), err));
    EXPECT_EQ(EPIPE, err.sys_errno);
}

TEST_F(Wrap, E3_APipeWithoutAReaderIsAnErrorAndNoSignal)
{
    struct sigaction action = {};
    sigaction(SIGPIPE, nullptr, &action);
    ASSERT_EQ(SIG_DFL, action.sa_handler) << "the signal would end this test";
    write_to_nobody();
    EXPECT_FALSE(is_sigpipe_pending());
}

TEST_F(Wrap, E3_ASigpipeThatIsBlockedAndPendingStaysSo)
{
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    in_new_thread([&] {
        pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
        write_to_nobody();
        EXPECT_FALSE(is_sigpipe_pending()) << "ours was taken back";
        pthread_kill(pthread_self(), SIGPIPE);
        write_to_nobody();
        EXPECT_TRUE(is_sigpipe_pending()) << "theirs was not";
        const struct timespec at_once = {};
        EXPECT_EQ(SIGPIPE, sigtimedwait(&pipe_signal, nullptr, &at_once));
    });
}

// ---- TLS in TLS -----------------------------------------------------------------------------------

TEST_F(Wrap, P7_TlsInTlsInTlsInTls)
{
    Pair pair = wrapped_ports(4);
    expect_both_ways(pair);
    std::string bytes = stream_bytes(1, 0, 300000);
    Thread writer([&] { say(pair.client, bytes); });
    EXPECT_EQ(bytes, hear(pair.server, bytes.size()));
    writer.join();
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair.client.out(), nullptr));
    EXPECT_EQ(SALLY_EOF, next_status(pair.server));
}

TEST_F(Wrap, P7_PortsThatCarryAreNotForOthers)
{
    Pair pair = wrapped_over(connected_pair());
    char byte;
    size_t got = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read(pair.below->client.in(), &byte, 1, &got, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "carries another connection")) << err.text;
    EXPECT_EQ(0u, got);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_write(pair.below->client.out(), "x", 1, nullptr, &err), err));
    expect_both_ways(pair);
}

TEST_F(Wrap, P7_ClosingAPortBelowFromAnotherThreadCutsAtOnce)
{
    Pair pair = wrapped_over(wrapped_over(connected_pair()));
    Thread reader([&] {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_TRUNCATED, next_status(pair.client, &err), err));
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_abandon_port(pair.below->client.in());
    reader.join();
}

TEST_F(Wrap, P7_PortsBelowMayBeFreedFirst)
{
    Pair pair = wrapped_over(connected_pair());
    pair.below->client.reset();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_write(pair.client.out(), "x", 1, nullptr, &err), err));
    EXPECT_EQ(SALLY_TRUNCATED, next_status(pair.client));
    EXPECT_EQ(SALLY_TRUNCATED, next_status(pair.server));
}

TEST_F(Wrap, P5_AddressesAreThoseOfTheSocketAtTheBottom)
{
    Pair pair = wrapped_over(wrapped_over(connected_pair()));
    ssl_endpoints ends;
    ssl_endpoints bottom;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_addresses(pair.server.in(), &ends, &err), err));
    ASSERT_TRUE(is(SALLY_OK, ssl_addresses(pair.below->below->server.in(), &bottom, &err), err));
    EXPECT_STREQ("127.0.0.1", ends.remote);
    EXPECT_EQ(bottom.remote_port, ends.remote_port);
    EXPECT_EQ(bottom.local_port, ends.local_port);
}

TEST_F(Wrap, P5_AWrappedTcpSocketTellsItsAddresses)
{
    Pair pair = wrapped_tcp_pair();
    ssl_endpoints client;
    ssl_endpoints server;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_addresses(pair.client.in(), &client, &err), err));
    ASSERT_TRUE(is(SALLY_OK, ssl_addresses(pair.server.out(), &server, &err), err));
    EXPECT_STREQ("127.0.0.1", server.remote);
    EXPECT_EQ(client.local_port, server.remote_port);
}

} // namespace
} // namespace sallytest

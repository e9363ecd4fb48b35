// ssl_wrap_ports over functions of the program: what the library does when they break their contract, when
// they call it back, and when a break or a deadline comes while they have nothing (P7). And over the ports of
// a connection that a server serves, whose token is obeyed (B9).
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include "scenario/service.h"
#include "scenario/wrapping.h"
#include "support/guards.h"

namespace sallytest
{
namespace
{

// Functions around a socket; a test replaces one by its own.
struct Program {
    explicit Program(Fd socket) : fd(std::move(socket)) {}

    ssl_io read_socket(void *buf, size_t n, ssl_io_result *result) const
    {
        return outcome(recv(fd.get(), buf, n, MSG_DONTWAIT), POLLIN, result);
    }
    ssl_io write_socket(const void *buf, size_t n, ssl_io_result *result) const
    {
        return outcome(send(fd.get(), buf, n, MSG_DONTWAIT | MSG_NOSIGNAL), POLLOUT, result);
    }
    ssl_io outcome(ssize_t count, short events, ssl_io_result *result) const
    {
        result->count = count > 0 ? static_cast<size_t>(count) : 0;
        result->fd = fd.get();
        result->events = events;
        return count > 0 ? SALLY_IO_DONE : count == 0 ? SALLY_IO_END : SALLY_IO_WOULD_BLOCK;
    }

    Fd fd;
    std::function<ssl_io(void *, size_t, ssl_io_result *)> read;
    std::function<ssl_io(const void *, size_t, ssl_io_result *)> write;
    std::function<int(const ssl_io_wait *)> wait; // empty: WOULD_BLOCK names the socket
    std::atomic<int> closes{0};
    std::atomic<int> releases{0};
};

Program *program_of(void *user)
{
    return static_cast<Program *>(user);
}

ssl_io call_read(void *user, void *buf, size_t n, ssl_io_result *result)
{
    Program *p = program_of(user);
    return p->read ? p->read(buf, n, result) : p->read_socket(buf, n, result);
}

ssl_io call_write(void *user, const void *buf, size_t n, ssl_io_result *result)
{
    Program *p = program_of(user);
    return p->write ? p->write(buf, n, result) : p->write_socket(buf, n, result);
}

int call_wait(void *user, const ssl_io_wait *what)
{
    return program_of(user)->wait(what);
}

void call_close(void *user)
{
    program_of(user)->closes++;
}

void call_release(void *user)
{
    program_of(user)->releases++;
}

ssl_transport over_program(Program *program)
{
    ssl_callbacks callbacks = {};
    callbacks.read = call_read;
    callbacks.write = call_write;
    callbacks.wait = program->wait ? call_wait : nullptr;
    callbacks.close = call_close;
    callbacks.release = call_release;
    callbacks.user = program;
    return ssl_transport_callbacks(&callbacks);
}

// A client over the program, a server over the other end of its socket.
class WrapCallbacks : public Wrap
{
  protected:
    WrapCallbacks() : ends_(socketpair_ends()), program_(std::move(ends_.first)) {}
    ~WrapCallbacks() override
    {
        pair_ = Pair(); // the program is still there
    }

    void make()
    {
        pair_ = wrap_both(over_program(&program_), over_fd(ends_.second), false);
    }
    static void expect_error(const ssl_error &err, int sys_errno, const char *begins,
                             const char *says)
    {
        EXPECT_EQ(SALLY_SYSTEM, err.status) << err.text;
        EXPECT_EQ(sys_errno, err.sys_errno) << err.text;
        EXPECT_EQ(err.text, strstr(err.text, begins)) << err.text;
        EXPECT_NE(nullptr, strstr(err.text, says)) << err.text;
    }
    void expect_refused(const Outcome &outcome, int sys_errno, const char *says)
    {
        EXPECT_TRUE(is(SALLY_SYSTEM, outcome)) << outcome.err.text;
        expect_error(outcome.err, sys_errno, "ssl_wrap_ports_enable_break: ", says);
        EXPECT_EQ(0, program_.closes);
        EXPECT_EQ(0, program_.releases);
    }
    void expect_read_refused(int sys_errno, const char *says)
    {
        ssl_error err;
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(SALLY_SYSTEM, next_status(pair_.client, &err)) << "again and again";
            expect_error(err, sys_errno, "ssl_read: ", says);
        }
        pair_.client.reset();
        EXPECT_EQ(1, program_.releases);
    }

    std::pair<Fd, Fd> ends_;
    Program program_;
    Pair pair_;
};

// ---- a broken contract ------------------------------------------------------------------------------

TEST_F(WrapCallbacks, P7_AWriteThatClaimsMoreThanItWasGivenFailsTheHandshake)
{
    program_.write = [](const void *, size_t n, ssl_io_result *result) {
        result->count = n + 1;
        return SALLY_IO_DONE;
    };
    expect_refused(wrap(over_program(&program_), connect_), EINVAL, "callback `write` said DONE");
}

TEST_F(WrapCallbacks, P7_AWriteThatClaimsMinusOneFailsTheHandshake)
{
    program_.write = [](const void *, size_t, ssl_io_result *result) {
        result->count = static_cast<size_t>(-1);
        return SALLY_IO_DONE;
    };
    expect_refused(wrap(over_program(&program_), connect_), EINVAL, "callback `write` said DONE");
}

TEST_F(WrapCallbacks, P7_AReadThatClaimsMoreThanItWasAskedForFailsTheConnection)
{
    make();
    program_.read = [](void *, size_t n, ssl_io_result *result) {
        result->count = n + 1;
        return SALLY_IO_DONE;
    };
    expect_read_refused(EINVAL, "callback `read` said DONE");
}

// Poll would never come back for these.
TEST_F(WrapCallbacks, P7_WouldBlockWithNothingToWaitForFailsTheConnection)
{
    const ssl_io_result nothing[] = {{0, 0, -1, 0}, {0, 0, -7, POLLIN}, {0, 0, STDERR_FILENO, 0}};
    for (const ssl_io_result &details : nothing) {
        auto block = [&](void *, size_t, ssl_io_result *result) {
            *result = details;
            return SALLY_IO_WOULD_BLOCK;
        };
        program_.read = nullptr;
        make();
        program_.read = block;
        program_.releases = 0;
        expect_read_refused(EINVAL, "callback `read` said WOULD_BLOCK, and named no descriptor");
        pair_ = Pair();
        ends_ = socketpair_ends();
        program_.fd = std::move(ends_.first);
    }
}

// For these it would come back at once, for ever (POLLNVAL).
constexpr int kNeverOpen = 1000000;

ssl_io block_on_nothing(ssl_io_result *result)
{
    result->fd = kNeverOpen;
    result->events = POLLIN;
    return SALLY_IO_WOULD_BLOCK;
}

TEST_F(WrapCallbacks, P7_ADescriptorThatIsNotOpenFailsTheHandshakeAtOnce)
{
    int calls = 0;
    program_.read = [&](void *, size_t, ssl_io_result *result) {
        calls++;
        return block_on_nothing(result);
    };
    const char *says = "callback `read` said WOULD_BLOCK, and named a descriptor that is not open";
    expect_refused(wrap(over_program(&program_), connect_), EBADF, says);
    EXPECT_EQ(1, calls);
    program_.read = nullptr;
    program_.write = [&](const void *, size_t, ssl_io_result *result) {
        return block_on_nothing(result);
    };
    says = "callback `write` said WOULD_BLOCK, and named a descriptor that is not open";
    expect_refused(wrap(over_program(&program_), connect_), EBADF, says);
}

TEST_F(WrapCallbacks, P7_ADescriptorThatHasBeenClosedFailsTheRead)
{
    make();
    bool closed = false;
    program_.read = [&](void *buf, size_t n, ssl_io_result *result) {
        ssl_io io = program_.read_socket(buf, n, result);
        return closed && io == SALLY_IO_WOULD_BLOCK ? block_on_nothing(result) : io;
    };
    ssl_port_set_timeout(pair_.client.in(), 30, nullptr);
    EXPECT_EQ(SALLY_TIMEOUT, next_status(pair_.client)) << "it is open still";
    ssl_port_set_timeout(pair_.client.in(), -1, nullptr);
    closed = true;
    expect_read_refused(EBADF, "named a descriptor that is not open");
}

TEST_F(WrapCallbacks, L1_ADescriptorThatIsNotOpenMakesThePortReady)
{
    make();
    program_.read = [&](void *, size_t, ssl_io_result *result) { return block_on_nothing(result); };
    ssl_event event = {nullptr, pair_.client.in(), {0}};
    size_t ready = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_sync(&event, 1, &ready, &err), err));
    EXPECT_EQ(0u, ready);
    expect_read_refused(EBADF, "named a descriptor that is not open");
}

TEST_F(WrapCallbacks, P7_ADescriptorThatIsNotOpenCutsTlsInTlsOverIt)
{
    make();
    Pair inner = wrapped_over(std::move(pair_));
    program_.read = [&](void *, size_t, ssl_io_result *result) { return block_on_nothing(result); };
    ssl_error err;
    EXPECT_NE(SALLY_OK, next_status(inner.client, &err));
    EXPECT_EQ(EBADF, err.sys_errno) << err.text;
}

TEST_F(WrapCallbacks, P7_AFailureWithoutAnErrnoIsEio)
{
    program_.write = [](const void *, size_t, ssl_io_result *) { return SALLY_IO_FAILED; };
    Outcome outcome = wrap(over_program(&program_), connect_);
    EXPECT_TRUE(is(SALLY_SYSTEM, outcome));
    EXPECT_EQ(EIO, outcome.err.sys_errno);
    EXPECT_EQ(nullptr, strstr(outcome.err.text, "no address")) << outcome.err.text;
}

TEST_F(WrapCallbacks, P7_AFailingWaitFailsTheCallAndNotTheConnection)
{
    std::atomic<int> fail_with{0};
    program_.wait = [&](const ssl_io_wait *what) {
        (void)poll(what->wakes, what->wake_count, 5);
        return fail_with.exchange(0);
    };
    make();
    fail_with = ENODEV;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, next_status(pair_.client, &err), err));
    EXPECT_EQ(ENODEV, err.sys_errno);
    expect_both_ways(pair_);
}

// ---- no progress ------------------------------------------------------------------------------------

// Of each kind: one that names a descriptor that is always ready, one that waits by itself and returns at
// once.
class NoProgress : public WrapCallbacks, public testing::WithParamInterface<bool>
{
  protected:
    NoProgress()
    {
        if (GetParam()) {
            program_.wait = [](const ssl_io_wait *) { return 0; };
        }
    }
    void stop_reading()
    {
        program_.read = [this](void *, size_t, ssl_io_result *result) {
            reads_++;
            result->fd = program_.fd.get();
            result->events = POLLOUT;
            return SALLY_IO_WOULD_BLOCK;
        };
    }
    std::atomic<int> reads_{0};
};

INSTANTIATE_TEST_SUITE_P(Kinds, NoProgress, testing::Bool(),
                         [](const testing::TestParamInfo<bool> &kind) {
                             return kind.param ? "Waiting" : "Polled";
                         });

TEST_P(NoProgress, B1_ABreakEndsTheHandshake)
{
    stop_reading();
    Break brk = new_break();
    Thread caller(
        [&] { EXPECT_TRUE(is(SALLY_BREAK, wrap(over_program(&program_), connect_, brk.get()))); });
    ASSERT_TRUE(eventually([&] { return reads_ > 2; }));
    ssl_break_send(brk.get(), 1);
    caller.join();
    EXPECT_EQ(0, program_.releases);
}

TEST_P(NoProgress, B5_ADeadlineEndsTheHandshake)
{
    stop_reading();
    Break soon = deadline_in_ms(30);
    EXPECT_TRUE(is(SALLY_TIMEOUT, wrap(over_program(&program_), connect_, soon.get())));
    EXPECT_EQ(0, program_.releases);
}

TEST_P(NoProgress, P8_TheTimeoutOfThePortEndsARead)
{
    make();
    stop_reading();
    ssl_port_set_timeout(pair_.client.in(), 30, nullptr);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, next_status(pair_.client, &err), err));
}

TEST_P(NoProgress, P4_ClosingTheDoorEndsARead)
{
    make();
    stop_reading();
    Thread reader([&] { EXPECT_EQ(SALLY_CLOSED, next_status(pair_.client)); });
    ASSERT_TRUE(eventually([&] { return reads_ > 2; }));
    ssl_abandon_port(pair_.client.in());
    reader.join();
}

// ---- calling back -----------------------------------------------------------------------------------

void spoil_error_queue()
{
    ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR);
}

TEST_F(WrapCallbacks, E1_WhatACallbackLeavesInTheErrorQueueIsNotTakenForAFailure)
{
    program_.read = [this](void *buf, size_t n, ssl_io_result *result) {
        spoil_error_queue();
        return program_.read_socket(buf, n, result);
    };
    program_.write = [this](const void *buf, size_t n, ssl_io_result *result) {
        spoil_error_queue();
        return program_.write_socket(buf, n, result);
    };
    program_.wait = [this](const ssl_io_wait *what) {
        spoil_error_queue();
        pollfd fds[] = {{program_.fd.get(), POLLIN, 0}, what->wakes[0]};
        (void)poll(fds, 2, 20);
        return 0;
    };
    make();
    ASSERT_TRUE(pair_.client);
    expect_both_ways(pair_);
    EXPECT_EQ(0u, ERR_peek_error());
    ssl_port_set_timeout(pair_.client.in(), 30, nullptr);
    EXPECT_EQ(SALLY_TIMEOUT, next_status(pair_.client));
    EXPECT_EQ(0u, ERR_peek_error());
}

void spoil_at_the_end(void *)
{
    spoil_error_queue();
}

TEST_F(WrapCallbacks, E1_TheEndLeavesTheQueueEmptyToo)
{
    ssl_transport over = over_program(&program_);
    over.of.callbacks.close = spoil_at_the_end;
    over.of.callbacks.release = spoil_at_the_end;
    pair_ = wrap_both(over, over_fd(ends_.second), true);
    ends_.second.release();
    pair_.client.reset();
    EXPECT_EQ(0u, ERR_peek_error());
}

// TLS in TLS by hand: the functions read and write the ports of another connection, and wait for nothing
// but a moment.
TEST_F(WrapCallbacks, P7_TheyMayCallTheLibraryForOtherPorts)
{
    Pair below = connected_pair();
    program_.read = [&](void *buf, size_t n, ssl_io_result *result) {
        ssl_status status = ssl_read_available(below.client.in(), buf, n, &result->count, nullptr);
        return status == SALLY_EOF  ? SALLY_IO_END
               : status != SALLY_OK ? SALLY_IO_FAILED
               : result->count == 0 ? SALLY_IO_WOULD_BLOCK
                                    : SALLY_IO_DONE;
    };
    program_.write = [&](const void *buf, size_t n, ssl_io_result *result) {
        ssl_status status =
            ssl_write_available(below.client.out(), buf, n, &result->count, nullptr);
        return status != SALLY_OK   ? SALLY_IO_FAILED
               : result->count == 0 ? SALLY_IO_WOULD_BLOCK
                                    : SALLY_IO_DONE;
    };
    program_.wait = [](const ssl_io_wait *what) {
        (void)poll(what->wakes, what->wake_count, 2);
        return 0;
    };
    pair_ = wrap_both(over_program(&program_),
                      ssl_transport_ports({below.server.in(), below.server.out()}), false);
    ASSERT_TRUE(pair_.client);
    expect_both_ways(pair_);
    end_tls(&pair_);
    expect_both_ways(below);
}

// ---- on a server's port -----------------------------------------------------------------------------

// A handler that goes on with TLS in TLS. Its calls are plain.
class OnAServer : public Wrap
{
  protected:
    // The client's side: TLS, and TLS inside it; wrapped in `client_`.
    void connect_to_inner(int port)
    {
        Context outer = client_context();
        Outcome below = connect_at("127.0.0.1", port, outer.get());
        ASSERT_TRUE(is(SALLY_OK, below));
        below_ = std::move(below.ports);
    }
    Ports below_;
    Latch entered_;
    std::atomic<int> status_{-1};
    std::atomic<int> reason_{0};
};

TEST_F(OnAServer, B9_ThePortsInsideObeyTheConnectionsToken)
{
    std::atomic<ssl_break *> token{nullptr};
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        Outcome inner = wrap(ssl_transport_ports({in, out}), accept_);
        EXPECT_TRUE(is(SALLY_OK, inner));
        token = ssl_break_retain(ssl_connection_break(connection));
        entered_.open();
        ssl_error err;
        status_ = next_status(inner.ports, &err);
        reason_ = err.code;
        return SALLY_DONE;
    });
    connect_to_inner(service.port());
    Outcome inner = wrap(ssl_transport_ports({below_.in(), below_.out()}), connect_);
    ASSERT_TRUE(is(SALLY_OK, inner));
    ASSERT_TRUE(entered_.wait());
    EXPECT_EQ(SALLY_OK, ssl_break_send(token, 42));
    EXPECT_NE(SALLY_OK, next_status(inner.ports));
    EXPECT_EQ(SALLY_BREAK, status_);
    EXPECT_EQ(42, reason_);
    ssl_break_release(token);
}

TEST_F(OnAServer, B9_SoDoesTheHandshakeInside)
{
    Service service([&](ssl_connection *, ssl_port *in, ssl_port *out) {
        char byte;
        size_t got;
        EXPECT_EQ(SALLY_OK, ssl_read(in, &byte, 1, &got, nullptr));
        ssl_transport over = ssl_transport_ports({in, out});
        ssl_wrap_options options = accept_;
        options.timeout_ms = -1;
        entered_.open();
        Ports ports;
        status_ = ssl_wrap_ports(&over, &options, ports.fill(), nullptr);
        return SALLY_DONE;
    });
    connect_to_inner(service.port());
    say(below_, "x");
    ASSERT_TRUE(entered_.wait());
    Thread drainer([&] { EXPECT_EQ(SALLY_OK, service.drain(0, kBoundMs)); });
    EXPECT_TRUE(eventually([&] { return status_ != -1; }));
    EXPECT_EQ(SALLY_BREAK, status_);
    below_.reset();
}

} // namespace
} // namespace sallytest

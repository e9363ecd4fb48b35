// listener.c, listener_open.c, handshakes.c and ssl_sync.c: a failure of every call in turn, and what
// the server takes from a listener.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include <fcntl.h>

#include "scenario/ends.h"
#include "support/faults.h"
#include "support/guards.h"
#include "unit/fake_lookup.h"

extern "C" {
#include "listener.h"
#include "sock.h"
}

using namespace sallytest;
using testing::Test;

namespace
{

class ListenerUnit : public Test
{
  protected:
    void SetUp() override
    {
        warm_up();
    }
    Context server_ = server_context();
};

TEST_F(ListenerUnit, TheFdsStayOpenUntilTheLastUserLeaves_B7)
{
    Listener listener = listen_on_loopback(server_.get());
    int fds[SALLY_LISTENER_FDS_MAX];
    ASSERT_TRUE(sally_listener_enter(listener.get()));
    ASSERT_EQ(1, sally_listener_fds(listener.get(), fds));
    EXPECT_EQ(server_.get(), sally_listener_front(listener.get())->context);
    EXPECT_EQ(SALLY_OK, ssl_close(listener.get(), nullptr));
    EXPECT_NE(-1, fcntl(fds[0], F_GETFD));
    EXPECT_FALSE(sally_listener_enter(listener.get()));
    int none[SALLY_LISTENER_FDS_MAX];
    EXPECT_EQ(0, sally_listener_fds(listener.get(), none));
    sally_listener_leave(listener.get());
    EXPECT_EQ(-1, fcntl(fds[0], F_GETFD));
}

ssl_status listen_once(ssl_context *context, const char *host, ssl_error *err)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = host;
    ssl_listener *listener = nullptr;
    ssl_status status = ssl_listen(0, &options, context, &listener, err);
    EXPECT_EQ(status == SALLY_OK, listener != nullptr);
    ssl_free_listener(listener);
    return status;
}

TEST_F(ListenerUnit, B1_B8_ABreakEndsTheNameLookupOfListen)
{
    FakeLookup lookup;
    lookup.hangs = true;
    FdGuard fds;
    Break brk = new_break();
    Thread caller([&] {
        ssl_listen_options options = SALLY_LISTEN_OPTIONS;
        options.host = "slow.example";
        ssl_listener *listener = reinterpret_cast<ssl_listener *>(&options);
        ssl_error err;
        Break bound = deadline_in_ms(kBoundMs, brk.get());
        ssl_status status =
            ssl_listen_enable_break(0, &options, server_.get(), bound.get(), &listener, &err);
        EXPECT_TRUE(is(SALLY_BREAK, status, err));
        EXPECT_EQ(SALLY_PHASE_RESOLVE, err.phase);
        EXPECT_EQ(nullptr, listener);
    });
    ASSERT_TRUE(wait_until_asleep(caller));
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 1));
    caller.join(); // the lookup still hangs
    Break early = deadline_in_ms(20);
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "slow.example";
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_TIMEOUT,
           ssl_listen_enable_break(0, &options, server_.get(), early.get(), &listener, &err), err));
}

TEST_F(ListenerUnit, B1_WithoutABreakItListens)
{
    FakeLookup lookup;
    lookup.addresses = {"127.0.0.1"};
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "quick.example";
    ssl_listener *listener = nullptr;
    ssl_error err;
    Break brk = new_break();
    ASSERT_TRUE(is(SALLY_OK,
                   ssl_listen_enable_break(0, &options, server_.get(), brk.get(), &listener, &err),
                   err));
    Listener owner(listener);
    EXPECT_GT(port_of(listener), 0);
    ssl_break_send(brk.get(), 1);
    ssl_listener *second = nullptr;
    EXPECT_TRUE(is(SALLY_BREAK,
                   ssl_listen_enable_break(0, &options, server_.get(), brk.get(), &second, &err),
                   err));
    EXPECT_EQ(nullptr, second);
}

TEST_F(ListenerUnit, E2_AnyAllocationOfListenMayFail)
{
    for (const char *host : {static_cast<const char *>(nullptr), "127.0.0.1", "localhost"}) {
        Try attempt = [&](ssl_error *err) { return listen_once(server_.get(), host, err); };
        sweep_allocations("ssl_listen", attempt);
    }
}

TEST_F(ListenerUnit, E2_AnySocketCallOfListenMayFail)
{
    Try attempt = [&](ssl_error *err) { return listen_once(server_.get(), "127.0.0.1", err); };
    sweep_socket_calls("ssl_listen", ENOBUFS, attempt);
}

TEST_F(ListenerUnit, L1_ALostPickOfThePortIsTriedAgain)
{
    // Whichever call finds the port taken: bind is one of them.
    sally_sock_fail_at(0, 0);
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, listen_once(server_.get(), "127.0.0.1", &err), err));
    long calls = sally_sock_count();
    for (long nth = 1; nth <= calls; nth++) {
        sally_sock_fail_at(nth, EADDRINUSE);
        EXPECT_TRUE(is(SALLY_OK, listen_once(server_.get(), "127.0.0.1", &err), err));
    }
    sally_sock_fail_at(0, 0);
}

// A whole service of one client. A client whose listener fails is cut and does not wait.
ssl_status serve_once(ssl_context *context, ssl_error *err)
{
    ssl_listen_options options = loopback_options();
    ssl_listener *listener = nullptr;
    ssl_status status = ssl_listen(0, &options, context, &listener, err);
    if (status != SALLY_OK) {
        return status;
    }
    ssl_endpoints ends;
    EXPECT_EQ(SALLY_OK, ssl_listener_addresses(listener, &ends, nullptr));
    std::unique_ptr<Handshaker> client;
    in_new_thread([&] { client = std::make_unique<Handshaker>(ends.local_port); });
    Ports ports;
    status = ssl_accept(listener, ports.fill(), err);
    EXPECT_EQ(status == SALLY_OK, ports.in() != nullptr);
    EXPECT_EQ(status == SALLY_OK, ports.out() != nullptr);
    ssl_free_listener(listener);
    client->result();
    return status;
}

TEST_F(ListenerUnit, E2_AnyAllocationOfAcceptMayFail)
{
    Try attempt = [&](ssl_error *err) { return serve_once(server_.get(), err); };
    sweep_allocations("ssl_accept", attempt);
}

TEST_F(ListenerUnit, E2_AnyAllocationOfOpensslInAcceptMayFail)
{
    Try attempt = [&](ssl_error *err) { return serve_once(server_.get(), err); };
    sweep_openssl_allocations("ssl_accept", attempt);
}

// A receive that fails is a cut (P3), with its errno.
TEST_F(ListenerUnit, E2_AnySocketCallOfAcceptMayFail)
{
    Try attempt = [&](ssl_error *err) {
        return system_for_cut(serve_once(server_.get(), err), err);
    };
    sweep_socket_calls("ssl_accept", ENOBUFS, attempt);
}

TEST_F(ListenerUnit, E2_AnyAllocationOfSyncMayFail)
{
    Listener listener = listen_on_loopback(server_.get());
    Fd client = connect_to(port_of(listener.get()));
    Try attempt = [&](ssl_error *err) {
        ssl_event event = {listener.get(), nullptr, {}};
        size_t ready = 9;
        return ssl_sync(&event, 1, &ready, err);
    };
    sweep_allocations("ssl_sync", attempt);
}

} // namespace

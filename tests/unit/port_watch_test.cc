// port_watch.c: ssl_sync on ports whose transport is seen from the inside. Rules: E2 L1.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <poll.h>

#include "support/faults.h"
#include "support/guards.h"
#include "support/internals.h"
#include "support/loop_pairs.h"
#include "support/rng.h"
#include "support/threads.h"

extern "C" {
#include "port_watch.h"
}

using namespace sallytest;

namespace
{

constexpr int64_t kBoundMs = slow(20000);

class PortWatch : public testing::Test
{
  protected:
    void SetUp() override
    {
        warm_up();
        pair_ = pair_over(loop_);
        ASSERT_TRUE(pair_);
    }

    // Of what the client sends from now on the server gets the first n bytes.
    void deliver(uint64_t n)
    {
        LoopFaults faults;
        faults.stall_at = n;
        loop_.to_b->set_faults(faults);
    }
    void put(const std::string &bytes)
    {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK,
                       ssl_write(pair_.client.out(), bytes.data(), bytes.size(), nullptr, &err),
                       err));
    }
    // Ends in time, and only when the server's input is ready.
    void expect_ready() const
    {
        ssl_event event = {nullptr, pair_.server.in(), {}};
        size_t ready = 9;
        ssl_error err;
        Break bound = deadline_in_ms(kBoundMs);
        EXPECT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, bound.get(), &ready, &err), err));
    }

    Loop loop_;
    Pair pair_;
};

// Byte by byte: none but the last makes the port ready. Each costs a few receives, and so the thread
// cannot have looked without end in between.
TEST_F(PortWatch, L1_HalfARecordIsNotReadyAndCostsNoBusyLoop)
{
    uint64_t before = loop_.to_b->bytes_sent();
    deliver(before);
    put("record");
    uint64_t after = loop_.to_b->bytes_sent();
    uint64_t receives = loop_.to_b->receives();
    Thread waiter([this] { expect_ready(); });
    for (uint64_t n = before + 1; n < after; n++) {
        deliver(n);
        EXPECT_TRUE(eventually([&] { return loop_.to_b->bytes_received() == n; }));
        ASSERT_TRUE(wait_until_asleep(waiter));
    }
    EXPECT_FALSE(waiter.is_done());
    EXPECT_LE(loop_.to_b->receives() - receives, 4 * (after - before));
    deliver(UINT64_MAX);
    waiter.join();
}

// The thread's wake is raised for nothing, again and again.
TEST_F(PortWatch, ASpuriousWakeMakesNothingReady)
{
    const sally_wake *self = nullptr;
    Latch known;
    Thread waiter([&] {
        EXPECT_EQ(SALLY_OK, sally_wait_self(&self, SALLY_PHASE_WAIT, nullptr));
        known.open();
        expect_ready();
    });
    ASSERT_TRUE(known.wait());
    uint64_t receives = loop_.to_b->receives();
    for (int i = 0; i < 20; i++) {
        ASSERT_TRUE(wait_until_asleep(waiter));
        sally_wake_raise(self);
    }
    ASSERT_TRUE(wait_until_asleep(waiter));
    EXPECT_FALSE(waiter.is_done());
    EXPECT_EQ(receives, loop_.to_b->receives()) << "what poll does not show is not asked for";
    put("x");
    waiter.join();
}

bool is_raised(const sally_wake *wake)
{
    struct pollfd p = {wake->wait_fd, POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

// The other side of the connection takes the bytes that the sleeper waits for, so that poll would not
// show them any more.
TEST_F(PortWatch, P1_SyncIsWokenByWhatAWriterReceives)
{
    ssl_port *in = pair_.server.in();
    const sally_wake *self = nullptr;
    ssl_error err;
    ASSERT_EQ(SALLY_OK, sally_wait_self(&self, SALLY_PHASE_WAIT, &err));
    ASSERT_EQ(SALLY_OK, sally_port_watch_enter(in, "test", &err));
    struct pollfd fds[SALLY_PORT_WATCH_FDS];
    int count = 9;
    ASSERT_FALSE(sally_port_watch_begin(in, self, fds, &count));
    EXPECT_EQ(1, count);
    put("x");
    EXPECT_FALSE(is_raised(self));
    sally_op op = {};
    op.step = [](sally_conn *conn, sally_op *, sally_want *want) {
        return sally_engine_look(conn->engine, want);
    };
    op.side = SALLY_OUT;
    sally_want want;
    sally_conn_lock(in->conn);
    EXPECT_EQ(SALLY_STEP_DONE, sally_conn_step_locked(in->conn, &op, &want));
    sally_conn_unlock(in->conn);
    EXPECT_TRUE(is_raised(self));
    sally_port_watch_end(in, fds, count);
    EXPECT_TRUE(sally_port_watch_begin(in, self, fds, &count));
    EXPECT_EQ(0, count);
    sally_port_watch_leave(in);
    sally_wake_drain(self);
}

TEST_F(PortWatch, E2_AnyAllocationMayFail)
{
    put("x");
    std::vector<Pair> more;
    std::vector<ssl_event> events;
    for (int i = 0; i < 40; i++) { // more pollfds than there is room for without asking
        more.push_back(pair_over_loop(SIZE_MAX, 1 << 16));
        events.push_back(ssl_event{nullptr, more.back().server.in(), {}});
    }
    events.push_back(ssl_event{nullptr, pair_.server.in(), {}});
    long faults = sweep_allocations("ssl_sync", [&](ssl_error *err) {
        size_t ready = 9;
        ssl_status status = ssl_sync(events.data(), events.size(), &ready, err);
        EXPECT_EQ(status == SALLY_OK, ready == 40);
        return status;
    });
    EXPECT_GE(faults, 2);
    for (const Pair &pair : more) { // and every one is free again
        bool ready = true;
        EXPECT_EQ(SALLY_OK, ssl_byte_ready(pair.server.in(), &ready, nullptr));
    }
}

} // namespace

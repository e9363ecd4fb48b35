// ssl_sync on ports, whatever carries the connection. Rules: B2 B4 B5 L1 P1 P3 P4.
#include <cstring>

#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

// One call of ssl_sync on ports. `brk` NULL: nothing but the bound ends it.
struct Synced {
    ssl_status status;
    size_t ready = 99;
    ssl_error err = {};

    explicit Synced(const std::vector<ssl_port *> &ports, ssl_break *brk = nullptr,
                    int64_t bound_ms = slow(20000))
    {
        std::vector<ssl_event> events;
        for (ssl_port *port : ports) {
            events.push_back(ssl_event{nullptr, port, {}});
        }
        Break bound = deadline_in_ms(bound_ms, brk);
        status = ssl_sync_enable_break(events.data(), events.size(), bound.get(), &ready, &err);
    }
};

testing::AssertionResult is_ready(size_t which, const Synced &synced)
{
    if (synced.status == SALLY_OK && synced.ready == which) {
        return testing::AssertionSuccess();
    }
    return is(SALLY_OK, synced.status, synced.err) << ", event " << synced.ready;
}

testing::AssertionResult is_not_ready(const std::vector<ssl_port *> &ports)
{
    Synced synced(ports, nullptr, 20);
    return is(SALLY_TIMEOUT, synced.status, synced.err);
}

} // namespace

TEST_P(SyncSuite, L1_AnInputPortIsReadyWhenPlaintextIsThereAndSyncTakesNothing)
{
    EXPECT_TRUE(is_not_ready({in_}));
    put("whole");
    EXPECT_TRUE(is_ready(0, Synced({in_})));
    EXPECT_TRUE(is_ready(0, Synced({in_})));
    EXPECT_EQ("who", get(3));
    EXPECT_TRUE(is_ready(0, Synced({in_}))) << "of what was received, two bytes are left";
    EXPECT_EQ("le", get(2));
    EXPECT_TRUE(is_not_ready({in_}));
}

TEST_P(SyncSuite, L1_SyncSeesWhatAPeekReadAhead)
{
    put("ahead");
    char byte;
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_peek(in_, &byte, 1, &got, nullptr));
    EXPECT_TRUE(is_ready(0, Synced({in_})));
    EXPECT_EQ("ahead", get(5));
}

TEST_P(SyncSuite, L1_SyncWakesWhenPlaintextComes)
{
    Thread waiter([this] { EXPECT_TRUE(is_ready(1, Synced({pair_.client.in(), in_}))); });
    ASSERT_TRUE(wait_until_asleep(waiter));
    put("now");
    waiter.join();
    EXPECT_EQ("now", get(3));
}

TEST_P(SyncSuite, L1_AnOutputPortIsReadyWhileNothingIsUnsent)
{
    EXPECT_TRUE(is_ready(0, Synced({out_})));
    size_t total = fill();
    EXPECT_TRUE(is_not_ready({out_}));
    Thread waiter([this] { EXPECT_TRUE(is_ready(0, Synced({out_}))); });
    ASSERT_TRUE(wait_until_asleep(waiter));
    EXPECT_EQ(stream_bytes(1, 0, total), get(total));
    waiter.join();
    EXPECT_EQ(0u, ssl_pending_output(out_)) << "sync sends on what was left";
}

// The client waits for input; what it has not sent yet must go out meanwhile.
TEST_P(SyncSuite, B6_SyncOnTheInputSendsOnWhatTheOutputLeft)
{
    size_t total = fill();
    Break stop = new_break();
    Thread waiter([&] {
        Synced synced({pair_.client.in()}, stop.get());
        EXPECT_TRUE(is(SALLY_BREAK, synced.status, synced.err));
    });
    ASSERT_TRUE(wait_until_asleep(waiter));
    EXPECT_EQ(stream_bytes(1, 0, total), get(total));
    ssl_break_send(stop.get(), 1);
}

TEST_P(SyncSuite, P3_AnEndIsReady)
{
    Thread waiter([this] { EXPECT_TRUE(is_ready(0, Synced({in_}))); });
    ASSERT_TRUE(wait_until_asleep(waiter));
    EXPECT_EQ(SALLY_OK, close_status(out_));
    waiter.join();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_EOF, read_status(&err), err));
    EXPECT_TRUE(is_ready(0, Synced({in_}))) << "and stays so";
}

TEST_P(SyncSuite, P3_ACutIsReady)
{
    Thread waiter([this] { EXPECT_TRUE(is_ready(0, Synced({in_}))); });
    ASSERT_TRUE(wait_until_asleep(waiter));
    pair_.client.reset();
    waiter.join();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TRUNCATED, read_status(&err), err));
}

TEST_P(SyncSuite, P4_ACloseFromAnotherThreadWakesSync)
{
    for (bool output : {false, true}) {
        ssl_port *port = output ? out_ : in_;
        if (output) {
            fill();
        }
        Thread waiter([&] { EXPECT_TRUE(is_ready(0, Synced({port}))); });
        ASSERT_TRUE(wait_until_asleep(waiter));
        ssl_abandon_port(port);
        waiter.join();
        EXPECT_TRUE(is_ready(0, Synced({port}))) << "a closed port is ready";
    }
}

TEST_P(SyncSuite, P1_SyncIsTheOneReader)
{
    Break stop = new_break();
    Thread waiter([&] {
        Synced synced({in_}, stop.get());
        EXPECT_TRUE(is(SALLY_BREAK, synced.status, synced.err));
    });
    ASSERT_TRUE(wait_until_asleep(waiter));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, read_status(&err), err));
    Synced second({pair_.client.in(), in_});
    EXPECT_TRUE(is(SALLY_USAGE, second.status, second.err));
    EXPECT_NE(nullptr, strstr(second.err.text, "ssl_sync")) << second.err.text;
    ssl_break_send(stop.get(), 1);
    waiter.join();
    put("free again");
    EXPECT_EQ("free again", get(10));
}

TEST_P(SyncSuite, P1_SyncOnTheInputLeavesTheWriterAlone)
{
    Thread waiter([this] { EXPECT_TRUE(is_ready(0, Synced({in_}))); });
    ASSERT_TRUE(wait_until_asleep(waiter));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_write(pair_.server.out(), "w", 1, nullptr, &err), err));
    char byte = 0;
    size_t got = 0;
    EXPECT_TRUE(is(SALLY_OK, ssl_read(pair_.client.in(), &byte, 1, &got, &err), err));
    put("x");
}

TEST_P(SyncSuite, B2_ABreakWinsOverAReadyPortAndTakesNothing)
{
    put("still there");
    Break brk = new_break();
    ssl_break_send(brk.get(), 5);
    Synced synced({in_}, brk.get());
    EXPECT_TRUE(is(SALLY_BREAK, synced.status, synced.err));
    EXPECT_EQ(5, synced.err.code);
    EXPECT_EQ("still there", get(11));
    ssl_abandon_port(in_);
    Synced closed({in_}, brk.get());
    EXPECT_TRUE(is(SALLY_BREAK, closed.status, closed.err)) << "over a closed one too";
}

TEST_P(SyncSuite, B4_ABreakWakesSync)
{
    Break brk = new_break();
    Thread waiter([&] {
        Synced synced({in_, pair_.client.in()}, brk.get());
        EXPECT_TRUE(is(SALLY_BREAK, synced.status, synced.err));
    });
    ASSERT_TRUE(wait_until_asleep(waiter));
    ssl_break_send(brk.get(), 1);
    waiter.join();
    put("intact");
    EXPECT_EQ("intact", get(6));
}

TEST_P(SyncSuite, B9_ThePlainSyncObeysNoToken)
{
    ssl_break *own = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    ssl_break_send(own, 7);
    put("x");
    ssl_event event = {nullptr, in_, {}};
    size_t ready = 9;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_sync(&event, 1, &ready, &err), err));
    EXPECT_EQ(0u, ready);
    ssl_break_clear(own);
}

} // namespace sallytest

// Breaks, deadlines and timeouts on ports, whatever carries the connection. Rules: B9 P8.
#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

constexpr int64_t kSoonMs = 30;

struct Outcome {
    ssl_status status = SALLY_OK;
    ssl_error err = {};
    size_t count = 99;
};

Outcome read_broken_by(ssl_port *in, ssl_break *brk)
{
    Outcome outcome;
    char byte;
    outcome.status = ssl_read_enable_break(in, &byte, 1, brk, &outcome.count, &outcome.err);
    return outcome;
}

int64_t elapsed_ms(ssl_deadline since)
{
    return (ssl_deadline_after_ms(0).monotonic_ns - since.monotonic_ns) / 1000000;
}

// The own token of the calling thread.
ssl_break *own_token()
{
    ssl_break *own = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    return own;
}

} // namespace

TEST_P(PortSuite, B4_BreakWakesABlockedReaderAndNothingWasRead)
{
    Break brk = new_break();
    Thread reader([&] {
        Outcome broken = read_broken_by(in_, brk.get());
        EXPECT_TRUE(is(SALLY_BREAK, broken.status, broken.err));
        EXPECT_EQ(42, broken.err.code);
        EXPECT_EQ(0u, broken.count);
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 42));
    reader.join();
    put("intact");
    EXPECT_EQ("intact", get(6));
}

TEST_P(PortSuite, B4_BreakOfAParentWakesToo)
{
    Break parent = new_break();
    Break child = new_break(parent.get());
    Thread reader([&] { EXPECT_EQ(SALLY_BREAK, read_broken_by(in_, child.get()).status); });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_break_send(parent.get(), 1);
}

TEST_P(PortSuite, B2_PendingBreakWinsOverReadinessAndStaysPending)
{
    Break brk = new_break();
    put("ready");
    ssl_break_send(brk.get(), 1);
    EXPECT_EQ(SALLY_BREAK, read_broken_by(in_, brk.get()).status);
    EXPECT_EQ(SALLY_BREAK, read_broken_by(in_, brk.get()).status);
    EXPECT_TRUE(ssl_break_pending(brk.get(), nullptr, nullptr));
    ssl_break_clear(brk.get());
    EXPECT_EQ("ready", get(5));
}

TEST_P(PortSuite, B4_OwnTokenIsConsumedByItsReport)
{
    ssl_break_send(own_token(), 7);
    Outcome broken = read_broken_by(in_, nullptr);
    EXPECT_TRUE(is(SALLY_BREAK, broken.status, broken.err));
    EXPECT_EQ(7, broken.err.code);
    EXPECT_FALSE(ssl_break_pending(own_token(), nullptr, nullptr));
    put("x");
    EXPECT_EQ(SALLY_OK, read_broken_by(in_, nullptr).status);
}

TEST_P(PortSuite, B9_PlainCallsObeyNoToken)
{
    ssl_break_send(own_token(), 7);
    put("plain");
    EXPECT_EQ("plain", get(5));
    EXPECT_TRUE(ssl_break_pending(own_token(), nullptr, nullptr));
    ssl_break_clear(own_token());
}

TEST_P(PortSuite, B5_DeadlineIsTimeoutAndNotBreak)
{
    ssl_deadline begin = ssl_deadline_after_ms(0);
    Break limit = deadline_in_ms(kSoonMs);
    Outcome late = read_broken_by(in_, limit.get());
    EXPECT_TRUE(is(SALLY_TIMEOUT, late.status, late.err));
    EXPECT_GE(elapsed_ms(begin), kSoonMs - 1);
    put("intact");
    EXPECT_EQ("intact", get(6));
}

TEST_P(PortSuite, B5_DeadlineIsTotalHoweverOftenBytesCome)
{
    std::atomic<bool> over{false};
    Thread dripper([&] {
        while (!over) {
            put("x");
        }
    });
    Break limit = deadline_in_ms(kSoonMs);
    std::string big(1u << 30, '\0'); // never full in time
    size_t got = 0;
    ssl_error err;
    ssl_status status =
        ssl_read_full_enable_break(in_, &big[0], big.size(), limit.get(), &got, &err);
    EXPECT_TRUE(is(SALLY_TIMEOUT, status, err));
    EXPECT_EQ(std::string::npos, big.substr(0, got).find_first_not_of('x'));
    over = true;
    // The dripper may be blocked by what nobody reads any more.
    while (!dripper.is_done()) {
        char buf[16384];
        ssl_read_available(in_, buf, sizeof buf, &got, nullptr);
    }
}

TEST_P(PortSuite, B2_BrokenReadFullTellsExactlyWhatItTook)
{
    Break brk = new_break();
    put("0123456");
    Thread reader([&] {
        char buf[100];
        size_t got = 0;
        ssl_error err;
        ssl_status status = ssl_read_full_enable_break(in_, buf, 100, brk.get(), &got, &err);
        EXPECT_TRUE(is(SALLY_BREAK, status, err));
        EXPECT_EQ("0123456", std::string(buf, got));
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_break_send(brk.get(), 1);
    reader.join();
    put("789");
    EXPECT_EQ("789", get(3));
}

TEST_P(PortSuite, B2_BrokenLineAndPeekConsumeNothing)
{
    Break brk = new_break();
    put("no end of li");
    Thread reader([&] {
        char line[100];
        size_t length = 99;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_BREAK,
                       ssl_read_line_enable_break(in_, line, 100, brk.get(), &length, &err), err));
        EXPECT_EQ(0u, length);
        EXPECT_TRUE(
            is(SALLY_BREAK, ssl_peek_enable_break(in_, line, 100, brk.get(), &length, &err), err));
        EXPECT_EQ(0u, length);
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_break_send(brk.get(), 1);
    reader.join();
    put("ne\n");
    EXPECT_EQ("no end of line\n", get(15));
}

TEST_P(PortSuite, B6_BrokenWriteTellsExactlyWhatWasAcceptedAndTheStreamIsExact)
{
    constexpr size_t kTotal = kNeverHeld;
    std::string bytes = stream_bytes(1, 0, kTotal);
    Break brk = new_break();
    size_t done = 0;
    Thread writer([&] {
        ssl_error err;
        ssl_status status =
            ssl_write_enable_break(out_, bytes.data(), kTotal, brk.get(), &done, &err);
        EXPECT_TRUE(is(SALLY_BREAK, status, err));
    });
    ASSERT_TRUE(wait_until_asleep(writer));
    ssl_break_send(brk.get(), 1);
    writer.join();
    ASSERT_GT(done, 0u);
    ASSERT_LT(done, kTotal);
    Thread rest([&] { put(bytes.substr(done)); });
    EXPECT_EQ(bytes, get(kTotal));
}

TEST_P(PortSuite, B6_BrokenFlushLosesNothing)
{
    size_t total = fill();
    Break limit = deadline_in_ms(kSoonMs);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_flush_enable_break(out_, limit.get(), &err), err));
    Thread flusher([this] { EXPECT_EQ(SALLY_OK, ssl_flush(out_, nullptr)); });
    EXPECT_EQ(stream_bytes(1, 0, total), get(total));
}

TEST_P(PortSuite, P8_ReadTimeoutOfThePort)
{
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_port_set_timeout(in_, kSoonMs, &err), err));
    EXPECT_TRUE(is(SALLY_TIMEOUT, read_status(&err), err));
    EXPECT_EQ(SALLY_PHASE_READ, err.phase);
    ASSERT_TRUE(is(SALLY_OK, ssl_port_set_timeout(in_, -1, &err), err));
    put("x");
    EXPECT_TRUE(is(SALLY_OK, read_status(&err), err));
}

TEST_P(PortSuite, P8_WriteTimeoutOfThePort)
{
    size_t before = fill();
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_port_set_timeout(out_, kSoonMs, &err), err));
    // Sockets that were full may grow: more than they ever take.
    size_t more = GetParam().is_tcp ? 8 << 20 : 200000;
    std::string bytes = stream_bytes(1, before, more);
    size_t done = 99;
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_write(out_, bytes.data(), bytes.size(), &done, &err), err));
    EXPECT_EQ(SALLY_PHASE_WRITE, err.phase);
    EXPECT_LT(done, bytes.size());
    ASSERT_TRUE(is(SALLY_OK, ssl_port_set_timeout(out_, -1, &err), err));
    Thread rest([&] { put(bytes.substr(done)); });
    EXPECT_EQ(stream_bytes(1, 0, before + bytes.size()), get(before + bytes.size()));
}

TEST_P(PortSuite, P8_TimeoutAndDeadlineTheEarlierWins)
{
    ssl_error err;
    ssl_port_set_timeout(in_, 60000, nullptr);
    Break limit = deadline_in_ms(kSoonMs);
    EXPECT_EQ(SALLY_TIMEOUT, read_broken_by(in_, limit.get()).status);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_set_timeout(nullptr, 1, &err), err));
}

} // namespace sallytest

// Copying from port to port (P2), whatever carries the connections: a source writes to one connection,
// the copy takes it from there to a second one, and a sink reads it.
#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

constexpr size_t kMuch = 4000000; // more than any of the pairs holds

struct Copied {
    ssl_status status = SALLY_OK;
    uint64_t count = 99;
    ssl_error err = {};
};

Copied copy(ssl_port *in, ssl_port *out, uint64_t max = SALLY_COPY_ALL)
{
    Copied done;
    done.status = ssl_copy_port(in, out, max, &done.count, &done.err);
    return done;
}

Copied copy_broken_by(ssl_break *brk, ssl_port *in, ssl_port *out)
{
    Copied done;
    done.status = ssl_copy_port_enable_break(in, out, SALLY_COPY_ALL, brk, &done.count, &done.err);
    return done;
}

using sallytest::is; // and two more

testing::AssertionResult is(ssl_status want, const Copied &done)
{
    return is(want, done.status, done.err);
}

// `phase` is what a copy says about the side that failed.
testing::AssertionResult is(ssl_status want, ssl_phase phase, const Copied &done)
{
    if (done.status != SALLY_OK && done.err.phase != phase) {
        return testing::AssertionFailure() << "phase " << ssl_phase_name(done.err.phase);
    }
    return is(want, done);
}

std::string read_full(ssl_port *in, size_t n)
{
    ssl_error err;
    std::string bytes(n, '\0');
    size_t got = 0;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_full(in, &bytes[0], n, &got, &err), err));
    bytes.resize(got);
    return bytes;
}

// Until the end, which is `want`.
std::string read_to(ssl_status want, ssl_port *in)
{
    std::string all;
    std::string buf(20000, '\0');
    size_t got = 0;
    ssl_error err;
    ssl_status status;
    while ((status = ssl_read(in, &buf[0], buf.size(), &got, &err)) == SALLY_OK) {
        all.append(buf, 0, got);
    }
    EXPECT_TRUE(is(want, status, err));
    return all;
}

// The second connection: copies go to `out`.
struct Onward {
    explicit Onward(const PairMaker &maker) : pair(maker.make()), is_tcp(maker.is_tcp)
    {
        EXPECT_TRUE(pair);
    }
    Pair pair;
    bool is_tcp;
    ssl_port *out = pair.client.out();
    ssl_port *sink = pair.server.in();

    // So that a copy has to wait.
    size_t fill()
    {
        return fill_port(out, is_tcp);
    }
};

void await_byte(ssl_port *in)
{
    bool ready = false;
    EXPECT_TRUE(
        eventually([&] { return ssl_byte_ready(in, &ready, nullptr) == SALLY_OK && ready; }));
}

void write_all(ssl_port *out, const std::string &bytes)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_write(out, bytes.data(), bytes.size(), nullptr, &err), err));
}

// Says all of it and goodbye.
void say(ssl_port *out, const std::string &bytes)
{
    write_all(out, bytes);
    EXPECT_EQ(SALLY_OK, ssl_close_port(out, nullptr));
}

} // namespace

TEST_P(PortSuite, P2_CopyMovesAStreamToItsEnd)
{
    Onward next(GetParam());
    std::string bytes = stream_bytes(1, 0, kMuch);
    Thread from([&] { say(out_, bytes); });
    Thread to([&] { EXPECT_EQ(bytes, read_full(next.sink, kMuch)); });
    Copied done = copy(in_, next.out);
    EXPECT_TRUE(is(SALLY_OK, done));
    EXPECT_EQ(kMuch, done.count);
    EXPECT_EQ(SALLY_OK, done.err.status) << "the end is no error: " << done.err.text;
    to.join();
    write_all(next.out, "!"); // neither port was closed
    EXPECT_EQ("!", read_full(next.sink, 1));
    EXPECT_EQ(SALLY_EOF, read_status());
}

TEST_P(PortSuite, P2_CopyOfAnEmptyStreamIsOk)
{
    Onward next(GetParam());
    close_status(out_);
    Copied done = copy(in_, next.out);
    EXPECT_TRUE(is(SALLY_OK, done));
    EXPECT_EQ(0u, done.count);
    EXPECT_TRUE(is(SALLY_OK, copy(in_, next.out))) << "and once more";
}

TEST_P(PortSuite, P2_CopyStopsAtItsBoundAndASecondGoesOn)
{
    Onward next(GetParam());
    put("0123456789");
    close_status(out_);
    Copied first = copy(in_, next.out, 4);
    EXPECT_TRUE(is(SALLY_OK, first));
    EXPECT_EQ(4u, first.count);
    EXPECT_EQ("0123", read_full(next.sink, 4));
    EXPECT_EQ("45", get(2));
    EXPECT_EQ(0u, copy(in_, next.out, 0).count);
    EXPECT_EQ(4u, copy(in_, next.out).count);
    EXPECT_EQ("6789", read_full(next.sink, 4));
}

TEST_P(PortSuite, P2_CopyBeginsWithWhatAPeekOrALineReadAhead)
{
    Onward next(GetParam());
    put("line\nmore");
    char line[10];
    size_t length = 0;
    EXPECT_EQ(SALLY_OK, ssl_read_line(in_, line, sizeof line, &length, nullptr));
    EXPECT_EQ(4u, copy(in_, next.out, 4).count);
    EXPECT_EQ("more", read_full(next.sink, 4));
}

TEST_P(PortSuite, P2_CopyNeedsNoPlaceForItsCount)
{
    Onward next(GetParam());
    put("ab");
    EXPECT_EQ(SALLY_OK, ssl_copy_port(in_, next.out, 2, nullptr, nullptr));
    EXPECT_EQ("ab", read_full(next.sink, 2));
}

TEST_P(PortSuite, P2_CopyEchoesOnOneConnection)
{
    std::string bytes = stream_bytes(3, 0, 500000);
    Thread from([&] { say(out_, bytes); });
    Thread echo([&] {
        EXPECT_EQ(500000u, copy(in_, pair_.server.out()).count);
        EXPECT_EQ(SALLY_OK, close_status(pair_.server.out()));
    });
    if (GetParam().half_close) {
        EXPECT_EQ(bytes, read_to(SALLY_EOF, pair_.client.in()));
    } else {
        EXPECT_EQ(bytes, read_full(pair_.client.in(), bytes.size()));
    }
}

TEST_P(PortSuite, P3_CopyOfACutStreamIsTruncated)
{
    Onward next(GetParam());
    put("half of it");
    pair_.client.reset();
    Copied done = copy(in_, next.out);
    EXPECT_TRUE(is(SALLY_TRUNCATED, SALLY_PHASE_READ, done));
    EXPECT_EQ(10u, done.count);
    EXPECT_EQ("half of it", read_full(next.sink, 10));
    done = copy(in_, next.out);
    EXPECT_TRUE(is(SALLY_TRUNCATED, SALLY_PHASE_READ, done));
    EXPECT_EQ(0u, done.count);
}

// ---- both ways ----------------------------------------------------------------------------------

TEST_P(PortSuite, P1_TwoThreadsCopyBothWays)
{
    Onward next(GetParam());
    std::string there = stream_bytes(1, 0, 2000000);
    std::string back = stream_bytes(2, 0, 1500000);
    Thread out_copy([&] { EXPECT_EQ(there.size(), copy(in_, next.out, there.size()).count); });
    Thread back_copy([&] {
        Copied done = copy(next.pair.client.in(), pair_.server.out(), back.size());
        EXPECT_EQ(back.size(), done.count) << done.err.text;
    });
    Thread source_writes([&] { put(there); });
    Thread sink_writes([&] { write_all(next.pair.server.out(), back); });
    Thread source_reads([&] { EXPECT_EQ(back, read_full(pair_.client.in(), back.size())); });
    EXPECT_EQ(there, read_full(next.sink, there.size()));
}

// The sink never reads: the copy towards it stands, the one back does not.
TEST_P(PortSuite, P1_AStandingCopyDoesNotDelayTheOneTheOtherWay)
{
    Onward next(GetParam());
    Thread writer(
        [&] { (void)ssl_write(out_, stream_bytes(1, 0, kMuch).data(), kMuch, nullptr, nullptr); });
    Thread standing([&] { EXPECT_TRUE(is(SALLY_CLOSED, copy(in_, next.out))); });
    ASSERT_TRUE(wait_until_asleep(standing));
    std::string back = stream_bytes(2, 0, 300000);
    Thread sink_writes([&] { write_all(next.pair.server.out(), back); });
    Thread back_copy([&] {
        EXPECT_EQ(back.size(), copy(next.pair.client.in(), pair_.server.out(), back.size()).count);
    });
    EXPECT_EQ(back, read_full(pair_.client.in(), back.size()));
    ssl_abandon_port(next.out);
    standing.join();
    ssl_abandon_port(out_);
}

// ---- what stops a copy loses nothing ------------------------------------------------------------

TEST_P(PortSuite, B2_CopyBrokenInItsRead)
{
    Onward next(GetParam());
    put("before");
    Break brk = new_break();
    Copied done;
    Thread copier([&] { done = copy_broken_by(brk.get(), in_, next.out); });
    EXPECT_EQ("before", read_full(next.sink, 6));
    ASSERT_TRUE(wait_until_asleep(copier));
    ssl_break_send(brk.get(), 5);
    copier.join();
    EXPECT_TRUE(is(SALLY_BREAK, SALLY_PHASE_READ, done));
    EXPECT_EQ(5, done.err.code);
    EXPECT_EQ(6u, done.count);
    put("after");
    EXPECT_EQ(5u, copy(in_, next.out, 5).count);
    EXPECT_EQ("after", read_full(next.sink, 5));
}

TEST_P(PortSuite, B2_CopyBrokenInItsWriteLeavesTheRestInTheInput)
{
    Onward next(GetParam());
    const size_t much = 4 * kMuch; // more than the sockets of both connections can hold
    std::string bytes = stream_bytes(1, 0, much);
    Thread from([&] { say(out_, bytes); });
    Break brk = new_break();
    Copied done;
    Thread copier([&] { done = copy_broken_by(brk.get(), in_, next.out); });
    ASSERT_TRUE(eventually([&] { return ssl_pending_output(next.out) != 0; }, 20));
    ASSERT_TRUE(wait_until_asleep(copier));
    ssl_break_send(brk.get(), 1);
    copier.join();
    EXPECT_TRUE(is(SALLY_BREAK, done));
    EXPECT_GT(done.count, 0u);
    ASSERT_LT(done.count, much);
    Thread to([&] { EXPECT_EQ(bytes.substr(0, done.count), read_full(next.sink, done.count)); });
    EXPECT_EQ(SALLY_OK, ssl_flush(next.out, nullptr));
    EXPECT_EQ(bytes.substr(done.count), read_to(SALLY_EOF, in_));
}

// A break may come when all is accepted and not yet sent. The next copy finds the end of its input at
// once, and must still see to it.
TEST_P(PortSuite, B6_CopySendsWhatAnEarlierCallLeft)
{
    Onward next(GetParam());
    size_t before = next.fill();
    close_status(out_);
    Thread to([&] { EXPECT_EQ(stream_bytes(1, 0, before), read_full(next.sink, before)); });
    EXPECT_TRUE(is(SALLY_OK, copy(in_, next.out)));
    EXPECT_EQ(0u, ssl_pending_output(next.out));
}

TEST_P(PortSuite, B2_CopyUnderAPendingBreakMovesNothingAndStaysPending)
{
    Onward next(GetParam());
    put("ready");
    Break brk = new_break();
    ssl_break_send(brk.get(), 1);
    Copied done = copy_broken_by(brk.get(), in_, next.out);
    EXPECT_TRUE(is(SALLY_BREAK, done));
    EXPECT_EQ(0u, done.count);
    EXPECT_TRUE(ssl_break_pending(brk.get(), nullptr, nullptr));
    EXPECT_EQ("ready", get(5));
}

// Breaks come all the time, at whatever point the copy has come to.
TEST_P(PortSuite, B2_CopyBrokenAtAnyPointCountsExactly)
{
    Onward next(GetParam());
    std::string bytes = stream_bytes(1, 0, kMuch);
    Thread from([&] { say(out_, bytes); });
    Thread to([&] { EXPECT_EQ(bytes, read_full(next.sink, kMuch)); });
    Break brk = new_break();
    std::atomic<bool> over{false};
    Thread breaker([&] {
        Rng rng(1);
        while (!over) {
            ssl_break_send(brk.get(), 1);
            for (uint64_t spin = rng.below(20000); spin > 0 && !over; spin--) {
                std::atomic_signal_fence(std::memory_order_seq_cst);
            }
        }
    });
    uint64_t total = 0;
    long breaks = 0;
    for (;;) {
        Copied done = copy_broken_by(brk.get(), in_, next.out);
        total += done.count;
        if (done.status != SALLY_BREAK) {
            EXPECT_TRUE(is(SALLY_OK, done));
            break;
        }
        breaks++;
        ssl_break_clear(brk.get());
    }
    over = true;
    EXPECT_EQ(kMuch, total);
    EXPECT_GT(breaks, 0);
}

TEST_P(PortSuite, P8_CopyObeysTheTimeoutsOfBothPorts)
{
    Onward next(GetParam());
    ssl_port_set_timeout(in_, 20, nullptr);
    EXPECT_TRUE(is(SALLY_TIMEOUT, SALLY_PHASE_READ, copy(in_, next.out)));
    size_t before = next.fill();
    std::string bytes = stream_bytes(1, before, kMuch);
    Thread from([&] { say(out_, bytes); });
    ssl_port_set_timeout(in_, -1, nullptr);
    ssl_port_set_timeout(next.out, 50, nullptr);
    Copied done = copy(in_, next.out);
    EXPECT_TRUE(is(SALLY_TIMEOUT, SALLY_PHASE_WRITE, done));
    ssl_port_set_timeout(next.out, -1, nullptr);
    Thread to([&] {
        EXPECT_EQ(stream_bytes(1, 0, before + kMuch), read_full(next.sink, before + kMuch));
    });
    EXPECT_EQ(kMuch, done.count + copy(in_, next.out).count);
}

TEST_P(PortSuite, B5_DeadlineOfATokenBoundsTheWholeCopy)
{
    Onward next(GetParam());
    std::atomic<bool> over{false};
    Thread dripper([&] {
        while (!over) {
            put("x");
        }
    });
    Thread to([&] { read_to(SALLY_EOF, next.sink); });
    Break limit = deadline_in_ms(50);
    EXPECT_TRUE(is(SALLY_TIMEOUT, copy_broken_by(limit.get(), in_, next.out)));
    over = true;
    while (!dripper.is_done()) {
        char buf[4096];
        size_t got = 0;
        ssl_read_available(in_, buf, sizeof buf, &got, nullptr);
    }
    EXPECT_EQ(SALLY_OK, close_status(next.out));
}

// Over a socket the peer's last act is to drain its input for two seconds (P4): the error comes then.
TEST_P(PortSuite, P6_CopyToAnOutputThatIsGoneLeavesTheRestInTheInput)
{
    Onward next(GetParam());
    next.pair.server.reset();
    std::string bytes = stream_bytes(1, 0, kMuch);
    uint64_t sent = 0;
    uint64_t total = 0;
    Copied done;
    EXPECT_TRUE(eventually([&] {
        put(bytes.substr(sent, 1000));
        sent += 1000;
        done = copy(in_, next.out, 1000);
        total += done.count;
        return done.status != SALLY_OK;
    }));
    EXPECT_TRUE(is(SALLY_SYSTEM, SALLY_PHASE_WRITE, done));
    EXPECT_LE(total, sent); // equal when it broke in the wait for the socket
    EXPECT_EQ(bytes.substr(total, sent - total), get(sent - total));
}

// ---- doors that close meanwhile -----------------------------------------------------------------

TEST_P(PortSuite, P4_ClosingTheOutputEndsACopyThatReads)
{
    Onward next(GetParam());
    Copied done;
    Thread copier([&] { done = copy(in_, next.out); });
    ASSERT_TRUE(wait_until_asleep(copier));
    EXPECT_EQ(SALLY_OK, close_status(next.out));
    copier.join();
    EXPECT_TRUE(is(SALLY_CLOSED, SALLY_PHASE_WRITE, done));
    put("kept");
    EXPECT_EQ("kept", get(4));
}

TEST_P(PortSuite, P4_ClosingTheInputEndsACopyThatReads)
{
    Onward next(GetParam());
    Copied done;
    Thread copier([&] { done = copy(in_, next.out); });
    ASSERT_TRUE(wait_until_asleep(copier));
    EXPECT_EQ(SALLY_OK, close_status(in_));
    copier.join();
    EXPECT_TRUE(is(SALLY_CLOSED, SALLY_PHASE_READ, done));
}

TEST_P(PortSuite, P4_AbandoningTheInputEndsACopyThatWrites)
{
    Onward next(GetParam());
    next.fill();
    Thread from(
        [&] { (void)ssl_write(out_, stream_bytes(2, 0, kMuch).data(), kMuch, nullptr, nullptr); });
    await_byte(in_);
    Copied done;
    Thread copier([&] { done = copy(in_, next.out); });
    ASSERT_TRUE(wait_until_asleep(copier));
    ssl_abandon_port(in_);
    copier.join();
    EXPECT_TRUE(is(SALLY_CLOSED, SALLY_PHASE_READ, done));
    ssl_abandon_port(out_);
}

TEST_P(PortSuite, P4_ClosingOneDoorEndsAnEcho)
{
    for (bool close_input : {true, false}) {
        Pair pair = GetParam().make();
        ASSERT_TRUE(pair);
        Copied done;
        Thread copier([&] { done = copy(pair.server.in(), pair.server.out()); });
        ASSERT_TRUE(wait_until_asleep(copier));
        ssl_abandon_port(close_input ? pair.server.in() : pair.server.out());
        copier.join();
        EXPECT_TRUE(is(SALLY_CLOSED, close_input ? SALLY_PHASE_READ : SALLY_PHASE_WRITE, done));
    }
}

TEST_P(PortSuite, P4_CopyRefusesClosedPorts)
{
    Onward next(GetParam());
    close_status(next.out);
    EXPECT_TRUE(is(SALLY_CLOSED, SALLY_PHASE_WRITE, copy(in_, next.out)));
    put("kept");
    EXPECT_EQ("kept", get(4));
    close_status(in_);
    EXPECT_TRUE(is(SALLY_CLOSED, SALLY_PHASE_READ, copy(in_, next.out)));
}

// ---- wrong use ----------------------------------------------------------------------------------

TEST_P(PortSuite, P1_ACopyIsTheOneReaderAndTheOneWriter)
{
    Onward next(GetParam());
    Thread copier([&] { EXPECT_EQ(4u, copy(in_, next.out, 4).count); });
    ASSERT_TRUE(wait_until_asleep(copier));
    EXPECT_EQ(SALLY_USAGE, read_status());
    EXPECT_EQ(SALLY_USAGE, ssl_write(next.out, "x", 1, nullptr, nullptr));
    EXPECT_TRUE(is(SALLY_USAGE, SALLY_PHASE_READ, copy(in_, pair_.server.out())));
    EXPECT_TRUE(is(SALLY_USAGE, SALLY_PHASE_WRITE, copy(next.pair.client.in(), next.out)));
    put("done");
    copier.join();
    EXPECT_EQ("done", read_full(next.sink, 4));
}

TEST_P(PortSuite, E3_CopyRefusesNullsAndWrongSides)
{
    Onward next(GetParam());
    EXPECT_TRUE(is(SALLY_USAGE, SALLY_PHASE_READ, copy(nullptr, next.out)));
    EXPECT_TRUE(is(SALLY_USAGE, SALLY_PHASE_WRITE, copy(in_, nullptr)));
    EXPECT_TRUE(is(SALLY_USAGE, SALLY_PHASE_READ, copy(out_, next.out)));
    EXPECT_TRUE(is(SALLY_USAGE, SALLY_PHASE_WRITE, copy(in_, next.sink)));
    EXPECT_EQ(0u, copy(nullptr, nullptr).count);
}

} // namespace sallytest

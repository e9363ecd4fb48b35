// Breaks against reads and writes at random moments: the streams are exact, and each break is reported
// exactly once (B2, B4, B6).
#include <algorithm>
#include <atomic>

#include "stress/races.h"
#include "support/loop_pairs.h"
#include "support/watchdog.h"

using namespace sallytest;

namespace
{

// Writes a stream in random pieces until told to stop, then closes.
struct StreamWriter {
    ssl_port *out;
    uint64_t stream;
    Breaker *breaker; // may be NULL: nobody breaks it
    std::atomic<bool> stop{false};
    uint64_t sent = 0;

    void write_piece(Rng *rng)
    {
        std::string bytes =
            stream_bytes(stream, sent, rng->between(1, rng->one_in(8) ? 60000 : 900));
        size_t offset = 0;
        while (offset < bytes.size()) {
            size_t done = 0;
            ssl_error err;
            ssl_status status =
                breaker == nullptr
                    ? ssl_write(out, bytes.data() + offset, bytes.size() - offset, &done, &err)
                    : ssl_write_enable_break(out, bytes.data() + offset, bytes.size() - offset,
                                             breaker->token(), &done, &err);
            offset += done;
            if (status == SALLY_BREAK) {
                breaker->report(err);
            } else {
                ASSERT_TRUE(is(SALLY_OK, status, err));
                ASSERT_EQ(bytes.size(), offset);
            }
        }
        sent += bytes.size();
    }

    void run()
    {
        Rng rng(stream * 10 + 1);
        while (!(breaker == nullptr ? stop.load() : breaker->is_done()) &&
               !testing::Test::HasFatalFailure()) {
            write_piece(&rng);
            dither(&rng);
        }
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_close_port(out, &err), err));
    }
};

// What a read may hold back from `received` while it waits for the rest.
constexpr size_t kLongestRead = 20000;
// The kernel would hold 30 MB for a slow reader.
constexpr size_t kMostAhead = 1 << 20;

// Reads a stream by random calls, and compares, until the end.
struct StreamReader {
    ssl_port *in;
    uint64_t stream;
    Breaker *breaker; // may be NULL
    std::atomic<uint64_t> received{0};
    bool ended = false;

    void take(const char *bytes, size_t n)
    {
        long wrong = stream_mismatch(stream, received, bytes, n);
        ASSERT_EQ(-1, wrong) << "stream " << stream << " after " << received;
        received += n;
    }

    void judge(ssl_status status, const ssl_error &err)
    {
        if (status == SALLY_BREAK) {
            ASSERT_NE(nullptr, breaker);
            breaker->report(err);
        } else if (status == SALLY_EOF) {
            ended = true;
        } else {
            ASSERT_TRUE(is(SALLY_OK, status, err));
        }
    }

    void read_piece(Rng *rng)
    {
        char buf[kLongestRead];
        size_t n = rng->between(1, rng->one_in(4) ? sizeof buf : 700);
        size_t got = 0;
        ssl_error err;
        ssl_status status;
        ssl_break *brk = breaker == nullptr ? nullptr : breaker->token();
        bool peeked = false;
        switch (rng->below(4)) {
        case 0: status = ssl_read_full_enable_break(in, buf, n, brk, &got, &err); break;
        case 1:
            status = ssl_peek_enable_break(in, buf, n, brk, &got, &err);
            peeked = true;
            break;
        case 2: status = ssl_read_available(in, buf, n, &got, &err); break;
        default: status = ssl_read_enable_break(in, buf, n, brk, &got, &err);
        }
        uint64_t before = received;
        take(buf, got);
        received = peeked ? before : received.load();
        judge(status, err);
    }

    void run()
    {
        Rng rng(stream * 10 + 2);
        while (!ended && !testing::Test::HasFatalFailure()) {
            read_piece(&rng);
            dither(&rng);
        }
    }
};

enum class Over { Memory, Sockets };

class StreamRaces : public testing::TestWithParam<Over>
{
  protected:
    void SetUp() override
    {
        pair_ = GetParam() == Over::Memory ? pair_over_loop(SIZE_MAX, 9000) : connected_pair();
        ASSERT_TRUE(pair_);
    }

    Pair pair_;
};

INSTANTIATE_TEST_SUITE_P(Transports, StreamRaces, testing::Values(Over::Memory, Over::Sockets),
                         [](const testing::TestParamInfo<Over> &over) {
                             return over.param == Over::Memory ? "Memory" : "Sockets";
                         });

} // namespace

TEST_P(StreamRaces, B2_BreaksAgainstReads)
{
    Breaker breaker(races(), 1);
    StreamWriter writer{pair_.client.out(), 1, nullptr};
    StreamReader reader{pair_.server.in(), 1, &breaker};
    Thread breaking([&] {
        breaker.run();
        writer.stop = true;
    });
    Thread writing([&] { writer.run(); });
    reader.run();
    writing.join();
    breaking.join();
    EXPECT_EQ(races(), breaker.delivered());
    EXPECT_EQ(writer.sent, reader.received);
}

TEST_P(StreamRaces, B6_BreaksAgainstWrites)
{
    Breaker breaker(races(), 2);
    StreamWriter writer{pair_.client.out(), 2, &breaker};
    StreamReader reader{pair_.server.in(), 2, nullptr};
    Thread breaking([&] { breaker.run(); });
    Thread writing([&] { writer.run(); });
    reader.run();
    writing.join();
    breaking.join();
    EXPECT_EQ(races(), breaker.delivered());
    EXPECT_EQ(writer.sent, reader.received);
}

TEST_P(StreamRaces, P1_BreaksAgainstFourThreadsOnOneConnection)
{
    Breaker breakers[4] = {{races(), 31}, {races(), 32}, {races(), 33}, {races(), 34}};
    StreamWriter to_server{pair_.client.out(), 3, &breakers[0]};
    StreamWriter to_client{pair_.server.out(), 4, &breakers[1]};
    StreamReader at_server{pair_.server.in(), 3, &breakers[2]};
    StreamReader at_client{pair_.client.in(), 4, &breakers[3]};
    // The writers end when their own breakers have; until then the readers' have had their chance, and
    // what is left of those meets the end of the stream.
    Thread a([&] { to_server.run(); });
    Thread b([&] { to_client.run(); });
    Thread c([&] { at_server.run(); });
    Thread d([&] { at_client.run(); });
    Thread write_breaks([&] { breakers[0].run(); });
    Thread more_write_breaks([&] { breakers[1].run(); });
    c.join();
    d.join();
    a.join();
    b.join();
    EXPECT_EQ(to_server.sent, at_server.received);
    EXPECT_EQ(to_client.sent, at_client.received);
    EXPECT_EQ(races(), breakers[0].delivered());
    EXPECT_EQ(races(), breakers[1].delivered());
}

// Deadlines instead of breaks: they need no second thread, and fall due at any moment.
TEST_P(StreamRaces, B5_DeadlinesAgainstWrites)
{
    StreamReader reader{pair_.server.in(), 5, nullptr};
    Thread reading([&] { reader.run(); });
    Rng rng(51);
    uint64_t sent = 0;
    for (long timeouts = 0; timeouts < races();) {
        while (sent > reader.received + kMostAhead) {
            std::this_thread::yield();
        }
        std::string bytes = stream_bytes(5, sent, rng.between(1, 40000));
        int64_t limit_ns = static_cast<int64_t>(rng.below(rng.one_in(2) ? 300000 : 20000));
        ssl_deadline when = {ssl_deadline_after_ms(0).monotonic_ns + limit_ns};
        ssl_break *limit = nullptr;
        ASSERT_EQ(SALLY_OK, ssl_break_new_deadline(nullptr, when, &limit, nullptr));
        Break owner(limit);
        size_t done = 0;
        ssl_error err;
        ssl_status status = ssl_write_enable_break(pair_.client.out(), bytes.data(), bytes.size(),
                                                   limit, &done, &err);
        ASSERT_TRUE(status == SALLY_OK || status == SALLY_TIMEOUT) << err.text;
        timeouts += status == SALLY_TIMEOUT ? 1 : 0;
        sent += done;
    }
    // The reader is slow: what the kernel holds for it may take longer than a close waits.
    EXPECT_EQ(SALLY_OK, ssl_flush(pair_.client.out(), nullptr));
    EXPECT_TRUE(eventually([&] { return reader.received + kLongestRead >= sent; }, 40));
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair_.client.out(), nullptr));
    reading.join();
    EXPECT_EQ(sent, reader.received);
}

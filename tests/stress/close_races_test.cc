// Breaks against close, and closes against everything, at random moments (P4, B1).
#include "stress/races.h"
#include "support/guards.h"
#include "support/loop_pairs.h"

using namespace sallytest;

namespace
{

// What a reader found up to the end.
struct Heard {
    uint64_t bytes = 0;
    ssl_status end = SALLY_OK;
};

Heard hear_all(ssl_port *in, uint64_t stream, Rng *rng)
{
    Heard heard;
    char buf[4096];
    while (heard.end == SALLY_OK) {
        size_t got = 0;
        heard.end = ssl_read(in, buf, rng->between(1, sizeof buf), &got, nullptr);
        EXPECT_EQ(-1, stream_mismatch(stream, heard.bytes, buf, got));
        heard.bytes += got;
        dither(rng);
    }
    return heard;
}

// Accepts what fits without blocking.
size_t write_some(ssl_port *out, uint64_t stream, size_t n)
{
    std::string bytes = stream_bytes(stream, 0, n);
    size_t done = 0;
    EXPECT_EQ(SALLY_OK, ssl_write_available(out, bytes.data(), n, &done, nullptr));
    return done;
}

} // namespace

TEST(CloseRaces, B1_BreaksAgainstClose)
{
    long broken = 0;
    Rng rng(60);
    for (long i = 0; i < races(); i++) {
        Pair pair = pair_over_loop(SIZE_MAX, 2000); // a close must wait for the reader
        ASSERT_TRUE(pair);
        uint64_t stream = 600 + static_cast<uint64_t>(i);
        size_t sent = write_some(pair.client.out(), stream, rng.between(1, 12000));
        Break brk = new_break();
        Heard heard;
        Barrier start(3);
        Thread reader([&, stream] {
            Rng own(stream * 3);
            start.wait();
            heard = hear_all(pair.server.in(), stream, &own);
        });
        Thread breaker([&, stream] {
            Rng own(stream * 3 + 1);
            start.wait();
            dither(&own);
            ssl_break_send(brk.get(), 9);
        });
        start.wait();
        ssl_error err;
        ssl_status status = ssl_close_port_enable_break(pair.client.out(), brk.get(), &err);
        ASSERT_TRUE(status == SALLY_OK || status == SALLY_BREAK) << err.text;
        breaker.join();
        EXPECT_TRUE(ssl_break_pending(brk.get(), nullptr, nullptr));
        EXPECT_EQ(SALLY_CLOSED, ssl_write(pair.client.out(), "x", 1, nullptr, nullptr));
        pair.client.reset();
        reader.join();
        ASSERT_EQ(sent, heard.bytes) << "round " << i;
        ASSERT_TRUE(heard.end == SALLY_EOF ||
                    (status == SALLY_BREAK && heard.end == SALLY_TRUNCATED))
            << ssl_status_name(status) << " " << ssl_status_name(heard.end);
        broken += status == SALLY_BREAK ? 1 : 0;
    }
    EXPECT_GT(broken, 0);
    EXPECT_LT(broken, races());
}

// Every thread that may be inside a call gets a sensible answer, and nothing hangs or is left.
TEST(CloseRaces, P4_ClosesAndAbandonsFromOtherThreadsAgainstReadsAndWrites)
{
    warm_up();
    LeakGuard leaks;
    Rng rng(70);
    for (long i = 0; i < races(); i++) {
        Pair pair = i % 4 == 0 ? connected_pair() : pair_over_loop(SIZE_MAX, 3000);
        ASSERT_TRUE(pair);
        uint64_t kind = rng.below(4);
        uint64_t seed = 7000 + static_cast<uint64_t>(i) * 4;
        Thread writer([&] {
            std::string bytes(50000, 'w');
            ssl_status status = SALLY_OK;
            while (status == SALLY_OK) {
                status = ssl_write(pair.client.out(), bytes.data(), bytes.size(), nullptr, nullptr);
            }
            EXPECT_TRUE(status == SALLY_CLOSED || status == SALLY_SYSTEM)
                << ssl_status_name(status);
        });
        Thread reader([&] {
            char buf[3000];
            size_t got = 0;
            ssl_status status = SALLY_OK;
            while (status == SALLY_OK) {
                status = ssl_read(pair.server.in(), buf, sizeof buf, &got, nullptr);
            }
            EXPECT_TRUE(status == SALLY_CLOSED || status == SALLY_EOF || status == SALLY_TRUNCATED)
                << ssl_status_name(status);
        });
        Thread ender([&, kind, seed] {
            Rng own(seed);
            dither(&own);
            if (kind % 2 == 0) {
                ssl_abandon_port(pair.client.out());
            } else {
                ssl_close_port(pair.client.out(), nullptr);
            }
            if (kind < 2) {
                ssl_close_port(pair.client.in(), nullptr);
            }
        });
        writer.join();
        ender.join();
        ssl_close_port(pair.server.in(), nullptr);
        reader.join();
    }
}

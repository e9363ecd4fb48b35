// How many records of each event pass, at which moments. Rules: W9.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "support/threads.h"

extern "C" {
#include "log_limit.h"
}

using namespace sallytest;

namespace
{

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kNow = 77 * kSecond;

class LogLimit : public testing::Test
{
  protected:
    void set(int64_t burst, int64_t per_second)
    {
        ssl_log log = SALLY_LOG;
        log.burst = burst;
        log.per_second = per_second;
        EXPECT_TRUE(sally_log_limit_is_valid(&log));
        sally_log_limit_set(&limit, &log);
    }
    // How many of `n` pass at this moment.
    int pass(int n, int64_t now, ssl_log_event event = SALLY_LOG_HANDSHAKE_FAILED)
    {
        int passed = 0;
        for (int i = 0; i < n; i++) {
            passed += sally_log_limit_pass(&limit, event, now) ? 1 : 0;
        }
        return passed;
    }
    uint64_t dropped(ssl_log_event event = SALLY_LOG_HANDSHAKE_FAILED)
    {
        return sally_log_limit_take_dropped(&limit, event);
    }

    sally_log_limit limit = {};
};

TEST_F(LogLimit, W9_ABurstThenSoManyASecond)
{
    set(5, 2);
    EXPECT_EQ(5, pass(20, kNow));
    EXPECT_EQ(15U, dropped());
    EXPECT_EQ(0U, dropped()) << "they are told of once";
    EXPECT_EQ(0, pass(1, kNow + kSecond / 2 - 1));
    EXPECT_EQ(1, pass(3, kNow + kSecond / 2));
    EXPECT_EQ(2, pass(20, kNow + 3 * kSecond / 2));
    EXPECT_EQ(5, pass(20, kNow + 100 * kSecond)) << "no more than the burst after a rest";
}

TEST_F(LogLimit, W9_EachEventHasItsOwn)
{
    set(1, 1);
    EXPECT_EQ(1, pass(9, kNow, SALLY_LOG_HANDSHAKE_FAILED));
    EXPECT_EQ(1, pass(9, kNow, SALLY_LOG_DRAIN_BEGUN));
    EXPECT_EQ(8U, dropped(SALLY_LOG_DRAIN_BEGUN));
    EXPECT_EQ(8U, dropped(SALLY_LOG_HANDSHAKE_FAILED));
}

TEST_F(LogLimit, W9_TheUsualOneAndNone)
{
    set(0, 0);
    EXPECT_EQ(SALLY_LOG_BURST, pass(SALLY_LOG_BURST * 2, kNow));
    EXPECT_EQ(SALLY_LOG_PER_SECOND, pass(SALLY_LOG_BURST, kNow + kSecond));
    EXPECT_LT(0U, dropped());
    set(SALLY_UNLIMITED, 0);
    EXPECT_EQ(5000, pass(5000, kNow));
    set(0, SALLY_UNLIMITED);
    EXPECT_EQ(5000, pass(5000, kNow));
    EXPECT_EQ(0U, dropped());
    set(SALLY_LOG_RATE_MAX, SALLY_LOG_RATE_MAX);
    EXPECT_EQ(5000, pass(5000, kNow + 100 * kSecond));
}

TEST_F(LogLimit, E3_NumbersOutOfRange)
{
    for (int64_t wrong : {INT64_C(-2), INT64_MIN, SALLY_LOG_RATE_MAX + INT64_C(1), INT64_MAX}) {
        ssl_log log = SALLY_LOG;
        log.burst = wrong;
        EXPECT_FALSE(sally_log_limit_is_valid(&log));
        log.burst = 1;
        log.per_second = wrong;
        EXPECT_FALSE(sally_log_limit_is_valid(&log));
    }
}

// None is lost from both counts, and none is in both.
TEST_F(LogLimit, W9_ThreadsShareOneBurst)
{
    constexpr int kThreads = 4;
    constexpr int kEach = 2000;
    set(100, 1);
    std::atomic<int> passed{0};
    {
        std::vector<std::unique_ptr<Thread>> threads;
        for (int i = 0; i < kThreads; i++) {
            threads.push_back(std::make_unique<Thread>([&] { passed += pass(kEach, kNow); }));
        }
    }
    EXPECT_EQ(100, passed);
    EXPECT_EQ(static_cast<uint64_t>(kThreads * kEach - 100), dropped());
}

} // namespace

// clock.c: deadlines (B5).

#include <climits>
#include <cstdint>

#include <gtest/gtest.h>

extern "C" {
#include "clock.h"
}

namespace
{

constexpr int64_t ms = 1000000;

ssl_deadline at(int64_t ns)
{
    return ssl_deadline{ns};
}

TEST(Clock, NeverRunsBackwards)
{
    int64_t before = sally_now_ns();
    for (int i = 0; i < 1000; i++) {
        int64_t now = sally_now_ns();
        ASSERT_GE(now, before);
        before = now;
    }
}

TEST(Clock, B5_ADeadlineIsThatFarAway)
{
    int64_t before = sally_now_ns();
    ssl_deadline d = ssl_deadline_after_ms(1500);
    int64_t after = sally_now_ns();
    EXPECT_GE(d.monotonic_ns, before + 1500 * ms);
    EXPECT_LE(d.monotonic_ns, after + 1500 * ms);
}

TEST(Clock, NegativeAndEndlessAreNever)
{
    EXPECT_TRUE(sally_deadline_is_never(ssl_deadline_after_ms(-1)));
    EXPECT_TRUE(sally_deadline_is_never(ssl_deadline_after_ms(INT64_MIN)));
    EXPECT_TRUE(sally_deadline_is_never(ssl_deadline_after_ms(INT64_MAX)));
    EXPECT_FALSE(sally_deadline_passed(SALLY_NEVER));
}

TEST(Clock, ZeroHasPassed)
{
    EXPECT_TRUE(sally_deadline_passed(ssl_deadline_after_ms(0)));
    EXPECT_FALSE(sally_deadline_passed(ssl_deadline_after_ms(60000)));
}

TEST(Clock, TheEarlierWins)
{
    EXPECT_EQ(sally_deadline_earlier(at(5), at(7)).monotonic_ns, 5);
    EXPECT_EQ(sally_deadline_earlier(at(7), at(5)).monotonic_ns, 5);
    EXPECT_EQ(sally_deadline_earlier(at(7), SALLY_NEVER).monotonic_ns, 7);
}

TEST(Clock, PollNeverEndsEarly)
{
    ssl_deadline soon = at(sally_now_ns() + 60 * 1000 * ms + 1);
    int left_ms = sally_deadline_poll_ms(soon);
    EXPECT_GE(sally_now_ns() + left_ms * ms, soon.monotonic_ns);
    EXPECT_LE(left_ms, 60001);
}

TEST(Clock, PollKnowsNeverPastAndFar)
{
    EXPECT_EQ(sally_deadline_poll_ms(SALLY_NEVER), -1);
    EXPECT_EQ(sally_deadline_poll_ms(at(0)), 0);
    EXPECT_EQ(sally_deadline_poll_ms(at(INT64_MIN)), 0);
    EXPECT_EQ(sally_deadline_poll_ms(at(INT64_MAX - 1)), INT_MAX);
}

} // namespace

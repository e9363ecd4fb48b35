// Histograms with fixed buckets, from many threads, and the stripes of a server's numbers. Rules: W9.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "support/threads.h"

extern "C" {
#include "histogram.h"
#include "mem.h"
#include "metrics.h"
}

using namespace sallytest;

namespace
{

constexpr size_t kLast = SALLY_HISTOGRAM_BUCKETS - 1;

ssl_histogram read(const sally_histogram &h)
{
    ssl_histogram result = {};
    sally_histogram_read(&h, &result);
    return result;
}

ssl_histogram one(int64_t ns)
{
    sally_histogram h = {};
    sally_histogram_add(&h, ns);
    return read(h);
}

} // namespace

TEST(Histogram, W9_BoundsRiseFromTenMicrosecondsToTenSecondsAndTheLastHasNone)
{
    EXPECT_EQ(10 * 1000, ssl_histogram_bound_ns(0));
    for (size_t i = 1; i < kLast; i++) {
        EXPECT_LT(ssl_histogram_bound_ns(i - 1), ssl_histogram_bound_ns(i));
    }
    EXPECT_EQ(INT64_C(10000000000), ssl_histogram_bound_ns(kLast - 1));
    EXPECT_EQ(INT64_MAX, ssl_histogram_bound_ns(kLast));
    EXPECT_EQ(INT64_MAX, ssl_histogram_bound_ns(kLast + 100));
}

TEST(Histogram, W9_ADurationIsInTheFirstBucketThatHoldsIt)
{
    for (size_t i = 0; i < kLast; i++) {
        int64_t bound = ssl_histogram_bound_ns(i);
        EXPECT_EQ(1u, one(bound).buckets[i]) << bound;
        EXPECT_EQ(1u, one(bound + 1).buckets[i + 1]) << bound;
    }
    EXPECT_EQ(1u, one(INT64_MAX).buckets[kLast]);
    EXPECT_EQ(1u, one(0).buckets[0]);
}

TEST(Histogram, W9_ANegativeDurationCountsAsNone)
{
    ssl_histogram h = one(-5);
    EXPECT_EQ(1u, h.count);
    EXPECT_EQ(1u, h.buckets[0]);
    EXPECT_EQ(0u, h.sum_ns);
}

TEST(Histogram, W9_ReadingAddsUp)
{
    sally_histogram a = {};
    sally_histogram b = {};
    sally_histogram_add(&a, 7);
    sally_histogram_add(&b, 1000000);
    ssl_histogram both = read(a);
    sally_histogram_read(&b, &both);
    EXPECT_EQ(2u, both.count);
    EXPECT_EQ(1000007u, both.sum_ns);
}

TEST(Histogram, W9_NothingIsLostBetweenThreadsAndReadersSeeWholeCounts)
{
    constexpr int kThreads = 4;
    constexpr uint64_t kEach = 20000;
    auto h = std::make_unique<sally_histogram>();
    std::vector<std::unique_ptr<Thread>> threads;
    for (int t = 0; t < kThreads; t++) {
        threads.push_back(std::make_unique<Thread>([&h, t] {
            for (uint64_t i = 0; i < kEach; i++) {
                sally_histogram_add(h.get(), (t + 1) * 10000);
            }
        }));
    }
    uint64_t before = 0;
    while (before < kThreads * kEach) {
        ssl_histogram now = read(*h);
        uint64_t sum = 0;
        for (uint64_t bucket : now.buckets) {
            sum += bucket;
        }
        ASSERT_EQ(sum, now.count);
        ASSERT_LE(before, now.count);
        before = now.count;
    }
    threads.clear();
    EXPECT_EQ(kEach * 10000 * (1 + 2 + 3 + 4), read(*h).sum_ns);
}

TEST(Histogram, W9_AnAdditionAllocatesNothing)
{
    sally_histogram h = {};
    sally_mem_fail_at(1, 1);
    sally_histogram_add(&h, 1);
    EXPECT_EQ(0, sally_mem_count());
    sally_mem_fail_at(0, 0);
}

TEST(Histogram, W9_AQuantileIsTheBoundOfItsBucket)
{
    EXPECT_EQ(0, ssl_histogram_quantile_ns(nullptr, 0.5));
    ssl_histogram h = {};
    EXPECT_EQ(0, ssl_histogram_quantile_ns(&h, 0.5)) << "nothing was counted";
    h.count = 100;
    h.buckets[3] = 50;
    h.buckets[5] = 49;
    h.buckets[kLast] = 1;
    EXPECT_EQ(ssl_histogram_bound_ns(3), ssl_histogram_quantile_ns(&h, 0));
    EXPECT_EQ(ssl_histogram_bound_ns(3), ssl_histogram_quantile_ns(&h, 0.5));
    EXPECT_EQ(ssl_histogram_bound_ns(5), ssl_histogram_quantile_ns(&h, 0.51));
    EXPECT_EQ(ssl_histogram_bound_ns(5), ssl_histogram_quantile_ns(&h, 0.99));
    EXPECT_EQ(INT64_MAX, ssl_histogram_quantile_ns(&h, 1));
}

TEST(Stripes, W9_ThoseOfNeighboursAreSpreadAndShareNoCacheLine)
{
    auto metrics = std::make_unique<sally_metrics>();
    std::vector<std::unique_ptr<char[]>> owners;
    std::set<sally_stripe *> stripes;
    for (int i = 0; i < 100; i++) {
        owners.push_back(std::make_unique<char[]>(256));
        sally_stripe *stripe = sally_metrics_stripe(metrics.get(), owners.back().get());
        EXPECT_EQ(stripe, sally_metrics_stripe(metrics.get(), owners.back().get()));
        stripes.insert(stripe);
    }
    EXPECT_LT(SALLY_STRIPES / 2u, stripes.size());
    EXPECT_GE(sizeof(sally_stripe), offsetof(sally_stripe, apart) + size_t{SALLY_CACHE_LINE});
}

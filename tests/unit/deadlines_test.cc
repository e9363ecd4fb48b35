// The heap of deadlines, against a sorted model.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "support/rng.h"

extern "C" {
#include "deadlines.h"
#include "mem.h"
}

using namespace sallytest;

namespace
{

class Deadlines : public testing::Test
{
  protected:
    ~Deadlines() override
    {
        sally_deadlines_fini(&set_);
    }

    int64_t first() const
    {
        return sally_deadlines_first(&set_)->at.monotonic_ns;
    }
    void add(sally_due *due, int64_t at)
    {
        sally_deadlines_add(&set_, due, ssl_deadline{at});
    }

    sally_deadlines set_ = {};
};

} // namespace

TEST_F(Deadlines, AnEmptySetHasNoFirst)
{
    EXPECT_EQ(nullptr, sally_deadlines_first(&set_));
}

TEST_F(Deadlines, TheFirstIsTheEarliestAfterAnyAddsAndRemoves)
{
    constexpr size_t kCount = 300;
    std::vector<sally_due> dues(kCount);
    std::vector<bool> inside(kCount, false);
    std::multiset<int64_t> model;
    Rng rng(1);
    ASSERT_TRUE(sally_deadlines_reserve(&set_, kCount));
    for (int i = 0; i < 20000; i++) {
        size_t at = rng.below(kCount);
        if (inside[at]) {
            model.erase(model.find(dues[at].at.monotonic_ns));
            sally_deadlines_remove(&set_, &dues[at]);
        } else {
            int64_t when = rng.one_in(5) ? INT64_MAX : static_cast<int64_t>(rng.below(1000));
            add(&dues[at], when);
            model.insert(when);
        }
        inside[at] = !inside[at];
        ASSERT_EQ(model.size(), set_.count);
        if (!model.empty()) {
            ASSERT_EQ(*model.begin(), first());
        }
    }
}

TEST_F(Deadlines, ALimitCutsAllAndKeepsTheOrder)
{
    std::vector<sally_due> dues(100);
    ASSERT_TRUE(sally_deadlines_reserve(&set_, dues.size()));
    Rng rng(2);
    for (sally_due &due : dues) {
        add(&due, static_cast<int64_t>(rng.below(1000)));
    }
    sally_deadlines_limit(&set_, ssl_deadline{500});
    int64_t before = 0;
    while (set_.count > 0) {
        sally_due *due = sally_deadlines_first(&set_);
        EXPECT_LE(before, due->at.monotonic_ns);
        EXPECT_GE(500, due->at.monotonic_ns);
        before = due->at.monotonic_ns;
        sally_deadlines_remove(&set_, due);
    }
}

TEST_F(Deadlines, WithoutMemoryTheSetStaysAsItWas)
{
    sally_due due;
    ASSERT_TRUE(sally_deadlines_reserve(&set_, 1));
    add(&due, 7);
    sally_mem_fail_at(1, 0);
    EXPECT_FALSE(sally_deadlines_reserve(&set_, 10000));
    sally_mem_fail_at(0, 0);
    EXPECT_EQ(7, first());
}

// Formatted writing: how much memory it takes, and what happens when there is none.
#include <cerrno>

#include "support/faults.h"
#include "support/loop_pairs.h"

extern "C" {
#include "mem.h"
}

using namespace sallytest;

namespace
{

constexpr size_t kShort = 1023; // with its NUL 1 KiB

long allocations_of(ssl_port *out, size_t length)
{
    std::string text(length, 'a');
    size_t done = 0;
    ssl_error err;
    sally_mem_fail_at(0, 0);
    EXPECT_TRUE(is(SALLY_OK, ssl_printf(out, &done, &err, "%s", text.c_str()), err));
    EXPECT_EQ(length, done);
    return sally_mem_count();
}

} // namespace

TEST(PortPrintf, P2_ShortTextTakesNoAllocationAndLongTextOne)
{
    Pair pair = pair_over_loop(SIZE_MAX, 1 << 20);
    EXPECT_EQ(0, allocations_of(pair.client.out(), 0));
    EXPECT_EQ(0, allocations_of(pair.client.out(), kShort));
    EXPECT_EQ(1, allocations_of(pair.client.out(), kShort + 1));
    EXPECT_EQ(1, allocations_of(pair.client.out(), 100000));
}

TEST(PortPrintf, E2_WithoutMemoryNothingIsWritten)
{
    Pair pair = pair_over_loop(SIZE_MAX, 1 << 20);
    std::string text(kShort + 1, 'a');
    long failed = sweep_allocations("ssl_printf", [&](ssl_error *err) {
        size_t done = 99;
        ssl_status status = ssl_printf(pair.client.out(), &done, err, "%s", text.c_str());
        EXPECT_EQ(status == SALLY_OK ? text.size() : 0, done);
        return status;
    });
    EXPECT_EQ(1, failed);
    std::string got(text.size(), '\0');
    size_t count = 0;
    EXPECT_EQ(SALLY_OK, ssl_read_full(pair.server.in(), &got[0], got.size(), &count, nullptr));
    EXPECT_EQ(text, got);
}

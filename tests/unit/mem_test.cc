// mem.c: zeroed memory, and failures on request for the test library.

#include <cstdint>
#include <cstring>

#include <gtest/gtest.h>

#include "support/threads.h"

extern "C" {
#include "mem.h"
}

namespace
{

class Mem : public testing::Test
{
  protected:
    void TearDown() override
    {
        sally_mem_fail_at(0, 0);
    }
};

TEST_F(Mem, MemoryIsZeroed)
{
    auto *bytes = static_cast<unsigned char *>(sally_alloc(100));
    ASSERT_NE(bytes, nullptr);
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(bytes[i], 0);
    }
    sally_free(bytes);
}

TEST_F(Mem, ZeroBytesAreNotAFailure)
{
    void *none = sally_alloc(0);
    void *no_array = sally_alloc_array(0, 8);
    EXPECT_NE(none, nullptr);
    EXPECT_NE(no_array, nullptr);
    none = sally_resize(none, 0);
    EXPECT_NE(none, nullptr);
    sally_free(none);
    sally_free(no_array);
}

TEST_F(Mem, AnArrayWhoseSizeOverflowsFails)
{
    volatile size_t huge = SIZE_MAX / 2;
    EXPECT_EQ(sally_alloc_array(huge, 3), nullptr);
}

TEST_F(Mem, TextIsCopied)
{
    char *copy = sally_copy_text("sally port");
    ASSERT_NE(copy, nullptr);
    EXPECT_STREQ(copy, "sally port");
    sally_free(copy);
    sally_free(nullptr);
}

TEST_F(Mem, TheNthAllocationFailsAndOnlyThat)
{
    sally_mem_fail_at(2, 0);
    void *first = sally_alloc(1);
    void *second = sally_alloc(1);
    void *third = sally_alloc(1);
    EXPECT_NE(first, nullptr);
    EXPECT_EQ(second, nullptr);
    EXPECT_NE(third, nullptr);
    EXPECT_EQ(sally_mem_count(), 3);
    sally_free(first);
    sally_free(third);
}

TEST_F(Mem, TheNthAndAllAfterFailWhenAsked)
{
    sally_mem_fail_at(1, 1);
    EXPECT_EQ(sally_alloc(1), nullptr);
    EXPECT_EQ(sally_alloc_array(1, 1), nullptr);
    EXPECT_EQ(sally_copy_text("x"), nullptr);
    sally_mem_fail_at(0, 0);
    void *block = sally_alloc(1);
    EXPECT_NE(block, nullptr);
    sally_free(block);
}

TEST_F(Mem, AFailedResizeKeepsTheOldBlock)
{
    auto *block = static_cast<char *>(sally_alloc(4));
    ASSERT_NE(block, nullptr);
    memcpy(block, "abc", 4);
    sally_mem_fail_at(1, 0);
    EXPECT_EQ(sally_resize(block, 400), nullptr);
    EXPECT_STREQ(block, "abc");
    sally_free(block);
}

TEST_F(Mem, TheFaultIsOfThisThreadAlone)
{
    sally_mem_fail_at(1, 1);
    sallytest::in_new_thread([] {
        void *block = sally_alloc(1);
        EXPECT_NE(block, nullptr);
        sally_free(block);
    });
    EXPECT_EQ(sally_mem_count(), 0);
}

} // namespace

// buf.c: a queue of bytes.

#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "support/rng.h"

extern "C" {
#include "buf.h"
#include "mem.h"
}

namespace
{

class Buf : public testing::Test
{
  protected:
    void TearDown() override
    {
        sally_mem_fail_at(0, 0);
        sally_buf_fini(&buf);
    }

    bool append(const std::string &bytes)
    {
        return sally_buf_append(&buf, bytes.data(), bytes.size());
    }

    std::string contents() const
    {
        return buf.length == 0
                   ? std::string()
                   : std::string(reinterpret_cast<const char *>(sally_buf_front(&buf)), buf.length);
    }

    sally_buf buf = {};
};

TEST_F(Buf, AllZeroIsEmptyAndHoldsNothing)
{
    EXPECT_EQ(contents(), "");
    EXPECT_EQ(buf.data, nullptr);
    EXPECT_TRUE(append(""));
    EXPECT_EQ(buf.data, nullptr);
}

TEST_F(Buf, GivesBytesBackInOrder)
{
    ASSERT_TRUE(append("hello "));
    ASSERT_TRUE(append("world"));
    EXPECT_EQ(contents(), "hello world");
    sally_buf_consume(&buf, 6);
    EXPECT_EQ(contents(), "world");
}

TEST_F(Buf, TheLastByteFreesTheMemory)
{
    ASSERT_TRUE(append("abc"));
    sally_buf_consume(&buf, 2);
    EXPECT_NE(buf.data, nullptr);
    sally_buf_consume(&buf, 1);
    EXPECT_EQ(buf.data, nullptr);
    EXPECT_EQ(buf.capacity, 0u);
}

TEST_F(Buf, SkippedBytesLeaveTheMemoryUntilItIsTidied)
{
    ASSERT_TRUE(sally_buf_append(&buf, "abcdef", 6));
    const unsigned char *block = buf.data;
    sally_buf_skip(&buf, 2);
    EXPECT_EQ(0, memcmp("cdef", sally_buf_front(&buf), 4));
    sally_buf_tidy(&buf);
    EXPECT_EQ(4u, buf.length);
    sally_buf_skip(&buf, 4);
    EXPECT_EQ(block, sally_buf_reserve(&buf, 512));
    sally_buf_tidy(&buf);
    EXPECT_EQ(nullptr, buf.data);
}

TEST_F(Buf, WithoutMemoryNothingChanges)
{
    ASSERT_TRUE(append("kept"));
    sally_mem_fail_at(1, 1);
    EXPECT_FALSE(append(std::string(100000, 'x')));
    EXPECT_EQ(contents(), "kept");
    EXPECT_EQ(sally_buf_reserve(&buf, SIZE_MAX), nullptr);
    EXPECT_EQ(contents(), "kept");
}

TEST_F(Buf, ASizeThatCannotBeIsRefused)
{
    ASSERT_TRUE(append("kept"));
    EXPECT_EQ(sally_buf_reserve(&buf, SIZE_MAX), nullptr);
    EXPECT_EQ(sally_buf_reserve(&buf, SIZE_MAX - 3), nullptr);
    EXPECT_EQ(contents(), "kept");
}

TEST_F(Buf, ReservedBytesCountOnceCommitted)
{
    void *room = sally_buf_reserve(&buf, 1000);
    ASSERT_NE(room, nullptr);
    memcpy(room, "1234", 4);
    EXPECT_EQ(contents(), "");
    sally_buf_commit(&buf, 4);
    EXPECT_EQ(contents(), "1234");
}

TEST_F(Buf, AStreamThroughItReusesTheBlock)
{
    ASSERT_TRUE(append(std::string(100, 'a')));
    sally_mem_fail_at(0, 0);
    for (int i = 0; i < 10000; i++) {
        ASSERT_TRUE(append(std::string(100, 'b')));
        sally_buf_consume(&buf, 100);
    }
    EXPECT_LE(sally_mem_count(), 2);
    EXPECT_LE(buf.capacity, 2048u);
}

TEST_F(Buf, BehavesAsAString)
{
    sallytest::Rng rng(1);
    std::string model;
    for (int i = 0; i < 5000; i++) {
        if (rng.one_in(2)) {
            std::string bytes =
                sallytest::stream_bytes(2, static_cast<uint64_t>(i), rng.below(700));
            ASSERT_TRUE(append(bytes));
            model += bytes;
        } else {
            size_t n = rng.below(model.size() + 1);
            sally_buf_consume(&buf, n);
            model.erase(0, n);
        }
        ASSERT_EQ(contents(), model);
        ASSERT_LE(buf.start + buf.length, buf.capacity);
    }
}

} // namespace

// Reading (P2), whatever carries the connection.
#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

struct Line {
    ssl_status status;
    std::string text;
};

Line read_line(ssl_port *in, size_t size)
{
    std::string room(size + 1, '#');
    size_t length = 99;
    ssl_error err;
    ssl_status status = ssl_read_line(in, &room[0], size, &length, &err);
    EXPECT_EQ('#', room[size]) << "wrote past its room";
    if (status == SALLY_OK) {
        EXPECT_EQ('\0', room[length]);
        return {status, room.substr(0, length)};
    }
    EXPECT_EQ(0u, length);
    EXPECT_EQ(status, err.status);
    return {status, ""};
}

std::string peek(ssl_port *in, size_t n)
{
    std::string bytes(n, '\0');
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_peek(in, &bytes[0], n, &got, &err), err));
    bytes.resize(got);
    return bytes;
}

bool is_ready(ssl_port *in)
{
    bool ready = false;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_byte_ready(in, &ready, &err), err));
    return ready;
}

} // namespace

TEST_P(PortSuite, P2_ReadGivesWhatIsThere)
{
    put("hello");
    char buf[100];
    size_t got = 0;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_read(in_, buf, sizeof buf, &got, &err), err));
    EXPECT_EQ("hello", std::string(buf, got));
}

TEST_P(PortSuite, P2_ReadTakesAPartAndLeavesTheRest)
{
    put("hello");
    EXPECT_EQ("he", get(2));
    EXPECT_EQ("llo", get(3));
}

TEST_P(PortSuite, P2_ReadOfNothingIsOkAtOnce)
{
    size_t got = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read(in_, nullptr, 0, &got, &err), err));
    EXPECT_EQ(0u, got);
}

TEST_P(PortSuite, P2_ReadFullWaitsForTheLastByte)
{
    Thread writer([this] {
        for (int i = 0; i < 10; i++) {
            put(stream_bytes(1, static_cast<uint64_t>(i) * 1000, 1000));
        }
    });
    std::string bytes = get(10000);
    EXPECT_EQ(-1, stream_mismatch(1, 0, bytes.data(), bytes.size()));
}

TEST_P(PortSuite, P2_ReadFullAtTheEndTellsWhatItGot)
{
    put("only seven"); // ten
    close_status(out_);
    char buf[100];
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_EOF, ssl_read_full(in_, buf, sizeof buf, &got, &err), err));
    EXPECT_EQ("only seven", std::string(buf, got));
}

TEST_P(PortSuite, P2_LinesComeOneByOne)
{
    put("first\nsecond\n\nfourth\n");
    EXPECT_EQ("first\n", read_line(in_, 100).text);
    EXPECT_EQ("second\n", read_line(in_, 100).text);
    EXPECT_EQ("\n", read_line(in_, 100).text);
    EXPECT_EQ("fourth\n", read_line(in_, 100).text);
}

TEST_P(PortSuite, P2_LineOfManyRecords)
{
    Thread writer([this] {
        for (int i = 0; i < 50; i++) {
            put("0123456789");
        }
        put("\nrest");
    });
    EXPECT_EQ(501u, read_line(in_, 1000).text.size());
    EXPECT_EQ("rest", get(4));
}

TEST_P(PortSuite, P2_LineThatDoesNotFitIsLimitAndNothingIsConsumed)
{
    put("0123456789\n");
    EXPECT_EQ(SALLY_LIMIT, read_line(in_, 11).status);
    EXPECT_EQ(SALLY_LIMIT, read_line(in_, 2).status);
    EXPECT_EQ("0123456789\n", read_line(in_, 12).text);
}

TEST_P(PortSuite, P2_LineFitsExactly)
{
    put("a\nbc\n");
    EXPECT_EQ(SALLY_LIMIT, read_line(in_, 2).status);
    EXPECT_EQ("a\n", read_line(in_, 3).text);
    EXPECT_EQ("bc\n", read_line(in_, 4).text);
}

TEST_P(PortSuite, P2_LineNeedsRoomForTwo)
{
    put("a\n");
    EXPECT_EQ(SALLY_USAGE, read_line(in_, 1).status);
    EXPECT_EQ(SALLY_USAGE, read_line(in_, 0).status);
    EXPECT_EQ("a\n", get(2));
}

TEST_P(PortSuite, P2_LastLineMayLackItsNewline)
{
    put("one\ntail");
    close_status(out_);
    EXPECT_EQ("one\n", read_line(in_, 100).text);
    EXPECT_EQ("tail", read_line(in_, 100).text);
    EXPECT_EQ(SALLY_EOF, read_line(in_, 100).status);
    EXPECT_EQ(SALLY_EOF, read_line(in_, 100).status);
}

TEST_P(PortSuite, P3_LineThatIsCutIsTruncated)
{
    put("half of a li");
    pair_.client.reset();
    EXPECT_EQ(SALLY_TRUNCATED, read_line(in_, 100).status);
    EXPECT_EQ(SALLY_TRUNCATED, read_line(in_, 100).status);
}

TEST_P(PortSuite, P2_LineMayHoldNulBytes)
{
    put(std::string("a\0b\n", 4));
    EXPECT_EQ(std::string("a\0b\n", 4), read_line(in_, 100).text);
}

TEST_P(PortSuite, P2_PeekLeavesWhatItShows)
{
    put("abc");
    EXPECT_EQ("a", peek(in_, 1));
    EXPECT_EQ("abc", peek(in_, 100));
    EXPECT_EQ("ab", get(2));
    EXPECT_EQ("c", peek(in_, 100));
    EXPECT_EQ("c", get(1));
}

TEST_P(PortSuite, P2_ReadAfterPeekAndLineKeepsTheOrder)
{
    put("line\nmore");
    put("and more");
    EXPECT_EQ("l", peek(in_, 1));
    EXPECT_EQ("line\n", read_line(in_, 100).text);
    EXPECT_EQ("m", peek(in_, 1));
    EXPECT_EQ("moreand more", get(12));
}

TEST_P(PortSuite, P2_ReadAvailableNeverBlocks)
{
    char buf[100];
    size_t got = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_available(in_, buf, sizeof buf, &got, &err), err));
    EXPECT_EQ(0u, got);
    put("now");
    std::string all;
    EXPECT_TRUE(eventually([&] {
        EXPECT_TRUE(is(SALLY_OK, ssl_read_available(in_, buf, sizeof buf, &got, &err), err));
        all.append(buf, got);
        return all == "now";
    }));
}

TEST_P(PortSuite, P2_ReadAvailableTellsTheEnd)
{
    close_status(out_);
    ssl_status status = SALLY_OK;
    EXPECT_TRUE(eventually([&] {
        char byte;
        size_t got = 0;
        status = ssl_read_available(in_, &byte, 1, &got, nullptr);
        return status != SALLY_OK;
    }));
    EXPECT_EQ(SALLY_EOF, status);
}

TEST_P(PortSuite, P2_ByteReadyTellsBytes)
{
    EXPECT_FALSE(is_ready(in_));
    put("x");
    EXPECT_TRUE(eventually([this] { return is_ready(in_); }));
    EXPECT_TRUE(is_ready(in_));
    EXPECT_EQ("x", get(1));
    EXPECT_FALSE(is_ready(in_));
}

TEST_P(PortSuite, P2_ByteReadyTellsTheEnd)
{
    close_status(out_);
    EXPECT_TRUE(eventually([this] { return is_ready(in_); }));
    EXPECT_EQ(SALLY_EOF, read_status());
}

TEST_P(PortSuite, P2_ByteReadyTellsACut)
{
    pair_.client.reset();
    EXPECT_TRUE(eventually([this] { return is_ready(in_); }));
    EXPECT_EQ(SALLY_TRUNCATED, read_status());
}

// ---- wrong use ----------------------------------------------------------------------------------

TEST_P(PortSuite, P1_ReadingAnOutputPortIsUsage)
{
    char byte;
    size_t got = 99;
    bool ready = true;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read(out_, &byte, 1, &got, &err), err));
    EXPECT_EQ(0u, got);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read_full(out_, &byte, 1, &got, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_peek(out_, &byte, 1, &got, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read_available(out_, &byte, 1, &got, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_byte_ready(out_, &ready, &err), err));
    EXPECT_FALSE(ready);
    EXPECT_EQ(SALLY_USAGE, read_line(out_, 100).status);
}

TEST_P(PortSuite, E3_NullWhereSomethingBelongsIsUsage)
{
    char byte;
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read(nullptr, &byte, 1, &got, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read(in_, nullptr, 1, &got, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read(in_, &byte, 1, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_byte_ready(in_, nullptr, &err), err));
    EXPECT_EQ(SALLY_USAGE, ssl_read(nullptr, nullptr, 1, nullptr, nullptr));
}

TEST_P(PortSuite, P1_SecondReaderIsUsageAtOnceAndTheFirstGoesOn)
{
    Thread reader([this] { EXPECT_EQ("later", get(5)); });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, read_status(&err), err));
    char byte;
    size_t got = 0;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read_available(in_, &byte, 1, &got, &err), err));
    put("later");
}

} // namespace sallytest

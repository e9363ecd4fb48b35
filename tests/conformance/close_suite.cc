// The end of a connection (P3, P4), whatever carries it.
#include <cerrno>

#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{

TEST_P(PortSuite, P3_CloseIsEofAndStaysEof)
{
    put("bye");
    EXPECT_EQ(SALLY_OK, close_status(out_));
    EXPECT_EQ("bye", get(3));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_EOF, read_status(&err), err));
    EXPECT_TRUE(is(SALLY_EOF, read_status(&err), err));
}

TEST_P(PortSuite, P3_FreeWithoutCloseIsTruncatedAndStaysSo)
{
    put("half");
    pair_.client.reset();
    EXPECT_EQ("half", get(4));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TRUNCATED, read_status(&err), err));
    EXPECT_TRUE(is(SALLY_TRUNCATED, read_status(&err), err));
}

TEST_P(PortSuite, P4_AfterOurCloseThePeerMayGoOnWriting)
{
    if (!GetParam().half_close) {
        return;
    }
    EXPECT_EQ(SALLY_OK, close_status(out_));
    EXPECT_EQ(SALLY_EOF, read_status());
    std::string bytes = stream_bytes(2, 0, 300000);
    Thread writer([&] {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK,
                       ssl_write(pair_.server.out(), bytes.data(), bytes.size(), nullptr, &err),
                       err));
        EXPECT_EQ(SALLY_OK, close_status(pair_.server.out()));
    });
    std::string got(bytes.size(), '\0');
    size_t count = 0;
    EXPECT_EQ(SALLY_OK, ssl_read_full(pair_.client.in(), &got[0], got.size(), &count, nullptr));
    EXPECT_EQ(bytes, got);
    EXPECT_EQ(SALLY_EOF, ssl_read(pair_.client.in(), &got[0], 1, &count, nullptr));
}

TEST_P(PortSuite, P4_CloseSendsWhatWasAcceptedFirst)
{
    size_t total = fill();
    Thread closer([this] { EXPECT_EQ(SALLY_OK, close_status(out_)); });
    EXPECT_EQ(stream_bytes(1, 0, total), get(total));
    EXPECT_EQ(SALLY_EOF, read_status());
}

TEST_P(PortSuite, P4_CloseIsBoundedWhenThePeerReadsNothing)
{
    fill();
    ssl_port_set_timeout(out_, 30, nullptr);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_close_port(out_, &err), err));
    EXPECT_EQ(SALLY_PHASE_CLOSE, err.phase);
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_write(out_, "x", 1, nullptr, &err), err));
}

TEST_P(PortSuite, B1_BrokenCloseHasClosedThePort)
{
    fill();
    Break brk = new_break();
    Thread closer([&] {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_BREAK, ssl_close_port_enable_break(out_, brk.get(), &err), err));
    });
    ASSERT_TRUE(wait_until_asleep(closer));
    ssl_break_send(brk.get(), 1);
    closer.join();
    EXPECT_EQ(SALLY_CLOSED, ssl_write(out_, "x", 1, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, close_status(out_));
}

TEST_P(PortSuite, P4_TwiceIsFineInAnyMixture)
{
    EXPECT_EQ(SALLY_OK, close_status(out_));
    EXPECT_EQ(SALLY_OK, close_status(out_));
    ssl_abandon_port(out_);
    ssl_abandon_port(out_);
    EXPECT_EQ(SALLY_OK, close_status(out_));
    ssl_abandon_port(in_);
    EXPECT_EQ(SALLY_OK, close_status(in_));
    ssl_abandon_port(nullptr);
    ssl_free_port(nullptr);
    ssl_free_ports(nullptr);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_close_port(nullptr, &err), err));
}

TEST_P(PortSuite, P4_ClosedAndAbandonedPortsAreClosed)
{
    ssl_abandon_port(in_);
    close_status(out_);
    char buf[8];
    size_t count = 99;
    bool ready = true;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_read(in_, buf, 8, &count, &err), err));
    EXPECT_EQ(0u, count);
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_read_full(in_, buf, 8, &count, &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_read_line(in_, buf, 8, &count, &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_peek(in_, buf, 8, &count, &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_read_available(in_, buf, 8, &count, &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_byte_ready(in_, &ready, &err), err));
    EXPECT_FALSE(ready);
    count = 99;
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_write(out_, buf, 8, &count, &err), err));
    EXPECT_EQ(0u, count);
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_write_available(out_, buf, 8, &count, &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_flush(out_, &err), err));
}

TEST_P(PortSuite, P4_AbandonSaysNothingUntilTheInputClosesToo)
{
    put("before");
    ssl_abandon_port(out_);
    EXPECT_EQ("before", get(6));
    Break limit = deadline_in_ms(100);
    char byte;
    size_t got = 0;
    EXPECT_EQ(SALLY_TIMEOUT, ssl_read_enable_break(in_, &byte, 1, limit.get(), &got, nullptr));
    ssl_close_port(pair_.client.in(), nullptr);
    EXPECT_EQ(SALLY_TRUNCATED, read_status());
}

TEST_P(PortSuite, P4_AbandonedOutputLeavesTheInputUsable)
{
    ssl_abandon_port(out_);
    EXPECT_EQ(SALLY_OK, ssl_write(pair_.server.out(), "hi", 2, nullptr, nullptr));
    char buf[2];
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_read_full(pair_.client.in(), buf, 2, &got, nullptr));
}

TEST_P(PortSuite, P4_WhatWasAcceptedGoesOutAfterEverythingIsFreed)
{
    size_t total = fill();
    pair_.client.reset();
    std::string bytes = get(total);
    EXPECT_EQ(-1, stream_mismatch(1, 0, bytes.data(), bytes.size()));
    EXPECT_EQ(SALLY_TRUNCATED, read_status());
}

TEST_P(PortSuite, P4_CloseFromAnotherThreadWakesABlockedReader)
{
    Thread reader([this] {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_CLOSED, read_status(&err), err));
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    EXPECT_EQ(SALLY_OK, close_status(in_));
}

TEST_P(PortSuite, P4_AbandonFromAnotherThreadWakesABlockedReader)
{
    Thread reader([this] { EXPECT_EQ(SALLY_CLOSED, read_status()); });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_abandon_port(in_);
}

TEST_P(PortSuite, P4_CloseFromAnotherThreadWakesABlockedWriter)
{
    size_t before = fill();
    size_t done = 0;
    std::string bytes = stream_bytes(1, before, 300000);
    Thread writer([&] {
        ssl_error err;
        ssl_status status = ssl_write(out_, bytes.data(), bytes.size(), &done, &err);
        EXPECT_TRUE(is(SALLY_CLOSED, status, err));
    });
    ASSERT_TRUE(wait_until_asleep(writer));
    Thread closer([this] { EXPECT_EQ(SALLY_OK, close_status(out_)); });
    writer.join();
    EXPECT_EQ(stream_bytes(1, 0, before + done), get(before + done));
    EXPECT_EQ(SALLY_EOF, read_status());
}

TEST_P(PortSuite, P4_AbandonFromAnotherThreadWakesABlockedCloser)
{
    fill();
    Thread closer([this] { EXPECT_EQ(SALLY_CLOSED, ssl_close_port(out_, nullptr)); });
    ASSERT_TRUE(wait_until_asleep(closer));
    ssl_abandon_port(out_);
}

TEST_P(PortSuite, P4_OneDoorOutlivesTheOther)
{
    ssl_ports ports = pair_.client.release();
    ssl_free_port(ports.in);
    EXPECT_EQ(SALLY_OK, ssl_write(ports.out, "alone", 5, nullptr, nullptr));
    EXPECT_EQ("alone", get(5));
    EXPECT_EQ(SALLY_OK, close_status(ports.out));
    EXPECT_EQ(SALLY_EOF, read_status());
    ssl_free_port(ports.out);
}

// Over a socket the peer's last act is to drain its input for two seconds (P4): the error comes then.
TEST_P(PortSuite, P6_WritingToAPeerThatIsGoneIsAnErrorSoon)
{
    pair_.server.reset();
    std::string bytes(100000, 'x');
    ssl_error err = {};
    ssl_status status = SALLY_OK;
    EXPECT_TRUE(eventually([&] {
        status = ssl_write(out_, bytes.data(), bytes.size(), nullptr, &err);
        return status != SALLY_OK;
    }));
    EXPECT_TRUE(is(SALLY_SYSTEM, status, err));
    EXPECT_TRUE(err.sys_errno == EPIPE || err.sys_errno == ECONNRESET) << err.text;
}

} // namespace sallytest

// Writing (P2), both directions at once (P1), and questions (P5), whatever carries the connection.
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cwchar>

#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

void write_stream(ssl_port *out, uint64_t stream, size_t total)
{
    size_t sent = 0;
    while (sent < total) {
        size_t n = std::min<size_t>(total - sent, 50000);
        std::string bytes = stream_bytes(stream, sent, n);
        size_t done = 0;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_write(out, bytes.data(), n, &done, &err), err));
        sent += done;
    }
}

void expect_stream(ssl_port *in, uint64_t stream, size_t total)
{
    size_t received = 0;
    std::string buf(20000, '\0');
    while (received < total) {
        size_t got = 0;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_read(in, &buf[0], buf.size(), &got, &err), err));
        ASSERT_EQ(-1, stream_mismatch(stream, received, buf.data(), got)) << "after " << received;
        received += got;
    }
}

} // namespace

TEST_P(PortSuite, P2_WriteTakesAllHoweverLong)
{
    constexpr size_t kTotal = 3000001;
    std::string bytes = stream_bytes(1, 0, kTotal);
    Thread reader([this] { expect_stream(in_, 1, kTotal); });
    put(bytes);
}

TEST_P(PortSuite, P2_WriteOfNothingIsOk)
{
    size_t done = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_write(out_, nullptr, 0, &done, &err), err));
    EXPECT_EQ(0u, done);
    EXPECT_EQ(0u, ssl_pending_output(out_));
}

TEST_P(PortSuite, P2_WriteNeedsNoPlaceForItsCount)
{
    EXPECT_EQ(SALLY_OK, ssl_write(out_, "ab", 2, nullptr, nullptr));
    EXPECT_EQ("ab", get(2));
}

TEST_P(PortSuite, P2_WriteAvailableStopsWhereItWouldBlockWithAnExactCount)
{
    size_t total = fill();
    EXPECT_GT(total, 0u);
    Thread reader([this, total] { expect_stream(in_, 1, total); });
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_flush(out_, &err), err));
    reader.join();
    EXPECT_EQ(0u, ssl_pending_output(out_));
    put("!");
    EXPECT_EQ("!", get(1));
}

TEST_P(PortSuite, B6_WhatAWriteLeftGoesOutWithTheReaderOfTheSamePort)
{
    size_t total = fill();
    EXPECT_GT(ssl_pending_output(out_), 0u);
    Thread client_reader([this] {
        char byte;
        size_t got = 0;
        EXPECT_EQ(SALLY_OK, ssl_read(pair_.client.in(), &byte, 1, &got, nullptr));
    });
    expect_stream(in_, 1, total); // nobody writes or flushes
    EXPECT_EQ(SALLY_OK, ssl_write(pair_.server.out(), "k", 1, nullptr, nullptr));
}

TEST_P(PortSuite, B6_WhatAWriteLeftWaitsForAReaderThatCameFirst)
{
    Thread client_reader([this] {
        char byte;
        size_t got = 0;
        EXPECT_EQ(SALLY_OK, ssl_read(pair_.client.in(), &byte, 1, &got, nullptr));
    });
    ASSERT_TRUE(wait_until_asleep(client_reader));
    size_t total = fill(); // the sleeping reader must now see to it
    expect_stream(in_, 1, total);
    EXPECT_EQ(SALLY_OK, ssl_write(pair_.server.out(), "k", 1, nullptr, nullptr));
}

TEST_P(PortSuite, P1_BothDirectionsAtOnce)
{
    constexpr size_t kTotal = 2000000;
    Thread a([this] { write_stream(pair_.client.out(), 1, kTotal); });
    Thread b([this] { write_stream(pair_.server.out(), 2, kTotal); });
    Thread c([this] { expect_stream(pair_.client.in(), 2, kTotal); });
    expect_stream(pair_.server.in(), 1, kTotal);
}

TEST_P(PortSuite, P1_BlockedReaderDoesNotDelayTheWriterOnTheSameConnection)
{
    Thread reader([this] { expect_stream(pair_.client.in(), 2, 1); });
    ASSERT_TRUE(wait_until_asleep(reader));
    Thread peer([this] { expect_stream(in_, 1, 1000000); });
    write_stream(out_, 1, 1000000);
    peer.join();
    write_stream(pair_.server.out(), 2, 1);
}

TEST_P(PortSuite, P1_BlockedWriterDoesNotDelayTheReaderOnTheSameConnection)
{
    size_t before = fill();
    Thread writer([this, before] {
        std::string bytes = stream_bytes(1, before, 1000000);
        put(bytes);
    });
    ASSERT_TRUE(wait_until_asleep(writer));
    Thread peer([this] { write_stream(pair_.server.out(), 2, 300000); });
    expect_stream(pair_.client.in(), 2, 300000);
    peer.join();
    expect_stream(in_, 1, before + 1000000);
}

TEST_P(PortSuite, P1_SecondWriterIsUsageAtOnceAndTheFirstGoesOn)
{
    size_t before = fill();
    Thread writer([this, before] { put(stream_bytes(1, before, 200000)); });
    ASSERT_TRUE(wait_until_asleep(writer));
    size_t done = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_write(out_, "x", 1, &done, &err), err));
    EXPECT_EQ(0u, done);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_flush(out_, &err), err));
    expect_stream(in_, 1, before + 200000);
}

TEST_P(PortSuite, P1_WritingAnInputPortIsUsage)
{
    size_t done = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_write(in_, "x", 1, &done, &err), err));
    EXPECT_EQ(0u, done);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_write_available(in_, "x", 1, &done, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_flush(in_, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_write(nullptr, "x", 1, &done, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_write(out_, nullptr, 1, &done, &err), err));
}

// ---- printf -------------------------------------------------------------------------------------

namespace
{

__attribute__((format(printf, 3, 4))) ssl_status print_list(ssl_port *out, size_t *done,
                                                            const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ssl_status status = ssl_vprintf(out, done, nullptr, format, args);
    va_end(args);
    return status;
}

__attribute__((format(printf, 4, 5))) ssl_status print_list_enable_break(ssl_port *out,
                                                                         ssl_break *brk,
                                                                         size_t *done,
                                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ssl_status status = ssl_vprintf_enable_break(out, brk, done, nullptr, format, args);
    va_end(args);
    return status;
}

} // namespace

TEST_P(PortSuite, P2_PrintfWritesItsText)
{
    size_t done = 99;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_printf(out_, &done, &err, "%s=%03d %c%%\n", "n", 7, 'x'), err));
    EXPECT_EQ(9u, done);
    EXPECT_EQ("n=007 x%\n", get(9));
    EXPECT_EQ(SALLY_OK, print_list(out_, &done, "%d-%s", 12, "ab"));
    EXPECT_EQ(5u, done);
    EXPECT_EQ("12-ab", get(5));
    Break brk = new_break();
    EXPECT_EQ(SALLY_OK, ssl_printf_enable_break(out_, brk.get(), nullptr, nullptr, "[%x]", 255));
    EXPECT_EQ("[ff]", get(4));
    EXPECT_EQ(SALLY_OK, print_list_enable_break(out_, brk.get(), nullptr, "<%ld>", 3L));
    EXPECT_EQ("<3>", get(3));
    EXPECT_TRUE(is(SALLY_OK, ssl_printf(out_, &done, &err, "%s", ""), err));
    EXPECT_EQ(0u, done);
}

TEST_P(PortSuite, P2_PrintfWritesTextOfAnyLength)
{
    for (size_t length : {1u, 1022u, 1023u, 1024u, 1025u, 16384u, 70000u}) {
        std::string text(length, '.');
        text.back() = '!';
        size_t done = 0;
        ssl_error err;
        Thread reader([&] { EXPECT_EQ(text, get(length)); });
        EXPECT_TRUE(is(SALLY_OK, ssl_printf(out_, &done, &err, "%s", text.c_str()), err));
        EXPECT_EQ(length, done);
    }
}

TEST_P(PortSuite, P2_PrintfThatCannotMakeItsTextWritesNothing)
{
    size_t done = 99;
    ssl_error err;
    // No locale was set: "C" has no such character.
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_printf(out_, &done, &err, "abc%lc", wint_t{0x20ac}), err));
    EXPECT_EQ(EILSEQ, err.sys_errno);
    EXPECT_EQ(SALLY_PHASE_WRITE, err.phase);
    EXPECT_EQ(0u, done);
    std::string wide = "%" + std::to_string(INT_MAX) + "0d"; // hidden from the compiler's check
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_printf(out_, &done, &err, wide.c_str(), 1), err));
    EXPECT_EQ(EOVERFLOW, err.sys_errno);
    put("next");
    EXPECT_EQ("next", get(4));
}

TEST_P(PortSuite, B2_BrokenPrintfTellsExactlyWhatWasAccepted)
{
    std::string text(kNeverHeld, 'p');
    Break brk = new_break();
    size_t done = 0;
    Thread writer([&] {
        ssl_error err;
        ssl_status status =
            ssl_printf_enable_break(out_, brk.get(), &done, &err, "%s", text.c_str());
        EXPECT_TRUE(is(SALLY_BREAK, status, err));
    });
    ASSERT_TRUE(wait_until_asleep(writer));
    ssl_break_send(brk.get(), 1);
    writer.join();
    ASSERT_GT(done, 0u);
    ASSERT_LT(done, text.size());
    Thread rest([&] { put("!"); });
    EXPECT_EQ(text.substr(0, done) + "!", get(done + 1));
}

TEST_P(PortSuite, E3_PrintfRefusesNullsAndInputPorts)
{
    size_t done = 99;
    ssl_error err;
    const char *no_format = nullptr;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_printf(nullptr, &done, &err, "x"), err));
    EXPECT_EQ(0u, done);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_printf(in_, &done, &err, "x"), err));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
    EXPECT_TRUE(is(SALLY_USAGE, ssl_printf(out_, &done, &err, no_format), err));
#pragma GCC diagnostic pop
    close_status(out_);
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_printf(out_, &done, &err, "%d", 1), err));
    EXPECT_EQ(0u, done);
}

// ---- questions ----------------------------------------------------------------------------------

TEST_P(PortSuite, P5_AddressesAreTheSameFromBothDoorsAndCrosswise)
{
    ssl_endpoints client = {};
    ssl_endpoints other = {};
    ssl_endpoints server = {};
    ssl_error err;
    ssl_status status = ssl_addresses(pair_.client.in(), &client, &err);
    if (!GetParam().has_socket) {
        EXPECT_TRUE(is(SALLY_UNSUPPORTED, status, err));
        return;
    }
    ASSERT_TRUE(is(SALLY_OK, status, err));
    ASSERT_TRUE(is(SALLY_OK, ssl_addresses(pair_.client.out(), &other, &err), err));
    ASSERT_TRUE(is(SALLY_OK, ssl_addresses(pair_.server.in(), &server, &err), err));
    EXPECT_STREQ(GetParam().is_tcp ? "127.0.0.1" : "unix:", client.local);
    EXPECT_STREQ(client.local, other.local);
    EXPECT_EQ(client.local_port, other.local_port);
    EXPECT_EQ(client.local_port, server.remote_port);
    EXPECT_EQ(client.remote_port, server.local_port);
    EXPECT_STREQ(client.remote, server.local);
}

TEST_P(PortSuite, P5_AddressesWorkWhileOneDoorIsOpen)
{
    if (!GetParam().has_socket) {
        return;
    }
    ssl_endpoints ends = {};
    ssl_error err;
    ssl_close_port(pair_.client.out(), nullptr);
    EXPECT_TRUE(is(SALLY_OK, ssl_addresses(pair_.client.out(), &ends, &err), err));
    EXPECT_STREQ(GetParam().is_tcp ? "127.0.0.1" : "unix:", ends.local);
    ssl_close_port(pair_.client.in(), nullptr);
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_addresses(pair_.client.in(), &ends, &err), err));
    EXPECT_STREQ("", ends.local);
}

TEST_P(PortSuite, C7_QuestionsAreSafeAtAnyTime)
{
    EXPECT_TRUE(ssl_peer_verified(pair_.client.in()));
    EXPECT_FALSE(ssl_peer_verified(pair_.server.in())) << "the client showed no certificate";
    EXPECT_NE(nullptr, ssl_protocol_version(out_));
    ssl_close_port(pair_.client.in(), nullptr);
    ssl_close_port(pair_.client.out(), nullptr);
    EXPECT_FALSE(ssl_peer_verified(pair_.client.in()));
    EXPECT_EQ(nullptr, ssl_protocol_version(pair_.client.out()));
    EXPECT_EQ(0u, ssl_pending_output(pair_.client.out()));
    EXPECT_FALSE(ssl_peer_verified(nullptr));
    EXPECT_EQ(nullptr, ssl_protocol_version(nullptr));
    EXPECT_EQ(0u, ssl_pending_output(nullptr));
}

} // namespace sallytest

// Shielded sections around calls on ports, whatever carries the connection. Rules: B6 B9.
#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

constexpr int64_t kLongMs = slow(20000);

// With a break pending on a token and on the thread's own, and a section around it.
class Shielded
{
  public:
    explicit Shielded(int64_t timeout_ms) : brk_(new_break())
    {
        EXPECT_EQ(SALLY_OK, ssl_break_self(&own_, nullptr));
        ssl_break_send(brk_.get(), 3);
        ssl_break_send(own_, 4);
        EXPECT_EQ(SALLY_OK, ssl_break_shield(timeout_ms, &shield_, nullptr));
    }
    ~Shielded()
    {
        EXPECT_EQ(SALLY_OK, ssl_break_unshield(&shield_, nullptr));
        EXPECT_TRUE(ssl_break_pending(own_, nullptr, nullptr));
        ssl_break_clear(own_);
    }
    Shielded(const Shielded &) = delete;
    Shielded &operator=(const Shielded &) = delete;

    ssl_break *token() const
    {
        return brk_.get();
    }

  private:
    Break brk_;
    ssl_break *own_ = nullptr;
    ssl_shield shield_;
};

} // namespace

TEST_P(PortSuite, B9_AShieldedCleanupIsDone)
{
    {
        Shielded shielded(kLongMs);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK,
                       ssl_write_enable_break(out_, "bye", 3, shielded.token(), nullptr, &err),
                       err));
        EXPECT_TRUE(is(SALLY_OK, ssl_flush_enable_break(out_, nullptr, &err), err));
        EXPECT_TRUE(is(SALLY_OK, ssl_close_port_enable_break(out_, shielded.token(), &err), err));
        char buf[8];
        size_t got = 0;
        EXPECT_TRUE(is(SALLY_OK,
                       ssl_read_full_enable_break(in_, buf, 3, shielded.token(), &got, &err), err));
        EXPECT_EQ("bye", std::string(buf, got));
        EXPECT_TRUE(
            is(SALLY_EOF, ssl_read_enable_break(in_, buf, 1, shielded.token(), &got, &err), err));
    }
    EXPECT_EQ(SALLY_EOF, read_status(nullptr));
}

TEST_P(PortSuite, B9_TheBreakIsSeenByTheFirstCallAfterTheSection)
{
    Break brk = new_break();
    ssl_shield shield;
    put("ready");
    ASSERT_EQ(SALLY_OK, ssl_break_shield(kLongMs, &shield, nullptr));
    ssl_break_send(brk.get(), 6);
    char buf[8];
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_enable_break(in_, buf, 2, brk.get(), &got, &err), err));
    ASSERT_EQ(SALLY_OK, ssl_break_unshield(&shield, nullptr));
    EXPECT_TRUE(is(SALLY_BREAK, ssl_read_enable_break(in_, buf, 2, brk.get(), &got, &err), err));
    EXPECT_EQ(6, err.code);
    EXPECT_EQ("ady", get(3));
}

TEST_P(SyncSuite, B9_ABlockedCallOfASectionIsBoundedAndTheConnectionIntact)
{
    char byte = 0;
    size_t got = 9;
    ssl_error err;
    {
        Shielded shielded(30);
        EXPECT_TRUE(
            is(SALLY_TIMEOUT, ssl_read_enable_break(in_, &byte, 1, nullptr, &got, &err), err));
        EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_read(in_, &byte, 1, &got, &err), err)) << "plain too";
        EXPECT_EQ(0u, got);
        ssl_event event = {nullptr, in_, {}};
        size_t ready = 9;
        EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_sync(&event, 1, &ready, &err), err));
    }
    put("intact");
    EXPECT_EQ("intact", get(6));
}

TEST_P(PortSuite, B6_B9_WriteFlushAndCloseOfASectionAreBounded)
{
    size_t total = fill();
    {
        Shielded shielded(30);
        ssl_error err;
        size_t done = 9;
        EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_flush(out_, &err), err));
        EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_write(out_, "more", 4, &done, &err), err));
        EXPECT_EQ(0u, done);
        EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_close_port(out_, &err), err));
    }
    pair_.client.reset(); // what was accepted still goes out
    EXPECT_EQ(stream_bytes(1, 0, total), get(total));
}

} // namespace sallytest

// Copying from port to port: the owners' tokens that it obeys, and the memory it takes.
#include "support/faults.h"
#include "support/internals.h"
#include "support/loop_pairs.h"
#include "support/rng.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

constexpr size_t kRoomy = 1 << 20;

class PortCopy : public testing::Test
{
  protected:
    // A copy that runs until the owner of one of its connections breaks it.
    void expect_broken_by_owner_of(ssl_port *port)
    {
        Break owner = new_break();
        sally_conn_set_owner(port->conn, owner.get());
        Thread copier([&] {
            uint64_t copied = 99;
            ssl_error err;
            ssl_status status =
                ssl_copy_port(from_.server.in(), to_.client.out(), SALLY_COPY_ALL, &copied, &err);
            EXPECT_TRUE(is(SALLY_BREAK, status, err));
            EXPECT_EQ(4, err.code);
        });
        ASSERT_TRUE(wait_until_asleep(copier));
        ssl_break_send(owner.get(), 4);
    }

    void say(const std::string &bytes)
    {
        EXPECT_EQ(SALLY_OK,
                  ssl_write(from_.client.out(), bytes.data(), bytes.size(), nullptr, nullptr));
    }

    std::string get(ssl_port *in, size_t n)
    {
        std::string bytes(n, '\0');
        size_t got = 0;
        EXPECT_EQ(SALLY_OK, ssl_read_full(in, &bytes[0], n, &got, nullptr));
        return bytes;
    }

    Pair from_ = pair_over_loop(SIZE_MAX, kRoomy);
    Pair to_ = pair_over_loop(SIZE_MAX, 20000);
};

} // namespace

TEST_F(PortCopy, B9_ObeysTheOwnerOfItsInputWhileItReads)
{
    expect_broken_by_owner_of(from_.server.in());
}

TEST_F(PortCopy, B9_ObeysTheOwnerOfItsOutputWhileItReads)
{
    expect_broken_by_owner_of(to_.client.out());
}

TEST_F(PortCopy, B9_ObeysTheOwnerOfItsInputWhileItWrites)
{
    say(stream_bytes(1, 0, 200000));
    expect_broken_by_owner_of(from_.server.in());
}

TEST_F(PortCopy, B9_ObeysTheOwnerOfItsOutputWhileItWrites)
{
    say(stream_bytes(1, 0, 200000));
    expect_broken_by_owner_of(to_.client.out());
}

TEST_F(PortCopy, B9_ObeysATokenAndBothOwnersAtOnce)
{
    Break owners[] = {new_break(), new_break()};
    sally_conn_set_owner(from_.server.in()->conn, owners[0].get());
    sally_conn_set_owner(to_.client.out()->conn, owners[1].get());
    Break brk = new_break();
    for (ssl_break *sent : {brk.get(), owners[0].get(), owners[1].get()}) {
        Thread copier([&] {
            EXPECT_EQ(SALLY_BREAK,
                      ssl_copy_port_enable_break(from_.server.in(), to_.client.out(),
                                                 SALLY_COPY_ALL, brk.get(), nullptr, nullptr));
        });
        ASSERT_TRUE(wait_until_asleep(copier));
        ssl_break_send(sent, 1);
        copier.join();
        ssl_break_clear(sent);
    }
}

TEST_F(PortCopy, E2_WithoutMemoryNothingIsLost)
{
    std::string bytes = stream_bytes(1, 0, 10000);
    Trial trial([&](ssl_error *err) {
        uint64_t copied = 99;
        ssl_status status =
            ssl_copy_port(from_.server.in(), to_.client.out(), bytes.size(), &copied, err);
        EXPECT_EQ(status == SALLY_OK ? bytes.size() : 0, copied);
        EXPECT_EQ(bytes, get(status == SALLY_OK ? to_.server.in() : from_.server.in(), 10000));
        return status;
    });
    trial.prepare = [&] { say(bytes); };
    EXPECT_EQ(1, sweep_allocations("ssl_copy_port", trial)) << "one block, however long";
}

TEST_F(PortCopy, P2_TakesOneBlockHoweverLongTheStreamAndGivesItBack)
{
    to_ = pair_over_loop(SIZE_MAX, kRoomy);
    say(stream_bytes(1, 0, 500000));
    sally_mem_fail_at(0, 0);
    EXPECT_EQ(SALLY_OK,
              ssl_copy_port(from_.server.in(), to_.client.out(), 500000, nullptr, nullptr));
    EXPECT_EQ(1, sally_mem_count());
    EXPECT_EQ(nullptr, from_.server.in()->conn->plain.data);
}

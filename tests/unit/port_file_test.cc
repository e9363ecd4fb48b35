// Ports as FILEs: memory, what a break leaves pending, and where the C library makes no such FILE.
#include <atomic>
#include <cerrno>
#include <memory>

#include "support/faults.h"
#include "support/loop_pairs.h"
#include "support/threads.h"

extern "C" {
#include "stream.h"
#define sally_stream_open sally_stream_open_none
#include "stream_none.c"
#undef sally_stream_open
}

using namespace sallytest;

namespace
{

using File = std::unique_ptr<FILE, Deleter<fclose>>;

ssl_break *own_token()
{
    ssl_break *own = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    return own;
}

File own_token_file(ssl_port *port)
{
    FILE *file = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_port_file_enable_break(port, nullptr, &file, nullptr));
    return File(file);
}

} // namespace

TEST(PortFile, E2_WithoutMemoryThereIsNoFileAndThePortStaysOpen)
{
    Pair pair;
    Break brk = new_break();
    FILE *file = nullptr;
    Trial trial([&](ssl_error *err) {
        file = stderr;
        ssl_status status = ssl_port_file_enable_break(pair.client.out(), brk.get(), &file, err);
        EXPECT_EQ(status == SALLY_OK, file != nullptr);
        return status;
    });
    trial.prepare = [&] { pair = pair_over_loop(SIZE_MAX, 1 << 20); };
    trial.cleanup = [&] {
        EXPECT_EQ(SALLY_OK, ssl_write(pair.client.out(), "x", 1, nullptr, nullptr));
        if (file != nullptr) {
            EXPECT_EQ(0, fclose(file));
        }
        pair = Pair();
    };
    EXPECT_EQ(2, sweep_allocations("ssl_port_file", trial)) << "ours and the C library's";
}

// The peer takes less than a record: all is accepted, and the rest waits in the connection.
TEST(PortFile, B2_WhereAllWasAcceptedABreakIsNotReportedAndStaysPending)
{
    Pair pair = pair_over_loop(SIZE_MAX, 1000);
    std::atomic<ssl_break *> own{nullptr};
    Thread writer([&] {
        own = own_token();
        File out = own_token_file(pair.client.out());
        fputs(std::string(3000, '.').c_str(), out.get());
        EXPECT_EQ(0, fflush(out.get()));
        EXPECT_TRUE(ssl_break_pending(own, nullptr, nullptr));
        fputs("more", out.get());
        EXPECT_EQ(EOF, fflush(out.get()));
        EXPECT_EQ(EINTR, errno);
        EXPECT_FALSE(ssl_break_pending(own, nullptr, nullptr)) << "reported, and so consumed";
    });
    ASSERT_TRUE(eventually([&] { return ssl_pending_output(pair.client.out()) != 0; }));
    ASSERT_TRUE(wait_until_asleep(writer));
    ssl_break_send(own, 3);
}

TEST(PortFile, E2_WhereTheCLibraryHasNoSuchFile)
{
    FILE *file = stderr;
    const sally_stream_ops none = {};
    EXPECT_EQ(ENOSYS, sally_stream_open_none(&none, nullptr, &file));
    EXPECT_EQ(nullptr, file);
}

// Streams that pass through a program by ssl_copy_port: long ones, with keys that change on the way, and
// in a server that is drained. Rules: P2, P1, B9.
#include "scenario/service.h"
#include "scenario/streams.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"
#include "support/watchdog.h"

using namespace sallytest;

namespace
{

constexpr uint64_t kLong = 64u << 20;
// Far beyond what a healthy drain needs; a test that gets there has failed.
constexpr int64_t kLongMs = 40000;

class Copy : public testing::TestWithParam<int>
{
  protected:
    void SetUp() override
    {
        from_ = server_of_raw(raw_client(GetParam()));
        to_ = connected_pair();
        ASSERT_TRUE(from_ && to_);
    }

    // What the raw source says passes through a copy; the sink compares.
    void pass_through(const RawTraffic &traffic)
    {
        Thread source([&] {
            raw_exchange(from_.raw.get(), traffic);
            EXPECT_EQ(Raw::Ok, from_.raw->send_goodbye());
        });
        Thread sink([&] { receive_theirs(to_.server.in(), 0, traffic.send); });
        uint64_t copied = 0;
        ssl_error err;
        EXPECT_TRUE(is(
            SALLY_OK,
            ssl_copy_port(from_.ours.in(), to_.client.out(), SALLY_COPY_ALL, &copied, &err), err));
        EXPECT_EQ(traffic.send, copied);
    }

    RawPair from_; // source to our server's end,
    Pair to_;      // and from our client to the sink
};

INSTANTIATE_TEST_SUITE_P(Versions, Copy, testing::Values(TLS1_3_VERSION, TLS1_2_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

} // namespace

TEST_P(Copy, P2_SixtyFourMegabytesPassThrough)
{
    watchdog_limit(300);
    RawTraffic traffic;
    traffic.send = kLong / static_cast<uint64_t>(slow(1));
    pass_through(traffic);
}

TEST_P(Copy, P1_KeysMayChangeOnTheWay)
{
    RawTraffic traffic;
    traffic.send = 2000000;
    traffic.update_keys = GetParam() == TLS1_3_VERSION;
    pass_through(traffic);
}

// The client sends and never reads: the handler's copy stands in its write.
TEST(CopyInServer, B9_ADrainBreaksAHandlerThatCopies)
{
    Latch entered;
    ssl_status status = SALLY_OK;
    ssl_error err;
    Service service([&](ssl_connection *, ssl_port *in, ssl_port *out) {
        entered.open();
        status = ssl_copy_port(in, out, SALLY_COPY_ALL, nullptr, &err);
        return SALLY_DONE;
    });
    auto client = service.client();
    Thread sender([&] { (void)client->write_all(stream_bytes(1, 0, 30000000)); });
    ASSERT_TRUE(entered.wait());
    ASSERT_TRUE(wait_until_asleep(sender));
    size_t unfinished = 9;
    EXPECT_EQ(SALLY_OK, service.drain(100, kLongMs, &unfinished));
    EXPECT_EQ(0u, unfinished);
    EXPECT_TRUE(is(SALLY_BREAK, status, err));
    EXPECT_EQ(SALLY_PHASE_WRITE, err.phase);
    client->end();
}

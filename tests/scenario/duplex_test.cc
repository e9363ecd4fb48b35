// Two threads on one connection, neither of which delays the other (P1), against a raw peer.
#include "scenario/streams.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"
#include "support/watchdog.h"

using namespace sallytest;

namespace
{

// 10 MB, and 100 MB in the long run; slow builds get less.
uint64_t much()
{
    return static_cast<uint64_t>(long_run(10, 100)) * 1000000 / static_cast<uint64_t>(slow(1));
}

class Duplex : public testing::TestWithParam<int>
{
  protected:
    void SetUp() override
    {
        pair_ = client_of_raw(raw_server(GetParam()));
        ASSERT_TRUE(pair_);
    }

    RawPair pair_;
};

INSTANTIATE_TEST_SUITE_P(Versions, Duplex, testing::Values(TLS1_3_VERSION, TLS1_2_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

} // namespace

TEST_P(Duplex, P1_ReaderBlockedOnASilentPeerWhileTheOtherThreadWritesMuch)
{
    std::string last;
    Thread reader([&] {
        char byte;
        size_t got = 0;
        EXPECT_EQ(SALLY_OK, ssl_read(pair_.ours.in(), &byte, 1, &got, nullptr));
        EXPECT_EQ('!', byte);
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    Thread peer([&] { raw_receive(pair_.raw.get(), 0, much()); });
    send_ours(pair_.ours.out(), 0, much());
    peer.join();
    EXPECT_FALSE(reader.is_done());
    EXPECT_EQ(Raw::Ok, pair_.raw->write_all("!"));
}

TEST_P(Duplex, P1_WriterBlockedOnAPeerThatDoesNotReadWhileTheOtherThreadReadsMuch)
{
    // More than all buffers between the two can hold.
    uint64_t ours = 16000000;
    Thread writer([&] { send_ours(pair_.ours.out(), 0, ours); });
    ASSERT_TRUE(wait_until_asleep(writer));
    Thread peer([&] { raw_send(pair_.raw.get(), 0, much()); });
    receive_theirs(pair_.ours.in(), 0, much());
    peer.join();
    EXPECT_FALSE(writer.is_done());
    raw_receive(pair_.raw.get(), 0, ours);
}

TEST_P(Duplex, P1_BothDirectionsAtOnceWithMuch)
{
    RawTraffic traffic{much(), much(), false};
    Thread peer([&] { raw_exchange(pair_.raw.get(), traffic); });
    Thread writer([&] { send_ours(pair_.ours.out(), 0, traffic.receive); });
    receive_theirs(pair_.ours.in(), 0, traffic.send);
}

TEST(Duplex, P1_KeyUpdatesBothWaysMeanwhile)
{
    RawPair pair = client_of_raw(raw_server(TLS1_3_VERSION));
    ASSERT_TRUE(pair);
    RawTraffic traffic{much(), much(), true};
    Thread peer([&] { raw_exchange(pair.raw.get(), traffic); });
    Thread writer([&] { send_ours(pair.ours.out(), 0, traffic.receive); });
    receive_theirs(pair.ours.in(), 0, traffic.send);
    writer.join();
    peer.join();
    EXPECT_GT(pair.raw->key_updates_received(), 1);
}

// The reader answers the KeyUpdates: nobody writes on our side.
TEST(Duplex, P1_KeyUpdatesAreAnsweredByAReaderAlone)
{
    RawPair pair = client_of_raw(raw_server(TLS1_3_VERSION));
    ASSERT_TRUE(pair);
    RawTraffic traffic{2000000, 0, true};
    Thread peer([&] { raw_exchange(pair.raw.get(), traffic); });
    receive_theirs(pair.ours.in(), 0, traffic.send);
    peer.join();
    send_ours(pair.ours.out(), 0, 1000);
    raw_receive(pair.raw.get(), 0, 1000);
    EXPECT_GT(pair.raw->key_updates_received(), 0);
}

TEST(Duplex, P1_CertificateRequestsWhileBothDirectionsAreBusy)
{
    RawOptions options = raw_server(TLS1_3_VERSION);
    Context context = client_context_with_identity();
    RawPair pair = client_of_raw(options, context.get(), 0);
    ASSERT_TRUE(pair);
    Thread writer([&] { send_ours(pair.ours.out(), 0, 3000000); });
    Thread reader([&] { receive_theirs(pair.ours.in(), 0, 3000000); });
    int asked = 0;
    for (uint64_t i = 0; i < 3; i++) {
        asked += pair.raw->request_certificate() ? 1 : 0; // not while one is unanswered
        raw_send(pair.raw.get(), i * 1000000, (i + 1) * 1000000);
        raw_receive(pair.raw.get(), i * 1000000, (i + 1) * 1000000);
    }
    EXPECT_GT(asked, 0);
}

// A write broken half-way, and then: the stream is exact, whatever comes next (B6).
#include "scenario/streams.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// More than all buffers between the two can hold.
constexpr uint64_t kTooMuch = 16000000;

class Resume : public testing::Test
{
  protected:
    void SetUp() override
    {
        context_ = client_context_with_identity(SALLY_PROTOCOL_TLS13);
        pair_ = client_of_raw(raw_server(TLS1_3_VERSION), context_.get(), 4096);
        ASSERT_TRUE(pair_);
    }

    // Writes until the peer's windows are full, and is broken there; returns what was accepted.
    uint64_t write_broken()
    {
        std::string bytes = stream_bytes(kOurs, 0, kTooMuch);
        Break brk = new_break();
        size_t done = 0;
        Thread writer([&] {
            ssl_error err;
            ssl_status status = ssl_write_enable_break(pair_.ours.out(), bytes.data(), kTooMuch,
                                                       brk.get(), &done, &err);
            EXPECT_TRUE(is(SALLY_BREAK, status, err));
        });
        EXPECT_TRUE(wait_until_asleep(writer));
        ssl_break_send(brk.get(), 1);
        writer.join();
        EXPECT_GT(done, 0u);
        EXPECT_LT(done, kTooMuch);
        return done;
    }

    // The peer reads again; we write more. All of it is compared.
    void go_on_writing(uint64_t done)
    {
        uint64_t end = done + 500000;
        Thread peer([&] { raw_receive(pair_.raw.get(), 0, end); });
        send_ours(pair_.ours.out(), done, end);
    }

    // The next thing we do is to read the answer, which the peer sends when it has read everything.
    void go_on_reading(uint64_t done)
    {
        Thread peer([&] {
            raw_receive(pair_.raw.get(), 0, done);
            raw_send(pair_.raw.get(), 0, 1000);
        });
        receive_theirs(pair_.ours.in(), 0, 1000);
    }

    // Sees to it that we have processed what the peer sent: a byte of data comes behind it.
    void let_us_process_it()
    {
        EXPECT_EQ(Raw::Ok, pair_.raw->write_all("."));
        char byte = 0;
        size_t got = 0;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_read(pair_.ours.in(), &byte, 1, &got, &err), err));
        EXPECT_EQ('.', byte);
    }

    void ask_for_key_updates()
    {
        for (int i = 0; i < 3; i++) {
            EXPECT_TRUE(pair_.raw->update_key(true));
            EXPECT_EQ(Raw::Ok, pair_.raw->push());
        }
        let_us_process_it();
    }

    void ask_for_a_certificate()
    {
        EXPECT_TRUE(pair_.raw->request_certificate());
        EXPECT_EQ(Raw::Ok, pair_.raw->push());
        let_us_process_it();
    }

    Context context_;
    RawPair pair_;
};

} // namespace

TEST_F(Resume, B6_ThenMoreWrites)
{
    go_on_writing(write_broken());
}

TEST_F(Resume, B6_ThenTheAnswerIsRead)
{
    go_on_reading(write_broken());
}

TEST_F(Resume, B6_ThenKeyUpdatesArriveAndMoreWrites)
{
    uint64_t done = write_broken();
    ask_for_key_updates();
    go_on_writing(done);
    EXPECT_GT(pair_.raw->key_updates_received(), 0);
}

TEST_F(Resume, B6_ThenKeyUpdatesArriveAndTheAnswerIsRead)
{
    uint64_t done = write_broken();
    ask_for_key_updates();
    go_on_reading(done);
}

TEST_F(Resume, B6_ThenACertificateIsAskedForAndMoreWrites)
{
    uint64_t done = write_broken();
    ask_for_a_certificate();
    go_on_writing(done);
    EXPECT_NE(nullptr, SSL_get0_peer_certificate(pair_.raw->ssl()));
}

TEST_F(Resume, B6_ThenACertificateIsAskedForAndTheAnswerIsRead)
{
    uint64_t done = write_broken();
    ask_for_a_certificate();
    go_on_reading(done);
}

TEST_F(Resume, B6_ThenTheOutputIsClosed)
{
    uint64_t done = write_broken();
    Thread peer([&] {
        raw_receive(pair_.raw.get(), 0, done);
        std::string none;
        EXPECT_EQ(Raw::Eof, pair_.raw->read_to_end(&none));
        EXPECT_EQ("", none);
    });
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_close_port(pair_.ours.out(), &err), err));
}

TEST_F(Resume, B6_ThenEverythingIsFreedAndWhatWasAcceptedArrives)
{
    uint64_t done = write_broken();
    pair_.ours.reset();
    raw_receive(pair_.raw.get(), 0, done);
    std::string none;
    EXPECT_EQ(Raw::Cut, pair_.raw->read_to_end(&none));
    EXPECT_EQ("", none);
}

TEST_F(Resume, B2_BrokenAgainAndAgainTheCountsAddUp)
{
    std::string bytes = stream_bytes(kOurs, 0, kTooMuch);
    Rng rng(3);
    Thread peer([&] { raw_receive(pair_.raw.get(), 0, kTooMuch); });
    uint64_t sent = 0;
    while (sent < kTooMuch) {
        Break limit = deadline_in_ms(static_cast<int64_t>(rng.below(3)));
        size_t done = 0;
        ssl_error err;
        ssl_status status = ssl_write_enable_break(pair_.ours.out(), bytes.data() + sent,
                                                   kTooMuch - sent, limit.get(), &done, &err);
        ASSERT_TRUE(status == SALLY_OK || status == SALLY_TIMEOUT) << err.text;
        sent += done;
    }
    EXPECT_EQ(SALLY_OK, ssl_flush(pair_.ours.out(), nullptr));
}

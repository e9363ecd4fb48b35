// The BIO that takes records whole (B6), over a loop transport that takes little or nothing.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include <openssl/bio.h>

#include "support/internals.h"
#include "support/loop_transport.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

constexpr uint64_t kStream = 7;

class BioTest : public testing::Test
{
  protected:
    BioTest() : transport_(transport_a(loop_))
    {
        state_.next = transport_;
        bio_ = sally_bio_new(&state_);
    }
    ~BioTest() override
    {
        BIO_free(bio_);
        transport_->ops->finish(transport_, &state_.unsent, false);
    }

    void limit_sending(size_t capacity)
    {
        LoopFaults faults;
        faults.capacity = capacity;
        loop_.to_b->set_faults(faults);
    }

    // The next n bytes of the stream as one record; true when the BIO took all of it.
    bool write_record(size_t n)
    {
        std::string record = stream_bytes(kStream, written_, n);
        size_t taken = 0;
        int ok = BIO_write_ex(bio_, record.data(), n, &taken);
        written_ += n;
        return ok == 1 && taken == n;
    }

    // What the other end finds, up to n bytes.
    std::string arrive(size_t n)
    {
        std::string bytes(n, '\0');
        size_t got = 0;
        int failed = 0;
        loop_.to_b->receive(&bytes[0], n, &got, &failed);
        bytes.resize(got);
        return bytes;
    }

    bool read_blocks()
    {
        char byte;
        size_t got = 0;
        return BIO_read_ex(bio_, &byte, 1, &got) == 0 && BIO_should_read(bio_) != 0;
    }

    // As the engine does before each of its steps.
    void begin_step()
    {
        state_.receive_blocked = false;
        state_.drained = false;
    }

    Loop loop_;
    sally_bio state_ = {};
    sally_transport *transport_;
    BIO *bio_;
    uint64_t written_ = 0;
};

} // namespace

TEST_F(BioTest, B6_RecordIsTakenWholeWhenTheTransportTakesPart)
{
    limit_sending(10);
    EXPECT_TRUE(write_record(100));
    EXPECT_EQ(90u, state_.unsent.length);
    EXPECT_EQ(stream_bytes(kStream, 0, 10), arrive(100));
}

TEST_F(BioTest, B6_LaterRecordsStayBehindWhatIsUnsent)
{
    limit_sending(10);
    EXPECT_TRUE(write_record(30));
    arrive(10);
    EXPECT_TRUE(write_record(5)); // there is room now, but not for a later record
    EXPECT_EQ(25u, state_.unsent.length);
    std::string all;
    for (int i = 0; i < 10 && all.size() < 25; i++) {
        sally_bio_flush(&state_);
        all += arrive(100);
    }
    EXPECT_EQ(stream_bytes(kStream, 10, 25), all);
}

TEST_F(BioTest, B6_FlushTellsWhetherAllIsSent)
{
    limit_sending(10);
    write_record(15);
    EXPECT_FALSE(sally_bio_flush(&state_));
    arrive(10);
    EXPECT_TRUE(sally_bio_flush(&state_));
    EXPECT_TRUE(sally_bio_flush(&state_));
}

TEST_F(BioTest, B6_HoldsNoMemoryWhileNothingIsUnsent)
{
    EXPECT_TRUE(write_record(1000));
    EXPECT_EQ(nullptr, state_.unsent.data);
    limit_sending(1);
    write_record(1000);
    EXPECT_NE(nullptr, state_.unsent.data);
    limit_sending(1 << 20);
    EXPECT_TRUE(sally_bio_flush(&state_));
    EXPECT_EQ(nullptr, state_.unsent.data);
}

TEST_F(BioTest, B6_ManyRecordsThroughATricklingTransportKeepTheirOrder)
{
    Rng rng(1);
    LoopFaults faults;
    faults.chunk = 3;
    faults.capacity = 50;
    loop_.to_b->set_faults(faults);
    std::string all;
    for (int i = 0; i < 200; i++) {
        EXPECT_TRUE(write_record(rng.between(1, 300)));
        all += arrive(rng.between(1, 200));
        sally_bio_flush(&state_);
    }
    while (all.size() < written_) {
        sally_bio_flush(&state_);
        all += arrive(1000);
    }
    EXPECT_EQ(-1, stream_mismatch(kStream, 0, all.data(), all.size()));
}

TEST_F(BioTest, B6_NoMemoryForARecordIsRemembered)
{
    limit_sending(0);
    sally_mem_fail_at(1, 0);
    EXPECT_FALSE(write_record(100));
    sally_mem_fail_at(0, 0);
    EXPECT_TRUE(state_.out_of_memory);
}

TEST_F(BioTest, P6_DeadWayOutIsRememberedAndTakesEverything)
{
    LoopFaults faults;
    faults.refuse_at = 20;
    loop_.to_b->set_faults(faults);
    EXPECT_TRUE(write_record(100));
    EXPECT_EQ(EPIPE, state_.send_errno);
    EXPECT_TRUE(write_record(100));
    EXPECT_EQ(0u, state_.unsent.length);
    EXPECT_TRUE(sally_bio_flush(&state_));
}

TEST_F(BioTest, P6_WayOutThatDiesLaterDropsWhatIsUnsent)
{
    limit_sending(10);
    write_record(100);
    loop_.to_b->close_receiver();
    EXPECT_TRUE(sally_bio_flush(&state_));
    EXPECT_EQ(EPIPE, state_.send_errno);
    EXPECT_EQ(nullptr, state_.unsent.data);
}

TEST_F(BioTest, NothingToReadIsWouldBlockAndWorthAPoll)
{
    EXPECT_TRUE(read_blocks());
    EXPECT_TRUE(state_.receive_blocked);
    EXPECT_EQ(0ul, state_.receives);
}

TEST_F(BioTest, P3_EndIsShownAsWouldBlockAndRecorded)
{
    loop_.to_a->end();
    EXPECT_TRUE(read_blocks());
    EXPECT_TRUE(state_.receive_ended);
    EXPECT_EQ(0, state_.receive_errno);
    EXPECT_TRUE(write_record(10)) << "the way out must not suffer";
    EXPECT_EQ(10u, arrive(100).size());
}

TEST_F(BioTest, P3_FailureToReceiveIsShownAsWouldBlockAndRecorded)
{
    LoopFaults faults;
    faults.cut_at = 0;
    faults.cut_errno = ECONNRESET;
    loop_.to_a->set_faults(faults);
    EXPECT_TRUE(read_blocks());
    EXPECT_EQ(ECONNRESET, state_.receive_errno);
    EXPECT_FALSE(state_.receive_ended);
    EXPECT_TRUE(write_record(10));
}

TEST_F(BioTest, BytesBeforeTheEndAreRead)
{
    loop_.to_a->send_last("abc", 3);
    loop_.to_a->end();
    char bytes[8];
    size_t got = 0;
    EXPECT_EQ(1, BIO_read_ex(bio_, bytes, sizeof bytes, &got));
    EXPECT_EQ("abc", std::string(bytes, got));
    EXPECT_EQ(1ul, state_.receives);
    begin_step();
    EXPECT_TRUE(read_blocks());
    EXPECT_TRUE(state_.receive_ended);
}

TEST_F(BioTest, ShortReceiveIsNotFollowedByAnotherInTheSameStep)
{
    loop_.to_a->send_last("abc", 3);
    char bytes[8];
    size_t got = 0;
    EXPECT_EQ(1, BIO_read_ex(bio_, bytes, sizeof bytes, &got));
    uint64_t receives = loop_.to_a->receives();
    EXPECT_TRUE(read_blocks());
    EXPECT_TRUE(state_.receive_blocked);
    EXPECT_EQ(receives, loop_.to_a->receives());
    begin_step();
    EXPECT_TRUE(read_blocks());
    EXPECT_EQ(receives + 1, loop_.to_a->receives());
}

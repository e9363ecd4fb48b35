// The engine, step by step, against a raw OpenSSL peer over a transport that dribbles, stalls and cuts.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "support/engines.h"
#include "support/rng.h"

extern "C" {
#include "mem.h"
}

using namespace sallytest;

namespace
{

constexpr uint64_t kOurs = 1;   // streams: what we send,
constexpr uint64_t kTheirs = 2; // and what the peer sends

LoopFaults chunks_of(size_t n)
{
    LoopFaults faults;
    faults.chunk = n;
    return faults;
}

LoopFaults room_for(size_t n)
{
    LoopFaults faults;
    faults.capacity = n;
    return faults;
}

// Both roles, both versions.
struct Side {
    bool client;
    int version;
};

void PrintTo(const Side &side, std::ostream *out)
{
    *out << (side.client ? "client" : "server") << (side.version == TLS1_3_VERSION ? "13" : "12");
}

class EngineOf : public testing::TestWithParam<Side>
{
  protected:
    EngineSetup setup() const
    {
        EngineSetup made;
        made.client = GetParam().client;
        made.version = GetParam().version;
        return made;
    }
};

INSTANTIATE_TEST_SUITE_P(Sides, EngineOf,
                         testing::Values(Side{true, TLS1_3_VERSION}, Side{true, TLS1_2_VERSION},
                                         Side{false, TLS1_3_VERSION}, Side{false, TLS1_2_VERSION}),
                         [](const testing::TestParamInfo<Side> &side) {
                             return testing::PrintToString(side.param);
                         });

// A TLS 1.3 client of ours, shaken: the usual case.
class Engine13 : public testing::Test
{
  protected:
    Engine13() : pair_(made())
    {
        EXPECT_TRUE(pair_.shake());
        EXPECT_EQ(SALLY_STEP_WANT, pair_.read_all_there_is().step); // the tickets
    }

    static EngineSetup made()
    {
        EngineSetup setup;
        setup.version = TLS1_3_VERSION;
        setup.identity = true;
        return setup;
    }

    EnginePair pair_;
};

// Writes `n` bytes of our stream from `offset` while the peer reads nothing, until no more is taken;
// returns how many were.
size_t write_until_full(EnginePair *pair, uint64_t offset, size_t n)
{
    size_t done = 0;
    while (done < n) {
        Stepped wrote = pair->write(stream_bytes(kOurs, offset + done, n - done));
        done += wrote.count;
        if (wrote.step != SALLY_STEP_DONE) {
            EXPECT_EQ(SALLY_STEP_WANT, wrote.step);
            EXPECT_TRUE(wrote.want.send);
            return done;
        }
    }
    return done;
}

// The peer reads while we flush, until it has n bytes.
std::string peer_reads(EnginePair *pair, size_t n)
{
    std::string all;
    char buf[4096];
    for (int i = 0; i < 100000 && all.size() < n; i++) {
        size_t got = 0;
        Raw result = pair->raw->read_step(buf, sizeof buf, &got);
        all.append(buf, got);
        if (result != Raw::Ok && result != Raw::WantRead) {
            ADD_FAILURE() << "the peer: " << name_of(result) << " " << pair->raw->last_error();
            return all;
        }
        pair->flush();
    }
    return all;
}

// ---- handshake, reading, writing --------------------------------------------------------------

TEST_P(EngineOf, HandshakesAndEchoes)
{
    EnginePair pair(setup());
    ASSERT_TRUE(pair.shake());
    EXPECT_STREQ(GetParam().version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2",
                 sally_engine_version(pair.engine));
    EXPECT_EQ(SALLY_STEP_DONE, pair.write("ping").step);
    EXPECT_EQ("ping", peer_reads(&pair, 4));
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("pong"));
    EXPECT_EQ("pong", pair.read_all_there_is().bytes);
}

TEST_P(EngineOf, OneByteAtATimeEitherWay)
{
    EnginePair pair(setup());
    pair.loop.to_a->set_faults(chunks_of(1));
    pair.loop.to_b->set_faults(chunks_of(1));
    ASSERT_TRUE(pair.shake());
    std::string ours = stream_bytes(kOurs, 0, 500);
    std::string theirs = stream_bytes(kTheirs, 0, 500);
    EXPECT_EQ(SALLY_STEP_DONE, pair.write(ours).step);
    EXPECT_EQ(ours, peer_reads(&pair, ours.size()));
    EXPECT_EQ(Raw::Ok, pair.raw->write_all(theirs));
    EXPECT_EQ(theirs, pair.read_all_there_is().bytes);
}

TEST_P(EngineOf, B6_HandshakeThroughATinyWindowNeverLosesOrder)
{
    EnginePair pair(setup());
    pair.loop.to_b->set_faults(room_for(7));
    EXPECT_TRUE(pair.shake());
    while (pair.flush().step == SALLY_STEP_WANT) { // the tickets of a server
        char byte;
        size_t got = 0;
        pair.raw->read_step(&byte, 1, &got);
    }
    EXPECT_EQ(SALLY_STEP_DONE, pair.write("after").step);
    EXPECT_EQ("after", peer_reads(&pair, 5));
}

TEST_P(EngineOf, PeekShowsWhatReadThenTakes)
{
    EnginePair pair(setup());
    ASSERT_TRUE(pair.shake());
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("abcdef"));
    EXPECT_EQ("ab", pair.read(2).bytes);
    EXPECT_TRUE(sally_engine_has_buffered(pair.engine));
    EXPECT_EQ("cdef", pair.read_all_there_is().bytes);
    EXPECT_FALSE(sally_engine_has_buffered(pair.engine));
}

TEST_P(EngineOf, WantsToReceiveWhenNothingIsThere)
{
    EnginePair pair(setup());
    ASSERT_TRUE(pair.shake());
    Stepped nothing = pair.read_all_there_is();
    EXPECT_EQ(SALLY_STEP_WANT, nothing.step);
    EXPECT_TRUE(nothing.want.receive);
    EXPECT_FALSE(nothing.want.send);
}

TEST_F(Engine13, WritesAtMostARecordAtATime)
{
    Stepped wrote = pair_.write(std::string(3 * SALLY_RECORD_MAX, 'x'));
    EXPECT_EQ(SALLY_STEP_DONE, wrote.step);
    EXPECT_EQ(SALLY_RECORD_MAX, wrote.count);
}

// ---- the end ------------------------------------------------------------------------------------

TEST_P(EngineOf, P3_GoodbyeIsEofAndStaysEof)
{
    EnginePair pair(setup());
    ASSERT_TRUE(pair.shake());
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("last"));
    EXPECT_EQ(Raw::Ok, pair.raw->send_goodbye());
    Stepped all = pair.read_all_there_is();
    EXPECT_EQ("last", all.bytes);
    EXPECT_EQ(SALLY_STEP_FAILED, all.step);
    EXPECT_EQ(SALLY_EOF, pair.why());
    EXPECT_TRUE(sally_engine_has_eof(pair.engine));
    EXPECT_EQ(SALLY_STEP_FAILED, pair.read().step);
    EXPECT_EQ(SALLY_EOF, pair.why());
}

TEST_P(EngineOf, P3_EndAfterGoodbyeIsStillEof)
{
    EnginePair pair(setup());
    ASSERT_TRUE(pair.shake());
    pair.raw->send_goodbye();
    pair.raw->end();
    pair.read_all_there_is();
    EXPECT_EQ(SALLY_EOF, pair.why());
}

TEST_P(EngineOf, P3_EndWithoutGoodbyeIsTruncated)
{
    EnginePair pair(setup());
    ASSERT_TRUE(pair.shake());
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("half"));
    pair.raw->end();
    EXPECT_EQ("half", pair.read_all_there_is().bytes);
    ssl_error err;
    EXPECT_EQ(SALLY_TRUNCATED, pair.why(&err));
    EXPECT_EQ(0, err.sys_errno);
}

TEST_P(EngineOf, P3_ResetIsTruncatedWithItsErrno)
{
    EnginePair pair(setup());
    ASSERT_TRUE(pair.shake());
    pair.raw->reset();
    EXPECT_EQ(SALLY_STEP_FAILED, pair.read_all_there_is().step);
    ssl_error err;
    EXPECT_EQ(SALLY_TRUNCATED, pair.why(&err));
    EXPECT_EQ(ECONNRESET, err.sys_errno);
}

// A whole session: the peer writes 600 bytes and says goodbye, and the stream is cut after `cut`
// bytes. What our end makes of it; *sent: how long the stream was.
ssl_status session_cut_at(const EngineSetup &setup, size_t cut, int cut_errno, uint64_t *sent)
{
    EnginePair pair(setup);
    LoopFaults faults;
    faults.cut_at = cut;
    faults.cut_errno = cut_errno;
    pair.loop.to_a->set_faults(faults);
    std::string got;
    if (pair.shake()) {
        pair.raw->write_all(stream_bytes(kTheirs, 0, 600));
        pair.raw->send_goodbye();
        got = pair.read_all_there_is().bytes;
    }
    EXPECT_EQ(-1, stream_mismatch(kTheirs, 0, got.data(), got.size()));
    *sent = pair.loop.to_a->bytes_sent();
    ssl_status status = pair.why();
    EXPECT_TRUE(status == SALLY_TRUNCATED || got.size() == 600);
    EXPECT_EQ(0u, ERR_peek_error());
    return status;
}

// Signatures differ in length by a few bytes from session to session: the first cut that lies behind
// its own session's last byte ends the loop, and is no cut.
TEST_P(EngineOf, P3_CutAtEveryByteIsTruncatedNeverEof)
{
    uint64_t sent = 0;
    size_t cut = 0;
    while (session_cut_at(setup(), cut, 0, &sent) == SALLY_TRUNCATED) {
        cut += static_cast<size_t>(slow(1));
    }
    EXPECT_GE(cut, sent);
    EXPECT_GT(sent, 600u);
    EXPECT_EQ(SALLY_EOF, session_cut_at(setup(), SIZE_MAX, 0, &sent));
}

TEST_P(EngineOf, P3_ResetAtAnyByteIsTruncatedNeverEof)
{
    uint64_t sent = 0;
    ASSERT_EQ(SALLY_EOF, session_cut_at(setup(), SIZE_MAX, 0, &sent));
    for (size_t cut = 0; cut + 16 < sent; cut += 97) { // signatures differ in length by a few bytes
        uint64_t ignored = 0;
        ASSERT_EQ(SALLY_TRUNCATED, session_cut_at(setup(), cut, ECONNRESET, &ignored)) << cut;
    }
}

TEST_F(Engine13, P4_GoodbyeReachesThePeerAndReadingGoesOn)
{
    EXPECT_EQ(SALLY_STEP_DONE, pair_.goodbye().step);
    std::string none;
    EXPECT_EQ(Raw::Eof, pair_.raw->read_to_end(&none));
    EXPECT_EQ(Raw::Ok, pair_.raw->write_all("still here"));
    EXPECT_EQ("still here", pair_.read_all_there_is().bytes);
    uint64_t sent = pair_.loop.to_b->bytes_sent();
    EXPECT_EQ(SALLY_STEP_DONE, pair_.goodbye().step);
    EXPECT_EQ(sent, pair_.loop.to_b->bytes_sent()) << "said twice";
}

TEST_F(Engine13, P4_GoodbyeGoesOutBehindWhatIsUnsent)
{
    pair_.loop.to_b->set_faults(room_for(100));
    std::string bytes = stream_bytes(kOurs, 0, 5000);
    EXPECT_EQ(bytes.size(), pair_.write(bytes).count);
    EXPECT_EQ(SALLY_STEP_WANT, pair_.goodbye().step);
    EXPECT_EQ(bytes, peer_reads(&pair_, bytes.size()));
    while (pair_.goodbye().step == SALLY_STEP_WANT) {
        char byte;
        size_t got = 0;
        pair_.raw->read_step(&byte, 1, &got);
    }
    std::string none;
    EXPECT_EQ(Raw::Eof, pair_.raw->read_to_end(&none));
    EXPECT_EQ("", none);
}

TEST_F(Engine13, P4_WhatIsUnsentAtTheEndIsHandedToTheTransport)
{
    pair_.loop.to_b->set_faults(room_for(100));
    std::string bytes = stream_bytes(kOurs, 0, 5000);
    pair_.write(bytes);
    pair_.drop_engine();
    std::string got;
    EXPECT_EQ(Raw::Cut, pair_.raw->read_to_end(&got));
    EXPECT_EQ(bytes, got);
}

TEST_F(Engine13, P6_DeadWayOutFailsTheWriteAndNotTheRead)
{
    pair_.raw->write_all("for you");
    LoopFaults faults;
    faults.refuse_at = 0;
    pair_.loop.to_b->set_faults(faults);
    Stepped wrote = pair_.write("for nobody");
    EXPECT_EQ(SALLY_STEP_FAILED, wrote.step);
    EXPECT_EQ(0u, wrote.count);
    ssl_error err;
    EXPECT_EQ(SALLY_SYSTEM, pair_.why(&err));
    EXPECT_EQ(EPIPE, err.sys_errno);
    EXPECT_EQ("for you", pair_.read_all_there_is().bytes);
    EXPECT_EQ(SALLY_STEP_FAILED, pair_.write("again").step);
    EXPECT_EQ(SALLY_SYSTEM, pair_.why());
}

// ---- alerts and broken peers --------------------------------------------------------------------

TEST(Engine, MissingClientCertificateIsThePeersAlertWithItsNumber13)
{
    EngineSetup setup;
    setup.version = TLS1_3_VERSION;
    setup.raw.require_certificate = true;
    EnginePair pair(setup);
    pair.shake(); // ours succeeds; the peer's fails after it
    pair.raw->handshake_step();
    EXPECT_EQ(SALLY_STEP_FAILED, pair.read_all_there_is().step);
    ssl_error err;
    EXPECT_EQ(SALLY_PEER, pair.why(&err));
    EXPECT_EQ(116, err.code); // certificate_required
    EXPECT_NE(nullptr, strstr(err.text, "alert 116")) << err.text;
}

TEST(Engine, MissingClientCertificateIsThePeersAlertWithItsNumber12)
{
    EngineSetup setup;
    setup.version = TLS1_2_VERSION;
    setup.raw.require_certificate = true;
    EnginePair pair(setup);
    EXPECT_FALSE(pair.shake());
    ssl_error err;
    EXPECT_EQ(SALLY_PEER, pair.why(&err));
    EXPECT_EQ(40, err.code); // handshake_failure
}

TEST(Engine, ClientThatDistrustsUsIsThePeersAlert)
{
    EngineSetup setup;
    setup.client = false;
    setup.raw.trust = "other-ca";
    EnginePair pair(setup);
    EXPECT_FALSE(pair.shake());
    ssl_error err;
    EXPECT_EQ(SALLY_PEER, pair.why(&err));
    EXPECT_EQ(48, err.code); // unknown_ca
}

TEST(Engine, GarbageIsAProtocolErrorAndThePeerIsTold)
{
    EngineSetup setup;
    setup.client = false;
    EnginePair pair(setup);
    pair.raw->send_garbage("GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(SALLY_STEP_FAILED, pair.handshake().step);
    EXPECT_EQ(SALLY_PROTOCOL, pair.why());
    EXPECT_EQ(SALLY_STEP_FAILED, pair.handshake().step);
    EXPECT_EQ(SALLY_PROTOCOL, pair.why());
    EXPECT_EQ(SALLY_STEP_FAILED, pair.write("x").step);
}

TEST_F(Engine13, GarbageInTheStreamFailsBothDirectionsForGood)
{
    pair_.raw->send_garbage("this is no TLS record at all");
    EXPECT_EQ(SALLY_STEP_FAILED, pair_.read_all_there_is().step);
    EXPECT_EQ(SALLY_PROTOCOL, pair_.why());
    EXPECT_EQ(SALLY_STEP_FAILED, pair_.write("x").step);
    EXPECT_EQ(SALLY_PROTOCOL, pair_.why());
    std::string none;
    EXPECT_EQ(Raw::Alert, pair_.raw->read_to_end(&none));
}

TEST(Engine, C7_WrongCertificateIsVerifyAndThePeerIsTold)
{
    EngineSetup setup;
    setup.raw.identity = "wrong-ca";
    EnginePair pair(setup);
    EXPECT_FALSE(pair.shake());
    ssl_error err;
    EXPECT_EQ(SALLY_VERIFY, pair.why(&err));
    EXPECT_NE(0, err.code);
    pair.raw->handshake_step();
    EXPECT_EQ(48, pair.raw->last_alert()); // unknown_ca
}

// ---- messages in the middle ---------------------------------------------------------------------

// Step by step: each of the messages is AGAIN or WANT, and never data.
TEST_F(Engine13, P1_KeyUpdatesAreAnsweredAndTheStreamsGoOn)
{
    for (uint64_t i = 0; i < 5; i++) {
        ASSERT_TRUE(pair_.raw->update_key(true));
        pair_.raw->push();
        pair_.raw->write_all(stream_bytes(kTheirs, i * 100, 100));
        std::string got = pair_.read_all_there_is().bytes;
        EXPECT_EQ(-1, stream_mismatch(kTheirs, i * 100, got.data(), got.size()));
        EXPECT_EQ(100u, got.size());
        pair_.write(stream_bytes(kOurs, i * 100, 100));
        EXPECT_EQ(stream_bytes(kOurs, i * 100, 100), peer_reads(&pair_, 100));
    }
    EXPECT_EQ(5, pair_.raw->key_updates_received());
}

// The peer asks for answers all the time and never reads: what we keep for it stays bounded.
TEST_F(Engine13, B6_KeyUpdateFloodOfAPeerThatDoesNotReadStaysBounded)
{
    pair_.loop.to_b->set_faults(room_for(1));
    for (int i = 0; i < 4000; i++) {
        ASSERT_TRUE(pair_.raw->update_key(true));
        ASSERT_EQ(Raw::Ok, pair_.raw->push());
        if (pair_.read_all_there_is().step == SALLY_STEP_FAILED) {
            EXPECT_EQ(SALLY_PROTOCOL, pair_.why()); // OpenSSL may lose patience
            break;
        }
        ASSERT_LE(sally_engine_unsent(pair_.engine), SALLY_UNSENT_MAX + SALLY_RECORD_MAX);
    }
}

// What is unsent in mid-record, while the peer's messages make OpenSSL send more: the stream is exact.
void expect_exact_after(EnginePair *pair, const std::function<void()> &meanwhile)
{
    pair->loop.to_b->set_faults(room_for(1000));
    size_t done = write_until_full(pair, 0, 100000);
    EXPECT_GT(sally_engine_unsent(pair->engine), 0u);
    meanwhile();
    Stepped got = pair->read_all_there_is();
    EXPECT_EQ(SALLY_STEP_WANT, got.step);
    EXPECT_TRUE(got.want.send) << "a reader sends on what is unsent";
    std::string bytes = peer_reads(pair, done);
    done += write_until_full(pair, done, 5000);
    bytes += peer_reads(pair, done - bytes.size());
    EXPECT_EQ(done, bytes.size());
    EXPECT_EQ(-1, stream_mismatch(kOurs, 0, bytes.data(), bytes.size()));
    EXPECT_EQ(Raw::Ok, pair->raw->write_all("alive"));
    EXPECT_EQ("alive", pair->read_all_there_is().bytes);
}

TEST_F(Engine13, B6_KeyUpdatesWhileCiphertextIsUnsent)
{
    expect_exact_after(&pair_, [this] {
        for (int i = 0; i < 3; i++) {
            EXPECT_TRUE(pair_.raw->update_key(true));
            EXPECT_EQ(Raw::Ok, pair_.raw->push());
        }
    });
    EXPECT_GE(pair_.raw->key_updates_received(), 1);
}

TEST_F(Engine13, B6_DataOfThePeerWhileCiphertextIsUnsent)
{
    pair_.loop.to_b->set_faults(room_for(1000));
    size_t done = write_until_full(&pair_, 0, 100000);
    EXPECT_EQ(Raw::Ok, pair_.raw->write_all("answer"));
    EXPECT_EQ("answer", pair_.read_all_there_is().bytes);
    std::string bytes = peer_reads(&pair_, done);
    EXPECT_EQ(-1, stream_mismatch(kOurs, 0, bytes.data(), bytes.size()));
}

// SPEC B6 tells what happens without our BIO: "bad length", and the connection is dead.
TEST_F(Engine13, B6_CertificateRequestWhileCiphertextIsUnsent)
{
    expect_exact_after(&pair_, [this] {
        ASSERT_TRUE(pair_.raw->request_certificate()) << "the client did not offer it";
        EXPECT_EQ(Raw::Ok, pair_.raw->push());
    });
}

TEST(Engine, P1_RenegotiationAskedForByThePeerIsRefused)
{
    EngineSetup setup;
    setup.version = TLS1_2_VERSION;
    setup.client = false;
    EnginePair pair(setup);
    ASSERT_TRUE(pair.shake());
    EXPECT_TRUE(pair.raw->request_renegotiation());
    pair.raw->handshake_step();
    EXPECT_EQ(SALLY_STEP_WANT, pair.read_all_there_is().step);
    pair.raw->handshake_step();
    EXPECT_EQ(100, pair.raw->last_alert()); // no_renegotiation
    EXPECT_EQ(SALLY_STEP_DONE, pair.write("we go on").step);
}

// ---- errors of the surroundings -----------------------------------------------------------------

// Whoever begins a call empties the queue; tests/scenario/error_test.cc poisons it before each.
TEST_F(Engine13, E1_EachStepLeavesTheQueueEmpty)
{
    ERR_clear_error();
    pair_.raw->write_all("clean");
    EXPECT_EQ("clean", pair_.read().bytes);
    EXPECT_EQ(0u, ERR_peek_error());
    EXPECT_EQ(SALLY_STEP_WANT, pair_.read().step);
    EXPECT_EQ(0u, ERR_peek_error());
    EXPECT_EQ(SALLY_STEP_DONE, pair_.write("clean").step);
    EXPECT_EQ(0u, ERR_peek_error());
    const char nonsense[] = "this is no TLS record at all";
    pair_.loop.to_a->send_last(nonsense, sizeof nonsense);
    EXPECT_EQ(SALLY_STEP_FAILED, pair_.read().step);
    EXPECT_EQ(0u, ERR_peek_error());
}

TEST_F(Engine13, NoMemoryForUnsentCiphertextIsMemoryAndTheEnd)
{
    pair_.loop.to_b->set_faults(room_for(0));
    sally_mem_fail_at(1, 1);
    Stepped wrote = pair_.write("no room");
    sally_mem_fail_at(0, 0);
    EXPECT_EQ(SALLY_STEP_FAILED, wrote.step);
    EXPECT_EQ(SALLY_MEMORY, pair_.why());
    EXPECT_EQ(SALLY_STEP_FAILED, pair_.read().step);
}

TEST(Engine, NoMemoryForAnEngineLeavesTheTransportWithTheCaller)
{
    Context context = client_context();
    Loop loop;
    sally_transport *transport = transport_a(loop);
    sally_engine_setup setup = {};
    setup.context = context.get();
    setup.client = true;
    setup.hostname = "localhost";
    setup.call = "test";
    sally_engine *engine = nullptr;
    sally_mem_fail_at(1, 1);
    ssl_error err;
    ssl_status status = sally_engine_new(&setup, transport, &engine, &err);
    sally_mem_fail_at(0, 0);
    EXPECT_TRUE(is(SALLY_MEMORY, status, err));
    EXPECT_EQ(nullptr, engine);
    EXPECT_EQ(1, live_transports());
    sally_buf unsent = {};
    transport->ops->finish(transport, &unsent, false);
    EXPECT_EQ(0, live_transports());
}

} // namespace

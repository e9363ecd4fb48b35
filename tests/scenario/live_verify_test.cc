// A certificate demanded of a live connection: asked for after the handshake, of a client (C7).
#include <cstring>
#include <string>

#include <openssl/x509_vfy.h>

#include "scenario/live.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// The raw client of a server of ours, which can be asked later, in either version.
RawOptions client_with(const std::string &identity, int version)
{
    RawOptions options = raw_client(version);
    options.client_identity = identity;
    options.post_handshake_auth = version == TLS1_3_VERSION;
    return options;
}

RawPair server_of(const RawOptions &options)
{
    ssl_protocol protocol =
        options.version == TLS1_3_VERSION ? SALLY_PROTOCOL_TLS13 : SALLY_PROTOCOL_TLS12;
    Context context = trusting_server(protocol, options.version != TLS1_3_VERSION);
    return server_of_raw(options, context.get());
}

std::string subject_of_peer(const ssl_port *port)
{
    char text[200];
    size_t length = 0;
    EXPECT_EQ(SALLY_OK, ssl_peer_subject_name(port, text, sizeof text, &length, nullptr));
    return text;
}

const char kClient[] = "/O=Sallyport tests/CN=Test client";

// The client reads until a byte of data comes, which answers what it is asked on the way.
class Reading
{
  public:
    explicit Reading(RawPair &pair)
        : pair_(pair), thread_([this] { result_ = pair_.raw->read_full(&got_, 1); })
    {
    }
    // Lets it end: the byte.
    Raw end()
    {
        EXPECT_EQ(SALLY_OK, ssl_write(pair_.ours.out(), "e", 1, nullptr, nullptr));
        thread_.join();
        return result_;
    }
    Raw result()
    {
        thread_.join();
        return result_;
    }

  private:
    RawPair &pair_;
    std::string got_;
    Raw result_ = Raw::Failed;
    Thread thread_;
};

ssl_status set_verify_within(const RawPair &pair, int ms, ssl_error *err)
{
    Break bound = deadline_in_ms(ms);
    return ssl_port_set_verify_enable_break(pair.ours.in(), true, bound.get(), err);
}

void receive_byte(const RawPair &pair, char wanted)
{
    char byte = 0;
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read(pair.ours.in(), &byte, 1, &got, &err), err));
    EXPECT_EQ(wanted, byte);
}

constexpr int kPatience = slow(20000);

// ---- both versions -----------------------------------------------------------------------------

class LiveServer : public testing::TestWithParam<int>
{
  protected:
    // Before TLS 1.3 one after the other: an OpenSSL client that writes while it renegotiates does not
    // stand data from the server.
    static void exchange(RawPeer *raw, uint64_t send, uint64_t receive)
    {
        if (GetParam() == TLS1_3_VERSION) {
            RawTraffic traffic;
            traffic.send = send;
            traffic.receive = receive;
            traffic.update_keys = true;
            raw_exchange(raw, traffic);
        } else {
            raw_send(raw, 0, send);
            raw_receive(raw, 0, receive);
        }
    }
    static RawPair pair_with(const std::string &identity)
    {
        return server_of(client_with(identity, GetParam()));
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, LiveServer, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

TEST_P(LiveServer, C7_TheClientIsAskedAtOnceAndVerified)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    EXPECT_EQ("", subject_of_peer(pair.ours.in()));
    Reading client(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, set_verify_within(pair, kPatience, &err), err));
    EXPECT_TRUE(ssl_peer_verified(pair.ours.out()));
    EXPECT_EQ(kClient, subject_of_peer(pair.ours.in()));
    EXPECT_EQ(Raw::Ok, client.end());
    EXPECT_EQ(1, pair.raw->certificate_requests_received());
    expect_streams_both_ways(pair);
}

TEST_P(LiveServer, C7_TheOutputPortWillDoAndEachCallAsksAnew)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    Reading client(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.ours.out(), true, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_port_try_verify(pair.ours.out(), true, &err), err));
    Break bound = deadline_in_ms(kPatience);
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_port_try_verify_enable_break(pair.ours.in(), true, bound.get(), &err), err));
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
    EXPECT_EQ(Raw::Ok, client.end());
    EXPECT_EQ(3, pair.raw->certificate_requests_received());
}

TEST_P(LiveServer, C7_ABadCertificateIsVerifyAndTheClientIsTold)
{
    RawPair pair = pair_with("wrong-ca");
    ASSERT_TRUE(pair);
    Reading client(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_VERIFY, set_verify_within(pair, kPatience, &err), err));
    EXPECT_EQ(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, err.code) << err.text;
    EXPECT_NE(nullptr, strstr(err.text, "depth 0")) << err.text;
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    EXPECT_EQ(Raw::Alert, client.result());
    EXPECT_EQ(48, pair.raw->last_alert()); // unknown_ca
}

TEST_P(LiveServer, C7_NoCertificateIsVerify)
{
    RawPair pair = pair_with("");
    ASSERT_TRUE(pair);
    Reading client(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_VERIFY, set_verify_within(pair, kPatience, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "sent no certificate")) << err.text;
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    EXPECT_EQ(Raw::Alert, client.result());
}

TEST_P(LiveServer, C7_TryTakesWhateverComes)
{
    for (const char *identity : {"", "wrong-ca", "client"}) {
        SCOPED_TRACE(identity);
        RawPair pair = pair_with(identity);
        ASSERT_TRUE(pair);
        Reading client(pair);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_port_try_verify(pair.ours.in(), true, &err), err));
        EXPECT_EQ(identity == std::string("client"), ssl_peer_verified(pair.ours.in()));
        EXPECT_EQ(identity[0] == '\0', subject_of_peer(pair.ours.in()).empty());
        EXPECT_EQ(Raw::Ok, client.end());
        expect_streams_both_ways(pair);
    }
}

TEST_P(LiveServer, C7_DataThatComesFirstIsKeptInOrder)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    raw_send(pair.raw.get(), 0, 100000);
    Reading client(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, set_verify_within(pair, kPatience, &err), err));
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
    EXPECT_EQ(Raw::Ok, client.end());
    raw_send(pair.raw.get(), 100000, 200000);
    receive_theirs(pair.ours.in(), 0, 200000);
}

TEST_P(LiveServer, C7_TooMuchDataIsLimitAndTheCallGoesOnAfterwards)
{
    constexpr uint64_t kMuch = 3 * SALLY_VERIFY_DATA_MAX;
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    Thread client([&] {
        raw_send(pair.raw.get(), 0, kMuch);
        std::string got;
        EXPECT_EQ(Raw::Ok, pair.raw->read_full(&got, 1));
    });
    ssl_error err;
    uint64_t taken = 0;
    ssl_status status = set_verify_within(pair, kPatience, &err);
    EXPECT_TRUE(is(SALLY_LIMIT, status, err));
    while (status == SALLY_LIMIT && taken < kMuch) {
        receive_theirs(pair.ours.in(), taken, taken + SALLY_VERIFY_DATA_MAX);
        taken += SALLY_VERIFY_DATA_MAX;
        status = set_verify_within(pair, kPatience, &err);
    }
    EXPECT_TRUE(is(SALLY_OK, status, err));
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
    receive_theirs(pair.ours.in(), taken, kMuch);
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "e", 1, nullptr, nullptr));
    client.join();
    EXPECT_EQ(1, pair.raw->certificate_requests_received());
}

// ---- breaks ------------------------------------------------------------------------------------

TEST_P(LiveServer, B1_ABreakThatIsPendingAsksNobody)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    Break brk = new_break();
    ssl_break_send(brk.get(), 7);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_BREAK,
                   ssl_port_set_verify_enable_break(pair.ours.in(), true, brk.get(), &err), err));
    EXPECT_EQ(7, err.code);
    expect_streams_both_ways(pair);
    EXPECT_EQ(0, pair.raw->certificate_requests_received());
}

TEST_P(LiveServer, B6_ABrokenCallLeavesTheRequestAndTheNextCarriesOn)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    Break brk = new_break();
    Thread caller([&] {
        ssl_error err;
        ssl_status status = ssl_port_set_verify_enable_break(pair.ours.in(), true, brk.get(), &err);
        EXPECT_TRUE(is(SALLY_BREAK, status, err));
    });
    EXPECT_TRUE(wait_until_asleep(caller));
    ssl_break_send(brk.get(), 1);
    caller.join();
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "still", 5, nullptr, nullptr));
    Thread client([&] {
        std::string got;
        EXPECT_EQ(Raw::Ok, pair.raw->read_full(&got, 6));
        EXPECT_EQ("stille", got);
    });
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, set_verify_within(pair, kPatience, &err), err));
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "e", 1, nullptr, nullptr));
    client.join();
    EXPECT_EQ(1, pair.raw->certificate_requests_received());
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
}

TEST_P(LiveServer, B6_AReadMayTakeTheAnswerOfABrokenCall)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, set_verify_within(pair, 20, &err), err));
    Thread client([&] {
        std::string got;
        EXPECT_EQ(Raw::Ok, pair.raw->read_full(&got, 1)); // and answers before it
        EXPECT_EQ(Raw::Ok, pair.raw->write_all("a"));
    });
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "q", 1, nullptr, nullptr));
    receive_byte(pair, 'a');
    client.join();
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.ours.in(), true, &err), err));
    EXPECT_EQ(1, pair.raw->certificate_requests_received());
}

// What was asked for as a try is judged by the call that demands, and the connection goes on.
TEST_P(LiveServer, C7_ADemandJudgesTheAnswerOfATry)
{
    RawPair pair = pair_with("wrong-ca");
    ASSERT_TRUE(pair);
    Break bound = deadline_in_ms(20);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT,
                   ssl_port_try_verify_enable_break(pair.ours.in(), true, bound.get(), &err), err));
    Thread client([&] {
        std::string got;
        EXPECT_EQ(Raw::Ok, pair.raw->read_full(&got, 1));
        EXPECT_EQ(Raw::Ok, pair.raw->write_all("a"));
    });
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "q", 1, nullptr, nullptr));
    receive_byte(pair, 'a');
    client.join();
    EXPECT_TRUE(is(SALLY_VERIFY, ssl_port_set_verify(pair.ours.in(), true, &err), err));
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    expect_streams_both_ways(pair);
}

TEST_P(LiveServer, P8_ThePortsTimeoutBoundsIt)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    ASSERT_EQ(SALLY_OK, ssl_port_set_timeout(pair.ours.in(), 30, nullptr));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_port_set_verify(pair.ours.in(), true, &err), err));
}

TEST_P(LiveServer, P4_AbandonWakesIt)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    Thread caller([&] {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_CLOSED, set_verify_within(pair, kPatience, &err), err));
    });
    EXPECT_TRUE(wait_until_asleep(caller));
    ssl_abandon_port(pair.ours.in());
    caller.join();
}

TEST_P(LiveServer, P1_AReaderInsideIsUsageAndAWriterGoesOn)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    Thread caller([&] {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, set_verify_within(pair, kPatience, &err), err));
    });
    EXPECT_TRUE(wait_until_asleep(caller));
    char byte = 0;
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_read(pair.ours.in(), &byte, 1, &got, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_set_verify(pair.ours.in(), true, &err), err));
    Thread client([&] {
        raw_receive(pair.raw.get(), 0, 500000);
        std::string last;
        EXPECT_EQ(Raw::Ok, pair.raw->read_full(&last, 1)); // a new handshake may end after the data
    });
    send_ours(pair.ours.out(), 0, 500000);
    caller.join();
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "e", 1, nullptr, nullptr));
    client.join();
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
}

// Calls that are broken again and again, at any point of the exchange, while both streams flow and keys
// change: every byte is exact, and the client is asked once.
TEST_P(LiveServer, B6_BrokenAnywhereBesideAWriterAndData)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        RawPair pair = pair_with("client");
        ASSERT_TRUE(pair);
        uint64_t theirs = rng.below(100000);
        uint64_t ours = rng.below(100000);
        Thread client([&] {
            exchange(pair.raw.get(), theirs, ours + 1); // the last is sent when it has answered
        });
        Thread writer([&] { send_ours(pair.ours.out(), 0, ours); });
        ssl_error err;
        ssl_status status = SALLY_TIMEOUT;
        while (status == SALLY_TIMEOUT) {
            status = set_verify_within(pair, static_cast<int>(rng.below(3)), &err);
        }
        ASSERT_TRUE(is(SALLY_OK, status, err));
        writer.join();
        EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
        send_ours(pair.ours.out(), ours, ours + 1);
        receive_theirs(pair.ours.in(), 0, theirs);
        client.join();
        EXPECT_EQ(1, pair.raw->certificate_requests_received());
    }
}

// ---- ends --------------------------------------------------------------------------------------

TEST_P(LiveServer, P3_TheEndOfTheStreamEndsTheWait)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    ASSERT_EQ(Raw::Ok, pair.raw->write_all("last"));
    pair.raw->end();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TRUNCATED, set_verify_within(pair, kPatience, &err), err));
    EXPECT_TRUE(is(SALLY_TRUNCATED, set_verify_within(pair, kPatience, &err), err));
}

TEST_P(LiveServer, P3_AGoodbyeEndsTheWaitAndWhatCameBeforeIsThere)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    ASSERT_EQ(Raw::Ok, pair.raw->write_all("last"));
    ASSERT_EQ(Raw::Ok, pair.raw->send_goodbye());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_EOF, set_verify_within(pair, kPatience, &err), err));
    char text[8];
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_read(pair.ours.in(), text, sizeof text, &got, nullptr));
    EXPECT_EQ("last", std::string(text, got));
    EXPECT_EQ(SALLY_EOF, ssl_read(pair.ours.in(), text, sizeof text, &got, nullptr));
}

TEST_P(LiveServer, C7_OffAsksNobodyAndClosedIsClosed)
{
    RawPair pair = pair_with("client");
    ASSERT_TRUE(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.ours.in(), false, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_port_try_verify(pair.ours.out(), false, &err), err));
    expect_streams_both_ways(pair);
    EXPECT_EQ(0, pair.raw->certificate_requests_received());
    ssl_abandon_port(pair.ours.in());
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_port_set_verify(pair.ours.out(), true, &err), err));
    ssl_abandon_port(pair.ours.out());
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_port_set_verify(pair.ours.out(), true, &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_port_set_verify(pair.ours.in(), false, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_try_verify(nullptr, true, &err), err));
}

// ---- one version -------------------------------------------------------------------------------

TEST(LiveServer13, C7_AClientThatDidNotOfferItIsUnsupportedAndGoesOn)
{
    RawOptions options = client_with("client", TLS1_3_VERSION);
    options.post_handshake_auth = false;
    RawPair pair = server_of(options);
    ASSERT_TRUE(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, set_verify_within(pair, kPatience, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "did not offer")) << err.text;
    EXPECT_NE(nullptr, strstr(err.text, "ssl_set_verify")) << err.text;
    expect_streams_both_ways(pair);
}

TEST(LiveServer13, C7_KeyUpdatesMeanwhile)
{
    RawPair pair = server_of(client_with("client", TLS1_3_VERSION));
    ASSERT_TRUE(pair);
    for (uint64_t i = 0; i < 5; i++) {
        EXPECT_TRUE(pair.raw->update_key(true));
        EXPECT_EQ(Raw::Ok, pair.raw->push());
        raw_send(pair.raw.get(), i * 100, (i + 1) * 100);
    }
    Reading client(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, set_verify_within(pair, kPatience, &err), err));
    EXPECT_EQ(Raw::Ok, client.end());
    EXPECT_EQ(5, pair.raw->key_updates_received());
    receive_theirs(pair.ours.in(), 0, 500);
}

TEST(LiveServer12, C7_WithoutRenegotiationItIsUnsupportedWithTheWayOut)
{
    Context context = trusting_server(SALLY_PROTOCOL_TLS12, false);
    RawPair pair = server_of_raw(client_with("client", TLS1_2_VERSION), context.get());
    ASSERT_TRUE(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, set_verify_within(pair, kPatience, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "ssl_set_insecure_renegotiation")) << err.text;
    expect_streams_both_ways(pair);
}

TEST(LiveServer12, C7_AClientThatRefusesIsPeer)
{
    RawOptions options = client_with("client", TLS1_2_VERSION);
    options.refuse_renegotiation = true;
    RawPair pair = server_of(options);
    ASSERT_TRUE(pair);
    Reading client(pair);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_PEER, set_verify_within(pair, kPatience, &err), err));
    EXPECT_EQ(100, err.code);
    EXPECT_NE(nullptr, strstr(err.text, "does not renegotiate")) << err.text;
    EXPECT_NE(Raw::Ok, client.result());
}

} // namespace

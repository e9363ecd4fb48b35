// The end of a connection as a raw peer sees it (P3, P4, P6).
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/socket.h>

#include "support/guards.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// A promise that holds each time, or is none (SPEC P4: a plain close lost 20 of 20).
constexpr int kTimes = 20;

std::string read_ours(ssl_port *in, size_t n)
{
    std::string bytes(n, '\0');
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_full(in, &bytes[0], n, &got, &err), err));
    return bytes.substr(0, got);
}

ssl_status read_end(ssl_port *in, ssl_error *err = nullptr)
{
    char byte;
    size_t got = 0;
    return ssl_read(in, &byte, 1, &got, err);
}

class Close : public testing::TestWithParam<int>
{
};

INSTANTIATE_TEST_SUITE_P(Versions, Close, testing::Values(TLS1_3_VERSION, TLS1_2_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

} // namespace

// ---- half close and abandon ---------------------------------------------------------------------

// With TLS 1.2 it is up to the peer; ours is tolerant, and so is a raw OpenSSL one.
TEST_P(Close, P4_PeerSeesEofWhileOurInputStaysOpen)
{
    RawPair pair = client_of_raw(raw_server(GetParam()));
    ASSERT_TRUE(pair);
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "ask", 3, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair.ours.out(), nullptr));
    std::string asked;
    EXPECT_EQ(Raw::Eof, pair.raw->read_to_end(&asked));
    EXPECT_EQ("ask", asked);
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("answer"));
    EXPECT_EQ("answer", read_ours(pair.ours.in(), 6));
    EXPECT_EQ(Raw::Ok, pair.raw->send_goodbye());
    EXPECT_EQ(SALLY_EOF, read_end(pair.ours.in()));
}

TEST_P(Close, P3_OurWritesGoOnAfterThePeersGoodbye)
{
    RawPair pair = client_of_raw(raw_server(GetParam()));
    ASSERT_TRUE(pair);
    EXPECT_EQ(Raw::Ok, pair.raw->send_goodbye());
    EXPECT_EQ(SALLY_EOF, read_end(pair.ours.in()));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_write(pair.ours.out(), "still", 5, nullptr, &err), err));
    std::string got;
    EXPECT_EQ(Raw::Ok, pair.raw->read_full(&got, 5));
    EXPECT_EQ("still", got);
}

TEST_P(Close, P4_AbandonSaysNothingUntilTheInputClosesToo)
{
    RawPair pair = server_of_raw(raw_client(GetParam()));
    ASSERT_TRUE(pair);
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "last", 4, nullptr, nullptr));
    ssl_abandon_port(pair.ours.out());
    std::string got;
    EXPECT_EQ(Raw::Ok, pair.raw->read_full(&got, 4));
    EXPECT_TRUE(pair.raw->is_silent_for(100));
    ssl_close_port(pair.ours.in(), nullptr);
    EXPECT_EQ(Raw::Cut, pair.raw->read_to_end(&got));
    EXPECT_EQ("", got);
}

TEST_P(Close, P4_CloseOfBothDoorsIsGoodbyeThenTheEnd)
{
    RawPair pair = server_of_raw(raw_client(GetParam()));
    ASSERT_TRUE(pair);
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair.ours.in(), nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair.ours.out(), nullptr));
    std::string none;
    EXPECT_EQ(Raw::Eof, pair.raw->read_to_end(&none));
    char byte;
    EXPECT_TRUE(wait_for_fd(SSL_get_fd(pair.raw->ssl()), POLLIN, slow(5000)));
    EXPECT_EQ(0, recv(SSL_get_fd(pair.raw->ssl()), &byte, 1, 0)) << "no FIN behind the goodbye";
}

TEST(Close, P4_WithoutShutdownOnCloseThereIsNoGoodbye)
{
    Context context = client_context();
    ASSERT_EQ(SALLY_OK, ssl_set_shutdown_on_close(context.get(), false, nullptr));
    RawPair pair = client_of_raw(raw_server(), context.get(), 0);
    ASSERT_TRUE(pair);
    EXPECT_EQ(SALLY_OK, ssl_write(pair.ours.out(), "x", 1, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair.ours.out(), nullptr));
    pair.ours.reset();
    std::string got;
    EXPECT_EQ(Raw::Cut, pair.raw->read_to_end(&got));
    EXPECT_EQ("x", got);
}

TEST_P(Close, P4_CloseNeverWaitsForThePeersGoodbye)
{
    RawPair pair = client_of_raw(raw_server(GetParam()));
    ASSERT_TRUE(pair);
    ssl_port_set_timeout(pair.ours.out(), 10000, nullptr);
    ssl_deadline begin = ssl_deadline_after_ms(0);
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair.ours.out(), nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(pair.ours.in(), nullptr));
    int64_t took_ms = (ssl_deadline_after_ms(0).monotonic_ns - begin.monotonic_ns) / 1000000;
    EXPECT_LT(took_ms, SALLY_CLOSE_TIMEOUT_MS / 2);
}

// ---- truncation ---------------------------------------------------------------------------------

TEST_P(Close, P3_FinWithoutGoodbyeIsTruncatedOnEveryReadingCall)
{
    RawPair pair = client_of_raw(raw_server(GetParam()));
    ASSERT_TRUE(pair);
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("half"));
    pair.raw->end();
    char buf[100];
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TRUNCATED, ssl_read_full(pair.ours.in(), buf, 100, &got, &err), err));
    EXPECT_EQ("half", std::string(buf, got));
    EXPECT_TRUE(is(SALLY_TRUNCATED, ssl_peek(pair.ours.in(), buf, 100, &got, &err), err));
    EXPECT_TRUE(is(SALLY_TRUNCATED, ssl_read_line(pair.ours.in(), buf, 100, &got, &err), err));
    EXPECT_TRUE(is(SALLY_TRUNCATED, ssl_read_available(pair.ours.in(), buf, 100, &got, &err), err));
    EXPECT_TRUE(is(SALLY_TRUNCATED, ssl_read(pair.ours.in(), buf, 100, &got, &err), err));
}

TEST_P(Close, P3_ResetIsTruncatedWithItsErrno)
{
    RawPair pair = client_of_raw(raw_server(GetParam()));
    ASSERT_TRUE(pair);
    Thread reader([&] {
        ssl_error err;
        EXPECT_TRUE(is(SALLY_TRUNCATED, read_end(pair.ours.in(), &err), err));
        EXPECT_EQ(ECONNRESET, err.sys_errno);
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    pair.raw->reset();
}

// ---- nothing is lost at the end -----------------------------------------------------------------

// The peer's bytes that we did not read would make a plain close a reset, which eats our last words.
TEST_P(Close, P4_LastWordsArriveThoughInputWasLeftUnread)
{
    for (int i = 0; i < kTimes; i++) {
        RawPair pair = server_of_raw(raw_client(GetParam()));
        ASSERT_TRUE(pair);
        EXPECT_EQ(Raw::Ok, pair.raw->write_all(std::string(50000, 'q')));
        std::string answer = stream_bytes(1, 0, 20000);
        EXPECT_EQ(SALLY_OK,
                  ssl_write(pair.ours.out(), answer.data(), answer.size(), nullptr, nullptr));
        EXPECT_EQ(SALLY_OK, ssl_close_port(pair.ours.out(), nullptr));
        pair.ours.reset();
        std::string got;
        ASSERT_EQ(Raw::Eof, pair.raw->read_to_end(&got)) << "round " << i;
        ASSERT_EQ(answer, got);
    }
}

// A handshake that fails: our server speaks TLS 1.3 only, the client 1.2 only, and sends more than it
// should. The client must read the alert, not a reset.
TEST(Close, P4_AlertOfAFailedHandshakeReachesThePeerEachTime)
{
    Context context = server_context("server", SALLY_PROTOCOL_TLS13);
    Listener listener = listen_on_loopback(context.get());
    for (int i = 0; i < kTimes; i++) {
        auto raw = raw_peer(connect_to(port_of(listener.get())), raw_client(TLS1_2_VERSION));
        EXPECT_EQ(Raw::WantRead, raw->handshake_step());
        raw->channel().send(std::string(60000, 'z'));
        Ports ports;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_PROTOCOL, ssl_accept(listener.get(), ports.fill(), &err), err));
        EXPECT_EQ(SALLY_PHASE_HANDSHAKE, err.phase);
        ASSERT_EQ(Raw::Alert, raw->handshake()) << "round " << i << ": " << raw->last_error();
        EXPECT_EQ(70, raw->last_alert()); // protocol_version
    }
}

TEST(Close, P4_AlertOfOurClientReachesTheServerEachTime)
{
    Context context = client_context();
    for (int i = 0; i < kTimes; i++) {
        RawListener listener;
        RawOptions options = raw_server();
        options.identity = "wrong-ca";
        Thread server([&] {
            auto raw = raw_peer(listener.accept(), options);
            std::string none;
            Raw result = raw->handshake();
            result = result == Raw::Ok ? raw->read_to_end(&none) : result;
            EXPECT_EQ(Raw::Alert, result) << raw->last_error();
            EXPECT_EQ(48, raw->last_alert()); // unknown_ca
        });
        Ports ports;
        ssl_error err;
        ssl_status status =
            ssl_connect("127.0.0.1", listener.port(), context.get(), ports.fill(), &err);
        EXPECT_TRUE(is(SALLY_VERIFY, status, err));
        EXPECT_FALSE(ports);
    }
}

// TLS 1.3: the client's handshake is done when the server finds that a certificate is missing, and
// its data is on the way.
TEST(Close, P4_AlertForAMissingCertificateReachesTheClientEachTime)
{
    Context context = server_context("server", SALLY_PROTOCOL_TLS13);
    std::string roots = cert_path("ca.pem");
    ssl_load_verify_root_certificates(context.get(), roots.c_str(), nullptr);
    ASSERT_EQ(SALLY_OK, ssl_set_verify(context.get(), true, nullptr));
    Listener listener = listen_on_loopback(context.get());
    for (int i = 0; i < kTimes; i++) {
        auto raw = raw_peer(connect_to(port_of(listener.get())), raw_client(TLS1_3_VERSION));
        Raw outcome = Raw::Ok;
        Thread client([&] {
            EXPECT_EQ(Raw::Ok, raw->handshake());
            raw->write_all(std::string(30000, 'd'));
            std::string none;
            outcome = raw->read_to_end(&none);
        });
        Ports ports;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_VERIFY, ssl_accept(listener.get(), ports.fill(), &err), err));
        client.join();
        ASSERT_EQ(Raw::Alert, outcome) << "round " << i << ": " << raw->last_error();
        EXPECT_EQ(116, raw->last_alert()); // certificate_required
    }
}

TEST(Close, P3_PeersAlertAfterTheHandshakeIsPeerWithItsNumber)
{
    RawOptions options = raw_server(TLS1_3_VERSION);
    options.require_certificate = true;
    RawListener listener;
    Thread server([&] {
        auto raw = raw_peer(listener.accept(), options);
        EXPECT_EQ(Raw::Failed, raw->handshake());
    });
    Context context = client_context();
    Ports ports;
    ssl_error err;
    ssl_status status =
        ssl_connect("127.0.0.1", listener.port(), context.get(), ports.fill(), &err);
    ASSERT_TRUE(is(SALLY_OK, status, err));
    EXPECT_TRUE(is(SALLY_PEER, read_end(ports.in(), &err), err));
    EXPECT_EQ(116, err.code); // certificate_required
}

// ---- the peer is gone ---------------------------------------------------------------------------

TEST_P(Close, P6_WritingAfterAResetIsAnErrorWithoutASignal)
{
    struct sigaction action = {};
    sigaction(SIGPIPE, nullptr, &action);
    ASSERT_EQ(SIG_DFL, action.sa_handler) << "the signal must be deadly for this test to prove it";
    RawPair pair = client_of_raw(raw_server(GetParam()));
    ASSERT_TRUE(pair);
    pair.raw->reset();
    std::string bytes(100000, 'x');
    ssl_error err;
    ssl_status status = SALLY_OK;
    for (int i = 0; i < 3 && status == SALLY_OK; i++) {
        status = ssl_write(pair.ours.out(), bytes.data(), bytes.size(), nullptr, &err);
    }
    EXPECT_TRUE(is(SALLY_SYSTEM, status, err));
    EXPECT_TRUE(err.sys_errno == EPIPE || err.sys_errno == ECONNRESET) << err.text;
    EXPECT_EQ(SALLY_SYSTEM, ssl_write(pair.ours.out(), "x", 1, nullptr, &err));
}

TEST_P(Close, P6_BlockedWriterLearnsThatThePeerIsGone)
{
    Context context = client_context();
    RawPair pair = client_of_raw(raw_server(GetParam()), context.get(), 4096);
    ASSERT_TRUE(pair);
    Thread writer([&] {
        std::string bytes(16000000, 'x');
        size_t done = 0;
        ssl_error err;
        ssl_status status = ssl_write(pair.ours.out(), bytes.data(), bytes.size(), &done, &err);
        EXPECT_TRUE(is(SALLY_SYSTEM, status, err));
        EXPECT_LT(done, bytes.size());
    });
    ASSERT_TRUE(wait_until_asleep(writer));
    pair.raw->reset();
}

TEST_P(Close, P6_GoodbyeToAPeerThatIsGoneDoesNotHurt)
{
    RawPair pair = client_of_raw(raw_server(GetParam()));
    ASSERT_TRUE(pair);
    pair.raw->reset();
    ssl_error err;
    ssl_status status = ssl_close_port(pair.ours.out(), &err);
    EXPECT_TRUE(status == SALLY_OK || status == SALLY_SYSTEM) << err.text;
    EXPECT_EQ(SALLY_CLOSED, ssl_write(pair.ours.out(), "x", 1, nullptr, nullptr));
}

TEST(Close, NothingIsLeftOfManyConnections)
{
    warm_up();
    LeakGuard leaks;
    for (int i = 0; i < long_run(60, 3000); i++) {
        Pair pair = connected_pair();
        ASSERT_TRUE(pair);
        if (i % 3 == 0) {
            ssl_close_port(pair.client.out(), nullptr);
        } else if (i % 3 == 1) {
            ssl_abandon_port(pair.server.in());
        }
    }
}

// The echo programs as a user meets them: bytes, signals, limits of time, mistakes.
#include <chrono>
#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <poll.h>

#include "support/certs.h"
#include "support/echo_programs.h"
#include "support/pairs.h"
#include "support/raw_peer.h"
#include "support/rng.h"
#include "support/threads.h"

namespace
{

using namespace sallytest;
using Clock = std::chrono::steady_clock;

constexpr size_t megabyte = 1024 * 1024;

std::string random_bytes(size_t n)
{
    std::string bytes(n, '\0');
    unsigned long long state = 88172645463325252ULL;
    for (char &byte : bytes) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        byte = static_cast<char>(state);
    }
    return bytes;
}

long ms_since(Clock::time_point start)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

// The promise is 100 ms on a machine with time to spare; a loaded one with a sanitizer gets two
// seconds, which still tells a break from a timeout.
void expect_interrupted(Process &client)
{
    auto start = Clock::now();
    client.signal(SIGINT);
    EXPECT_EQ(130, client.wait(10));
    long ms = ms_since(start);
    testing::Test::RecordProperty("milliseconds", static_cast<int>(ms));
    std::printf("ended %ld ms after SIGINT\n", ms);
    EXPECT_LT(ms, 2000);
    EXPECT_NE(std::string::npos, client.err().find("interrupted")) << client.err();
}

// ---- bytes -------------------------------------------------------------------------------------

TEST(EchoPrograms, ServerSaysOnceWhereItListens)
{
    EchoServer server;
    EXPECT_EQ("listening on 127.0.0.1:" + std::to_string(server.port()) + "\n", server.out());
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait());
    EXPECT_EQ("", server.err());
    EXPECT_EQ("listening on 127.0.0.1:" + std::to_string(server.port()) + "\n", server.out());
}

TEST(EchoPrograms, LineComesBack)
{
    EchoServer server;
    std::string echoed;
    EXPECT_EQ(0, run_echo_client(server.port(), "Open both doors.\n", &echoed));
    EXPECT_EQ("Open both doors.\n", echoed);
}

TEST(EchoPrograms, EmptyInputEndsAtOnce)
{
    EchoServer server;
    std::string echoed;
    EXPECT_EQ(0, run_echo_client(server.port(), "", &echoed));
    EXPECT_EQ("", echoed);
}

TEST(EchoPrograms, P1_InputLargerThanAllBuffersDoesNotDeadlock)
{
    EchoServer server;
    std::string sent = random_bytes(24 * megabyte);
    std::string echoed;
    EXPECT_EQ(0, run_echo_client(server.port(), sent, &echoed));
    EXPECT_TRUE(sent == echoed) << echoed.size() << " bytes came back";
}

TEST(EchoPrograms, W2_MoreClientsThanWorkers)
{
    EchoServer server({"--workers", "1"});
    Process idle(echo_client_words(server.port()));
    idle.feed("before ");
    ASSERT_TRUE(idle.wait_for_output("before "));
    for (int i = 0; i < 8; i++) {
        std::string echoed;
        EXPECT_EQ(0, run_echo_client(server.port(), "beside it", &echoed));
        EXPECT_EQ("beside it", echoed);
    }
    idle.feed_and_close("and after");
    EXPECT_EQ(0, idle.wait());
    EXPECT_EQ("before and after", idle.out());
}

namespace
{

// A client that sends until nothing is taken any more, for a while, and reads nothing.
std::unique_ptr<RawPeer> deaf_client(int port, uint8_t max_fragment)
{
    static const std::string much(16384, 'x');
    Fd fd = connect_to(port);
    pollfd way_out = {fd.get(), POLLOUT, 0};
    auto peer = raw_peer(std::move(fd), raw_client());
    EXPECT_EQ(1, SSL_set_tlsext_max_fragment_length(peer->ssl(), max_fragment));
    EXPECT_EQ(Raw::Ok, peer->handshake()) << peer->last_error();
    size_t done = 0;
    do {
        while (peer->write_step(much.data(), much.size(), &done) == Raw::Ok) {}
    } while (poll(&way_out, 1, 300) != 0);
    return peer;
}

} // namespace

TEST(EchoPrograms, W2_ClientsThatNeverReadHoldNoWorker)
{
    EchoServer server({"--workers", "1"});
    auto deaf = deaf_client(server.port(), TLSEXT_max_fragment_length_DISABLED);
    auto in_small_records = deaf_client(server.port(), TLSEXT_max_fragment_length_512);
    std::string echoed;
    EXPECT_EQ(0, run_echo_client(server.port(), "beside them", &echoed));
    EXPECT_EQ("beside them", echoed);
}

// ---- SIGINT to the client ----------------------------------------------------------------------

TEST(EchoClientSignal, B1_EndsARead)
{
    EchoServer server;
    Process client(echo_client_words(server.port()));
    client.feed("I wait.");
    ASSERT_TRUE(client.wait_for_output("I wait."));
    ASSERT_TRUE(client.wait_until_blocked(SIGINT));
    expect_interrupted(client);
    EXPECT_EQ("I wait.", client.out());
}

TEST(EchoClientSignal, B1_EndsAHandshake)
{
    RawListener silent;
    Process client(echo_client_words(silent.port()));
    Fd accepted = silent.accept();
    ASSERT_TRUE(client.wait_until_blocked(SIGINT));
    expect_interrupted(client);
}

TEST(EchoClientSignal, B1_EndsATcpConnect)
{
    // A backlog of 0 has room for one: the kernel answers no further SYN.
    RawListener full(0, 0);
    Fd first = connect_to(full.port());
    Process client({built("examples/echo/echo_client"), "127.0.0.1", std::to_string(full.port())});
    ASSERT_TRUE(client.wait_until_blocked(SIGINT));
    expect_interrupted(client);
}

// A peer that takes the handshake and then nothing: standard input piles up.
class SilentPeer
{
  public:
    SilentPeer() : listener_(4096) {}
    int port() const
    {
        return listener_.port();
    }
    void take_handshake()
    {
        peer_ = raw_peer(listener_.accept(), raw_server());
        ASSERT_EQ(Raw::Ok, peer_->handshake());
    }
    RawPeer &peer()
    {
        return *peer_;
    }

  private:
    RawListener listener_;
    std::unique_ptr<RawPeer> peer_;
};

TEST(EchoClientSignal, B1_EndsAWrite)
{
    SilentPeer silent;
    Process client(echo_client_words(silent.port()));
    silent.take_handshake();
    client.feed(random_bytes(64 * megabyte));
    ASSERT_TRUE(client.wait_until_blocked(SIGINT));
    expect_interrupted(client);
}

TEST(EchoClientSignal, B1_EndsAWriteToStandardOutputThatNobodyReads)
{
    EchoServer server;
    ProcessOptions unread;
    unread.collect_output = false;
    Process client(echo_client_words(server.port()), unread);
    client.feed(random_bytes(64 * megabyte));
    ASSERT_TRUE(client.wait_until_blocked(SIGINT));
    expect_interrupted(client);
}

TEST(EchoClientSignal, B8_EndsANameLookup)
{
#ifdef SALLY_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer's own getaddrinfo comes before a preloaded one";
#endif
    ProcessOptions slow;
    slow.environment = {std::string("LD_PRELOAD=") + SALLY_TEST_SLOW_LOOKUP};
    Process client(echo_client_words(1), slow);
    ASSERT_TRUE(client.wait_until_blocked(SIGINT));
    expect_interrupted(client);
}

// ---- SIGTERM to the server ---------------------------------------------------------------------

TEST(EchoServerSignal, W6_RequestsInFlightAreEchoed)
{
    EchoServer server;
    std::vector<std::unique_ptr<RawPeer>> peers;
    for (int i = 0; i < 16; i++) {
        peers.push_back(raw_peer(connect_to(server.port())));
        ASSERT_EQ(Raw::Ok, peers.back()->handshake());
    }
    std::string message = random_bytes(1000);
    for (auto &peer : peers) {
        ASSERT_EQ(Raw::Ok, peer->write_all(message));
    }
    server.signal(SIGTERM);
    for (auto &peer : peers) {
        std::string echoed;
        EXPECT_EQ(Raw::Eof, peer->read_to_end(&echoed)) << peer->last_error();
        EXPECT_EQ(message.size(), echoed.size());
        EXPECT_TRUE(message == echoed);
    }
    EXPECT_EQ(0, server.wait());
    EXPECT_EQ("", server.err());
}

TEST(EchoServerSignal, W6_StreamUnderLoadIsAPrefix)
{
    EchoServer server;
    std::string sent = random_bytes(64 * megabyte);
    Process client(echo_client_words(server.port()));
    client.feed(sent);
    ASSERT_TRUE(eventually([&] { return client.out().size() > megabyte; }, 20));
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait(30)) << server.err();
    EXPECT_EQ(1, client.wait()) << "the server left before all was sent";
    std::string echoed = client.out();
    EXPECT_GT(echoed.size(), megabyte);
    EXPECT_EQ(0, sent.compare(0, echoed.size(), echoed));
}

TEST(EchoServerSignal, W6_IdleAndHalfOpenClientsDelayNothing)
{
    EchoServer server;
    auto idle = raw_peer(connect_to(server.port()));
    ASSERT_EQ(Raw::Ok, idle->handshake());
    Fd half_open = connect_to(server.port());
    auto start = Clock::now();
    server.signal(SIGTERM);
    std::string echoed;
    EXPECT_EQ(Raw::Eof, idle->read_to_end(&echoed)) << idle->last_error();
    EXPECT_EQ(0, server.wait()) << server.err();
    std::printf("ended %ld ms after SIGTERM\n", ms_since(start));
    EXPECT_LT(ms_since(start), 4000);
}

TEST(EchoServerSignal, InterruptDrainsToo)
{
    EchoServer server;
    server.signal(SIGINT);
    EXPECT_EQ(0, server.wait()) << server.err();
}

TEST(EchoServerSignal, W6_SecondSignalIsTheHardStop)
{
    EchoServer server;
    // It sends and never reads, so that the handler is blocked in its write.
    auto stuck = raw_peer(connect_to(server.port(), 4096));
    ASSERT_EQ(Raw::Ok, stuck->handshake());
    size_t done = 0;
    std::string block = random_bytes(16384);
    eventually([&] { return stuck->write_step(block.data(), block.size(), &done) != Raw::Ok; }, 10);
    ASSERT_TRUE(server.wait_until_blocked(SIGTERM));
    auto start = Clock::now();
    server.signal(SIGTERM);
    EXPECT_FALSE(eventually([&] { return server.has_ended(); }, 0));
    ASSERT_TRUE(server.wait_until_blocked(SIGTERM));
    server.signal(SIGTERM);
    EXPECT_LT(server.wait(10), 128) << "it was killed, and should end by itself";
    std::printf("ended %ld ms after the first SIGTERM\n", ms_since(start));
    EXPECT_LT(ms_since(start), 4000);
}

// ---- ends and limits ---------------------------------------------------------------------------

TEST(EchoClientEnds, B5_TimeoutBoundsTheWhole)
{
    RawListener silent;
    auto start = Clock::now();
    Process client(echo_client_words(silent.port(), {"--timeout", "1"}));
    EXPECT_EQ(1, client.wait());
    EXPECT_GE(ms_since(start), 1000);
    EXPECT_NE(std::string::npos, client.err().find("out of time")) << client.err();
}

TEST(EchoClientEnds, P3_CutStreamIsNoEnd)
{
    SilentPeer peer;
    Process client(echo_client_words(peer.port()));
    peer.take_handshake();
    ASSERT_EQ(Raw::Ok, peer.peer().write_all("half a mess"));
    peer.peer().end();
    EXPECT_EQ(1, client.wait());
    EXPECT_EQ("half a mess", client.out());
    EXPECT_NE(std::string::npos, client.err().find("cut off")) << client.err();
}

TEST(EchoClientEnds, GoodbyeBeforeAllIsSentIsAFailure)
{
    SilentPeer peer;
    Process client(echo_client_words(peer.port()));
    peer.take_handshake();
    peer.peer().send_goodbye();
    EXPECT_EQ(1, client.wait());
    EXPECT_NE(std::string::npos, client.err().find("said goodbye")) << client.err();
}

// ---- mistakes ----------------------------------------------------------------------------------

struct Mistake {
    const char *program;
    std::vector<std::string> words;
    int status;
    const char *says;
};

class EchoMistakes : public testing::TestWithParam<Mistake>
{
};

TEST_P(EchoMistakes, AreNamed)
{
    const Mistake &mistake = GetParam();
    std::vector<std::string> words = {built(std::string("examples/echo/") + mistake.program)};
    words.insert(words.end(), mistake.words.begin(), mistake.words.end());
    Process program(words);
    program.close_input();
    EXPECT_EQ(mistake.status, program.wait());
    EXPECT_EQ("", program.out());
    EXPECT_NE(std::string::npos, program.err().find(mistake.says))
        << "it should say " << mistake.says << " and says " << program.err();
}

INSTANTIATE_TEST_SUITE_P(
    Usage, EchoMistakes,
    testing::Values(Mistake{"echo_server", {"--prot", "1"}, 2, "\"--prot\" is not an option"},
                    Mistake{"echo_server", {"--port"}, 2, "--port needs a value"},
                    Mistake{"echo_server", {"--port", "65536"}, 2, "from 0 to 65535"},
                    Mistake{"echo_server", {"--port", "-1"}, 2, "from 0 to 65535"},
                    Mistake{"echo_server", {"--port", "http"}, 2, "\"http\""},
                    Mistake{"echo_server", {"--workers", "0"}, 2, "--workers"},
                    Mistake{"echo_server", {"8080"}, 2, "\"8080\" is one word too many"},
                    Mistake{"echo_server", {"--cert", "x.pem"}, 2, "--cert and --key go together"},
                    Mistake{"echo_client", {}, 2, "HOST is missing"},
                    Mistake{"echo_client", {"localhost"}, 2, "PORT is missing"},
                    Mistake{"echo_client", {"localhost", "0"}, 2, "from 1 to 65535"},
                    Mistake{"echo_client", {"localhost", "1", "2"}, 2, "one word too many"},
                    Mistake{
                        "echo_client", {"--timeout", "soon", "localhost", "1"}, 2, "\"soon\""}));

INSTANTIATE_TEST_SUITE_P(
    Files, EchoMistakes,
    testing::Values(
        Mistake{
            "echo_server", {"--cert", "/nowhere.pem", "--key", "/nowhere.pem"}, 1, "/nowhere.pem"},
        Mistake{"echo_server", {"--host", "host.invalid"}, 1, "host.invalid"},
        Mistake{"echo_client", {"--ca", "/nowhere.pem", "localhost", "1"}, 1, "/nowhere.pem"},
        Mistake{"echo_client", {"--ca", "/", "localhost", "1"}, 1, "\"/\""}));

TEST(EchoMistake, PortInUseIsNamed)
{
    EchoServer first;
    Process second({built("examples/echo/echo_server"), "--port", std::to_string(first.port())});
    EXPECT_EQ(1, second.wait());
    EXPECT_NE(std::string::npos, second.err().find(std::to_string(first.port()))) << second.err();
}

TEST(EchoMistake, RefusedConnectionIsNamed)
{
    ClosedPort closed;
    Process client(echo_client_words(closed.port()));
    EXPECT_EQ(1, client.wait());
    EXPECT_NE(std::string::npos, client.err().find("refused")) << client.err();
}

TEST(EchoMistake, C7_CertificateOfAnotherCaIsRefused)
{
    EchoServer server(
        {"--cert", cert_path("wrong-ca.pem"), "--key", cert_path("wrong-ca-key.pem")});
    Process client(echo_client_words(server.port()));
    EXPECT_EQ(1, client.wait());
    EXPECT_NE(std::string::npos, client.err().find("certificate")) << client.err();
    EXPECT_EQ("", client.out());
}

} // namespace

// The echo server as a service: stopped under load, started again at once. Rules: W6.
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/echo_programs.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

constexpr size_t kMegabyte = 1024 * 1024;

// Bytes of which no two places look alike.
std::string numbered_bytes(size_t n)
{
    std::string bytes;
    bytes.reserve(n + 16);
    for (size_t i = 0; bytes.size() < n; i++) {
        bytes += std::to_string(i) + ' ';
    }
    bytes.resize(n);
    return bytes;
}

} // namespace

TEST(Restart, W6_FourMegabytesInFlightOfEachOfSixClientsAreEchoed)
{
    EchoServer server({"--workers", "2"});
    std::string sent = numbered_bytes(4 * kMegabyte);
    std::vector<std::unique_ptr<Process>> clients;
    for (int i = 0; i < 6; i++) {
        clients.push_back(std::make_unique<Process>(echo_client_words(server.port())));
        clients.back()->feed_and_close(sent);
    }
    for (auto &client : clients) {
        ASSERT_TRUE(eventually([&] { return !client->out().empty(); }, 20));
    }
    server.signal(SIGTERM);
    for (auto &client : clients) {
        EXPECT_EQ(0, client->wait(40)) << client->err();
        std::string echoed = client->out();
        EXPECT_EQ(sent.size(), echoed.size());
        EXPECT_TRUE(sent == echoed);
    }
    EXPECT_EQ(0, server.wait(40)) << server.err();
    EXPECT_EQ("", server.err());
}

TEST(Restart, W6_TheNextServerTakesThePortAtOnce)
{
    auto first = std::make_unique<EchoServer>();
    std::string port = std::to_string(first->port());
    std::string echoed;
    EXPECT_EQ(0, run_echo_client(first->port(), "first", &echoed));
    first->signal(SIGTERM);
    EXPECT_EQ(0, first->wait()) << first->err();
    EchoServer second({"--port", port});
    ASSERT_EQ(first->port(), second.port());
    EXPECT_EQ(0, run_echo_client(second.port(), "second", &echoed));
    EXPECT_EQ("second", echoed);
    second.signal(SIGTERM);
    EXPECT_EQ(0, second.wait());
}

TEST(Restart, W6_TwoSignalsAtOnceEndItToo)
{
    EchoServer server;
    auto idle = raw_peer(connect_to(server.port()));
    ASSERT_EQ(Raw::Ok, idle->handshake());
    server.signal(SIGTERM);
    server.signal(SIGTERM);
    EXPECT_GE(1, server.wait(10)) << "it ends by itself, and is not killed";
}

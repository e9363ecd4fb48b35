// ssl_server on a system that has no descriptors left: no spin, no death, and back within a second.
// Rules: W5.
#include <gtest/gtest.h>

#include <chrono>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "scenario/service.h"
#include "support/guards.h"
#include "support/no_descriptors.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

// Connects a socket that was made while there were descriptors.
void connect_late(const Fd &fd, int port)
{
    sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(static_cast<uint16_t>(port));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, connect(fd.get(), reinterpret_cast<sockaddr *>(&addr), sizeof addr));
}

class Exhaustion : public testing::Test
{
  protected:
    Exhaustion()
    {
        warm_up();
    }
};

} // namespace

TEST_F(Exhaustion, W5_WithoutDescriptorsTheServerWaitsAndComesBackWithinASecond)
{
    Service service(echo_once);
    auto old = service.client();
    NoDescriptors none;
    none.give_back(1);
    auto fresh = raw_peer(connect_to(service.port()), raw_client());
    EXPECT_TRUE(service.reaches([](auto &now) { return now.accept_failures >= 2; }));
    uint64_t before = service.count().accept_failures;
    for (int i = 0; i < 50; i++) {
        expect_echo(old.get(), "still served");
    }
    EXPECT_GE(before + 20, service.count().accept_failures) << "no spin";
    none.give_all_back();
    auto freed = std::chrono::steady_clock::now();
    EXPECT_EQ(Raw::Ok, fresh->handshake());
    EXPECT_GT(std::chrono::seconds(slow(1)), std::chrono::steady_clock::now() - freed);
    expect_echo(fresh.get(), "served now");
}

TEST_F(Exhaustion, W5_WavesOfItCostNoProcessorTimeAndNoClient)
{
    constexpr int kClients = 7; // a few of them may get what helpers close late
    Service service(echo_once);
    auto old = service.client();
    for (int wave = 0; wave < 3; wave++) {
        std::vector<Fd> sockets;
        for (int i = 0; i < kClients; i++) {
            sockets.push_back(Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
        }
        NoDescriptors none;
        ssl_server_counters before = service.count();
        for (Fd &fd : sockets) {
            connect_late(fd, service.port());
        }
        double cpu = cpu_seconds();
        EXPECT_TRUE(service.reaches([&](auto &now) {
            none.take_rest();
            return now.accept_failures >= before.accept_failures + 5;
        }));
        EXPECT_GT(0.2 * slow(1), cpu_seconds() - cpu) << "in some 500 ms of trying";
        expect_echo(old.get(), "still served");
        uint64_t accepted = service.count().accepted;
        EXPECT_LT(accepted, before.accepted + kClients) << "somebody waits";
        none.give_back(1);
        auto freed = std::chrono::steady_clock::now();
        EXPECT_TRUE(service.reaches([&](auto &now) { return now.accepted > accepted; }));
        EXPECT_GT(std::chrono::seconds(slow(1)), std::chrono::steady_clock::now() - freed);
        none.give_all_back();
        for (Fd &fd : sockets) {
            auto client = raw_peer(std::move(fd), raw_client());
            EXPECT_EQ(Raw::Ok, client->handshake()) << client->last_error();
            expect_echo(client.get(), "served now");
            client->end();
        }
        EXPECT_TRUE(service.rests(1));
    }
}

TEST_F(Exhaustion, W5_APoolThatCannotGrowServesOnAndGrowsLater)
{
    ssl_server_options options = service_options(1);
    options.workers_max = 4;
    HeldEcho held;
    Service service(held.handler(), options);
    auto one = service.client();
    auto two = service.client();
    {
        NoDescriptors none;
        ASSERT_EQ(Raw::Ok, one->write_all("x"));
        ASSERT_TRUE(held.entered.wait());
        EXPECT_TRUE(service.reaches([](auto &now) { return now.worker_start_failures >= 2; }));
        EXPECT_EQ(1u, service.count().workers);
    }
    ASSERT_EQ(Raw::Ok, two->write_all("y"));
    EXPECT_TRUE(service.reaches([](auto &now) { return now.busy == 2; }));
    held.release.open();
}

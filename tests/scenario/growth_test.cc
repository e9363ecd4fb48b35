// ssl_server: a pool that grows while handlers block, and shrinks again. Rules: W2 W6.
#include <gtest/gtest.h>

#include <atomic>

#include "scenario/service.h"
#include "support/guards.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

constexpr int64_t kLongMs = 40000;

ssl_server_options growing(int workers, int workers_max)
{
    ssl_server_options options = service_options(workers);
    options.workers_max = workers_max;
    return options;
}

// Takes a byte, and answers when the test lets it.
struct Waiting {
    std::atomic<int> inside{0};
    Latch release;

    Handler handler()
    {
        return [this](ssl_connection *, ssl_port *in, ssl_port *out) {
            char byte;
            size_t got;
            if (ssl_read(in, &byte, 1, &got, nullptr) != SALLY_OK) {
                return SALLY_DONE;
            }
            inside++;
            release.wait();
            inside--;
            return ssl_write(out, &byte, 1, nullptr, nullptr) == SALLY_OK ? SALLY_KEEP : SALLY_DONE;
        };
    }
};

std::vector<std::unique_ptr<RawPeer>> speaking(const Service &service, int count)
{
    std::vector<std::unique_ptr<RawPeer>> clients;
    for (int i = 0; i < count; i++) {
        clients.push_back(service.client());
        EXPECT_EQ(Raw::Ok, clients.back()->write_all("x"));
    }
    return clients;
}

class Growth : public testing::Test
{
  protected:
    Growth()
    {
        warm_up();
    }
};

} // namespace

TEST_F(Growth, W2_MoreBlockingHandlersThanWorkersAreAllServedAtOnce)
{
    std::set<pid_t> before = running_threads();
    Waiting waiting;
    ssl_server_options options = growing(2, 16);
    options.worker_idle_ms = 20;
    Service service(waiting.handler(), options);
    EXPECT_EQ(2u, service.count().workers);
    auto clients = speaking(service, 12);
    EXPECT_TRUE(service.reaches([](auto &now) { return now.busy == 12; }));
    EXPECT_LE(12u, service.count().workers);
    EXPECT_GE(16u, service.count().workers);
    waiting.release.open();
    for (auto &client : clients) {
        std::string back;
        EXPECT_EQ(Raw::Ok, client->read_full(&back, 1));
    }
    EXPECT_TRUE(service.reaches([](auto &now) { return now.workers == 2; })) << "it shrinks again";
    EXPECT_TRUE(eventually([&] { return threads_since(before) == 3; }))
        << "two workers and the timekeeper";
    EXPECT_EQ(0u, service.count().worker_start_failures);
}

TEST_F(Growth, W4_AtTheMaximumTheOthersWait)
{
    Waiting waiting;
    Service service(waiting.handler(), growing(1, 3));
    auto clients = speaking(service, 3);
    EXPECT_TRUE(service.reaches([](auto &now) { return now.busy == 3; }));
    auto late = raw_peer(connect_to(service.port()), raw_client());
    EXPECT_EQ(Raw::WantRead, late->handshake_step());
    EXPECT_EQ(3u, service.count().workers);
    waiting.release.open();
    EXPECT_EQ(Raw::Ok, late->handshake());
}

TEST_F(Growth, W2_HandlersThatBlockForLongCostNoProcessorTime)
{
    Waiting waiting;
    Service service(waiting.handler(), growing(1, 8));
    auto clients = speaking(service, 2);
    EXPECT_TRUE(service.reaches([](auto &now) { return now.busy == 2 && now.workers == 3; }));
    double before = cpu_seconds();
    EXPECT_FALSE(eventually([] { return false; }, 1));
    EXPECT_GT(0.1 * slow(1), cpu_seconds() - before) << "one worker is idle, so nobody looks";
    waiting.release.open();
}

TEST_F(Growth, W6_ADrainReachesAllWorkersOfAGrownPool)
{
    std::atomic<int> broken{0};
    Service service(
        [&](ssl_connection *, ssl_port *in, ssl_port *) {
            char bytes[2];
            size_t got;
            ssl_status status = ssl_read_full(in, bytes, sizeof bytes, &got, nullptr);
            broken += status == SALLY_BREAK;
            return SALLY_DONE;
        },
        growing(1, 8));
    auto clients = speaking(service, 8);
    EXPECT_TRUE(service.reaches([](auto &now) { return now.busy == 8; }));
    Thread drainer([&] { EXPECT_EQ(SALLY_OK, service.drain(0, kLongMs)); });
    for (auto &client : clients) {
        EXPECT_EQ(Raw::Eof, end_of(client.get()));
        client->end();
    }
    drainer.join();
    EXPECT_EQ(8, broken);
    EXPECT_EQ(0u, service.count().workers);
}

TEST_F(Growth, W6_AServerMayEndInTheMiddleOfItsGrowth)
{
    for (int round = 0; round < 8; round++) {
        Waiting waiting;
        Service service(waiting.handler(), growing(1, 8));
        auto clients = speaking(service, 1 + round);
        EXPECT_TRUE(service.reaches([&](auto &now) { return now.busy > 0; }));
        waiting.release.open();
    }
}

// Clients that connect and say nothing, or half a ClientHello: they hold a descriptor and no worker.
#include <gtest/gtest.h>

#include <chrono>

#include <sys/resource.h>
#include <unistd.h>

#include "scenario/service.h"
#include "support/guards.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

// Both ends of every connection are in this process.
bool can_open(size_t descriptors)
{
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < descriptors) {
        limit.rlim_cur = std::min<rlim_t>(descriptors, limit.rlim_max);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur >= descriptors;
}

ssl_server_options patient_options()
{
    ssl_server_options options = service_options(4);
    options.handshake_timeout_ms = SALLY_UNLIMITED;
    return options;
}

void expect_good_clients_at_once(Service *service)
{
    for (int i = 0; i < 10; i++) {
        auto begun = std::chrono::steady_clock::now();
        auto good = service->client();
        expect_echo(good.get(), "hello");
        EXPECT_GT(std::chrono::seconds(slow(2)), std::chrono::steady_clock::now() - begun);
        good->send_goodbye();
        EXPECT_EQ(Raw::Eof, end_of(good.get()));
    }
}

} // namespace

TEST(Stalled, W2_AThousandSilentAndHalfSpokenClientsHoldNoWorker)
{
    constexpr size_t kStalled = 1000;
    if (!can_open(3 * kStalled)) {
        GTEST_SKIP() << "too few descriptors allowed";
    }
    warm_up();
    size_t threads = running_threads().size();
    Service service(echo_once, patient_options());
    std::vector<Fd> stalled;
    std::string half = client_hello();
    half.resize(half.size() / 2);
    for (size_t i = 0; i < kStalled; i++) {
        stalled.push_back(connect_to(service.port()));
        if (i % 2 == 0) {
            ASSERT_EQ(static_cast<ssize_t>(half.size()),
                      write(stalled.back().get(), half.data(), half.size()));
        }
    }
    EXPECT_TRUE(service.rests(kStalled));
    EXPECT_EQ(threads + 4 + 1, running_threads().size()) << "four workers and the timekeeper";
    expect_good_clients_at_once(&service);
    EXPECT_TRUE(service.rests(kStalled));
    EXPECT_EQ(10u, service.count().handshakes_done);
}

TEST(Stalled, W2_ClientsThatStopAfterTheHandshakeHoldNoWorker)
{
    warm_up();
    Service service(echo_once, patient_options());
    std::vector<std::unique_ptr<RawPeer>> idle;
    for (int i = 0; i < 100; i++) {
        idle.push_back(service.client());
    }
    EXPECT_TRUE(service.rests(100));
    expect_good_clients_at_once(&service);
    EXPECT_EQ(110u, service.count().handshakes_done);
}

TEST(Stalled, W6_ADrainIsNotHeldUpByThem)
{
    warm_up();
    Service service(echo_once, patient_options());
    std::vector<Fd> silent;
    for (int i = 0; i < 100; i++) {
        silent.push_back(connect_to(service.port()));
    }
    EXPECT_TRUE(service.rests(100));
    auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(SALLY_OK, service.drain(30000, 30000));
    EXPECT_GT(std::chrono::seconds(slow(5)), std::chrono::steady_clock::now() - begun);
    EXPECT_EQ(0u, service.count().open);
}

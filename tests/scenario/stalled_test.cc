// Clients that stall, each in its way: they hold a descriptor and no worker, and are gone at their deadlines.
#include <gtest/gtest.h>

#include <chrono>

#include <sys/socket.h>
#include <unistd.h>

#include "scenario/pages.h"
#include "support/echo_programs.h"
#include "support/guards.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

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
    std::set<pid_t> before = running_threads();
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
    EXPECT_EQ(4u + 1u, threads_since(before)) << "four workers and the timekeeper";
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

namespace
{

// So many stalled clients of each kind, and what they hold.
struct Crowd {
    explicit Crowd(int port) : port_(port) {}

    void add_one_of_each()
    {
        silent_.push_back(connect_to(port_));
        say(hello_.substr(0, hello_.size() / 2));
        trickling_.push_back({connect_to(port_), 0});
        say(hello_);
        silent_after_.push_back(handshaken());
        deaf_.push_back(handshaken());
        EXPECT_EQ(Raw::Ok, deaf_.back()->write_all("p"));
    }
    // Once a second: the next byte of a hello that is never whole.
    void trickle()
    {
        if (std::chrono::steady_clock::now() < next_byte_) {
            return;
        }
        next_byte_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
        for (Trickle &one : trickling_) {
            if (one.sent < hello_.size() - 1) {
                (void)send(one.fd.get(), &hello_[one.sent++], 1, MSG_NOSIGNAL);
            }
        }
    }
    size_t of_each() const
    {
        return deaf_.size();
    }

  private:
    void say(const std::string &bytes)
    {
        silent_.push_back(connect_to(port_));
        EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
                  write(silent_.back().get(), bytes.data(), bytes.size()));
    }
    std::unique_ptr<RawPeer> handshaken() const
    {
        auto peer = raw_peer(connect_to(port_), raw_client());
        EXPECT_EQ(Raw::Ok, peer->handshake()) << peer->last_error();
        return peer;
    }

    struct Trickle {
        Fd fd;
        size_t sent;
    };

    int port_;
    const std::string hello_ = client_hello();
    std::vector<Fd> silent_; // and with half a hello, and after a whole one
    std::vector<Trickle> trickling_;
    std::chrono::steady_clock::time_point next_byte_;
    std::vector<std::unique_ptr<RawPeer>> silent_after_;
    std::vector<std::unique_ptr<RawPeer>> deaf_;
};

constexpr size_t kKinds = 6;

} // namespace

TEST(Stalled, W4_EveryKindAtOnceHarmsNobodyAndIsDroppedAtItsDeadline)
{
    const size_t of_each = static_cast<size_t>(long_run(12, 1000));
    if (!can_open(2 * kKinds * of_each + 100)) {
        GTEST_SKIP() << "too few descriptors allowed";
    }
    warm_up();
    const int64_t deadline_ms = slow(static_cast<int>(long_run(2000, 30000)));
    ssl_server_options options = service_options(2);
    options.handshake_timeout_ms = deadline_ms;
    options.idle_timeout_ms = deadline_ms;
    options.write_timeout_ms = deadline_ms;
    Service service(echo_or_page, options);
    auto good = service.client();
    Crowd crowd(service.port());
    while (crowd.of_each() < of_each) {
        crowd.add_one_of_each();
        crowd.trickle();
        expect_echo(good.get(), "beside them");
    }
    EXPECT_TRUE(service.reaches([](auto &now) { return now.busy == 0; }));
    if (long_run(0, 1) == 1) { // else those who came first may be gone, where this machine is slow
        EXPECT_EQ(kKinds * of_each + 1, service.count().open) << "all at once";
    }
    expect_good_clients_at_once(&service);
    EXPECT_TRUE(service.reaches(
        [&](auto &now) {
            crowd.trickle();
            expect_echo(good.get(), "beside them");
            return now.handshakes_timed_out == 4 * of_each && now.idle_timed_out == of_each &&
                   now.output_timed_out == of_each;
        },
        60));
    EXPECT_TRUE(service.rests(1));
    EXPECT_EQ(0u, service.count().handshakes_failed);
}

TEST(Stalled, W4_BytesThatMakeNoMessageDoNotMoveTheIdleDeadline)
{
    warm_up();
    ssl_server_options options = service_options(1);
    options.idle_timeout_ms = slow(200);
    Service service(echo_once, options);
    auto client = service.client();
    expect_echo(client.get(), "x");
    EXPECT_TRUE(service.reaches([&](auto &now) {
        // A record that is announced as long, and comes byte by byte.
        static const char header[] = {0x17, 0x03, 0x03, 0x10, 0x00};
        static size_t sent = 0;
        client->send_garbage(std::string(1, sent < 5 ? header[sent] : 'x'));
        sent++;
        return now.idle_timed_out == 1;
    }));
}

TEST(Stalled, W2_TenThousandIdleConnectionsAreAnsweredByFourWorkersAndCostNoProcessorTime)
{
    const size_t count = static_cast<size_t>(long_run(150, 10000));
    if (!can_open(count + 200)) {
        GTEST_SKIP() << "too few descriptors allowed";
    }
    EchoServer server({"--workers", "4"}); // the other ends are in a process of their own
    std::vector<std::unique_ptr<RawPeer>> idle;
    for (size_t i = 0; i < count; i++) {
        idle.push_back(raw_peer(connect_to(server.port()), raw_client()));
        ASSERT_EQ(Raw::Ok, idle.back()->handshake()) << i << ": " << idle.back()->last_error();
    }
    double before = cpu_seconds(server.pid());
    EXPECT_FALSE(eventually([] { return false; }, static_cast<int>(long_run(1, 10))));
    double used = cpu_seconds(server.pid()) - before;
    EXPECT_GT(0.02 * slow(1), used) << "while all are silent";
    std::printf("%zu idle connections: %.6f s of processor time\n", count, used);
    for (auto &peer : idle) {
        expect_echo(peer.get(), "here I am");
    }
}

TEST(Stalled, W2_IdleConnectionsCostNoProcessorTime)
{
    warm_up();
    Service service(echo_once, service_options(4));
    std::vector<std::unique_ptr<RawPeer>> idle;
    for (int i = 0; i < 50; i++) {
        idle.push_back(service.client());
        expect_echo(idle.back().get(), "x");
    }
    EXPECT_TRUE(service.rests(50));
    double before = cpu_seconds();
    EXPECT_FALSE(eventually([] { return false; }, 1));
    EXPECT_GT(0.1 * slow(1), cpu_seconds() - before);
}

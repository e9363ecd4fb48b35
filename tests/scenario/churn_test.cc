// Many connections in turn: descriptors, threads and memory come back to where they were.
#include <gtest/gtest.h>

#include "scenario/service.h"
#include "support/guards.h"
#include "support/rng.h"
#include "support/watchdog.h"

using namespace sallytest;

namespace
{

// What clients do, each in its own way.
void visit(const Service &service, uint64_t kind)
{
    auto peer = raw_peer(connect_to(service.port()), raw_client());
    if (kind == 0) {
        return; // gone without a word
    }
    if (kind == 1) {
        peer->send_garbage("this is no TLS");
        return;
    }
    ASSERT_EQ(Raw::Ok, peer->handshake()) << peer->last_error();
    expect_echo(peer.get(), "hello");
    if (kind == 2) {
        peer->reset();
    } else if (kind == 3) {
        peer->end();
    } else {
        peer->send_goodbye();
        EXPECT_EQ(Raw::Eof, end_of(peer.get()));
    }
}

void visit_all(Service *service, long count)
{
    Rng rng(1);
    for (long i = 0; i < count; i++) {
        visit(*service, rng.below(8));
    }
    EXPECT_TRUE(service->rests(0));
}

} // namespace

TEST(Churn, W2_NothingIsLeftOfManyConnections)
{
    const long count = long_run(500, 10000);
    watchdog_limit(slow(static_cast<int>(50 + count / 20)));
    warm_up();
    LeakGuard whole;
    Service service(echo_once);
    visit_all(&service, 50);
    {
        LeakGuard running; // it does not grow while it runs, either
        visit_all(&service, count);
    }
    ssl_server_counters now = service.count();
    EXPECT_EQ(static_cast<uint64_t>(count) + 50, now.accepted);
    EXPECT_EQ(now.accepted, now.handshakes_done + now.handshakes_failed);
    EXPECT_EQ(SALLY_OK, service.drain(1000, 10000));
}

TEST(Churn, W2_NothingIsLeftOfManyServers)
{
    warm_up();
    {
        Service first(echo_once);
        visit_all(&first, 5);
    }
    LeakGuard leaks;
    for (long i = 0; i < long_run(20, 500); i++) {
        Service service(echo_once);
        visit_all(&service, 3);
    }
}

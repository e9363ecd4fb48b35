// ssl_sync: which of several listeners and ports is ready, and handshakes carried on meanwhile. What
// every pair of ports does is in the conformance suite.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "scenario/ends.h"
#include "scenario/service.h"

using namespace sallytest;

namespace
{

ssl_event event_of(ssl_listener *listener)
{
    return ssl_event{listener, nullptr, {}};
}

ssl_event event_of(ssl_port *port)
{
    return ssl_event{nullptr, port, {}};
}

// The one that is ready; SALLY_SYNC_MAX, and a failure, when there is none within the bound.
size_t ready_of(const std::vector<ssl_event> &events)
{
    size_t ready = SALLY_SYNC_MAX;
    ssl_error err;
    Break bound = deadline_in_ms(kBoundMs);
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_sync_enable_break(events.data(), events.size(), bound.get(), &ready, &err),
                   err));
    return ready;
}

testing::AssertionResult none_is_ready(const std::vector<ssl_event> &events)
{
    size_t ready = 0;
    ssl_error err;
    Break soon = deadline_in_ms(50);
    ssl_status status =
        ssl_sync_enable_break(events.data(), events.size(), soon.get(), &ready, &err);
    return is(SALLY_TIMEOUT, status, err);
}

class Sync : public testing::Test
{
  protected:
    Context server_ = server_context();
};

TEST_F(Sync, L1_SyncTellsWhichListenerIsReady)
{
    Listener first = listen_with(loopback_options(), server_.get());
    Listener second = listen_with(loopback_options(), server_.get());
    ssl_event events[] = {event_of(first.get()), event_of(second.get())};
    size_t ready = 9;
    ssl_error err;
    Break soon = deadline_in_ms(20);
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_sync_enable_break(events, 2, soon.get(), &ready, &err), err));
    Handshaker client(port_of(second.get()));
    ASSERT_TRUE(is(SALLY_OK, ssl_sync(events, 2, &ready, &err), err));
    EXPECT_EQ(1u, ready);
    EXPECT_TRUE(is(SALLY_OK, accept_from(second.get())));
    EXPECT_EQ(Raw::Ok, client.result());
}

// The client is in the set, and waits for our answer; sync alone gives it and finishes the handshake.
TEST_F(Sync, L2_SyncCarriesHalfDoneHandshakesOn)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    auto client = raw_client_at(port_of(listener.get()));
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    ssl_error err;
    ASSERT_TRUE(
        is(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, &err), err));
    Handshaker handshake(std::move(client));
    ssl_event event = event_of(listener.get());
    size_t ready = 9;
    Break bound = deadline_in_ms(kBoundMs);
    ASSERT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, bound.get(), &ready, &err), err));
    EXPECT_EQ(0u, ready);
    EXPECT_EQ(Raw::Ok, handshake.result());
    ASSERT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, bound.get(), &ready, &err), err));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    expect_echo(served.ports, handshake.raw());
}

TEST_F(Sync, L2_AFailureThatSyncFoundIsTheNextAcceptsError)
{
    ssl_listen_options options = loopback_options();
    options.handshake_timeout_ms = slow(150);
    Listener listener = listen_with(options, server_.get());
    Fd silent = connect_to(port_of(listener.get()));
    Break soon = deadline_in_ms(20);
    ssl_ports ports;
    ssl_error err;
    ASSERT_TRUE(
        is(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, &err), err));
    ssl_event event = event_of(listener.get());
    size_t ready = 9;
    Break bound = deadline_in_ms(kBoundMs);
    ASSERT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, bound.get(), &ready, &err), err));
    Outcome late = accept_from(listener.get());
    EXPECT_TRUE(is(SALLY_TIMEOUT, late));
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, late.err.phase);
}

TEST_F(Sync, B2_ABreakWinsOverAReadyListener)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    Fd client = connect_to(port_of(listener.get()));
    Break brk = new_break();
    ssl_break_send(brk.get(), 7);
    ssl_event event = event_of(listener.get());
    size_t ready = 9;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_BREAK, ssl_sync_enable_break(&event, 1, brk.get(), &ready, &err), err));
    EXPECT_EQ(7, err.code);
    ssl_break_clear(brk.get());
    EXPECT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, brk.get(), &ready, &err), err));
}

TEST_F(Sync, E3_SyncRefusesWhatItCannotWaitFor)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    std::vector<ssl_event> events(SALLY_SYNC_MAX + 1, event_of(listener.get()));
    size_t ready = 9;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(nullptr, 1, &ready, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 1, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 0, &ready, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), events.size(), &ready, &err), err));
    events[3].listener = nullptr;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 5, &ready, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "event 3")) << err.text;
    RawPair pair = client_of_raw();
    ASSERT_TRUE(pair);
    ssl_event both = {listener.get(), pair.ours.in(), {}};
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(&both, 1, &ready, &err), err));
    ssl_event twice[] = {event_of(pair.ours.in()), event_of(pair.ours.out()),
                         event_of(pair.ours.in())};
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(twice, 3, &ready, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "event 2")) << err.text;
}

TEST_F(Sync, SyncTakesAsManyListenersAsItSays)
{
    std::vector<Listener> listeners;
    std::vector<ssl_event> events;
    for (int i = 0; i < SALLY_SYNC_MAX; i++) {
        listeners.push_back(listen_with(loopback_options(), server_.get()));
        events.push_back(event_of(listeners.back().get()));
    }
    Fd client = connect_to(port_of(listeners[37].get()));
    size_t ready = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_sync(events.data(), events.size(), &ready, &err), err));
    EXPECT_EQ(37u, ready);
}

// ---- ports --------------------------------------------------------------------------------------

bool is_readable(ssl_port *port)
{
    bool ready = false;
    EXPECT_EQ(SALLY_OK, ssl_byte_ready(port, &ready, nullptr));
    return ready;
}

TEST(SyncPorts, L1_ASessionTicketMakesNoPortReady)
{
    RawPair pair = client_of_raw(raw_server(TLS1_3_VERSION)); // it sent tickets: the fd is readable
    ASSERT_TRUE(pair);
    EXPECT_TRUE(none_is_ready({event_of(pair.ours.in())}));
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("x"));
    EXPECT_EQ(0u, ready_of({event_of(pair.ours.in())}));
    EXPECT_TRUE(is_readable(pair.ours.in()));
}

TEST(SyncPorts, L1_AKeyUpdateMakesNoServerPortReady)
{
    RawPair pair = server_of_raw(raw_client(TLS1_3_VERSION));
    ASSERT_TRUE(pair);
    Thread waiter([&] { EXPECT_EQ(0u, ready_of({event_of(pair.ours.in())})); });
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(wait_until_asleep(waiter));
        ASSERT_TRUE(pair.raw->update_key(true));
        ASSERT_EQ(Raw::Ok, pair.raw->push());
    }
    ASSERT_TRUE(wait_until_asleep(waiter));
    EXPECT_FALSE(waiter.is_done());
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("x"));
    waiter.join();
    char byte = 0;
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_read(pair.ours.in(), &byte, 1, &got, nullptr));
    EXPECT_EQ('x', byte);
    expect_echo(pair.ours, *pair.raw);
    EXPECT_GT(pair.raw->key_updates_received(), 0);
}

TEST(SyncPorts, P3_AResetIsReady)
{
    RawPair pair = server_of_raw();
    ASSERT_TRUE(pair);
    Thread waiter([&] { EXPECT_EQ(0u, ready_of({event_of(pair.ours.in())})); });
    ASSERT_TRUE(wait_until_asleep(waiter));
    pair.raw->reset();
    waiter.join();
    EXPECT_EQ(0u, ready_of({event_of(pair.ours.out())})) << "a write would fail at once";
}

TEST(SyncPorts, L1_TheFirstInTheOrderThatIsReady)
{
    RawPair quiet = server_of_raw();
    RawPair first = server_of_raw();
    RawPair second = server_of_raw();
    ASSERT_TRUE(quiet && first && second);
    std::vector<ssl_event> events = {event_of(quiet.ours.in()), event_of(first.ours.in()),
                                     event_of(second.ours.in())};
    EXPECT_EQ(Raw::Ok, second.raw->write_all("2"));
    EXPECT_EQ(2u, ready_of(events));
    EXPECT_EQ(Raw::Ok, first.raw->write_all("1"));
    EXPECT_TRUE(eventually([&] { return is_readable(first.ours.in()); }));
    EXPECT_EQ(1u, ready_of(events));
}

// Listeners, inputs and outputs that are not ready, and each of them in turn once it is.
TEST_F(Sync, L1_ListenersAndPortsTogetherAsManyAsItSays)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    std::vector<RawPair> pairs;
    std::vector<ssl_event> events = {event_of(listener.get())};
    while (events.size() < SALLY_SYNC_MAX) {
        pairs.push_back(server_of_raw());
        ASSERT_TRUE(pairs.back());
        events.push_back(event_of(pairs.back().ours.in()));
    }
    EXPECT_TRUE(none_is_ready(events));
    Rng rng(64);
    for (int round = 0; round < 20; round++) {
        size_t which = 1 + rng.below(SALLY_SYNC_MAX - 1);
        RawPair &pair = pairs[which - 1];
        Thread waiter([&] { EXPECT_EQ(which, ready_of(events)); });
        ASSERT_TRUE(wait_until_asleep(waiter));
        ASSERT_EQ(Raw::Ok, pair.raw->write_all("x"));
        waiter.join();
        char byte;
        size_t got = 0;
        ASSERT_EQ(SALLY_OK, ssl_read(pair.ours.in(), &byte, 1, &got, nullptr));
    }
    Handshaker client(port_of(listener.get()));
    EXPECT_EQ(0u, ready_of(events));
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, client.result());
    events.back() = event_of(pairs.front().ours.out());
    EXPECT_EQ(SALLY_SYNC_MAX - 1u, ready_of(events));
}

// B9: a handler that waits for its client and for another connection, and knows nothing of breaks.
TEST(SyncPorts, B9_ADrainReachesAHandlerInSync)
{
    warm_up();
    RawPair other = client_of_raw();
    ASSERT_TRUE(other);
    std::atomic<int> status{-1};
    std::atomic<int> reason{0};
    Latch entered;
    Service service([&](ssl_connection *, ssl_port *in, ssl_port *) {
        char byte;
        size_t got = 0;
        (void)ssl_read(in, &byte, 1, &got, nullptr);
        entered.open();
        ssl_event events[] = {event_of(other.ours.in()), event_of(in)};
        size_t ready = 0;
        ssl_error err;
        status = ssl_sync(events, 2, &ready, &err);
        reason = err.code;
        return SALLY_DONE;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("x"));
    ASSERT_TRUE(entered.wait());
    Thread reader([&] {
        EXPECT_EQ(Raw::Eof, end_of(client.get()));
        client->end();
    });
    EXPECT_EQ(SALLY_OK, service.drain(10, kBoundMs));
    EXPECT_EQ(SALLY_BREAK, status);
    EXPECT_EQ(SALLY_REASON_DRAIN, reason);
}

} // namespace

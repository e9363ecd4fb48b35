// ssl_sync: which of several listeners is ready, and handshakes carried on meanwhile.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "scenario/ends.h"

using namespace sallytest;

namespace
{

class Sync : public testing::Test
{
  protected:
    Context server_ = server_context();
};

TEST_F(Sync, L1_SyncTellsWhichListenerIsReady)
{
    Listener first = listen_with(loopback_options(), server_.get());
    Listener second = listen_with(loopback_options(), server_.get());
    ssl_event events[] = {{first.get(), {}}, {second.get(), {}}};
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
    ssl_event event = {listener.get(), {}};
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
    ssl_event event = {listener.get(), {}};
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
    ssl_event event = {listener.get(), {}};
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
    std::vector<ssl_event> events(SALLY_SYNC_MAX + 1, ssl_event{listener.get(), {}});
    size_t ready = 9;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(nullptr, 1, &ready, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 1, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 0, &ready, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), events.size(), &ready, &err), err));
    events[3].listener = nullptr;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 5, &ready, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "event 3")) << err.text;
}

TEST_F(Sync, SyncTakesAsManyListenersAsItSays)
{
    std::vector<Listener> listeners;
    std::vector<ssl_event> events;
    for (int i = 0; i < SALLY_SYNC_MAX; i++) {
        listeners.push_back(listen_with(loopback_options(), server_.get()));
        events.push_back(ssl_event{listeners.back().get(), {}});
    }
    Fd client = connect_to(port_of(listeners[37].get()));
    size_t ready = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_sync(events.data(), events.size(), &ready, &err), err));
    EXPECT_EQ(37u, ready);
}

} // namespace

// Breaks in ssl_accept: no client is lost, no break is lost, and no break is reported twice.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include <pthread.h>
#include <signal.h>

#include "scenario/ends.h"

using namespace sallytest;
using testing::Test;

namespace
{

class AcceptBreaks : public Test
{
  protected:
    Context server_ = server_context();
    Listener listener_ = listen_with(loopback_options(), server_.get());
    int port_ = port_of(listener_.get());
};

TEST_F(AcceptBreaks, B4_OneSendWakesEveryThreadInAcceptAndStaysPending)
{
    Break brk = new_break();
    auto run = [&] {
        Outcome outcome = accept_from(listener_.get(), brk.get());
        EXPECT_TRUE(is(SALLY_BREAK, outcome));
        EXPECT_EQ(5, outcome.err.code);
        EXPECT_EQ(SALLY_PHASE_ACCEPT, outcome.err.phase);
    };
    Thread first(run), second(run), third(run);
    EXPECT_TRUE(wait_until_asleep(first));
    EXPECT_TRUE(wait_until_asleep(second));
    EXPECT_TRUE(wait_until_asleep(third));
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 5));
    first.join();
    second.join();
    third.join();
    run(); // it is still pending
}

TEST_F(AcceptBreaks, B2_APendingBreakWinsAndTheClientStays)
{
    Break brk = new_break();
    Handshaker client(port_);
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 1));
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(is(SALLY_BREAK, accept_from(listener_.get(), brk.get())));
    }
    ssl_break_clear(brk.get());
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener_.get(), brk.get())));
    EXPECT_EQ(Raw::Ok, client.result());
}

TEST_F(AcceptBreaks, B9_ThePlainCallObeysNoToken)
{
    ssl_break *own = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    ssl_break_send(own, 3);
    Handshaker client(port_);
    Outcome served;
    served.status = ssl_accept(listener_.get(), served.ports.fill(), &served.err);
    EXPECT_TRUE(is(SALLY_OK, served));
    EXPECT_EQ(Raw::Ok, client.result());
    EXPECT_TRUE(ssl_break_pending(own, nullptr, nullptr));
    ssl_break_clear(own);
}

TEST_F(AcceptBreaks, B4_TheThreadsOwnTokenIsConsumedByTheReport)
{
    ssl_break *own = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    ssl_break_send(own, 4);
    Outcome outcome;
    outcome.status =
        ssl_accept_enable_break(listener_.get(), nullptr, outcome.ports.fill(), &outcome.err);
    EXPECT_TRUE(is(SALLY_BREAK, outcome));
    EXPECT_EQ(4, outcome.err.code);
    EXPECT_FALSE(ssl_break_pending(own, nullptr, nullptr));
    Handshaker client(port_);
    outcome.status =
        ssl_accept_enable_break(listener_.get(), nullptr, outcome.ports.fill(), &outcome.err);
    EXPECT_TRUE(is(SALLY_OK, outcome));
    EXPECT_EQ(Raw::Ok, client.result());
}

// Lets accept take steps until it sleeps, then breaks it.
void break_when_asleep(ssl_listener *listener)
{
    Break brk = new_break();
    Thread acceptor([&] { EXPECT_TRUE(is(SALLY_BREAK, accept_from(listener, brk.get()))); });
    EXPECT_TRUE(wait_until_asleep(acceptor));
    ssl_break_send(brk.get(), 1);
}

// Broken again and again before the first byte and after our answer to it; a later call completes it.
TEST_F(AcceptBreaks, B6_ABrokenHandshakeIsCarriedOnByLaterCalls)
{
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        auto client = raw_peer(connect_to(port_), raw_client(version));
        for (int i = 0; i < 3; i++) {
            break_when_asleep(listener_.get());
        }
        EXPECT_EQ(Raw::WantRead, client->handshake_step());
        for (int i = 0; i < 3; i++) {
            break_when_asleep(listener_.get());
        }
        EXPECT_TRUE(client->channel().wait(true, kBoundMs)); // it was answered
        Outcome served;
        Thread acceptor([&] { served = accept_from(listener_.get()); });
        EXPECT_EQ(Raw::Ok, client->handshake());
        acceptor.join();
        ASSERT_TRUE(is(SALLY_OK, served));
        expect_echo(served.ports, *client);
    }
}

TEST_F(AcceptBreaks, B6_AnyThreadCarriesAHalfDoneHandshakeOn)
{
    auto client = raw_client_at(port_);
    client->handshake_step();
    break_when_asleep(listener_.get());
    Outcome served;
    Thread other([&] { served = accept_from(listener_.get()); });
    EXPECT_EQ(Raw::Ok, client->handshake());
    other.join();
    ASSERT_TRUE(is(SALLY_OK, served));
    expect_echo(served.ports, *client);
}

// ---- the storm ----------------------------------------------------------------------------------

// Sends breaks to a token, each at a random moment, each only after the one before was reported: so
// "reported once or still pending" can be counted exactly.
class Breaker
{
  public:
    Breaker(ssl_break *brk, uint64_t stream) : brk_(brk), rng_(stream), thread_([this] { run(); })
    {
    }
    ~Breaker()
    {
        stop();
    }

    // The acceptor saw one; it clears the token, or the report consumed it.
    void reported()
    {
        reported_++;
        outstanding_ = false;
    }
    void stop()
    {
        stopped_ = true;
        thread_.join();
    }
    int sent() const
    {
        return sent_;
    }
    int seen() const
    {
        return reported_;
    }

  private:
    void run()
    {
        while (!stopped_) {
            if (!outstanding_) {
                pause();
                outstanding_ = true;
                sent_++;
                ssl_break_send(brk_, sent_);
            }
            sched_yield();
        }
    }
    void pause()
    {
        for (uint64_t spins = rng_.below(200); spins > 0 && !stopped_; spins--) {
            sched_yield();
        }
    }

    ssl_break *brk_;
    Rng rng_;
    std::atomic<bool> stopped_{false};
    std::atomic<bool> outstanding_{false};
    std::atomic<int> sent_{0};
    std::atomic<int> reported_{0};
    Thread thread_; // last: it uses the others
};

// Some clients do it all at once, others rest in the middle of the handshake until a break was reported,
// which then hit a half-done handshake.
class Crowd
{
  public:
    Crowd(int port, int clients, const Breaker &breaker)
        : port_(port), left_(clients), breaker_(breaker)
    {
        for (int i = 0; i < kThreads; i++) {
            threads_.push_back(
                std::make_unique<Thread>([this, i] { run(static_cast<uint64_t>(i)); }));
        }
    }
    void join()
    {
        for (auto &thread : threads_) {
            thread->join();
        }
    }
    int done() const
    {
        return done_;
    }
    int rested() const
    {
        return rested_;
    }

  private:
    static constexpr int kThreads = 6;

    void run(uint64_t stream)
    {
        Rng rng(stream + 100);
        while (left_.fetch_sub(1) > 0) {
            auto client = raw_client_at(port_);
            if (rng.one_in(3)) {
                rest(client.get());
            }
            EXPECT_EQ(Raw::Ok, client->handshake()) << client->last_error();
            std::string bytes;
            EXPECT_EQ(Raw::Ok, client->read_full(&bytes, 1));
            done_++;
        }
    }
    void rest(RawPeer *client)
    {
        if (client->handshake_step() == Raw::Ok) {
            return; // the answer came while it was still at it
        }
        EXPECT_TRUE(client->channel().wait(true, kBoundMs)); // we have answered: it is half done
        int before = breaker_.seen();
        EXPECT_TRUE(eventually([&] { return breaker_.seen() > before; }, 20));
        rested_++;
    }

    int port_;
    std::atomic<int> left_;
    const Breaker &breaker_;
    std::atomic<int> done_{0};
    std::atomic<int> rested_{0};
    std::vector<std::unique_ptr<Thread>> threads_;
};

struct Storm {
    int served = 0;
    std::vector<int> reasons; // of the breaks reported
};

// Serves `clients`, with a byte each, through breaks of `brk`.
Storm serve_through(ssl_listener *listener, int clients, ssl_break *brk, bool own, Breaker *breaker)
{
    Storm storm;
    while (storm.served < clients) {
        Outcome outcome;
        outcome.status = ssl_accept_enable_break(listener, own ? nullptr : brk,
                                                 outcome.ports.fill(), &outcome.err);
        if (outcome.status == SALLY_OK) {
            EXPECT_EQ(SALLY_OK, ssl_write(outcome.ports.out(), "x", 1, nullptr, nullptr));
            storm.served++;
            continue;
        }
        EXPECT_TRUE(is(SALLY_BREAK, outcome));
        if (outcome.status != SALLY_BREAK) {
            break;
        }
        storm.reasons.push_back(outcome.err.code);
        if (!own) {
            ssl_break_clear(brk);
        }
        breaker->reported();
    }
    return storm;
}

class AcceptStorm : public AcceptBreaks, public testing::WithParamInterface<bool>
{
};

TEST_P(AcceptStorm, B2_B6_NoClientAndNoBreakIsLost)
{
    const int clients = static_cast<int>(long_run(300, 20000));
    const bool own = GetParam();
    Break token = new_break();
    ssl_break *brk = token.get();
    if (own) {
        ASSERT_EQ(SALLY_OK, ssl_break_self(&brk, nullptr));
    }
    Breaker breaker(brk, 1);
    Crowd crowd(port_, clients, breaker);
    Storm storm = serve_through(listener_.get(), clients, brk, own, &breaker);
    crowd.join();
    breaker.stop();
    EXPECT_EQ(clients, storm.served);
    EXPECT_EQ(clients, crowd.done());
    EXPECT_GT(crowd.rested(), 0);
    int pending = ssl_break_pending(brk, nullptr, nullptr) ? 1 : 0;
    EXPECT_EQ(breaker.sent(), static_cast<int>(storm.reasons.size()) + pending);
    for (size_t i = 0; i < storm.reasons.size(); i++) {
        ASSERT_EQ(static_cast<int>(i) + 1, storm.reasons[i]); // each once, in order
    }
    RecordProperty("breaks", breaker.sent());
    RecordProperty("breaks_in_half_done_handshakes", crowd.rested());
    ssl_break_clear(brk);
}

INSTANTIATE_TEST_SUITE_P(Tokens, AcceptStorm, testing::Values(false, true),
                         [](const auto &test) { return test.param ? "TheThreadsOwn" : "Shared"; });

} // namespace

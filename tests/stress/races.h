// A thread that sends breaks at random moments, and exact accounts of them.
#ifndef SALLY_TEST_RACES_H
#define SALLY_TEST_RACES_H

#include <atomic>
#include <thread>

#include "support/handles.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{

// Races per test: 500, and 20,000 in the long run.
inline long races()
{
    return long_run(500, 20000);
}

// Gives other threads a chance to get anywhere: sometimes none, sometimes many.
inline void dither(Rng *rng)
{
    if (rng->one_in(3)) {
        return;
    }
    for (uint64_t i = rng->below(rng->one_in(10) ? 60 : 6); i > 0; i--) {
        std::this_thread::yield();
    }
}

// Sends breaks to a token of its own, each after the one before was reported (delivered), so that the
// number of reports must be the number of sends: each break is reported exactly once (B2).
class Breaker
{
  public:
    Breaker(long count, uint64_t stream) : count_(count), stream_(stream) {}

    ssl_break *token()
    {
        return token_.get();
    }
    bool is_done() const
    {
        return done_;
    }

    // The breaker's thread runs this.
    void run()
    {
        Rng rng(stream_);
        for (long i = 0; i < count_; i++) {
            dither(&rng);
            EXPECT_EQ(SALLY_OK, ssl_break_send(token_.get(), static_cast<int>(i)));
            while (delivered_ <= i) {
                std::this_thread::yield();
            }
        }
        done_ = true;
    }

    // The broken thread calls this for each SALLY_BREAK that it gets.
    void report(const ssl_error &err)
    {
        EXPECT_EQ(delivered_, err.code) << "not the break that was sent";
        ssl_break_clear(token_.get());
        delivered_++;
    }

    long delivered() const
    {
        return delivered_;
    }

  private:
    Break token_ = new_break();
    long count_;
    uint64_t stream_;
    std::atomic<long> delivered_{0};
    std::atomic<bool> done_{false};
};

} // namespace sallytest
#endif

// The pool: workers run what is ready, the timekeeper what is due; start and stop are whole.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/faults.h"
#include "support/guards.h"
#include "support/handles.h"
#include "support/threads.h"

extern "C" {
#include "mem.h"
#include "pool.h"
}

using namespace sallytest;

namespace
{

// A task whose turn is a function of the test; it is held afterwards until the test parks it again.
struct Job {
    std::function<void(const sally_turn *)> body;
    sally_task *task = nullptr;
    int fds[2] = {-1, -1};

    explicit Job(sally_park *park, std::function<void(const sally_turn *)> run)
        : body(std::move(run))
    {
        EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
        task = sally_task_new(park, fds[0], call, this);
        EXPECT_NE(nullptr, task);
    }
    ~Job()
    {
        close(fds[0]);
        close(fds[1]);
    }
    static void call(sally_task *task, const sally_turn *turn)
    {
        static_cast<Job *>(sally_task_owner(task))->body(turn);
    }
};

class Pool : public testing::Test
{
  protected:
    Pool() : park_(sally_park_open()), bank_(sally_wake_bank_new()) {}
    ~Pool() override
    {
        stop();
        sally_park_close(park_);
        sally_wake_bank_release(bank_);
    }
    void stop()
    {
        sally_pool_stop(pool_);
        pool_ = nullptr;
    }
    ssl_status start(int workers, ssl_error *err)
    {
        sally_pool_setup setup = {park_, bank_, workers, 0};
        return sally_pool_start(&setup, &pool_, err);
    }
    void start(int workers)
    {
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, start(workers, &err), err));
    }
    void put(const Job &job, short events, ssl_deadline deadline)
    {
        EXPECT_EQ(0, sally_park_put(park_, job.task, events, deadline));
    }

    LeakGuard leaks_;
    sally_park *park_;
    sally_wake_bank *bank_;
    sally_pool *pool_ = nullptr;
};

} // namespace

TEST_F(Pool, AWorkerRunsWhatIsReady)
{
    Latch ran;
    Job job(park_, [&](const sally_turn *turn) {
        ASSERT_NE(nullptr, turn->worker);
        EXPECT_EQ(pool_, turn->worker->pool);
        EXPECT_NE(nullptr, turn->worker->wake);
        EXPECT_NE(0, turn->events & POLLIN);
        ran.open();
    });
    start(2);
    put(job, POLLIN, SALLY_NEVER);
    ASSERT_EQ(1, write(job.fds[1], "x", 1));
    EXPECT_TRUE(ran.wait());
}

TEST_F(Pool, TheTimekeeperRunsWhatIsDueThoughAllWorkersAreBusy)
{
    Latch entered;
    Latch release;
    Latch due;
    Job busy(park_, [&](const sally_turn *) {
        entered.open();
        release.wait();
    });
    Job timed(park_, [&](const sally_turn *turn) {
        EXPECT_EQ(nullptr, turn->worker);
        due.open();
    });
    start(1);
    put(busy, POLLOUT, SALLY_NEVER);
    ASSERT_TRUE(entered.wait());
    put(timed, POLLIN, sally_deadline_after_ms(1));
    EXPECT_TRUE(due.wait());
    release.open();
    stop(); // before the latches go, on which the busy worker may still be
}

TEST_F(Pool, StopLetsARunningTaskEnd)
{
    Latch entered;
    Latch release;
    std::atomic<bool> ended{false};
    Job job(park_, [&](const sally_turn *) {
        entered.open();
        release.wait();
        ended = true;
    });
    start(1);
    put(job, POLLOUT, SALLY_NEVER);
    ASSERT_TRUE(entered.wait());
    Thread stopper([&] {
        sally_pool_stop(pool_);
        EXPECT_TRUE(ended);
    });
    ASSERT_TRUE(wait_until_off_cpu(stopper));
    release.open();
    stopper.join();
    pool_ = nullptr;
}

TEST_F(Pool, KnowsItsOwnThreads)
{
    Latch asked;
    std::atomic<bool> inside{false};
    Job job(park_, [&](const sally_turn *turn) {
        inside = sally_pool_is_inside(turn->worker->pool);
        asked.open();
    });
    start(1);
    EXPECT_FALSE(sally_pool_is_inside(pool_));
    EXPECT_FALSE(sally_pool_is_inside(nullptr));
    put(job, POLLOUT, SALLY_NEVER);
    ASSERT_TRUE(asked.wait());
    EXPECT_TRUE(inside);
}

namespace
{

// Dwells until it is called away; false when it may not, or nobody calls within 20 s.
bool dwell_until_called(const sally_worker *worker, Latch *begun)
{
    struct pollfd wake = {worker->wake->wait_fd, POLLIN, 0};
    bool may = eventually([&] {
        bool begin = sally_worker_dwell_begin(worker);
        if (!begin) {
            sally_worker_dwell_end(worker);
        }
        return begin;
    });
    begun->open();
    bool called = may && poll(&wake, 1, 20000) == 1;
    sally_worker_dwell_end(worker);
    sally_wake_drain(worker->wake);
    return called;
}

} // namespace

TEST_F(Pool, W2_TheOnlyWorkerMayNotDwell)
{
    Latch asked;
    std::atomic<bool> may{true};
    Job job(park_, [&](const sally_turn *turn) {
        may = sally_worker_dwell_begin(turn->worker);
        sally_worker_dwell_end(turn->worker);
        asked.open();
    });
    start(1);
    put(job, POLLOUT, SALLY_NEVER);
    ASSERT_TRUE(asked.wait());
    EXPECT_FALSE(may);
}

TEST_F(Pool, W2_WhoTakesTheLastFreeWorkerCallsADwellingOneAway)
{
    Latch dwelling;
    Latch ended;
    Latch ran;
    std::atomic<bool> called{false};
    Job dweller(park_, [&](const sally_turn *turn) {
        called = dwell_until_called(turn->worker, &dwelling);
        ended.open();
    });
    Job work(park_, [&](const sally_turn *) { ran.open(); });
    start(2);
    put(dweller, POLLOUT, SALLY_NEVER);
    ASSERT_TRUE(dwelling.wait());
    put(work, POLLOUT, SALLY_NEVER);
    EXPECT_TRUE(ran.wait());
    ASSERT_TRUE(ended.wait());
    EXPECT_TRUE(called);
}

TEST_F(Pool, W6_StirringEndsAllDwelling)
{
    Latch dwelling;
    Latch ended;
    std::atomic<bool> called{false};
    Job dweller(park_, [&](const sally_turn *turn) {
        called = dwell_until_called(turn->worker, &dwelling);
        ended.open();
    });
    start(2);
    put(dweller, POLLOUT, SALLY_NEVER);
    ASSERT_TRUE(dwelling.wait());
    sally_pool_stir(pool_);
    ASSERT_TRUE(ended.wait());
    EXPECT_TRUE(called);
}

TEST_F(Pool, ThePoolCanBeStartedAgain)
{
    Latch ran;
    start(2);
    sally_pool_stop(pool_);
    start(2);
    Job job(park_, [&](const sally_turn *) { ran.open(); });
    put(job, POLLOUT, SALLY_NEVER);
    EXPECT_TRUE(ran.wait());
}

TEST_F(Pool, StartIsWholeOrNotAtAll)
{
    // With a bank of its own each time, because a bank keeps its wakes.
    auto attempt = [&](ssl_error *err) {
        sally_wake_bank *bank = sally_wake_bank_new();
        sally_pool_setup setup = {park_, bank, 3, 0};
        sally_pool *pool = nullptr;
        ssl_status status = sally_pool_start(&setup, &pool, err);
        EXPECT_EQ(status == SALLY_OK, pool != nullptr);
        sally_pool_stop(pool);
        sally_wake_bank_release(bank);
        return status;
    };
    ThreadGuard threads;
    EXPECT_GT(sweep_thread_starts("sally_pool_start", attempt), 3);
    sally_pool_setup setup = {park_, bank_, 3, 0};
    for (long nth = 1; nth < 3; nth++) {
        ssl_error err;
        sally_mem_fail_at(nth, 0);
        EXPECT_TRUE(is(SALLY_MEMORY, sally_pool_start(&setup, &pool_, &err), err));
        sally_mem_fail_at(0, 0);
        EXPECT_EQ(nullptr, pool_);
    }
}

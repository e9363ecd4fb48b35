// The pool: workers run what is ready, the timekeeper what is due; start and stop are whole.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

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
#include "sync.h"
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
    sally_pool_setup setup(int workers, int workers_max, int64_t idle_ms = -1)
    {
        auto tell = [](void *pool, const ssl_error *why) {
            static_cast<Pool *>(pool)->start_failed(*why);
        };
        return {park_,    bank_, &running_, workers, workers_max, idle_ms,
                {-1, -1}, 0,     tell,      this,    {}};
    }
    void start(int workers, int workers_max, int64_t idle_ms = -1)
    {
        sally_pool_setup how = setup(workers, workers_max, idle_ms);
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, sally_pool_start(&how, &pool_, &err), err));
    }
    void start(int workers)
    {
        start(workers, workers);
    }
    uint64_t workers() const
    {
        return sally_load_seq(&running_);
    }
    virtual void start_failed(const ssl_error &why)
    {
        ADD_FAILURE() << why.text;
    }
    void put(const Job &job, short events, ssl_deadline deadline)
    {
        EXPECT_EQ(0, sally_park_put(park_, job.task, events, deadline));
    }

    LeakGuard leaks_;
    sally_park *park_;
    sally_wake_bank *bank_;
    sally_atomic_u64 running_ = {};
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
        sally_pool_setup how = setup(3, 5);
        how.bank = bank;
        sally_pool *pool = nullptr;
        ssl_status status = sally_pool_start(&how, &pool, err);
        EXPECT_EQ(status == SALLY_OK, pool != nullptr);
        sally_pool_stop(pool);
        sally_wake_bank_release(bank);
        return status;
    };
    ThreadGuard threads;
    EXPECT_GT(sweep_thread_starts("sally_pool_start", attempt), 3);
    sally_pool_setup how = setup(3, 5);
    for (long nth = 1; nth < 3; nth++) {
        ssl_error err;
        sally_mem_fail_at(nth, 0);
        EXPECT_TRUE(is(SALLY_MEMORY, sally_pool_start(&how, &pool_, &err), err));
        sally_mem_fail_at(0, 0);
        EXPECT_EQ(nullptr, pool_);
    }
}

// ---- growing and shrinking ----

namespace
{

// Jobs that stay in their turn until they are let go, and stand for handlers that block.
struct Blocked {
    explicit Blocked(sally_park *park, int count)
    {
        for (int i = 0; i < count; i++) {
            jobs.push_back(std::make_unique<Job>(park, [this](const sally_turn *) {
                inside++;
                release.wait();
                inside--;
            }));
        }
    }
    std::atomic<int> inside{0};
    Latch release;
    std::vector<std::unique_ptr<Job>> jobs;
};

} // namespace

TEST_F(Pool, W2_BlockedWorkersAreReplacedUpToTheMaximum)
{
    Blocked blocked(park_, 5);
    Latch ran;
    Job more(park_, [&](const sally_turn *) { ran.open(); });
    start(2, 5);
    EXPECT_EQ(2u, workers());
    for (auto &job : blocked.jobs) {
        put(*job, POLLOUT, SALLY_NEVER);
    }
    EXPECT_TRUE(eventually([&] { return blocked.inside == 5; }));
    EXPECT_EQ(5u, workers());
    put(more, POLLOUT, SALLY_NEVER);
    blocked.release.open();
    EXPECT_TRUE(ran.wait());
    stop();
    EXPECT_EQ(0u, workers());
}

TEST_F(Pool, W2_OneThatIsIdleEndsTheWatch)
{
    Blocked blocked(park_, 1);
    start(1, 9);
    put(*blocked.jobs[0], POLLOUT, SALLY_NEVER);
    EXPECT_TRUE(eventually([&] { return workers() == 2; }));
    // Ten ticks and a deadline on the same thread: it would have grown by now.
    Latch later;
    Job timed(park_, [&](const sally_turn *) { later.open(); });
    put(timed, 0, sally_deadline_after_ms(100));
    EXPECT_TRUE(later.wait());
    EXPECT_EQ(2u, workers());
    blocked.release.open();
    stop();
}

TEST_F(Pool, W2_SurplusWorkersEndWhenTheyAreIdle)
{
    std::set<pid_t> before = running_threads();
    Blocked blocked(park_, 6);
    start(2, 8, 5);
    for (auto &job : blocked.jobs) {
        put(*job, POLLOUT, SALLY_NEVER);
    }
    EXPECT_TRUE(eventually([&] { return blocked.inside == 6; }));
    EXPECT_LE(6u, workers());
    blocked.release.open();
    EXPECT_TRUE(eventually([&] { return workers() == 2; }));
    EXPECT_TRUE(eventually([&] { return threads_since(before) == 3; }))
        << "two workers and the timekeeper";
    Latch ran;
    Job job(park_, [&](const sally_turn *) { ran.open(); });
    put(job, POLLOUT, SALLY_NEVER);
    EXPECT_TRUE(ran.wait());
    stop();
}

namespace
{

// Whose starts of workers fail, some of the time.
class PoolInLack : public Pool
{
  protected:
    void start_failed(const ssl_error &why) override
    {
        EXPECT_TRUE(sally_pool_is_inside(pool_)) << "told on the timekeeper";
        EXPECT_TRUE(is(SALLY_SYSTEM, why.status, why));
        EXPECT_NE(nullptr, strstr(why.text, "worker 2 of 2")) << why.text;
        told_++;
        on_told();
    }

    std::atomic<int> told_{0};
    std::function<void()> on_told = [] {};
};

} // namespace

TEST_F(PoolInLack, W2_AWorkerThatCannotBeStartedIsToldAndTriedAgain)
{
    Blocked blocked(park_, 2);
    Latch failing;
    Job fail(park_, [&](const sally_turn *) { // on the timekeeper, who starts workers
        sally_thread_fail_at(1);
        failing.open();
    });
    on_told = [&] { sally_thread_fail_at(told_ < 3 ? 1 : 0); };
    start(1, 2);
    put(fail, 0, sally_deadline_after_ms(0));
    ASSERT_TRUE(failing.wait());
    for (auto &job : blocked.jobs) {
        put(*job, POLLOUT, SALLY_NEVER);
    }
    EXPECT_TRUE(eventually([&] { return blocked.inside == 2; }));
    EXPECT_EQ(3, told_);
    EXPECT_EQ(2u, workers());
    blocked.release.open();
    stop();
}

TEST_F(Pool, W4_WhatWaitsTooLongForAWorkerRunsOnTheTimekeeper)
{
    Blocked blocked(park_, 1);
    Latch overdue;
    Job late(park_, [&](const sally_turn *turn) {
        EXPECT_EQ(nullptr, turn->worker);
        EXPECT_EQ(SALLY_TOO_OLD, turn->overdue);
        overdue.open();
    });
    sally_task_may_be_overdue(late.task);
    sally_pool_setup how = setup(1, 1);
    how.queue.age_ms = 20;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, sally_pool_start(&how, &pool_, &err), err));
    put(*blocked.jobs[0], POLLOUT, SALLY_NEVER);
    EXPECT_TRUE(eventually([&] { return blocked.inside == 1; }));
    put(late, POLLOUT, SALLY_NEVER);
    EXPECT_TRUE(overdue.wait());
    blocked.release.open();
    stop();
}

// The signs come from the timekeeper: one that does not get back to its work gives none.
TEST_F(Pool, W8_ATimekeeperThatIsHeldUpGivesNoSign)
{
    std::atomic<int> signs{0};
    Latch entered;
    Latch release;
    Job holds(park_, [&](const sally_turn *turn) {
        EXPECT_EQ(nullptr, turn->worker);
        int before = signs;
        entered.open();
        release.wait();
        EXPECT_EQ(before, signs);
    });
    sally_pool_setup how = setup(1, 1);
    how.beat = {1, -1, [](void *user) { ++*static_cast<std::atomic<int> *>(user); }, &signs};
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, sally_pool_start(&how, &pool_, &err), err));
    EXPECT_TRUE(eventually([&] { return signs > 3; }));
    put(holds, POLLIN, sally_deadline_after_ms(1));
    ASSERT_TRUE(entered.wait());
    EXPECT_FALSE(eventually([&, before = signs.load()] { return signs > before; }, 0));
    release.open();
    EXPECT_TRUE(eventually([&, before = signs.load()] { return signs > before; }));
    stop();
}

TEST_F(Pool, W6_StopMeetsGrowthAndShrinkingAtAnyMoment)
{
    for (int round = 0; round < 20; round++) {
        Blocked blocked(park_, 8);
        start(1, 8, round % 3);
        for (auto &job : blocked.jobs) {
            put(*job, POLLOUT, SALLY_NEVER);
        }
        int wanted = 1 + round % 8;
        EXPECT_TRUE(eventually([&] { return blocked.inside >= wanted; }));
        blocked.release.open();
        stop();
        for (auto &job : blocked.jobs) {
            (void)sally_park_claim(park_, job->task);
            sally_task_free(park_, job->task);
        }
    }
}

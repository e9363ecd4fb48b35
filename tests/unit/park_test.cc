// Parked tasks: who gets one when an event, a deadline and a third want it at once.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/faults.h"
#include "support/guards.h"
#include "support/rng.h"
#include "support/threads.h"

extern "C" {
#include "mem.h"
#include "park.h"
}

using namespace sallytest;

namespace
{

void run_nothing(sally_task *, const sally_turn *) {}

// A connected pair; `here` is what tasks watch.
struct Line {
    int here = -1;
    int there = -1;

    Line()
    {
        int fds[2];
        EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
        here = fds[0];
        there = fds[1];
    }
    ~Line()
    {
        close(here);
        close(there);
    }
    Line(const Line &) = delete;
    Line &operator=(const Line &) = delete;
    void speak()
    {
        EXPECT_EQ(1, write(there, "x", 1));
    }
};

ssl_deadline soon()
{
    return sally_deadline_after_ms(10);
}

ssl_deadline late()
{
    return sally_deadline_after_ms(3600 * 1000);
}

class Park : public testing::Test
{
  protected:
    Park() : park_(sally_park_open()) {}
    ~Park() override
    {
        sally_park_close(park_);
    }

    sally_task *make(const Line &line, void *owner = nullptr)
    {
        sally_task *task = sally_task_new(park_, line.here, run_nothing, owner);
        EXPECT_NE(nullptr, task);
        return task;
    }
    void put(sally_task *task, short events, ssl_deadline deadline)
    {
        EXPECT_EQ(0, sally_park_put(park_, task, events, deadline));
    }
    // What a worker gets now; NULL when nothing is for it. The stop may be seen before an event.
    sally_task *ready()
    {
        sally_task *task = nullptr;
        short events = 0;
        sally_park_stop(park_, true);
        for (int i = 0; i < 3 && task == nullptr; i++) {
            task = sally_park_take_ready(park_, SALLY_NEVER, &events);
        }
        sally_park_stop(park_, false);
        return task;
    }

    FdGuard fds_;
    sally_park *park_;
};

} // namespace

TEST_F(Park, AnEventGivesTheTaskToAWorker)
{
    Line line;
    int owner = 0;
    sally_task *task = make(line, &owner);
    put(task, POLLIN, SALLY_NEVER);
    EXPECT_EQ(nullptr, ready());
    line.speak();
    short events = 0;
    EXPECT_EQ(task, sally_park_take_ready(park_, SALLY_NEVER, &events));
    EXPECT_EQ(POLLIN, events);
    EXPECT_EQ(&owner, sally_task_owner(task));
    EXPECT_EQ(nullptr, ready()) << "one event is for one worker";
}

TEST_F(Park, TheEarliestDeadlineComesFirst)
{
    Line one;
    Line two;
    sally_task *second = make(one);
    sally_task *first = make(two);
    const ssl_deadline later = sally_deadline_after_ms(20);
    put(second, POLLIN, later);
    put(first, POLLIN, {later.monotonic_ns - 1});
    EXPECT_EQ(first, sally_park_take_due(park_));
    EXPECT_EQ(second, sally_park_take_due(park_));
}

TEST_F(Park, AnEarlierDeadlineWakesTheTimekeeper)
{
    Line one;
    Line two;
    sally_task *first = make(two);
    put(make(one), POLLIN, late());
    std::atomic<sally_task *> due{nullptr};
    Thread timekeeper([&] { due = sally_park_take_due(park_); });
    ASSERT_TRUE(wait_until_off_cpu(timekeeper));
    put(first, POLLIN, soon());
    timekeeper.join();
    EXPECT_EQ(first, due);
}

TEST_F(Park, ACallBringsTheTimekeeperBackOnce)
{
    Line line;
    sally_task *task = make(line);
    put(task, 0, late());
    Thread timekeeper([&] { EXPECT_EQ(nullptr, sally_park_take_due(park_)); });
    ASSERT_TRUE(wait_until_off_cpu(timekeeper));
    sally_park_call(park_, sally_deadline_after_ms(1));
    sally_park_call(park_, late());
    timekeeper.join();
    sally_park_hurry(park_, 0);
    EXPECT_EQ(task, sally_park_take_due(park_)) << "the later call was one with the earlier";
}

TEST_F(Park, AWorkerWaitsNoLongerThanItWants)
{
    short events;
    EXPECT_EQ(nullptr, sally_park_take_ready(park_, sally_deadline_after_ms(1), &events));
}

TEST_F(Park, StopWakesBoth)
{
    Thread timekeeper([&] { EXPECT_EQ(nullptr, sally_park_take_due(park_)); });
    Thread worker([&] {
        short events;
        EXPECT_EQ(nullptr, sally_park_take_ready(park_, SALLY_NEVER, &events));
    });
    ASSERT_TRUE(wait_until_off_cpu(timekeeper));
    ASSERT_TRUE(wait_until_asleep(worker));
    sally_park_stop(park_, true);
}

TEST_F(Park, WhoClaimsFirstHasItAlone)
{
    Line line;
    sally_task *task = make(line);
    put(task, POLLIN, soon());
    EXPECT_TRUE(sally_park_claim(park_, task));
    EXPECT_FALSE(sally_park_claim(park_, task));
}

TEST_F(Park, AnEventThatComesWhileTheTaskIsHeldIsNotLost)
{
    Line line;
    sally_task *task = make(line);
    put(task, POLLIN, SALLY_NEVER);
    ASSERT_TRUE(sally_park_claim(park_, task));
    line.speak();
    EXPECT_EQ(nullptr, ready()) << "a held task is nobody else's";
    put(task, POLLIN, SALLY_NEVER);
    EXPECT_EQ(task, ready());
}

TEST_F(Park, ATaskWithoutEventsIgnoresItsPeer)
{
    Line line;
    sally_task *task = make(line);
    put(task, 0, SALLY_NEVER);
    shutdown(line.there, SHUT_RDWR);
    EXPECT_EQ(nullptr, ready());
    sally_park_rearm(park_, task, POLLIN);
    EXPECT_EQ(task, ready());
}

TEST_F(Park, RearmLeavesAHeldTaskAlone)
{
    Line line;
    sally_task *task = make(line);
    line.speak();
    sally_park_rearm(park_, task, POLLIN);
    EXPECT_EQ(nullptr, ready());
    sally_task_free(park_, task);
}

TEST_F(Park, HurryCallsAllAndBoundsThoseThatComeLater)
{
    Line one;
    Line two;
    Line three;
    sally_task *parked = make(one);
    sally_task *silent = make(two);
    sally_task *later = make(three);
    put(parked, POLLIN, SALLY_NEVER);
    put(silent, 0, SALLY_NEVER);
    sally_park_hurry(park_, 10);
    EXPECT_EQ(parked, ready()) << "it can be written to";
    EXPECT_EQ(nullptr, ready());
    put(later, POLLIN, SALLY_NEVER);
    EXPECT_EQ(silent, sally_park_take_due(park_));
    EXPECT_EQ(later, sally_park_take_due(park_));
}

TEST_F(Park, HurryWakesTheTimekeeper)
{
    Line line;
    sally_task *task = make(line);
    put(task, 0, late());
    std::atomic<sally_task *> due{nullptr};
    Thread timekeeper([&] { due = sally_park_take_due(park_); });
    ASSERT_TRUE(wait_until_off_cpu(timekeeper));
    sally_park_hurry(park_, 0);
    timekeeper.join();
    EXPECT_EQ(task, due);
}

namespace
{

// What inspections found overdue, in the order in which they ran it.
struct Overdue {
    std::vector<std::pair<const void *, sally_overdue>> all;
    static Overdue *now;
    static void run(sally_task *task, const sally_turn *turn)
    {
        EXPECT_EQ(nullptr, turn->worker);
        now->all.emplace_back(sally_task_owner(task), turn->overdue);
    }
};
Overdue *Overdue::now;

class Queue : public Park
{
  protected:
    Queue()
    {
        Overdue::now = &overdue_;
    }
    // Parked, and ready; its owner is its line.
    sally_task *make_ready(Line *line)
    {
        sally_task *task = sally_task_new(park_, line->here, Overdue::run, line);
        EXPECT_NE(nullptr, task);
        sally_task_may_be_overdue(task);
        put(task, POLLIN, SALLY_NEVER);
        line->speak();
        return task;
    }
    size_t inspect(int64_t most, int64_t age_ms)
    {
        sally_queue_limits limits = {most, age_ms};
        return sally_park_inspect(park_, &limits);
    }

    Overdue overdue_;
};

} // namespace

TEST_F(Queue, W4_WhoIsBehindTooManyIsOverdue)
{
    Line lines[5];
    sally_task *tasks[5];
    for (int i = 0; i < 5; i++) {
        tasks[i] = make_ready(&lines[i]);
    }
    EXPECT_EQ(3u, inspect(3, -1));
    ASSERT_EQ(2u, overdue_.all.size());
    for (int i = 3; i < 5; i++) {
        EXPECT_EQ(&lines[i], overdue_.all[i - 3].first);
        EXPECT_EQ(SALLY_TOO_MANY, overdue_.all[i - 3].second);
    }
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(tasks[i], ready()) << "in the order in which they came";
    }
    EXPECT_EQ(nullptr, ready());
}

TEST_F(Queue, W4_AnAgeIsCountedFromTheFirstLook)
{
    Line line;
    sally_task *task = make_ready(&line);
    EXPECT_EQ(1u, inspect(-1, 1));
    EXPECT_TRUE(overdue_.all.empty()) << "nobody knows since when it has been ready";
    EXPECT_TRUE(eventually([&] { return inspect(-1, 1) == 0; }));
    ASSERT_EQ(1u, overdue_.all.size());
    EXPECT_EQ(SALLY_TOO_OLD, overdue_.all[0].second);
    put(task, POLLIN, SALLY_NEVER);
    EXPECT_EQ(1u, inspect(-1, 100000)) << "and anew after it was held";
    EXPECT_EQ(1u, overdue_.all.size());
}

TEST_F(Queue, W4_OnlyWhatMayBeOverdueIsJudgedAndNothingIsLost)
{
    Line quiet;
    Line patient;
    sally_task *silent = make(quiet);
    sally_task *task = make(patient);
    put(silent, POLLIN, SALLY_NEVER);
    put(task, POLLIN, SALLY_NEVER);
    patient.speak();
    EXPECT_EQ(0u, inspect(0, 0));
    EXPECT_TRUE(overdue_.all.empty());
    EXPECT_EQ(task, ready());
    EXPECT_EQ(nullptr, ready());
}

TEST_F(Queue, W4_AnInspectionOfMoreThanOneBatchEnds)
{
    std::vector<std::unique_ptr<Line>> lines;
    for (int i = 0; i < 200; i++) {
        lines.push_back(std::make_unique<Line>());
        make_ready(lines.back().get());
    }
    EXPECT_EQ(200u, inspect(1000, -1));
    EXPECT_EQ(150u, inspect(150, -1));
    EXPECT_EQ(50u, overdue_.all.size());
}

TEST_F(Park, TheMemoryOfATaskIsUsedAgain)
{
    Line line;
    sally_task *task = make(line);
    sally_task_free(park_, task);
    EXPECT_EQ(task, make(line));
}

// Where the pollset finds out at once that there is no such fd.
TEST_F(Park, AnFdThatCannotBeWatchedLeavesTheTaskHeld)
{
    Line line;
    sally_task *task = sally_task_new(park_, -1, run_nothing, nullptr);
    bool parked = sally_park_put(park_, task, POLLIN, soon()) == 0;
    EXPECT_EQ(parked, sally_park_claim(park_, task));
    sally_task_free(park_, task);
}

TEST_F(Park, ATaskIsMadeWholeOrNotAtAll)
{
    Line line;
    for (long nth = 1;; nth++) {
        sally_mem_fail_at(nth, 0);
        sally_task *task = sally_task_new(park_, line.here, run_nothing, nullptr);
        sally_mem_fail_at(0, 0);
        if (task != nullptr) {
            EXPECT_GT(nth, 1);
            break;
        }
    }
}

TEST(ParkOpen, FailsCleanly)
{
    FdGuard fds;
    for (long nth = 1;; nth++) {
        sally_mem_fail_at(nth, 0);
        sally_park *park = sally_park_open();
        sally_mem_fail_at(0, 0);
        if (park != nullptr) {
            sally_park_close(park);
            EXPECT_GT(nth, 1);
            break;
        }
    }
}

namespace
{

// One client of the race below: its task is freed and made anew all the time.
struct Racer {
    Line line;
    std::atomic<sally_task *> task{nullptr};
    std::atomic<int> holders{0};
};

class Race
{
  public:
    explicit Race(sally_park *park) : park_(park), racers_(8) {}

    void begin()
    {
        for (Racer &r : racers_) {
            r.holders = 1;
            renew(&r);
        }
    }
    // Whoever holds it does this: it must be alone.
    void turn(sally_task *task, Rng *rng)
    {
        Racer *r = static_cast<Racer *>(sally_task_owner(task));
        EXPECT_EQ(0, r->holders.fetch_add(1));
        char bytes[64];
        while (read(r->line.here, bytes, sizeof bytes) > 0) {}
        turns_++;
        if (rng->one_in(3)) {
            sally_task_free(park_, task);
            renew(r);
        } else {
            park(r, task);
        }
    }
    void pester(Rng *rng)
    {
        Racer &r = racers_[rng->below(racers_.size())];
        (void)!write(r.line.there, "x", 1);
        sally_task *task = r.task;
        if (rng->one_in(4) && sally_park_claim(park_, task)) {
            turn(task, rng);
        }
    }
    int turns() const
    {
        return turns_;
    }

  private:
    void renew(Racer *r)
    {
        sally_task *task = sally_task_new(park_, r->line.here, run_nothing, r);
        r->task = task;
        park(r, task);
    }
    void park(Racer *r, sally_task *task)
    {
        r->holders--;
        Rng rng(static_cast<uint64_t>(turns_));
        ssl_deadline at = rng.one_in(2) ? sally_deadline_after_ms(0) : late();
        EXPECT_EQ(0, sally_park_put(park_, task, POLLIN, at));
    }

    sally_park *park_;
    std::vector<Racer> racers_;
    std::atomic<int> turns_{0};
};

} // namespace

TEST_F(Park, OneHolderAtATimeInAnyRace)
{
    const int wanted = static_cast<int>(long_run(20000, 1000000));
    Race race(park_);
    std::atomic<bool> stop{false};
    race.begin();
    std::vector<std::unique_ptr<Thread>> threads;
    for (uint64_t i = 0; i < 2; i++) {
        threads.push_back(std::make_unique<Thread>([&, i] {
            Rng rng(10 + i);
            while (!stop) {
                short events;
                sally_task *task = sally_park_take_ready(park_, SALLY_NEVER, &events);
                if (task != nullptr) {
                    race.turn(task, &rng);
                }
            }
        }));
    }
    threads.push_back(std::make_unique<Thread>([&] {
        Rng rng(20);
        sally_task *task;
        while ((task = sally_park_take_due(park_)) != nullptr) {
            race.turn(task, &rng);
        }
    }));
    Rng rng(30);
    while (race.turns() < wanted) {
        race.pester(&rng);
    }
    stop = true;
    sally_park_stop(park_, true);
    for (auto &thread : threads) {
        thread->join();
    }
    sally_park_stop(park_, false);
}

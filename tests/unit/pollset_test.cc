// The pollset: one-shot arming, many waiters, interrupt. Runs on epoll or poll, as built.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <map>
#include <memory>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "support/guards.h"
#include "support/threads.h"

extern "C" {
#include "clock.h"
#include "mem.h"
#include "pollset.h"
}

using namespace sallytest;

namespace
{

// A pipe; its address serves as the item.
struct Pipe {
    int in = -1;
    int out = -1;

    Pipe()
    {
        int fds[2];
        EXPECT_EQ(0, pipe2(fds, O_CLOEXEC | O_NONBLOCK));
        in = fds[0];
        out = fds[1];
    }
    ~Pipe()
    {
        close(in);
        hang_up();
    }
    Pipe(const Pipe &) = delete;
    Pipe &operator=(const Pipe &) = delete;

    void fill()
    {
        EXPECT_EQ(1, write(out, "x", 1));
    }
    void drain()
    {
        char byte;
        EXPECT_EQ(1, read(in, &byte, 1));
    }
    void hang_up()
    {
        if (out >= 0) {
            close(out);
        }
        out = -1;
    }
};

class Pollset : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        ASSERT_NE(nullptr, set_ = sally_pollset_open());
    }
    void TearDown() override
    {
        sally_pollset_close(set_);
    }

    // The items that are ready now.
    std::vector<void *> take(int most = 8)
    {
        std::vector<sally_pollset_event> events(static_cast<size_t>(most));
        int count = sally_pollset_take(set_, events.data(), most);
        std::vector<void *> items;
        for (int i = 0; i < count; i++) {
            items.push_back(events[static_cast<size_t>(i)].item);
        }
        return items;
    }
    // Waits, bounded; NULL for nothing.
    void *wait(int64_t timeout_ms = 20000)
    {
        sally_pollset_event event;
        int count = sally_pollset_wait(set_, sally_deadline_after_ms(timeout_ms), &event, 1);
        return count == 1 ? event.item : nullptr;
    }

    sally_pollset *set_ = nullptr;
};

TEST_F(Pollset, ReportsAnEntryOnceUntilItIsArmedAgain)
{
    Pipe pipe;
    pipe.fill();
    ASSERT_EQ(0, sally_pollset_add(set_, pipe.in, POLLIN, &pipe));
    EXPECT_EQ(&pipe, wait());
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(nullptr, wait(0));
    ASSERT_EQ(0, sally_pollset_arm(set_, pipe.in, POLLIN, &pipe));
    EXPECT_EQ(std::vector<void *>{&pipe}, take());
}

TEST_F(Pollset, AnEntryAddedForNothingIsNotArmed)
{
    Pipe pipe;
    pipe.fill();
    pipe.hang_up();
    ASSERT_EQ(0, sally_pollset_add(set_, pipe.in, 0, &pipe));
    EXPECT_TRUE(take().empty());
    ASSERT_EQ(0, sally_pollset_arm(set_, pipe.in, POLLIN, &pipe));
    EXPECT_EQ(&pipe, wait());
}

TEST_F(Pollset, ReportsWhichEventsCame)
{
    Pipe pipe;
    sally_pollset_event event = {nullptr, 0};
    ASSERT_EQ(0, sally_pollset_add(set_, pipe.in, POLLIN, &pipe));
    ASSERT_EQ(0, sally_pollset_add(set_, pipe.out, POLLOUT, &event));
    ASSERT_EQ(1, sally_pollset_wait(set_, SALLY_NEVER, &event, 1));
    EXPECT_EQ(&event, event.item);
    EXPECT_EQ(POLLOUT, event.events);
    sally_pollset_remove(set_, pipe.out);
    pipe.hang_up();
    ASSERT_EQ(1, sally_pollset_wait(set_, SALLY_NEVER, &event, 1));
    EXPECT_EQ(&pipe, event.item);
    EXPECT_TRUE(event.events & POLLHUP);
}

TEST_F(Pollset, ARemovedEntryIsNotReported)
{
    Pipe gone;
    Pipe kept;
    ASSERT_EQ(0, sally_pollset_add(set_, gone.in, POLLIN, &gone));
    ASSERT_EQ(0, sally_pollset_add(set_, kept.in, POLLIN, &kept));
    gone.fill();
    kept.fill();
    sally_pollset_remove(set_, gone.in);
    EXPECT_EQ(std::vector<void *>{&kept}, take());
    sally_pollset_remove(set_, gone.in); // twice is harmless
}

TEST_F(Pollset, MoreReadyThanAskedForStaysForTheNext)
{
    std::vector<std::unique_ptr<Pipe>> pipes;
    std::map<void *, int> seen;
    const int many = 200;
    for (int i = 0; i < many; i++) {
        pipes.push_back(std::make_unique<Pipe>());
        pipes.back()->fill();
        ASSERT_EQ(0, sally_pollset_add(set_, pipes.back()->in, POLLIN, pipes.back().get()));
    }
    for (std::vector<void *> items = take(3); !items.empty(); items = take(3)) {
        for (void *item : items) {
            seen[item]++;
        }
    }
    EXPECT_EQ(static_cast<size_t>(many), seen.size());
    for (const auto &[item, count] : seen) {
        EXPECT_EQ(1, count) << item;
    }
}

TEST_F(Pollset, NoReadyEntryStarves)
{
    Pipe first;
    Pipe second;
    first.fill();
    second.fill();
    ASSERT_EQ(0, sally_pollset_add(set_, first.in, POLLIN, &first));
    ASSERT_EQ(0, sally_pollset_add(set_, second.in, POLLIN, &second));
    std::map<void *, int> seen;
    for (int i = 0; i < 10; i++) {
        Pipe *pipe = static_cast<Pipe *>(wait());
        ASSERT_NE(nullptr, pipe);
        seen[pipe]++;
        ASSERT_EQ(0, sally_pollset_arm(set_, pipe->in, POLLIN, pipe));
    }
    EXPECT_GE(seen[&first], 3);
    EXPECT_GE(seen[&second], 3);
}

TEST_F(Pollset, B5_WaitEndsAtItsDeadline)
{
    Pipe pipe;
    ASSERT_EQ(0, sally_pollset_add(set_, pipe.in, POLLIN, &pipe));
    int64_t before = sally_now_ns();
    EXPECT_EQ(nullptr, wait(30));
    EXPECT_GE(sally_now_ns() - before, 30 * 1000000);
    EXPECT_EQ(nullptr, wait(0));
}

TEST_F(Pollset, ASleeperSeesWhatIsAddedAndArmedMeanwhile)
{
    Pipe pipe;
    for (bool again : {false, true}) {
        std::atomic<void *> got{nullptr};
        Thread waiter([&] { got = wait(); });
        ASSERT_TRUE(wait_until_asleep(waiter));
        if (again) {
            ASSERT_EQ(0, sally_pollset_arm(set_, pipe.in, POLLIN, &pipe));
        } else {
            pipe.fill();
            ASSERT_EQ(0, sally_pollset_add(set_, pipe.in, POLLIN, &pipe));
        }
        waiter.join();
        EXPECT_EQ(&pipe, got);
    }
}

TEST_F(Pollset, InterruptEndsEveryWaitUntilItIsTakenBack)
{
    std::atomic<int> returned{0};
    auto sleep = [&] {
        EXPECT_EQ(nullptr, wait(-1));
        returned++;
    };
    {
        Thread first(sleep);
        EXPECT_TRUE(wait_until_asleep(first)); // so that it is the one that polls
        Thread second(sleep);
        Thread third(sleep);
        EXPECT_EQ(0, returned);
        sally_pollset_interrupt(set_, true);
    }
    EXPECT_EQ(3, returned);
    EXPECT_EQ(nullptr, wait(-1));
    sally_pollset_interrupt(set_, false);
    EXPECT_EQ(nullptr, wait(1));
}

TEST_F(Pollset, AnInterruptLosesNoEntry)
{
    Pipe pipe;
    pipe.fill();
    ASSERT_EQ(0, sally_pollset_add(set_, pipe.in, POLLIN, &pipe));
    sally_pollset_interrupt(set_, true);
    sally_pollset_event events[4];
    int count = sally_pollset_wait(set_, SALLY_NEVER, events, 4);
    sally_pollset_interrupt(set_, false);
    if (count == 0) {
        count = sally_pollset_wait(set_, SALLY_NEVER, events, 4);
    }
    ASSERT_EQ(1, count);
    EXPECT_EQ(&pipe, events[0].item);
}

void ignore_signal(int) {}

TEST_F(Pollset, B7_ASignalDoesNotEndAWait)
{
    struct sigaction action = {};
    struct sigaction before = {};
    action.sa_handler = ignore_signal; // no SA_RESTART
    ASSERT_EQ(0, sigaction(SIGUSR1, &action, &before));
    Pipe pipe;
    ASSERT_EQ(0, sally_pollset_add(set_, pipe.in, POLLIN, &pipe));
    std::atomic<void *> got{nullptr};
    Thread waiter([&] { got = wait(); });
    ASSERT_TRUE(wait_until_asleep(waiter));
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(0, tgkill(getpid(), waiter.tid(), SIGUSR1));
        ASSERT_TRUE(wait_until_asleep(waiter));
    }
    pipe.fill();
    waiter.join();
    EXPECT_EQ(&pipe, got);
    sigaction(SIGUSR1, &before, nullptr);
}

// Entries are filled by one thread and served by several; each filling is served exactly once, by the
// one thread that has the entry.
TEST_F(Pollset, ManyThreadsWaitAndEachEntryGoesToOneOfThem)
{
    struct Item {
        Pipe pipe;
        std::atomic<int> holders{0};
        std::atomic<int> served{0};
    };
    const int items_count = 40;
    const int rounds = 50;
    std::vector<Item> items(items_count);
    std::atomic<int> served{0};
    for (Item &item : items) {
        ASSERT_EQ(0, sally_pollset_add(set_, item.pipe.in, POLLIN, &item));
    }
    auto serve = [&] {
        sally_pollset_event events[3];
        while (served < items_count * rounds) {
            int count = sally_pollset_wait(set_, SALLY_NEVER, events, 3);
            for (int i = 0; i < count; i++) {
                Item *item = static_cast<Item *>(events[i].item);
                EXPECT_EQ(0, item->holders++);
                item->pipe.drain();
                item->served++;
                served++;
                item->holders--;
                EXPECT_EQ(0, sally_pollset_arm(set_, item->pipe.in, POLLIN, item));
            }
            if (served == items_count * rounds) {
                sally_pollset_interrupt(set_, true);
            }
        }
    };
    Thread a(serve), b(serve), c(serve), d(serve);
    for (int round = 0; round < rounds; round++) {
        for (Item &item : items) {
            item.pipe.fill();
        }
    }
    a.join();
    b.join();
    c.join();
    d.join();
    for (Item &item : items) {
        EXPECT_EQ(rounds, item.served);
    }
}

TEST_F(Pollset, WatchShowsToPollWhenAnEntryIsReady)
{
    Pipe first;
    Pipe second;
    ASSERT_EQ(0, sally_pollset_add(set_, first.in, POLLIN, &first));
    ASSERT_EQ(0, sally_pollset_add(set_, second.in, POLLIN, &second));
    int needed = sally_pollset_watch(set_, nullptr, 0);
    ASSERT_GE(needed, 1);
    std::vector<pollfd> fds(static_cast<size_t>(needed));
    ASSERT_EQ(needed, sally_pollset_watch(set_, fds.data(), needed));
    EXPECT_EQ(0, poll(fds.data(), fds.size(), 0));
    second.fill();
    EXPECT_EQ(1, poll(fds.data(), fds.size(), 20000));
    EXPECT_EQ(std::vector<void *>{&second}, take());
    EXPECT_TRUE(take().empty());
}

TEST(PollsetLife, ClosingTheSetLeavesItsEntriesOpenAndNothingElse)
{
    Pipe pipe;
    FdGuard guard;
    sally_pollset *set = sally_pollset_open();
    ASSERT_NE(nullptr, set);
    ASSERT_EQ(0, sally_pollset_add(set, pipe.in, POLLIN, &pipe));
    sally_pollset_close(set);
    sally_pollset_close(nullptr);
    EXPECT_NE(-1, fcntl(pipe.in, F_GETFD));
}

TEST(PollsetLife, AFailedAllocationIsReported)
{
    FdGuard guard;
    long most = 0;
    for (long nth = 1; nth < 10; nth++) {
        sally_mem_fail_at(nth, 0);
        sally_pollset *set = sally_pollset_open();
        int error = errno;
        bool reached = sally_mem_count() >= nth;
        sally_mem_fail_at(0, 0);
        if (!reached) {
            ASSERT_NE(nullptr, set);
            sally_pollset_close(set);
            break;
        }
        EXPECT_EQ(nullptr, set);
        EXPECT_EQ(ENOMEM, error);
        most = nth;
    }
    EXPECT_GE(most, 1);
}

} // namespace

// wait.c, thread_own.c and break_signal.c: the one wait function. Rules: B1 B2 B3 B4 B5 B7.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <string>
#include <vector>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "support/guards.h"
#include "support/handles.h"
#include "support/internals.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

struct Pipe {
    int ends[2] = {-1, -1};
    Pipe()
    {
        EXPECT_EQ(0, pipe(ends));
    }
    ~Pipe()
    {
        close(ends[0]);
        close(ends[1]);
    }
    void put()
    {
        EXPECT_EQ(1, write(ends[1], "x", 1));
    }
};

ssl_break *new_token(ssl_break *parent = nullptr)
{
    ssl_break *brk = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_break_new(parent, &brk, nullptr));
    return brk;
}

} // namespace

TEST(Wait, B1_ADescriptorBecomesReady)
{
    Pipe pipe;
    ssl_break *brk = new_token();
    Thread waiter(
        [&] { EXPECT_EQ(SALLY_OK, ssl_wait_fd_enable_break(pipe.ends[0], false, brk, nullptr)); });
    EXPECT_TRUE(wait_until_asleep(waiter));
    pipe.put();
    waiter.join();
    EXPECT_EQ(SALLY_OK, ssl_wait_fd_enable_break(pipe.ends[1], true, brk, nullptr));
    ssl_break_release(brk);
}

TEST(Wait, B2_APendingBreakWinsOverReadiness)
{
    Pipe pipe;
    pipe.put();
    ssl_break *brk = new_token();
    ssl_break_send(brk, 1);
    EXPECT_EQ(SALLY_BREAK, ssl_wait_fd_enable_break(pipe.ends[0], false, brk, nullptr));
    ssl_break_clear(brk);
    EXPECT_EQ(SALLY_OK, ssl_wait_fd_enable_break(pipe.ends[0], false, brk, nullptr));
    ssl_break_release(brk);
}

TEST(Wait, B4_OneSendWakesEveryWaiterOnTheTokenAndItsDescendants)
{
    ssl_break *root = new_token();
    ssl_break *child = new_token(root);
    std::vector<std::unique_ptr<Thread>> waiters;
    for (int i = 0; i < 6; i++) {
        waiters.push_back(std::make_unique<Thread>([&, i] {
            ssl_error err;
            EXPECT_EQ(SALLY_BREAK,
                      ssl_wait_fd_enable_break(-1, false, i % 2 == 0 ? root : child, &err));
            EXPECT_EQ(42, err.code);
        }));
    }
    for (auto &waiter : waiters) {
        EXPECT_TRUE(wait_until_asleep(*waiter));
    }
    ssl_break_send(root, 42);
    for (auto &waiter : waiters) {
        waiter->join();
    }
    ssl_break_release(child);
    ssl_break_release(root);
}

TEST(Wait, B4_AStaleWakeIsCalmedAndDoesNotSpin)
{
    Pipe pipe;
    ssl_break *brk = new_token();
    Thread waiter(
        [&] { EXPECT_EQ(SALLY_OK, ssl_wait_fd_enable_break(pipe.ends[0], false, brk, nullptr)); });
    EXPECT_TRUE(wait_until_asleep(waiter));
    // What a sender that lost the race with a clear leaves behind: a raised wake, a clear word.
    int fd = sally_break_wait_fd(brk);
#ifdef SALLY_TEST_PIPES
    (void)fd;
#else
    uint64_t one = 1;
    EXPECT_EQ(static_cast<ssize_t>(sizeof one), write(fd, &one, sizeof one));
    struct pollfd readable = {fd, POLLIN, 0};
    EXPECT_TRUE(eventually([&] { return poll(&readable, 1, 0) == 0; }));
#endif
    EXPECT_TRUE(wait_until_asleep(waiter));
    pipe.put();
    waiter.join();
    ssl_break_release(brk);
}

TEST(Wait, B5_TheDeadlineIsTotal)
{
    ssl_break *brk = nullptr;
    int64_t before = sally_now_ns();
    ASSERT_EQ(SALLY_OK, ssl_break_new_deadline(nullptr, ssl_deadline_after_ms(30), &brk, nullptr));
    EXPECT_EQ(SALLY_TIMEOUT, ssl_wait_fd_enable_break(-1, false, brk, nullptr));
    EXPECT_GE(sally_now_ns() - before, 30 * 1000000LL - 1000000);
    EXPECT_EQ(SALLY_TIMEOUT, ssl_wait_fd_enable_break(-1, false, brk, nullptr));
    ssl_break_release(brk);
}

TEST(Wait, E3_ADescriptorThatIsNotOpenIsNotWaitedFor)
{
    ssl_break *brk = new_token();
    for (int fd : {1000000, -2, -1000000}) {
        for (bool for_write : {false, true}) {
            ssl_error err;
            EXPECT_EQ(SALLY_USAGE, ssl_wait_fd_enable_break(fd, for_write, brk, &err));
            EXPECT_EQ("ssl_wait_fd_enable_break: descriptor " + std::to_string(fd) + " is not open",
                      std::string(err.text));
        }
    }
    ssl_break_release(brk);
}

namespace
{
std::atomic<int> interruptions{0};
}

TEST(Wait, B7_AnInterruptedWaitGoesOn)
{
    struct sigaction action = {};
    struct sigaction old = {};
    action.sa_handler = [](int) { interruptions++; };
    ASSERT_EQ(0, sigaction(SIGUSR1, &action, &old));
    Pipe pipe;
    ssl_break *brk = new_token();
    pthread_t raw = {};
    Latch known;
    Thread waiter([&] {
        raw = pthread_self();
        known.open();
        EXPECT_EQ(SALLY_OK, ssl_wait_fd_enable_break(pipe.ends[0], false, brk, nullptr));
    });
    known.wait();
    for (int i = 1; i <= 5; i++) {
        EXPECT_TRUE(wait_until_asleep(waiter));
        pthread_kill(raw, SIGUSR1);
        EXPECT_TRUE(eventually([&] { return interruptions == i; }));
    }
    EXPECT_FALSE(waiter.is_done());
    pipe.put();
    waiter.join();
    sigaction(SIGUSR1, &old, nullptr);
    ssl_break_release(brk);
}

TEST(Wait, B5_AWaitOnTheSpotEndsByItsDescriptorItsTimeOrItsWake)
{
    Pipe pipe;
    const sally_wake *wake = nullptr;
    ASSERT_EQ(SALLY_OK, sally_wait_self(&wake, SALLY_PHASE_WAIT, nullptr));
    EXPECT_FALSE(sally_wait_here(pipe.ends[0], wake, 0));
    pipe.put();
    EXPECT_TRUE(sally_wait_here(pipe.ends[0], wake, -1));
    sally_wake_raise(wake); // somebody needs the thread: that comes first, and once
    EXPECT_FALSE(sally_wait_here(pipe.ends[0], wake, -1));
    EXPECT_TRUE(sally_wait_here(pipe.ends[0], wake, -1));
}

TEST(Wait, B7_ASignalEndsAWaitOnTheSpotWithNothingFound)
{
    struct sigaction action = {};
    struct sigaction old = {};
    action.sa_handler = [](int) {};
    ASSERT_EQ(0, sigaction(SIGUSR1, &action, &old));
    Pipe pipe;
    pthread_t raw = {};
    Latch known;
    Thread waiter([&] {
        const sally_wake *wake = nullptr;
        ASSERT_EQ(SALLY_OK, sally_wait_self(&wake, SALLY_PHASE_WAIT, nullptr));
        raw = pthread_self();
        known.open();
        EXPECT_FALSE(sally_wait_here(pipe.ends[0], wake, -1));
    });
    known.wait();
    EXPECT_TRUE(wait_until_asleep(waiter));
    pthread_kill(raw, SIGUSR1);
    waiter.join();
    sigaction(SIGUSR1, &old, nullptr);
}

TEST(Wait, AThreadsWakeWakesItAndGoesWithIt)
{
    FdGuard fds;
    const sally_wake *wake = nullptr;
    Latch known;
    Thread waiter([&] {
        EXPECT_EQ(SALLY_OK, sally_wait_self(&wake, SALLY_PHASE_READ, nullptr));
        known.open();
        sally_scope scope = SALLY_SCOPE_NONE;
        struct pollfd room[SALLY_WAIT_SPARE];
        sally_wait wait = {};
        wait.fds = room;
        wait.scope = &scope;
        wait.self = wake;
        ssl_status status = SALLY_OK;
        EXPECT_EQ(SALLY_WAITED_WOKEN, sally_wait_run(&wait, &status, nullptr));
    });
    known.wait();
    EXPECT_TRUE(wait_until_asleep(waiter));
    sally_wake_raise(wake);
    waiter.join();
}

TEST(Wait, ADescriptorThatIsNotOpenIsUsage)
{
    ssl_error err;
    ssl_break *brk = new_token();
    EXPECT_EQ(SALLY_USAGE, ssl_wait_fd_enable_break(12345, false, brk, &err));
    ssl_break_release(brk);
}

/* ---- signals --------------------------------------------------------------------------------- */

TEST(BreakSignal, B3_SendsWithItsNumberAndIsUndone)
{
    FdGuard fds;
    struct sigaction mine = {};
    struct sigaction now = {};
    mine.sa_handler = SIG_IGN;
    ASSERT_EQ(0, sigaction(SIGUSR2, &mine, nullptr));
    ssl_break *brk = new_token();
    ASSERT_EQ(SALLY_OK, ssl_break_on_signal(SIGUSR2, brk, nullptr));
    raise(SIGUSR2);
    raise(SIGUSR2);
    int reason = 0;
    int severity = 0;
    EXPECT_TRUE(ssl_break_pending(brk, &reason, &severity));
    EXPECT_EQ(SIGUSR2, reason);
    EXPECT_EQ(2, severity);
    ssl_error err;
    EXPECT_EQ(SALLY_BREAK, ssl_wait_fd_enable_break(-1, false, brk, &err));
    EXPECT_EQ(SIGUSR2, err.code);
    // Another token takes the signal over; the first is released.
    ssl_break *second = new_token();
    ASSERT_EQ(SALLY_OK, ssl_break_on_signal(SIGUSR2, second, nullptr));
    ssl_break_release(brk);
    raise(SIGUSR2);
    EXPECT_TRUE(ssl_break_pending(second, nullptr, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_break_off_signal(SIGUSR2, nullptr));
    ssl_break_release(second);
    ASSERT_EQ(0, sigaction(SIGUSR2, nullptr, &now));
    EXPECT_EQ(SIG_IGN, now.sa_handler);
    EXPECT_EQ(SALLY_OK, ssl_break_off_signal(SIGUSR2, nullptr)); // twice is fine
    signal(SIGUSR2, SIG_DFL);
}

TEST(BreakSignal, BadSignalsAndTokensAreUsage)
{
    ssl_break *brk = new_token();
    ssl_break *deadline = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_new_deadline(nullptr, ssl_deadline{1}, &deadline, nullptr));
    ssl_error err;
    EXPECT_EQ(SALLY_USAGE, ssl_break_on_signal(0, brk, &err));
    EXPECT_EQ(SALLY_USAGE, ssl_break_on_signal(1000, brk, &err));
    EXPECT_EQ(SALLY_USAGE, ssl_break_on_signal(SIGUSR1, deadline, &err));
    EXPECT_EQ(SALLY_USAGE, ssl_break_on_signal(SIGUSR1, nullptr, &err));
    EXPECT_EQ(SALLY_SYSTEM, ssl_break_on_signal(SIGKILL, brk, &err));
    EXPECT_EQ(SALLY_USAGE, ssl_break_off_signal(-1, &err));
    ssl_break_release(deadline);
    ssl_break_release(brk);
}

// Handlers run in many threads while the token is exchanged and taken away again and again.
TEST(BreakSignal, B3_TakingTheTokenAwayRacesWithHandlers)
{
    FdGuard fds;
    std::atomic<bool> stop{false};
    ssl_break *keeper = new_token(); // keeps the signal harmless between the rounds
    ASSERT_EQ(SALLY_OK, ssl_break_on_signal(SIGUSR1, keeper, nullptr));
    Thread noisy([&] {
        while (!stop) {
            raise(SIGUSR1);
        }
    });
    for (int round = 0; round < 500; round++) {
        ssl_break *brk = new_token();
        ASSERT_EQ(SALLY_OK, ssl_break_on_signal(SIGUSR1, brk, nullptr));
        ssl_break_release(brk); // freed when the next takes over, unless a handler is inside
    }
    stop = true;
    noisy.join();
    EXPECT_EQ(SALLY_OK, ssl_break_off_signal(SIGUSR1, nullptr));
    ssl_break_release(keeper);
}

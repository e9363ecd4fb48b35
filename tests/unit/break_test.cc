// break.c and break_owner.c: tokens, their words and their wakes. Rules: B3 B4 B5 B10 E2 W2 W9.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/faults.h"
#include "support/guards.h"
#include "support/handles.h"
#include "support/internals.h"
#include "support/rng.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

bool is_readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

ssl_break *new_token(ssl_break *parent = nullptr)
{
    ssl_break *brk = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_break_new(parent, &brk, nullptr));
    return brk;
}

// What an operation would be told now.
ssl_status check(ssl_break *brk, ssl_error *err = nullptr)
{
    sally_scope scope;
    EXPECT_EQ(SALLY_OK, sally_scope_enable(&scope, brk, SALLY_PHASE_READ, err));
    return sally_scope_check(&scope, SALLY_PHASE_READ, err);
}

} // namespace

TEST(Break, B3_FirstReasonStaysAndEverySendRaisesTheSeverity)
{
    ssl_break *brk = new_token();
    int reason = -1;
    int severity = -1;
    EXPECT_FALSE(ssl_break_pending(brk, &reason, &severity));
    EXPECT_EQ(0, severity);
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk, -7));
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk, 8));
    EXPECT_TRUE(ssl_break_pending(brk, &reason, &severity));
    EXPECT_EQ(-7, reason);
    EXPECT_EQ(2, severity);
    for (int i = 0; i < 300; i++) {
        ssl_break_send(brk, 9);
    }
    EXPECT_TRUE(ssl_break_pending(brk, &reason, &severity));
    EXPECT_EQ(255, severity);
    EXPECT_EQ(-7, reason);
    ssl_break_release(brk);
}

TEST(Break, B3_SendKeepsErrno)
{
    ssl_break *brk = new_token();
    errno = 4711;
    ssl_break_send(brk, 1);
    ssl_break_clear(brk);
    EXPECT_EQ(4711, errno);
    ssl_break_release(brk);
}

TEST(Break, B4_StaysUntilClearedAndReachesDescendantsOnly)
{
    ssl_break *parent = new_token();
    ssl_break *child = new_token(parent);
    ssl_break *grandchild = new_token(child);
    ssl_break_send(child, 3);
    EXPECT_EQ(SALLY_OK, check(parent));
    for (int i = 0; i < 3; i++) {
        ssl_error err;
        EXPECT_EQ(SALLY_BREAK, check(grandchild, &err));
        EXPECT_EQ(3, err.code);
    }
    ssl_break_clear(child);
    EXPECT_EQ(SALLY_OK, check(grandchild));
    ssl_break_send(parent, 4);
    EXPECT_EQ(SALLY_BREAK, check(grandchild));
    ssl_break_release(parent); // the descendants retain it
    EXPECT_EQ(SALLY_BREAK, check(grandchild));
    ssl_break_release(child);
    ssl_break_release(grandchild);
}

TEST(Break, B4_ClearLeavesNoReadableWake)
{
    ssl_break *brk = new_token();
    ssl_break_send(brk, 1);
    EXPECT_TRUE(is_readable(sally_break_wait_fd(brk)));
    ssl_break_clear(brk);
    EXPECT_FALSE(is_readable(sally_break_wait_fd(brk)));
    ssl_break_send(brk, 2);
    EXPECT_TRUE(is_readable(sally_break_wait_fd(brk)));
    sally_break_calm(brk); // a calm on a pending token restores
    EXPECT_TRUE(is_readable(sally_break_wait_fd(brk)));
    ssl_break_release(brk);
}

// However sends, clears and calms race, in the end a pending word has a readable wake.
TEST(Break, B4_RacingSendsClearsAndCalmsLoseNoSend)
{
    ssl_break *brk = new_token();
    for (long round = 0; round < long_run(300, 20000); round++) {
        Barrier start(3);
        Thread sender([&] {
            start.wait();
            ssl_break_send(brk, 1);
        });
        Thread clearer([&] {
            start.wait();
            ssl_break_clear(brk);
        });
        start.wait();
        sally_break_calm(brk);
        sender.join();
        clearer.join();
        if (ssl_break_pending(brk, nullptr, nullptr)) {
            ASSERT_TRUE(is_readable(sally_break_wait_fd(brk))) << "round " << round;
        }
        ssl_break_clear(brk);
        ASSERT_FALSE(ssl_break_pending(brk, nullptr, nullptr));
    }
    ssl_break_release(brk);
}

TEST(Break, B4_OwnTokenIsConsumedByTheReportAndOnlyThere)
{
    in_new_thread([] {
        ssl_break *self = nullptr;
        ASSERT_EQ(SALLY_OK, ssl_break_self(&self, nullptr));
        ssl_break_send(self, 1);
        ssl_break_send(self, 2); // several sends before delivery count as one
        EXPECT_EQ(SALLY_BREAK, check(nullptr));
        EXPECT_EQ(SALLY_OK, check(nullptr));
        // A child of the own token is not "exactly that token".
        ssl_break *child = new_token(self);
        ssl_break_send(self, 3);
        EXPECT_EQ(SALLY_BREAK, check(child));
        EXPECT_EQ(SALLY_BREAK, check(child));
        EXPECT_EQ(SALLY_BREAK, check(self));
        EXPECT_EQ(SALLY_OK, check(child));
        ssl_break_release(child);
        // Another thread that waits on it does not consume it.
        ssl_break_send(self, 4);
        in_new_thread([&] { EXPECT_EQ(SALLY_BREAK, check(self)); });
        EXPECT_EQ(SALLY_BREAK, check(self));
    });
}

TEST(Break, B4_OwnTokenOutlivesItsThreadWhenRetained)
{
    ssl_break *kept = nullptr;
    in_new_thread([&] {
        ssl_break *self = nullptr;
        ASSERT_EQ(SALLY_OK, ssl_break_self(&self, nullptr));
        kept = ssl_break_retain(self);
    });
    EXPECT_EQ(SALLY_OK, ssl_break_send(kept, 1));
    EXPECT_EQ(SALLY_BREAK, check(kept));
    ssl_break_release(kept);
}

TEST(Break, B5_ADeadlineTakesNoDescriptorAndCannotBeSentTo)
{
    FdGuard fds;
    ssl_break *brk = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_new_deadline(nullptr, ssl_deadline_after_ms(0), &brk, nullptr));
    EXPECT_EQ(-1, sally_break_wait_fd(brk));
    EXPECT_EQ(SALLY_USAGE, ssl_break_send(brk, 1));
    EXPECT_EQ(SALLY_TIMEOUT, check(brk));
    ssl_break_release(brk);
}

TEST(Break, B5_AChildHasTheEarliestDeadline)
{
    ssl_break *early = nullptr;
    ssl_break *late = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_new_deadline(nullptr, ssl_deadline{1000}, &early, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_break_new_deadline(early, ssl_deadline{2000}, &late, nullptr));
    EXPECT_EQ(1000, ssl_break_deadline(late).monotonic_ns);
    ssl_break *plain = new_token(late);
    EXPECT_EQ(1000, ssl_break_deadline(plain).monotonic_ns);
    EXPECT_EQ(INT64_MAX, ssl_break_deadline(nullptr).monotonic_ns);
    ssl_break_release(plain);
    ssl_break_release(late);
    ssl_break_release(early);
}

TEST(Break, B5_ABreakIsToldBeforeATimeout)
{
    ssl_break *parent = new_token();
    ssl_break *brk = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_new_deadline(parent, ssl_deadline_after_ms(0), &brk, nullptr));
    EXPECT_EQ(SALLY_TIMEOUT, check(brk));
    ssl_break_send(parent, 1);
    EXPECT_EQ(SALLY_BREAK, check(brk));
    ssl_break_release(brk);
    ssl_break_release(parent);
}

TEST(Break, DepthIsBounded)
{
    std::vector<ssl_break *> chain = {new_token()};
    while (chain.size() < SALLY_BREAK_DEPTH_MAX) {
        chain.push_back(new_token(chain.back()));
    }
    ssl_error err;
    ssl_break *more = chain.front();
    EXPECT_EQ(SALLY_LIMIT, ssl_break_new(chain.back(), &more, &err));
    EXPECT_EQ(nullptr, more);
    for (ssl_break *brk : chain) {
        ssl_break_release(brk);
    }
}

TEST(Break, UsageAndNull)
{
    ssl_error err;
    EXPECT_EQ(SALLY_USAGE, ssl_break_new(nullptr, nullptr, &err));
    EXPECT_EQ(SALLY_USAGE, ssl_break_new_deadline(nullptr, ssl_deadline{0}, nullptr, &err));
    EXPECT_EQ(SALLY_USAGE, ssl_break_self(nullptr, &err));
    EXPECT_EQ(SALLY_USAGE, ssl_break_send(nullptr, 1));
    EXPECT_FALSE(ssl_break_pending(nullptr, nullptr, nullptr));
    EXPECT_EQ(nullptr, ssl_break_retain(nullptr));
    ssl_break_clear(nullptr);
    ssl_break_release(nullptr);
}

// The child of a fork reports through its exit status: each bit is a promise that failed.
TEST(Break, B10_AChildOfForkRefusesItsParentsTokens)
{
    ssl_break *brk = new_token();
    ssl_break *self = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_self(&self, nullptr));
    pid_t child = fork();
    if (child == 0) {
        sally_scope scope;
        ssl_break *mine = nullptr;
        int wrong = 0;
        wrong |= ssl_break_send(brk, 1) != SALLY_USAGE ? 1 : 0;
        wrong |= sally_scope_enable(&scope, brk, SALLY_PHASE_READ, nullptr) != SALLY_USAGE ? 2 : 0;
        wrong |= ssl_break_new(brk, &mine, nullptr) != SALLY_USAGE ? 4 : 0;
        wrong |= ssl_break_self(&mine, nullptr) != SALLY_OK ? 8 : 0;
        wrong |= ssl_break_send(mine, 1) != SALLY_OK ? 16 : 0;
        _exit(wrong);
    }
    int status = -1;
    ASSERT_EQ(child, waitpid(child, &status, 0));
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status));
    EXPECT_FALSE(ssl_break_pending(brk, nullptr, nullptr));
    EXPECT_FALSE(is_readable(sally_break_wait_fd(brk)));
    EXPECT_FALSE(is_readable(sally_break_wait_fd(self))); // the child's own token is another
    ssl_break_release(brk);
}

TEST(Break, WakesAreClosedOnExec)
{
    FdGuard fds;
    ssl_break *brk = new_token();
    EXPECT_NE(0, fcntl(sally_break_wait_fd(brk), F_GETFD) & FD_CLOEXEC);
    ssl_break_release(brk);
}

/* ---- owner tokens and the bank --------------------------------------------------------------- */

TEST(BreakOwner, W2_HasAWakeOnlyWhileOneIsLent)
{
    FdGuard fds;
    sally_wake_bank *bank = sally_wake_bank_new();
    ssl_break *owner = nullptr;
    ASSERT_EQ(SALLY_OK, sally_break_new_owner(bank, &owner, nullptr));
    EXPECT_EQ(-1, sally_break_wait_fd(owner));
    const sally_wake *wake = sally_wake_bank_take(bank);
    sally_break_lend(owner, wake);
    EXPECT_EQ(SALLY_OK, ssl_break_send(owner, 5));
    EXPECT_TRUE(is_readable(wake->wait_fd));
    sally_break_lend(owner, nullptr);
    sally_wake_bank_give(bank, wake);
    sally_wake_bank_release(bank);
    EXPECT_EQ(SALLY_OK, ssl_break_send(owner, 6)); // nobody listens; nothing is written
    EXPECT_EQ(SALLY_BREAK, check(owner));
    ssl_break_release(owner); // the last one closes the bank
}

TEST(BreakOwner, W9_ASendIsTimedOnceUntilItIsReported)
{
    sally_wake_bank *bank = sally_wake_bank_new();
    ssl_break *owner = nullptr;
    ASSERT_EQ(SALLY_OK, sally_break_new_owner(bank, &owner, nullptr));
    int64_t ns = -1;
    EXPECT_FALSE(sally_break_take_latency(owner, &ns)) << "nothing was sent";
    int64_t before = sally_now_ns();
    EXPECT_EQ(SALLY_OK, ssl_break_send(owner, 5));
    EXPECT_EQ(SALLY_BREAK, check(owner));
    int64_t most = sally_now_ns() - before;
    while (sally_now_ns() - before <= 2 * most) {} // what comes after the report does not count
    EXPECT_EQ(SALLY_BREAK, check(owner));
    EXPECT_TRUE(sally_break_take_latency(owner, &ns));
    EXPECT_LE(0, ns);
    EXPECT_GE(most, ns);
    EXPECT_FALSE(sally_break_take_latency(owner, &ns)) << "once";
    EXPECT_EQ(SALLY_BREAK, check(owner)) << "it is pending still, and this is no new one";
    ssl_break_clear(owner);
    EXPECT_EQ(SALLY_OK, ssl_break_send(owner, 6));
    EXPECT_TRUE(sally_break_take_latency(owner, &ns)) << "unreported: until now";
    ssl_break_clear(owner);
    EXPECT_EQ(SALLY_OK, ssl_break_send(owner, 7));
    ssl_break_clear(owner);
    EXPECT_FALSE(sally_break_take_latency(owner, &ns)) << "taken back";
    ssl_break_release(owner);
    sally_wake_bank_release(bank);
}

TEST(BreakOwner, W2_ASentTokenIsSeenWhenAWakeIsLentLater)
{
    sally_wake_bank *bank = sally_wake_bank_new();
    ssl_break *owner = nullptr;
    ASSERT_EQ(SALLY_OK, sally_break_new_owner(bank, &owner, nullptr));
    ssl_break_send(owner, 5);
    const sally_wake *wake = sally_wake_bank_take(bank);
    sally_break_lend(owner, wake);
    EXPECT_EQ(SALLY_BREAK, check(owner));
    sally_break_lend(owner, nullptr);
    ssl_break_release(owner);
    sally_wake_bank_give(bank, wake);
    sally_wake_bank_release(bank);
}

/* ---- failures -------------------------------------------------------------------------------- */

TEST(Break, E2_NoMemoryGivesMemoryAndNull)
{
    for (long nth = 1;; nth++) {
        ssl_break *brk = reinterpret_cast<ssl_break *>(&nth);
        sally_mem_fail_at(nth, 0);
        ssl_status status = ssl_break_new(nullptr, &brk, nullptr);
        long made = sally_mem_count();
        sally_mem_fail_at(0, 0);
        if (status == SALLY_OK) {
            EXPECT_GT(nth, made);
            ssl_break_release(brk);
            break;
        }
        EXPECT_EQ(SALLY_MEMORY, status);
        EXPECT_EQ(nullptr, brk);
    }
}

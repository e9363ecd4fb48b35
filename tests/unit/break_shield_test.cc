// break_shield.c: sections of a thread in which breaks are deferred. Rules: B4 B5 B9 B10.
#include <gtest/gtest.h>

#include <cstring>

#include <sys/wait.h>
#include <unistd.h>

#include "support/guards.h"
#include "support/handles.h"
#include "support/internals.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

constexpr int64_t kLongMs = 3600000;

// What an operation that begins now would be told.
ssl_status check(sally_how how, ssl_break *owner = nullptr)
{
    sally_scope scope;
    EXPECT_EQ(SALLY_OK, sally_scope_begin(&scope, how, SALLY_PHASE_READ, nullptr));
    sally_scope_own(&scope, owner);
    return sally_scope_check(&scope, SALLY_PHASE_READ, nullptr);
}

ssl_status check(ssl_break *brk)
{
    return check(SALLY_ENABLE(brk));
}

// Open for the time of this object.
class Section
{
  public:
    explicit Section(int64_t timeout_ms = kLongMs)
    {
        EXPECT_EQ(SALLY_OK, ssl_break_shield(timeout_ms, &shield_, nullptr));
    }
    ~Section()
    {
        EXPECT_EQ(SALLY_OK, ssl_break_unshield(&shield_, nullptr));
    }
    Section(const Section &) = delete;
    Section &operator=(const Section &) = delete;

    ssl_shield *get()
    {
        return &shield_;
    }

  private:
    ssl_shield shield_;
};

ssl_break *own_token()
{
    ssl_break *own = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    return own;
}

} // namespace

TEST(Shield, B9_BreaksAreDeferredAndSeenAtOnceAfterwards)
{
    Break parent = new_break();
    Break brk = new_break(parent.get());
    ssl_break_send(brk.get(), 4);
    {
        Section section;
        EXPECT_EQ(SALLY_OK, check(brk.get()));
        ssl_break_send(parent.get(), 5);
        EXPECT_EQ(SALLY_OK, check(brk.get()));
        EXPECT_TRUE(ssl_break_pending(brk.get(), nullptr, nullptr));
    }
    EXPECT_EQ(SALLY_BREAK, check(brk.get()));
    ssl_break_clear(brk.get());
    EXPECT_EQ(SALLY_BREAK, check(brk.get())) << "the parent's, sent in the section";
}

TEST(Shield, B4_B9_TheOwnTokenIsNotConsumedInASection)
{
    ssl_break_send(own_token(), 1);
    {
        Section section;
        EXPECT_EQ(SALLY_OK, check(nullptr));
    }
    EXPECT_EQ(SALLY_BREAK, check(nullptr));
    EXPECT_EQ(SALLY_OK, check(nullptr));
}

TEST(Shield, B9_TheTokenOfAServedConnectionIsDeferredToo)
{
    Break owner = new_break();
    ssl_break_send(owner.get(), SALLY_REASON_DRAIN);
    {
        Section section;
        EXPECT_EQ(SALLY_OK, check(SALLY_PLAIN, owner.get()));
    }
    EXPECT_EQ(SALLY_BREAK, check(SALLY_PLAIN, owner.get()));
}

TEST(Shield, B9_TheSectionsDeadlineBoundsEveryCall)
{
    Break brk = new_break();
    {
        Section section(0);
        EXPECT_EQ(SALLY_TIMEOUT, check(brk.get()));
        EXPECT_EQ(SALLY_TIMEOUT, check(SALLY_PLAIN));
    }
    EXPECT_EQ(SALLY_OK, check(brk.get()));
    EXPECT_EQ(SALLY_OK, check(SALLY_PLAIN));
}

TEST(Shield, B9_AWaitThatWouldNeverEndEndsWithTheSection)
{
    ssl_break_send(own_token(), 1);
    {
        Section section(20);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_wait_fd_enable_break(-1, false, nullptr, &err), err));
    }
    EXPECT_EQ(SALLY_BREAK, ssl_wait_fd_enable_break(-1, false, nullptr, nullptr));
}

TEST(Shield, B9_ABreakDoesNotEndASleepInASection)
{
    Break brk = new_break();
    Thread sleeper([&] {
        Section section(150);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_wait_fd_enable_break(-1, false, brk.get(), &err), err));
    });
    EXPECT_TRUE(wait_until_asleep(sleeper));
    ssl_break_send(brk.get(), 1);
}

TEST(Shield, B5_DeadlinesOfTokensStillCount)
{
    Break late = deadline_in_ms(0);
    Section section;
    EXPECT_EQ(SALLY_TIMEOUT, check(late.get()));
}

TEST(Shield, B9_NestedSectionsHaveTheEarliestDeadline)
{
    Section outer(1000);
    ssl_deadline limit = sally_shield_deadline();
    {
        Section longer(kLongMs);
        EXPECT_EQ(limit.monotonic_ns, sally_shield_deadline().monotonic_ns);
        Section over(0);
        EXPECT_EQ(SALLY_TIMEOUT, check(SALLY_PLAIN));
    }
    EXPECT_EQ(limit.monotonic_ns, sally_shield_deadline().monotonic_ns);
    EXPECT_EQ(SALLY_OK, check(SALLY_PLAIN));
}

TEST(Shield, B9_AnInnerEndKeepsTheOuterSectionUp)
{
    Break brk = new_break();
    ssl_break_send(brk.get(), 1);
    Section outer;
    {
        Section inner;
    }
    EXPECT_EQ(SALLY_OK, check(brk.get()));
}

TEST(Shield, B9_OtherThreadsSeeBreaksAsEver)
{
    Break brk = new_break();
    ssl_break_send(brk.get(), 1);
    Section section;
    in_new_thread([&] {
        EXPECT_EQ(SALLY_BREAK, check(brk.get()));
        EXPECT_FALSE(sally_shield_is_up());
    });
}

TEST(Shield, B9_NothingIsAllocatedAndNothingOpened)
{
    FdGuard fds;
    sally_mem_fail_at(1, 0);
    {
        Section section;
        Section inner;
    }
    EXPECT_EQ(0, sally_mem_count());
    sally_mem_fail_at(0, 0);
}

TEST(Shield, E3_WrongUseIsNamedAndChangesNothing)
{
    ssl_shield shield;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_break_shield(10, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_break_shield(-1, &shield, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "negative")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_break_unshield(nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_break_unshield(&shield, &err), err)) << "never begun";
    EXPECT_FALSE(sally_shield_is_up());
    Section outer;
    {
        Section inner;
        EXPECT_TRUE(is(SALLY_USAGE, ssl_break_shield(10, outer.get(), &err), err));
        EXPECT_TRUE(is(SALLY_USAGE, ssl_break_unshield(outer.get(), &err), err));
        EXPECT_NE(nullptr, strstr(err.text, "inside")) << err.text;
        in_new_thread([&] {
            ssl_error wrong;
            EXPECT_TRUE(is(SALLY_USAGE, ssl_break_unshield(outer.get(), &wrong), wrong));
        });
        EXPECT_TRUE(sally_shield_is_up());
    }
    EXPECT_TRUE(sally_shield_is_up());
}

TEST(Shield, W1_WhatAHandlerLeavesOpenIsDropped)
{
    ssl_shield forgotten;
    ASSERT_EQ(SALLY_OK, ssl_break_shield(0, &forgotten, nullptr));
    sally_shield_reset();
    EXPECT_EQ(SALLY_OK, check(SALLY_PLAIN));
    EXPECT_EQ(SALLY_USAGE, ssl_break_unshield(&forgotten, nullptr));
}

// A section goes with its thread into the child, which has tokens of its own.
TEST(Shield, B10_AChildOfForkIsInTheSectionToo)
{
    Section section;
    pid_t child = fork();
    if (child == 0) {
        int wrong = sally_shield_is_up() ? 0 : 1;
        wrong |= ssl_break_send(own_token(), 1) != SALLY_OK ? 2 : 0;
        wrong |= check(nullptr) != SALLY_OK ? 4 : 0;
        _exit(wrong);
    }
    int status = -1;
    ASSERT_EQ(child, waitpid(child, &status, 0));
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status));
}

// sync.c: locks and their order, conditions, threads, and the process generation (B10).

#include <atomic>
#include <cerrno>
#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/threads.h"

extern "C" {
#include "sync.h"
}

namespace
{

struct Lock {
    explicit Lock(sally_rank rank)
    {
        sally_mutex_init(&m, rank);
    }
    ~Lock()
    {
        sally_mutex_fini(&m);
    }
    sally_mutex m;
};

class SyncDeathTest : public testing::Test
{
  protected:
    void SetUp() override
    {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
    }

    Lock low{SALLY_RANK_SERVER};
    Lock high{SALLY_RANK_WAKE};
};

TEST_F(SyncDeathTest, LocksInRisingRankAreFine)
{
    sally_mutex_lock(&low.m);
    sally_mutex_lock(&high.m);
    sally_mutex_assert_held(&low.m);
    sally_mutex_assert_held(&high.m);
    sally_mutex_unlock(&low.m);
    sally_mutex_unlock(&high.m);
    sally_mutex_lock(&low.m);
    sally_mutex_unlock(&low.m);
}

TEST_F(SyncDeathTest, LocksInFallingRankAreNot)
{
    sally_mutex_lock(&high.m);
    EXPECT_DEATH(sally_mutex_lock(&low.m), "rank 1 taken while");
    sally_mutex_unlock(&high.m);
}

TEST_F(SyncDeathTest, TwoLocksOfOneRankAreNot)
{
    Lock other(SALLY_RANK_SERVER);
    sally_mutex_lock(&low.m);
    EXPECT_DEATH(sally_mutex_lock(&other.m), "taken while");
    EXPECT_DEATH(sally_mutex_lock(&low.m), "taken while");
    sally_mutex_unlock(&low.m);
}

TEST_F(SyncDeathTest, HeldMeansHeldByThisThread)
{
    EXPECT_DEATH(sally_mutex_assert_held(&low.m), "not held");
    EXPECT_DEATH(sally_mutex_unlock(&low.m), "not held");
}

TEST_F(SyncDeathTest, NobodySleepsWithAnotherLockInHand)
{
    sally_cond c;
    sally_cond_init(&c);
    sally_mutex_lock(&low.m);
    sally_mutex_lock(&high.m);
    EXPECT_DEATH(sally_cond_wait(&c, &high.m), "waited on while another lock is held");
    sally_mutex_unlock(&high.m);
    sally_mutex_unlock(&low.m);
    sally_cond_fini(&c);
}

TEST(Sync, AStaticMutexNeedsNoInit)
{
// C++ warns of the fields that the C initialiser leaves zero.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
    static sally_mutex m = SALLY_MUTEX_INIT(SALLY_RANK_RESOLVE);
#pragma GCC diagnostic pop
    sally_mutex_lock(&m);
    sally_mutex_assert_held(&m);
    sally_mutex_unlock(&m);
}

TEST(Sync, OnlyOneThreadIsInside)
{
    Lock lock(SALLY_RANK_SERVER);
    long count = 0;
    auto add = [&] {
        for (int i = 0; i < 20000; i++) {
            sally_mutex_lock(&lock.m);
            count++;
            sally_mutex_unlock(&lock.m);
        }
    };
    {
        sallytest::Thread one(add);
        sallytest::Thread two(add);
    }
    EXPECT_EQ(count, 40000);
}

struct Flag {
    Flag()
    {
        sally_cond_init(&changed);
    }
    ~Flag()
    {
        sally_cond_fini(&changed);
    }
    Lock lock{SALLY_RANK_SERVER};
    sally_cond changed;
    bool set = false;

    void wait()
    {
        sally_mutex_lock(&lock.m);
        while (!set) {
            sally_cond_wait(&changed, &lock.m);
        }
        sally_mutex_unlock(&lock.m);
    }
    void raise(void (*tell)(sally_cond *))
    {
        sally_mutex_lock(&lock.m);
        set = true;
        tell(&changed);
        sally_mutex_unlock(&lock.m);
    }
};

TEST(Sync, ASignalWakesAndABroadcastWakesAll)
{
    Flag one;
    {
        sallytest::Thread waiter([&] { one.wait(); });
        one.raise(sally_cond_signal);
    }
    Flag all;
    {
        sallytest::Thread first([&] { all.wait(); });
        sallytest::Thread second([&] { all.wait(); });
        all.raise(sally_cond_broadcast);
    }
}

TEST(Sync, ATimedWaitEndsAtItsDeadlineAndNotBefore)
{
    Flag flag;
    ssl_deadline soon = sally_deadline_after_ms(20);
    sally_mutex_lock(&flag.lock.m);
    while (sally_cond_wait_until(&flag.changed, &flag.lock.m, soon)) {}
    sally_mutex_assert_held(&flag.lock.m);
    EXPECT_TRUE(sally_deadline_passed(soon));
    EXPECT_FALSE(sally_cond_wait_until(&flag.changed, &flag.lock.m, ssl_deadline{-5}));
    sally_mutex_unlock(&flag.lock.m);
}

TEST(Sync, ATimedWaitIsWokenBeforeItsDeadline)
{
    Flag flag;
    sallytest::Thread waiter([&] {
        sally_mutex_lock(&flag.lock.m);
        while (!flag.set) {
            EXPECT_TRUE(sally_cond_wait_until(&flag.changed, &flag.lock.m, SALLY_NEVER));
        }
        sally_mutex_unlock(&flag.lock.m);
    });
    flag.raise(sally_cond_signal);
}

void *report_mask(void *out)
{
    pthread_sigmask(SIG_SETMASK, nullptr, static_cast<sigset_t *>(out));
    return nullptr;
}

TEST(Thread, NewThreadsHaveAllSignalsBlockedAndTheCallerHasNot)
{
    sigset_t before;
    sigset_t inside;
    sigset_t after;
    report_mask(&before);
    sally_thread t;
    ASSERT_EQ(sally_thread_start(&t, 0, report_mask, &inside), 0);
    sally_thread_join(&t);
    report_mask(&after);
    for (int signo : {SIGINT, SIGTERM, SIGUSR1, SIGPIPE, SIGALRM}) {
        EXPECT_TRUE(sigismember(&inside, signo)) << signo;
        EXPECT_EQ(sigismember(&before, signo), sigismember(&after, signo)) << signo;
    }
}

void *store_stack_size(void *out)
{
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, static_cast<size_t *>(out));
    pthread_attr_destroy(&attributes);
    return nullptr;
}

TEST(Thread, TheStackIsAsLargeAsAsked)
{
    const size_t asked = 64u << 20;
    size_t stack_bytes = 0;
    sally_thread t;
    ASSERT_EQ(sally_thread_start(&t, asked, store_stack_size, &stack_bytes), 0);
    sally_thread_join(&t);
    EXPECT_GE(stack_bytes, asked);
}

void *do_nothing(void *)
{
    return nullptr;
}

TEST(Thread, AStackThatIsTooSmallIsMadeLargeEnough)
{
    sally_thread t;
    ASSERT_EQ(sally_thread_start(&t, 1, do_nothing, nullptr), 0);
    sally_thread_join(&t);
}

void *set_flag(void *flag)
{
    *static_cast<std::atomic<bool> *>(flag) = true;
    return nullptr;
}

TEST(Thread, ADetachedThreadRuns)
{
    static std::atomic<bool> ran{false};
    ASSERT_EQ(sally_thread_start_detached(0, set_flag, &ran), 0);
    EXPECT_TRUE(sallytest::eventually([] { return ran.load(); }));
}

TEST(Thread, AStartFailsWhenATestAsksForIt)
{
    sally_thread t;
    sally_thread_fail_at(1);
    EXPECT_EQ(sally_thread_start(&t, 0, do_nothing, nullptr), EAGAIN);
    EXPECT_EQ(sally_thread_start_detached(0, do_nothing, nullptr), 0);
    sally_thread_fail_at(0);
}

// The child's exit status is what `check` gives there.
template <typename Check>
int in_child(Check check)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(check());
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Generation, B10_GrowsInEveryChildAndNotInTheParent)
{
    unsigned mine = sally_process_generation();
    EXPECT_EQ(in_child([mine] { return sally_process_generation() == mine + 1 ? 0 : 1; }), 0);
    EXPECT_EQ(in_child([mine] {
                  return in_child(
                      [mine] { return sally_process_generation() == mine + 2 ? 0 : 1; });
              }),
              0);
    EXPECT_EQ(sally_process_generation(), mine);
}

} // namespace

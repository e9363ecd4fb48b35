#include "support/faults.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "support/guards.h"
#include "support/threads.h"

extern "C" {
#include "fd.h"
#include "mem.h"
#include "sock.h"
#include "sync.h"
}

namespace sallytest
{
namespace
{

// More than any constructor needs; a sweep that gets here does not end by itself.
constexpr long kSweepLimit = 20000;

// The thread's error queue keeps the buffers of its 16 entries, three for each, for reuse.
constexpr long kErrorQueueBlocks = 48;

// ---- OpenSSL's allocator: counts, and fails the n-th of its thread ----

thread_local long ossl_fail_at = 0;
thread_local long ossl_count = 0;
std::atomic<long> ossl_blocks{0};

bool ossl_must_fail()
{
    return ossl_fail_at != 0 && ++ossl_count == ossl_fail_at;
}

void *ossl_malloc(size_t n, const char *, int)
{
    void *block = ossl_must_fail() ? nullptr : std::malloc(n);
    ossl_blocks += block != nullptr ? 1 : 0;
    return block;
}

void ossl_free(void *block, const char *, int)
{
    ossl_blocks -= block != nullptr ? 1 : 0;
    std::free(block);
}

void *ossl_realloc(void *block, size_t n, const char *file, int line)
{
    if (block == nullptr) {
        return ossl_malloc(n, file, line);
    }
    if (n == 0) {
        ossl_free(block, file, line);
        return nullptr;
    }
    return ossl_must_fail() ? nullptr : std::realloc(block, n);
}

// OpenSSL takes other allocators only before its first allocation.
const bool installed = CRYPTO_set_mem_functions(ossl_malloc, ossl_realloc, ossl_free) == 1;

// ---- the sweep ----

struct Kind {
    void (*begin)(long nth, int sys_errno);
    // Stops the faults; calls that could have failed.
    long (*end)();
    void (*judge)(ssl_status status, const ssl_error &err, int sys_errno);
    int sys_errno;
};

bool is_hopeless(ssl_status status, long nth, long calls)
{
    return status != SALLY_OK && calls < nth;
}

// One try with the nth call failing; true when the sweep is over.
bool try_nth(const Kind &kind, const Trial &trial, long nth)
{
    FdGuard fds;
    ssl_error err = {};
    trial.prepare();
    kind.begin(nth, kind.sys_errno);
    ssl_status status = trial.attempt(&err);
    long calls = kind.end();
    EXPECT_EQ(0u, ERR_peek_error()) << "E1: OpenSSL's queue is not empty";
    trial.cleanup();
    EXPECT_FALSE(is_hopeless(status, nth, calls)) << "failed without a fault: " << err.text;
    if (status != SALLY_OK && calls >= nth) {
        EXPECT_EQ(status, err.status);
        EXPECT_NE('\0', err.text[0]);
        kind.judge(status, err, kind.sys_errno);
    }
    return calls < nth;
}

void run_without_fault(const char *what, const Trial &trial)
{
    ssl_error err = {};
    trial.prepare();
    EXPECT_EQ(SALLY_OK, trial.attempt(&err)) << what << ", without a fault: " << err.text;
    trial.cleanup();
}

long sweep(const char *what, const Kind &kind, const Trial &trial)
{
    run_without_fault(what, trial);
    for (long nth = 1; nth < kSweepLimit; nth += trial.stride) {
        SCOPED_TRACE(testing::Message() << what << ", fault " << nth);
        if (try_nth(kind, trial, nth)) {
            EXPECT_GT(nth, 1) << "the sweep met nothing that can fail";
            return nth - 1;
        }
        if (testing::Test::HasFailure()) {
            return nth;
        }
    }
    ADD_FAILURE() << what << ": still failing after " << kSweepLimit << " faults";
    return kSweepLimit;
}

void judge_memory(ssl_status status, const ssl_error &err, int)
{
    EXPECT_EQ(SALLY_MEMORY, status) << ssl_status_name(status) << ": " << err.text;
}

void judge_system(ssl_status status, const ssl_error &err, int sys_errno)
{
    EXPECT_EQ(SALLY_SYSTEM, status) << ssl_status_name(status) << ": " << err.text;
    EXPECT_EQ(sys_errno, err.sys_errno) << err.text;
}

void judge_nothing(ssl_status, const ssl_error &, int) {}

void begin_mem(long nth, int)
{
    sally_mem_fail_at(nth, 0);
}

long end_mem()
{
    long calls = sally_mem_count();
    sally_mem_fail_at(0, 0);
    return calls;
}

void begin_ossl(long nth, int)
{
    ossl_count = 0;
    ossl_fail_at = nth;
}

long end_ossl()
{
    ossl_fail_at = 0;
    return ossl_count;
}

void begin_sock(long nth, int sys_errno)
{
    sally_sock_fail_at(nth, sys_errno);
}

long end_sock()
{
    long calls = sally_sock_count();
    sally_sock_fail_at(0, 0);
    return calls;
}

void begin_fd(long nth, int sys_errno)
{
    sally_fd_fail_at(nth, sys_errno);
}

long end_fd()
{
    long calls = sally_fd_count();
    sally_fd_fail_at(0, 0);
    return calls;
}

} // namespace

long sweep_allocations(const char *what, const Trial &trial)
{
    return sweep(what, Kind{begin_mem, end_mem, judge_memory, 0}, trial);
}

long sweep_openssl_allocations(const char *what, const Trial &trial)
{
    EXPECT_TRUE(installed) << "OpenSSL has allocated before the test's allocator was set";
    run_without_fault(what, trial);
    long before = openssl_blocks();
    long met = sweep(what, Kind{begin_ossl, end_ossl, judge_nothing, 0}, trial);
    bool back = eventually([before] { return openssl_blocks() <= before + kErrorQueueBlocks; });
    EXPECT_TRUE(back) << what << ": OpenSSL holds " << openssl_blocks() - before << " more blocks";
    return met;
}

long sweep_socket_calls(const char *what, int sys_errno, const Trial &trial)
{
    return sweep(what, Kind{begin_sock, end_sock, judge_system, sys_errno}, trial);
}

long sweep_fd_calls(const char *what, int sys_errno, const Trial &trial)
{
    return sweep(what, Kind{begin_fd, end_fd, judge_system, sys_errno}, trial);
}

long sweep_thread_starts(const char *what, const Trial &trial)
{
    for (long nth = 1; nth <= 64; nth++) {
        SCOPED_TRACE(testing::Message() << what << ", thread " << nth);
        LeakGuard leaks;
        ssl_error err = {};
        trial.prepare();
        sally_thread_fail_at(nth);
        ssl_status status = trial.attempt(&err);
        sally_thread_fail_at(0);
        trial.cleanup();
        if (status == SALLY_OK) {
            EXPECT_GT(nth, 1) << "the sweep met no thread";
            return nth - 1;
        }
        EXPECT_EQ(SALLY_SYSTEM, status) << err.text;
    }
    return 64;
}

long openssl_blocks()
{
    return ossl_blocks;
}

} // namespace sallytest

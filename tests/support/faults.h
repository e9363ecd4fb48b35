// Sweeps: the n-th allocation, thread or socket call of a constructor fails, for n = 1, 2, 3... until
// one try meets no fault any more. No count is written down anywhere.
//
// A try runs the constructor under test, checks its out-parameters, and frees what it made:
//
//     sweep_allocations("ssl_registry_new", [](ssl_error *err) {
//         ssl_registry *made = nullptr;
//         ssl_status status = ssl_registry_new(&made, err);
//         EXPECT_EQ(status == SALLY_OK, made != nullptr);
//         ssl_registry_release(made);
//         return status;
//     });
//
// Faults hit the calling thread only. Each sweep returns the number of faults that were met, and fails
// the test when it met none, because then it proved nothing.
#ifndef SALLY_TEST_FAULTS_H
#define SALLY_TEST_FAULTS_H

#include <functional>

#include "sallyport/error.h"

namespace sallytest
{

using Try = std::function<ssl_status(ssl_error *)>;

// A try with surroundings that no fault hits: a listener and its client, say.
struct Trial {
    Try attempt;
    std::function<void()> prepare = [] {};
    std::function<void()> cleanup = [] {};
    long stride = 1; // every so many-th fault only, where a try is slow and its faults are many

    // A bare try is a trial.
    template <class Attempt>
    Trial(Attempt attempt_) : attempt(std::move(attempt_))
    {
    }
};

// Ours: each gives OK (the allocation was not needed) or MEMORY with a text; no fd is left.
long sweep_allocations(const char *what, const Trial &trial);
// OpenSSL's: OK or any error with a text; no fd is left, and OpenSSL holds no more memory than before.
long sweep_openssl_allocations(const char *what, const Trial &trial);
// Socket calls fail with `sys_errno`: OK, or SYSTEM (or what `wanted` says) with that errno.
long sweep_socket_calls(const char *what, int sys_errno, const Trial &trial);
// Calls on the user's descriptors (fd.c) fail with `sys_errno`, judged in the same way.
long sweep_fd_calls(const char *what, int sys_errno, const Trial &trial);
// Thread starts fail.
long sweep_thread_starts(const char *what, const Trial &trial);

// Blocks that OpenSSL holds now, in all threads.
long openssl_blocks();

} // namespace sallytest
#endif

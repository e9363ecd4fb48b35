#include "support/threads.h"

#include <chrono>
#include <fstream>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/rng.h"

namespace sallytest
{
namespace
{

using Clock = std::chrono::steady_clock;

void run_reporting(const std::function<void()> &run)
{
    try {
        run();
    } catch (const std::exception &e) {
        ADD_FAILURE() << "thrown in a test's thread: " << e.what();
    } catch (...) {
        ADD_FAILURE() << "something was thrown in a test's thread";
    }
}

// The number of the system call that a thread sleeps in; -1: it runs, or is gone.
long sleeping_call(pid_t tid)
{
    std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/syscall");
    long number = -1;
    return file >> number ? number : -1;
}

// "TID (NAME) STATE ...": S is an interruptible sleep.
bool is_off_cpu(pid_t tid)
{
    std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/stat");
    std::string line;
    std::getline(file, line);
    size_t end = line.rfind(") ");
    return end != std::string::npos && line.compare(end + 2, 1, "S") == 0;
}

bool is_waiting_call(long number)
{
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
#endif
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_ppoll:
    case SYS_epoll_pwait: return true;
    default: return false;
    }
}

} // namespace

pid_t current_tid()
{
    return static_cast<pid_t>(syscall(SYS_gettid));
}

Thread::Thread(std::function<void()> run)
    : thread_([this, run = std::move(run)] {
          tid_ = current_tid();
          run_reporting(run);
          done_ = true;
      })
{
}

void Thread::join()
{
    if (thread_.joinable()) {
        thread_.join();
    }
}

pid_t Thread::tid() const
{
    while (tid_ == 0) {
        std::this_thread::yield();
    }
    return tid_;
}

void in_new_thread(const std::function<void()> &body)
{
    Thread thread(body);
}

void Latch::open()
{
    std::lock_guard<std::mutex> lock(rendezvous_->mutex);
    open_ = true;
    rendezvous_->changed.notify_all();
}

bool Latch::wait(int seconds)
{
    std::unique_lock<std::mutex> lock(rendezvous_->mutex);
    auto until = std::chrono::system_clock::now() + std::chrono::seconds(slow(seconds));
    bool opened = rendezvous_->changed.wait_until(lock, until, [this] { return open_; });
    EXPECT_TRUE(opened) << "a latch stayed shut";
    return opened;
}

void Barrier::wait()
{
    std::unique_lock<std::mutex> lock(rendezvous_->mutex);
    unsigned round = round_;
    if (++waiting_ == count_) {
        waiting_ = 0;
        round_++;
        rendezvous_->changed.notify_all();
        return;
    }
    rendezvous_->changed.wait(lock, [this, round] { return round_ != round; });
}

bool eventually(const std::function<bool()> &is_true, int seconds)
{
    auto until = Clock::now() + std::chrono::seconds(slow(seconds));
    while (!is_true()) {
        if (Clock::now() > until) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

bool wait_until_asleep(pid_t tid, int seconds)
{
    return eventually([tid] { return is_waiting_call(sleeping_call(tid)); }, seconds);
}

bool wait_until_asleep(const Thread &thread, int seconds)
{
    return wait_until_asleep(thread.tid(), seconds);
}

bool wait_until_off_cpu(const Thread &thread, int seconds)
{
    return eventually([tid = thread.tid()] { return is_off_cpu(tid); }, seconds);
}

} // namespace sallytest

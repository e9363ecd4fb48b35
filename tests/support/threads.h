// Threads that report what they throw, and choreography without sleeping.
#ifndef SALLY_TEST_THREADS_H
#define SALLY_TEST_THREADS_H

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <pthread.h>
#include <sys/types.h>

namespace sallytest
{

// A thread of a test: joined at the latest when it goes out of scope; an exception in it is a test
// failure.
class Thread
{
  public:
    explicit Thread(std::function<void()> run);
    ~Thread()
    {
        join();
    }
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;

    void join();
    // Whether it has returned; join does not block then.
    bool is_done() const
    {
        return done_;
    }
    // Its kernel thread id, once it runs.
    pid_t tid() const;

  private:
    std::atomic<pid_t> tid_{0};
    std::atomic<bool> done_{false};
    std::thread thread_;
};

// Runs `body` in a thread of its own and waits for it: what the library keeps per thread is gone
// afterwards.
void in_new_thread(const std::function<void()> &body);

// A mutex and what is signalled under it. A std::mutex ends without a word, and Valgrind's tools would hold
// the next thing in its place for the mutex that was there before.
struct Rendezvous {
    std::mutex mutex;
    std::condition_variable changed;

    ~Rendezvous()
    {
        pthread_mutex_destroy(mutex.native_handle());
    }
};

// Opens once, for all who wait.
class Latch
{
  public:
    void open();
    // False, and a test failure, after `seconds`.
    bool wait(int seconds = 20);

  private:
    const std::unique_ptr<Rendezvous> rendezvous_ = std::make_unique<Rendezvous>();
    bool open_ = false;
};

// All `count` threads leave when the last has come, again and again.
class Barrier
{
  public:
    explicit Barrier(int count) : count_(count) {}
    void wait();

  private:
    const std::unique_ptr<Rendezvous> rendezvous_ = std::make_unique<Rendezvous>();
    int count_;
    int waiting_ = 0;
    unsigned round_ = 0;
};

// Looks again and again until `is_true`, at most `seconds` (stretched in slow builds). The only place
// that sleeps, and never as synchronisation: the condition decides.
bool eventually(const std::function<bool()> &is_true, int seconds = 5);

// Until the thread sleeps in poll(2) or the like: it is blocked in the call under test.
bool wait_until_asleep(pid_t tid, int seconds = 10);
bool wait_until_asleep(const Thread &thread, int seconds = 10);
// The same for any kind of sleep: a condition, a mutex, a join.
bool wait_until_off_cpu(const Thread &thread, int seconds = 10);

pid_t current_tid();

} // namespace sallytest
#endif

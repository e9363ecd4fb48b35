// Nothing is left behind: file descriptors, threads, memory.
//
// A guard counts when it is made and again when it goes out of scope. What ends a little later
// (helper threads, lingering sockets) gets up to five seconds; what is left then fails the test and is
// named. The library keeps a wake per thread until the thread ends: call warm_up() (pairs.h) first, or
// do the work in in_new_thread().
#ifndef SALLY_TEST_GUARDS_H
#define SALLY_TEST_GUARDS_H

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <sys/types.h>

namespace sallytest
{

// Open file descriptors and what each of them is, from /proc/self/fd.
std::map<int, std::string> open_fds();
// Ids of all threads, from /proc/self/task.
std::set<pid_t> running_threads();
// How many of them were not there `before`. Threads of earlier tests may end meanwhile.
size_t threads_since(const std::set<pid_t> &before);
// Bytes that malloc has handed out; 0 where a sanitizer has its own malloc.
size_t heap_bytes();

// The sockets that were opened since it was made. By name, because numbers may be used again, and
// sockets of earlier connections go meanwhile.
class SocketsSince
{
  public:
    SocketsSince();
    std::vector<int> opened() const;

  private:
    std::set<std::string> before_;
};

class FdGuard
{
  public:
    FdGuard() : before_(open_fds()) {}
    ~FdGuard();
    FdGuard(const FdGuard &) = delete;
    FdGuard &operator=(const FdGuard &) = delete;

  private:
    std::map<int, std::string> before_;
};

class ThreadGuard
{
  public:
    ThreadGuard() : before_(running_threads()) {}
    ~ThreadGuard();
    ThreadGuard(const ThreadGuard &) = delete;
    ThreadGuard &operator=(const ThreadGuard &) = delete;

  private:
    std::set<pid_t> before_;
};

// Memory may grow by `slack` bytes: caches of malloc and of OpenSSL. Leak checkers are exact; this one
// is for growth over many rounds.
class HeapGuard
{
  public:
    explicit HeapGuard(size_t slack = 256 * 1024) : before_(heap_bytes()), slack_(slack) {}
    ~HeapGuard();
    HeapGuard(const HeapGuard &) = delete;
    HeapGuard &operator=(const HeapGuard &) = delete;

  private:
    size_t before_;
    size_t slack_;
};

// All three. Memory is counted last, when the threads are gone.
class LeakGuard
{
  public:
    explicit LeakGuard(size_t heap_slack = 256 * 1024) : heap_(heap_slack) {}

  private:
    HeapGuard heap_;
    FdGuard fds_;
    ThreadGuard threads_;
};

} // namespace sallytest
#endif

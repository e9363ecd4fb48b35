// A thread sleeps on a pipe until the time of the running test is up. The stacks come from gdb where
// there is one, and else from a signal to each thread; threads that block all signals show only what
// the kernel knows of them.
#include "support/watchdog.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <execinfo.h>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <dirent.h>
#include <gtest/gtest.h>

#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

using Clock = std::chrono::steady_clock;

constexpr int kNever = INT_MAX;
std::atomic<int> stack_printed{0};

std::string first_line(const std::string &path)
{
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::vector<pid_t> all_threads()
{
    std::vector<pid_t> tids;
    DIR *dir = opendir("/proc/self/task");
    for (dirent *entry = readdir(dir); entry != nullptr; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            tids.push_back(static_cast<pid_t>(std::atoi(entry->d_name)));
        }
    }
    closedir(dir);
    return tids;
}

void print_own_stack(int)
{
    void *frames[64];
    int count = backtrace(frames, 64);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    stack_printed = 1;
}

void print_stack_of(pid_t tid)
{
    std::string task = "/proc/self/task/" + std::to_string(tid);
    std::fprintf(stderr, "-- thread %d (%s) in %s, system call %s\n", static_cast<int>(tid),
                 first_line(task + "/comm").c_str(), first_line(task + "/wchan").c_str(),
                 first_line(task + "/syscall").c_str());
    stack_printed = 0;
    syscall(SYS_tgkill, getpid(), tid, SIGUSR2);
    for (int i = 0; i < 200 && stack_printed == 0; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

// False where there is no gdb, or it may not look at us.
bool print_stacks_by_gdb()
{
    std::string pid = std::to_string(getpid());
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execlp("gdb", "gdb", "-q", "-batch", "-nx", "-ex", "thread apply all bt 24", "-p",
               pid.c_str(), static_cast<char *>(nullptr));
        _exit(127);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

int default_seconds()
{
    const char *given = std::getenv("SALLY_TEST_WATCHDOG");
    if (given != nullptr) {
        return std::atoi(given) > 0 ? std::atoi(given) : kNever;
    }
    return slow(static_cast<int>(long_run(50, 50 * 30)));
}

// The end of the running test's time, on the steady clock; the thread looks at it whenever the pipe
// gets a byte.
class Watchdog
{
  public:
    void arm(int seconds)
    {
        start_once();
        deadline_ = seconds == kNever ? Clock::time_point::max()
                                      : Clock::now() + std::chrono::seconds(seconds);
        while (write(pipe_[1], "x", 1) < 0 && errno == EINTR) {}
    }

  private:
    void start_once()
    {
        // A child of fork has the pipe but not the thread; death tests need none.
        if (pipe_[0] < 0 && pipe2(pipe_, O_CLOEXEC) == 0) {
            std::thread([this] { watch(); }).detach();
        }
    }

    int left_ms() const
    {
        Clock::time_point deadline = deadline_;
        if (deadline == Clock::time_point::max()) {
            return -1;
        }
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        return left.count() < 0 ? 0 : static_cast<int>(left.count());
    }

    void watch()
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        for (;;) {
            pollfd fd = {pipe_[0], POLLIN, 0};
            poll(&fd, 1, left_ms());
            char drained[64];
            if ((fd.revents & POLLIN) != 0 && read(pipe_[0], drained, sizeof drained) > 0) {
                continue;
            }
            if (left_ms() == 0) {
                bite();
            }
        }
    }

    [[noreturn]] static void bite()
    {
        const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
        std::fprintf(stderr, "watchdog: %s.%s hangs; all stacks:\n",
                     test != nullptr ? test->test_suite_name() : "?",
                     test != nullptr ? test->name() : "?");
        print_all_stacks();
        std::signal(SIGABRT, SIG_DFL);
        std::abort();
    }

    int pipe_[2] = {-1, -1};
    std::atomic<Clock::time_point> deadline_{Clock::time_point::max()};
};

// Never freed: its thread looks at it until the very end.
Watchdog &watchdog()
{
    static auto *const it = new Watchdog;
    return *it;
}

class ArmForEachTest : public testing::EmptyTestEventListener
{
    void OnTestStart(const testing::TestInfo &) override
    {
        watchdog().arm(default_seconds());
    }
    void OnTestEnd(const testing::TestInfo &) override
    {
        watchdog().arm(kNever);
    }
};

// GoogleTest owns the listener.
const bool installed = [] {
    testing::UnitTest::GetInstance()->listeners().Append(new ArmForEachTest);
    return true;
}();

} // namespace

void watchdog_limit(int seconds)
{
    if (installed && std::getenv("SALLY_TEST_WATCHDOG") == nullptr) {
        watchdog().arm(slow(seconds));
    }
}

void print_all_stacks()
{
    if (print_stacks_by_gdb()) {
        return;
    }
    struct sigaction action = {};
    action.sa_handler = print_own_stack;
    sigaction(SIGUSR2, &action, nullptr);
    for (pid_t tid : all_threads()) {
        print_stack_of(tid);
    }
}

} // namespace sallytest

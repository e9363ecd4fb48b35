// A program run by a test: its standard input fed, its output collected, its end bounded.
#ifndef SALLY_TEST_PROCESS_H
#define SALLY_TEST_PROCESS_H

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "support/raw_channel.h"

namespace sallytest
{

struct ProcessOptions {
    bool collect_output = true; // false: nobody reads its standard output until collect_output()
    std::vector<std::string> environment; // added to ours, "NAME=VALUE"
};

// Starts with SIGINT, SIGTERM and SIGPIPE at their defaults. Killed when it outlives this object.
class Process
{
  public:
    explicit Process(std::vector<std::string> words, const ProcessOptions &options = {});
    ~Process();
    Process(const Process &) = delete;
    Process &operator=(const Process &) = delete;

    // Feeds standard input in a thread; one after the other, and close_input after the last.
    void feed(std::string bytes);
    void feed_and_close(std::string bytes);
    void close_input();
    void collect_output();

    void signal(int number) const;
    // Its exit status, or 128 + the signal that killed it. After `seconds` (stretched in slow builds)
    // it is killed, and that is a test failure.
    int wait(int seconds = 20);
    bool has_ended();

    // What it has written so far; after wait, all of it.
    std::string out();
    std::string err();
    // False, and a test failure with what it said, when the text does not come.
    bool wait_for_output(const std::string &text, int seconds = 20);
    bool wait_for_errors(const std::string &text, int seconds = 20);
    // The number right behind `mark` in its output, once all its digits are there: a port that it picked. 0, and
    // a test failure, when it does not come.
    int number_after(const std::string &mark, int seconds = 20);
    // Until it handles signal `number` and all its threads sleep: it is blocked in the call under test.
    bool wait_until_blocked(int number, int seconds = 20);

    pid_t pid() const
    {
        return pid_;
    }

  private:
    struct Collected {
        Fd fd;
        std::string bytes;
        std::thread reader;
    };

    void start(const std::vector<std::string> &words, const ProcessOptions &options, int fds[3]);
    void collect(Collected *from);
    bool wait_for(const Collected &from, const std::string &text, int seconds);
    void join_all();

    pid_t pid_ = -1;
    int status_ = -1; // as wait returns it; -1: still running
    Fd input_;
    std::thread feeder_;
    std::mutex mutex_; // bytes of the collected
    std::condition_variable changed_;
    Collected out_;
    Collected err_;
};

// A program of the build tree: "examples/echo/echo_server".
std::string built(const std::string &path);
// Whether the command is in the PATH.
bool is_installed(const std::string &command);

} // namespace sallytest
#endif

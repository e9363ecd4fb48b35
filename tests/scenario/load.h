// Clients that come while one process of a server follows another, and the processes.
#ifndef SALLY_TEST_SCENARIO_LOAD_H
#define SALLY_TEST_SCENARIO_LOAD_H

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>

#include "scenario/ends.h"

namespace sallytest
{

// Clients one after the other in some threads: what became of them.
class Load
{
  public:
    explicit Load(int port) : port_(port)
    {
        for (auto &thread : threads_) {
            thread = std::make_unique<Thread>([this] { run(); });
        }
    }
    void stop()
    {
        stop_ = true;
        for (auto &thread : threads_) {
            thread->join();
        }
    }
    long served() const
    {
        return served_;
    }
    // Many more clients are served.
    bool goes_on() const
    {
        long before = served_;
        return eventually([&] { return served_ > before + 50; }, 20);
    }
    std::string failures()
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return failures_;
    }

  private:
    void run()
    {
        while (!stop_) {
            one_client();
        }
    }
    // A client that dawdles is hung up on by a drain, politely (W6): that is no loss.
    void one_client()
    {
        auto begun = std::chrono::steady_clock::now();
        std::string answer;
        auto peer = raw_client_at(port_);
        Raw last = peer->handshake();
        const char *what = "handshake";
        if (last == Raw::Ok) {
            last = peer->write_all("Open both doors.");
            what = "request";
        }
        bool was_quick = std::chrono::steady_clock::now() - begun <
                         std::chrono::milliseconds(SALLY_DRAIN_QUIET_MS / 2);
        if (last == Raw::Ok) {
            last = peer->read_full(&answer, 16);
            what = answer == "Open both doors." || last != Raw::Ok ? "answer" : "another answer";
            last = last == Raw::Ok && answer != "Open both doors." ? Raw::Failed : last;
        }
        if (last == Raw::Ok) {
            peer->send_goodbye();
            last = peer->read_to_end(&answer) == Raw::Eof ? Raw::Ok : Raw::Failed;
            what = "goodbye";
        }
        served_ += last == Raw::Ok;
        if (last != Raw::Ok && was_quick) {
            std::lock_guard<std::mutex> lock(mutex_);
            failures_ += std::string(what) + ": " + name_of(last) + "; ";
        }
    }

    int port_;
    std::atomic<bool> stop_{false};
    std::atomic<long> served_{0};
    std::mutex mutex_;
    std::string failures_;
    std::unique_ptr<Thread> threads_[3];
};

// The processes after the first: orphans come to us, so that their ends can be seen. What is left of them is
// ended with the test, or their common output would have no end.
class Successors
{
  public:
    Successors()
    {
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    ~Successors()
    {
        for (pid_t pid : pids_) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, nullptr, 0);
        }
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    }
    void add(pid_t pid)
    {
        pids_.push_back(pid);
    }
    // All end with status 0. The first process must have ended: it was the parent of the second.
    void expect_clean_ends()
    {
        for (; !pids_.empty(); pids_.pop_back()) {
            int status = -1;
            auto ended = [&] { return waitpid(pids_.back(), &status, WNOHANG) == pids_.back(); };
            ASSERT_TRUE(eventually(ended, 30)) << "process " << pids_.back();
            EXPECT_EQ(0, status);
        }
    }

  private:
    std::vector<pid_t> pids_;
};

} // namespace sallytest
#endif

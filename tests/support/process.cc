#include "support/process.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/threads.h"

extern char **environ;

namespace sallytest
{

namespace
{

struct Pipe {
    Fd read_end;
    Fd write_end;
};

Pipe make_pipe()
{
    int fds[2] = {-1, -1};
    EXPECT_EQ(0, pipe2(fds, O_CLOEXEC)) << strerror(errno);
    return {Fd(fds[0]), Fd(fds[1])};
}

// Pointers into `words`, with a null pointer behind.
std::vector<char *> pointers(std::vector<std::string> &words)
{
    std::vector<char *> result;
    for (std::string &word : words) {
        result.push_back(word.data());
    }
    result.push_back(nullptr);
    return result;
}

std::string field_of(const std::string &path, const std::string &name)
{
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.compare(0, name.size(), name) == 0) {
            return line.substr(name.size());
        }
    }
    return "";
}

bool handles_signal(pid_t pid, int number)
{
    std::string caught = field_of("/proc/" + std::to_string(pid) + "/status", "SigCgt:");
    return !caught.empty() && (std::stoull(caught, nullptr, 16) >> (number - 1) & 1) != 0;
}

bool all_threads_sleep(pid_t pid)
{
    std::error_code gone;
    std::filesystem::directory_iterator tasks("/proc/" + std::to_string(pid) + "/task", gone);
    if (gone) {
        return false;
    }
    for (const auto &task : tasks) {
        std::string state = field_of(task.path() / "status", "State:");
        if (state.find("S (") == std::string::npos) {
            return false;
        }
    }
    return true;
}

} // namespace

Process::Process(std::vector<std::string> words, const ProcessOptions &options)
{
    Pipe in = make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    int fds[3] = {in.read_end.get(), out.write_end.get(), err.write_end.get()};
    start(words, options, fds);
    input_ = std::move(in.write_end);
    out_.fd = std::move(out.read_end);
    err_.fd = std::move(err.read_end);
    err_.reader = std::thread([this] { collect(&err_); });
    if (options.collect_output) {
        collect_output();
    }
}

void Process::start(const std::vector<std::string> &words, const ProcessOptions &options,
                    int fds[3])
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++) {
        posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    }
    sigset_t defaults;
    sigset_t none;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (int number : {SIGINT, SIGTERM, SIGPIPE}) {
        sigaddset(&defaults, number);
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

    std::vector<std::string> arguments = words;
    std::vector<std::string> environment = options.environment;
    for (char **entry = environ; *entry != nullptr; entry++) {
        environment.emplace_back(*entry);
    }
    int failed = posix_spawnp(&pid_, arguments[0].c_str(), &actions, &attributes,
                              pointers(arguments).data(), pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0) {
        pid_ = -1;
        status_ = 127;
        ADD_FAILURE() << "cannot start " << words[0] << ": " << strerror(failed);
    }
}

Process::~Process()
{
    if (!has_ended()) {
        signal(SIGKILL);
        wait();
    }
    join_all();
}

void Process::collect_output()
{
    out_.reader = std::thread([this] { collect(&out_); });
}

void Process::collect(Collected *from)
{
    char buf[65536];
    ssize_t n = 0;
    while ((n = read(from->fd.get(), buf, sizeof buf)) > 0) {
        std::lock_guard<std::mutex> lock(mutex_);
        from->bytes.append(buf, static_cast<size_t>(n));
        changed_.notify_all();
    }
}

void Process::feed(std::string bytes)
{
    if (feeder_.joinable()) {
        feeder_.join();
    }
    feeder_ = std::thread([this, bytes = std::move(bytes)] {
        // A program that ends before it has read all is no reason for us to die.
        sigset_t pipe_signal;
        sigemptyset(&pipe_signal);
        sigaddset(&pipe_signal, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
        size_t done = 0;
        while (done < bytes.size()) {
            ssize_t n = write(input_.get(), bytes.data() + done, bytes.size() - done);
            if (n < 0) {
                return;
            }
            done += static_cast<size_t>(n);
        }
    });
}

void Process::feed_and_close(std::string bytes)
{
    feed(std::move(bytes));
    close_input();
}

void Process::close_input()
{
    if (feeder_.joinable()) {
        feeder_.join();
    }
    input_.close();
}

void Process::signal(int number) const
{
    if (pid_ > 0) {
        kill(pid_, number);
    }
}

bool Process::has_ended()
{
    if (status_ >= 0) {
        return true;
    }
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) {
        return false;
    }
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

int Process::wait(int seconds)
{
    if (!eventually([this] { return has_ended(); }, seconds)) {
        ADD_FAILURE() << "the program did not end; it said: " << err();
        signal(SIGKILL);
        eventually([this] { return has_ended(); }, seconds);
    }
    join_all();
    return status_;
}

// Once the program has ended: its pipes are at their ends.
void Process::join_all()
{
    for (std::thread *thread : {&feeder_, &out_.reader, &err_.reader}) {
        if (thread->joinable()) {
            thread->join();
        }
    }
    input_.close();
}

std::string Process::out()
{
    std::lock_guard<std::mutex> lock(mutex_);
    return out_.bytes;
}

std::string Process::err()
{
    std::lock_guard<std::mutex> lock(mutex_);
    return err_.bytes;
}

bool Process::wait_for(const Collected &from, const std::string &text, int seconds)
{
    auto has_come = [this, &from, &text] {
        std::lock_guard<std::mutex> lock(mutex_);
        return from.bytes.find(text) != std::string::npos;
    };
    bool came =
        eventually([&] { return has_come() || has_ended(); }, seconds) && eventually(has_come, 1);
    EXPECT_TRUE(came) << "the program did not say \"" << text << "\", but: " << out() << err();
    return came;
}

bool Process::wait_for_output(const std::string &text, int seconds)
{
    return wait_for(out_, text, seconds);
}

bool Process::wait_for_errors(const std::string &text, int seconds)
{
    return wait_for(err_, text, seconds);
}

int Process::number_after(const std::string &mark, int seconds)
{
    if (!wait_for_output(mark, seconds)) {
        return 0;
    }
    std::string digits;
    auto is_whole = [&] { // its digits may come in two reads
        std::string said = out();
        size_t from = said.find(mark) + mark.size();
        size_t end = said.find_first_not_of("0123456789", from);
        digits = said.substr(from, end - from);
        return end != std::string::npos;
    };
    EXPECT_TRUE(eventually(is_whole, seconds)) << out();
    return digits.empty() ? 0 : std::stoi(digits);
}

bool Process::wait_until_blocked(int number, int seconds)
{
    bool blocked = eventually(
        [this, number] { return handles_signal(pid_, number) && all_threads_sleep(pid_); },
        seconds);
    EXPECT_TRUE(blocked) << "the program does not block; it said: " << err();
    return blocked;
}

std::string built(const std::string &path)
{
    return std::string(SALLY_TEST_BUILD) + "/" + path;
}

bool is_installed(const std::string &command)
{
    const char *path = getenv("PATH");
    std::istringstream directories(path == nullptr ? "" : path);
    std::string directory;
    while (std::getline(directories, directory, ':')) {
        if (access((directory + "/" + command).c_str(), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

} // namespace sallytest

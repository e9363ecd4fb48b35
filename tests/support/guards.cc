#include "support/guards.h"

#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <malloc.h>
#include <sstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/threads.h"

namespace sallytest
{
namespace
{

std::string link_target(const std::string &path)
{
    char target[256];
    ssize_t n = readlink(path.c_str(), target, sizeof target);
    return n < 0 ? "" : std::string(target, static_cast<size_t>(n));
}

std::set<int> numbers_in(const char *directory, int *own_fd)
{
    std::set<int> numbers;
    DIR *dir = opendir(directory);
    if (dir == nullptr) {
        return numbers;
    }
    *own_fd = dirfd(dir);
    for (dirent *entry = readdir(dir); entry != nullptr; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            numbers.insert(std::atoi(entry->d_name));
        }
    }
    closedir(dir);
    return numbers;
}

// Descriptors opened since: by number and target, so that one that was closed and opened anew for
// another use shows.
std::string new_fds(const std::map<int, std::string> &before)
{
    std::ostringstream text;
    for (const auto &[fd, target] : open_fds()) {
        auto old = before.find(fd);
        if (old == before.end() || old->second != target) {
            text << "  " << fd << " -> " << target << "\n";
        }
    }
    return text.str();
}

std::string new_threads(const std::set<pid_t> &before)
{
    std::ostringstream text;
    for (pid_t tid : running_threads()) {
        if (before.count(tid) == 0) {
            std::ifstream comm("/proc/self/task/" + std::to_string(tid) + "/comm");
            std::string name;
            std::getline(comm, name);
            text << "  " << tid << " " << name << "\n";
        }
    }
    return text.str();
}

} // namespace

std::map<int, std::string> open_fds()
{
    int own = -1;
    std::map<int, std::string> fds;
    for (int fd : numbers_in("/proc/self/fd", &own)) {
        std::string target = link_target("/proc/self/fd/" + std::to_string(fd));
        if (fd != own && !target.empty()) {
            fds[fd] = target;
        }
    }
    return fds;
}

std::set<pid_t> running_threads()
{
    int own = -1;
    return numbers_in("/proc/self/task", &own);
}

size_t threads_since(const std::set<pid_t> &before)
{
    size_t count = 0;
    for (pid_t tid : running_threads()) {
        count += before.count(tid) == 0 ? 1 : 0;
    }
    return count;
}

size_t heap_bytes()
{
#ifdef SALLY_TEST_SANITIZED
    return 0;
#else
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
}

SocketsSince::SocketsSince()
{
    for (const auto &[fd, what] : open_fds()) {
        before_.insert(what);
    }
}

std::vector<int> SocketsSince::opened() const
{
    std::vector<int> fds;
    for (const auto &[fd, what] : open_fds()) {
        if (what.rfind("socket:", 0) == 0 && before_.count(what) == 0) {
            fds.push_back(fd);
        }
    }
    return fds;
}

FdGuard::~FdGuard()
{
    bool back = eventually([this] { return open_fds().size() <= before_.size(); });
    EXPECT_TRUE(back) << "file descriptors left open:\n" << new_fds(before_);
}

ThreadGuard::~ThreadGuard()
{
    bool back = eventually([this] { return running_threads().size() <= before_.size(); });
    EXPECT_TRUE(back) << "threads left:\n" << new_threads(before_);
}

HeapGuard::~HeapGuard()
{
    size_t now = heap_bytes();
    EXPECT_LE(now, before_ + slack_) << "bytes of heap grown: " << now - before_;
}

} // namespace sallytest

// Variables of the environment for the time of a test, and a child in which a test may do what it likes.
#ifndef SALLY_TEST_ENVIRONMENT_H
#define SALLY_TEST_ENVIRONMENT_H

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sallytest
{

// Sets a variable (or takes it away), and puts back what was there.
class Variable
{
  public:
    Variable(std::string name, const std::optional<std::string> &value) : name_(std::move(name))
    {
        if (const char *before = getenv(name_.c_str())) {
            before_ = before;
        }
        put(value);
    }
    ~Variable()
    {
        put(before_);
    }
    Variable(const Variable &) = delete;
    Variable &operator=(const Variable &) = delete;

  private:
    void put(const std::optional<std::string> &value)
    {
        if (value) {
            setenv(name_.c_str(), value->c_str(), 1);
        } else {
            unsetenv(name_.c_str());
        }
    }

    std::string name_;
    std::optional<std::string> before_;
};

// Runs `body` in a forked child, whose descriptors and environment are its own. The child ends with the
// number that `body` returns; 0 is success, any other is the line to look for.
inline int in_child(const std::function<int()> &body)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(body());
    }
    int status = -1;
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace sallytest
#endif

// A supervisor's end of sd_notify(3): a datagram socket, by path or by abstract name.
#ifndef SALLY_TEST_SUPERVISOR_H
#define SALLY_TEST_SUPERVISOR_H

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/raw_channel.h"

namespace sallytest
{

class Supervisor
{
  public:
    // A name that no other test has: "@..." in Linux's abstract namespace.
    explicit Supervisor(std::string name = "")
        : name_(name.empty() ? unused_name() : std::move(name)),
          fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_un addr = {};
        addr.sun_family = AF_UNIX;
        std::memcpy(addr.sun_path, name_.data(), name_.size());
        if (name_[0] == '@') {
            addr.sun_path[0] = '\0';
        }
        auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
        EXPECT_EQ(0, bind(fd_.get(), reinterpret_cast<sockaddr *>(&addr), length))
            << strerror(errno);
    }
    // For NOTIFY_SOCKET.
    const std::string &name() const
    {
        return name_;
    }
    int fd() const
    {
        return fd_.get();
    }
    // The next message; "" when there is none.
    std::string heard()
    {
        char bytes[8192];
        ssize_t n = recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
        return n < 0 ? "" : std::string(bytes, static_cast<size_t>(n));
    }
    // The next message that begins so, others are dropped; "" and a test failure when none comes.
    std::string waits_for(const std::string &beginning, int seconds = 20)
    {
        while (wait_for_fd(fd_.get(), POLLIN, seconds * 1000)) {
            std::string message = heard();
            if (message.compare(0, beginning.size(), beginning) == 0) {
                return message;
            }
        }
        ADD_FAILURE() << "no " << beginning << " in " << seconds << " seconds";
        return "";
    }

  private:
    static std::string unused_name()
    {
        static int made = 0;
        return "@sallyport-" + std::to_string(getpid()) + "-" + std::to_string(made++);
    }

    std::string name_;
    Fd fd_;
};

} // namespace sallytest
#endif

// A loopback address that does not answer: it listens, its backlog is full, and a further connect hangs.
#ifndef SALLY_TEST_FULL_LISTENER_H
#define SALLY_TEST_FULL_LISTENER_H

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "support/raw_channel.h"

namespace sallytest
{

class FullListener
{
  public:
    // 127.0.0.`host`; `port` 0: the kernel picks one.
    explicit FullListener(uint8_t host = 1, int port = 0) : listener_(new_socket())
    {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
        address_.sin_port = htons(static_cast<uint16_t>(port));
        socklen_t size = sizeof address_;
        EXPECT_EQ(0, bind(listener_.get(), sockaddr_of(), sizeof address_));
        EXPECT_EQ(0, getsockname(listener_.get(), sockaddr_of(), &size));
        EXPECT_EQ(0, listen(listener_.get(), 0));
        while (queued_.size() < kMost && connects_soon()) {}
    }
    int port() const
    {
        return ntohs(address_.sin_port);
    }
    bool is_full() const
    {
        return queued_.size() < kMost;
    }
    // From now on it answers: whoever hangs connects with the next retransmission of its SYN.
    void make_room()
    {
        EXPECT_EQ(0, listen(listener_.get(), 64));
    }

  private:
    static constexpr size_t kMost = 16;

    static Fd new_socket()
    {
        return Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }
    sockaddr *sockaddr_of()
    {
        return reinterpret_cast<sockaddr *>(&address_);
    }
    bool connects_soon()
    {
        Fd fd = new_socket();
        (void)connect(fd.get(), sockaddr_of(), sizeof address_);
        bool connected = wait_for_fd(fd.get(), POLLOUT, 200);
        queued_.push_back(std::move(fd));
        return connected;
    }

    sockaddr_in address_ = {};
    Fd listener_;
    std::vector<Fd> queued_;
};

} // namespace sallytest
#endif

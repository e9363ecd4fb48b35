// listener_fd.c: a listener of a socket that somebody else opened (L1).
#include <cerrno>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto_fixture.h"
#include "scenario/ends.h"
#include "support/faults.h"
#include "support/guards.h"

#include "sallyport/inherit.h"

extern "C" {
#include "fd.h"
}

using namespace sallytest;

namespace
{

Fd tcp_socket(int type = SOCK_STREAM, bool listening = true)
{
    Fd fd(socket(AF_INET, type, 0));
    sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, bind(fd.get(), reinterpret_cast<sockaddr *>(&addr), sizeof addr));
    if (listening) {
        EXPECT_EQ(0, listen(fd.get(), 16));
    }
    return fd;
}

class ListenFd : public testing::Test
{
  protected:
    void SetUp() override
    {
        warm_up();
    }
    ssl_status listen_fd(int fd, const ssl_listen_options *options, ssl_listener **made,
                         ssl_error *err)
    {
        return ssl_listen_fd(fd, options, server.get(), made, err);
    }
    // Refused for that reason; the descriptor is open and as it was.
    void expect_refused(const Fd &fd, const char *why)
    {
        int flags = fcntl(fd.get(), F_GETFL);
        ssl_error err;
        ssl_listener *made = reinterpret_cast<ssl_listener *>(&err);
        EXPECT_TRUE(is(SALLY_USAGE, listen_fd(fd.get(), nullptr, &made, &err), err));
        EXPECT_EQ(nullptr, made);
        EXPECT_NE(nullptr, std::strstr(err.text, why)) << err.text;
        EXPECT_NE(nullptr,
                  std::strstr(err.text, ("descriptor " + std::to_string(fd.get())).c_str()));
        EXPECT_EQ(flags, fcntl(fd.get(), F_GETFL));
        EXPECT_EQ(0, fcntl(fd.get(), F_GETFD));
    }

    Context server = server_context();
};

TEST_F(ListenFd, L1_ServesItsClients)
{
    LeakGuard leaks;
    Fd fd = tcp_socket();
    int number = fd.get();
    ssl_listener *made = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, listen_fd(fd.get(), nullptr, &made, &err), err));
    (void)fd.release();
    Listener listener(made);
    EXPECT_NE(0, fcntl(number, F_GETFL) & O_NONBLOCK);
    EXPECT_NE(0, fcntl(number, F_GETFD) & FD_CLOEXEC);
    Handshaker client(port_of(listener.get()));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    expect_echo(served.ports, client.raw());
    client.raw().send_goodbye();
}

TEST_F(ListenFd, P6_AcceptedSocketsHaveNoDelay)
{
    Fd fd = tcp_socket();
    int number = fd.get();
    ssl_listener *made = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, listen_fd(fd.release(), nullptr, &made, &err), err));
    Listener listener(made);
    int on = 0;
    socklen_t size = sizeof on;
    EXPECT_EQ(0, getsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, &size));
    EXPECT_NE(0, on);
}

TEST_F(ListenFd, L1_ClosingItClosesTheDescriptor)
{
    Fd fd = tcp_socket();
    ssl_listener *made = nullptr;
    ASSERT_EQ(SALLY_OK, listen_fd(fd.get(), nullptr, &made, nullptr));
    int number = fd.release();
    ssl_free_listener(made);
    EXPECT_EQ(-1, fcntl(number, F_GETFD));
    EXPECT_EQ(EBADF, errno);
}

TEST_F(ListenFd, E3_WhatCannotListenIsRefused)
{
    ssl_error err;
    ssl_listener *made = nullptr;
    EXPECT_TRUE(is(SALLY_USAGE, listen_fd(-1, nullptr, &made, &err), err));
    EXPECT_STREQ("ssl_listen_fd: descriptor -1 is not open", err.text);
    expect_refused(Fd(open("/dev/null", O_RDONLY)), "is not a socket");
    expect_refused(tcp_socket(SOCK_STREAM, false), "does not listen");
    expect_refused(tcp_socket(SOCK_DGRAM, false), "is not a stream socket");
    Fd netlink(socket(AF_NETLINK, SOCK_RAW, 0));
    if (netlink) {
        expect_refused(netlink, "is not a stream socket");
    }
}

TEST_F(ListenFd, E3_BadArguments)
{
    Fd fd = tcp_socket();
    ssl_error err;
    ssl_listener *made = nullptr;
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen_fd(fd.get(), nullptr, nullptr, &made, &err), err));
    EXPECT_EQ(err.text, std::strstr(err.text, "ssl_listen_fd: the context is NULL"));
    EXPECT_TRUE(is(SALLY_USAGE, listen_fd(fd.get(), nullptr, nullptr, &err), err));
    options.host = "127.0.0.1";
    EXPECT_TRUE(is(SALLY_USAGE, listen_fd(fd.get(), &options, &made, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "options.host is set")) << err.text;
    options = SALLY_LISTEN_OPTIONS;
    options.backlog = 3;
    EXPECT_TRUE(is(SALLY_USAGE, listen_fd(fd.get(), &options, &made, &err), err));
    options = SALLY_LISTEN_OPTIONS;
    options.proxy = SALLY_PROXY_REQUIRED;
    EXPECT_TRUE(is(SALLY_USAGE, listen_fd(fd.get(), &options, &made, &err), err));
    EXPECT_EQ(err.text, std::strstr(err.text, "ssl_listen_fd: options.proxy_trusted"));
    EXPECT_EQ(0, fcntl(fd.get(), F_GETFD));
}

TEST_F(ListenFd, L1_TheFileOfAUnixSocketStays)
{
    ScratchDir dir;
    std::string path = dir.path("door");
    Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un addr = {};
    addr.sun_family = AF_UNIX;
    ASSERT_LT(path.size(), sizeof addr.sun_path);
    std::memcpy(addr.sun_path, path.c_str(), path.size() + 1);
    ASSERT_EQ(0, bind(fd.get(), reinterpret_cast<sockaddr *>(&addr), sizeof addr));
    ASSERT_EQ(0, listen(fd.get(), 4));
    ssl_listener *made = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, listen_fd(fd.get(), nullptr, &made, &err), err));
    (void)fd.release();
    ssl_endpoints ends = {};
    EXPECT_EQ(SALLY_OK, ssl_listener_addresses(made, &ends, nullptr));
    EXPECT_EQ("unix:" + path, ends.local);
    ssl_free_listener(made);
    struct stat file;
    EXPECT_EQ(0, lstat(path.c_str(), &file));
}

// Whatever fails, the descriptor is the caller's still.
class ListenFdFault : public ListenFd
{
  protected:
    ssl_status attempt(ssl_error *err)
    {
        Fd fd = tcp_socket();
        ssl_listener *made = nullptr;
        ssl_status status = listen_fd(fd.get(), nullptr, &made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        if (status == SALLY_OK) {
            (void)fd.release();
        }
        ssl_free_listener(made);
        return status;
    }
};

TEST_F(ListenFdFault, E2_AnyAllocationMayFail)
{
    sweep_allocations("ssl_listen_fd", [this](ssl_error *err) { return attempt(err); });
}

TEST_F(ListenFdFault, E2_AnySocketCallMayFail)
{
    sweep_socket_calls("ssl_listen_fd", ENOBUFS, [this](ssl_error *err) { return attempt(err); });
}

TEST_F(ListenFdFault, E2_AnyChangeOfFlagsMayFail)
{
    ssl_error err;
    long met = 0;
    for (ssl_status status = SALLY_SYSTEM; status != SALLY_OK; met++) {
        sally_fd_fail_at(met + 1, EPERM);
        status = attempt(&err);
        sally_fd_fail_at(0, 0);
        EXPECT_TRUE(status == SALLY_OK || is(SALLY_SYSTEM, status, err));
    }
    EXPECT_LT(1, met);
}

} // namespace

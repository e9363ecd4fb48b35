// sock.c and transport_sock.c: sockets, and one of them as a transport.

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "support/scratch_dir.h"

extern "C" {
#include "mem.h"
#include "sock.h"
}

using sallytest::ScratchDir;

namespace
{

constexpr int wait_ms = 10000;

// Closes what a test leaves open.
struct Fd {
    Fd() = default;
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    ~Fd()
    {
        reset();
    }
    void reset()
    {
        if (fd >= 0) {
            sally_sock_close(fd);
        }
        fd = -1;
    }
    int release()
    {
        int released = fd;
        fd = -1;
        return released;
    }
    int fd = -1;
};

bool becomes(int fd, short events)
{
    pollfd p = {fd, events, 0};
    return poll(&p, 1, wait_ms) == 1;
}

bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

int int_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

void expect_non_blocking_and_cloexec(int fd)
{
    EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

// The lowest free descriptor: the same before and after when nothing leaked.
int next_fd()
{
    int fd = dup(0);
    close(fd);
    return fd;
}

class Sock : public testing::Test
{
  protected:
    void TearDown() override
    {
        sally_sock_fail_at(0, 0);
        sally_mem_fail_at(0, 0);
    }

    int listen_on(const std::string &host)
    {
        sally_addr addr;
        EXPECT_TRUE(sally_addr_parse(host.c_str(), 0, &addr));
        return sally_sock_listen_on(&addr, &how, &listener.fd);
    }

    void start_connect()
    {
        sally_addr addr;
        ASSERT_EQ(sally_sock_local(listener.fd, &addr), 0);
        ASSERT_EQ(sally_sock_open(addr.storage.ss_family, &client.fd), 0);
        int error = sally_sock_connect(client.fd, &addr);
        ASSERT_TRUE(error == 0 || error == EINPROGRESS) << strerror(error);
    }

    void connect_pair(const std::string &host = "127.0.0.1")
    {
        ASSERT_EQ(listen_on(host), 0);
        start_connect();
        ASSERT_TRUE(becomes(listener.fd, POLLIN));
        ASSERT_EQ(sally_sock_accept(listener.fd, &server.fd, &peer), 0);
        ASSERT_TRUE(becomes(client.fd, POLLOUT));
        ASSERT_EQ(sally_sock_connect_result(client.fd), 0);
    }

    sally_io receive(int fd)
    {
        char buf[100];
        sally_io io = sally_sock_receive(fd, buf, sizeof buf, &count, &sys_errno);
        got.assign(buf, count);
        return io;
    }

    sally_io send(int fd, const std::string &bytes)
    {
        return sally_sock_send(fd, bytes.data(), bytes.size(), &count, &sys_errno);
    }

    sally_sock_listen how = {16, true, false};
    Fd listener;
    Fd client;
    Fd server;
    sally_addr peer = {};
    std::string got;
    size_t count = 0;
    int sys_errno = 0;
};

TEST_F(Sock, P6_AcceptedSocketsHaveNoDelayWithoutACallOfTheirOwn)
{
    for (const char *host : {"127.0.0.1", "::1"}) {
        connect_pair(host);
        EXPECT_EQ(int_option(server.fd, IPPROTO_TCP, TCP_NODELAY), 1) << host;
        listener.reset();
        client.reset();
        server.reset();
    }
}

TEST_F(Sock, P6_ConnectingSocketsGetNoDelayOnRequest)
{
    connect_pair();
    EXPECT_EQ(int_option(client.fd, IPPROTO_TCP, TCP_NODELAY), 0);
    sally_sock_no_delay(client.fd);
    EXPECT_EQ(int_option(client.fd, IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST_F(Sock, B10_EverySocketIsNonBlockingAndCloexec)
{
    connect_pair();
    for (int fd : {listener.fd, client.fd, server.fd}) {
        expect_non_blocking_and_cloexec(fd);
    }
}

TEST_F(Sock, BytesEndAndEmptiness)
{
    connect_pair();
    EXPECT_EQ(receive(server.fd), SALLY_IO_WOULD_BLOCK);
    EXPECT_EQ(count, 0u);
    EXPECT_EQ(send(client.fd, "hello"), SALLY_IO_DONE);
    EXPECT_EQ(count, 5u);
    ASSERT_TRUE(becomes(server.fd, POLLIN));
    EXPECT_EQ(receive(server.fd), SALLY_IO_DONE);
    EXPECT_EQ(got, "hello");
    sally_sock_shut_send(client.fd);
    ASSERT_TRUE(becomes(server.fd, POLLIN));
    EXPECT_EQ(receive(server.fd), SALLY_IO_END);
    EXPECT_EQ(send(server.fd, "still"), SALLY_IO_DONE);
}

TEST_F(Sock, AFullSocketWouldBlock)
{
    connect_pair();
    std::string much(1 << 20, 'x');
    sally_io io = SALLY_IO_DONE;
    for (int i = 0; i < 1000 && io == SALLY_IO_DONE; i++) {
        io = send(client.fd, much);
    }
    EXPECT_EQ(io, SALLY_IO_WOULD_BLOCK);
    EXPECT_EQ(count, 0u);
}

TEST_F(Sock, E3_AGonePeerIsAnErrorAndNoSignal)
{
    connect_pair();
    struct sigaction before;
    sigaction(SIGPIPE, nullptr, &before);
    ASSERT_EQ(before.sa_handler, SIG_DFL) << "SIGPIPE would kill this test";
    server.reset();
    sally_io io = SALLY_IO_DONE;
    for (int i = 0; i < 1000 && io != SALLY_IO_FAILED; i++) {
        io = send(client.fd, "x");
        ASSERT_TRUE(becomes(client.fd, POLLIN));
    }
    EXPECT_EQ(io, SALLY_IO_FAILED);
    EXPECT_TRUE(sys_errno == EPIPE || sys_errno == ECONNRESET) << strerror(sys_errno);
}

TEST_F(Sock, B7_EintrIsSeenByNobody)
{
    connect_pair();
    sally_sock_fail_at(1, EINTR);
    EXPECT_EQ(send(client.fd, "a"), SALLY_IO_DONE);
    ASSERT_TRUE(becomes(server.fd, POLLIN));
    sally_sock_fail_at(1, EINTR);
    EXPECT_EQ(receive(server.fd), SALLY_IO_DONE);
    sally_sock_fail_at(1, EINTR);
    Fd none;
    EXPECT_EQ(sally_sock_accept(listener.fd, &none.fd, &peer), EAGAIN);
}

TEST_F(Sock, B7_AnInterruptedConnectIsOneInProgress)
{
    ASSERT_EQ(listen_on("127.0.0.1"), 0);
    sally_addr addr;
    ASSERT_EQ(sally_sock_local(listener.fd, &addr), 0);
    ASSERT_EQ(sally_sock_open(AF_INET, &client.fd), 0);
    sally_sock_fail_at(1, EINTR);
    EXPECT_EQ(sally_sock_connect(client.fd, &addr), EINPROGRESS);
}

TEST_F(Sock, W5_AClientThatWentAwayInTheQueueIsSkipped)
{
    ASSERT_EQ(listen_on("127.0.0.1"), 0);
    start_connect();
    ASSERT_TRUE(becomes(listener.fd, POLLIN));
    sally_sock_fail_at(1, ECONNABORTED);
    EXPECT_EQ(sally_sock_accept(listener.fd, &server.fd, &peer), 0);
    EXPECT_GE(server.fd, 0);
}

TEST_F(Sock, W5_NoDescriptorLeftIsReported)
{
    ASSERT_EQ(listen_on("127.0.0.1"), 0);
    for (int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
        sally_sock_fail_at(1, error);
        EXPECT_EQ(sally_sock_accept(listener.fd, &server.fd, &peer), error);
        EXPECT_EQ(server.fd, -1);
        EXPECT_EQ(peer.length, 0u);
    }
}

TEST_F(Sock, AcceptTellsThePeer)
{
    connect_pair();
    sally_addr local;
    ASSERT_EQ(sally_sock_local(client.fd, &local), 0);
    EXPECT_EQ(sally_addr_port(&peer), sally_addr_port(&local));
    sally_addr remote;
    ASSERT_EQ(sally_sock_remote(server.fd, &remote), 0);
    EXPECT_EQ(sally_addr_port(&remote), sally_addr_port(&local));
}

TEST_F(Sock, AListenerHasNoRemoteAndAFileNoAddress)
{
    ASSERT_EQ(listen_on("127.0.0.1"), 0);
    sally_addr addr;
    EXPECT_EQ(sally_sock_remote(listener.fd, &addr), ENOTCONN);
    EXPECT_EQ(addr.length, 0u);
    Fd file;
    file.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(sally_sock_local(file.fd, &addr), ENOTSOCK);
    EXPECT_EQ(addr.length, 0u);
}

TEST_F(Sock, AClosedPortRefuses)
{
    ASSERT_EQ(listen_on("127.0.0.1"), 0);
    sally_addr addr;
    ASSERT_EQ(sally_sock_local(listener.fd, &addr), 0);
    listener.reset();
    ASSERT_EQ(sally_sock_open(AF_INET, &client.fd), 0);
    int error = sally_sock_connect(client.fd, &addr);
    if (error == EINPROGRESS) {
        ASSERT_TRUE(becomes(client.fd, POLLOUT));
        error = sally_sock_connect_result(client.fd);
    }
    EXPECT_EQ(error, ECONNREFUSED);
}

TEST_F(Sock, APortInUseIsReported)
{
    ASSERT_EQ(listen_on("127.0.0.1"), 0);
    sally_addr addr;
    ASSERT_EQ(sally_sock_local(listener.fd, &addr), 0);
    EXPECT_EQ(sally_sock_listen_on(&addr, &how, &client.fd), EADDRINUSE);
    EXPECT_EQ(client.fd, -1);
}

TEST_F(Sock, V6OnlyIsWhatWasAskedFor)
{
    for (bool v6_only : {true, false}) {
        how.v6_only = v6_only;
        ASSERT_EQ(listen_on("::"), 0);
        EXPECT_EQ(int_option(listener.fd, IPPROTO_IPV6, IPV6_V6ONLY), v6_only);
        listener.reset();
    }
}

TEST_F(Sock, ReuseIsWhatWasAskedFor)
{
    for (bool reuse : {true, false}) {
        how.reuse = reuse;
        ASSERT_EQ(listen_on("127.0.0.1"), 0);
        EXPECT_EQ(int_option(listener.fd, SOL_SOCKET, SO_REUSEADDR), reuse);
        EXPECT_EQ(int_option(listener.fd, SOL_SOCKET, SO_REUSEPORT), 0);
        listener.reset();
    }
}

TEST_F(Sock, EveryFailureOfAListenerLeavesNoDescriptor)
{
    int before = next_fd();
    sally_sock_fail_at(0, 0);
    ASSERT_EQ(listen_on("::1"), 0);
    long calls = sally_sock_count();
    listener.reset();
    ASSERT_GE(calls, 5);
    for (long n = 1; n <= calls; n++) {
        sally_sock_fail_at(n, ENOBUFS);
        EXPECT_EQ(listen_on("::1"), ENOBUFS) << n;
        EXPECT_EQ(listener.fd, -1) << n;
        EXPECT_EQ(next_fd(), before) << n;
    }
}

TEST_F(Sock, CloseKeepsErrno)
{
    ASSERT_EQ(sally_sock_open(AF_INET, &client.fd), 0);
    errno = ERANGE;
    client.reset();
    EXPECT_EQ(errno, ERANGE);
    errno = ERANGE;
    sally_sock_close(client.fd);
    EXPECT_EQ(errno, ERANGE);
}

class UnixSock : public Sock
{
  protected:
    ScratchDir directory;
    std::string path = directory.path("s");
};

TEST_F(UnixSock, CarriesBytes)
{
    connect_pair("unix:" + path);
    EXPECT_EQ(send(client.fd, "over a path"), SALLY_IO_DONE);
    ASSERT_TRUE(becomes(server.fd, POLLIN));
    EXPECT_EQ(receive(server.fd), SALLY_IO_DONE);
    EXPECT_EQ(got, "over a path");
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text(&peer, text, sizeof text);
    EXPECT_STREQ(text, "unix:");
}

TEST_F(UnixSock, AFileThatIsThereIsNotRemoved)
{
    ASSERT_EQ(listen_on("unix:" + path), 0);
    listener.reset();
    EXPECT_EQ(listen_on("unix:" + path), EADDRINUSE);
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST_F(UnixSock, OneThatCannotListenLeavesNoFile)
{
    sally_sock_fail_at(3, EOPNOTSUPP); // after socket and bind
    EXPECT_EQ(listen_on("unix:" + path), EOPNOTSUPP);
    sally_sock_fail_at(0, 0);
    EXPECT_EQ(listen_on("unix:" + path), 0);
}

TEST_F(UnixSock, AnAbstractNameHasNoFile)
{
    connect_pair("unix:@sallyport-test-" + directory.root().substr(directory.root().size() - 6));
    sally_addr local;
    ASSERT_EQ(sally_sock_local(listener.fd, &local), 0);
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text(&local, text, sizeof text);
    EXPECT_EQ(std::string(text).substr(0, 21), "unix:@sallyport-test-");
}

// What the retire function of a transport was given.
struct Retired {
    int calls = 0;
    int fd = -1;
    std::string unsent;
    bool peer_done = false;
};
Retired retired;

void keep_retired(int fd, sally_buf *unsent, bool peer_done, int64_t)
{
    retired.calls++;
    retired.fd = fd;
    retired.peer_done = peer_done;
    if (unsent->length > 0) {
        retired.unsent.assign(reinterpret_cast<const char *>(sally_buf_front(unsent)),
                              unsent->length);
    }
}

class SockTransport : public Sock
{
  protected:
    void SetUp() override
    {
        retired = Retired();
        connect_pair();
        transport = sally_transport_sock_new(server.fd, keep_retired);
        ASSERT_NE(transport, nullptr);
    }
    void TearDown() override
    {
        finish();
        Sock::TearDown();
    }
    void finish()
    {
        if (transport != nullptr) {
            transport->ops->finish(transport, &unsent, true);
        }
        transport = nullptr;
    }
    sally_transport *transport = nullptr;
    sally_buf unsent = {};
};

TEST_F(SockTransport, CarriesBytesBothWays)
{
    ASSERT_EQ(transport->ops->send(transport, "ping", 4, &count), SALLY_IO_DONE);
    EXPECT_EQ(count, 4u);
    ASSERT_TRUE(becomes(client.fd, POLLIN));
    EXPECT_EQ(receive(client.fd), SALLY_IO_DONE);
    EXPECT_EQ(got, "ping");
    char buf[10];
    EXPECT_EQ(transport->ops->receive(transport, buf, sizeof buf, &count), SALLY_IO_WOULD_BLOCK);
    ASSERT_EQ(send(client.fd, "pong"), SALLY_IO_DONE);
    ASSERT_TRUE(becomes(server.fd, POLLIN));
    ASSERT_EQ(transport->ops->receive(transport, buf, sizeof buf, &count), SALLY_IO_DONE);
    EXPECT_EQ(std::string(buf, count), "pong");
}

TEST_F(SockTransport, SaysWhatToWaitFor)
{
    short events = 0;
    EXPECT_EQ(transport->ops->wait_fd(transport, SALLY_RECEIVE, &events), server.fd);
    EXPECT_EQ(events, POLLIN);
    EXPECT_EQ(transport->ops->wait_fd(transport, SALLY_SEND, &events), server.fd);
    EXPECT_EQ(events, POLLOUT);
    EXPECT_EQ(sally_transport_sock_fd(transport), server.fd);
}

TEST_F(SockTransport, AFailureKeepsItsErrno)
{
    sally_sock_fail_at(1, ECONNRESET);
    char byte;
    EXPECT_EQ(transport->ops->receive(transport, &byte, 1, &count), SALLY_IO_FAILED);
    EXPECT_EQ(transport->sys_errno, ECONNRESET);
}

TEST_F(SockTransport, FinishRetiresTheSocketWithWhatIsUnsent)
{
    ASSERT_TRUE(sally_buf_append(&unsent, "last words", 10));
    finish();
    EXPECT_EQ(retired.calls, 1);
    EXPECT_EQ(retired.fd, server.fd);
    EXPECT_EQ(retired.unsent, "last words");
    EXPECT_TRUE(retired.peer_done);
    EXPECT_EQ(unsent.data, nullptr);
    EXPECT_TRUE(is_open(server.fd));
}

TEST_F(SockTransport, AnotherKindHasNoSocket)
{
    sally_transport_ops other_ops = {};
    sally_transport other = {};
    other.ops = &other_ops;
    EXPECT_EQ(sally_transport_sock_fd(&other), -1);
}

TEST_F(SockTransport, WithoutMemoryTheSocketStaysTheCallers)
{
    sally_mem_fail_at(1, 0);
    EXPECT_EQ(sally_transport_sock_new(client.fd, keep_retired), nullptr);
    EXPECT_TRUE(is_open(client.fd));
}

} // namespace

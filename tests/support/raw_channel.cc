#include "support/raw_channel.h"

#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <openssl/bio.h>

#include "support/rng.h"

namespace sallytest
{
namespace
{

sockaddr_in loopback(int port)
{
    sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(static_cast<uint16_t>(port));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

Fd new_socket(int receive_buffer)
{
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_TRUE(fd) << "socket: errno " << errno;
    if (receive_buffer > 0) {
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    return fd;
}

// Binds to a port of the kernel's choice and tells it.
int bind_any(int fd)
{
    sockaddr_in addr = loopback(0);
    socklen_t length = sizeof addr;
    EXPECT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&addr), length)) << "errno " << errno;
    EXPECT_EQ(0, getsockname(fd, reinterpret_cast<sockaddr *>(&addr), &length));
    return ntohs(addr.sin_port);
}

// OpenSSL's own socket BIO uses write(2), and SIGPIPE would kill the test: signals stay as they are, so
// that one raised by the library shows.
int nosignal_write(BIO *bio, const char *bytes, int n)
{
    BIO_clear_retry_flags(bio);
    ssize_t sent = ::send(static_cast<int>(BIO_get_fd(bio, nullptr)), bytes, static_cast<size_t>(n),
                          MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return static_cast<int>(sent);
}

BIO_METHOD *nosignal_socket()
{
    static BIO_METHOD *method = [] {
        const BIO_METHOD *socket = BIO_s_socket();
        BIO_METHOD *made = BIO_meth_new(BIO_TYPE_SOCKET, "test socket");
        BIO_meth_set_read(made, BIO_meth_get_read(socket));
        BIO_meth_set_write(made, nosignal_write);
        BIO_meth_set_ctrl(made, BIO_meth_get_ctrl(socket));
        BIO_meth_set_create(made, BIO_meth_get_create(socket));
        BIO_meth_set_destroy(made, BIO_meth_get_destroy(socket));
        return made;
    }();
    return method;
}

} // namespace

void Fd::close()
{
    if (fd_ >= 0) {
        ::close(release());
    }
}

bool wait_for_fd(int fd, short events, int ms)
{
    pollfd entry = {fd, events, 0};
    int n;
    do {
        n = poll(&entry, 1, ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

SocketChannel::SocketChannel(Fd fd) : fd_(std::move(fd))
{
    int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
}

BIO *SocketChannel::make_bio()
{
    BIO *bio = BIO_new(nosignal_socket());
    BIO_set_fd(bio, fd_.get(), BIO_NOCLOSE);
    return bio;
}

bool SocketChannel::wait(bool for_reading, int ms)
{
    return wait_for_fd(fd_.get(), for_reading ? POLLIN : POLLOUT, ms);
}

long SocketChannel::send(const std::string &bytes)
{
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void SocketChannel::end()
{
    shutdown(fd_.get(), SHUT_WR);
}

void SocketChannel::reset()
{
    reset_socket(std::move(fd_));
}

Fd connect_to(int port, int receive_buffer)
{
    Fd fd = new_socket(receive_buffer);
    sockaddr_in addr = loopback(port);
    int failed = connect(fd.get(), reinterpret_cast<sockaddr *>(&addr), sizeof addr);
    EXPECT_EQ(0, failed) << "connect: errno " << errno;
    return fd;
}

void reset_socket(Fd fd)
{
    linger none = {1, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

RawListener::RawListener(int receive_buffer, int backlog) : fd_(new_socket(receive_buffer))
{
    port_ = bind_any(fd_.get());
    EXPECT_EQ(0, listen(fd_.get(), backlog)) << "errno " << errno;
}

Fd RawListener::accept()
{
    if (!wait_for_fd(fd_.get(), POLLIN, slow(10000))) {
        ADD_FAILURE() << "nobody connected to the raw listener";
        return Fd();
    }
    return Fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

ClosedPort::ClosedPort() : fd_(new_socket(0)), port_(bind_any(fd_.get())) {}

} // namespace sallytest

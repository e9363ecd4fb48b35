// The tunnel among the examples: TLS in front of plain services, and for plain clients.
#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <cerrno>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interop/peers.h"
#include "support/certs.h"
#include "support/echo_programs.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"

namespace
{

using namespace sallytest;

constexpr size_t kMuch = 8 * 1024 * 1024;

// ---- plain ends --------------------------------------------------------------------------------

// Blocks; a test that hangs is the watchdog's.
bool send_all(int fd, const std::string &bytes)
{
    size_t done = 0;
    while (done < bytes.size()) {
        ssize_t count = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (count < 0) {
            return false;
        }
        done += static_cast<size_t>(count);
    }
    return true;
}

// Up to `n` bytes, or to the end; *cause is 0 where that is clean.
std::string receive(int fd, size_t n, int *cause)
{
    std::string all;
    char buf[65536];
    *cause = 0;
    while (all.size() < n) {
        ssize_t count = recv(fd, buf, std::min(sizeof buf, n - all.size()), 0);
        if (count <= 0) {
            *cause = count == 0 ? 0 : errno;
            break;
        }
        all.append(buf, static_cast<size_t>(count));
    }
    return all;
}

std::string receive_all(int fd)
{
    int cause = 0;
    std::string all = receive(fd, SIZE_MAX, &cause);
    EXPECT_EQ(0, cause);
    return all;
}

void echo(int fd)
{
    char buf[65536];
    ssize_t count;
    while ((count = recv(fd, buf, sizeof buf, 0)) > 0) {
        if (!send_all(fd, std::string(buf, static_cast<size_t>(count)))) {
            return;
        }
    }
}

// A plain service on loopback: a thread for each connection.
class PlainService
{
  public:
    explicit PlainService(std::function<void(int fd)> serve)
        : door_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto *any = reinterpret_cast<sockaddr *>(&address);
        EXPECT_EQ(0, bind(door_.get(), any, length));
        EXPECT_EQ(0, listen(door_.get(), 16));
        EXPECT_EQ(0, getsockname(door_.get(), any, &length));
        port_ = ntohs(address.sin_port);
        threads_.emplace_back([this, serve = std::move(serve)] { accept_all(serve); });
    }
    ~PlainService()
    {
        shutdown(door_.get(), SHUT_RDWR);
        threads_.front().join();
        for (size_t i = 1; i < threads_.size(); i++) {
            threads_[i].join();
        }
    }
    int port() const
    {
        return port_;
    }
    int taken() const
    {
        return taken_;
    }

  private:
    void accept_all(const std::function<void(int fd)> &serve)
    {
        int fd;
        std::vector<std::thread> served;
        while ((fd = accept4(door_.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0) {
            taken_++;
            served.emplace_back([fd, serve] {
                Fd owner(fd);
                serve(fd);
            });
        }
        for (std::thread &thread : served) {
            thread.join();
        }
    }

    Fd door_;
    int port_ = 0;
    std::atomic<int> taken_{0};
    std::vector<std::thread> threads_;
};

// Connected and blocking.
Fd plain_client(int port)
{
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(0, connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address));
    return fd;
}

// ---- tunnels -----------------------------------------------------------------------------------

class Tunnel : public ListeningProgram
{
  public:
    Tunnel(const std::string &mode, int to, std::vector<std::string> more = {})
        : ListeningProgram(words(mode, to, std::move(more)))
    {
    }

  private:
    static std::vector<std::string> words(const std::string &mode, int to,
                                          std::vector<std::string> more)
    {
        std::vector<std::string> all = {built("examples/tunnel/tls_tunnel")};
        all.insert(all.end(), more.begin(), more.end());
        all.insert(all.end(), {mode, "localhost", std::to_string(to)});
        return all;
    }
};

Ports tls_client(int port)
{
    Ports ports;
    ssl_error err;
    Context context = client_context();
    EXPECT_TRUE(
        is(SALLY_OK, ssl_connect("localhost", port, context.get(), ports.fill(), &err), err));
    return ports;
}

ssl_status read_to_end(const Ports &ports, std::string *all)
{
    char buf[16384];
    size_t got = 0;
    ssl_status status;
    while ((status = ssl_read(ports.in(), buf, sizeof buf, &got, nullptr)) == SALLY_OK) {
        all->append(buf, got);
    }
    return status;
}

bool write_all(const Ports &ports, const std::string &bytes)
{
    return ssl_write(ports.out(), bytes.data(), bytes.size(), nullptr, nullptr) == SALLY_OK;
}

void expect_exchange(const Ports &ports, const std::string &message)
{
    std::string back(message.size(), '\0');
    size_t got = 0;
    ASSERT_TRUE(write_all(ports, message));
    EXPECT_EQ(SALLY_OK, ssl_read_full(ports.in(), back.data(), back.size(), &got, nullptr));
    EXPECT_EQ(message, back);
}

// Sends it all while it receives, then the end: what came back.
std::string through(int fd, const std::string &bytes)
{
    std::thread sending([&] {
        EXPECT_TRUE(send_all(fd, bytes));
        shutdown(fd, SHUT_WR);
    });
    std::string back = receive_all(fd);
    sending.join();
    return back;
}

// ---- bytes -------------------------------------------------------------------------------------

TEST(TlsTunnel, P1_ServerCarriesMuchBothWaysAtOnce)
{
    PlainService service(echo);
    Tunnel tunnel("server", service.port());
    std::string sent = stream_bytes(1, 0, kMuch), back;
    EXPECT_EQ(0, run_echo_client(tunnel.port(), sent, &back));
    EXPECT_TRUE(sent == back) << back.size();
    tunnel.drain();
    EXPECT_EQ("", tunnel.err());
}

TEST(TlsTunnel, P1_ClientCarriesMuchBothWaysAtOnce)
{
    EchoServer server;
    Tunnel tunnel("client", server.port());
    Fd fd = plain_client(tunnel.port());
    std::string sent = stream_bytes(2, 0, kMuch);
    std::string back = through(fd.get(), sent);
    EXPECT_TRUE(sent == back) << back.size();
    tunnel.drain();
    EXPECT_EQ("", tunnel.err());
    server.drain();
}

TEST(TlsTunnel, ClientAndServerMakeOneTunnel)
{
    PlainService service(echo);
    Tunnel server("server", service.port());
    Tunnel client("client", server.port());
    std::vector<std::thread> clients;
    for (uint64_t i = 0; i < 4; i++) {
        clients.emplace_back([&, i] {
            Fd fd = plain_client(client.port());
            std::string sent = stream_bytes(i, 0, kMuch / 4);
            std::string back = through(fd.get(), sent);
            EXPECT_TRUE(sent == back) << back.size();
        });
    }
    for (std::thread &thread : clients) {
        thread.join();
    }
    client.drain();
    server.drain();
    EXPECT_EQ("", client.err());
    EXPECT_EQ("", server.err());
}

// ---- ends --------------------------------------------------------------------------------------

// The service is done first, and still reads.
TEST(TlsTunnel, P4_ServiceMayEndItsDirectionFirst)
{
    std::string heard;
    {
        PlainService service([&](int fd) {
            EXPECT_TRUE(send_all(fd, "bye"));
            shutdown(fd, SHUT_WR);
            heard = receive_all(fd);
        });
        Tunnel server("server", service.port());
        Tunnel client("client", server.port());
        Fd fd = plain_client(client.port());
        EXPECT_EQ("bye", receive_all(fd.get()));
        EXPECT_TRUE(send_all(fd.get(), "after the end"));
        fd.close();
        client.drain();
        server.drain();
    }
    EXPECT_EQ("after the end", heard);
}

// The client is done first, and still reads.
TEST(TlsTunnel, P4_ClientMayEndItsDirectionFirst)
{
    PlainService service([](int fd) {
        std::string question = receive_all(fd);
        EXPECT_TRUE(send_all(fd, "answer to " + question));
    });
    Tunnel server("server", service.port());
    Tunnel client("client", server.port());
    Fd fd = plain_client(client.port());
    EXPECT_TRUE(send_all(fd.get(), "a question"));
    shutdown(fd.get(), SHUT_WR);
    EXPECT_EQ("answer to a question", receive_all(fd.get()));
    client.drain();
    server.drain();
}

TEST(TlsTunnel, P3_AResetOfTheServiceIsACutForTheClient)
{
    PlainService service([](int fd) {
        EXPECT_TRUE(send_all(fd, "half a mess"));
        int cause = 0;
        receive(fd, 1, &cause);
        linger now = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    });
    Tunnel tunnel("server", service.port());
    Ports ports = tls_client(tunnel.port());
    char buf[11];
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_read_full(ports.in(), buf, sizeof buf, &got, nullptr));
    ASSERT_TRUE(write_all(ports, "!"));
    std::string rest;
    EXPECT_EQ(SALLY_TRUNCATED, read_to_end(ports, &rest));
    EXPECT_TRUE(tunnel.wait_for_errors("a connection was cut: ")) << tunnel.err();
    ports.reset();
    tunnel.drain();
}

TEST(TlsTunnel, P3_ACutClientIsAResetForTheService)
{
    std::atomic<int> cause{0};
    {
        PlainService service([&](int fd) {
            int how = 0;
            EXPECT_TRUE(send_all(fd, "!"));
            EXPECT_EQ("half a mess", receive(fd, SIZE_MAX, &how));
            cause = how;
        });
        Tunnel tunnel("server", service.port());
        Ports ports = tls_client(tunnel.port());
        char byte;
        size_t got = 0;
        ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), &byte, 1, &got, nullptr));
        ASSERT_TRUE(write_all(ports, "half a mess"));
        ports.reset();
        EXPECT_TRUE(tunnel.wait_for_errors("a connection was cut: "));
        tunnel.drain();
    }
    EXPECT_EQ(ECONNRESET, cause);
}

TEST(TlsTunnel, TellsThatTheServiceRefuses)
{
    ClosedPort nobody;
    Tunnel tunnel("server", nobody.port());
    Ports ports = tls_client(tunnel.port());
    std::string nothing;
    EXPECT_EQ(SALLY_TRUNCATED, read_to_end(ports, &nothing));
    EXPECT_TRUE(tunnel.wait_for_errors("cannot connect to localhost port " +
                                       std::to_string(nobody.port()) + ": Connection refused\n"));
    ports.reset();
    tunnel.drain();
}

// At the start, and never while clients wait for it.
TEST(TlsTunnel, ASignalEndsTheLookUpOfTheService)
{
#ifdef SALLY_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer's own getaddrinfo comes before a preloaded one";
#endif
    ProcessOptions slow;
    slow.environment = {std::string("LD_PRELOAD=") + SALLY_TEST_SLOW_LOOKUP};
    Process tunnel({built("examples/tunnel/tls_tunnel"), "server", "localhost", "1"}, slow);
    tunnel.signal(SIGTERM);
    EXPECT_EQ(128 + SIGTERM, tunnel.wait());
    EXPECT_EQ("", tunnel.out()) << "it listens before it knows where the service is";
}

TEST(TlsTunnel, TellsThatThereIsNoSuchService)
{
    // no resolver asks anybody for it: a label has 63 letters at most (RFC 1035 section 2.3.4)
    const std::string nobody = "a-service-whose-name-is-longer-than-a-label-can-be-and-nobody-has";
    Process tunnel({built("examples/tunnel/tls_tunnel"), "server", nobody, "1"});
    EXPECT_EQ(1, tunnel.wait());
    EXPECT_NE(std::string::npos, tunnel.err().find("tls_tunnel: " + nobody + ": ")) << tunnel.err();
}

TEST(TlsTunnel, C7_ClientTrustsNobodyElse)
{
    EchoServer server;
    Tunnel tunnel("client", server.port(), {"--ca", cert_path("other-ca.pem")});
    Fd fd = plain_client(tunnel.port());
    int cause = 0;
    EXPECT_EQ("", receive(fd.get(), 1, &cause));
    EXPECT_EQ(ECONNRESET, cause);
    EXPECT_TRUE(tunnel.wait_for_errors("certificate"));
    tunnel.drain();
    server.drain();
}

// ---- limits and drains -------------------------------------------------------------------------

TEST(TlsTunnel, FurtherClientsWaitForAPlace)
{
    PlainService service(echo);
    Tunnel server("server", service.port());
    Tunnel tunnel("client", server.port(), {"--connections", "2"});
    Fd first = plain_client(tunnel.port()), second = plain_client(tunnel.port()),
       third = plain_client(tunnel.port());
    int cause = 0;
    for (const Fd *fd : {&first, &second}) {
        ASSERT_TRUE(send_all(fd->get(), "here"));
        EXPECT_EQ("here", receive(fd->get(), 4, &cause));
    }
    ASSERT_TRUE(send_all(third.get(), "there"));
    EXPECT_FALSE(wait_for_fd(third.get(), POLLIN, 100));
    EXPECT_EQ(2, service.taken());
    first.close();
    EXPECT_EQ("there", receive(third.get(), 5, &cause));
    second.close();
    third.close();
    tunnel.drain();
    server.drain();
}

TEST(TlsTunnel, W6_ADrainWaitsForConnections)
{
    PlainService service(echo);
    Tunnel tunnel("server", service.port(), {"--drain", "600"});
    Ports ports = tls_client(tunnel.port());
    expect_exchange(ports, "before");
    tunnel.signal(SIGTERM);
    EXPECT_TRUE(eventually(
        [&] {
            Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            sockaddr_in address = {};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            address.sin_port = htons(static_cast<uint16_t>(tunnel.port()));
            return connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0;
        },
        20));
    expect_exchange(ports, "in the drain");
    EXPECT_EQ(SALLY_OK, ssl_close_port(ports.out(), nullptr));
    std::string rest;
    EXPECT_EQ(SALLY_EOF, read_to_end(ports, &rest));
    ports.reset();
    EXPECT_EQ(0, tunnel.wait()) << tunnel.err();
}

TEST(TlsTunnel, W6_ADrainCutsWhatDoesNotEnd)
{
    PlainService service(echo);
    Tunnel tunnel("server", service.port(), {"--drain", "0"});
    Ports ports = tls_client(tunnel.port());
    expect_exchange(ports, "before");
    tunnel.signal(SIGTERM);
    std::string rest;
    EXPECT_EQ(SALLY_TRUNCATED, read_to_end(ports, &rest));
    ports.reset();
    EXPECT_EQ(1, tunnel.wait());
    EXPECT_NE(std::string::npos, tunnel.err().find("connections that had to be cut: 1"))
        << tunnel.err();
}

TEST(TlsTunnel, W6_ASecondSignalCutsAtOnce)
{
    PlainService service(echo);
    Tunnel tunnel("server", service.port(), {"--drain", "600"});
    Ports ports = tls_client(tunnel.port());
    expect_exchange(ports, "before");
    bool ready = false;
    EXPECT_TRUE(eventually(
        [&] {
            tunnel.signal(SIGTERM);
            return ssl_byte_ready(ports.in(), &ready, nullptr) != SALLY_OK || ready;
        },
        20));
    std::string rest;
    EXPECT_EQ(SALLY_TRUNCATED, read_to_end(ports, &rest));
    ports.reset();
    EXPECT_EQ(1, tunnel.wait());
}

// ---- with the tools of others ------------------------------------------------------------------

TEST(TlsTunnelTools, CurlFetchesFromAPlainWebServer)
{
    SKIP_WITHOUT("curl");
    PlainService service([](int fd) {
        int cause = 0;
        std::string head;
        while (head.find("\r\n\r\n") == std::string::npos) {
            std::string more = receive(fd, 1, &cause);
            if (more.empty()) {
                return;
            }
            head += more;
        }
        EXPECT_TRUE(send_all(fd, "HTTP/1.0 200 OK\r\n\r\n" + stream_bytes(3, 0, kMuch)));
    });
    Tunnel tunnel("server", service.port());
    Process curl({"curl", "--silent", "--show-error", "--ipv4", "--noproxy", "*", "--max-time",
                  "40", "--cacert", cert_path("ca.pem"),
                  "https://" + localhost(tunnel.port()) + "/"});
    EXPECT_EQ(0, curl.wait(40)) << curl.err();
    EXPECT_TRUE(stream_bytes(3, 0, kMuch) == curl.out()) << curl.out().size();
    tunnel.drain();
}

TEST(TlsTunnelTools, OpenSslTalksToAPlainService)
{
    SKIP_WITHOUT("openssl");
    PlainService service(echo);
    Tunnel tunnel("server", service.port());
    Process client({"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile",
                    cert_path("ca.pem"), "-servername", "localhost", "-connect",
                    localhost(tunnel.port())});
    client.feed("through the tunnel\n");
    EXPECT_TRUE(client.wait_for_output("through the tunnel\n"));
    client.signal(SIGTERM);
    client.wait();
    tunnel.drain();
}

} // namespace

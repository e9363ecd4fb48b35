// Behind HAProxy, which passes TLS on unopened, or opens it and closes it again, and says whose it is (W8, P5).
#include <csignal>
#include <fstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "support/process.h"
#include "support/scratch_dir.h"

using namespace sallytest;

namespace
{

struct Way {
    const char *name;
    const char *options; // of the server line
};

void PrintTo(const Way &way, std::ostream *out)
{
    *out << way.name;
}

// haproxy between a free port and ours, its configuration in a directory of its own.
class Balancer
{
  public:
    Balancer(int to, const std::string &options, const std::string &bind_options = "")
        : port_(ClosedPort().port())
    {
        std::ofstream(file()) << "defaults\n  mode tcp\n  timeout connect 20s\n"
                              << "  timeout client 60s\n  timeout server 60s\n"
                              << "  unique-id-format connection-%cp\n"
                              << "listen door\n  bind 127.0.0.1:" << port_ << " " << bind_options
                              << "\n"
                              << "  server ours 127.0.0.1:" << to << " " << options << "\n";
        process_ = std::make_unique<Process>(
            std::vector<std::string>{"haproxy", "-db", "-q", "-f", file()});
    }
    int port() const
    {
        return port_;
    }
    // A connection through it, as soon as it listens.
    Fd connect()
    {
        Fd fd;
        EXPECT_TRUE(eventually(
            [&] {
                fd = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                sockaddr_in addr = {};
                addr.sin_family = AF_INET;
                addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                addr.sin_port = htons(static_cast<uint16_t>(port_));
                return ::connect(fd.get(), reinterpret_cast<sockaddr *>(&addr), sizeof addr) == 0;
            },
            20))
            << process_->err();
        return fd;
    }

  private:
    std::string file() const
    {
        return directory_.path("haproxy.cfg");
    }

    int port_;
    ScratchDir directory_;
    std::unique_ptr<Process> process_;
};

int port_of_socket(int fd)
{
    sockaddr_in addr = {};
    socklen_t length = sizeof addr;
    EXPECT_EQ(0, getsockname(fd, reinterpret_cast<sockaddr *>(&addr), &length));
    return ntohs(addr.sin_port);
}

class Haproxy : public testing::TestWithParam<Way>
{
  protected:
    void SetUp() override
    {
        if (!is_installed("haproxy")) {
            GTEST_SKIP() << "there is no haproxy";
        }
        ssl_listen_options options = loopback_options();
        options.proxy = SALLY_PROXY_REQUIRED;
        options.proxy_trusted = "127.0.0.1";
        options.proxy_tlvs = true;
        listener = listen_with(options, server.get());
    }

    Context server = server_context();
    Listener listener;
};

TEST_P(Haproxy, W8_P5_SaysWhoTheClientIs)
{
    Balancer balancer(port_of(listener.get()), GetParam().options);
    for (int i = 0; i < 5; i++) {
        Fd fd = balancer.connect();
        int client_port = port_of_socket(fd.get());
        Handshaker client(raw_peer(std::move(fd), raw_client()));
        Outcome served = accept_from(listener.get());
        ASSERT_TRUE(is(SALLY_OK, served));
        EXPECT_EQ(Raw::Ok, client.result());
        ssl_endpoints ends = {};
        ASSERT_EQ(SALLY_OK, ssl_addresses(served.ports.in(), &ends, nullptr));
        EXPECT_STREQ("127.0.0.1", ends.remote);
        EXPECT_EQ(client_port, ends.remote_port);
        EXPECT_EQ(balancer.port(), ends.local_port);
        ASSERT_EQ(SALLY_OK, ssl_socket_addresses(served.ports.in(), &ends, nullptr));
        EXPECT_NE(client_port, ends.remote_port);
        EXPECT_EQ(port_of(listener.get()), ends.local_port);
        expect_echo(served.ports, client.raw());
    }
}

// Its checks come many times a second, with a header that says LOCAL or with none.
TEST_P(Haproxy, W8_HealthChecksAreNoNews)
{
    std::string checked = std::string(GetParam().options) + " check inter 10ms";
    Balancer balancer(port_of(listener.get()), checked);
    Break enough = deadline_in_ms(300);
    EXPECT_TRUE(is(SALLY_TIMEOUT, accept_from(listener.get(), enough.get())));
    Handshaker client(raw_peer(balancer.connect(), raw_client()));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    expect_echo(served.ports, client.raw());
}

// "none" where the header has none.
std::string tlv_of(const Ports &ports, int type)
{
    const void *value = nullptr;
    size_t length = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_proxy_tlv(ports.in(), type, &value, &length, &err), err));
    return value != nullptr ? std::string(static_cast<const char *>(value), length) : "none";
}

// HAProxy's own certificate and key, in one file as it wants them.
class WithKey
{
  public:
    explicit WithKey(const std::string &stem)
    {
        std::ofstream(path_) << std::ifstream(cert_path(stem + ".pem")).rdbuf()
                             << std::ifstream(cert_path(stem + "-key.pem")).rdbuf();
    }
    const std::string &path() const
    {
        return path_;
    }

  private:
    ScratchDir directory_;
    std::string path_ = directory_.path("both.pem");
};

class HaproxyTells : public Haproxy
{
};

TEST_P(HaproxyTells, W8_WhatBecameOfTlsInFrontOfIt)
{
    WithKey identity("server-rsa");
    Balancer balancer(port_of(listener.get()), GetParam().options,
                      "ssl crt " + identity.path() + " alpn echo ca-file " + cert_path("ca.pem") +
                          " verify optional");
    RawOptions options = raw_client();
    options.server_name = "www.example.org";
    options.client_identity = "client";
    options.version = TLS1_3_VERSION;
    Fd fd = balancer.connect();
    std::string id = "connection-" + std::to_string(port_of_socket(fd.get()));
    Handshaker client(raw_peer(std::move(fd), options));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    EXPECT_EQ(id, tlv_of(served.ports, SALLY_TLV_UNIQUE_ID));
    EXPECT_EQ("www.example.org", tlv_of(served.ports, SALLY_TLV_AUTHORITY));
    EXPECT_EQ(std::string("\x07\0\0\0\0", 5), tlv_of(served.ports, SALLY_TLV_SSL).substr(0, 5))
        << "TLS, with a good certificate";
    EXPECT_EQ("TLSv1.3", tlv_of(served.ports, SALLY_TLV_SSL_VERSION));
    EXPECT_EQ(0u, tlv_of(served.ports, SALLY_TLV_SSL_CIPHER).find("TLS_"));
    EXPECT_EQ("RSA2048", tlv_of(served.ports, SALLY_TLV_SSL_KEY_ALG));
    EXPECT_EQ("ecdsa-with-SHA256", tlv_of(served.ports, SALLY_TLV_SSL_SIG_ALG));
    EXPECT_EQ("Test client", tlv_of(served.ports, SALLY_TLV_SSL_CN));
    EXPECT_EQ(4u, tlv_of(served.ports, SALLY_TLV_CRC32C).size());
    EXPECT_EQ("none", tlv_of(served.ports, SALLY_TLV_NETNS));
    EXPECT_EQ(Raw::Ok, client.result());
    expect_echo(served.ports, client.raw());
}

INSTANTIATE_TEST_SUITE_P(
    Ways, HaproxyTells,
    testing::Values(Way{"All",
                        "ssl verify none send-proxy-v2 proxy-v2-options "
                        "unique-id,ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c"}),
    [](const auto &way) { return std::string(way.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Ways, Haproxy,
    testing::Values(Way{"V1", "send-proxy"}, Way{"V2", "send-proxy-v2"},
                    Way{"V2UniqueId", "send-proxy-v2 proxy-v2-options unique-id,crc32c"},
                    Way{"V2Checksum", "send-proxy-v2 proxy-v2-options crc32c"}),
    [](const auto &way) { return std::string(way.param.name); });

} // namespace

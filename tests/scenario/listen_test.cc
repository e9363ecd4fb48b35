// ssl_listen: where it listens, and what it refuses.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "support/guards.h"
#include "support/scratch_dir.h"

using namespace sallytest;
using testing::Test;

namespace
{

class Listen : public Test
{
  protected:
    Context server_ = server_context();
    Context client_ = client_context();
};

// ---- where it listens ---------------------------------------------------------------------------

TEST_F(Listen, L1_PortZeroPicksOneAndTheAddressesTellIt_P5)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    ssl_endpoints ends;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_listener_addresses(listener.get(), &ends, &err), err));
    EXPECT_STREQ("127.0.0.1", ends.local);
    EXPECT_GT(ends.local_port, 0);
    EXPECT_STREQ("", ends.remote);
    EXPECT_EQ(0, ends.remote_port);
}

void expect_reachable(ssl_listener *listener, const std::string &host, ssl_context *context)
{
    Outcome client;
    Thread connector([&] { client = connect_at(host, port_of(listener), context); });
    Outcome served = accept_from(listener);
    connector.join();
    EXPECT_TRUE(is(SALLY_OK, client)) << host;
    EXPECT_TRUE(is(SALLY_OK, served)) << host;
}

bool has_ipv6()
{
    Fd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any = {};
    any.sin6_family = AF_INET6;
    any.sin6_addr = in6addr_loopback;
    return fd && bind(fd.get(), reinterpret_cast<sockaddr *>(&any), sizeof any) == 0;
}

TEST_F(Listen, L1_WithoutAHostItListensOnIpv4AndIpv6)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    Listener listener = listen_with(options, server_.get());
    expect_reachable(listener.get(), "127.0.0.1", client_.get());
    if (has_ipv6()) {
        expect_reachable(listener.get(), "::1", client_.get());
    }
    Listener by_default = listen_with(options, server_.get());
    EXPECT_NE(port_of(listener.get()), port_of(by_default.get()));
}

TEST_F(Listen, L1_ANameWithSeveralAddressesGetsOnePortAtAllOfThem)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "localhost";
    Listener listener = listen_with(options, server_.get());
    expect_reachable(listener.get(), "localhost", client_.get());
    expect_reachable(listener.get(), "127.0.0.1", client_.get());
}

TEST_F(Listen, NullOptionsStandForTheUsualOnes)
{
    ssl_listener *listener = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_listen(0, nullptr, server_.get(), &listener, &err), err));
    Listener owner(listener);
    expect_reachable(listener, "127.0.0.1", client_.get());
}

TEST_F(Listen, L1_TheAddressIsFreeAgainAfterTheEnd)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    expect_reachable(listener.get(), "127.0.0.1", client_.get());
    listener.reset();
    Listener again = listen_with(loopback_options(), server_.get(), port);
    EXPECT_EQ(port, port_of(again.get()));
}

// ---- Unix sockets -------------------------------------------------------------------------------

class ListenOnUnix : public Listen
{
  protected:
    void SetUp() override
    {
        host_ = "unix:" + path_;
        options_.host = host_.c_str();
        // A Unix socket has no name to check.
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(client_.get(), false, &err), err));
    }
    bool file_exists()
    {
        struct stat file;
        return lstat(path_.c_str(), &file) == 0;
    }

    ScratchDir directory_;
    std::string path_ = directory_.path("socket");
    std::string host_;
    ssl_listen_options options_ = SALLY_LISTEN_OPTIONS;
};

TEST_F(ListenOnUnix, L1_ServesAndRemovesItsFile)
{
    Listener listener = listen_with(options_, server_.get());
    Outcome client;
    Thread connector([&] { client = connect_at(host_, 0, client_.get()); });
    Outcome served = accept_from(listener.get());
    connector.join();
    EXPECT_TRUE(is(SALLY_OK, client));
    EXPECT_TRUE(is(SALLY_OK, served));
    ssl_endpoints ends;
    ASSERT_EQ(SALLY_OK, ssl_listener_addresses(listener.get(), &ends, nullptr));
    EXPECT_EQ(host_, ends.local);
    EXPECT_EQ(0, ends.local_port);
    EXPECT_TRUE(file_exists());
    listener.reset();
    EXPECT_FALSE(file_exists());
}

TEST_F(ListenOnUnix, AFileThatIsThereIsLeftAlone)
{
    Fd file(open(path_.c_str(), O_CREAT | O_CLOEXEC | O_RDONLY, 0600));
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_listen(0, &options_, server_.get(), &listener, &err), err));
    EXPECT_EQ(EADDRINUSE, err.sys_errno);
    EXPECT_NE(nullptr, strstr(err.text, path_.c_str())) << err.text;
    EXPECT_TRUE(file_exists());
}

TEST_F(ListenOnUnix, TheFileOfASuccessorIsLeftAlone)
{
    Listener listener = listen_with(options_, server_.get());
    ASSERT_EQ(0, unlink(path_.c_str()));
    Listener successor = listen_with(options_, server_.get());
    listener.reset();
    EXPECT_TRUE(file_exists());
}

TEST_F(ListenOnUnix, APortIsRefused)
{
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(443, &options_, server_.get(), &listener, &err), err));
    EXPECT_EQ(nullptr, listener);
}

// ---- bad input ----------------------------------------------------------------------------------

struct BadListen {
    const char *name;
    int port;
    void (*spoil)(ssl_listen_options *options);
    ssl_status status;
    const char *text; // what the message must name
};

void PrintTo(const BadListen &bad, std::ostream *out)
{
    *out << bad.name;
}

class BadListenTest : public testing::TestWithParam<BadListen>
{
};

TEST_P(BadListenTest, IsAClearError_E2_E3)
{
    Context server = server_context();
    warm_up(); // a name lookup waits on the thread's own wake
    FdGuard guard;
    ssl_listen_options options = loopback_options();
    if (GetParam().spoil != nullptr) {
        GetParam().spoil(&options);
    }
    ssl_listener *listener = reinterpret_cast<ssl_listener *>(&options);
    ssl_error err;
    ssl_status status = ssl_listen(GetParam().port, &options, server.get(), &listener, &err);
    EXPECT_TRUE(is(GetParam().status, status, err));
    EXPECT_EQ(nullptr, listener);
    EXPECT_NE(nullptr, strstr(err.text, GetParam().text)) << err.text;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadListenTest,
    testing::Values(
        BadListen{"PortNegative", -1, nullptr, SALLY_USAGE, "port -1"},
        BadListen{"PortTooLarge", 65536, nullptr, SALLY_USAGE, "port 65536"},
        BadListen{"HostEmpty", 0, [](ssl_listen_options *o) { o->host = ""; }, SALLY_USAGE, "host"},
        BadListen{"HostUnknown", 0, [](ssl_listen_options *o) { o->host = "no such host"; },
                  SALLY_SYSTEM, "no such host"},
        BadListen{"HostElsewhere", 0, [](ssl_listen_options *o) { o->host = "192.0.2.1"; },
                  SALLY_SYSTEM, "192.0.2.1"},
        BadListen{"BacklogNegative", 0, [](ssl_listen_options *o) { o->backlog = -1; }, SALLY_USAGE,
                  "backlog"},
        BadListen{"HandshakeTimeoutZero", 0,
                  [](ssl_listen_options *o) { o->handshake_timeout_ms = 0; }, SALLY_USAGE,
                  "handshake_timeout_ms"},
        BadListen{"PendingMaxZero", 0, [](ssl_listen_options *o) { o->pending_max = 0; },
                  SALLY_USAGE, "pending_max"},
        BadListen{"UnixPathTooLong", 0,
                  [](ssl_listen_options *o) {
                      static const std::string path = "unix:/" + std::string(200, 'x');
                      o->host = path.c_str();
                  },
                  SALLY_USAGE, "too long"},
        BadListen{"UnixDirectoryMissing", 0,
                  [](ssl_listen_options *o) { o->host = "unix:/no/such/directory/socket"; },
                  SALLY_SYSTEM, "/no/such/directory/socket"}),
    [](const auto &test) { return test.param.name; });

TEST_F(Listen, APortInUseIsNamedWithTheWayOut)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    ssl_listen_options options = loopback_options();
    ssl_listener *second = nullptr;
    ssl_error err;
    int port = port_of(listener.get());
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_listen(port, &options, server_.get(), &second, &err), err));
    EXPECT_EQ(EADDRINUSE, err.sys_errno);
    EXPECT_EQ(SALLY_PHASE_LISTEN, err.phase);
    EXPECT_NE(nullptr, strstr(err.text, ("127.0.0.1:" + std::to_string(port)).c_str())) << err.text;
    EXPECT_NE(nullptr, strstr(err.text, "port 0")) << err.text;
}

TEST_F(Listen, OnlyAServerContextWithAnIdentityWillDo)
{
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(0, nullptr, client_.get(), &listener, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "ssl_make_server_context")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(0, nullptr, nullptr, &listener, &err), err));
    ssl_context *bare = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_make_server_context(SALLY_PROTOCOL_AUTO, &bare, nullptr));
    Context owner(bare);
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_listen(0, nullptr, bare, &listener, &err), err));
    EXPECT_EQ(nullptr, listener);
}

TEST_F(Listen, E3_NullArgumentsAreUsage)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    ssl_ports ports;
    ssl_endpoints ends;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(0, nullptr, server_.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_accept(nullptr, &ports, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_accept(listener.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listener_addresses(nullptr, &ends, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listener_addresses(listener.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_close(nullptr, &err), err));
    EXPECT_EQ(SALLY_USAGE, ssl_accept(nullptr, nullptr, nullptr));
    ssl_free_listener(nullptr);
}

} // namespace

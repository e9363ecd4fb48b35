// Listening and accepting: who is let in, who holds nobody up, and what goes wrong clearly.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "support/guards.h"

using namespace sallytest;
using testing::Test;

namespace
{

class ListenerTest : public Test
{
  protected:
    Context server_ = server_context();
    Context client_ = client_context();
};

// ---- where it listens ---------------------------------------------------------------------------

TEST_F(ListenerTest, L1_PortZeroPicksOneAndTheAddressesTellIt_P5)
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

TEST_F(ListenerTest, L1_WithoutAHostItListensOnIpv4AndIpv6)
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

TEST_F(ListenerTest, L1_ANameWithSeveralAddressesGetsOnePortAtAllOfThem)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "localhost";
    Listener listener = listen_with(options, server_.get());
    expect_reachable(listener.get(), "localhost", client_.get());
    expect_reachable(listener.get(), "127.0.0.1", client_.get());
}

TEST_F(ListenerTest, NullOptionsStandForTheUsualOnes)
{
    ssl_listener *listener = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_listen(0, nullptr, server_.get(), &listener, &err), err));
    Listener owner(listener);
    expect_reachable(listener, "127.0.0.1", client_.get());
}

TEST_F(ListenerTest, L1_TheAddressIsFreeAgainAfterTheEnd)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    expect_reachable(listener.get(), "127.0.0.1", client_.get());
    listener.reset();
    Listener again = listen_with(loopback_options(), server_.get(), port);
    EXPECT_EQ(port, port_of(again.get()));
}

// ---- Unix sockets -------------------------------------------------------------------------------

class UnixListenerTest : public ListenerTest
{
  protected:
    void SetUp() override
    {
        char name[] = "/tmp/sallyport-test-XXXXXX";
        ASSERT_NE(nullptr, mkdtemp(name));
        directory_ = name;
        path_ = directory_ + "/socket";
        host_ = "unix:" + path_;
        options_.host = host_.c_str();
        // A Unix socket has no name to check.
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(client_.get(), false, &err), err));
    }
    void TearDown() override
    {
        unlink(path_.c_str());
        rmdir(directory_.c_str());
    }
    bool file_exists()
    {
        struct stat file;
        return lstat(path_.c_str(), &file) == 0;
    }

    std::string directory_;
    std::string path_;
    std::string host_;
    ssl_listen_options options_ = SALLY_LISTEN_OPTIONS;
};

TEST_F(UnixListenerTest, L1_ServesAndRemovesItsFile)
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

TEST_F(UnixListenerTest, AFileThatIsThereIsLeftAlone)
{
    Fd file(open(path_.c_str(), O_CREAT | O_CLOEXEC | O_RDONLY, 0600));
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_listen(0, &options_, server_.get(), &listener, &err), err));
    EXPECT_EQ(EADDRINUSE, err.sys_errno);
    EXPECT_NE(nullptr, strstr(err.text, path_.c_str())) << err.text;
    EXPECT_TRUE(file_exists());
}

TEST_F(UnixListenerTest, TheFileOfASuccessorIsLeftAlone)
{
    Listener listener = listen_with(options_, server_.get());
    ASSERT_EQ(0, unlink(path_.c_str()));
    Listener successor = listen_with(options_, server_.get());
    listener.reset();
    EXPECT_TRUE(file_exists());
}

TEST_F(UnixListenerTest, APortIsRefused)
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

TEST_F(ListenerTest, APortInUseIsNamedWithTheWayOut)
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

TEST_F(ListenerTest, OnlyAServerContextWithAnIdentityWillDo)
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

TEST_F(ListenerTest, E3_NullArgumentsAreUsage)
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
    EXPECT_TRUE(is(SALLY_USAGE, ssl_close_listener(nullptr, &err), err));
    EXPECT_EQ(SALLY_USAGE, ssl_accept(nullptr, nullptr, nullptr));
    ssl_free_listener(nullptr);
}

// ---- accepting ----------------------------------------------------------------------------------

TEST_F(ListenerTest, L2_FiftySilentClientsDoNotDelayAGoodOne)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    std::vector<Fd> silent;
    for (int i = 0; i < 50; i++) {
        silent.push_back(connect_to(port));
    }
    Handshaker good(port);
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    ASSERT_EQ(Raw::Ok, good.result());
    expect_echo(served.ports, good.raw());
}

TEST_F(ListenerTest, L2_HalfAMessageDoesNotDelayAGoodClient)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    std::vector<std::unique_ptr<RawPeer>> halves;
    for (int i = 0; i < 20; i++) {
        halves.push_back(raw_client_at(port));
        halves.back()->send_half_client_hello();
    }
    Handshaker good(port);
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    ASSERT_EQ(Raw::Ok, good.result());
    expect_echo(served.ports, good.raw());
}

TEST_F(ListenerTest, L2_SeveralThreadsInAcceptServeAllClients)
{
    const int clients = 60;
    const int threads = 4;
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    std::vector<Fd> silent;
    for (int i = 0; i < threads + 1; i++) {
        silent.push_back(connect_to(port));
    }
    std::atomic<int> served{0};
    std::vector<std::unique_ptr<Thread>> acceptors;
    for (int i = 0; i < threads; i++) {
        acceptors.push_back(std::make_unique<Thread>([&] {
            Outcome outcome = accept_from(listener.get());
            while (outcome.status == SALLY_OK) {
                served++;
                outcome = accept_from(listener.get());
            }
            EXPECT_TRUE(is(SALLY_CLOSED, outcome));
        }));
    }
    for (int i = 0; i < clients; i += 3) {
        Handshaker a(port), b(port), c(port);
        EXPECT_EQ(Raw::Ok, a.result());
        EXPECT_EQ(Raw::Ok, b.result());
        EXPECT_EQ(Raw::Ok, c.result());
    }
    EXPECT_TRUE(eventually([&] { return served == clients; }));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_close_listener(listener.get(), &err), err));
}

// One thread takes the client into the set and leaves with another one; a thread that slept all along
// must see to the first, whose bytes and whose deadline it did not know of.
TEST_F(ListenerTest, L2_WhoLeavesHandsTheOthersOver)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    auto slow_client = raw_client_at(port);
    std::atomic<int> served{0};
    auto run = [&] {
        EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
        served++;
    };
    Thread first(run);
    Thread second(run);
    ASSERT_TRUE(wait_until_asleep(first));
    ASSERT_TRUE(wait_until_asleep(second));
    Handshaker quick(port);
    EXPECT_EQ(Raw::Ok, quick.result());
    EXPECT_TRUE(eventually([&] { return served == 1; }));
    EXPECT_EQ(Raw::Ok, slow_client->handshake());
    first.join();
    second.join();
    EXPECT_EQ(2, served);
}

struct BadClient {
    const char *name;
    void (*act)(RawPeer *client);
    ssl_status status;
};

void PrintTo(const BadClient &bad, std::ostream *out)
{
    *out << bad.name;
}

class BadClientTest : public testing::TestWithParam<BadClient>
{
};

TEST_P(BadClientTest, L2_FailsOneAcceptThatNamesItAndTheNextGoesOn)
{
    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    int port = port_of(listener.get());
    auto bad = raw_client_at(port);
    GetParam().act(bad.get());
    Outcome failed = accept_from(listener.get());
    EXPECT_TRUE(is(GetParam().status, failed));
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, failed.err.phase);
    EXPECT_NE(nullptr, strstr(failed.err.text, "127.0.0.1:")) << failed.err.text;
    Handshaker good(port);
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, good.result());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadClientTest,
    testing::Values(BadClient{"LeavesWithoutAWord", [](RawPeer *c) { c->end(); }, SALLY_TRUNCATED},
                    BadClient{"LeavesAfterHalfAMessage",
                              [](RawPeer *c) {
                                  c->send_half_client_hello();
                                  c->end();
                              },
                              SALLY_TRUNCATED},
                    BadClient{"SpeaksNoTls",
                              [](RawPeer *c) { c->send_garbage("GET / HTTP/1.0\r\n\r\n"); },
                              SALLY_PROTOCOL}),
    [](const auto &test) { return test.param.name; });

TEST_F(ListenerTest, P4_TheAlertOfAFailedHandshakeReachesThePeer)
{
    Context tls13 = server_context("server", SALLY_PROTOCOL_TLS13);
    Listener listener = listen_on_loopback(tls13.get());
    auto old = raw_peer(connect_to(port_of(listener.get())), raw_client(TLS1_2_VERSION));
    EXPECT_EQ(Raw::WantRead, old->handshake_step());
    old->send_garbage(
        std::string(100000, 'x')); // unread input must not turn the alert into a reset
    EXPECT_TRUE(is(SALLY_PROTOCOL, accept_from(listener.get())));
    EXPECT_EQ(Raw::Alert, old->handshake());
    EXPECT_EQ(70, old->last_alert()); // protocol_version (RFC 8446 section 6)
}

TEST_F(ListenerTest, L2_TheHandshakeDeadlineDropsItsClientAlone)
{
    ssl_listen_options options = loopback_options();
    options.handshake_timeout_ms = slow(300);
    Listener listener = listen_with(options, server_.get());
    int port = port_of(listener.get());
    auto silent = raw_client_at(port);
    auto half = raw_client_at(port);
    half->send_half_client_hello();
    Handshaker good(port);
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, good.result());
    for (int i = 0; i < 2; i++) {
        Outcome late = accept_from(listener.get());
        EXPECT_TRUE(is(SALLY_TIMEOUT, late));
        EXPECT_EQ(SALLY_PHASE_HANDSHAKE, late.err.phase);
        EXPECT_NE(nullptr, strstr(late.err.text, "127.0.0.1:")) << late.err.text;
    }
    EXPECT_EQ(Raw::Cut, silent->handshake());
    EXPECT_EQ(Raw::Cut, half->handshake());
    Handshaker next(port);
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, next.result());
}

TEST_F(ListenerTest, B5_TheTokensDeadlineIsTheCallsOwn)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    auto silent = raw_client_at(port_of(listener.get()));
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, &err), err));
    EXPECT_EQ(SALLY_PHASE_ACCEPT, err.phase);
    Handshaker same(std::move(silent));
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, same.result());
}

TEST_F(ListenerTest, BeyondPendingMaxClientsStayInTheBacklog)
{
    ssl_listen_options options = loopback_options();
    options.pending_max = 2;
    options.handshake_timeout_ms = slow(200);
    Listener listener = listen_with(options, server_.get());
    int port = port_of(listener.get());
    Fd first = connect_to(port);
    Fd second = connect_to(port);
    Handshaker good(port);
    int late = 0;
    Outcome outcome = accept_from(listener.get());
    for (; outcome.status == SALLY_TIMEOUT && late < 5; late++) {
        outcome = accept_from(listener.get());
    }
    EXPECT_TRUE(is(SALLY_OK, outcome));
    EXPECT_GE(late, 1);
    EXPECT_EQ(Raw::Ok, good.result());
}

// Lets the process open no further descriptor, until it goes out of scope.
class NoDescriptorsLeft
{
  public:
    NoDescriptorsLeft()
    {
        getrlimit(RLIMIT_NOFILE, &before_);
        for (Fd fd(dup(0)); fd; fd = Fd(dup(0))) {
            taken_.push_back(std::move(fd));
            rlimit now = before_;
            now.rlim_cur = static_cast<rlim_t>(taken_.back().get()) + 1;
            setrlimit(RLIMIT_NOFILE, &now);
        }
    }
    ~NoDescriptorsLeft()
    {
        setrlimit(RLIMIT_NOFILE, &before_);
    }

  private:
    rlimit before_ = {};
    std::vector<Fd> taken_;
};

TEST_F(ListenerTest, W5_WithoutDescriptorsTheClientStaysInTheBacklog)
{
    warm_up();
    Listener listener = listen_with(loopback_options(), server_.get());
    Handshaker client(port_of(listener.get()));
    {
        Break bound = deadline_in_ms(kBoundMs);
        NoDescriptorsLeft none;
        for (int i = 0; i < 3; i++) {
            ssl_ports ports;
            ssl_error err;
            EXPECT_TRUE(is(SALLY_SYSTEM,
                           ssl_accept_enable_break(listener.get(), bound.get(), &ports, &err),
                           err));
            EXPECT_EQ(EMFILE, err.sys_errno);
            EXPECT_EQ(SALLY_PHASE_ACCEPT, err.phase);
        }
    }
    EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
    EXPECT_EQ(Raw::Ok, client.result());
}

// ---- the end ------------------------------------------------------------------------------------

TEST_F(ListenerTest, ClosingWakesAllThreadsInAcceptAndSync)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    Listener other = listen_with(loopback_options(), server_.get());
    auto run = [&] { EXPECT_TRUE(is(SALLY_CLOSED, accept_from(listener.get()))); };
    Thread first(run);
    Thread second(run);
    Thread syncer([&] {
        ssl_event events[] = {{other.get(), {}}, {listener.get(), {}}};
        size_t ready = 9;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_sync(events, 2, &ready, &err), err));
        EXPECT_EQ(1u, ready);
    });
    EXPECT_TRUE(wait_until_asleep(first));
    EXPECT_TRUE(wait_until_asleep(second));
    EXPECT_TRUE(wait_until_asleep(syncer));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_close_listener(listener.get(), &err), err));
}

TEST_F(ListenerTest, ClosingDropsHalfDoneHandshakes)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    auto silent = raw_client_at(port_of(listener.get()));
    auto half = raw_client_at(port_of(listener.get()));
    half->send_half_client_hello();
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    EXPECT_EQ(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_listener(listener.get(), nullptr));
    EXPECT_EQ(Raw::Cut, silent->handshake());
    EXPECT_EQ(Raw::Cut, half->handshake());
}

TEST_F(ListenerTest, AClosedListenerSaysSo)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    ssl_error err;
    ssl_endpoints ends;
    size_t ready = 9;
    EXPECT_TRUE(is(SALLY_OK, ssl_close_listener(listener.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_close_listener(listener.get(), &err), err));
    EXPECT_TRUE(is(SALLY_CLOSED, accept_from(listener.get())));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_listener_addresses(listener.get(), &ends, &err), err));
    ssl_event event = {listener.get(), {}};
    EXPECT_TRUE(is(SALLY_OK, ssl_sync(&event, 1, &ready, &err), err));
    EXPECT_EQ(0u, ready);
}

TEST_F(ListenerTest, NothingIsLeftBehind)
{
    warm_up();
    LeakGuard guard;
    Listener listener = listen_with(loopback_options(), server_.get());
    int port = port_of(listener.get());
    Fd silent = connect_to(port);
    auto half = raw_client_at(port);
    half->send_half_client_hello();
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    EXPECT_EQ(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, nullptr));
    Handshaker good(port);
    Outcome served = accept_from(listener.get());
    EXPECT_EQ(Raw::Ok, good.result());
}

// ---- ssl_sync -----------------------------------------------------------------------------------

TEST_F(ListenerTest, L1_SyncTellsWhichListenerIsReady)
{
    Listener first = listen_with(loopback_options(), server_.get());
    Listener second = listen_with(loopback_options(), server_.get());
    ssl_event events[] = {{first.get(), {}}, {second.get(), {}}};
    size_t ready = 9;
    ssl_error err;
    Break soon = deadline_in_ms(20);
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_sync_enable_break(events, 2, soon.get(), &ready, &err), err));
    Handshaker client(port_of(second.get()));
    ASSERT_TRUE(is(SALLY_OK, ssl_sync(events, 2, &ready, &err), err));
    EXPECT_EQ(1u, ready);
    EXPECT_TRUE(is(SALLY_OK, accept_from(second.get())));
    EXPECT_EQ(Raw::Ok, client.result());
}

// The client is in the set, and waits for our answer; sync alone gives it and finishes the handshake.
TEST_F(ListenerTest, L2_SyncCarriesHalfDoneHandshakesOn)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    auto client = raw_client_at(port_of(listener.get()));
    Break soon = deadline_in_ms(50);
    ssl_ports ports;
    ssl_error err;
    ASSERT_TRUE(
        is(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, &err), err));
    Handshaker handshake(std::move(client));
    ssl_event event = {listener.get(), {}};
    size_t ready = 9;
    Break bound = deadline_in_ms(kBoundMs);
    ASSERT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, bound.get(), &ready, &err), err));
    EXPECT_EQ(0u, ready);
    EXPECT_EQ(Raw::Ok, handshake.result());
    ASSERT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, bound.get(), &ready, &err), err));
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    expect_echo(served.ports, handshake.raw());
}

TEST_F(ListenerTest, L2_AFailureThatSyncFoundIsTheNextAcceptsError)
{
    ssl_listen_options options = loopback_options();
    options.handshake_timeout_ms = slow(150);
    Listener listener = listen_with(options, server_.get());
    Fd silent = connect_to(port_of(listener.get()));
    Break soon = deadline_in_ms(20);
    ssl_ports ports;
    ssl_error err;
    ASSERT_TRUE(
        is(SALLY_TIMEOUT, ssl_accept_enable_break(listener.get(), soon.get(), &ports, &err), err));
    ssl_event event = {listener.get(), {}};
    size_t ready = 9;
    Break bound = deadline_in_ms(kBoundMs);
    ASSERT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, bound.get(), &ready, &err), err));
    Outcome late = accept_from(listener.get());
    EXPECT_TRUE(is(SALLY_TIMEOUT, late));
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, late.err.phase);
}

TEST_F(ListenerTest, B2_ABreakWinsOverAReadyListener)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    Fd client = connect_to(port_of(listener.get()));
    Break brk = new_break();
    ssl_break_send(brk.get(), 7);
    ssl_event event = {listener.get(), {}};
    size_t ready = 9;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_BREAK, ssl_sync_enable_break(&event, 1, brk.get(), &ready, &err), err));
    EXPECT_EQ(7, err.code);
    ssl_break_clear(brk.get());
    EXPECT_TRUE(is(SALLY_OK, ssl_sync_enable_break(&event, 1, brk.get(), &ready, &err), err));
}

TEST_F(ListenerTest, E3_SyncRefusesWhatItCannotWaitFor)
{
    Listener listener = listen_with(loopback_options(), server_.get());
    std::vector<ssl_event> events(SALLY_SYNC_MAX + 1, ssl_event{listener.get(), {}});
    size_t ready = 9;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(nullptr, 1, &ready, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 1, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 0, &ready, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), events.size(), &ready, &err), err));
    events[3].listener = nullptr;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_sync(events.data(), 5, &ready, &err), err));
    EXPECT_NE(nullptr, strstr(err.text, "event 3")) << err.text;
}

TEST_F(ListenerTest, SyncTakesAsManyListenersAsItSays)
{
    std::vector<Listener> listeners;
    std::vector<ssl_event> events;
    for (int i = 0; i < SALLY_SYNC_MAX; i++) {
        listeners.push_back(listen_with(loopback_options(), server_.get()));
        events.push_back(ssl_event{listeners.back().get(), {}});
    }
    Fd client = connect_to(port_of(listeners[37].get()));
    size_t ready = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_sync(events.data(), events.size(), &ready, &err), err));
    EXPECT_EQ(37u, ready);
}

} // namespace

// What a server tells its program when nobody has asked. Rules: W8 W9.
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/log.h"
#include "sallyport/metrics.h"
#include "scenario/service.h"
#include "support/no_descriptors.h"

using namespace sallytest;

namespace
{

struct Told {
    ssl_log_level level;
    ssl_log_event event;
    ssl_status status;
    int code;
    int sys_errno;
    uint64_t count;
    const ssl_server *server;
    std::string peer;
    std::string name;
    std::string reason;
    std::string text;
};

// Gets records from any thread.
class Listening
{
  public:
    explicit Listening(ssl_log_level level = SALLY_LOG_DEBUG)
    {
        log_.call = [](const ssl_log_record *record, void *user) {
            static_cast<Listening *>(user)->take(*record);
        };
        log_.user = this;
        log_.level = level;
    }
    const ssl_log *log() const
    {
        return &log_;
    }
    ssl_log *log()
    {
        return &log_;
    }
    std::vector<Told> told(ssl_log_event event)
    {
        std::lock_guard<std::mutex> guard(lock_);
        std::vector<Told> found;
        for (const Told &told : told_) {
            if (told.event == event) {
                found.push_back(told);
            }
        }
        return found;
    }
    // The first of that kind, once it is there.
    Told first(ssl_log_event event)
    {
        EXPECT_TRUE(eventually([&] { return !told(event).empty(); }, 15))
            << ssl_log_event_name(event);
        std::vector<Told> found = told(event);
        return found.empty() ? Told{} : found.front();
    }
    size_t count()
    {
        std::lock_guard<std::mutex> guard(lock_);
        return told_.size();
    }
    std::function<void()> inside; // run in the logger, before it returns

  private:
    void take(const ssl_log_record &r)
    {
        if (inside) {
            inside();
        }
        std::lock_guard<std::mutex> guard(lock_);
        told_.push_back({r.level, r.event, r.status, r.code, r.sys_errno, r.count, r.server, r.peer,
                         r.name, r.reason, r.text});
    }

    std::mutex lock_;
    std::vector<Told> told_;
    ssl_log log_ = SALLY_LOG;
};

// The port at the client's end.
std::string address_of(const Fd &fd)
{
    sockaddr_in own = {};
    socklen_t size = sizeof own;
    EXPECT_EQ(0, getsockname(fd.get(), reinterpret_cast<sockaddr *>(&own), &size));
    return "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
}

ssl_listen_options only_by_proxy(const char *trusted)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "127.0.0.1";
    options.proxy = SALLY_PROXY_REQUIRED;
    options.proxy_trusted = trusted;
    return options;
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

class Logging : public testing::Test
{
  protected:
    Logging()
    {
        warm_up();
    }
};

} // namespace

TEST_F(Logging, W9_AFailedHandshakeTellsWhoAndWhy)
{
    Listening listening;
    Service service(echo_once, service_options(), listening.log());
    Fd babbling = connect_to(service.port());
    std::string address = address_of(babbling);
    ASSERT_EQ(18, write(babbling.get(), "GET / HTTP/1.0\r\n\r\n", 18));
    Told told = listening.first(SALLY_LOG_HANDSHAKE_FAILED);
    EXPECT_EQ(SALLY_LOG_INFO, told.level);
    EXPECT_EQ(SALLY_PROTOCOL, told.status);
    EXPECT_EQ(service.get(), told.server);
    EXPECT_EQ(address, told.peer);
    EXPECT_TRUE(has(told.text, address)) << told.text;
}

TEST_F(Logging, W9_AnAlertIsThereAsANumber)
{
    Listening listening;
    Service service(echo_once, service_options(), listening.log());
    RawOptions distrustful = raw_client();
    distrustful.trust = "other-ca";
    auto peer = raw_peer(connect_to(service.port()), distrustful);
    EXPECT_NE(Raw::Ok, peer->handshake());
    Told told = listening.first(SALLY_LOG_HANDSHAKE_FAILED);
    EXPECT_EQ(SALLY_PEER, told.status);
    EXPECT_EQ(48, told.code) << "unknown_ca";
}

TEST_F(Logging, W9_TimeoutsOfHandshakesAndIdleClientsAreTold)
{
    Listening listening;
    ssl_server_options options = service_options();
    options.handshake_timeout_ms = 200;
    options.idle_timeout_ms = 200;
    Service service(echo_once, options, listening.log());
    Fd silent = connect_to(service.port());
    Told told = listening.first(SALLY_LOG_HANDSHAKE_FAILED);
    EXPECT_EQ(SALLY_TIMEOUT, told.status);
    EXPECT_EQ(address_of(silent), told.peer);
    auto idle = service.client();
    told = listening.first(SALLY_LOG_IDLE_CLOSED);
    EXPECT_EQ(SALLY_LOG_DEBUG, told.level);
    EXPECT_TRUE(has(told.peer, "127.0.0.1:"));
}

TEST_F(Logging, W8_W9_ARefusedClientIsToldWithItsReason)
{
    Listening listening;
    Service service(echo_once, service_options(), only_by_proxy("::1"), listening.log());
    Fd stranger = connect_to(service.port());
    Told told = listening.first(SALLY_LOG_REFUSED);
    EXPECT_EQ(SALLY_LOG_INFO, told.level);
    EXPECT_EQ(SALLY_CLOSED, told.status);
    EXPECT_EQ("proxy", told.reason);
    EXPECT_EQ(address_of(stranger), told.peer);
}

TEST_F(Logging, W8_W9_BehindAProxyThePeerIsTheClient)
{
    Listening listening;
    Service service(echo_once, service_options(), only_by_proxy("127.0.0.1"), listening.log());
    Fd proxy = connect_to(service.port());
    std::string header =
        "PROXY TCP4 192.0.2.7 192.0.2.9 40001 443\r\nno TLS at all, but long enough";
    ASSERT_EQ(static_cast<ssize_t>(header.size()),
              write(proxy.get(), header.data(), header.size()));
    EXPECT_EQ("192.0.2.7:40001", listening.first(SALLY_LOG_HANDSHAKE_FAILED).peer);
}

TEST_F(Logging, W8_W9_WithoutAHeaderThePeerIsTheProxy)
{
    Listening listening;
    Service service(echo_once, service_options(), only_by_proxy("127.0.0.1"), listening.log());
    Fd proxy = connect_to(service.port());
    ASSERT_EQ(18, write(proxy.get(), "GET / HTTP/1.0\r\n\r\n", 18));
    EXPECT_EQ(address_of(proxy), listening.first(SALLY_LOG_HANDSHAKE_FAILED).peer);
}

TEST_F(Logging, W9_ADrainTellsItsBeginningAndItsEnd)
{
    Listening listening;
    Service service(echo_once, service_options(), listening.log());
    auto client = service.client();
    expect_echo(client.get(), "x");
    ASSERT_TRUE(service.rests(1));
    Thread drainer([&] { EXPECT_EQ(SALLY_OK, service.drain(10000, 10000)); });
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    client->end();
    drainer.join();
    EXPECT_EQ(1u, listening.first(SALLY_LOG_DRAIN_BEGUN).count);
    Told told = listening.first(SALLY_LOG_DRAIN_ENDED);
    EXPECT_EQ(SALLY_LOG_INFO, told.level);
    EXPECT_EQ(SALLY_OK, told.status);
    EXPECT_EQ(0u, told.count);
}

TEST_F(Logging, W9_HandlersThatADrainCutsAreAWarning)
{
    Listening listening;
    Latch entered;
    Service service(
        [&](ssl_connection *, ssl_port *in, ssl_port *) {
            char byte;
            size_t got;
            while (ssl_read(in, &byte, 1, &got, nullptr) != SALLY_CLOSED) {
                entered.open();
            }
            return SALLY_DONE;
        },
        service_options(), listening.log());
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(entered.wait());
    EXPECT_EQ(SALLY_TIMEOUT, service.drain(0, 0));
    Told told = listening.first(SALLY_LOG_DRAIN_ENDED);
    EXPECT_EQ(SALLY_LOG_WARNING, told.level);
    EXPECT_EQ(1u, told.count);
}

TEST_F(Logging, W9_ClientsThatCannotBeTakenAreAWarning)
{
    Listening listening(SALLY_LOG_WARNING);
    Service service(echo_once, service_options(), listening.log());
    NoDescriptors none;
    none.give_back(1);
    Fd client = connect_to(service.port());
    Told told = listening.first(SALLY_LOG_ACCEPT_FAILED);
    none.give_all_back();
    EXPECT_EQ(SALLY_LOG_WARNING, told.level);
    EXPECT_EQ(SALLY_SYSTEM, told.status);
    EXPECT_EQ(EMFILE, told.sys_errno);
}

TEST_F(Logging, W2_W9_APoolThatCannotGrowIsAnErrorToldOnce)
{
    Listening listening;
    HeldEcho held;
    ssl_server_options options = service_options(1);
    options.workers_max = 4;
    Service service(held.handler(), options, listening.log());
    auto client = service.client();
    {
        NoDescriptors none;
        ASSERT_EQ(Raw::Ok, client->write_all("x"));
        ASSERT_TRUE(held.entered.wait());
        EXPECT_TRUE(service.reaches([](auto &now) { return now.worker_start_failures >= 3; }));
    }
    EXPECT_TRUE(service.reaches([](auto &now) { return now.workers >= 2; }));
    held.release.open();
    auto told = listening.told(SALLY_LOG_START_FAILED);
    ASSERT_EQ(1u, told.size());
    EXPECT_EQ(SALLY_LOG_ERROR, told[0].level);
    EXPECT_EQ(SALLY_SYSTEM, told[0].status);
    EXPECT_EQ(EMFILE, told[0].sys_errno);
    EXPECT_EQ(service.get(), told[0].server);
}

TEST_F(Logging, W9_ALoggerMayCallTheLibraryAndIsNotCalledForThat)
{
    Listening listening;
    ssl_metrics metrics = {};
    Service service(echo_once, service_options(), listening.log());
    const size_t before = listening.count();
    listening.inside = [&] {
        EXPECT_EQ(SALLY_OK, ssl_server_metrics(service.get(), &metrics, nullptr))
            << "no lock is held";
        EXPECT_EQ(SALLY_OK, ssl_server_count(service.get(), &metrics.server, nullptr));
    };
    {
        Fd gone = connect_to(service.port());
    }
    listening.first(SALLY_LOG_HANDSHAKE_FAILED);
    EXPECT_EQ(SALLY_OK, service.drain(1000, 1000));
    EXPECT_EQ(before + 3, listening.count());
}

// ---- too many ----------------------------------------------------------------------------------

// Each of them is in the log, or counted as dropped; and what else happens is told all the same.
TEST_F(Logging, W9_WhatIsTooMuchIsDroppedAndCounted)
{
    constexpr size_t kClients = 40;
    Listening listening;
    listening.log()->burst = 3;
    listening.log()->per_second = 1;
    Service service(echo_once, service_options(), listening.log());
    for (size_t i = 0; i < kClients; i++) {
        Fd gone = connect_to(service.port());
    }
    ASSERT_TRUE(service.reaches([](auto &now) { return now.handshakes_failed == kClients; }));
    EXPECT_EQ(SALLY_OK, service.drain(1000, 1000));
    size_t told = listening.told(SALLY_LOG_HANDSHAKE_FAILED).size();
    size_t dropped = 0;
    for (const Told &record : listening.told(SALLY_LOG_DROPPED)) {
        EXPECT_EQ("handshake_failed", record.reason);
        EXPECT_EQ(SALLY_LOG_WARNING, record.level);
        EXPECT_EQ(service.get(), record.server);
        dropped += record.count;
    }
    EXPECT_EQ(kClients, told + dropped);
    EXPECT_LE(3U, told);
    EXPECT_LT(0U, dropped);
    EXPECT_EQ(1U, listening.told(SALLY_LOG_DRAIN_ENDED).size());
}

TEST_F(Logging, W9_UnlessTheProgramWantsAllOfThem)
{
    constexpr size_t kClients = 2 * SALLY_LOG_BURST;
    Listening listening;
    listening.log()->burst = SALLY_UNLIMITED;
    Service service(echo_once, service_options(), listening.log());
    for (size_t i = 0; i < kClients; i++) {
        Fd gone = connect_to(service.port());
    }
    ASSERT_TRUE(service.reaches([](auto &now) { return now.handshakes_failed == kClients; }));
    EXPECT_EQ(SALLY_OK, service.drain(1000, 1000));
    EXPECT_EQ(kClients, listening.told(SALLY_LOG_HANDSHAKE_FAILED).size());
    EXPECT_EQ(0U, listening.told(SALLY_LOG_DROPPED).size());
}

// ---- remarks -----------------------------------------------------------------------------------

namespace
{

// Starts a server with a listener of this context and registry; what its log has of remarks.
std::vector<Told> remarks_at_start(ssl_context *context, ssl_registry *registry)
{
    Listening listening;
    ssl_error err;
    ssl_server_options options = service_options();
    options.handler = call_handler;
    ssl_server *made = nullptr;
    EXPECT_TRUE(is(SALLY_OK, ssl_server_new(&options, &made, &err), err));
    Server server(made);
    ssl_listen_options listen = SALLY_LISTEN_OPTIONS;
    listen.host = "127.0.0.1";
    listen.registry = registry;
    ssl_listener *listener = nullptr;
    EXPECT_TRUE(is(SALLY_OK, ssl_listen(0, &listen, context, &listener, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_server_add_listener(made, listener, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_server_set_log(made, listening.log(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_server_start(made, &err), err));
    return listening.told(SALLY_LOG_REMARK);
}

} // namespace

TEST_F(Logging, C2_W9_AnExpiredCertificateIsRemarkedOnWhenTheServerStarts)
{
    for (bool sealed : {false, true}) {
        Context context = server_context("expired");
        ssl_error err;
        if (sealed) {
            EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
            EXPECT_TRUE(has(err.text, "sealed, but the certificate has expired")) << err.text;
        }
        std::vector<Told> remarks = remarks_at_start(context.get(), nullptr);
        ASSERT_EQ(1U, remarks.size());
        EXPECT_EQ(SALLY_LOG_WARNING, remarks[0].level);
        EXPECT_EQ("", remarks[0].name);
        EXPECT_TRUE(has(remarks[0].text, "the certificate has expired")) << remarks[0].text;
        EXPECT_FALSE(has(remarks[0].text, "sealed")) << remarks[0].text;
    }
}

TEST_F(Logging, C2_C5_W9_SoAreThoseOfTheRegistryByTheirNames)
{
    ssl_registry *made = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_registry_new(&made, &err), err));
    Registry registry(made);
    Context expired = server_context("expired");
    Context lonely = server_context("sni");
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(expired.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(lonely.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_put(made, "old.test", expired.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_put(made, "sni.test", lonely.get(), &err), err));
    std::vector<Told> remarks = remarks_at_start(nullptr, made);
    ASSERT_EQ(2U, remarks.size());
    EXPECT_EQ("old.test", remarks[0].name);
    EXPECT_TRUE(has(remarks[0].text, "has expired")) << remarks[0].text;
    EXPECT_EQ("sni.test", remarks[1].name);
    EXPECT_TRUE(has(remarks[1].text, "append the issuers")) << remarks[1].text;
}

TEST_F(Logging, W9_AWholeChainIsNotRemarkedOn)
{
    Context whole = server_context("chain");
    EXPECT_EQ(0U, remarks_at_start(whole.get(), nullptr).size());
}

TEST_F(Logging, C5_W9_AWatchTellsItsReloadsToALog)
{
    Listening listening;
    std::string chain = testing::TempDir() + "log_test_chain.pem";
    auto copy_to_chain = [&](const std::string &from) {
        std::ifstream in(from);
        std::ofstream out(chain + ".new");
        out << in.rdbuf();
        out.close();
        ASSERT_EQ(0, rename((chain + ".new").c_str(), chain.c_str()));
    };
    copy_to_chain(cert_path("server.pem"));
    ssl_registry *made = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_registry_new(&made, &err), err));
    Registry registry(made);
    std::string key = cert_path("server-key.pem");
    ssl_registry_source source = SALLY_REGISTRY_SOURCE;
    source.chain_path = chain.c_str();
    source.key_path = key.c_str();
    ASSERT_TRUE(is(SALLY_OK, ssl_registry_load(made, "site", &source, &err), err));
    ssl_watch_options options = SALLY_WATCH_OPTIONS;
    options.interval_ms = SALLY_WATCH_INTERVAL_MIN_MS;
    options.report = ssl_log_reload;
    options.user = listening.log();
    ASSERT_TRUE(is(SALLY_OK, ssl_registry_watch(made, &options, &err), err));
    copy_to_chain(cert_path("sni.pem")); // not of this key
    Told told = listening.first(SALLY_LOG_RELOAD_FAILED);
    EXPECT_EQ(SALLY_LOG_ERROR, told.level);
    EXPECT_EQ("site", told.name);
    EXPECT_NE(SALLY_OK, told.status);
    copy_to_chain(cert_path("server.pem"));
    EXPECT_EQ("site", listening.first(SALLY_LOG_RELOADED).name);
    EXPECT_EQ(SALLY_OK, ssl_registry_unwatch(made, &err));
    unlink(chain.c_str());
}

TEST_F(Logging, E3_ALogIsSetBeforeTheStart)
{
    Listening listening;
    Service service(echo_once);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_set_log(service.get(), listening.log(), &err), err));
    EXPECT_TRUE(has(err.text, "ssl_server_start")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_set_log(nullptr, listening.log(), &err), err));
    ssl_server_options options = service_options();
    options.handler = call_handler;
    ssl_server *made = nullptr;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_new(&options, &made, &err), err));
    Server server(made);
    listening.log()->burst = -2;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_set_log(made, listening.log(), &err), err));
    EXPECT_TRUE(has(err.text, "burst is -2")) << err.text;
    listening.log()->burst = 0;
    listening.log()->level = static_cast<ssl_log_level>(9);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_set_log(made, listening.log(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_server_set_log(made, nullptr, &err), err));
}

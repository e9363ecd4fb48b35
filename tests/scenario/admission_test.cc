// ssl_server: who comes in, who is refused, and for which limit. Rules: W4.
#include <gtest/gtest.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "scenario/service.h"
#include "support/guards.h"
#include "support/proxy_headers.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

// What the callback of the options was told.
struct Told {
    std::mutex mutex;
    std::vector<std::pair<std::string, ssl_refusal>> all;

    static Told *now; // the options' user is the handler's
    Told()
    {
        now = this;
    }
    ~Told()
    {
        now = nullptr;
    }
    static void note(const char *peer, ssl_refusal why, void *user)
    {
        EXPECT_NE(nullptr, user);
        std::lock_guard<std::mutex> lock(now->mutex);
        now->all.emplace_back(peer, why);
    }
};
Told *Told::now;

// Waits for the end of a connection without a word said: 0 for a FIN, or the errno.
int end_of_silence(const Fd &fd)
{
    pollfd ready = {fd.get(), POLLIN, 0};
    EXPECT_EQ(1, poll(&ready, 1, 20000));
    char byte;
    ssize_t got = recv(fd.get(), &byte, 1, 0);
    EXPECT_GE(0, got);
    return got == 0 ? 0 : errno;
}

class Admission : public testing::Test
{
  protected:
    Admission()
    {
        warm_up();
        options_.refused = Told::note;
    }
    // So many of one kind, and none of any other.
    void expect_refused(Service *service, ssl_refusal why, uint64_t count)
    {
        EXPECT_TRUE(service->reaches([&](auto &now) { return now.refused[why] == count; }));
        ssl_server_counters now = service->count();
        for (int i = 0; i < SALLY_REFUSALS; i++) {
            EXPECT_EQ(i == why ? count : 0, now.refused[i])
                << ssl_refusal_name(static_cast<ssl_refusal>(i));
        }
        EXPECT_TRUE(eventually([&] {
            std::lock_guard<std::mutex> lock(told_.mutex);
            return told_.all.size() == count;
        }));
        for (auto &one : told_.all) {
            EXPECT_EQ(why, one.second);
            EXPECT_EQ(0u, one.first.find("127.0.0.1:")) << one.first;
        }
    }

    // A third client of these options is closed, until one of the two goes.
    void expect_room_for_two(ssl_refusal why)
    {
        Service service(echo_once, options_);
        auto one = service.client();
        auto two = service.client();
        EXPECT_EQ(0, end_of_silence(connect_to(service.port())));
        expect_refused(&service, why, 1);
        expect_echo(one.get(), "still served");
        two->end();
        EXPECT_TRUE(service.rests(1));
        expect_echo(service.client().get(), "there is room again");
    }

    Told told_;
    ssl_server_options options_ = service_options();
};

} // namespace

TEST_F(Admission, W4_AFullServerMayCloseNewClients)
{
    options_.connections_max = 2;
    options_.when_full = SALLY_FULL_CLOSE;
    expect_room_for_two(SALLY_REFUSED_CONNECTIONS);
}

TEST_F(Admission, W4_AFullServerMayResetNewClients)
{
    options_.connections_max = 1;
    options_.when_full = SALLY_FULL_RESET;
    Service service(echo_once, options_);
    auto one = service.client();
    EXPECT_EQ(ECONNRESET, end_of_silence(connect_to(service.port())));
    EXPECT_EQ(ECONNRESET, end_of_silence(connect_to(service.port())));
    expect_refused(&service, SALLY_REFUSED_CONNECTIONS, 2);
    expect_echo(one.get(), "still served");
}

TEST_F(Admission, W4_HandshakesHaveALimitOfTheirOwn)
{
    options_.handshakes_max = 2;
    options_.when_full = SALLY_FULL_CLOSE;
    Service service(echo_once, options_);
    auto done = service.client(); // its handshake is done, so it does not count
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_done == 1; }));
    Fd silent = connect_to(service.port());
    Fd more = connect_to(service.port());
    EXPECT_TRUE(service.rests(3));
    EXPECT_EQ(0, end_of_silence(connect_to(service.port())));
    expect_refused(&service, SALLY_REFUSED_HANDSHAKES, 1);
    expect_echo(done.get(), "x");
}

TEST_F(Admission, W4_ClientsWaitInTheBacklogForAHandshakeThatEnds)
{
    options_.handshakes_max = 1;
    Service service(echo_once, options_);
    auto slow_one = raw_peer(connect_to(service.port()), raw_client());
    EXPECT_TRUE(service.rests(1));
    auto next = raw_peer(connect_to(service.port()), raw_client());
    EXPECT_EQ(Raw::WantRead, next->handshake_step());
    EXPECT_EQ(1u, service.count().accepted);
    EXPECT_EQ(Raw::Ok, slow_one->handshake());
    EXPECT_EQ(Raw::Ok, next->handshake());
    expect_echo(next.get(), "x");
    expect_echo(slow_one.get(), "y");
    expect_refused(&service, SALLY_REFUSED_CONNECTIONS, 0);
}

// It cannot stay in the backlog, where others of other addresses are behind it.
TEST_F(Admission, W4_AnAddressHasALimitAndGetsItsPlaceBack)
{
    options_.address_connections_max = 2;
    expect_room_for_two(SALLY_REFUSED_ADDRESS);
}

// Behind a proxy, which tells who they are.
TEST_F(Admission, W4_W8_TheAddressesOfAnIpv6NetworkAreOneClients)
{
    options_.address_connections_max = 1;
    ssl_listen_options listening = SALLY_LISTEN_OPTIONS;
    listening.host = "127.0.0.1";
    listening.proxy = SALLY_PROXY_REQUIRED;
    listening.proxy_trusted = "127.0.0.1";
    Service service(echo_once, options_, listening);
    auto from = [&](const char *address) {
        Fd fd = connect_to(service.port());
        std::string header = v2_header(0x21, 0x21, inet_block(AF_INET6, address, 7, "::1", 443));
        EXPECT_EQ(static_cast<ssize_t>(header.size()),
                  send(fd.get(), header.data(), header.size(), MSG_NOSIGNAL));
        return raw_peer(std::move(fd), raw_client());
    };
    auto one = from("2001:db8:0:7::1");
    ASSERT_EQ(Raw::Ok, one->handshake());
    auto again = from("2001:db8:0:7:ffff:ffff:ffff:ffff");
    EXPECT_NE(Raw::Ok, again->handshake());
    auto neighbour = from("2001:db8:0:8::1");
    EXPECT_EQ(Raw::Ok, neighbour->handshake());
    expect_echo(one.get(), "still served");
    EXPECT_TRUE(service.reaches([](auto &now) { return now.refused[SALLY_REFUSED_ADDRESS] == 1; }));
}

TEST_F(Admission, W4_OneBeyondTheLimitOfItsAddressIsResetWhereThatIsWanted)
{
    options_.address_connections_max = 1;
    options_.when_full = SALLY_FULL_RESET;
    Service service(echo_once, options_);
    auto one = service.client();
    EXPECT_EQ(ECONNRESET, end_of_silence(connect_to(service.port())));
    expect_refused(&service, SALLY_REFUSED_ADDRESS, 1);
}

TEST_F(Admission, W4_TheOldestIdleOneYields)
{
    options_.connections_max = 2;
    options_.oldest_idle_yields = true;
    // Who serves the next client has put the one before among the idle ones.
    options_.workers = 1;
    Service service(echo_once, options_);
    auto old = service.client();
    expect_echo(old.get(), "x");
    auto young = service.client();
    expect_echo(young.get(), "y");
    EXPECT_TRUE(service.rests(2));
    expect_echo(old.get(), "and now it is the younger one");
    EXPECT_TRUE(service.rests(2));
    auto fresh = service.client();
    expect_echo(fresh.get(), "z");
    EXPECT_EQ(Raw::Eof, end_of(young.get())) << "with a goodbye";
    expect_echo(old.get(), "still there");
    expect_refused(&service, SALLY_REFUSED_IDLE, 1);
}

TEST_F(Admission, W4_NobodyYieldsWhoIsServed)
{
    options_.connections_max = 1;
    options_.oldest_idle_yields = true;
    HeldEcho held;
    Service service(held.handler(), options_);
    auto busy = service.client();
    ASSERT_EQ(Raw::Ok, busy->write_all("x"));
    ASSERT_TRUE(held.entered.wait());
    auto next = raw_peer(connect_to(service.port()), raw_client());
    EXPECT_EQ(Raw::WantRead, next->handshake_step());
    EXPECT_EQ(1u, service.count().accepted);
    held.release.open();
    EXPECT_EQ(Raw::Ok, next->handshake()) << "the other one is idle now, and yields";
    std::string rest;
    EXPECT_EQ(Raw::Eof, busy->read_to_end(&rest));
    EXPECT_EQ("x", rest);
    expect_refused(&service, SALLY_REFUSED_IDLE, 1);
}

TEST_F(Admission, W4_EveryLimitMayBeUnlimited)
{
    options_.connections_max = SALLY_UNLIMITED;
    options_.handshakes_max = SALLY_UNLIMITED;
    options_.address_connections_max = SALLY_UNLIMITED;
    options_.queue_max = SALLY_UNLIMITED;
    options_.queue_timeout_ms = SALLY_UNLIMITED;
    options_.handshake_timeout_ms = SALLY_UNLIMITED;
    options_.idle_timeout_ms = SALLY_UNLIMITED;
    options_.read_timeout_ms = SALLY_UNLIMITED;
    options_.write_timeout_ms = SALLY_UNLIMITED;
    options_.close_timeout_ms = SALLY_UNLIMITED;
    options_.worker_idle_ms = SALLY_UNLIMITED;
    Service service(echo_once, options_);
    std::vector<std::unique_ptr<RawPeer>> clients;
    for (int i = 0; i < 20; i++) {
        clients.push_back(service.client());
        expect_echo(clients.back().get(), "x");
    }
    EXPECT_TRUE(service.rests(20));
}

TEST_F(Admission, W4_LimitsThatContradictEachOtherAreNamed)
{
    options_.handler = call_handler;
    options_.connections_max = 10;
    struct {
        int64_t ssl_server_options::*field;
        const char *name;
    } const parts[] = {
        {&ssl_server_options::handshakes_max, "handshakes_max"},
        {&ssl_server_options::address_connections_max, "address_connections_max"},
        {&ssl_server_options::queue_max, "queue_max"},
    };
    auto refusal_of = [](const ssl_server_options &options) {
        ssl_server *server = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_USAGE, ssl_server_new(&options, &server, &err), err));
        EXPECT_EQ(nullptr, server);
        return std::string(err.text);
    };
    for (auto &part : parts) {
        ssl_server_options options = options_;
        options.*part.field = 11;
        EXPECT_EQ("ssl_server_new: " + std::string(part.name) +
                      " is 11, more than connections_max, 10",
                  refusal_of(options));
        options.*part.field = 10;
        ssl_server *server = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_server_new(&options, &server, &err), err));
        ssl_server_free(server);
    }
    ssl_server_options options = options_;
    options.when_full = static_cast<ssl_when_full>(3);
    EXPECT_NE(std::string::npos, refusal_of(options).find("when_full is 3"));
    options = options_;
    options.connections_max = SALLY_UNLIMITED;
    options.oldest_idle_yields = true;
    std::string text = refusal_of(options);
    EXPECT_NE(std::string::npos, text.find("oldest_idle_yields")) << text;
    EXPECT_NE(std::string::npos, text.find("connections_max")) << text;
}

TEST_F(Admission, W9_EveryRefusalHasAWord)
{
    EXPECT_STREQ("connections", ssl_refusal_name(SALLY_REFUSED_CONNECTIONS));
    EXPECT_STREQ("idle", ssl_refusal_name(SALLY_REFUSED_IDLE));
    EXPECT_STREQ("unknown", ssl_refusal_name(static_cast<ssl_refusal>(SALLY_REFUSALS)));
}

// ---- the queue of those that wait for a worker ----

TEST_F(Admission, W4_WhoWaitsTooLongForAWorkerIsHungUpOn)
{
    options_.workers = 1;
    options_.queue_timeout_ms = 400;
    HeldEcho held;
    Service service(held.handler(), options_);
    auto first = service.client();
    auto second = service.client();
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_done == 2; }));
    ASSERT_EQ(Raw::Ok, first->write_all("x"));
    ASSERT_TRUE(held.entered.wait());
    ASSERT_EQ(Raw::Ok, second->write_all("y"));
    EXPECT_EQ(Raw::Eof, end_of(second.get())) << "with a goodbye";
    expect_refused(&service, SALLY_REFUSED_QUEUE_AGE, 1);
    held.release.open();
    std::string back;
    EXPECT_EQ(Raw::Ok, first->read_full(&back, 1)) << "the one that is served stays";
}

TEST_F(Admission, W4_WhoIsBehindTooManyIsHungUpOn)
{
    options_.workers = 1;
    options_.queue_max = 2;
    HeldEcho held;
    Service service(held.handler(), options_);
    std::vector<std::unique_ptr<RawPeer>> clients;
    for (int i = 0; i < 6; i++) {
        clients.push_back(service.client());
    }
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handshakes_done == 6; }));
    ASSERT_EQ(Raw::Ok, clients[0]->write_all("x"));
    ASSERT_TRUE(held.entered.wait());
    for (int i = 1; i < 6; i++) {
        ASSERT_EQ(Raw::Ok, clients[i]->write_all("y"));
    }
    expect_refused(&service, SALLY_REFUSED_QUEUE_LENGTH, 3);
    held.release.open();
    for (int i = 0; i < 3; i++) {
        std::string back;
        EXPECT_EQ(Raw::Ok, clients[i]->read_full(&back, 1)) << i;
    }
    for (int i = 3; i < 6; i++) {
        EXPECT_EQ(Raw::Eof, end_of(clients[i].get())) << i;
    }
}

TEST_F(Admission, W4_NewClientsWaitInTheQueueToo)
{
    options_.workers = 1;
    options_.queue_timeout_ms = 400;
    HeldEcho held;
    Service service(held.handler(), options_);
    auto first = service.client();
    Fd silent = connect_to(service.port());
    EXPECT_TRUE(service.rests(2));
    ASSERT_EQ(Raw::Ok, first->write_all("x"));
    ASSERT_TRUE(held.entered.wait());
    auto fresh = raw_peer(std::move(silent), raw_client());
    EXPECT_EQ(Raw::WantRead, fresh->handshake_step()) << "it has said hello";
    expect_refused(&service, SALLY_REFUSED_QUEUE_AGE, 1);
    held.release.open();
}

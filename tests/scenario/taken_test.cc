// Pairs that a handler takes from its server, and peers that go while it computes. Rules: W1 W6 W7.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "scenario/service.h"
#include "support/guards.h"

using namespace sallytest;

namespace
{

class Taken : public testing::Test
{
  protected:
    Taken()
    {
        warm_up();
    }
};

// A handler that gives its pair to the test.
class Keeper
{
  public:
    Handler handler()
    {
        return [this](ssl_connection *, ssl_port *in, ssl_port *out) {
            std::lock_guard<std::mutex> guard(lock_);
            ports_ = Ports(ssl_ports{in, out});
            return SALLY_TAKEN;
        };
    }
    Ports take()
    {
        std::lock_guard<std::mutex> guard(lock_);
        return std::move(ports_);
    }

  private:
    std::mutex lock_;
    Ports ports_;
};

void expect_echo_by(const Ports &ports, RawPeer *client, const std::string &message)
{
    std::string back(message.size(), '\0');
    size_t got = 0;
    ASSERT_EQ(Raw::Ok, client->write_all(message));
    ASSERT_EQ(SALLY_OK, ssl_read_full(ports.in(), back.data(), back.size(), &got, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_write(ports.out(), back.data(), got, nullptr, nullptr));
    back.clear();
    ASSERT_EQ(Raw::Ok, client->read_full(&back, message.size()));
    EXPECT_EQ(message, back);
}

} // namespace

TEST_F(Taken, W1_TheServerForgetsAPairThatWasTaken)
{
    Keeper keeper;
    Service service(keeper.handler());
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(service.reaches([](auto &now) { return now.taken == 1 && now.open == 0; }));
    Ports ports = keeper.take();
    ASSERT_TRUE(ports);
    char byte;
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), &byte, 1, &got, nullptr));
    EXPECT_EQ('!', byte);
    expect_echo_by(ports, client.get(), "taken");
}

TEST_F(Taken, W6_ADrainLeavesWhatWasTakenAlone)
{
    Keeper keeper;
    Service service(keeper.handler());
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(service.reaches([](auto &now) { return now.taken == 1 && now.open == 0; }));
    EXPECT_EQ(SALLY_OK, service.drain(1000, 2000));
    Ports ports = keeper.take();
    char byte;
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), &byte, 1, &got, nullptr));
    expect_echo_by(ports, client.get(), "after the drain");
}

// The threads that a handler starts may be done with the pair before the handler returns.
TEST_F(Taken, W1_APairMayBeGoneBeforeTheHandlerSaysThatItTookIt)
{
    Service service([](ssl_connection *, ssl_port *in, ssl_port *out) {
        std::thread([in, out] {
            char byte;
            size_t got;
            Ports ports(ssl_ports{in, out});
            EXPECT_EQ(SALLY_OK, ssl_read(in, &byte, 1, &got, nullptr));
            EXPECT_EQ(SALLY_OK, ssl_write(out, "bye", 3, nullptr, nullptr));
            EXPECT_EQ(SALLY_OK, ssl_close_port(out, nullptr));
        }).join();
        return SALLY_TAKEN;
    });
    for (int i = 0; i < 20; i++) {
        auto client = service.client();
        std::string back;
        ASSERT_EQ(Raw::Ok, client->write_all("!"));
        EXPECT_EQ(Raw::Eof, client->read_to_end(&back));
        EXPECT_EQ("bye", back);
    }
    EXPECT_TRUE(service.rests(0));
    EXPECT_EQ(20u, service.count().taken);
}

TEST_F(Taken, W1_TheApplicationsPointerGoesWithTheConnection)
{
    std::atomic<int> destroyed{0};
    Keeper keeper;
    Handler take = keeper.handler();
    Service service([&](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        ssl_connection_set_user(connection, &destroyed,
                                [](void *user) { ++*static_cast<std::atomic<int> *>(user); });
        return take(connection, in, out);
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    ASSERT_TRUE(service.reaches([](auto &now) { return now.taken == 1 && now.open == 0; }));
    EXPECT_EQ(1, destroyed);
}

TEST_F(Taken, W1_AnAnswerThatIsNoneCountsAsDone)
{
    Service service(
        [](ssl_connection *, ssl_port *, ssl_port *) { return static_cast<ssl_served>(77); });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("!"));
    EXPECT_EQ(Raw::Eof, end_of(client.get()));
    EXPECT_TRUE(service.rests(0));
}

// ---- a peer that goes ----

TEST_F(Taken, W7_AHandlerCanLearnThatItsPeerIsGone)
{
    std::atomic<bool> gone{false};
    Service service([&](ssl_connection *connection, ssl_port *, ssl_port *) {
        gone = eventually([&] { return ssl_connection_is_peer_gone(connection); });
        return SALLY_DONE;
    });
    auto client = service.client();
    ASSERT_EQ(Raw::Ok, client->write_all("compute!"));
    ASSERT_TRUE(service.reaches([](auto &now) { return now.busy == 1; }));
    client->reset();
    EXPECT_TRUE(service.rests(0));
    EXPECT_TRUE(gone);
}

TEST_F(Taken, W7_AHalfCloseIsNoDeparture)
{
    Service service([](ssl_connection *connection, ssl_port *in, ssl_port *out) {
        char bytes[64];
        size_t got = 0;
        EXPECT_FALSE(ssl_connection_is_peer_gone(connection));
        EXPECT_EQ(SALLY_EOF, ssl_read_full(in, bytes, sizeof bytes, &got, nullptr));
        EXPECT_FALSE(ssl_connection_is_peer_gone(connection));
        EXPECT_EQ(SALLY_OK, ssl_write(out, bytes, got, nullptr, nullptr));
        return SALLY_DONE;
    });
    auto client = service.client();
    std::string back;
    ASSERT_EQ(Raw::Ok, client->write_all("all I have to say"));
    ASSERT_EQ(Raw::Ok, client->send_goodbye());
    EXPECT_EQ(Raw::Eof, client->read_to_end(&back));
    EXPECT_EQ("all I have to say", back);
    EXPECT_FALSE(ssl_connection_is_peer_gone(nullptr));
}

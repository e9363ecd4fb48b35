// connect.c: what only the library's insides can bring about: lookups that hang, names with several
// addresses, and a failure of every call in turn.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include <openssl/err.h>

#include "scenario/ends.h"
#include "support/faults.h"
#include "support/full_listener.h"
#include "support/guards.h"
#include "unit/fake_lookup.h"

using namespace sallytest;
using testing::Test;

namespace
{

class ConnectUnit : public Test
{
  protected:
    FakeLookup lookup_;
    Context client_ = client_context();
};

TEST_F(ConnectUnit, B8_ABreakInNameLookupReturnsAtOnceAndLeavesNothing)
{
    lookup_.hangs = true;
    Break brk = new_break();
    Thread caller([&] {
        Outcome outcome = connect_at("slow.example", 443, client_.get(), brk.get());
        EXPECT_TRUE(is(SALLY_BREAK, outcome));
        EXPECT_EQ(SALLY_PHASE_RESOLVE, outcome.err.phase);
    });
    EXPECT_TRUE(wait_until_asleep(caller));
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 1));
    caller.join(); // the gate is still closed
}

// The look-up would hang.
TEST_F(ConnectUnit, E3_ANameBeyondAsciiIsRefusedBeforeTheLookup)
{
    lookup_.hangs = true;
    for (const char *name : {"b\xc3\xbc"
                             "cher.example",
                             "two words.example", "a..example"}) {
        Outcome outcome = connect_at(name, 443, client_.get());
        EXPECT_TRUE(is(SALLY_USAGE, outcome)) << name;
        EXPECT_EQ(std::string::npos, std::string(outcome.err.text).find("look"));
    }
    Outcome outcome = connect_at("b\xc3\xbc"
                                 "cher.example",
                                 443, client_.get());
    EXPECT_NE(std::string::npos, std::string(outcome.err.text).find("xn--")) << outcome.err.text;
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = client_.get();
    options.server_name = "b\xc3\xbc"
                          "cher.example";
    ssl_ports ports;
    ssl_error err;
    ssl_status status = ssl_connect_with("slow.example", 443, &options, &ports, &err);
    EXPECT_TRUE(is(SALLY_USAGE, status, err));
}

TEST_F(ConnectUnit, B5_ADeadlineBoundsTheNameLookup)
{
    lookup_.hangs = true;
    Break soon = deadline_in_ms(30);
    ssl_ports ports;
    ssl_error err;
    ssl_status status =
        ssl_connect_enable_break("slow.example", 443, client_.get(), soon.get(), &ports, &err);
    EXPECT_TRUE(is(SALLY_TIMEOUT, status, err));
    EXPECT_EQ(SALLY_PHASE_RESOLVE, err.phase);
}

// OpenSSL keeps the room of an error's text for the thread's next error: blocks that are no leak. Takes
// all of it that the calling thread can ever have.
void take_room_for_errors()
{
    for (int i = 0; i < ERR_NUM_ERRORS; i++) {
        ERR_raise_data(ERR_LIB_USER, ERR_R_INTERNAL_ERROR, "%s", "text");
    }
    ERR_clear_error();
}

// A server for any number of clients, until it goes out of scope.
class Served
{
  public:
    Served()
        : context_(server_context()), listener_(listen_on_loopback(context_.get())),
          port_(port_of(listener_.get())), thread_([this] { run(); })
    {
    }
    ~Served()
    {
        ssl_close(listener_.get(), nullptr);
        thread_.join();
    }
    int port() const
    {
        return port_;
    }

  private:
    void run()
    {
        take_room_for_errors();
        ssl_status status = SALLY_OK;
        while (status != SALLY_CLOSED) {
            Ports ports;
            status = ssl_accept(listener_.get(), ports.fill(), nullptr);
        }
    }

    Context context_;
    Listener listener_;
    int port_;
    Thread thread_;
};

TEST_F(ConnectUnit, AddressesAreTriedInTurn)
{
    Served served;
    lookup_.addresses = {"127.0.0.2", "255.255.255.255", "127.0.0.1"};
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(client_.get(), false, &err), err));
    EXPECT_TRUE(is(SALLY_OK, connect_at("several.example", served.port(), client_.get())));
}

TEST_F(ConnectUnit, TheErrorIsOfTheLastAddressThatAnswered)
{
    ClosedPort closed;
    lookup_.addresses = {"127.0.0.1", "127.0.0.2", "255.255.255.255"};
    Outcome outcome = connect_at("several.example", closed.port(), client_.get());
    EXPECT_TRUE(is(SALLY_SYSTEM, outcome));
    EXPECT_EQ(ECONNREFUSED, outcome.err.sys_errno);
    EXPECT_NE(nullptr, strstr(outcome.err.text, "several.example")) << outcome.err.text;
    EXPECT_NE(nullptr, strstr(outcome.err.text, "127.0.0.2")) << outcome.err.text;
    EXPECT_NE(nullptr, strstr(outcome.err.text, "3 addresses tried")) << outcome.err.text;
}

// The first address never answers, so a connection shows that the second did not wait for it.
TEST_F(ConnectUnit, P5_AnAddressThatDoesNotAnswerDoesNotHoldTheOthersUp)
{
    Context context = server_context();
    FullListener dead;
    ASSERT_TRUE(dead.is_full());
    ssl_listen_options there = SALLY_LISTEN_OPTIONS;
    there.host = "127.0.0.2";
    Listener listener = listen_with(there, context.get(), dead.port());
    Outcome served;
    Thread acceptor([&] { served = accept_from(listener.get()); });
    lookup_.addresses = {"127.0.0.1", "127.0.0.2"};
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = client_.get();
    options.attempt_delay_ms = SALLY_ATTEMPT_DELAY_MIN_MS;
    options.timeout_ms = kBoundMs;
    options.server_name = "localhost";
    Outcome client;
    client.status = ssl_connect_with("several.example", dead.port(), &options, client.ports.fill(),
                                     &client.err);
    acceptor.join();
    ASSERT_TRUE(is(SALLY_OK, client));
    ASSERT_TRUE(is(SALLY_OK, served));
    ssl_endpoints ends;
    ASSERT_EQ(SALLY_OK, ssl_addresses(client.ports.in(), &ends, nullptr));
    EXPECT_STREQ("127.0.0.2", ends.remote);
}

TEST_F(ConnectUnit, B6_ABreakAmidSeveralAttemptsLeavesNothing)
{
    FullListener dead;
    FullListener dead_too(2, dead.port());
    ASSERT_TRUE(dead.is_full() && dead_too.is_full());
    lookup_.addresses = {"127.0.0.1", "127.0.0.2"};
    SocketsSince since;
    Break brk = new_break();
    Thread caller([&] {
        Outcome outcome = connect_at("several.example", dead.port(), client_.get(), brk.get());
        EXPECT_TRUE(since.opened().empty());
        EXPECT_TRUE(is(SALLY_BREAK, outcome));
        EXPECT_EQ(SALLY_PHASE_CONNECT, outcome.err.phase);
    });
    EXPECT_TRUE(eventually([&] { return since.opened().size() == 2; }));
    EXPECT_EQ(SALLY_OK, ssl_break_send(brk.get(), 1));
}

// Ours to the server that is there; what it made is gone again.
ssl_status connect_once(int port, ssl_context *context, ssl_error *err)
{
    Ports ports;
    ssl_status status = ssl_connect("127.0.0.1", port, context, ports.fill(), err);
    EXPECT_EQ(status == SALLY_OK, ports.in() != nullptr);
    EXPECT_EQ(status == SALLY_OK, ports.out() != nullptr);
    return status;
}

class ConnectFaults : public ConnectUnit
{
  protected:
    void SetUp() override
    {
        warm_up();
    }
    Try attempt()
    {
        return [this](ssl_error *err) { return connect_once(served_.port(), client_.get(), err); };
    }
    Served served_;
};

TEST_F(ConnectFaults, E2_AnyAllocationMayFail)
{
    sweep_allocations("ssl_connect", attempt());
}

TEST_F(ConnectFaults, E2_AnyAllocationOfOpensslMayFail)
{
    take_room_for_errors();
    Trial trial(attempt());
    trial.stride = long_run(3, 1);
    sweep_openssl_allocations("ssl_connect", trial);
}

// A receive that fails is a cut (P3), with its errno.
TEST_F(ConnectFaults, E2_AnySocketCallMayFail)
{
    Try attempt = [this](ssl_error *err) {
        return system_for_cut(connect_once(served_.port(), client_.get(), err), err);
    };
    sweep_socket_calls("ssl_connect", ENOBUFS, attempt);
}

} // namespace

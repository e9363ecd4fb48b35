// connect.c: what only the library's insides can bring about: lookups that hang, names with several
// addresses, and a failure of every call in turn.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "scenario/ends.h"
#include "support/faults.h"
#include "support/guards.h"

extern "C" {
#include "resolve.h"
}

using namespace sallytest;
using testing::Test;

namespace
{

// What the lookup under test gives, or that it hangs until the gate opens.
struct Answer {
    std::vector<std::string> addresses;
    bool hangs = false;
    Latch gate;
};
Answer *answer;

int fake_getaddrinfo(const char *, const char *service, const addrinfo *, addrinfo **result)
{
    if (answer->hangs) {
        answer->gate.wait(60);
        return EAI_AGAIN;
    }
    addrinfo hints = {};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo **next = result;
    for (const std::string &address : answer->addresses) {
        int error = getaddrinfo(address.c_str(), service, &hints, next);
        if (error != 0) {
            return error;
        }
        next = &(*next)->ai_next;
    }
    return 0;
}

class ConnectUnit : public Test
{
  protected:
    void SetUp() override
    {
        answer = &answer_;
        sally_resolve_set_hook(fake_getaddrinfo);
    }
    void TearDown() override
    {
        answer_.gate.open();
        EXPECT_TRUE(eventually([] { return sally_resolve_helpers() == 0; }));
        sally_resolve_set_hook(nullptr);
    }

    Answer answer_;
    Context client_ = client_context();
};

TEST_F(ConnectUnit, B8_ABreakInNameLookupReturnsAtOnceAndLeavesNothing)
{
    answer_.hangs = true;
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

TEST_F(ConnectUnit, B5_ADeadlineBoundsTheNameLookup)
{
    answer_.hangs = true;
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
    answer_.addresses = {"127.0.0.2", "255.255.255.255", "127.0.0.1"};
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(client_.get(), false, &err), err));
    EXPECT_TRUE(is(SALLY_OK, connect_at("several.example", served.port(), client_.get())));
}

TEST_F(ConnectUnit, TheErrorIsOfTheLastAddressThatAnswered)
{
    ClosedPort closed;
    answer_.addresses = {"127.0.0.1", "127.0.0.2", "255.255.255.255"};
    Outcome outcome = connect_at("several.example", closed.port(), client_.get());
    EXPECT_TRUE(is(SALLY_SYSTEM, outcome));
    EXPECT_EQ(ECONNREFUSED, outcome.err.sys_errno);
    EXPECT_NE(nullptr, strstr(outcome.err.text, "several.example")) << outcome.err.text;
    EXPECT_NE(nullptr, strstr(outcome.err.text, "127.0.0.2")) << outcome.err.text;
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
        ConnectUnit::SetUp();
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

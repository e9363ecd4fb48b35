// Breaks against connect at random moments: broken without a trace, or whole (B1, B2, B6).
#include "stress/races.h"
#include "support/guards.h"
#include "support/pairs.h"

using namespace sallytest;

namespace
{

ssl_served echo(ssl_connection *, ssl_port *in, ssl_port *out, void *)
{
    char buf[4096];
    size_t got = 0;
    if (ssl_read(in, buf, sizeof buf, &got, nullptr) != SALLY_OK ||
        ssl_write(out, buf, got, nullptr, nullptr) != SALLY_OK) {
        return SALLY_DONE;
    }
    return SALLY_KEEP;
}

// An echo server of ours on loopback.
class EchoServer
{
  public:
    EchoServer()
    {
        Context context = server_context();
        Listener listener = listen_on_loopback(context.get());
        port_ = port_of(listener.get());
        ssl_server_options options = SALLY_SERVER_OPTIONS;
        options.handler = echo;
        ssl_server *made = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_server_new(&options, &made, &err), err));
        server_.reset(made);
        EXPECT_TRUE(is(SALLY_OK, ssl_server_add_listener(made, listener.release(), &err), err));
        EXPECT_TRUE(is(SALLY_OK, ssl_server_start(made, &err), err));
    }
    int port() const
    {
        return port_;
    }

  private:
    int port_ = 0;
    Server server_;
};

void expect_echo(const Ports &ports)
{
    char byte = 0;
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_write(ports.out(), "e", 1, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_read(ports.in(), &byte, 1, &got, &err), err));
    EXPECT_EQ('e', byte);
}

} // namespace

TEST(ConnectRaces, B6_BreaksAgainstConnect)
{
    warm_up();
    LeakGuard leaks(1 << 20);
    EchoServer server;
    Context context = client_context();
    Break brk = new_break();
    Rng rng(80);
    long reported = 0;
    for (long i = 0; i < races(); i++) {
        std::atomic<bool> sent{false};
        // Names are looked up by helper threads, addresses are not: both ways are broken.
        const char *host = rng.one_in(4) ? "localhost" : "127.0.0.1";
        uint64_t seed = 8000 + static_cast<uint64_t>(i);
        Thread breaker([&, seed] {
            Rng own(seed);
            for (uint64_t k = own.below(40); k > 0; k--) {
                dither(&own);
            }
            ssl_break_send(brk.get(), static_cast<int>(i));
            sent = true;
        });
        Ports ports;
        ssl_error err;
        ssl_status status = ssl_connect_enable_break(host, server.port(), context.get(), brk.get(),
                                                     ports.fill(), &err);
        if (status == SALLY_BREAK) {
            EXPECT_TRUE(sent || ssl_break_pending(brk.get(), nullptr, nullptr));
            EXPECT_EQ(static_cast<int>(i), err.code);
            EXPECT_FALSE(ports);
            reported++;
        } else {
            ASSERT_TRUE(is(SALLY_OK, status, err)) << host;
            expect_echo(ports);
        }
        breaker.join();
        EXPECT_TRUE(ssl_break_pending(brk.get(), nullptr, nullptr)) << "a break got lost";
        ssl_break_clear(brk.get());
    }
    EXPECT_GT(reported, 0);
    EXPECT_LT(reported, races());
}

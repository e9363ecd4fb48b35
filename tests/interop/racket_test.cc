// Against Racket's own openssl library: its client to our server, our client to its server.
#include <functional>

#include <gtest/gtest.h>

#include "interop/peers.h"
#include "support/certs.h"
#include "support/handles.h"
#include "support/pairs.h"
#include "support/process.h"
#include "support/threads.h"

namespace
{

using namespace sallytest;

// A server of Racket's, ready to accept.
class RacketServer : public Process
{
  public:
    explicit RacketServer(const std::vector<std::string> &arguments)
        : Process(racket("peer.rkt", with_role(arguments))), port_(number_after(this, "PORT "))
    {
    }

    int port() const
    {
        return port_;
    }

  private:
    static std::vector<std::string> with_role(std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), "server");
        return arguments;
    }

    int port_;
};

// Our end of one connection, and what it has to say.
using Serve = std::function<void(Ports &)>;

// Serves one client of Racket's for each of `serves`, and gives what it said.
std::string serve_racket(ssl_context *context, std::vector<std::string> arguments,
                         const std::vector<Serve> &serves)
{
    Listener listener = listen_on_loopback(context);
    if (!listener) {
        return "";
    }
    arguments.insert(arguments.begin(), "client");
    arguments.push_back("port=" + std::to_string(port_of(listener.get())));
    Process client(racket("peer.rkt", arguments));
    for (const Serve &serve : serves) {
        Ports ports;
        Break bound = deadline_in_ms(20000);
        ssl_error err;
        if (ssl_accept_enable_break(listener.get(), bound.get(), ports.fill(), &err) == SALLY_OK) {
            serve(ports);
        }
    }
    EXPECT_EQ(0, client.wait()) << client.err();
    return client.out();
}

Ports connect_to(int port, ssl_context *context, const char *hostname = "localhost")
{
    Ports ports;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_connect(hostname, port, context, ports.fill(), &err), err));
    return ports;
}

// ---- the same bytes back -----------------------------------------------------------------------

const size_t kSizes[] = {1, 100, 16384, 16385, 1000000};

std::string some_bytes(size_t n)
{
    std::string all(n, '\0');
    for (size_t i = 0; i < n; i++) {
        all[i] = static_cast<char>(i % 251);
    }
    return all;
}

// Racket's ports work one direction at a time, so a message is taken whole before it is answered.
void give_echoes(Ports &ports)
{
    char line[32];
    size_t length;
    while (ssl_read_line(ports.in(), line, sizeof line, &length, nullptr) == SALLY_OK) {
        std::string bytes(std::stoul(line), '\0');
        size_t got;
        ASSERT_EQ(SALLY_OK, ssl_read_full(ports.in(), bytes.data(), bytes.size(), &got, nullptr));
        ASSERT_EQ(SALLY_OK, ssl_write(ports.out(), bytes.data(), got, nullptr, nullptr));
    }
}

void ask_for_echo(Ports &ports, size_t n)
{
    std::string line = std::to_string(n) + "\n";
    std::string sent = some_bytes(n);
    std::string back(n, '\0');
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_write(ports.out(), line.data(), line.size(), nullptr, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_write(ports.out(), sent.data(), n, nullptr, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_read_full(ports.in(), back.data(), n, &got, nullptr));
    EXPECT_EQ(sent, back) << n;
}

TEST(Racket, ItsClientGetsItsBytesBack)
{
    SKIP_WITHOUT("racket");
    Context context = server_context();
    std::string said =
        serve_racket(context.get(), {"ca=" + cert_path("ca.pem"), "do=echo"}, {give_echoes});
    for (size_t n : kSizes) {
        EXPECT_NE(std::string::npos, said.find("echoed " + std::to_string(n) + "\n")) << said;
    }
}

TEST(Racket, ItsServerGivesOurBytesBack)
{
    SKIP_WITHOUT("racket");
    RacketServer server({"cert=" + cert_stem("server"), "do=echo"});
    Context context = client_context();
    Ports ports = connect_to(server.port(), context.get());
    ASSERT_TRUE(ports);
    for (size_t n : kSizes) {
        ask_for_echo(ports, n);
    }
    EXPECT_EQ(SALLY_OK, ssl_close_port(ports.out(), nullptr));
    EXPECT_EQ(0, server.wait()) << server.out() << server.err();
}

// ---- verification ------------------------------------------------------------------------------

void read_to_the_end(Ports &ports)
{
    char byte;
    size_t got;
    while (ssl_read(ports.in(), &byte, 1, &got, nullptr) == SALLY_OK) {}
}

TEST(Racket, C7_ItsClientVerifiesOurServer)
{
    SKIP_WITHOUT("racket");
    Context context = server_context();
    std::string said =
        serve_racket(context.get(), {"ca=" + cert_path("ca.pem"), "do=tell"}, {read_to_the_end});
    EXPECT_NE(std::string::npos, said.find("verified #t\n")) << said;
    EXPECT_NE(std::string::npos, said.find("subject /O=Sallyport tests/CN=localhost\n")) << said;
    EXPECT_NE(std::string::npos, said.find("version tls13\n")) << said;
}

// Its client refuses with an alert, which our accept or the first read reports.
TEST(Racket, C7_ItsClientRefusesOurServer)
{
    SKIP_WITHOUT("racket");
    for (const char *stem : {"wrong-ca", "wrong-host", "expired"}) {
        Context context = server_context(stem);
        std::string said = serve_racket(context.get(), {"ca=" + cert_path("ca.pem"), "do=tell"},
                                        {read_to_the_end});
        EXPECT_NE(std::string::npos, said.find("failed: ")) << stem << ": " << said;
        EXPECT_EQ(std::string::npos, said.find("verified #t")) << stem << ": " << said;
    }
}

TEST(Racket, C7_OurClientJudgesItsServer)
{
    SKIP_WITHOUT("racket");
    Context context = client_context();
    for (const char *stem : {"wrong-ca", "wrong-host", "expired"}) {
        RacketServer server({"cert=" + cert_stem(stem), "do=read"});
        Ports ports;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_VERIFY,
                       ssl_connect("localhost", server.port(), context.get(), ports.fill(), &err),
                       err))
            << stem;
        EXPECT_EQ(0, server.wait());
        EXPECT_NE(std::string::npos, server.out().find("failed: ")) << stem << ": " << server.out();
    }
}

// ---- the end of a stream -----------------------------------------------------------------------

// Its own reads do not survive its goodbye ("application data after close notify"), so what we answer is
// not looked for.
TEST(Racket, P4_ItsHalfCloseIsAnEndForUs)
{
    SKIP_WITHOUT("racket");
    Context context = server_context();
    bool served = false;
    serve_racket(
        context.get(), {"shutdown=yes", "do=half-close"}, {[&](Ports &ports) {
            char buf[64];
            size_t got = 0;
            ssl_error err;
            EXPECT_TRUE(is(SALLY_EOF, ssl_read_full(ports.in(), buf, sizeof buf, &got, &err), err));
            EXPECT_EQ("last words", std::string(buf, got));
            served = true;
        }});
    EXPECT_TRUE(served);
}

TEST(Racket, P4_OurHalfCloseIsAnEndForIt)
{
    SKIP_WITHOUT("racket");
    RacketServer server({"cert=" + cert_stem("server"), "do=read"});
    Context context = client_context();
    Ports ports = connect_to(server.port(), context.get());
    ASSERT_TRUE(ports);
    EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "our last words", 14, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(ports.out(), nullptr));
    EXPECT_EQ(0, server.wait());
    EXPECT_NE(std::string::npos, server.out().find("read our last words\n")) << server.out();
}

// An abandoned output says nothing: its peer reads what came before, and then waits.
TEST(Racket, P4_WhatItWroteBeforeAnAbandonArrives)
{
    SKIP_WITHOUT("racket");
    Context context = server_context();
    std::string said = serve_racket(
        context.get(), {"do=abandon"}, {[](Ports &ports) {
            char buf[4];
            size_t got = 0;
            EXPECT_EQ(SALLY_OK, ssl_read_full(ports.in(), buf, sizeof buf, &got, nullptr));
            EXPECT_EQ("kept", std::string(buf, got));
            EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "heard", 5, nullptr, nullptr));
            EXPECT_EQ(SALLY_OK, ssl_close_port(ports.out(), nullptr));
        }});
    EXPECT_NE(std::string::npos, said.find("read heard\n")) << said;
}

TEST(Racket, P4_WhatWeWroteBeforeAnAbandonArrives)
{
    SKIP_WITHOUT("racket");
    RacketServer server({"cert=" + cert_stem("server"), "do=abandon"});
    Context context = client_context();
    Ports ports = connect_to(server.port(), context.get());
    ASSERT_TRUE(ports);
    EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "ours", 4, nullptr, nullptr));
    ssl_abandon_port(ports.out());
    char buf[4];
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_read_full(ports.in(), buf, sizeof buf, &got, nullptr));
    EXPECT_EQ("kept", std::string(buf, got));
    ports.reset();
    server.wait();
    EXPECT_NE(std::string::npos, server.out().find("read ours\n")) << server.out();
}

} // namespace

// Against Racket's own openssl library: its client to our server, our client to its server. Starting Racket
// takes longer than what it is started for, so a test does several connections with one.
#include <gtest/gtest.h>

#include "interop/our_ends.h"
#include "interop/peers.h"
#include "support/certs.h"

namespace
{

using namespace sallytest;

class Racket : public testing::Test
{
  protected:
    void SetUp() override
    {
        SKIP_WITHOUT("racket");
    }
};

// ---- its ends ----------------------------------------------------------------------------------

std::vector<std::string> with_role(const std::string &role, std::vector<std::string> words)
{
    words.insert(words.begin(), role);
    return racket("peer.rkt", words);
}

// One that serves as often as its words have a `do`, and ends.
class RacketServer : public Process
{
  public:
    explicit RacketServer(const std::vector<std::string> &words)
        : Process(with_role("server", words))
    {
    }
    // Where it listens with the certificate `stem`, once it does.
    int port(const std::string &stem = "server")
    {
        return Process::number_after("port of " + cert_stem(stem) + " is ");
    }
    // What it said, all of it.
    std::string said()
    {
        EXPECT_EQ(0, wait()) << err();
        return out();
    }
};

std::string as_racket_client(const std::vector<std::string> &words)
{
    Process client(with_role("client", words));
    EXPECT_EQ(0, client.wait()) << client.err();
    return client.out();
}

// "port=4433"
std::string port_of(const OurServer &server)
{
    return "port=" + std::to_string(server.port());
}

// The rest of each line that begins with `key`, in order.
std::vector<std::string> answers(const std::string &said, const std::string &key)
{
    std::vector<std::string> found;
    std::string text = "\n" + said;
    std::string mark = "\n" + key + " ";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
        size_t from = at + mark.size();
        found.push_back(text.substr(from, text.find('\n', from) - from));
    }
    return found;
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

TEST_F(Racket, ItsClientGetsItsBytesBack)
{
    OurServer server(server_context(), give_echoes);
    std::string said = as_racket_client(
        {port_of(server), "ca=" + cert_path("ca.pem"), "do=echo", "protocol=tls12", "do=echo"});
    EXPECT_EQ(
        (Strings{"1", "100", "16384", "16385", "1000000", "1", "100", "16384", "16385", "1000000"}),
        answers(said, "echoed"))
        << said;
}

TEST_F(Racket, ItsServerGivesOurBytesBack)
{
    RacketServer server({"cert=" + cert_stem("server"), "do=echo", "do=echo"});
    for (ssl_protocol protocol : {SALLY_PROTOCOL_TLS13, SALLY_PROTOCOL_TLS12}) {
        Context context = client_context(protocol);
        Ports ports = connect_here(server.port(), context.get());
        ASSERT_TRUE(ports);
        for (size_t n : kSizes) {
            ask_for_echo(ports, n);
        }
        EXPECT_EQ(SALLY_OK, ssl_close_port(ports.out(), nullptr));
        read_to_the_end(ports);
    }
    EXPECT_EQ(10U, answers(server.said(), "echoed").size()) << server.out();
}

// ---- verification ------------------------------------------------------------------------------

// One that is good, and three that are not.
TEST_F(Racket, C7_ItsClientJudgesOurServer)
{
    OurServer good(server_context());
    OurServer untrusted(server_context("wrong-ca"));
    OurServer other(server_context("wrong-host"));
    OurServer expired(server_context("expired"));
    std::string said =
        as_racket_client({"ca=" + cert_path("ca.pem"), port_of(good), "do=tell", port_of(untrusted),
                          "do=tell", port_of(other), "do=tell", port_of(expired), "do=tell"});
    EXPECT_EQ(Strings{"#t"}, answers(said, "verified")) << said;
    EXPECT_EQ(Strings{kLocalhost}, answers(said, "subject")) << said;
    EXPECT_EQ(Strings{"tls13"}, answers(said, "version")) << said;
    EXPECT_EQ(3U, answers(said, "failed:").size()) << said;
}

TEST_F(Racket, C7_OurClientJudgesItsServer)
{
    const Strings stems = {"wrong-ca", "wrong-host", "expired", "server"};
    Strings words;
    for (const std::string &stem : stems) {
        words.insert(words.end(), {"cert=" + cert_stem(stem), "do=read"});
    }
    RacketServer server(words);
    Context context = client_context();
    for (const std::string &stem : stems) {
        Ports ports;
        ssl_error err;
        ssl_status wanted = stem == "server" ? SALLY_OK : SALLY_VERIFY;
        int port = server.port(stem);
        EXPECT_TRUE(
            is(wanted, ssl_connect("localhost", port, context.get(), ports.fill(), &err), err))
            << stem;
    }
    EXPECT_EQ(3U, answers(server.said(), "failed:").size()) << server.out();
}

// ---- names and protocols -----------------------------------------------------------------------

TEST_F(Racket, C4_ItsClientGetsTheContextOfItsName)
{
    TwoSites sites;
    OurServer server(sites.context());
    std::string said =
        as_racket_client({port_of(server), "name=localhost", "do=tell", "name=second.example",
                          "do=tell", "name=Third.Example", "do=tell", "name=none", "do=tell"});
    EXPECT_EQ((Strings{kLocalhost, kSecond, kLocalhost, kLocalhost}), answers(said, "subject"))
        << said;
    EXPECT_EQ((Strings{"localhost", "second.example", "Third.Example"}), sites.asked());
}

// A client that sends no name, and so one that connects to an address, ends its server's handshake: there
// the callback is not ready for it.
TEST_F(Racket, C4_ItsServerGetsTheNameThatWeSend)
{
    RacketServer server(
        {"cert=" + cert_stem("server"), "sni=" + cert_stem("sni"), "do=read", "do=read"});
    Context context = client_context();
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context.get();
    EXPECT_EQ(kLocalhost, subject_of(connect_here(server.port(), options)));
    options.server_name = "second.example";
    EXPECT_EQ(kSecond, subject_of(connect_here(server.port(), options)));
    EXPECT_EQ((Strings{"localhost", "second.example"}), answers(server.said(), "asked for"));
}

const std::vector<ssl_alpn_name> kServers = {SALLY_ALPN("h2"), SALLY_ALPN("http/1.1")};

// An overlap, in which our order wins; none, allowed and refused; nothing offered.
TEST_F(Racket, C6_ItsClientAgreesWithOurServer)
{
    Strings from_lenient;
    Strings from_strict;
    TwoSites lenient_sites(kServers, true);
    TwoSites strict_sites(kServers, false);
    OurServer lenient(lenient_sites.context(),
                      [&](Ports &ports) { from_lenient.push_back(alpn_of(ports)); });
    OurServer strict(strict_sites.context(),
                     [&](Ports &ports) { from_strict.push_back(alpn_of(ports)); });
    std::string said =
        as_racket_client({port_of(lenient), "do=tell", "alpn=http/1.1,h2", "do=tell", "alpn=smtp",
                          "do=tell", port_of(strict), "do=tell", "alpn=smtp,http/1.1", "do=tell"});
    EXPECT_EQ((Strings{"#f", "h2", "#f", "http/1.1"}), answers(said, "alpn")) << said;
    EXPECT_EQ(1U, answers(said, "failed:").size()) << said;
    lenient.wait_until_served(3);
    strict.wait_until_served(1);
    EXPECT_EQ((Strings{"none", "h2", "none"}), from_lenient);
    EXPECT_EQ(Strings{"http/1.1"}, from_strict);
}

TEST_F(Racket, C6_OurClientAgreesWithItsServer)
{
    RacketServer server({"cert=" + cert_stem("server"), "alpn=h2,http/1.1", "do=read", "do=read",
                         "do=read", "cert=" + cert_stem("server-rsa"), "match=no", "do=read"});
    Context context = client_context();
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context.get();
    EXPECT_EQ("none", alpn_of(connect_here(server.port(), options)));
    const ssl_alpn_name both[] = {SALLY_ALPN("http/1.1"), SALLY_ALPN("h2")};
    options.alpn = both;
    options.alpn_count = 2;
    EXPECT_EQ("h2", alpn_of(connect_here(server.port(), options)));
    const ssl_alpn_name other[] = {SALLY_ALPN("smtp")};
    options.alpn = other;
    options.alpn_count = 1;
    EXPECT_EQ("none", alpn_of(connect_here(server.port(), options)));
    Ports refused;
    ssl_error err;
    int port = server.port("server-rsa");
    EXPECT_TRUE(
        is(SALLY_PEER, ssl_connect_with("localhost", port, &options, refused.fill(), &err), err));
    EXPECT_EQ(120, err.code); // no_application_protocol, RFC 7301 section 3.2
    EXPECT_EQ(1U, answers(server.said(), "failed:").size()) << server.out();
}

// ---- channel bindings --------------------------------------------------------------------------

TEST_F(Racket, C6_ChannelBindingsAreTheSameAtBothEnds)
{
    Strings exporter, unique, end_point;
    OurServer server(server_context(), [&](Ports &ports) {
        exporter.push_back(binding_of(ports, SALLY_BINDING_TLS_EXPORTER));
        unique.push_back(binding_of(ports, SALLY_BINDING_TLS_UNIQUE));
        end_point.push_back(binding_of(ports, SALLY_BINDING_TLS_SERVER_END_POINT));
        read_to_the_end(ports);
    });
    std::string said = as_racket_client({port_of(server), "do=tell", "protocol=tls12", "do=tell"});
    server.wait_until_served(2);
    ASSERT_EQ(2U, exporter.size());
    // In TLS 1.2 it exports without a context, where RFC 9266 section 2 wants an empty one.
    EXPECT_EQ(exporter[0], answers(said, "tls-exporter")[0]) << said;
    EXPECT_EQ(unique, answers(said, "tls-unique")) << said;
    EXPECT_EQ(end_point, answers(said, "tls-server-end-point")) << said;
    EXPECT_EQ((Strings{"tls-exporter", "tls-unique"}), answers(said, "default")) << said;
    EXPECT_EQ("none", unique[0]);
    EXPECT_NE("none", unique[1]);
    EXPECT_EQ(64U, end_point[0].size());
}

// ---- the end of a stream -----------------------------------------------------------------------

// Its own reads do not survive its goodbye ("application data after close notify"), so what we answer is
// not looked for.
TEST_F(Racket, P4_ItsHalfCloseIsAnEndForUs)
{
    OurServer server(server_context(), [&](Ports &ports) {
        char buf[64];
        size_t got = 0;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_EOF, ssl_read_full(ports.in(), buf, sizeof buf, &got, &err), err));
        EXPECT_EQ("last words", std::string(buf, got));
    });
    as_racket_client({port_of(server), "shutdown=yes", "do=half-close"});
    server.wait_until_served(1);
}

TEST_F(Racket, P4_WhatItWroteBeforeAnAbandonArrives)
{
    OurServer server(server_context(), [](Ports &ports) {
        char buf[4];
        size_t got = 0;
        EXPECT_EQ(SALLY_OK, ssl_read_full(ports.in(), buf, sizeof buf, &got, nullptr));
        EXPECT_EQ("kept", std::string(buf, got));
        // An abandoned output says nothing: its peer reads what came before, and then waits.
        EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "heard", 5, nullptr, nullptr));
        EXPECT_EQ(SALLY_OK, ssl_close_port(ports.out(), nullptr));
    });
    std::string said = as_racket_client({port_of(server), "do=abandon"});
    EXPECT_EQ(Strings{"heard"}, answers(said, "read")) << said;
}

TEST_F(Racket, P4_WhatWeWroteBeforeACloseAndAnAbandonArrives)
{
    RacketServer server({"cert=" + cert_stem("server"), "do=read", "do=abandon"});
    Context context = client_context();
    Ports closed = connect_here(server.port(), context.get());
    ASSERT_TRUE(closed);
    EXPECT_EQ(SALLY_OK, ssl_write(closed.out(), "our last words", 14, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(closed.out(), nullptr));
    read_to_the_end(closed);
    Ports abandoned = connect_here(server.port(), context.get());
    ASSERT_TRUE(abandoned);
    EXPECT_EQ(SALLY_OK, ssl_write(abandoned.out(), "ours", 4, nullptr, nullptr));
    ssl_abandon_port(abandoned.out());
    char buf[4];
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_read_full(abandoned.in(), buf, sizeof buf, &got, nullptr));
    EXPECT_EQ("kept", std::string(buf, got));
    abandoned.reset();
    EXPECT_EQ((Strings{"our last words", "ours"}), answers(server.said(), "read")) << server.out();
}

} // namespace

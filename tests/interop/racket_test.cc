// Against Racket's own openssl library: its client to our server, our client to its server. Starting Racket
// takes longer than what it is started for, so a test does several connections with one.
#include <functional>
#include <mutex>

#include <gtest/gtest.h>

#include "interop/peers.h"
#include "sallyport/digest.h"
#include "sallyport/names.h"
#include "support/certs.h"
#include "support/handles.h"
#include "support/pairs.h"
#include "support/threads.h"

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
        return number_after(this, "port of " + cert_stem(stem) + " is ");
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

using Strings = std::vector<std::string>;

// ---- our ends ----------------------------------------------------------------------------------

using Serve = std::function<void(Ports &)>;

void read_to_the_end(Ports &ports)
{
    char byte;
    size_t got;
    while (ssl_read(ports.in(), &byte, 1, &got, nullptr) == SALLY_OK) {}
}

// Serves whoever comes, until it goes out of scope; handshakes that fail are the clients' to tell.
class OurServer
{
  public:
    explicit OurServer(Context context, Serve serve = read_to_the_end)
        : context_(std::move(context)), listener_(listen_on_loopback(context_.get())),
          stop_(new_break()), serve_(std::move(serve)), thread_([this] { run(); })
    {
    }
    ~OurServer()
    {
        ssl_break_send(stop_.get(), 1);
        thread_.join();
    }

    // "port=4433", as its client wants it.
    std::string port() const
    {
        return "port=" + std::to_string(port_of(listener_.get()));
    }

  private:
    void run()
    {
        ssl_status status;
        do {
            Ports ports;
            status = ssl_accept_enable_break(listener_.get(), stop_.get(), ports.fill(), nullptr);
            if (status == SALLY_OK) {
                serve_(ports);
            }
        } while (status != SALLY_BREAK);
    }

    Context context_;
    Listener listener_;
    Break stop_;
    Serve serve_;
    Thread thread_;
};

Ports connect_to(int port, const ssl_connect_options &options)
{
    Ports ports;
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_OK, ssl_connect_with("localhost", port, &options, ports.fill(), &err), err));
    if (ports) {
        ssl_port_set_timeout(ports.in(), 20000, nullptr);
        ssl_port_set_timeout(ports.out(), 20000, nullptr);
    }
    return ports;
}

Ports connect_to(int port, ssl_context *context)
{
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context;
    return connect_to(port, options);
}

std::string subject_of(const Ports &ports)
{
    char text[200] = "";
    size_t length;
    EXPECT_EQ(SALLY_OK, ssl_peer_subject_name(ports.in(), text, sizeof text, &length, nullptr));
    return text;
}

std::string alpn_of(const Ports &ports)
{
    char name[SALLY_ALPN_NAME_MAX];
    size_t length = 0;
    EXPECT_EQ(SALLY_OK, ssl_get_alpn_selected(ports.in(), name, sizeof name, &length, nullptr));
    return length > 0 ? std::string(name, length) : "#f"; // as Racket says it
}

const char kLocalhost[] = "/O=Sallyport tests/CN=localhost";
const char kSecond[] = "/O=Sallyport tests/CN=second.example";

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
        {server.port(), "ca=" + cert_path("ca.pem"), "do=echo", "protocol=tls12", "do=echo"});
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
        Ports ports = connect_to(server.port(), context.get());
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
        as_racket_client({"ca=" + cert_path("ca.pem"), good.port(), "do=tell", untrusted.port(),
                          "do=tell", other.port(), "do=tell", expired.port(), "do=tell"});
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

// Notes what it is asked for, and has a context for second.example.
struct Names {
    Context second = server_context("sni");
    std::mutex mutex;
    Strings asked;

    static ssl_status choose(const char *hostname, void *user, ssl_context **chosen)
    {
        auto *names = static_cast<Names *>(user);
        std::lock_guard<std::mutex> hold(names->mutex);
        names->asked.emplace_back(hostname);
        if (names->asked.back() == "second.example") {
            *chosen = names->second.get();
        }
        return SALLY_OK;
    }
};

TEST_F(Racket, C4_ItsClientGetsTheContextOfItsName)
{
    Names names;
    Context first = server_context();
    ASSERT_EQ(SALLY_OK, ssl_set_server_name_identification_callback(first.get(), Names::choose,
                                                                    &names, nullptr));
    OurServer server(std::move(first));
    std::string said =
        as_racket_client({server.port(), "name=localhost", "do=tell", "name=second.example",
                          "do=tell", "name=Third.Example", "do=tell", "name=none", "do=tell"});
    EXPECT_EQ((Strings{kLocalhost, kSecond, kLocalhost, kLocalhost}), answers(said, "subject"))
        << said;
    EXPECT_EQ((Strings{"localhost", "second.example", "Third.Example"}), names.asked);
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
    EXPECT_EQ(kLocalhost, subject_of(connect_to(server.port(), options)));
    options.server_name = "second.example";
    EXPECT_EQ(kSecond, subject_of(connect_to(server.port(), options)));
    EXPECT_EQ((Strings{"localhost", "second.example"}), answers(server.said(), "asked for"));
}

const ssl_alpn_name kServers[] = {SALLY_ALPN("h2"), SALLY_ALPN("http/1.1")};

Context server_that_speaks(bool allow_no_match)
{
    Context context = server_context();
    EXPECT_EQ(SALLY_OK, ssl_set_server_alpn(context.get(), kServers, 2, allow_no_match, nullptr));
    return context;
}

// An overlap, in which our order wins; none, allowed and refused; nothing offered.
TEST_F(Racket, C6_ItsClientAgreesWithOurServer)
{
    std::mutex mutex;
    Strings ours;
    auto note = [&](Ports &ports) {
        std::lock_guard<std::mutex> hold(mutex);
        ours.push_back(alpn_of(ports));
    };
    OurServer lenient(server_that_speaks(true), note);
    OurServer strict(server_that_speaks(false), note);
    std::string said =
        as_racket_client({lenient.port(), "do=tell", "alpn=http/1.1,h2", "do=tell", "alpn=smtp",
                          "do=tell", strict.port(), "do=tell", "alpn=smtp,http/1.1", "do=tell"});
    EXPECT_EQ((Strings{"#f", "h2", "#f", "http/1.1"}), answers(said, "alpn")) << said;
    EXPECT_EQ(1U, answers(said, "failed:").size()) << said;
    EXPECT_EQ((Strings{"#f", "h2", "#f", "http/1.1"}), ours);
}

TEST_F(Racket, C6_OurClientAgreesWithItsServer)
{
    RacketServer server({"cert=" + cert_stem("server"), "alpn=h2,http/1.1", "do=read", "do=read",
                         "do=read", "cert=" + cert_stem("server-rsa"), "match=no", "do=read"});
    Context context = client_context();
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context.get();
    EXPECT_EQ("#f", alpn_of(connect_to(server.port(), options)));
    const ssl_alpn_name both[] = {SALLY_ALPN("http/1.1"), SALLY_ALPN("h2")};
    options.alpn = both;
    options.alpn_count = 2;
    EXPECT_EQ("h2", alpn_of(connect_to(server.port(), options)));
    const ssl_alpn_name other[] = {SALLY_ALPN("smtp")};
    options.alpn = other;
    options.alpn_count = 1;
    EXPECT_EQ("#f", alpn_of(connect_to(server.port(), options)));
    Ports refused;
    ssl_error err;
    int port = server.port("server-rsa");
    EXPECT_TRUE(
        is(SALLY_PEER, ssl_connect_with("localhost", port, &options, refused.fill(), &err), err));
    EXPECT_EQ(120, err.code); // no_application_protocol, RFC 7301 section 3.2
    EXPECT_EQ(1U, answers(server.said(), "failed:").size()) << server.out();
}

// ---- channel bindings --------------------------------------------------------------------------

// In hex, or "none".
std::string binding_of(const Ports &ports, ssl_binding_type type)
{
    ssl_binding binding;
    char hex[2 * SALLY_BINDING_MAX + 1];
    if (ssl_channel_binding(ports.in(), type, &binding, nullptr) != SALLY_OK) {
        return "none";
    }
    EXPECT_EQ(SALLY_OK,
              ssl_bytes_to_hex_string(binding.bytes, binding.length, hex, sizeof hex, nullptr));
    return hex;
}

TEST_F(Racket, C6_ChannelBindingsAreTheSameAtBothEnds)
{
    std::mutex mutex;
    Strings exporter, unique, end_point;
    OurServer server(server_context(), [&](Ports &ports) {
        std::lock_guard<std::mutex> hold(mutex);
        exporter.push_back(binding_of(ports, SALLY_BINDING_TLS_EXPORTER));
        unique.push_back(binding_of(ports, SALLY_BINDING_TLS_UNIQUE));
        end_point.push_back(binding_of(ports, SALLY_BINDING_TLS_SERVER_END_POINT));
        read_to_the_end(ports);
    });
    std::string said = as_racket_client({server.port(), "do=tell", "protocol=tls12", "do=tell"});
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
    bool served = false;
    OurServer server(server_context(), [&](Ports &ports) {
        char buf[64];
        size_t got = 0;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_EOF, ssl_read_full(ports.in(), buf, sizeof buf, &got, &err), err));
        EXPECT_EQ("last words", std::string(buf, got));
        served = true;
    });
    as_racket_client({server.port(), "shutdown=yes", "do=half-close"});
    EXPECT_TRUE(served);
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
    std::string said = as_racket_client({server.port(), "do=abandon"});
    EXPECT_EQ(Strings{"heard"}, answers(said, "read")) << said;
}

TEST_F(Racket, P4_WhatWeWroteBeforeACloseAndAnAbandonArrives)
{
    RacketServer server({"cert=" + cert_stem("server"), "do=read", "do=abandon"});
    Context context = client_context();
    Ports closed = connect_to(server.port(), context.get());
    ASSERT_TRUE(closed);
    EXPECT_EQ(SALLY_OK, ssl_write(closed.out(), "our last words", 14, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_close_port(closed.out(), nullptr));
    read_to_the_end(closed);
    Ports abandoned = connect_to(server.port(), context.get());
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

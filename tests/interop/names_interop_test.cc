// Names, protocols and client certificates with OpenSSL's programs, GnuTLS's and curl at the other end (C4,
// C6, C7).
#include <csignal>

#include <gtest/gtest.h>

#include "interop/our_ends.h"
#include "interop/peers.h"
#include "support/certs.h"

namespace
{

using namespace sallytest;

const std::vector<ssl_alpn_name> kServers = {SALLY_ALPN("h2"), SALLY_ALPN("http/1.1")};

// A client of ours that names second.example and offers these.
struct Asking {
    Context context;
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;

    explicit Asking(const std::vector<ssl_alpn_name> &alpn, Context made = client_context())
        : context(std::move(made))
    {
        options.context = context.get();
        options.server_name = "second.example";
        options.alpn = alpn.data();
        options.alpn_count = alpn.size();
    }
};

const std::vector<ssl_alpn_name> kBoth = {SALLY_ALPN("http/1.1"), SALLY_ALPN("h2")};
const std::vector<ssl_alpn_name> kOther = {SALLY_ALPN("smtp")};
const int kNoApplicationProtocol = 120; // RFC 7301 section 3.2
const int kUnrecognizedName = 112;      // RFC 6066 section 3

void expect_refusal(int port, const ssl_connect_options &options, int alert)
{
    Ports ports;
    ssl_error err;
    ssl_status status = ssl_connect_with("localhost", port, &options, ports.fill(), &err);
    EXPECT_TRUE(is(SALLY_PEER, status, err));
    EXPECT_EQ(alert, err.code) << err.text;
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

// ---- openssl -----------------------------------------------------------------------------------

class OpenSslNames : public testing::TestWithParam<const char *>
{
  protected:
    void SetUp() override
    {
        SKIP_WITHOUT("openssl");
    }

    // What s_client says about a server of ours, in one visit.
    static std::string visit(int port, const Strings &more)
    {
        Strings words = {"openssl",  "s_client",      "-CAfile", cert_path("ca.pem"),
                         "-connect", localhost(port), GetParam()};
        words.insert(words.end(), more.begin(), more.end());
        Process client(words);
        client.close_input();
        client.wait();
        return client.out() + client.err();
    }
};

TEST_P(OpenSslNames, C4_ItsClientGetsTheContextOfItsName)
{
    TwoSites sites(kServers);
    OurServer server(sites.context());
    std::string second = visit(server.port(), {"-servername", "second.example", "-alpn",
                                               "http/1.1,h2", "-verify_return_error"});
    EXPECT_TRUE(has(second, "CN = second.example")) << second;
    EXPECT_TRUE(has(second, "ALPN protocol: h2")) << second;
    std::string nobody = visit(server.port(), {"-noservername"});
    EXPECT_TRUE(has(nobody, "CN = localhost")) << nobody;
    EXPECT_TRUE(has(nobody, "No ALPN negotiated")) << nobody;
    EXPECT_EQ(Strings{"second.example"}, sites.asked());
}

TEST_P(OpenSslNames, C6_ItsClientIsRefusedWithoutAnOverlap)
{
    TwoSites sites(kServers, false);
    OurServer server(sites.context());
    std::string said = visit(server.port(), {"-alpn", "smtp"});
    EXPECT_TRUE(has(said, "alert number 120")) << said;
}

TEST_P(OpenSslNames, C4_OurClientGetsTheCertificateOfItsName)
{
    SServer server(GetParam(), {"-servername", "second.example", "-cert2", cert_path("sni.pem"),
                                "-key2", cert_path("sni-key.pem")});
    EXPECT_EQ(kSecond, subject_of(connect_here(server.port(), Asking({}).options)));
    Context context = client_context();
    EXPECT_EQ(kLocalhost, subject_of(connect_here(server.port(), context.get())));
}

TEST_P(OpenSslNames, C6_OurClientAgreesWithItsServer)
{
    SServer server(GetParam(), {"-alpn", "h2,http/1.1"});
    Asking both(kBoth);
    both.options.server_name = "localhost";
    EXPECT_EQ("h2", alpn_of(connect_here(server.port(), both.options)));
    Asking other(kOther);
    other.options.server_name = "localhost";
    expect_refusal(server.port(), other.options, kNoApplicationProtocol);
}

TEST_P(OpenSslNames, C7_ItsServerRequiresOurCertificate)
{
    SServer server(GetParam(),
                   {"-Verify", "1", "-verify_return_error", "-CAfile", cert_path("ca.pem")});
    Context known = client_context_with_identity();
    Ports ports = connect_here(server.port(), known.get());
    char line[64];
    size_t length;
    EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "stressed\n", 9, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_read_line(ports.in(), line, sizeof line, &length, nullptr));
    EXPECT_STREQ("desserts\n", line);
}

// In TLS 1.3 the first read tells, before it the connect.
TEST_P(OpenSslNames, C7_ItsServerRefusesUsWithoutACertificate)
{
    SServer server(GetParam(), {"-Verify", "1", "-CAfile", cert_path("ca.pem")});
    Context unknown = client_context();
    Ports ports;
    ssl_error err;
    char byte;
    size_t got;
    ssl_status status = ssl_connect("localhost", server.port(), unknown.get(), ports.fill(), &err);
    EXPECT_EQ(std::string(GetParam()) == "-tls1_3", status == SALLY_OK);
    if (status == SALLY_OK) {
        status = ssl_read(ports.in(), &byte, 1, &got, &err);
    }
    EXPECT_TRUE(is(SALLY_PEER, status, err));
}

TEST_P(OpenSslNames, C7_OurServerRequiresItsCertificate)
{
    Context context = server_context();
    std::string roots = cert_path("ca.pem");
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(context.get(), roots.c_str(), nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_verify(context.get(), true, nullptr));
    OurServer server(std::move(context), [](Ports &ports) {
        EXPECT_TRUE(ssl_peer_verified(ports.in()));
        EXPECT_EQ("/O=Sallyport tests/CN=Test client", subject_of(ports));
        EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "welcome\n", 8, nullptr, nullptr));
        EXPECT_EQ(SALLY_OK, ssl_close_port(ports.out(), nullptr));
    });
    Process known({"openssl", "s_client", "-quiet", "-CAfile", roots, "-connect",
                   localhost(server.port()), "-cert", cert_path("client.pem"), "-key",
                   cert_path("client-key.pem"), GetParam()});
    EXPECT_TRUE(known.wait_for_output("welcome\n"));
    known.signal(SIGTERM);
    known.wait();
    Process unknown({"openssl", "s_client", "-quiet", "-CAfile", roots, "-connect",
                     localhost(server.port()), GetParam()});
    EXPECT_NE(0, unknown.wait());
    EXPECT_TRUE(has(unknown.err(), "alert")) << unknown.err();
}

INSTANTIATE_TEST_SUITE_P(Versions, OpenSslNames, testing::Values("-tls1_2", "-tls1_3"),
                         [](const auto &version) { return std::string(version.param + 1); });

// ---- GnuTLS ------------------------------------------------------------------------------------

class GnuTlsNames : public testing::TestWithParam<const char *>
{
  protected:
    static std::string priority()
    {
        return std::string("--priority=NORMAL:-VERS-ALL:+VERS-TLS") + GetParam();
    }

    static std::string visit(int port, const Strings &more)
    {
        Strings words = {"gnutls-cli", "--verbose", "--x509cafile",      cert_path("ca.pem"),
                         priority(),   "--port",    std::to_string(port)};
        words.insert(words.end(), more.begin(), more.end());
        words.push_back("localhost");
        Process client(words);
        client.close_input();
        client.wait();
        return client.out() + client.err();
    }

    static Strings server_words(int port, const Strings &more)
    {
        Strings words = {"gnutls-serv",        "--echo",        "--x509certfile",
                         cert_path("sni.pem"), "--x509keyfile", cert_path("sni-key.pem"),
                         priority(),           "--port",        std::to_string(port)};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
};

TEST_P(GnuTlsNames, C4_ItsClientGetsTheContextOfItsName)
{
    SKIP_WITHOUT("gnutls-cli");
    TwoSites sites(kServers);
    OurServer server(sites.context());
    std::string second =
        visit(server.port(), {"--sni-hostname=second.example", "--verify-hostname=second.example",
                              "--alpn=http/1.1", "--alpn=h2"});
    EXPECT_TRUE(has(second, "CN=second.example")) << second;
    EXPECT_TRUE(has(second, "Application protocol: h2")) << second;
    EXPECT_TRUE(has(second, "Handshake was completed")) << second;
    EXPECT_EQ(Strings{"second.example"}, sites.asked());
    std::string nobody = visit(server.port(), {"--disable-sni"});
    EXPECT_TRUE(has(nobody, "CN=localhost")) << nobody;
    EXPECT_EQ(1U, sites.asked().size());
}

TEST_P(GnuTlsNames, C6_ItsClientIsRefusedWithoutAnOverlap)
{
    SKIP_WITHOUT("gnutls-cli");
    TwoSites sites(kServers, false);
    OurServer server(sites.context());
    std::string said = visit(server.port(), {"--alpn=smtp"});
    EXPECT_FALSE(has(said, "Handshake was completed")) << said;
    EXPECT_TRUE(has(said, "[120]")) << said;
}

TEST_P(GnuTlsNames, C6_ChannelBindingsAreTheSame)
{
    SKIP_WITHOUT("gnutls-cli");
    std::string unique;
    std::string end_point;
    OurServer server(server_context(), [&](Ports &ports) {
        unique = binding_of(ports, SALLY_BINDING_TLS_UNIQUE);
        end_point = binding_of(ports, SALLY_BINDING_TLS_SERVER_END_POINT);
        read_to_the_end(ports);
    });
    std::string said = visit(server.port(), {});
    server.wait_until_served(1);
    std::string theirs = unique == "none" ? "not available" : unique;
    EXPECT_TRUE(has(said, "'tls-unique': " + theirs + "\n")) << said << unique;
    EXPECT_TRUE(has(said, "'tls-server-end-point': " + end_point + "\n")) << said << end_point;
}

TEST_P(GnuTlsNames, C4_OurClientTellsItsServerTheName)
{
    SKIP_WITHOUT("gnutls-serv");
    int port = some_free_port();
    Process server(server_words(port, {"--alpn=h2", "--alpn-fatal", "--sni-hostname=second.example",
                                       "--sni-hostname-fatal"}));
    ASSERT_TRUE(server.wait_for_errors("listening on IPv4"));
    Ports ports = connect_here(port, Asking(kBoth).options);
    EXPECT_EQ(kSecond, subject_of(ports));
    EXPECT_EQ("h2", alpn_of(ports));
    ports.reset();
    expect_refusal(port, Asking(kOther).options, kNoApplicationProtocol);
    Asking stranger(kBoth);
    stranger.options.server_name = "localhost";
    expect_refusal(port, stranger.options, kUnrecognizedName);
}

INSTANTIATE_TEST_SUITE_P(Versions, GnuTlsNames, testing::Values("1.2", "1.3"),
                         [](const auto &version) {
                             return std::string("TLS1_") + version.param[2];
                         });

// ---- curl --------------------------------------------------------------------------------------

// A page, and which protocol it came by.
void serve_page(Ports &ports)
{
    char line[1024];
    size_t length = 0;
    do {
        if (ssl_read_line(ports.in(), line, sizeof line, &length, nullptr) != SALLY_OK) {
            return;
        }
    } while (std::string(line) != "\r\n");
    ssl_printf(ports.out(), nullptr, nullptr, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nby %s\n",
               alpn_of(ports).c_str());
    ssl_close_port(ports.out(), nullptr);
}

TEST(CurlNames, C4_FetchesAPageFromTheSiteThatItNames)
{
    SKIP_WITHOUT("curl");
    TwoSites sites({SALLY_ALPN("http/1.1")});
    OurServer server(sites.context(), serve_page);
    std::string port = std::to_string(server.port());
    Process curl({"curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20",
                  "--cacert", cert_path("ca.pem"), "--resolve",
                  "second.example:" + port + ":127.0.0.1", "https://second.example:" + port + "/"});
    EXPECT_EQ(0, curl.wait()) << curl.err();
    EXPECT_EQ("by http/1.1\n", curl.out());
    EXPECT_EQ(Strings{"second.example"}, sites.asked());
}

// The certificate that others get is not for the name that it wants.
TEST(CurlNames, C4_RefusesTheSiteOfAnother)
{
    SKIP_WITHOUT("curl");
    TwoSites sites;
    OurServer server(sites.context(), serve_page);
    std::string port = std::to_string(server.port());
    Process curl({"curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20",
                  "--cacert", cert_path("ca.pem"), "--resolve",
                  "third.example:" + port + ":127.0.0.1", "https://third.example:" + port + "/"});
    EXPECT_EQ(60, curl.wait()) << curl.err(); // CURLE_PEER_FAILED_VERIFICATION
    EXPECT_EQ(Strings{"third.example"}, sites.asked());
}

} // namespace

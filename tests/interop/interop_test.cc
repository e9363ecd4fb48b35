// Against other TLS stacks: their clients to our server, our client to their servers.
#include <csignal>
#include <cstring>

#include <gtest/gtest.h>

#include "interop/peers.h"
#include "support/certs.h"
#include "support/echo_programs.h"
#include "support/handles.h"
#include "support/pairs.h"

namespace
{

using namespace sallytest;

// Its client sends a line and shows the same line; then it is told to go.
void expect_line_comes_back(Process &client, const std::string &line)
{
    client.feed(line + "\n");
    EXPECT_TRUE(client.wait_for_output(line + "\n"));
    client.close_input();
}

// "-tls1_3" and "TLS1.3" as the end of a test's name.
std::string version_name(const testing::TestParamInfo<const char *> &version)
{
    std::string name = version.param;
    name.erase(0, name.find_first_not_of('-'));
    return name.replace(name.size() - 2, 1, "_");
}

// ---- openssl -----------------------------------------------------------------------------------

class OpenSsl : public testing::TestWithParam<const char *>
{
};

TEST_P(OpenSsl, ClientToOurServer)
{
    SKIP_WITHOUT("openssl");
    EchoServer server;
    Process client({"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile",
                    cert_path("ca.pem"), "-verify_hostname", "localhost", "-servername",
                    "localhost", "-connect", localhost(server.port()), GetParam()});
    expect_line_comes_back(client, "through s_client");
    client.signal(SIGTERM);
    client.wait();
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait());
}

TEST_P(OpenSsl, OurClientToItsServer)
{
    SKIP_WITHOUT("openssl");
    SServer server(GetParam());
    Process client(echo_client_words(server.port()));
    client.feed("stressed\n");
    EXPECT_TRUE(client.wait_for_output("desserts\n"));
    client.close_input();
    client.wait(); // whether s_server answers our goodbye with one depends on its version
}

INSTANTIATE_TEST_SUITE_P(Versions, OpenSsl, testing::Values("-tls1_2", "-tls1_3"), version_name);

// Asked for its certificate in the middle, s_client shows it and goes on.
TEST(OpenSslClient, C7_ShowsACertificateAfterTheHandshake)
{
    SKIP_WITHOUT("openssl");
    Context context = server_context("server", SALLY_PROTOCOL_TLS13);
    std::string roots = cert_path("ca.pem");
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(context.get(), roots.c_str(), nullptr));
    Listener listener = listen_on_loopback(context.get());
    Process client({"openssl", "s_client", "-quiet", "-enable_pha", "-cert",
                    cert_path("client.pem"), "-key", cert_path("client-key.pem"), "-CAfile", roots,
                    "-connect", localhost(port_of(listener.get())), "-tls1_3"});
    Ports ports;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_accept(listener.get(), ports.fill(), &err), err));
    ASSERT_EQ(SALLY_OK, ssl_port_set_timeout(ports.in(), 20000, nullptr));
    EXPECT_FALSE(ssl_peer_verified(ports.in()));
    ASSERT_TRUE(is(SALLY_OK, ssl_port_set_verify(ports.in(), true, &err), err));
    EXPECT_TRUE(ssl_peer_verified(ports.in()));
    EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "welcome\n", 8, nullptr, nullptr));
    EXPECT_TRUE(client.wait_for_output("welcome\n"));
    client.signal(SIGTERM);
    client.wait();
}

// ---- GnuTLS ------------------------------------------------------------------------------------

class GnuTls : public testing::TestWithParam<const char *>
{
  protected:
    static std::string priority()
    {
        return std::string("--priority=NORMAL:-VERS-ALL:+VERS-") + GetParam();
    }
};

TEST_P(GnuTls, ClientToOurServer)
{
    SKIP_WITHOUT("gnutls-cli");
    EchoServer server;
    Process client({"gnutls-cli", "--x509cafile", cert_path("ca.pem"), priority(), "--port",
                    std::to_string(server.port()), "localhost"});
    ASSERT_TRUE(client.wait_for_output("Handshake was completed"));
    expect_line_comes_back(client, "through gnutls-cli");
    EXPECT_EQ(0, client.wait());
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait());
}

TEST_P(GnuTls, OurClientToItsServer)
{
    SKIP_WITHOUT("gnutls-serv");
    int port = some_free_port();
    Process server({"gnutls-serv", "--echo", "--x509certfile", cert_path("server.pem"),
                    "--x509keyfile", cert_path("server-key.pem"), priority(), "--port",
                    std::to_string(port)});
    ASSERT_TRUE(server.wait_for_errors("listening on IPv4"));
    Process client(echo_client_words(port));
    client.feed("through gnutls-serv\n");
    EXPECT_TRUE(client.wait_for_output("through gnutls-serv\n"));
    client.close_input();
    client.wait();
}

INSTANTIATE_TEST_SUITE_P(Versions, GnuTls, testing::Values("TLS1.2", "TLS1.3"), version_name);

// ---- curl --------------------------------------------------------------------------------------

// One request, one page, the end.
ssl_served serve_page(ssl_connection *, ssl_port *in, ssl_port *out, void *)
{
    char line[1024];
    size_t length = 0;
    do {
        if (ssl_read_line(in, line, sizeof line, &length, nullptr) != SALLY_OK) {
            return SALLY_DONE;
        }
    } while (strcmp(line, "\r\n") != 0);
    const char page[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nOpen both doors.\n";
    ssl_write(out, page, sizeof page - 1, nullptr, nullptr);
    return SALLY_DONE;
}

class Curl : public testing::TestWithParam<std::vector<std::string>>
{
};

// Without a length the page ends with the connection, so that curl needs our goodbye to be content.
TEST_P(Curl, FetchesAPageFromOurServer)
{
    SKIP_WITHOUT("curl");
    Context context = server_context();
    Listener listener = listen_on_loopback(context.get());
    ASSERT_TRUE(listener);
    int port = port_of(listener.get());
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = serve_page;
    ssl_server *made = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_new(&options, &made, &err), err));
    Server server(made);
    ASSERT_TRUE(is(SALLY_OK, ssl_server_add_listener(made, listener.get(), &err), err));
    listener.release();
    ASSERT_TRUE(is(SALLY_OK, ssl_server_start(made, &err), err));

    std::vector<std::string> words = {
        "curl", "--silent",   "--show-error", "--ipv4",   "--noproxy",
        "*",    "--max-time", "20",           "--cacert", cert_path("ca.pem")};
    words.insert(words.end(), GetParam().begin(), GetParam().end());
    words.push_back("https://" + localhost(port) + "/");
    Process curl(words);
    EXPECT_EQ(0, curl.wait()) << curl.err();
    EXPECT_EQ("Open both doors.\n", curl.out());
}

INSTANTIATE_TEST_SUITE_P(Versions, Curl,
                         testing::Values(std::vector<std::string>{"--tlsv1.2", "--tls-max", "1.2"},
                                         std::vector<std::string>{"--tlsv1.3"}));

} // namespace

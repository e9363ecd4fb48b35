// Resumption and stapling with OpenSSL's own programs at the other end (C6).
#include <csignal>
#include <cstring>

#include <gtest/gtest.h>

#include "interop/peers.h"
#include "support/certs.h"
#include "support/echo_programs.h"
#include "support/handles.h"
#include "support/ocsp_responses.h"
#include "support/pairs.h"
#include "support/threads.h"

namespace
{

using namespace sallytest;

class OpenSslSession : public testing::TestWithParam<const char *>
{
  protected:
    void SetUp() override
    {
        if (!is_installed("openssl")) {
            GTEST_SKIP() << "there is no openssl";
        }
    }
};

// A visit of s_client to our echo server, with more options; what it said.
std::string visit(int port, const char *version, const std::vector<std::string> &more)
{
    std::vector<std::string> words = {"openssl",  "s_client",      "-CAfile", cert_path("ca.pem"),
                                      "-connect", localhost(port), version};
    words.insert(words.end(), more.begin(), more.end());
    Process client(words);
    client.feed("a line\n");
    EXPECT_TRUE(client.wait_for_output("\na line\n"));
    client.close_input();
    client.wait();
    return client.out();
}

struct Visit {
    ssl_status status = SALLY_OK;
    ssl_error err = {};
    bool resumed = false;
    ssl_ocsp_status ocsp = SALLY_OCSP_NONE;
    Session session;
};

Visit visit_it(int port, ssl_context *context, ssl_session *offered = nullptr)
{
    Visit made;
    Ports ports;
    char line[64];
    size_t length;
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context;
    options.session = offered;
    options.timeout_ms = 20000;
    made.status = ssl_connect_with("localhost", port, &options, ports.fill(), &made.err);
    if (made.status != SALLY_OK) {
        return made;
    }
    EXPECT_EQ(SALLY_OK, ssl_write(ports.out(), "stressed\n", 9, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_read_line(ports.in(), line, sizeof line, &length, nullptr));
    EXPECT_STREQ("desserts\n", line);
    made.resumed = ssl_port_is_resumed(ports.in());
    ssl_peer_ocsp_status(ports.in(), &made.ocsp, nullptr);
    ssl_session *session = nullptr;
    ssl_port_session(ports.in(), &session, nullptr);
    made.session.reset(session);
    return made;
}

} // namespace

TEST_P(OpenSslSession, C6_ItsClientResumesAtOurServer)
{
    EchoServer server;
    ScratchFile session;
    std::string first = visit(server.port(), GetParam(), {"-sess_out", session.path()});
    EXPECT_NE(std::string::npos, first.find("New, TLSv1")) << first;
    std::string second = visit(server.port(), GetParam(), {"-sess_in", session.path()});
    EXPECT_NE(std::string::npos, second.find("Reused, TLSv1")) << second;
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait());
}

TEST_P(OpenSslSession, C6_OurClientResumesAtItsServer)
{
    SServer server(GetParam());
    int port = server.port();
    Context client = client_context();
    Visit first = visit_it(port, client.get());
    EXPECT_TRUE(is(SALLY_OK, first.status, first.err));
    ASSERT_NE(nullptr, first.session);
    EXPECT_FALSE(first.resumed);
    EXPECT_TRUE(visit_it(port, client.get(), first.session.get()).resumed);
}

TEST_P(OpenSslSession, C6_OurClientReadsItsStapledResponse)
{
    ScratchFile response(ocsp_response());
    SServer server(GetParam(), {"-status_file", response.path()});
    int port = server.port();
    Context client = client_context();
    ASSERT_EQ(SALLY_OK, ssl_set_ocsp(client.get(), SALLY_OCSP_REQUIRE, nullptr));
    Visit made = visit_it(port, client.get());
    EXPECT_TRUE(is(SALLY_OK, made.status, made.err));
    EXPECT_EQ(SALLY_OCSP_GOOD, made.ocsp);
}

TEST_P(OpenSslSession, C6_OurClientRefusesARevokedCertificate)
{
    OcspOptions options;
    options.status = "revoked";
    ScratchFile response(ocsp_response(options));
    SServer server(GetParam(), {"-status_file", response.path()});
    int port = server.port();
    Context client = client_context();
    ASSERT_EQ(SALLY_OK, ssl_set_ocsp(client.get(), SALLY_OCSP_ASK, nullptr));
    Visit made = visit_it(port, client.get());
    EXPECT_TRUE(is(SALLY_VERIFY, made.status, made.err));
    EXPECT_NE(nullptr, std::strstr(made.err.text, "revoked")) << made.err.text;
}

TEST_P(OpenSslSession, C6_ItsClientReadsOurStapledResponse)
{
    ScratchFile response(ocsp_response());
    Context context = server_context();
    std::string roots = cert_path("ca.pem");
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(context.get(), roots.c_str(), nullptr));
    ASSERT_TRUE(
        is(SALLY_OK, ssl_load_ocsp_response(context.get(), response.path().c_str(), &err), err));
    Listener listener = listen_on_loopback(context.get());
    Process client({"openssl", "s_client", "-status", "-CAfile", cert_path("ca.pem"), "-connect",
                    localhost(port_of(listener.get())), GetParam()});
    Ports ports;
    Break limit = deadline_in_ms(20000);
    ASSERT_TRUE(is(SALLY_OK,
                   ssl_accept_enable_break(listener.get(), limit.get(), ports.fill(), &err), err));
    EXPECT_TRUE(client.wait_for_output("OCSP Response Status: successful"));
    EXPECT_TRUE(client.wait_for_output("Cert Status: good"));
    ports.reset();
    client.close_input();
    client.wait();
}

INSTANTIATE_TEST_SUITE_P(Versions, OpenSslSession, testing::Values("-tls1_2", "-tls1_3"),
                         [](const auto &version) { return std::string(version.param + 1); });

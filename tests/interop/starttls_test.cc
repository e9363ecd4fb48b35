// The programs of docs/starttls.md against other clients, another server, and whoever sits on the line and
// puts in bytes of his own (P7).
#include <csignal>
#include <functional>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "interop/peers.h"
#include "support/certs.h"
#include "support/raw_channel.h"
#include "support/threads.h"

namespace
{

using namespace sallytest;

const int kBoundMs = 20000;

// mail_server of the page, listening.
class MailServer : public Process
{
  public:
    explicit MailServer(const std::string &stem = "server", int limit_ms = kBoundMs)
        : Process({built("tests/interop/starttls/mail_server"), cert_stem(stem) + ".pem",
                   cert_stem(stem) + "-key.pem", "0", std::to_string(limit_ms)}),
          port_(number_after("port "))
    {
    }
    int port() const
    {
        return port_;
    }
    // Told to go, it goes: whatever came before, it is well.
    void expect_end()
    {
        signal(SIGTERM);
        EXPECT_EQ(0, wait()) << err();
    }

  private:
    int port_;
};

// mail_client of the page.
class MailClient : public Process
{
  public:
    explicit MailClient(int port)
        : Process({built("tests/interop/starttls/mail_client"), "localhost", std::to_string(port)},
                  trusting())
    {
    }

  private:
    static ProcessOptions trusting()
    {
        ProcessOptions options;
        options.environment = {"SSL_CERT_FILE=" + cert_path("ca.pem")};
        return options;
    }
};

const char kConversation[] = "220 localhost ready\n250-localhost\n250 STARTTLS\n220 go ahead\n"
                             "250 localhost\n250 taken\n221 goodbye\n";

// The clear part, by hand.
class Line
{
  public:
    explicit Line(Fd fd) : fd_(std::move(fd)) {}
    explicit Line(int port) : Line(connect_to(port)) {}

    void say(const std::string &bytes)
    {
        EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
                  send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    // All that comes until there is `text`, or until the end.
    std::string hear(const std::string &text)
    {
        std::string heard;
        char byte;
        while (heard.find(text) == std::string::npos && wait_for_fd(fd_.get(), POLLIN, kBoundMs) &&
               read(fd_.get(), &byte, 1) == 1) {
            heard += byte;
        }
        return heard;
    }
    std::string hear_all()
    {
        return hear("nobody says this");
    }

  private:
    Fd fd_;
};

// ---- both of the page, and others --------------------------------------------------------------

TEST(StartTls, P7_TheClientOfThePageTalksToItsServer)
{
    MailServer server;
    MailClient client(server.port());
    EXPECT_EQ(0, client.wait()) << client.err();
    EXPECT_EQ(kConversation, client.out());
    server.expect_end();
    EXPECT_EQ("", server.err());
}

TEST(StartTls, P7_OpenSslsClientIsUpgraded)
{
    SKIP_WITHOUT("openssl");
    MailServer server;
    Process client({"openssl", "s_client", "-starttls", "smtp", "-crlf", "-quiet", "-CAfile",
                    cert_path("ca.pem"), "-verify_return_error", "-verify_hostname", "localhost",
                    "-connect", localhost(server.port())});
    // What it said in the clear does not count any more.
    client.feed("MAIL FROM:<me@example.org>\nEHLO me\nMAIL FROM:<me@example.org>\nSTARTTLS\n");
    EXPECT_TRUE(client.wait_for_output("503 EHLO first\r\n250 localhost\r\n250 taken\r\n503 TLS"));
    client.feed("NOOP\n");
    client.close_input();
    client.signal(SIGTERM);
    client.wait();
    server.expect_end();
}

TEST(StartTls, P7_GnuTlssClientIsUpgraded)
{
    SKIP_WITHOUT("gnutls-cli");
    MailServer server;
    Process client({"gnutls-cli", "--starttls-proto=smtp", "--crlf", "--x509cafile",
                    cert_path("ca.pem"), "--port", std::to_string(server.port()), "localhost"});
    ASSERT_TRUE(client.wait_for_output("Handshake was completed"));
    client.feed("NOOP\n");
    EXPECT_TRUE(client.wait_for_output("250 done"));
    client.feed("QUIT\n");
    EXPECT_TRUE(client.wait_for_output("221 goodbye"));
    client.close_input();
    EXPECT_EQ(0, client.wait()) << client.err();
    server.expect_end();
}

TEST(StartTls, P7_CurlIsUpgraded)
{
    SKIP_WITHOUT("curl");
    MailServer server;
    Process client({"curl", "--silent", "--show-error", "--ipv4", "--noproxy", "*", "--max-time",
                    "20", "--ssl-reqd", "--cacert", cert_path("ca.pem"), "--request", "NOOP",
                    "smtp://" + localhost(server.port())});
    EXPECT_EQ(0, client.wait()) << client.err();
    EXPECT_EQ("250 done\r\n", client.out());
    server.expect_end();
}

TEST(StartTls, P7_TheClientOfThePageIsUpgradedByRacket)
{
    SKIP_WITHOUT("racket");
    Process server(racket("starttls.rkt", {cert_stem("server")}));
    MailClient client(server.number_after("port "));
    EXPECT_EQ(0, client.wait()) << client.err();
    EXPECT_EQ(kConversation, client.out());
    EXPECT_EQ(0, server.wait()) << server.err();
}

// ---- who sits between them ---------------------------------------------------------------------

// CVE-2011-0411: commands behind STARTTLS, to be run as if they had come by TLS.
TEST(StartTls, P7_CommandsBehindStartTlsAreRefused)
{
    MailServer server;
    Line line(server.port());
    line.say("EHLO me\r\nSTARTTLS\r\nMAIL FROM:<mallory@example.org>\r\n");
    std::string heard = line.hear_all();
    EXPECT_NE(std::string::npos, heard.find("501 nothing may follow STARTTLS\r\n")) << heard;
    EXPECT_EQ(std::string::npos, heard.find("220 go ahead")) << heard;
    EXPECT_EQ(std::string::npos, heard.find("250 taken")) << heard;
    server.expect_end();
    EXPECT_NE(std::string::npos, server.err().find("sent on in the clear")) << server.err();
}

// A piece of a command is refused like a whole one.
TEST(StartTls, P7_HalfACommandBehindStartTlsIsRefused)
{
    MailServer server;
    Line line(server.port());
    line.say("STARTTLS\r\nMA");
    EXPECT_NE(std::string::npos, line.hear_all().find("501 nothing may follow STARTTLS\r\n"));
    server.expect_end();
}

// What comes after the go-ahead is the handshake's, which it ends.
TEST(StartTls, P7_CommandsInPlaceOfAHandshakeAreNoCommands)
{
    MailServer server;
    Line line(server.port());
    line.say("EHLO me\r\nSTARTTLS\r\n");
    EXPECT_NE(std::string::npos, line.hear("220 go ahead\r\n").find("250 STARTTLS"));
    line.say("MAIL FROM:<mallory@example.org>\r\n");
    EXPECT_EQ(std::string::npos, line.hear_all().find("250 taken"));
    server.expect_end();
    EXPECT_NE(std::string::npos, server.err().find("STARTTLS: ")) << server.err();
}

TEST(StartTls, P7_LinesThatEndInABareLineFeedAreRefused)
{
    MailServer server;
    Line line(server.port());
    line.say("NOOP\nNOOP\r\n");
    EXPECT_EQ("220 localhost ready\r\n", line.hear_all());
    server.expect_end();
}

// The client of the page against a server that says what it is told to.
std::string visit_of_client(const std::function<void(Line &)> &serve)
{
    RawListener listener;
    MailClient client(listener.port());
    Line line(listener.accept());
    serve(line);
    EXPECT_EQ(1, client.wait());
    EXPECT_EQ(std::string::npos, client.out().find("250 taken")) << client.out();
    return client.err();
}

// Answers behind the go-ahead, to be read as if they had come by TLS.
TEST(StartTls, P7_AnswersBehindTheGoAheadAreRefused)
{
    std::string said = visit_of_client([](Line &line) {
        line.say("220 here\r\n");
        line.hear("EHLO me\r\n");
        line.say("250 STARTTLS\r\n");
        line.hear("STARTTLS\r\n");
        line.say("220 go ahead\r\n250 localhost\r\n250 taken\r\n221 goodbye\r\n");
        EXPECT_EQ("", line.hear_all()) << "a handshake was begun";
    });
    EXPECT_NE(std::string::npos, said.find("sent on in the clear")) << said;
}

TEST(StartTls, P7_AClientThatIsNotOfferedTlsGoesNoFurther)
{
    std::string said = visit_of_client([](Line &line) {
        line.say("220 here\r\n");
        line.hear("EHLO me\r\n");
        line.say("250-here\r\n250 HELP\r\n");
        EXPECT_EQ("", line.hear_all()) << "it went on in the clear";
    });
    EXPECT_NE(std::string::npos, said.find("not going on in the clear")) << said;
}

TEST(StartTls, P7_AClientRefusesACertificateOfAnotherHost)
{
    for (const char *stem : {"wrong-host", "wrong-ca"}) {
        MailServer server(stem);
        MailClient client(server.port());
        EXPECT_EQ(1, client.wait()) << stem;
        EXPECT_NE(std::string::npos, client.err().find("mail_client: STARTTLS: ")) << client.err();
        EXPECT_EQ(std::string::npos, client.out().find("250 taken")) << client.out();
        server.expect_end();
    }
}

// ---- breaks and limits -------------------------------------------------------------------------

// In the clear and in the handshake.
TEST(StartTls, B5_OneLimitBoundsAClientThatFallsSilent)
{
    for (const char *words : {"", "EHLO me\r\nSTARTTLS\r\n"}) {
        MailServer server("server", 100);
        Line line(server.port());
        line.say(words);
        line.hear_all(); // it hangs up
        server.expect_end();
        EXPECT_NE(std::string::npos, server.err().find("the deadline has passed")) << server.err();
    }
}

TEST(StartTls, B1_ASignalEndsTheServerInTheMiddleOfAHandshake)
{
    MailServer server;
    Line line(server.port());
    line.say("EHLO me\r\nSTARTTLS\r\n");
    line.hear("220 go ahead\r\n");
    server.expect_end();
    EXPECT_NE(std::string::npos, server.err().find("broken (reason 15)")) << server.err();
}

} // namespace

// The echo server under a supervisor: sockets from it, word to it, new certificates, and a new process in
// place of the old one while clients come and go (W8).
#include <csignal>
#include <filesystem>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "scenario/load.h"
#include "support/echo_programs.h"
#include "support/scratch_dir.h"
#include "support/supervisor.h"

using namespace sallytest;

namespace
{

ProcessOptions supervised(const Supervisor &supervisor, std::vector<std::string> more = {})
{
    ProcessOptions options;
    options.environment = std::move(more);
    options.environment.push_back("NOTIFY_SOCKET=" + supervisor.name());
    return options;
}

std::string echoed_at(int port, const std::string &text)
{
    std::string echoed;
    EXPECT_EQ(0, run_echo_client(port, text, &echoed));
    return echoed;
}

// ---- word to the supervisor --------------------------------------------------------------------

TEST(Supervised, W8_ReadyAndStopping)
{
    Supervisor supervisor;
    EchoServer server({}, supervised(supervisor));
    EXPECT_EQ("READY=1", supervisor.waits_for("READY"));
    server.signal(SIGTERM);
    EXPECT_EQ("STOPPING=1", supervisor.waits_for("STOPPING"));
    EXPECT_EQ(0, server.wait());
}

TEST(Supervised, W8_AWatchdogHearsOfItAgainAndAgain)
{
    Supervisor supervisor;
    EchoServer server({}, supervised(supervisor, {"WATCHDOG_USEC=40000"}));
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ("WATCHDOG=1", supervisor.waits_for("WATCHDOG"));
    }
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait()) << server.err();
}

// ---- sockets from the supervisor ---------------------------------------------------------------

int listening_port(const Fd &fd)
{
    sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof addr;
    auto *any = reinterpret_cast<sockaddr *>(&addr);
    EXPECT_EQ(0, bind(fd.get(), any, length));
    EXPECT_EQ(0, listen(fd.get(), 16));
    EXPECT_EQ(0, getsockname(fd.get(), any, &length));
    return ntohs(addr.sin_port);
}

// A shell makes itself the process that the descriptors are for.
TEST(Supervised, L1_W8_ServesTheSocketThatItIsGiven)
{
    Fd given(socket(AF_INET, SOCK_STREAM, 0)); // without close-on-exec
    int port = listening_port(given);
    Supervisor supervisor;
    std::string script = "exec 3<&" + std::to_string(given.get()) +
                         "; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\"";
    Process server({"/bin/bash", "-c", script, built("examples/echo/echo_server")},
                   supervised(supervisor));
    EXPECT_TRUE(server.wait_for_output("listening on 127.0.0.1:" + std::to_string(port)));
    EXPECT_EQ("it works", echoed_at(port, "it works"));
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait()) << server.err();
}

// ---- new certificates --------------------------------------------------------------------------

class Reloaded : public testing::Test
{
  protected:
    Reloaded()
    {
        use("server");
    }
    void use(const std::string &stem) const
    {
        const auto how = std::filesystem::copy_options::overwrite_existing;
        std::filesystem::copy_file(cert_path(stem + ".pem"), cert(), how);
        std::filesystem::copy_file(cert_path(stem + "-key.pem"), key(), how);
    }
    std::string cert() const
    {
        return directory.path("cert.pem");
    }
    std::string key() const
    {
        return directory.path("key.pem");
    }
    // The size of the key that a new client is shown.
    static int shown_at(int port)
    {
        auto peer = raw_client_at(port);
        EXPECT_EQ(Raw::Ok, peer->handshake());
        X509 *certificate = SSL_get1_peer_certificate(peer->ssl());
        int bits = EVP_PKEY_get_bits(X509_get0_pubkey(certificate));
        X509_free(certificate);
        return bits;
    }

    ScratchDir directory;
};

TEST_F(Reloaded, C5_W8_HangupReadsTheCertificatesAgain)
{
    Supervisor supervisor;
    EchoServer server({"--cert", cert(), "--key", key()}, supervised(supervisor));
    supervisor.waits_for("READY");
    auto old_client = raw_client_at(server.port());
    ASSERT_EQ(Raw::Ok, old_client->handshake());
    int before = shown_at(server.port());

    use("server-rsa");
    server.signal(SIGHUP);
    EXPECT_EQ(0U, supervisor.waits_for("RELOADING=1").find("RELOADING=1\nMONOTONIC_USEC="));
    supervisor.waits_for("READY");
    int after = shown_at(server.port());
    EXPECT_NE(before, after);
    EXPECT_TRUE(server.wait_for_errors("read again"));

    std::filesystem::resize_file(key(), 40);
    server.signal(SIGHUP);
    supervisor.waits_for("READY");
    EXPECT_TRUE(server.wait_for_errors("the old certificates stay: "));
    EXPECT_EQ(after, shown_at(server.port()));

    std::string answer;
    EXPECT_EQ(Raw::Ok, old_client->write_all("still here"));
    EXPECT_EQ(Raw::Ok, old_client->read_full(&answer, 10));
    server.signal(SIGTERM);
    EXPECT_EQ(0, server.wait());
}

// ---- a new process -----------------------------------------------------------------------------

TEST(Upgrade, W8_ThreeUnderLoadAndNoClientIsLost)
{
    Supervisor supervisor;
    EchoServer server({"--workers", "4"}, supervised(supervisor));
    Successors successors;
    supervisor.waits_for("READY");
    Load load(server.port());
    pid_t current = server.pid();
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(load.goes_on());
        ASSERT_EQ(0, kill(current, SIGUSR2));
        std::string said = supervisor.waits_for("MAINPID=");
        ASSERT_NE("", said) << server.err();
        current = std::stoi(said.substr(said.find('=') + 1));
        successors.add(current);
    }
    EXPECT_TRUE(load.goes_on());
    load.stop();
    EXPECT_EQ("", load.failures());
    std::printf("%ld clients\n", load.served());
    EXPECT_EQ(0, kill(current, SIGTERM));
    EXPECT_EQ("STOPPING=1", supervisor.waits_for("STOPPING"));
    EXPECT_TRUE(eventually([&] { return server.has_ended(); }, 30));
    successors.expect_clean_ends();
    EXPECT_EQ(0, server.wait());
    EXPECT_EQ("", server.err());
}

// A new version that cannot start changes nothing.
TEST(Upgrade, W8_AFailedOneLeavesTheOldInService)
{
    ScratchDir directory;
    std::string copy = directory.path("echo_server");
    std::filesystem::copy_file(built("examples/echo/echo_server"), copy);
    ListeningProgram server({copy, "--port", "0"});
    std::filesystem::remove(copy);
    server.signal(SIGUSR2);
    EXPECT_TRUE(server.wait_for_errors("nothing was handed over"));
    EXPECT_EQ("as before", echoed_at(server.port(), "as before"));
    server.drain();
}

} // namespace

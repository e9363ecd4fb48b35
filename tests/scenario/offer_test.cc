// The echo server handed over through a Unix socket: the next process is started by somebody else, here by the
// test, and fetches the listeners (W8). And what goes with the listeners, by either way.
#include <csignal>
#include <filesystem>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "scenario/load.h"
#include "support/echo_programs.h"
#include "support/proxy_headers.h"
#include "support/scratch_dir.h"
#include "support/supervisor.h"

using namespace sallytest;

namespace
{

class Followed : public testing::Test
{
  protected:
    std::string where() const
    {
        return directory_.path("door");
    }
    bool is_offered() const
    {
        return std::filesystem::is_socket(where());
    }
    std::unique_ptr<EchoServer> server(std::vector<std::string> more = {},
                                       const ProcessOptions &options = {}) const
    {
        more.insert(more.end(), {"--hand-over", where()});
        return std::make_unique<EchoServer>(std::move(more), options);
    }

  private:
    ScratchDir directory_;
};

std::string echoed_at(int port, const std::string &text)
{
    std::string echoed;
    EXPECT_EQ(0, run_echo_client(port, text, &echoed));
    return echoed;
}

ProcessOptions supervised(const Supervisor &supervisor)
{
    ProcessOptions options;
    options.environment = {"NOTIFY_SOCKET=" + supervisor.name()};
    return options;
}

// What `GET /metrics` says; it ends with the connection.
std::string scrape(int port)
{
    Fd fd = connect_to(port);
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    EXPECT_EQ(static_cast<ssize_t>(request.size()),
              send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL));
    std::string answer;
    char bytes[4096];
    ssize_t got = 0;
    while (wait_for_fd(fd.get(), POLLIN, kBoundMs) &&
           (got = read(fd.get(), bytes, sizeof bytes)) > 0) {
        answer.append(bytes, static_cast<size_t>(got));
    }
    return answer;
}

bool is_open(int port)
{
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<uint16_t>(port));
    return connect(fd.get(), reinterpret_cast<sockaddr *>(&at), sizeof at) == 0;
}

bool says(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

// ---- under load --------------------------------------------------------------------------------

TEST_F(Followed, W8_ThreeTimesUnderLoadAndNoClientIsLost)
{
    Supervisor supervisor;
    auto current = server({"--workers", "4"}, supervised(supervisor));
    const int port = current->port();
    Load load(port);
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(load.goes_on());
        auto next = server({"--workers", "4"}, supervised(supervisor));
        EXPECT_EQ(port, next->port()) << "the same socket";
        EXPECT_EQ("MAINPID=" + std::to_string(next->pid()), supervisor.waits_for("MAINPID="));
        EXPECT_EQ(0, current->wait(40)) << "it drains by itself; " << current->err();
        EXPECT_EQ("", current->err());
        current = std::move(next);
    }
    EXPECT_TRUE(load.goes_on());
    load.stop();
    EXPECT_EQ("", load.failures());
    std::printf("%ld clients\n", load.served());
    EXPECT_TRUE(eventually([this] { return is_offered(); }, 20));
    current->drain();
    EXPECT_FALSE(is_offered()) << "the file goes with the server";
}

// Bytes in flight: what a client has sent and is sending is echoed whole by the old process.
TEST_F(Followed, W8_MegabytesInFlightAreEchoed)
{
    auto old = server();
    std::string sent;
    for (int i = 0; sent.size() < 4 * 1024 * 1024; i++) {
        sent += std::to_string(i) + ' ';
    }
    std::vector<std::unique_ptr<Process>> clients;
    for (int i = 0; i < 3; i++) {
        clients.push_back(std::make_unique<Process>(echo_client_words(old->port())));
        clients.back()->feed_and_close(sent);
    }
    for (auto &client : clients) {
        ASSERT_TRUE(eventually([&] { return !client->out().empty(); }, 20));
    }
    auto next = server();
    for (auto &client : clients) {
        EXPECT_EQ(0, client->wait(40)) << client->err();
        EXPECT_TRUE(sent == client->out());
    }
    EXPECT_EQ(0, old->wait(40)) << old->err();
    EXPECT_EQ("it works", echoed_at(next->port(), "it works"));
    next->drain();
}

// ---- one that comes to nothing ------------------------------------------------------------------

TEST_F(Followed, W8_OneThatCannotServeLeavesTheOldInService)
{
    auto old = server();
    Fd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, listen(taken.get(), 1));
    sockaddr_in at = {};
    socklen_t length = sizeof at;
    ASSERT_EQ(0, getsockname(taken.get(), reinterpret_cast<sockaddr *>(&at), &length));
    // It has fetched the listeners when it finds that it cannot have the other port.
    Process broken({built("examples/echo/echo_server"), "--hand-over", where(), "--metrics",
                    std::to_string(ntohs(at.sin_port))});
    EXPECT_EQ(1, broken.wait());
    EXPECT_TRUE(says(broken.err(), "ssl_metrics_listen")) << broken.err();
    EXPECT_TRUE(old->wait_for_errors("a process did not take over: "));
    EXPECT_TRUE(old->wait_for_errors("process " + std::to_string(broken.pid())));
    EXPECT_EQ("as before", echoed_at(old->port(), "as before"));

    auto next = server();
    EXPECT_EQ(0, old->wait(40));
    EXPECT_EQ("it works", echoed_at(next->port(), "it works"));
    next->drain();
}

TEST_F(Followed, W8_AKilledServerLeavesAFileThatTheNextReplaces)
{
    auto killed = server();
    EXPECT_TRUE(eventually([this] { return is_offered(); }, 20));
    killed->signal(SIGKILL);
    EXPECT_EQ(128 + SIGKILL, killed->wait());
    EXPECT_TRUE(is_offered());
    auto second = server(); // listens by itself: nobody offers
    EXPECT_TRUE(eventually([this] { return is_offered(); }, 20));
    auto third = server();
    EXPECT_EQ(second->port(), third->port());
    EXPECT_EQ(0, second->wait(40)) << second->err();
    third->drain();
    EXPECT_FALSE(is_offered());
}

TEST_F(Followed, W8_ADirectoryThatIsNotSafeIsToldOf)
{
    std::filesystem::permissions(std::filesystem::path(where()).parent_path(),
                                 std::filesystem::perms::all);
    auto alone = server();
    EXPECT_TRUE(alone->wait_for_errors("nobody can take over: "));
    EXPECT_EQ("it works", echoed_at(alone->port(), "it works"));
    alone->signal(SIGTERM);
    EXPECT_EQ(0, alone->wait());
}

// ---- both ways ----------------------------------------------------------------------------------

// The process that is started by SIGUSR2 offers where the old one did.
TEST_F(Followed, W8_ASuccessorOfEitherKindCanBeFollowed)
{
    Supervisor supervisor;
    Successors successors;
    auto first = server({}, supervised(supervisor));
    EXPECT_EQ("READY=1", supervisor.waits_for("READY"));
    first->signal(SIGUSR2);
    std::string said = supervisor.waits_for("MAINPID=");
    ASSERT_NE("", said) << first->err();
    pid_t second = std::stoi(said.substr(said.find('=') + 1));
    successors.add(second);
    EXPECT_TRUE(eventually([this] { return is_offered(); }, 20));
    auto third = server({}, supervised(supervisor));
    EXPECT_EQ(first->port(), third->port());
    EXPECT_TRUE(eventually([&] { return first->has_ended(); }, 40));
    successors.expect_clean_ends();
    EXPECT_EQ(0, first->wait());
    third->drain();
}

// ---- what goes with the listeners ---------------------------------------------------------------

// The port for scrapes stays open, and shows the numbers of whoever serves.
TEST_F(Followed, W8_W9_ThePortForScrapesGoesToo)
{
    auto old = server({"--metrics", "0"});
    const int scrapes = old->number_after("metrics on 127.0.0.1:");
    EXPECT_EQ("one", echoed_at(old->port(), "one"));
    EXPECT_TRUE(says(scrape(scrapes), "sallyport_connections_accepted_total 1\n"));

    auto next = server({"--metrics", "0"});
    EXPECT_EQ(scrapes, next->number_after("metrics on 127.0.0.1:"));
    EXPECT_EQ(0, old->wait(40)) << old->err();
    EXPECT_TRUE(says(scrape(scrapes), "sallyport_connections_accepted_total 0\n"));

    auto without = server(); // has no use for it, and closes it
    EXPECT_EQ(0, next->wait(40)) << next->err();
    EXPECT_FALSE(is_open(scrapes));
    EXPECT_EQ("three", echoed_at(without->port(), "three"));
    without->drain();
}

TEST_F(Followed, W8_W9_ByASignalToo)
{
    Supervisor supervisor;
    Successors successors;
    EchoServer old({"--metrics", "0"}, supervised(supervisor));
    const int scrapes = old.number_after("metrics on 127.0.0.1:");
    EXPECT_EQ("one", echoed_at(old.port(), "one"));
    EXPECT_EQ("READY=1", supervisor.waits_for("READY"));
    old.signal(SIGUSR2);
    std::string said = supervisor.waits_for("MAINPID=");
    ASSERT_NE("", said) << old.err();
    pid_t heir = std::stoi(said.substr(said.find('=') + 1));
    successors.add(heir);
    EXPECT_TRUE(eventually(
        [&] { return says(scrape(scrapes), "sallyport_connections_accepted_total 0\n"); }, 20));
    EXPECT_EQ(0, kill(heir, SIGTERM));
    EXPECT_TRUE(eventually([&] { return old.has_ended(); }, 40));
    successors.expect_clean_ends();
    EXPECT_EQ(0, old.wait());
    EXPECT_EQ("", old.err());
}

// A client whose proxy sends the header; or, with an empty one, a client that comes by itself.
Raw handshake_behind(int port, const std::string &header)
{
    Fd fd = connect_to(port);
    EXPECT_EQ(static_cast<ssize_t>(header.size()),
              send(fd.get(), header.data(), header.size(), MSG_NOSIGNAL));
    return raw_peer(std::move(fd), raw_client())->handshake();
}

void expect_proxied(int port)
{
    EXPECT_EQ(Raw::Ok, handshake_behind(port, "PROXY TCP4 192.0.2.7 198.51.100.1 50122 443\r\n"));
    EXPECT_NE(Raw::Ok, handshake_behind(port, ""));
}

TEST_F(Followed, W8_AListenerBehindProxiesStaysOne)
{
    Supervisor supervisor;
    Successors successors;
    auto first = server({"--proxies", "127.0.0.1"}, supervised(supervisor));
    EXPECT_EQ("READY=1", supervisor.waits_for("READY"));
    expect_proxied(first->port());
    first->signal(SIGUSR2);
    std::string said = supervisor.waits_for("MAINPID=");
    ASSERT_NE("", said) << first->err();
    successors.add(std::stoi(said.substr(said.find('=') + 1)));
    expect_proxied(first->port());
    auto third = server({"--proxies", "127.0.0.1"}, supervised(supervisor));
    EXPECT_TRUE(eventually([&] { return first->has_ended(); }, 40));
    successors.expect_clean_ends();
    expect_proxied(third->port());
    EXPECT_EQ(0, first->wait());
    third->drain();
}

} // namespace

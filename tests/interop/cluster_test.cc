// The cluster among the examples: two servers behind HAProxy that share their ticket keys (W10).
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "interop/peers.h"
#include "support/certs.h"
#include "support/echo_programs.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/scratch_dir.h"
#include "support/threads.h"

namespace
{

using namespace sallytest;

class Cluster : public testing::Test
{
  protected:
    void SetUp() override
    {
        for (const char *tool : {"haproxy", "socat", "openssl", "curl"}) {
            SKIP_WITHOUT(tool);
        }
        port_ = some_free_port();
        started_ = command({"start", directory_.root(), std::to_string(port_)});
        ASSERT_TRUE(started_);
    }
    void TearDown() override
    {
        if (started_) {
            EXPECT_TRUE(command({"stop", directory_.root()}));
        }
    }

    static bool command(std::vector<std::string> words)
    {
        ProcessOptions options;
        options.environment = {"ECHO_SERVER=" + built("examples/echo/echo_server")};
        words.insert(words.begin(), {"sh", SALLY_TEST_SOURCE "/examples/cluster/cluster.sh"});
        Process script(words, options);
        int status = script.wait(40);
        EXPECT_EQ(0, status) << script.err();
        return status == 0;
    }
    static std::string output(const std::vector<std::string> &words)
    {
        Process process(words);
        EXPECT_EQ(0, process.wait()) << process.err();
        return process.out();
    }
    std::string file(const std::string &name) const
    {
        return output({"cat", directory_.path(name)});
    }
    std::string line(const std::string &name) const
    {
        std::string text = file(name);
        return text.substr(0, text.find('\n'));
    }
    // A number of one server, from where Prometheus gets it.
    long metric(const std::string &server, const std::string &name) const
    {
        std::string text = output({"curl", "--silent", "--show-error", "--noproxy", "*",
                                   "http://127.0.0.1:" + line(server + ".metrics") + "/metrics"});
        size_t at = text.find("\n" + name + " ");
        EXPECT_NE(std::string::npos, at) << name << " is not in " << text;
        return at == std::string::npos ? -1 : std::stol(text.substr(at + name.size() + 2));
    }
    // What s_client says of its session. It ends when it has had its echo.
    std::string s_client(const std::vector<std::string> &more) const
    {
        std::vector<std::string> words = {"openssl",     "s_client",
                                          "-ign_eof",    "-verify_return_error",
                                          "-CAfile",     cert_path("ca.pem"),
                                          "-servername", "localhost",
                                          "-connect",    "127.0.0.1:" + std::to_string(port_)};
        words.insert(words.end(), more.begin(), more.end());
        Process client(words);
        client.feed("through the cluster\n");
        EXPECT_TRUE(client.wait_for_output("\nthrough the cluster\n"));
        client.signal(SIGTERM);
        client.wait();
        return client.out();
    }
    pid_t pid(const std::string &name) const
    {
        return static_cast<pid_t>(std::stol(file(name + ".pid")));
    }
    // What HAProxy thinks of a server: "UP", "DOWN", ...
    std::string state(const std::string &server) const
    {
        Process socat({"socat", "-t", "5", "-", "UNIX-CONNECT:" + directory_.path("admin.sock")});
        socat.feed_and_close("show stat\n");
        EXPECT_EQ(0, socat.wait()) << socat.err();
        std::string text = socat.out();
        size_t at = text.find("\necho," + server + ",") + 1;
        for (int column = 0; column < 17; column++) {
            at = text.find(',', at) + 1;
        }
        return text.substr(at, text.find(',', at) - at);
    }
    std::string session_file() const
    {
        return directory_.path("session.pem");
    }
    void expect_resumed_by_both() const
    {
        for (int i = 0; i < 2; i++) {
            std::string said = s_client({"-sess_in", session_file()});
            EXPECT_NE(std::string::npos, said.find("Reused, TLSv1.3")) << said;
        }
    }

    ScratchDir directory_;
    int port_ = 0;
    bool started_ = false;
};

// One message on a connection of its own.
ssl_status try_echo(int port, ssl_context *context, const std::string &message, ssl_error *err)
{
    Ports ports;
    Break limit = deadline_in_ms(slow(20) * 1000);
    std::string back(message.size(), '\0');
    size_t got = 0;
    ssl_status status =
        ssl_connect_enable_break("127.0.0.1", port, context, limit.get(), ports.fill(), err);
    if (status == SALLY_OK) {
        status = ssl_write_enable_break(ports.out(), message.data(), message.size(), limit.get(),
                                        nullptr, err);
    }
    if (status == SALLY_OK) {
        status = ssl_read_full_enable_break(ports.in(), back.data(), back.size(), limit.get(), &got,
                                            err);
    }
    EXPECT_TRUE(status != SALLY_OK || back == message) << "another echo";
    return status;
}

// Clients that come, have one echo and go, without a pause, until they are told to end.
class Load
{
  public:
    static constexpr uint64_t kClients = 3;

    explicit Load(int port) : context_(client_context())
    {
        for (uint64_t i = 0; i < kClients; i++) {
            threads_.emplace_back([this, i, port] {
                for (uint64_t n = 0; !ended_; n++) {
                    ssl_error err;
                    ssl_status status =
                        try_echo(port, context_.get(), stream_bytes(i, n, 4000), &err);
                    note(status, err);
                }
            });
        }
    }
    ~Load()
    {
        end();
    }
    void end()
    {
        ended_ = true;
        for (std::thread &thread : threads_) {
            thread.join();
        }
        threads_.clear();
    }
    // So many more from now.
    void wait_for_echoes(int count) const
    {
        int before = echoes_;
        EXPECT_TRUE(eventually([&] { return echoes_ >= before + count; }, 20));
    }
    int echoes() const
    {
        return echoes_;
    }
    // Of those that were lost, after the end.
    const std::vector<ssl_error> &lost() const
    {
        return lost_;
    }

  private:
    void note(ssl_status status, const ssl_error &err)
    {
        if (status == SALLY_OK) {
            echoes_++;
            return;
        }
        std::lock_guard<std::mutex> lock(mutex_);
        lost_.push_back(err);
    }

    Context context_;
    std::atomic<bool> ended_{false};
    std::atomic<int> echoes_{0};
    std::mutex mutex_;
    std::vector<ssl_error> lost_;
    std::vector<std::thread> threads_;
};

// A client that stays.
Ports stay_connected(int port)
{
    Ports ports;
    ssl_error err;
    Context context = client_context();
    EXPECT_TRUE(
        is(SALLY_OK, ssl_connect("127.0.0.1", port, context.get(), ports.fill(), &err), err));
    return ports;
}

// One message there and back.
ssl_status exchange(const Ports &ports, ssl_error *err)
{
    char bytes[] = "still here";
    size_t got = 0;
    Break limit = deadline_in_ms(slow(20) * 1000);
    ssl_status status =
        ssl_write_enable_break(ports.out(), bytes, sizeof bytes, limit.get(), nullptr, err);
    return status != SALLY_OK ? status
                              : ssl_read_full_enable_break(ports.in(), bytes, sizeof bytes,
                                                           limit.get(), &got, err);
}

ssl_status end_of(const Ports &ports, ssl_error *err)
{
    char byte;
    size_t got = 0;
    Break limit = deadline_in_ms(slow(20) * 1000);
    return ssl_read_enable_break(ports.in(), &byte, 1, limit.get(), &got, err);
}

// ---- one identity ------------------------------------------------------------------------------

TEST_F(Cluster, W10_C5_ASessionOfOneServerIsResumedByBoth)
{
    std::string said = s_client({"-sess_out", session_file()});
    EXPECT_NE(std::string::npos, said.find("New, TLSv1.3")) << said;
    expect_resumed_by_both();
    for (const char *server : {"one", "two"}) {
        EXPECT_GE(metric(server, "sallyport_handshakes_total{outcome=\"ok\"}"), 1);
        EXPECT_EQ(1, metric(server, "sallyport_handshakes_resumed_total"));
        EXPECT_EQ(0, metric(server, "sallyport_connections_refused_total{reason=\"proxy\"}"));
        EXPECT_GE(metric(server, "sallyport_health_checks_total"), 1);
    }
}

TEST_F(Cluster, W10_C5_ANewTicketKeyCostsNoFullHandshake)
{
    s_client({"-sess_out", session_file()});
    std::string before = file("tickets.keys");
    ASSERT_TRUE(command({"rotate", directory_.root()}));
    std::string after = file("tickets.keys");
    EXPECT_NE(before, after.substr(0, before.size())); // another one seals
    EXPECT_NE(std::string::npos, after.find(before));  // this one still opens
    expect_resumed_by_both();
}

// ---- rolling -----------------------------------------------------------------------------------

TEST_F(Cluster, W10_ARollingRestartLosesNoEcho)
{
    std::string one = file("one.pid"), two = file("two.pid");
    s_client({"-sess_out", session_file()});
    Load load(port_);
    ASSERT_TRUE(command({"roll", directory_.root()}));
    load.end();
    for (const ssl_error &err : load.lost()) {
        ADD_FAILURE() << err.text;
    }
    EXPECT_GT(load.echoes(), 10);
    std::printf("%d echoes, %zu lost\n", load.echoes(), load.lost().size());
    EXPECT_NE(one, file("one.pid"));
    EXPECT_NE(two, file("two.pid"));
    expect_resumed_by_both(); // by servers that were not there when it was made
}

// ---- what fails with what ----------------------------------------------------------------------

TEST_F(Cluster, W10_ACrashCutsTheClientsOfThatServerAndNobodyElse)
{
    s_client({"-sess_out", session_file()});
    Ports clients[2] = {stay_connected(port_), stay_connected(port_)}; // in turns: one at each
    ssl_error err;
    for (const Ports &client : clients) {
        EXPECT_TRUE(is(SALLY_OK, exchange(client, &err), err));
    }
    Load load(port_);
    load.wait_for_echoes(20);
    EXPECT_EQ(0, kill(pid("one"), SIGKILL));
    auto crashed = std::chrono::steady_clock::now();
    EXPECT_TRUE(eventually([&] { return state("one") == "DOWN"; }, 5));
    auto noticed = std::chrono::steady_clock::now() - crashed;
    load.wait_for_echoes(20);
    load.end();

    bool ended[2] = {false, false};
    EXPECT_TRUE(eventually([&] {
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(SALLY_OK, ssl_byte_ready(clients[i].in(), &ended[i], nullptr));
        }
        return ended[0] || ended[1];
    }));
    const int cut = ended[0] ? 0 : 1;
    EXPECT_TRUE(is(SALLY_TRUNCATED, end_of(clients[cut], &err), err));
    EXPECT_TRUE(is(SALLY_OK, exchange(clients[1 - cut], &err), err));
    EXPECT_GE(Load::kClients, load.lost().size()) << "no more than those who were there";
    for (const ssl_error &lost : load.lost()) {
        EXPECT_TRUE(lost.status == SALLY_TRUNCATED || lost.status == SALLY_SYSTEM) << lost.text;
    }
    std::printf("out of rotation after %lld ms; %zu exchanges cut\n",
                static_cast<long long>(
                    std::chrono::duration_cast<std::chrono::milliseconds>(noticed).count()),
                load.lost().size());
    expect_resumed_by_both(); // twice by the one that is left
}

TEST_F(Cluster, W10_AServerThatComesBackIsServingAgain)
{
    s_client({"-sess_out", session_file()});
    EXPECT_EQ(0, kill(pid("one"), SIGKILL));
    EXPECT_TRUE(eventually([&] { return state("one") == "DOWN"; }, 5));
    ASSERT_TRUE(command({"roll", directory_.root()}));
    EXPECT_EQ("UP", state("one"));
    expect_resumed_by_both();
    EXPECT_EQ(1, metric("one", "sallyport_handshakes_resumed_total"));
    EXPECT_EQ(1, metric("two", "sallyport_handshakes_resumed_total"));
}

// The check is TCP's alone, which the kernel answers.
TEST_F(Cluster, W10_AServerThatHangsIsNotNoticedAndGoesOnLater)
{
    Ports clients[2] = {stay_connected(port_), stay_connected(port_)};
    ssl_error err;
    EXPECT_EQ(0, kill(pid("one"), SIGSTOP));
    EXPECT_FALSE(eventually([&] { return state("one") != "UP"; }, 2)) << "ten checks";
    EXPECT_EQ(0, kill(pid("one"), SIGCONT));
    for (const Ports &client : clients) {
        EXPECT_TRUE(is(SALLY_OK, exchange(client, &err), err));
    }
}

// A second one of its own directory and port, in front of the same servers.
TEST_F(Cluster, W10_ASecondBalancerSharesNothingAndNeedsNothing)
{
    s_client({"-sess_out", session_file()});
    std::string beside = directory_.path("beside");
    ASSERT_EQ(0, mkdir(beside.c_str(), 0700));
    int port = some_free_port();
    ProcessOptions options;
    options.environment = {"CLUSTER=" + beside, "CLUSTER_PORT=" + std::to_string(port),
                           "CLUSTER_PORT_ONE=" + line("one.port"),
                           "CLUSTER_PORT_TWO=" + line("two.port")};
    Process second({"haproxy", "-db", "-f", SALLY_TEST_SOURCE "/examples/cluster/haproxy.cfg"},
                   options);
    Ports client = stay_connected(port_);
    EXPECT_EQ(0, kill(pid("haproxy"), SIGKILL));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TRUNCATED, end_of(client, &err), err));
    port_ = port;
    Context context = client_context();
    EXPECT_TRUE(eventually(
        [&] { return try_echo(port, context.get(), "anybody?", &err) == SALLY_OK; }, 20));
    expect_resumed_by_both();
}

// ---- Prometheus --------------------------------------------------------------------------------

TEST_F(Cluster, W10_PrometheusTakesTheConfiguration)
{
    SKIP_WITHOUT("promtool");
    std::string said = output({"promtool", "check", "config", directory_.path("prometheus.yml")});
    EXPECT_NE(std::string::npos, said.find("SUCCESS")) << said;
}

} // namespace

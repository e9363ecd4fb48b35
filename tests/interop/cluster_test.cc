// The cluster among the examples: two servers behind HAProxy that share their ticket keys (W10).
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "interop/peers.h"
#include "support/certs.h"
#include "support/echo_programs.h"
#include "support/pairs.h"
#include "support/rng.h"

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
        std::string pattern = testing::TempDir() + "sallyport-cluster-XXXXXX";
        directory_ = mkdtemp(pattern.data());
        port_ = some_free_port();
        started_ = command({"start", directory_, std::to_string(port_)});
        ASSERT_TRUE(started_);
    }
    void TearDown() override
    {
        if (started_) {
            EXPECT_TRUE(command({"stop", directory_}));
        }
        if (!directory_.empty()) {
            EXPECT_EQ(0, std::system(("rm -rf '" + directory_ + "'").c_str()));
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
        return output({"cat", directory_ + "/" + name});
    }
    // A number of one server, from where Prometheus gets it.
    long metric(const std::string &server, const std::string &name) const
    {
        std::string port = file(server + ".metrics");
        std::string text =
            output({"curl", "--silent", "--show-error", "--noproxy", "*",
                    "http://127.0.0.1:" + port.substr(0, port.find('\n')) + "/metrics"});
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
    std::string session_file() const
    {
        return directory_ + "/session.pem";
    }
    void expect_resumed_by_both() const
    {
        for (int i = 0; i < 2; i++) {
            std::string said = s_client({"-sess_in", session_file()});
            EXPECT_NE(std::string::npos, said.find("Reused, TLSv1.3")) << said;
        }
    }

    std::string directory_;
    int port_ = 0;
    bool started_ = false;
};

// One message on a connection of its own; what went wrong, or nothing.
std::string try_echo(int port, ssl_context *context, const std::string &message)
{
    Ports ports;
    ssl_error err;
    Break limit = deadline_in_ms(slow(20) * 1000);
    std::string back(message.size(), '\0');
    size_t got = 0;
    if (ssl_connect_enable_break("127.0.0.1", port, context, limit.get(), ports.fill(), &err) !=
            SALLY_OK ||
        ssl_write_enable_break(ports.out(), message.data(), message.size(), limit.get(), nullptr,
                               &err) != SALLY_OK ||
        ssl_read_full_enable_break(ports.in(), back.data(), back.size(), limit.get(), &got, &err) !=
            SALLY_OK) {
        return err.text;
    }
    return back == message ? "" : "another echo";
}

// Clients that come, have one echo and go, without a pause, until they are told to end.
class Load
{
  public:
    explicit Load(int port) : context_(client_context())
    {
        for (uint64_t i = 0; i < 3; i++) {
            threads_.emplace_back([this, i, port] {
                for (uint64_t n = 0; !ended_; n++) {
                    std::string why = try_echo(port, context_.get(), stream_bytes(i, n, 4000));
                    EXPECT_EQ("", why);
                    echoes_ += why.empty();
                    lost_ += !why.empty();
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
    int echoes() const
    {
        return echoes_;
    }
    int lost() const
    {
        return lost_;
    }

  private:
    Context context_;
    std::atomic<bool> ended_{false};
    std::atomic<int> echoes_{0};
    std::atomic<int> lost_{0};
    std::vector<std::thread> threads_;
};

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
    ASSERT_TRUE(command({"rotate", directory_}));
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
    ASSERT_TRUE(command({"roll", directory_}));
    load.end();
    EXPECT_EQ(0, load.lost());
    EXPECT_GT(load.echoes(), 10);
    std::printf("%d echoes, %d lost\n", load.echoes(), load.lost());
    EXPECT_NE(one, file("one.pid"));
    EXPECT_NE(two, file("two.pid"));
    expect_resumed_by_both(); // by servers that were not there when it was made
}

// ---- Prometheus --------------------------------------------------------------------------------

TEST_F(Cluster, W10_PrometheusTakesTheConfiguration)
{
    SKIP_WITHOUT("promtool");
    std::string said = output({"promtool", "check", "config", directory_ + "/prometheus.yml"});
    EXPECT_NE(std::string::npos, said.find("SUCCESS")) << said;
}

} // namespace

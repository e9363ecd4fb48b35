// A port that answers scrapes: what it says, to whom, and for how long it listens. Rules: W9.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/metrics.h"
#include "scenario/service.h"
#include "support/guards.h"
#include "support/no_descriptors.h"
#include "support/process.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

using MetricsPort = std::unique_ptr<ssl_metrics_port, Deleter<ssl_metrics_port_free>>;

int number_of(const MetricsPort &port)
{
    ssl_endpoints ends = {};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_metrics_port_addresses(port.get(), &ends, &err), err));
    EXPECT_STREQ("127.0.0.1", ends.local);
    EXPECT_STREQ("", ends.remote);
    return ends.local_port;
}

// What a raw client gets for these bytes, until the end.
std::string answer_to(int port, const std::string &request)
{
    Fd fd = connect_to(port);
    EXPECT_EQ(static_cast<ssize_t>(request.size()),
              send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL));
    std::string answer;
    char bytes[4096];
    ssize_t got = 0;
    while (wait_for_fd(fd.get(), POLLIN, 20000) &&
           (got = read(fd.get(), bytes, sizeof bytes)) > 0) {
        answer.append(bytes, static_cast<size_t>(got));
    }
    EXPECT_EQ(0, got) << "it ends, and is not reset";
    return answer;
}

bool begins(const std::string &text, const std::string &with)
{
    return text.compare(0, with.size(), with) == 0;
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

const char kGet[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

class Scraping : public testing::Test
{
  protected:
    Scraping() : context_(server_context())
    {
        warm_up();
    }

    MetricsPort listen(const Service &service, int64_t timeout_ms = SALLY_METRICS_TIMEOUT_MS)
    {
        ssl_metrics_source source = {service.get(), nullptr, 0, {}};
        ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
        options.sources = &source;
        options.source_count = 1;
        options.timeout_ms = timeout_ms;
        ssl_metrics_port *made = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_metrics_listen(0, &options, &made, &err), err));
        return MetricsPort(made);
    }

    Context context_;
};

} // namespace

TEST_F(Scraping, W9_CurlGetsTheNumbersOfEachServer)
{
    if (!is_installed("curl")) {
        GTEST_SKIP() << "curl is not installed";
    }
    Service first(echo_once);
    Service second(echo_once);
    ssl_metrics_port *made = nullptr;
    {
        ssl_metrics_label labels[] = {{"server", "first"}, {"server", "second"}};
        ssl_metrics_source sources[] = {{first.get(), &labels[0], 1, {}},
                                        {second.get(), &labels[1], 1, {}}};
        ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
        options.sources = sources;
        options.source_count = 2;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_metrics_listen(0, &options, &made, &err), err));
    } // what it was given has been copied
    MetricsPort port(made);
    auto client = second.client();
    expect_echo(client.get(), "hello");
    Process curl({"curl", "--silent", "--show-error", "--fail", "--include", "--max-time", "20",
                  "http://127.0.0.1:" + std::to_string(number_of(port)) + "/metrics"});
    EXPECT_EQ(0, curl.wait()) << curl.err();
    std::string text = curl.out();
    EXPECT_TRUE(begins(text, "HTTP/1.1 200 OK\r\n")) << text;
    EXPECT_TRUE(has(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    EXPECT_TRUE(has(text, "sallyport_connections_open{server=\"first\"} 0\n"));
    EXPECT_TRUE(has(text, "sallyport_connections_open{server=\"second\"} 1\n"));
    EXPECT_TRUE(has(text, "sallyport_handshakes_total{server=\"second\",outcome=\"ok\"} 1\n"));
    if (!is_installed("promtool")) {
        GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
    }
    Process promtool({"promtool", "check", "metrics"});
    promtool.feed_and_close(text.substr(text.find("\r\n\r\n") + 4));
    EXPECT_EQ(0, promtool.wait());
    EXPECT_EQ("", promtool.out() + promtool.err());
}

TEST_F(Scraping, W9_EachScrapeIsAsOfNow)
{
    Service service(echo_once);
    MetricsPort port = listen(service);
    EXPECT_TRUE(has(answer_to(number_of(port), kGet), "_connections_accepted_total 0\n"));
    auto client = service.client();
    EXPECT_TRUE(has(answer_to(number_of(port), kGet), "_connections_accepted_total 1\n"));
    service.drain(0, 0);
    EXPECT_TRUE(has(answer_to(number_of(port), kGet), "_connections_open 0\n")) << "drained";
}

// As after a hand-over: one socket, two ports, and the first one goes.
TEST_F(Scraping, W8_W9_ASocketThatListensAlready)
{
    Service service(echo_once);
    MetricsPort old = listen(service);
    EXPECT_EQ(-1, ssl_metrics_port_fd(nullptr));
    ssl_metrics_source source = {service.get(), nullptr, 0, {}};
    ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
    options.sources = &source;
    options.source_count = 1;
    ssl_metrics_port *made = nullptr;
    ssl_error err;
    Fd shared(fcntl(ssl_metrics_port_fd(old.get()), F_DUPFD_CLOEXEC, 0));
    ASSERT_TRUE(is(SALLY_OK, ssl_metrics_listen_fd(shared.get(), &options, &made, &err), err));
    (void)shared.release();
    MetricsPort port(made);
    EXPECT_EQ(number_of(old), number_of(port));
    old.reset();
    EXPECT_TRUE(has(answer_to(number_of(port), kGet), "_connections_accepted_total 0\n"));

    Fd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_listen_fd(silent.get(), &options, &made, &err), err));
    EXPECT_EQ(nullptr, made);
    EXPECT_TRUE(has(err.text, "ssl_metrics_listen_fd: descriptor")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_listen_fd(-1, &options, &made, &err), err));
    options.host = "127.0.0.1";
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_listen_fd(silent.get(), &options, &made, &err), err));
    EXPECT_TRUE(has(err.text, "options.host")) << err.text;
}

TEST_F(Scraping, W9_WhatIsNoScrapeIsRefused)
{
    Service service(echo_once);
    MetricsPort port = listen(service);
    int number = number_of(port);
    EXPECT_TRUE(begins(answer_to(number, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 "));
    EXPECT_TRUE(begins(answer_to(number, "PUT /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 "));
    EXPECT_TRUE(begins(answer_to(number, "hello\r\n\r\n"), "HTTP/1.1 400 "));
    std::string head = answer_to(number, "HEAD /metrics HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(begins(head, "HTTP/1.1 200 ")) << head;
    EXPECT_EQ(head.size() - 4, head.find("\r\n\r\n")) << "no body";
    std::string large = "GET /metrics HTTP/1.1\r\nX: ";
    large.append(2 * SALLY_METRICS_REQUEST_MAX, 'x');
    EXPECT_TRUE(begins(answer_to(number, large), "HTTP/1.1 431 "));
    EXPECT_TRUE(begins(answer_to(number, kGet), "HTTP/1.1 200 ")) << "and goes on";
}

TEST_F(Scraping, W9_ARequestMayComeByteByByte)
{
    Service service(echo_once);
    MetricsPort port = listen(service);
    Fd slow_one = connect_to(number_of(port));
    for (const char *c = kGet; *c != '\0'; c++) {
        ASSERT_EQ(1, send(slow_one.get(), c, 1, MSG_NOSIGNAL));
        if (c == kGet + 5) {
            EXPECT_TRUE(begins(answer_to(number_of(port), kGet), "HTTP/1.1 200 ")) << "between";
        }
    }
    ASSERT_TRUE(wait_for_fd(slow_one.get(), POLLIN, 20000));
    char first[13] = "";
    EXPECT_EQ(12, read(slow_one.get(), first, 12));
    EXPECT_STREQ("HTTP/1.1 200", first);
}

TEST_F(Scraping, W9_SlowClientsHoldThePortForALimitedTime)
{
    Service service(echo_once);
    MetricsPort port = listen(service, 300);
    std::vector<Fd> slow_ones;
    for (int i = 0; i < SALLY_METRICS_CLIENTS_MAX + 4; i++) {
        slow_ones.push_back(connect_to(number_of(port)));
        if (i % 2 == 0) {
            ASSERT_EQ(3, send(slow_ones.back().get(), "GET", 3, MSG_NOSIGNAL));
        }
    }
    EXPECT_TRUE(begins(answer_to(number_of(port), kGet), "HTTP/1.1 200 "));
    for (const Fd &fd : slow_ones) {
        char byte;
        ASSERT_TRUE(wait_for_fd(fd.get(), POLLIN, 20000)) << "cut";
        EXPECT_GE(0, read(fd.get(), &byte, 1));
    }
}

TEST_F(Scraping, W9_WithoutDescriptorsItWaitsAndComesBack)
{
    Service service(echo_once);
    MetricsPort port = listen(service);
    int number = number_of(port);
    std::string answer;
    {
        NoDescriptors none;
        none.give_back(1);
        Fd waiting = connect_to(number);
        ASSERT_EQ(static_cast<ssize_t>(sizeof kGet - 1),
                  send(waiting.get(), kGet, sizeof kGet - 1, MSG_NOSIGNAL));
        EXPECT_FALSE(wait_for_fd(waiting.get(), POLLIN, 50)) << "it cannot be taken";
        none.give_all_back();
        ASSERT_TRUE(wait_for_fd(waiting.get(), POLLIN, 20000));
    }
    EXPECT_TRUE(begins(answer_to(number, kGet), "HTTP/1.1 200 "));
}

// ---- the end ----

TEST_F(Scraping, W9_FreeingEndsItAtOnceWithClientsInside)
{
    Service service(echo_once);
    LeakGuard leaks;
    MetricsPort port = listen(service, INT64_MAX / 2);
    int number = number_of(port);
    Fd silent = connect_to(number);
    Fd half = connect_to(number);
    ASSERT_EQ(3, send(half.get(), "GET", 3, MSG_NOSIGNAL));
    EXPECT_TRUE(begins(answer_to(number, kGet), "HTTP/1.1 200 "));
    auto begun = std::chrono::steady_clock::now();
    port.reset();
    EXPECT_GT(std::chrono::seconds(slow(2)), std::chrono::steady_clock::now() - begun);
    char byte;
    ASSERT_TRUE(wait_for_fd(silent.get(), POLLIN, 20000));
    EXPECT_GE(0, read(silent.get(), &byte, 1));
    ssl_metrics_port_free(nullptr);
}

// ---- wrong use ----

TEST_F(Scraping, E3_WhatIsWrongIsNamed)
{
    Service service(echo_once);
    ssl_metrics_label bad = {"a-b", "x"};
    ssl_metrics_source whole = {service.get(), nullptr, 0, {}};
    ssl_metrics_source labelled = {service.get(), &bad, 1, {}};
    ssl_metrics_source nobody = {nullptr, nullptr, 0, {}};
    struct {
        int port;
        const char *host;
        const ssl_metrics_source *source;
        int64_t timeout_ms;
        const char *word;
    } const cases[] = {
        {65536, nullptr, &whole, 1, "65536"},
        {-1, nullptr, &whole, 1, "-1"},
        {0, "localhost", &whole, 1, "localhost"},
        {0, "unix:/tmp/x", &whole, 1, "unix:/tmp/x"},
        {0, "", &whole, 1, "numeric"},
        {0, nullptr, nullptr, 1, "no server"},
        {0, nullptr, &nobody, 1, "NULL"},
        {0, nullptr, &labelled, 1, "a-b"},
        {0, nullptr, &whole, 0, "timeout_ms"},
    };
    for (auto &one : cases) {
        ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
        options.host = one.host;
        options.sources = one.source;
        options.source_count = 1;
        options.timeout_ms = one.timeout_ms;
        auto *made = reinterpret_cast<ssl_metrics_port *>(1);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_listen(one.port, &options, &made, &err), err));
        EXPECT_EQ(nullptr, made);
        EXPECT_TRUE(has(err.text, one.word)) << err.text;
    }
    ssl_metrics_port *made = nullptr;
    ssl_endpoints ends;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_listen(0, nullptr, &made, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_listen(0, nullptr, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_port_addresses(nullptr, &ends, &err), err));
    MetricsPort port = listen(service);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_port_addresses(port.get(), nullptr, &err), err));
}

TEST_F(Scraping, W9_APortInUseIsAnError)
{
    Service service(echo_once);
    MetricsPort port = listen(service);
    ssl_metrics_source source = {service.get(), nullptr, 0, {}};
    ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
    options.sources = &source;
    options.source_count = 1;
    ssl_metrics_port *made = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_metrics_listen(number_of(port), &options, &made, &err), err));
    EXPECT_EQ(EADDRINUSE, err.sys_errno);
    EXPECT_EQ(nullptr, made);
    EXPECT_TRUE(has(err.text, "127.0.0.1:" + std::to_string(number_of(port)))) << err.text;
}

// Snapshots as text for Prometheus: exact, escaped, bounded, and as promtool wants it. Rules: W9.
#include <gtest/gtest.h>

#include <clocale>
#include <string>
#include <vector>

#include "sallyport/metrics.h"
#include "support/handles.h"
#include "support/process.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// Every number is another.
ssl_metrics known()
{
    ssl_metrics m = {};
    m.server.accepted = 11;
    m.server.accept_failures = 12;
    m.server.open = 5;
    m.server.busy = 2;
    m.parked = 3;
    m.server.taken = 13;
    m.server.idle_timed_out = 14;
    m.server.proxy_refused = 15;
    m.server.health_checks = 16;
    m.handshakes[SALLY_OK] = 100;
    m.handshakes[SALLY_PEER] = 7;
    m.handshakes[SALLY_LIMIT] = 1;
    m.resumed = 40;
    m.plain_received = 1000;
    m.wire_received = 1290;
    m.plain_sent = 2000;
    m.wire_sent = UINT64_MAX;
    m.handshake_time.buckets[0] = 1;
    m.handshake_time.buckets[6] = 2;
    m.handshake_time.buckets[19] = 1;
    m.handshake_time.count = 4;
    m.handshake_time.sum_ns = 12003400000;
    return m;
}

std::string text_of(const std::vector<ssl_metrics_sample> &samples)
{
    size_t length = 0;
    ssl_error err;
    EXPECT_EQ(SALLY_LIMIT,
              ssl_metrics_text(samples.data(), samples.size(), nullptr, 0, &length, &err));
    std::string text(length + 1, '?');
    EXPECT_TRUE(is(
        SALLY_OK,
        ssl_metrics_text(samples.data(), samples.size(), text.data(), text.size(), &length, &err),
        err));
    EXPECT_EQ(text.size(), length + 1);
    EXPECT_EQ('\0', text.back());
    text.pop_back();
    return text;
}

// The part of the text that tells one metric.
std::string part_of(const std::string &text, const std::string &name)
{
    size_t begin = text.find("# HELP sallyport_" + name + " ");
    EXPECT_NE(std::string::npos, begin) << name;
    return text.substr(begin, text.find("# HELP", begin + 1) - begin);
}

void expect_usage(const ssl_metrics_label &label, const std::string &word)
{
    ssl_metrics m = {};
    ssl_metrics_sample sample = {&m, &label, 1, {}};
    char text[65536];
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_USAGE, ssl_metrics_text(&sample, 1, text, sizeof text, nullptr, &err), err));
    EXPECT_NE(std::string::npos, std::string(err.text).find(word)) << err.text;
}

} // namespace

TEST(Prometheus, W9_AKnownSnapshotIsExactlyThisText)
{
    ssl_metrics m = known();
    std::string text = text_of({{&m, nullptr, 0, {}}});
    EXPECT_EQ(
        "# HELP sallyport_connections_accepted_total Clients taken from the listening sockets.\n"
        "# TYPE sallyport_connections_accepted_total counter\n"
        "sallyport_connections_accepted_total 11\n",
        part_of(text, "connections_accepted_total"));
    EXPECT_EQ("# HELP sallyport_connections_open Connections now.\n"
              "# TYPE sallyport_connections_open gauge\n"
              "sallyport_connections_open 5\n",
              part_of(text, "connections_open"));
    EXPECT_EQ(
        "# HELP sallyport_connections_refused_total Clients refused, or hung up on for the sake of "
        "others, by the reason.\n"
        "# TYPE sallyport_connections_refused_total counter\n"
        "sallyport_connections_refused_total{reason=\"proxy\"} 15\n"
        "sallyport_connections_refused_total{reason=\"connections\"} 0\n"
        "sallyport_connections_refused_total{reason=\"handshakes\"} 0\n"
        "sallyport_connections_refused_total{reason=\"address\"} 0\n"
        "sallyport_connections_refused_total{reason=\"queue_length\"} 0\n"
        "sallyport_connections_refused_total{reason=\"queue_age\"} 0\n"
        "sallyport_connections_refused_total{reason=\"idle\"} 0\n",
        part_of(text, "connections_refused_total"));
    EXPECT_EQ("# HELP sallyport_sent_bytes_total Bytes sent, as plaintext and on the wire.\n"
              "# TYPE sallyport_sent_bytes_total counter\n"
              "sallyport_sent_bytes_total{layer=\"plaintext\"} 2000\n"
              "sallyport_sent_bytes_total{layer=\"wire\"} 18446744073709551615\n",
              part_of(text, "sent_bytes_total"));
    EXPECT_EQ("# HELP sallyport_handshakes_total Handshakes that ended, by their result.\n"
              "# TYPE sallyport_handshakes_total counter\n"
              "sallyport_handshakes_total{outcome=\"ok\"} 100\n"
              "sallyport_handshakes_total{outcome=\"eof\"} 0\n"
              "sallyport_handshakes_total{outcome=\"truncated\"} 0\n"
              "sallyport_handshakes_total{outcome=\"break\"} 0\n"
              "sallyport_handshakes_total{outcome=\"timeout\"} 0\n"
              "sallyport_handshakes_total{outcome=\"closed\"} 0\n"
              "sallyport_handshakes_total{outcome=\"peer\"} 7\n"
              "sallyport_handshakes_total{outcome=\"protocol\"} 0\n"
              "sallyport_handshakes_total{outcome=\"verify\"} 0\n"
              "sallyport_handshakes_total{outcome=\"sealed\"} 0\n"
              "sallyport_handshakes_total{outcome=\"unsupported\"} 0\n"
              "sallyport_handshakes_total{outcome=\"system\"} 0\n"
              "sallyport_handshakes_total{outcome=\"config\"} 0\n"
              "sallyport_handshakes_total{outcome=\"usage\"} 0\n"
              "sallyport_handshakes_total{outcome=\"memory\"} 0\n"
              "sallyport_handshakes_total{outcome=\"limit\"} 1\n",
              part_of(text, "handshakes_total"));
    EXPECT_EQ("# HELP sallyport_handshake_seconds Time from a client's first bytes to a handshake "
              "that was done.\n"
              "# TYPE sallyport_handshake_seconds histogram\n"
              "sallyport_handshake_seconds_bucket{le=\"0.00001\"} 1\n"
              "sallyport_handshake_seconds_bucket{le=\"0.000025\"} 1\n"
              "sallyport_handshake_seconds_bucket{le=\"0.00005\"} 1\n"
              "sallyport_handshake_seconds_bucket{le=\"0.0001\"} 1\n"
              "sallyport_handshake_seconds_bucket{le=\"0.00025\"} 1\n"
              "sallyport_handshake_seconds_bucket{le=\"0.0005\"} 1\n"
              "sallyport_handshake_seconds_bucket{le=\"0.001\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.0025\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.005\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.01\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.025\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.05\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.1\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.25\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"0.5\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"1\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"2.5\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"5\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"10\"} 3\n"
              "sallyport_handshake_seconds_bucket{le=\"+Inf\"} 4\n"
              "sallyport_handshake_seconds_sum 12.0034\n"
              "sallyport_handshake_seconds_count 4\n",
              part_of(text, "handshake_seconds"));
    for (const char *line :
         {"_accept_failures_total 12\n", "_connections_busy 2\n", "_connections_parked 3\n",
          "_connections_taken_total 13\n", "_idle_timeouts_total 14\n", "_health_checks_total 16\n",
          "_handshakes_resumed_total 40\n", "_received_bytes_total{layer=\"plaintext\"} 1000\n",
          "_received_bytes_total{layer=\"wire\"} 1290\n", "_handler_seconds_count 0\n",
          "_queue_wait_seconds_sum 0\n", "_break_latency_seconds_count 0\n"}) {
        EXPECT_NE(std::string::npos, text.find(line)) << line;
    }
}

TEST(Prometheus, W9_SeveralServersShareTheHeadOfEachMetricAndLabelsAreEscaped)
{
    ssl_metrics m = known();
    ssl_metrics_label first[] = {{"server", "a"}, {"zone", "\"x\"\\y\nz"}};
    ssl_metrics_label second[] = {{"server", "b"}};
    std::string text = text_of({{&m, first, 2, {}}, {&m, second, 1, {}}});
    EXPECT_EQ(
        "# HELP sallyport_received_bytes_total Bytes received, as plaintext and on the wire.\n"
        "# TYPE sallyport_received_bytes_total counter\n"
        "sallyport_received_bytes_total{server=\"a\",zone=\"\\\"x\\\"\\\\y\\nz\","
        "layer=\"plaintext\"} 1000\n"
        "sallyport_received_bytes_total{server=\"b\",layer=\"plaintext\"} 1000\n"
        "sallyport_received_bytes_total{server=\"a\",zone=\"\\\"x\\\"\\\\y\\nz\","
        "layer=\"wire\"} 1290\n"
        "sallyport_received_bytes_total{server=\"b\",layer=\"wire\"} 1290\n",
        part_of(text, "received_bytes_total"));
    EXPECT_NE(std::string::npos,
              text.find("_handshake_seconds_bucket{server=\"b\",le=\"+Inf\"} 4"));
}

TEST(Prometheus, W9_NumbersAreTheSameInEveryLocale)
{
    ssl_metrics m = known();
    std::string before = text_of({{&m, nullptr, 0, {}}});
    std::string kept = setlocale(LC_ALL, nullptr);
    for (const char *locale : {"de_DE.UTF-8", "de_DE", "tr_TR.UTF-8"}) {
        if (setlocale(LC_ALL, locale) != nullptr) {
            EXPECT_EQ(before, text_of({{&m, nullptr, 0, {}}})) << locale;
        }
    }
    setlocale(LC_ALL, kept.c_str());
}

TEST(Prometheus, W9_PromtoolFindsNothingToComplainAbout)
{
    if (!is_installed("promtool")) {
        GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
    }
    ssl_metrics m = known();
    ssl_metrics_label first[] = {{"server", "\"a\"\n\\"}};
    ssl_metrics_label second[] = {{"server", "b"}};
    Process promtool({"promtool", "check", "metrics"});
    promtool.feed_and_close(text_of({{&m, first, 1, {}}, {&m, second, 1, {}}}));
    EXPECT_EQ(0, promtool.wait());
    EXPECT_EQ("", promtool.out() + promtool.err());
}

// ---- bounds ----

TEST(Prometheus, W9_ATextThatDoesNotFitLeavesAnEmptyBufferAndTellsItsLength)
{
    ssl_metrics m = known();
    ssl_metrics_sample sample = {&m, nullptr, 0, {}};
    std::string whole = text_of({sample});
    for (size_t size : {size_t{1}, size_t{100}, whole.size()}) {
        std::vector<char> text(size + 1, '?');
        size_t length = 0;
        ssl_error err;
        EXPECT_TRUE(
            is(SALLY_LIMIT, ssl_metrics_text(&sample, 1, text.data(), size, &length, &err), err));
        EXPECT_EQ(whole.size(), length);
        EXPECT_EQ('\0', text[0]);
        EXPECT_EQ('?', text[size]) << "nothing behind its end";
    }
    std::vector<char> text(whole.size() + 1);
    EXPECT_EQ(SALLY_OK, ssl_metrics_text(&sample, 1, text.data(), text.size(), nullptr, nullptr));
    EXPECT_EQ(whole, text.data());
}

TEST(Prometheus, W9_TheSinkGetsTheSameTextInPartsAndMayStop)
{
    ssl_metrics m = known();
    ssl_metrics_sample sample = {&m, nullptr, 0, {}};
    struct Sink {
        std::string text;
        int parts_wanted = 0;
    } sink;
    auto take = [](const char *text, size_t length, void *user) {
        auto *into = static_cast<Sink *>(user);
        into->text.append(text, length);
        return --into->parts_wanted > 0;
    };
    ssl_error err;
    sink.parts_wanted = 1000000;
    EXPECT_TRUE(is(SALLY_OK, ssl_metrics_write(&sample, 1, take, &sink, &err), err));
    std::string whole = text_of({sample});
    EXPECT_EQ(whole, sink.text);
    sink = {"", 2};
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_metrics_write(&sample, 1, take, &sink, &err), err));
    EXPECT_EQ(0, sink.parts_wanted) << "not called again";
    EXPECT_EQ(whole.substr(0, sink.text.size()), sink.text);
}

// ---- wrong use ----

TEST(Prometheus, E3_ALabelThatIsNoneIsNamed)
{
    expect_usage({"9lives", "x"}, "9lives");
    expect_usage({"a-b", "x"}, "a-b");
    expect_usage({"", "x"}, "label 0");
    expect_usage({nullptr, "x"}, "label 0");
    expect_usage({"__name__", "x"}, "__name__");
    expect_usage({"le", "x"}, "choose another");
    expect_usage({"outcome", "x"}, "choose another");
    expect_usage({"server", nullptr}, "no value");
    ssl_metrics m = {};
    ssl_metrics_label twice[] = {{"a", "x"}, {"b", "x"}, {"a", "y"}};
    ssl_metrics_sample sample = {&m, twice, 3, {}};
    ssl_error err;
    auto take = [](const char *, size_t, void *) { return true; };
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_write(&sample, 1, take, nullptr, &err), err));
    EXPECT_NE(std::string::npos, std::string(err.text).find("twice")) << err.text;
}

TEST(Prometheus, E3_NullIsUsage)
{
    ssl_metrics m = {};
    ssl_metrics_sample whole = {&m, nullptr, 0, {}};
    ssl_metrics_sample empty = {nullptr, nullptr, 0, {}};
    ssl_metrics_sample no_labels = {&m, nullptr, 1, {}};
    auto take = [](const char *, size_t, void *) { return true; };
    char text[16];
    size_t length = 7;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_write(&whole, 1, nullptr, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_write(nullptr, 1, take, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_write(&empty, 1, take, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_write(&no_labels, 1, take, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_text(&whole, 1, nullptr, 16, &length, &err), err));
    EXPECT_EQ(0u, length);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_metrics_text(nullptr, 1, text, 16, &length, &err), err));
}

// The file server among the examples: what it serves, slow and greedy clients, and the tools of others.
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "interop/https_site.h"
#include "interop/peers.h"
#include "support/certs.h"
#include "support/rng.h"

namespace
{

using namespace sallytest;

// ---- what is served ----------------------------------------------------------------------------

TEST(HttpsServer, ServesFilesWithTheirTypeAndLength)
{
    Site site;
    HttpsServer server(site);
    std::string page = exchange(server.port(), last_get("/"));
    EXPECT_EQ("HTTP/1.1 200 OK", status_of(page));
    EXPECT_TRUE(has(page, "Content-Type: text/html; charset=utf-8\r\n")) << page;
    EXPECT_TRUE(has(page, "Content-Length: 20\r\n")) << page;
    EXPECT_TRUE(has(page, "Connection: close\r\n")) << page;
    EXPECT_EQ("<p>Open both doors.\n", body_of(page));
    EXPECT_EQ("p {}\n", body_of(exchange(server.port(), last_get("/with%20space.css?v=1"))));
    EXPECT_EQ("below\n", body_of(exchange(server.port(), last_get("/sub/"))));
    EXPECT_EQ("", body_of(exchange(server.port(), last_get("/empty"))));
    EXPECT_EQ("0123456789", body_of(exchange(server.port(), last_get("/inside.txt"))));
    EXPECT_EQ("below\n", body_of(exchange(server.port(), last_get("https://localhost/sub/"))));
    EXPECT_EQ("<p>Open both doors.\n",
              body_of(exchange(server.port(), last_get("https://localhost"))));
    server.drain();
}

TEST(HttpsServer, AnswersHeadWithTheHeadAlone)
{
    Site site;
    HttpsServer server(site);
    std::string head = exchange(
        server.port(), "HEAD /digits.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(has(head, "Content-Length: 10\r\n")) << head;
    EXPECT_EQ("", body_of(head));
    std::string none =
        exchange(server.port(), "HEAD /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ("HTTP/1.1 404 Not Found", status_of(none));
    EXPECT_EQ("", body_of(none));
    server.drain();
}

TEST(HttpsServer, KeepsAConnectionForTheNextRequest)
{
    Site site;
    HttpsServer server(site);
    Ports ports = connect_to_server(server.port());
    ASSERT_TRUE(ports);
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(send(ports, get("/digits.txt")));
        EXPECT_EQ("0123456789", body_of(read_answer(ports)));
        ASSERT_TRUE(send(ports, get("/none")));
        EXPECT_EQ("HTTP/1.1 404 Not Found", status_of(read_answer(ports)));
    }
    ASSERT_TRUE(send(ports, last_get("/digits.txt")));
    EXPECT_EQ("0123456789", body_of(read_to_end(ports)));
    ports.reset();
    server.drain();
}

TEST(HttpsServer, ServesOldClientsOnce)
{
    Site site;
    HttpsServer server(site);
    std::string page = exchange(server.port(), "GET /digits.txt HTTP/1.0\r\n\r\n");
    EXPECT_EQ("0123456789", body_of(page));
    EXPECT_TRUE(has(page, "Connection: close\r\n")) << page;
    server.drain();
}

TEST(HttpsServer, LeadsADirectoryWithoutItsSlashToItself)
{
    Site site;
    HttpsServer server(site);
    std::string moved = exchange(server.port(), last_get("/sub?x=1"));
    EXPECT_EQ("HTTP/1.1 301 Moved Permanently", status_of(moved));
    EXPECT_TRUE(has(moved, "\r\nLocation: /sub/\r\n")) << moved;
    // "//sub/" would lead to the host of that name
    EXPECT_EQ("HTTP/1.1 404 Not Found", status_of(exchange(server.port(), last_get("//sub"))));
    server.drain();
}

struct Range {
    const char *name;
    const char *range;
    const char *status;
    const char *body;
};

class HttpsRange : public testing::TestWithParam<Range>
{
};

TEST_P(HttpsRange, IsServedByTheLetter)
{
    const Range &range = GetParam();
    Site site;
    HttpsServer server(site);
    std::string answer = exchange(
        server.port(), last_get("/digits.txt", std::string("Range: ") + range.range + "\r\n"));
    EXPECT_EQ(std::string("HTTP/1.1 ") + range.status, status_of(answer));
    EXPECT_EQ(range.body, body_of(answer));
    EXPECT_EQ(std::string(range.status) != "200 OK", has(answer, "\r\nContent-Range: bytes "))
        << answer;
    server.drain();
}

INSTANTIATE_TEST_SUITE_P(
    Rfc9110, HttpsRange,
    testing::Values(Range{"FirstAndLast", "bytes=2-4", "206 Partial Content", "234"},
                    Range{"OneByte", "bytes=0-0", "206 Partial Content", "0"},
                    Range{"Open", "bytes=7-", "206 Partial Content", "789"},
                    Range{"Suffix", "bytes=-3", "206 Partial Content", "789"},
                    Range{"SuffixLongerThanAll", "bytes=-99", "206 Partial Content", "0123456789"},
                    Range{"LastBehindTheEnd", "bytes=8-99999999999999999999", "206 Partial Content",
                          "89"},
                    Range{"FirstBehindTheEnd", "bytes=10-12", "416 Range Not Satisfiable", ""},
                    Range{"FirstFarBehindTheEnd", "bytes=99999999999999999999-",
                          "416 Range Not Satisfiable", ""},
                    Range{"EmptySuffix", "bytes=-0", "416 Range Not Satisfiable", ""},
                    Range{"Backwards", "bytes=4-2", "200 OK", "0123456789"},
                    Range{"Several", "bytes=0-1,3-4", "200 OK", "0123456789"},
                    Range{"OtherUnit", "lines=1-2", "200 OK", "0123456789"},
                    Range{"Nonsense", "bytes=--1", "200 OK", "0123456789"},
                    Range{"NoNumber", "bytes=-", "200 OK", "0123456789"}),
    [](const testing::TestParamInfo<Range> &range) { return range.param.name; });

TEST(HttpsServer, TellsThatNothingChanged)
{
    Site site;
    HttpsServer server(site);
    std::string whole = exchange(server.port(), last_get("/digits.txt"));
    size_t at = whole.find("Last-Modified: ") + 15;
    std::string date = whole.substr(at, whole.find("\r\n", at) - at);
    std::string same =
        exchange(server.port(), last_get("/digits.txt", "If-Modified-Since: " + date + "\r\n"));
    EXPECT_EQ("HTTP/1.1 304 Not Modified", status_of(same));
    EXPECT_EQ("", body_of(same));
    std::string older =
        exchange(server.port(),
                 last_get("/digits.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    EXPECT_EQ("0123456789", body_of(older));
    std::string part = exchange(
        server.port(), last_get("/digits.txt", "Range: bytes=0-1\r\nIf-Range: " + date + "\r\n"));
    EXPECT_EQ("0123456789", body_of(part));
    server.drain();
}

// ---- slow clients, greedy clients --------------------------------------------------------------

TEST(HttpsServer, DripOfAHeadHasADeadline)
{
    Site site;
    HttpsServer server(site, {"--patience", "1"});
    Ports ports = connect_to_server(server.port());
    ASSERT_TRUE(ports);
    bool ended = false;
    for (int i = 0; i < 8000 && !ended && send(ports, i == 0 ? "GET /" : "x"); i++) {
        Break pause = deadline_in_ms(5);
        ssl_wait_fd_enable_break(-1, false, pause.get(), nullptr);
        ASSERT_EQ(SALLY_OK, ssl_byte_ready(ports.in(), &ended, nullptr));
    }
    EXPECT_EQ("HTTP/1.1 408 Request Timeout", status_of(read_to_end(ports)));
    ports.reset();
    server.drain();
}

TEST(HttpsServer, SilentClientsAreHungUp)
{
    Site site;
    HttpsServer server(site, {"--patience", "1"});
    Ports half = connect_to_server(server.port()), whole = connect_to_server(server.port());
    ASSERT_TRUE(half && send(half, "GET /"));
    ASSERT_TRUE(whole && send(whole, get("/digits.txt")));
    EXPECT_EQ("0123456789", body_of(read_answer(whole)));
    EXPECT_EQ("", read_to_end(whole));
    EXPECT_EQ("", read_to_end(half));
    half.reset();
    whole.reset();
    server.drain();
}

// It asks for more than all buffers on the way can hold, and takes none of it: the only worker is free again
// when the patience is over.
TEST(HttpsServer, ClientThatTakesNothingHoldsNoWorkerForLong)
{
    Site site;
    ASSERT_TRUE(std::ofstream(site.root() + "/huge").good());
    ASSERT_EQ(0, truncate((site.root() + "/huge").c_str(), 64 * 1024 * 1024));
    HttpsServer server(site, {"--patience", "1", "--workers", "1"});
    Ports ports = connect_to_server(server.port());
    ASSERT_TRUE(ports && send(ports, get("/huge")));
    Ports other = connect_to_server(server.port());
    ASSERT_TRUE(other && send(other, last_get("/digits.txt")));
    EXPECT_EQ("0123456789", body_of(read_to_end(other)));
    char buf[16384];
    size_t got = 0;
    ssl_status status = SALLY_OK;
    while (status == SALLY_OK) {
        status = ssl_read(ports.in(), buf, sizeof buf, &got, nullptr);
    }
    EXPECT_EQ(SALLY_TRUNCATED, status);
    ports.reset();
    other.reset();
    server.drain();
}

// One worker, and clients that have sent half a head: it serves the others, and then those.
TEST(HttpsServer, W2_HalfARequestHoldsNoWorker)
{
    Site site;
    HttpsServer server(site, {"--workers", "1"});
    std::vector<Ports> slow_clients;
    std::string request = last_get("/digits.txt");
    for (size_t i = 1; i <= 8; i++) {
        slow_clients.push_back(connect_to_server(server.port()));
        ASSERT_TRUE(slow_clients.back() && send(slow_clients.back(), request.substr(0, 5 * i)));
        EXPECT_EQ("0123456789", body_of(exchange(server.port(), request)));
    }
    for (size_t i = 1; i <= 8; i++) {
        for (char c : request.substr(5 * i)) {
            ASSERT_TRUE(send(slow_clients[i - 1], std::string(1, c)));
        }
        EXPECT_EQ("0123456789", body_of(read_to_end(slow_clients[i - 1])));
    }
    slow_clients.clear();
    server.drain();
}

TEST(HttpsServer, W3_PipelinedRequestsAreAllServedInOrder)
{
    Site site;
    HttpsServer server(site, {"--workers", "1"});
    std::string requests;
    for (int i = 0; i < 100; i++) {
        requests += get("/digits.txt", "Range: bytes=" + std::to_string(i % 10) + "-\r\n");
    }
    Ports greedy = connect_to_server(server.port());
    ASSERT_TRUE(greedy && send(greedy, requests + last_get("/sub/")));
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(std::string("0123456789").substr(i % 10), body_of(read_answer(greedy)));
    }
    EXPECT_EQ("below\n", body_of(read_to_end(greedy)));
    greedy.reset();
    server.drain();
}

// A client that asks and takes without end does not keep the only worker from another.
TEST(HttpsServer, PipeliningStarvesNobody)
{
    Site site;
    HttpsServer server(site, {"--workers", "1"});
    Ports greedy = connect_to_server(server.port());
    ASSERT_TRUE(greedy);
    std::string request = get("/digits.txt");
    std::string some;
    for (int i = 0; i < 100; i++) {
        some += request;
    }
    std::thread asking([&] {
        while (send(greedy, some)) {}
    });
    std::thread taking([&] {
        char buf[16384];
        size_t got = 0;
        while (ssl_read(greedy.in(), buf, sizeof buf, &got, nullptr) == SALLY_OK) {}
    });
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ("0123456789", body_of(exchange(server.port(), last_get("/digits.txt"))));
    }
    ssl_abandon_port(greedy.out());
    ssl_abandon_port(greedy.in());
    asking.join();
    taking.join();
    greedy.reset();
    server.drain();
}

// A file that shrinks while it is sent is cut off without a goodbye: nobody takes a part for the whole.
TEST(HttpsServer, P3_AFileThatShrinksIsNoWholeAnswer)
{
    Site site;
    HttpsServer server(site);
    std::string path = site.root() + "/huge";
    ASSERT_TRUE(std::ofstream(path).good());
    ASSERT_EQ(0, truncate(path.c_str(), 64 * 1024 * 1024)); // more than all buffers on the way
    Ports ports = connect_to_server(server.port());
    ASSERT_TRUE(ports && send(ports, last_get("/huge")));
    char buf[1024];
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), buf, sizeof buf, &got, nullptr));
    ASSERT_EQ(0, truncate(path.c_str(), 1024));
    ssl_status status = SALLY_OK;
    while (status == SALLY_OK) {
        status = ssl_read(ports.in(), buf, sizeof buf, &got, nullptr);
    }
    EXPECT_EQ(SALLY_TRUNCATED, status);
    ports.reset();
    server.drain();
}

// ---- with the tools of others ------------------------------------------------------------------

std::vector<std::string> curl_words(std::vector<std::string> more)
{
    std::vector<std::string> words = {
        "curl", "--silent",   "--show-error", "--ipv4",   "--noproxy",
        "*",    "--max-time", "30",           "--cacert", cert_path("ca.pem")};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

std::string url(const ListeningProgram &server, const std::string &path)
{
    return "https://localhost:" + std::to_string(server.port()) + path;
}

TEST(HttpsCurl, FetchesALargeFileOnOneConnectionAgainAndAgain)
{
    SKIP_WITHOUT("curl");
    Site site;
    HttpsServer server(site);
    Process curl(curl_words({"--write-out", "%{stderr}%{num_connects}", url(server, "/big"),
                             "--next", "--silent", "--cacert", cert_path("ca.pem"), "--write-out",
                             "%{stderr}%{num_connects}", url(server, "/digits.txt")}));
    EXPECT_EQ(0, curl.wait()) << curl.err();
    EXPECT_TRUE(stream_bytes(1, 0, kBigSize) + "0123456789" == curl.out()) << curl.out().size();
    EXPECT_EQ("10", curl.err()); // connections made: one for the first, none for the second
    server.drain();
}

TEST(HttpsCurl, GoesOnWhereAFileWasCut)
{
    SKIP_WITHOUT("curl");
    Site site;
    HttpsServer server(site);
    std::string part = site.above() + "/part";
    std::ofstream(part, std::ios::binary) << stream_bytes(1, 0, 1000001);
    Process curl(curl_words({"--continue-at", "-", "--output", part, url(server, "/big")}));
    EXPECT_EQ(0, curl.wait()) << curl.err();
    std::ifstream whole(part, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(whole)), std::istreambuf_iterator<char>());
    EXPECT_TRUE(stream_bytes(1, 0, kBigSize) == bytes) << bytes.size();
    server.drain();
}

TEST(HttpsCurl, IsToldThatItsUploadIsNotWanted)
{
    SKIP_WITHOUT("curl");
    Site site;
    HttpsServer server(site);
    Process curl(curl_words({"--data-binary", "@" + site.root() + "/big", "--write-out",
                             "%{http_code}", "--output", "/dev/null", url(server, "/")}));
    curl.wait();
    EXPECT_EQ("405", curl.out()) << curl.err();
    server.drain();
}

TEST(HttpsOpenSsl, ClientGetsAPage)
{
    SKIP_WITHOUT("openssl");
    Site site;
    HttpsServer server(site);
    Process client({"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile",
                    cert_path("ca.pem"), "-servername", "localhost", "-connect",
                    "localhost:" + std::to_string(server.port())});
    client.feed(last_get("/digits.txt"));
    EXPECT_TRUE(client.wait_for_output("0123456789"));
    client.close_input();
    client.wait();
    server.drain();
}

TEST(HttpsWrk, EveryRequestUnderLoadIsAnswered)
{
    SKIP_WITHOUT("wrk");
    Site site;
    HttpsServer server(site, {"--workers", "2"});
    Process wrk({"wrk", "--threads", "1", "--connections", "16", "--duration", "1s",
                 url(server, "/digits.txt")});
    EXPECT_EQ(0, wrk.wait(30)) << wrk.err();
    std::string said = wrk.out();
    EXPECT_TRUE(has(said, "Requests/sec:")) << said;
    EXPECT_FALSE(has(said, "Requests/sec:      0.00")) << said;
    EXPECT_FALSE(has(said, "Non-2xx")) << said;
    EXPECT_FALSE(has(said, "Socket errors")) << said;
    server.drain();
}

} // namespace

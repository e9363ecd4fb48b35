// The file server among the examples: what it serves, and the tools of others.
#include <fstream>

#include <gtest/gtest.h>

#include "interop/https_site.h"
#include "interop/peers.h"
#include "support/certs.h"
#include "support/rng.h"

namespace
{

using namespace sallytest;

// ---- what is served ----------------------------------------------------------------------------

TEST_F(Https, ServesFilesWithTheirTypeAndLength)
{
    std::string page = exchange(server_.port(), last_get("/"));
    EXPECT_EQ("HTTP/1.1 200 OK", status_of(page));
    EXPECT_TRUE(has(page, "Content-Type: text/html; charset=utf-8\r\n")) << page;
    EXPECT_TRUE(has(page, "Content-Length: 20\r\n")) << page;
    EXPECT_TRUE(has(page, "Connection: close\r\n")) << page;
    EXPECT_EQ("<p>Open both doors.\n", body_of(page));
    EXPECT_EQ("p {}\n", body_of(exchange(server_.port(), last_get("/with%20space.css?v=1"))));
    EXPECT_EQ("below\n", body_of(exchange(server_.port(), last_get("/sub/"))));
    EXPECT_EQ("", body_of(exchange(server_.port(), last_get("/empty"))));
    EXPECT_EQ("0123456789", body_of(exchange(server_.port(), last_get("/inside.txt"))));
    EXPECT_EQ("below\n", body_of(exchange(server_.port(), last_get("https://localhost/sub/"))));
    EXPECT_EQ("<p>Open both doors.\n",
              body_of(exchange(server_.port(), last_get("https://localhost"))));
}

TEST_F(Https, AnswersHeadWithTheHeadAlone)
{
    std::string head = exchange(
        server_.port(), "HEAD /digits.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(has(head, "Content-Length: 10\r\n")) << head;
    EXPECT_EQ("", body_of(head));
    std::string none =
        exchange(server_.port(), "HEAD /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ("HTTP/1.1 404 Not Found", status_of(none));
    EXPECT_EQ("", body_of(none));
}

TEST_F(Https, KeepsAConnectionForTheNextRequest)
{
    Ports ports = connect_to_server(server_.port());
    ASSERT_TRUE(ports);
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(send(ports, get("/digits.txt")));
        EXPECT_EQ("0123456789", body_of(read_answer(ports)));
        ASSERT_TRUE(send(ports, get("/none")));
        EXPECT_EQ("HTTP/1.1 404 Not Found", status_of(read_answer(ports)));
    }
    ASSERT_TRUE(send(ports, last_get("/digits.txt")));
    EXPECT_EQ("0123456789", body_of(read_to_end(ports)));
}

TEST_F(Https, ServesOldClientsOnce)
{
    std::string page = exchange(server_.port(), "GET /digits.txt HTTP/1.0\r\n\r\n");
    EXPECT_EQ("0123456789", body_of(page));
    EXPECT_TRUE(has(page, "Connection: close\r\n")) << page;
}

TEST_F(Https, LeadsADirectoryWithoutItsSlashToItself)
{
    std::string moved = exchange(server_.port(), last_get("/sub?x=1"));
    EXPECT_EQ("HTTP/1.1 301 Moved Permanently", status_of(moved));
    EXPECT_TRUE(has(moved, "\r\nLocation: /sub/\r\n")) << moved;
    // "//sub/" would lead to the host of that name
    EXPECT_EQ("HTTP/1.1 404 Not Found", status_of(exchange(server_.port(), last_get("//sub"))));
}

struct Range {
    const char *name;
    const char *range;
    const char *status;
    const char *body;
};

class HttpsRange : public Https, public testing::WithParamInterface<Range>
{
};

TEST_P(HttpsRange, IsServedByTheLetter)
{
    const Range &range = GetParam();
    std::string answer = exchange(
        server_.port(), last_get("/digits.txt", std::string("Range: ") + range.range + "\r\n"));
    EXPECT_EQ(std::string("HTTP/1.1 ") + range.status, status_of(answer));
    EXPECT_EQ(range.body, body_of(answer));
    EXPECT_EQ(std::string(range.status) != "200 OK", has(answer, "\r\nContent-Range: bytes "))
        << answer;
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

TEST_F(Https, TellsThatNothingChanged)
{
    std::string whole = exchange(server_.port(), last_get("/digits.txt"));
    size_t at = whole.find("Last-Modified: ") + 15;
    std::string date = whole.substr(at, whole.find("\r\n", at) - at);
    std::string same =
        exchange(server_.port(), last_get("/digits.txt", "If-Modified-Since: " + date + "\r\n"));
    EXPECT_EQ("HTTP/1.1 304 Not Modified", status_of(same));
    EXPECT_EQ("", body_of(same));
    std::string older =
        exchange(server_.port(),
                 last_get("/digits.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    EXPECT_EQ("0123456789", body_of(older));
    std::string part = exchange(
        server_.port(), last_get("/digits.txt", "Range: bytes=0-1\r\nIf-Range: " + date + "\r\n"));
    EXPECT_EQ("0123456789", body_of(part));
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

using HttpsCurl = Https;
using HttpsOpenSsl = Https;

TEST_F(HttpsCurl, FetchesALargeFileOnOneConnectionAgainAndAgain)
{
    SKIP_WITHOUT("curl");
    Process curl(curl_words({"--write-out", "%{stderr}%{num_connects}", url(server_, "/big"),
                             "--next", "--silent", "--cacert", cert_path("ca.pem"), "--write-out",
                             "%{stderr}%{num_connects}", url(server_, "/digits.txt")}));
    EXPECT_EQ(0, curl.wait()) << curl.err();
    EXPECT_TRUE(stream_bytes(1, 0, kBigSize) + "0123456789" == curl.out()) << curl.out().size();
    EXPECT_EQ("10", curl.err()); // connections made: one for the first, none for the second
}

TEST_F(HttpsCurl, GoesOnWhereAFileWasCut)
{
    SKIP_WITHOUT("curl");
    std::string part = site_.above() + "/part";
    std::ofstream(part, std::ios::binary) << stream_bytes(1, 0, 1000001);
    Process curl(curl_words({"--continue-at", "-", "--output", part, url(server_, "/big")}));
    EXPECT_EQ(0, curl.wait()) << curl.err();
    std::ifstream whole(part, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(whole)), std::istreambuf_iterator<char>());
    EXPECT_TRUE(stream_bytes(1, 0, kBigSize) == bytes) << bytes.size();
}

TEST_F(HttpsCurl, IsToldThatItsUploadIsNotWanted)
{
    SKIP_WITHOUT("curl");
    Process curl(curl_words({"--data-binary", "@" + site_.root() + "/big", "--write-out",
                             "%{http_code}", "--output", "/dev/null", url(server_, "/")}));
    curl.wait();
    EXPECT_EQ("405", curl.out()) << curl.err();
}

TEST_F(HttpsOpenSsl, ClientGetsAPage)
{
    SKIP_WITHOUT("openssl");
    Process client({"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile",
                    cert_path("ca.pem"), "-servername", "localhost", "-connect",
                    "localhost:" + std::to_string(server_.port())});
    client.feed(last_get("/digits.txt"));
    EXPECT_TRUE(client.wait_for_output("0123456789"));
    client.close_input();
    client.wait();
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

// The status page as a user meets it, with curl. Rules: W9.
#include <gtest/gtest.h>

#include "support/certs.h"
#include "support/echo_programs.h"

using namespace sallytest;

namespace
{

class StatusServer : public ListeningProgram
{
  public:
    StatusServer() : ListeningProgram({built("examples/status/status_server"), "--port", "0"}) {}
    std::string url(const std::string &path) const
    {
        return "https://localhost:" + std::to_string(port()) + path;
    }
};

// One curl, one connection, one request for each URL.
std::string curl(const std::vector<std::string> &urls)
{
    std::vector<std::string> words = {
        "curl",      "--silent", "--show-error", "--include",        "--max-time", "20",
        "--noproxy", "*",        "--cacert",     cert_path("ca.pem")};
    words.insert(words.end(), urls.begin(), urls.end());
    Process program(words);
    EXPECT_EQ(0, program.wait()) << program.err();
    return program.out();
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

class StatusPage : public testing::Test
{
  protected:
    void SetUp() override
    {
        if (!is_installed("curl")) {
            GTEST_SKIP() << "curl is not installed";
        }
    }
};

} // namespace

TEST_F(StatusPage, W9_ItShowsItsOwnNumbersLive)
{
    StatusServer server;
    std::string first = curl({server.url("/")});
    EXPECT_TRUE(has(first, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"));
    EXPECT_TRUE(has(first, "<tr><th>accepted<td>1\n")) << first;
    EXPECT_TRUE(has(first, "<tr><th>busy<td>1\n")) << first;
    EXPECT_TRUE(has(first, "<tr><th>SALLY_OK<td>1\n")) << first;
    std::string second = curl({server.url("/"), server.url("/")});
    EXPECT_TRUE(has(second, "<tr><th>accepted<td>2\n")) << second << " (one connection)";
    EXPECT_FALSE(has(second, "<tr><th>accepted<td>3\n")) << second;
    server.drain();
}

TEST_F(StatusPage, W9_ItIsThereForPrometheusToo)
{
    StatusServer server;
    std::string text = curl({server.url("/metrics")});
    EXPECT_TRUE(has(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    EXPECT_TRUE(has(text, "sallyport_connections_busy 1\n")) << text;
    EXPECT_TRUE(has(curl({server.url("/nothing")}), "HTTP/1.1 404 Not Found\r\n"));
}

TEST_F(StatusPage, ItAnswersWhatABrowserDoesNotAsk)
{
    StatusServer server;
    std::string head = curl({"--head", server.url("/")});
    EXPECT_TRUE(has(head, "HTTP/1.1 200 OK\r\n")) << head;
    EXPECT_FALSE(has(head, "<html")) << head;
    std::string posted = curl({"--data", "x=1", server.url("/")});
    EXPECT_TRUE(has(posted, "HTTP/1.1 405 Method Not Allowed\r\n")) << posted;
    EXPECT_TRUE(has(posted, "\r\nConnection: close\r\n")) << posted;
    server.drain();
}

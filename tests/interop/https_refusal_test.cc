// The file server among the examples, asked what no good client asks.
#include <gtest/gtest.h>

#include "interop/https_site.h"

namespace
{

using namespace sallytest;

struct Refusal {
    const char *name;
    std::string request;
    const char *status;
};

std::vector<Refusal> refusals()
{
    const std::string host = "Host: a\r\n", get_1_1 = "GET / HTTP/1.1\r\n";
    return {
        {"LinesWithoutCr", "GET / HTTP/1.1\nHost: a\n\n", "400 Bad Request"},
        {"BareCr", get_1_1 + "Host: a\rX: b\r\n\r\n", "400 Bad Request"},
        {"NulInAField", get_1_1 + "Host: a" + std::string(1, '\0') + "\r\n\r\n", "400 Bad Request"},
        {"ControlInTheTarget", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request"},
        {"OneWord", "GET\r\n\r\n", "400 Bad Request"},
        {"NoVersion", "GET /\r\n" + host + "\r\n", "400 Bad Request"},
        {"TwoSpaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request"},
        {"FourWords", "GET / x HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request"},
        {"NothingButLineEnds", "\r\n\r\n", "400 Bad Request"},
        {"Http2", "PRI * HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported"},
        {"NotATarget", "GET index.html HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request"},
        {"Fragment", "GET /#a HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request"},
        {"NoHost", get_1_1 + "\r\n", "400 Bad Request"},
        {"TwoHosts", get_1_1 + host + host + "\r\n", "400 Bad Request"},
        {"HostWithPath", get_1_1 + "Host: a/b\r\n\r\n", "400 Bad Request"},
        {"SpaceBeforeColon", get_1_1 + host + "Content-Length : 5\r\n\r\n", "400 Bad Request"},
        {"FoldedLine", get_1_1 + host + "X: a\r\n Content-Length: 5\r\n\r\n", "400 Bad Request"},
        {"NoColon", get_1_1 + host + "X\r\n\r\n", "400 Bad Request"},
        {"Post", "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello",
         "405 Method Not Allowed"},
        {"Delete", "DELETE /digits.txt HTTP/1.1\r\n" + host + "\r\n", "405 Method Not Allowed"},
        {"LowerCaseMethod", "get / HTTP/1.1\r\n" + host + "\r\n", "405 Method Not Allowed"},
        {"Body", get_1_1 + host + "Content-Length: 5\r\n\r\nhello", "413 Content Too Large"},
        {"SignedLength", get_1_1 + host + "Content-Length: +0\r\n\r\n", "400 Bad Request"},
        {"TwoLengths", get_1_1 + host + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
         "413 Content Too Large"},
        {"LengthList", get_1_1 + host + "Content-Length: 0, 5\r\n\r\n", "400 Bad Request"},
        {"Chunked", get_1_1 + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "501 Not Implemented"},
        {"ChunkedWithLength",
         get_1_1 + host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
         "400 Bad Request"},
        {"ChunkedOldClient", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "501 Not Implemented"},
        {"LongHead", get_1_1 + host + "X: " + std::string(9000, 'x') + "\r\n\r\n",
         "431 Request Header Fields Too Large"},
    };
}

class HttpsRefusal : public Https, public testing::WithParamInterface<Refusal>
{
};

// One answer, then the end: whatever stands behind the bad request is never taken for the next one.
TEST_P(HttpsRefusal, EndsTheConnection)
{
    std::string answer = exchange(server_.port(), GetParam().request + get("/digits.txt"));
    EXPECT_EQ(std::string("HTTP/1.1 ") + GetParam().status, status_of(answer));
    EXPECT_TRUE(has(answer, "Connection: close\r\n")) << answer;
    EXPECT_EQ(1U, count(answer, "HTTP/1.1 ")) << answer;
    EXPECT_EQ("0123456789", body_of(exchange(server_.port(), last_get("/digits.txt"))));
}

INSTANTIATE_TEST_SUITE_P(Requests, HttpsRefusal, testing::ValuesIn(refusals()),
                         [](const testing::TestParamInfo<Refusal> &refusal) {
                             return refusal.param.name;
                         });

TEST_F(Https, GivesNothingFromOutsideItsDirectory)
{
    const char *none[] = {"/../secret.txt",
                          "/sub/../../secret.txt",
                          "/%2e%2e/secret.txt",
                          "/.%2e/secret.txt",
                          "/outside.txt",
                          "/absolute",
                          "/beside/secret.txt",
                          "/.hidden",
                          "/sub/./index.html",
                          "/fifo",
                          "/none",
                          "/digits.txt/",
                          "//secret.txt",
                          "/proc"};
    for (const char *target : none) {
        std::string answer = exchange(server_.port(), last_get(target));
        EXPECT_EQ("HTTP/1.1 404 Not Found", status_of(answer)) << target;
        EXPECT_FALSE(has(answer, "secret")) << target;
    }
    const char *bad[] = {"/..%2fsecret.txt", "/digits.txt%00", "/%", "/%2", "/%zz", "/%+1"};
    for (const char *target : bad) {
        EXPECT_EQ("HTTP/1.1 400 Bad Request", status_of(exchange(server_.port(), last_get(target))))
            << target;
    }
}

TEST(HttpsServer, RefusesADirectoryThatIsNotThere)
{
    Process server({built("examples/https/https_server"), "/nowhere"});
    EXPECT_EQ(1, server.wait());
    EXPECT_TRUE(has(server.err(), "\"/nowhere\": No such file")) << server.err();
}

} // namespace

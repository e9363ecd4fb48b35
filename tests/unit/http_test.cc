// As much of HTTP as a scrape needs. Rules: W9.
#include <gtest/gtest.h>

#include <string>

#include "support/faults.h"

extern "C" {
#include "http.h"
#include "mem.h"
}

using namespace sallytest;

namespace
{

struct Judged {
    int status;
    bool head_only;
};

Judged judge(const std::string &request)
{
    Judged judged = {};
    judged.status = sally_http_judge(request.data(), request.size(), "/metrics", &judged.head_only);
    return judged;
}

int status_of(const std::string &request)
{
    return judge(request).status;
}

std::string take(sally_buf *buf)
{
    std::string text(reinterpret_cast<const char *>(sally_buf_front(buf)), buf->length);
    sally_buf_fini(buf);
    return text;
}

} // namespace

TEST(Http, W9_AGetOfThePathIsAnswered)
{
    EXPECT_EQ(200, status_of("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_EQ(200, status_of("GET /metrics HTTP/1.0\r\n\r\n"));
    EXPECT_EQ(200, status_of("GET /metrics?x=1&y HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(200, status_of("GET http://127.0.0.1:9/metrics HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(200, status_of("\r\n\nGET /metrics HTTP/1.1\n\n")) << "RFC 9112 section 2.2";
    EXPECT_EQ(200, status_of("GET /metrics HTTP/1.1\r\n\r\nmore")) << "a body is left alone";
    EXPECT_FALSE(judge("GET /metrics HTTP/1.1\r\n\r\n").head_only);
    EXPECT_EQ(200, status_of("HEAD /metrics HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(judge("HEAD /metrics HTTP/1.1\r\n\r\n").head_only);
}

TEST(Http, W9_HalfARequestIsWaitedFor)
{
    std::string whole = "\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t n = 0; n < whole.size(); n++) {
        EXPECT_EQ(0, status_of(whole.substr(0, n))) << n;
    }
    EXPECT_EQ(200, status_of(whole));
}

TEST(Http, W9_AnythingElseIsRefusedForWhatItIs)
{
    EXPECT_EQ(404, status_of("GET / HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(404, status_of("GET /metrics/ HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(404, status_of("GET /metric HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(404, status_of("POST / HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(404, status_of("GET http://host HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(404, status_of("GET * HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(405, status_of("POST /metrics HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(405, status_of("get /metrics HTTP/1.1\r\n\r\n")) << "methods have a case";
    for (const char *request :
         {"GET /metrics\r\n\r\n", "GET  /metrics HTTP/1.1\r\n\r\n", " / HTTP/1.1\r\n\r\n",
          "GET /metrics HTTP/2.0\r\n\r\n", "GET /metrics HTTP/1.x\r\n\r\n",
          "GET /metrics HTTP/1.1 \r\n\r\n", "PRI * HTTP/2.0\r\n\r\n", "\x16\x03\x01\n\n"}) {
        EXPECT_EQ(400, status_of(request)) << request;
    }
}

TEST(Http, W9_AnAnswerIsExactlyThis)
{
    sally_buf body = {};
    sally_buf answer = {};
    ASSERT_TRUE(sally_buf_append(&body, "a 1\n", 4));
    ASSERT_TRUE(sally_http_answer(&answer, 200, "text/plain", &body, false));
    std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
                       "Connection: close\r\n\r\n";
    EXPECT_EQ(head + "a 1\n", take(&answer));
    ASSERT_TRUE(sally_http_answer(&answer, 200, "text/plain", &body, true));
    EXPECT_EQ(head, take(&answer)) << "HEAD: the length, and no body";
    sally_buf_fini(&body);
    ASSERT_TRUE(sally_http_answer(&answer, 200, "text/plain", &body, false));
    EXPECT_NE(std::string::npos, take(&answer).find("Content-Length: 0\r\n"));
}

TEST(Http, W9_ARefusalSaysWhat)
{
    sally_buf answer = {};
    ASSERT_TRUE(sally_http_refuse(&answer, 405, false));
    EXPECT_EQ("HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 23\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"
              "405 Method Not Allowed\n",
              take(&answer));
    for (int status : {400, 404, 431, 500}) {
        ASSERT_TRUE(sally_http_refuse(&answer, status, true));
        std::string text = take(&answer);
        EXPECT_EQ(0u, text.find("HTTP/1.1 " + std::to_string(status) + " ")) << text;
        EXPECT_EQ(text.size() - 4, text.find("\r\n\r\n")) << text;
    }
}

TEST(Http, E2_WithoutMemoryAnAnswerIsNotWhole)
{
    for (long nth : {1, 2}) {
        sally_buf answer = {};
        sally_mem_fail_at(nth, 1);
        bool whole = sally_http_refuse(&answer, 404, false);
        long met = sally_mem_count();
        sally_mem_fail_at(0, 0);
        EXPECT_EQ(met < nth, whole);
        sally_buf_fini(&answer);
    }
}

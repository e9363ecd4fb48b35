// The file server among the examples, with clients that are slow, or greedy.
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interop/https_site.h"
#include "support/pairs.h"
#include "support/raw_peer.h"
#include "support/rng.h"

namespace
{

using namespace sallytest;

// How it ends, whatever comes before.
ssl_status end_of(const Ports &ports)
{
    char buf[16384];
    size_t got = 0;
    ssl_status status = SALLY_OK;
    while (status == SALLY_OK) {
        status = ssl_read(ports.in(), buf, sizeof buf, &got, nullptr);
    }
    return status;
}

TEST(HttpsSlow, DripOfAHeadHasADeadline)
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

TEST(HttpsSlow, SilentClientsAreHungUp)
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

// It asks for more than all buffers on the way can hold, and takes none of it before the patience is long over.
TEST(HttpsSlow, P3_ClientThatTakesNothingIsCutWithoutAGoodbye)
{
    Site site;
    ASSERT_TRUE(std::ofstream(site.root() + "/huge").good());
    ASSERT_EQ(0, truncate((site.root() + "/huge").c_str(), 64 * 1024 * 1024));
    HttpsServer server(site, {"--patience", "1", "--workers", "1"});
    Ports ports = connect_to_server(server.port());
    ASSERT_TRUE(ports && send(ports, get("/huge")));
    Break over = deadline_in_ms(4000);
    ssl_wait_fd_enable_break(-1, false, over.get(), nullptr);
    EXPECT_EQ(SALLY_TRUNCATED, end_of(ports));
    ports.reset();
    server.drain();
}

// Clients that ask for a big file and take it bit by bit, with small buffers on the way.
class SlowReaders
{
  public:
    SlowReaders(int port, size_t count)
    {
        const int small = 65536;
        for (size_t i = 0; i < count; i++) {
            Fd fd = connect_to(port);
            EXPECT_EQ(0, setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
            peers_.push_back(raw_peer(std::move(fd), raw_client()));
            EXPECT_EQ(Raw::Ok, peers_.back()->handshake()) << peers_.back()->last_error();
            EXPECT_EQ(Raw::Ok, peers_.back()->write_all(last_get("/big")));
        }
        answers_.resize(count);
    }
    void take_a_bit_each()
    {
        for (size_t i = 0; i < peers_.size(); i++) {
            std::string bit;
            EXPECT_EQ(Raw::Ok, peers_[i]->read_some(&bit)) << peers_[i]->last_error();
            answers_[i] += bit;
        }
    }
    void expect_the_whole_file_each()
    {
        const std::string big = stream_bytes(1, 0, kBigSize);
        for (size_t i = 0; i < peers_.size(); i++) {
            std::string rest;
            EXPECT_EQ(Raw::Eof, peers_[i]->read_to_end(&rest)) << peers_[i]->last_error();
            EXPECT_TRUE(big == body_of(answers_[i] + rest)) << i;
            peers_[i]->end();
        }
    }

  private:
    std::vector<std::unique_ptr<RawPeer>> peers_;
    std::vector<std::string> answers_;
};

TEST(HttpsSlow, W2_SlowReadersHoldNoWorker)
{
    Site site;
    HttpsServer server(site, {"--workers", "2", "--patience", "60"});
    SlowReaders readers(server.port(), 50);
    for (int i = 0; i < 5; i++) {
        readers.take_a_bit_each();
        EXPECT_EQ("0123456789", body_of(exchange(server.port(), last_get("/digits.txt"))));
    }
    readers.expect_the_whole_file_each();
    server.drain();
}

// One worker, and clients that have sent half a head: it serves the others, and then those.
TEST(HttpsSlow, W2_HalfARequestHoldsNoWorker)
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

TEST(HttpsSlow, W3_PipelinedRequestsAreAllServedInOrder)
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
TEST(HttpsSlow, PipeliningStarvesNobody)
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
TEST_F(Https, P3_AFileThatShrinksIsNoWholeAnswer)
{
    std::string path = site_.root() + "/huge";
    ASSERT_TRUE(std::ofstream(path).good());
    ASSERT_EQ(0, truncate(path.c_str(), 64 * 1024 * 1024)); // more than all buffers on the way
    Ports ports = connect_to_server(server_.port());
    ASSERT_TRUE(ports && send(ports, last_get("/huge")));
    char first;
    size_t got = 0;
    ASSERT_EQ(SALLY_OK, ssl_read(ports.in(), &first, 1, &got, nullptr));
    ASSERT_EQ(0, truncate(path.c_str(), 1024));
    EXPECT_EQ(SALLY_TRUNCATED, end_of(ports));
}

} // namespace

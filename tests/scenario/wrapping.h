// What the tests of ssl_wrap_ports share.
#ifndef SALLY_TEST_SCENARIO_WRAPPING_H
#define SALLY_TEST_SCENARIO_WRAPPING_H

#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "support/wrapped.h"

namespace sallytest
{

inline Outcome wrap(const ssl_transport &over, const ssl_wrap_options &options,
                    ssl_break *brk = nullptr)
{
    Outcome outcome;
    Break bound = deadline_in_ms(kBoundMs, brk);
    outcome.status = ssl_wrap_ports_enable_break(&over, &options, bound.get(), outcome.ports.fill(),
                                                 &outcome.err);
    return outcome;
}

inline ssl_transport over_fd(const Fd &fd)
{
    return ssl_transport_fds(fd.get(), fd.get());
}

inline bool is_blocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

inline bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

inline void send_plain(int fd, const std::string &bytes)
{
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()), write(fd, bytes.data(), bytes.size()));
}

// Exactly n bytes of the original, or what there was before its end.
inline std::string receive_plain(int fd, size_t n)
{
    std::string bytes;
    char byte;
    while (bytes.size() < n && wait_for_fd(fd, POLLIN, kBoundMs) && read(fd, &byte, 1) == 1) {
        bytes += byte;
    }
    return bytes;
}

// What is there now.
inline std::string drain_plain(int fd)
{
    std::string bytes;
    char byte;
    while (wait_for_fd(fd, POLLIN, 0) && read(fd, &byte, 1) == 1) {
        bytes += byte;
    }
    return bytes;
}

inline void say(const Ports &ports, const std::string &bytes)
{
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_OK, ssl_write(ports.out(), bytes.data(), bytes.size(), nullptr, &err), err));
}

inline std::string hear(const Ports &ports, size_t n)
{
    std::string bytes(n, '\0');
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_full(ports.in(), &bytes[0], n, &got, &err), err));
    bytes.resize(got);
    return bytes;
}

inline ssl_status next_status(const Ports &ports, ssl_error *err = nullptr)
{
    char byte;
    size_t got;
    return ssl_read(ports.in(), &byte, 1, &got, err);
}

inline void expect_both_ways(const Pair &pair)
{
    say(pair.client, "there");
    EXPECT_EQ("there", hear(pair.server, 5));
    say(pair.server, "and back");
    EXPECT_EQ("and back", hear(pair.client, 8));
}

// Both say goodbye, hear the other's, and close.
inline void end_tls(Pair *pair)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_close_port(pair->client.out(), &err), err));
    EXPECT_EQ(SALLY_EOF, next_status(pair->server));
    EXPECT_TRUE(is(SALLY_OK, ssl_close_port(pair->server.out(), &err), err));
    EXPECT_EQ(SALLY_EOF, next_status(pair->client));
    pair->client.reset();
    pair->server.reset();
}

class Wrap : public testing::Test
{
  protected:
    Wrap()
    {
        warm_up();
    }

    Context client_ = client_context();
    Context server_ = server_context();
    ssl_wrap_options connect_ = wrap_options(true, client_.get());
    ssl_wrap_options accept_ = wrap_options(false, server_.get());
};

} // namespace sallytest
#endif

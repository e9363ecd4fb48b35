// What every pair of ports does, whatever carries it. One suite, public headers only; each program
// that compiles it brings its own makers of connected pairs:
//
//     INSTANTIATE_TEST_SUITE_P(Memory, PortSuite, testing::Values(...), pair_maker_name);
#ifndef SALLY_TEST_PORT_SUITE_H
#define SALLY_TEST_PORT_SUITE_H

#include <string>

#include <gtest/gtest.h>

#include "support/pairs.h"

namespace sallytest
{

// More bytes than a pair holds, also when the kernel has let its sockets' buffers grow to their largest.
constexpr size_t kNeverHeld = 16 << 20;

struct PairMaker {
    const char *name;
    Pair (*make)();
    bool has_socket; // ssl_addresses has an answer
    bool half_close; // closing our output leaves our input open: promised for TLS 1.3
    bool is_tcp;     // a TCP socket is at the bottom, with its elastic buffers
};

inline void PrintTo(const PairMaker &maker, std::ostream *out)
{
    *out << maker.name;
}

inline std::string pair_maker_name(const testing::TestParamInfo<PairMaker> &maker)
{
    return maker.param.name;
}

// Fills what is behind an output port, with stream 1 of stream_bytes, until no more goes without
// blocking; returns the bytes accepted.
size_t fill_port(ssl_port *out, bool is_tcp);

class PortSuite : public testing::TestWithParam<PairMaker>
{
  protected:
    void SetUp() override
    {
        pair_ = GetParam().make();
        ASSERT_TRUE(pair_);
        in_ = pair_.server.in();
        out_ = pair_.client.out();
    }

    // Sends through the client's output.
    void put(const std::string &bytes);
    // Receives at the server's input, exactly n bytes.
    std::string get(size_t n);
    // The result of one ssl_read there.
    ssl_status read_status(ssl_error *err = nullptr);
    ssl_status close_status(ssl_port *port);
    // fill_port of out_.
    size_t fill();

    Pair pair_;
    ssl_port *in_ = nullptr;  // the server's
    ssl_port *out_ = nullptr; // the client's
};

// What ssl_sync does with ports, where there is something to poll below: sync_suite.cc.
class SyncSuite : public PortSuite
{
};

} // namespace sallytest
#endif

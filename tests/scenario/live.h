// What the tests of demands on live connections share.
#ifndef SALLY_TEST_SCENARIO_LIVE_H
#define SALLY_TEST_SCENARIO_LIVE_H

#include "scenario/streams.h"
#include "support/pairs.h"
#include "support/threads.h"

namespace sallytest
{

// A server context that trusts ca.pem and demands nothing in the handshake.
inline Context trusting_server(ssl_protocol protocol, bool renegotiation)
{
    Context context = server_context("server", protocol);
    ssl_error err;
    std::string roots = cert_path("ca.pem");
    EXPECT_TRUE(
        is(SALLY_OK, ssl_load_verify_root_certificates(context.get(), roots.c_str(), &err), err));
    EXPECT_TRUE(
        is(SALLY_OK, ssl_set_insecure_renegotiation(context.get(), renegotiation, &err), err));
    return context;
}

// The connection works, and every byte is where it belongs.
inline void expect_streams_both_ways(RawPair &pair)
{
    Thread peer([&] {
        raw_send(pair.raw.get(), 0, 50000);
        raw_receive(pair.raw.get(), 0, 50000);
    });
    receive_theirs(pair.ours.in(), 0, 50000);
    send_ours(pair.ours.out(), 0, 50000);
}

} // namespace sallytest
#endif

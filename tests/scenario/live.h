// What the tests of demands on live connections share.
#ifndef SALLY_TEST_SCENARIO_LIVE_H
#define SALLY_TEST_SCENARIO_LIVE_H

#include "scenario/streams.h"
#include "support/pairs.h"
#include "support/threads.h"

namespace sallytest
{

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

// Long streams, compared byte by byte, between one of our ports and a raw peer.
#ifndef SALLY_TEST_STREAMS_H
#define SALLY_TEST_STREAMS_H

#include <cstddef>
#include <cstdint>

#include "support/handles.h"
#include "support/raw_peer.h"

namespace sallytest
{

constexpr uint64_t kOurs = 1;   // the stream that we send
constexpr uint64_t kTheirs = 2; // the stream that the raw peer sends

// Bytes [from, to) of a stream, by our blocking calls.
void send_ours(ssl_port *out, uint64_t from, uint64_t to);
void receive_theirs(ssl_port *in, uint64_t from, uint64_t to);

// The same by the raw peer.
void raw_send(RawPeer *raw, uint64_t from, uint64_t to);
void raw_receive(RawPeer *raw, uint64_t from, uint64_t to);

// What a raw peer does in both directions at once, with one thread.
struct RawTraffic {
    uint64_t send = 0;        // bytes to send,
    uint64_t receive = 0;     // and to receive
    bool update_keys = false; // asks for a KeyUpdate both ways every 200,000 bytes sent
};
void raw_exchange(RawPeer *raw, const RawTraffic &traffic);

} // namespace sallytest
#endif

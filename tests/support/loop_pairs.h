// Connected pairs of our own ports over memory, through the library's insides.
#ifndef SALLY_TEST_LOOP_PAIRS_H
#define SALLY_TEST_LOOP_PAIRS_H

#include "support/loop_transport.h"
#include "support/pairs.h"

namespace sallytest
{

// Both directions of `loop` as they are; the handshake is done. Client: end A.
Pair pair_over(const Loop &loop);
// At most `chunk` bytes per call, and `capacity` bytes in flight each way.
Pair pair_over_loop(size_t chunk, size_t capacity);

} // namespace sallytest
#endif

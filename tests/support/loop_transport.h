// An in-memory transport whose two ends sit in one process, and which misbehaves on request: it
// dribbles, stalls and cuts at byte k, in each direction.
//
// Each end can serve the engine (as a sally_transport) or a raw peer (as a Channel). Both ends may be
// used by different threads. Waiting is by eventfd, so that the library's own poll loop works over it.
#ifndef SALLY_TEST_LOOP_TRANSPORT_H
#define SALLY_TEST_LOOP_TRANSPORT_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "support/raw_channel.h"

extern "C" {
#include "transport.h"
}

namespace sallytest
{

// What goes wrong on the way of the bytes in one direction. Places count from the first byte ever.
struct LoopFaults {
    size_t chunk = SIZE_MAX;     // at most so many bytes per receive and per send
    size_t stall_at = SIZE_MAX;  // byte k is not delivered; later ones neither
    size_t cut_at = SIZE_MAX;    // the receiver finds the end of the stream after k bytes,
    int cut_errno = 0;           // or, not 0, a failure
    size_t refuse_at = SIZE_MAX; // a send that would take byte k fails
    int refuse_errno = 32;       // with this (EPIPE)
    size_t capacity = 1 << 20;   // bytes in flight; more: the sender would block
};

// One direction.
class LoopPipe
{
  public:
    LoopPipe();
    ~LoopPipe();
    LoopPipe(const LoopPipe &) = delete;
    LoopPipe &operator=(const LoopPipe &) = delete;

    void set_faults(const LoopFaults &faults);
    sally_io receive(void *buf, size_t n, size_t *count, int *sys_errno);
    sally_io send(const void *buf, size_t n, size_t *count, int *sys_errno);
    // What a sender leaves behind at its end: beyond every capacity, but not beyond a cut.
    void send_last(const void *buf, size_t n);
    void end();   // the sender is done
    void reset(); // both find a failure
    void close_receiver();

    // Readable (POLLIN) while a receive, or a send, would not block.
    int readable_fd() const
    {
        return readable_;
    }
    int writable_fd() const
    {
        return writable_;
    }
    uint64_t bytes_sent() const;
    uint64_t bytes_received() const;
    uint64_t receives() const; // calls, also those that found nothing
    std::string in_flight() const;
    // All bytes ever sent, from the first; recorded after record().
    void record()
    {
        recording_ = true;
    }
    std::string recorded() const;

  private:
    bool can_receive_locked() const;
    bool can_send_locked() const;
    size_t deliverable_locked() const;
    void update_locked();

    mutable std::mutex mutex_;
    LoopFaults faults_;
    std::string bytes_; // sent and not received
    std::string record_;
    uint64_t sent_ = 0;
    uint64_t received_ = 0;
    uint64_t receives_ = 0;
    bool recording_ = false;
    bool ended_ = false;
    bool reset_ = false;
    bool receiver_gone_ = false;
    int readable_;
    int writable_;
};

// Two pipes make a connection.
struct Loop {
    std::shared_ptr<LoopPipe> to_a = std::make_shared<LoopPipe>();
    std::shared_ptr<LoopPipe> to_b = std::make_shared<LoopPipe>();
};

// An end for the engine; `finish` frees it. A: receives from to_a, sends to to_b.
sally_transport *transport_a(const Loop &loop);
sally_transport *transport_b(const Loop &loop);
// An end for a raw peer.
std::unique_ptr<Channel> channel_a(const Loop &loop);
std::unique_ptr<Channel> channel_b(const Loop &loop);
// Transports made and not finished yet.
int live_transports();

} // namespace sallytest
#endif

// An engine of the library and a raw OpenSSL peer, face to face over a loop transport, both driven by
// one thread. Ours is end A, the peer is end B.
#ifndef SALLY_TEST_ENGINES_H
#define SALLY_TEST_ENGINES_H

#include <memory>
#include <string>

#include "support/certs.h"
#include "support/loop_transport.h"
#include "support/raw_peer.h"

extern "C" {
#include "engine.h"
}

namespace sallytest
{

struct EngineSetup {
    bool client = true;             // ours
    int version = 0;                // of the raw peer
    ssl_context *context = nullptr; // ours; null: one with the test certificates
    bool identity = false; // our client has one, and so offers post-handshake authentication
    RawOptions raw;        // its `server` and `version` are set from the two above
};

// What a run of steps came to.
struct Stepped {
    sally_step step = SALLY_STEP_AGAIN;
    sally_want want = {false, false};
    std::string bytes; // read
    size_t count = 0;  // written
};

class EnginePair
{
  public:
    explicit EnginePair(const EngineSetup &setup);
    ~EnginePair();
    EnginePair(const EnginePair &) = delete;
    EnginePair &operator=(const EnginePair &) = delete;

    // Both sides step until both are done; false when ours failed.
    bool shake();
    // Steps until it is neither AGAIN nor ASK, whose question is asked at once.
    Stepped handshake();
    Stepped read(size_t most = 16384);
    Stepped write(const std::string &bytes);
    Stepped flush();
    Stepped goodbye();
    // Reads until it fails or would block; the bytes of all reads.
    Stepped read_all_there_is();
    // Why the last step failed.
    ssl_status why(ssl_error *err = nullptr);

    // Frees ours, as the last closed door does.
    void drop_engine();

    Loop loop;
    sally_engine *engine = nullptr;
    std::unique_ptr<RawPeer> raw;

  private:
    Context context_;
};

} // namespace sallytest
#endif

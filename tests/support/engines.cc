#include "support/engines.h"

namespace sallytest
{
namespace
{

// A handshake of some 5,000 bytes in steps of one, several times over.
constexpr int kStepsMax = 40000;

Context context_for(const EngineSetup &setup)
{
    if (!setup.client) {
        return server_context();
    }
    return setup.identity ? client_context_with_identity() : client_context();
}

} // namespace

EnginePair::EnginePair(const EngineSetup &setup) : context_(context_for(setup))
{
    RawOptions options = setup.raw;
    options.server = setup.client;
    options.version = setup.version;
    raw = std::make_unique<RawPeer>(channel_b(loop), options);
    sally_engine_setup made = {};
    made.context = setup.context != nullptr ? setup.context : context_.get();
    made.client = setup.client;
    made.hostname = setup.client ? "localhost" : nullptr;
    made.call = "test";
    sally_transport *transport = transport_a(loop);
    ssl_error err;
    ssl_status status = sally_engine_new(&made, transport, &engine, &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
}

EnginePair::~EnginePair()
{
    drop_engine();
}

void EnginePair::drop_engine()
{
    sally_engine_free(engine);
    engine = nullptr;
}

Stepped EnginePair::handshake()
{
    Stepped result;
    while (result.step == SALLY_STEP_AGAIN || result.step == SALLY_STEP_ASK) {
        if (result.step == SALLY_STEP_ASK) {
            sally_engine_ask(engine);
        }
        result.step = sally_engine_handshake(engine, &result.want);
    }
    return result;
}

Stepped EnginePair::read(size_t most)
{
    Stepped result;
    result.bytes.resize(most);
    size_t got = 0;
    while (result.step == SALLY_STEP_AGAIN) {
        result.step = sally_engine_read(engine, &result.bytes[0], most, &got, &result.want);
    }
    result.bytes.resize(got);
    return result;
}

Stepped EnginePair::read_all_there_is()
{
    Stepped all;
    for (;;) {
        Stepped one = read();
        if (one.step == SALLY_STEP_WANT && one.want.receive && !one.want.send) {
            // One byte at a time: the transport may have more.
            uint64_t before = sally_engine_receives(engine);
            one = read();
            if (one.step == SALLY_STEP_WANT && sally_engine_receives(engine) != before) {
                continue;
            }
        }
        all.bytes += one.bytes;
        all.step = one.step;
        all.want = one.want;
        if (one.step != SALLY_STEP_DONE) {
            return all;
        }
    }
}

Stepped EnginePair::write(const std::string &bytes)
{
    Stepped result;
    while (result.step == SALLY_STEP_AGAIN) {
        result.step =
            sally_engine_write(engine, bytes.data(), bytes.size(), &result.count, &result.want);
    }
    return result;
}

Stepped EnginePair::flush()
{
    Stepped result;
    result.step = sally_engine_flush(engine, &result.want);
    return result;
}

Stepped EnginePair::goodbye()
{
    Stepped result;
    result.step = sally_engine_goodbye(engine, &result.want);
    return result;
}

bool EnginePair::shake()
{
    Raw theirs = Raw::WantRead;
    sally_step ours = SALLY_STEP_WANT;
    for (int i = 0; i < kStepsMax && ours != SALLY_STEP_FAILED; i++) {
        if (ours != SALLY_STEP_DONE) {
            ours = handshake().step;
        } else {
            flush(); // our last flight may still be on its way
        }
        if (theirs == Raw::WantRead || theirs == Raw::WantWrite) {
            theirs = raw->handshake_step();
        }
        if (ours == SALLY_STEP_DONE && theirs == Raw::Ok) {
            return true;
        }
    }
    return false;
}

ssl_status EnginePair::why(ssl_error *err)
{
    return sally_engine_report(engine, SALLY_PHASE_READ, "test", "", err);
}

} // namespace sallytest

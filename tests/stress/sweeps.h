// What the sweeps of allocations share.
#ifndef SALLY_TEST_STRESS_SWEEPS_H
#define SALLY_TEST_STRESS_SWEEPS_H

#include <functional>
#include <memory>

#include "support/faults.h"
#include "support/handles.h"
#include "support/rng.h"

namespace sallytest
{

// Handshakes and parsers make thousands of allocations: the short run fails every so many-th.
inline long handshake_stride()
{
    return long_run(31 * slow(1), 1);
}

// Both kinds of sweep.
inline void sweep_both(const char *what, Trial trial)
{
    sweep_allocations(what, trial);
    trial.stride = long_run(7 * slow(1), 1);
    if (!testing::Test::HasFailure()) {
        sweep_openssl_allocations(what, trial);
    }
}

// A setter on a fresh context, so that a failed one can be seen to change nothing.
inline Trial setter_trial(bool client,
                          const std::function<ssl_status(ssl_context *, ssl_error *)> &set)
{
    auto context = std::make_shared<Context>();
    Trial trial([context, set](ssl_error *err) { return set(context->get(), err); });
    trial.prepare = [context, client] {
        ssl_context *made = nullptr;
        auto make = client ? ssl_make_client_context : ssl_make_server_context;
        EXPECT_EQ(SALLY_OK, make(SALLY_PROTOCOL_AUTO, &made, nullptr));
        context->reset(made);
    };
    trial.cleanup = [context] { context->reset(); };
    return trial;
}

} // namespace sallytest
#endif

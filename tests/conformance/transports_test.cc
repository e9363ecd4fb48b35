// The suite over our own transports: a TCP socket, and the tests' in-memory one, whole and in pieces;
// and over what ssl_wrap_ports takes (P7): descriptors, callbacks of both forms, other ports.
#include "conformance/port_suite.h"
#include "support/loop_pairs.h"
#include "support/wrapped.h"

namespace sallytest
{
namespace
{

Pair over_memory()
{
    return pair_over_loop(SIZE_MAX, 1 << 18);
}

Pair over_crumbs()
{
    return pair_over_loop(61, 5000);
}

Pair over_sockets()
{
    return connected_pair();
}

Pair over_polled_callbacks()
{
    return wrapped_callbacks(SocketCallbacks::ByPoll);
}

Pair over_waiting_callbacks()
{
    return wrapped_callbacks(SocketCallbacks::ByThemselves);
}

Pair over_tls()
{
    return wrapped_ports(1);
}

Pair over_tls_in_tls()
{
    return wrapped_ports(2);
}

Pair over_tls_over_callbacks()
{
    return wrapped_over(wrapped_callbacks(SocketCallbacks::ByPoll));
}

} // namespace

const auto transports = testing::Values(PairMaker{"Memory", over_memory, false, true, false},
                                        PairMaker{"Crumbs", over_crumbs, false, true, false},
                                        PairMaker{"Socket", over_sockets, true, true, true});

const auto pollable =
    testing::Values(PairMaker{"Descriptor", wrapped_socketpair, true, true, false},
                    PairMaker{"Pipes", wrapped_pipes, false, true, false},
                    PairMaker{"PolledCallbacks", over_polled_callbacks, false, true, false});

const auto waiting =
    testing::Values(PairMaker{"WaitingCallbacks", over_waiting_callbacks, false, true, false},
                    PairMaker{"Tls", over_tls, true, true, false});

const auto inside_tls =
    testing::Values(PairMaker{"Tls", over_tls, true, true, false},
                    PairMaker{"TlsInTls", over_tls_in_tls, true, true, false},
                    PairMaker{"TlsOverCallbacks", over_tls_over_callbacks, false, true, false});

INSTANTIATE_TEST_SUITE_P(Transports, PortSuite, transports, pair_maker_name);
INSTANTIATE_TEST_SUITE_P(Wrapped, PortSuite, pollable, pair_maker_name);
INSTANTIATE_TEST_SUITE_P(WrappedWaiting, PortSuite, waiting, pair_maker_name);
INSTANTIATE_TEST_SUITE_P(Transports, SyncSuite, transports, pair_maker_name);
INSTANTIATE_TEST_SUITE_P(Wrapped, SyncSuite, pollable, pair_maker_name);
INSTANTIATE_TEST_SUITE_P(TlsInTls, SyncSuite, inside_tls, pair_maker_name);

} // namespace sallytest

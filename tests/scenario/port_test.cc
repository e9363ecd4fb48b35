// The conformance suite as users get it: the shared library, over sockets, in both versions of TLS.
#include "conformance/port_suite.h"

namespace sallytest
{
namespace
{

Pair over_tls13()
{
    return connected_pair(SALLY_PROTOCOL_TLS13);
}

Pair over_tls12()
{
    return connected_pair(SALLY_PROTOCOL_TLS12);
}

} // namespace

const auto versions = testing::Values(PairMaker{"Tls13", over_tls13, true, true, true},
                                      PairMaker{"Tls12", over_tls12, true, false, true});

INSTANTIATE_TEST_SUITE_P(Sockets, PortSuite, versions, pair_maker_name);
INSTANTIATE_TEST_SUITE_P(Sockets, SyncSuite, versions, pair_maker_name);

} // namespace sallytest

// The suite over our own transports: a TCP socket, and the tests' in-memory one, whole and in pieces.
#include "conformance/port_suite.h"
#include "support/loop_pairs.h"

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

} // namespace

INSTANTIATE_TEST_SUITE_P(Transports, PortSuite,
                         testing::Values(PairMaker{"Memory", over_memory, false, true},
                                         PairMaker{"Crumbs", over_crumbs, false, true},
                                         PairMaker{"Socket", over_sockets, true, true}),
                         pair_maker_name);

} // namespace sallytest

// The suite over our own transports: a TCP socket, and the tests' in-memory one, whole and in pieces.
#include "conformance/port_suite.h"
#include "support/internals.h"
#include "support/loop_transport.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

// One end: a connection over `transport`, its handshake done.
Ports make_end(sally_transport *transport, bool client)
{
    Context context = client ? client_context() : server_context();
    sally_conn_setup setup = {};
    setup.engine = {context.get(), client, client ? "localhost" : nullptr, "test"};
    sally_conn *conn = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, sally_conn_new(&setup, transport, &conn, &err), err));
    sally_scope scope = {};
    scope.deadline = ssl_deadline_after_ms(slow(20000));
    EXPECT_TRUE(is(SALLY_OK, sally_conn_handshake_run(conn, &scope, "test", &err), err));
    return Ports(sally_conn_ports(conn));
}

Pair make_pair_over(sally_transport *a, sally_transport *b)
{
    Pair pair;
    Thread client([&] { pair.client = make_end(a, true); });
    pair.server = make_end(b, false);
    client.join();
    return pair;
}

Pair over_loop(size_t chunk, size_t capacity)
{
    Loop loop;
    LoopFaults faults;
    faults.chunk = chunk;
    faults.capacity = capacity;
    loop.to_a->set_faults(faults);
    loop.to_b->set_faults(faults);
    return make_pair_over(transport_a(loop), transport_b(loop));
}

Pair over_memory()
{
    return over_loop(SIZE_MAX, 1 << 18);
}

Pair over_crumbs()
{
    return over_loop(61, 5000);
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

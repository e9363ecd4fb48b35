#include "support/loop_pairs.h"

#include "support/internals.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

Ports make_end(sally_transport *transport, bool client)
{
    Context context = client ? client_context() : server_context();
    sally_conn_setup setup = {};
    setup.engine.context = context.get();
    setup.engine.client = client;
    setup.engine.hostname = client ? "localhost" : nullptr;
    setup.engine.call = "test";
    sally_conn *conn = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, sally_conn_new(&setup, transport, &conn, &err), err));
    sally_scope scope = {};
    scope.deadline = ssl_deadline_after_ms(slow(20000));
    EXPECT_TRUE(is(SALLY_OK, sally_conn_handshake_run(conn, &scope, "test", &err), err));
    return Ports(sally_conn_ports(conn));
}

} // namespace

Pair pair_over(const Loop &loop)
{
    Pair pair;
    Thread client([&] { pair.client = make_end(transport_a(loop), true); });
    pair.server = make_end(transport_b(loop), false);
    client.join();
    return pair;
}

Pair pair_over_loop(size_t chunk, size_t capacity)
{
    Loop loop;
    LoopFaults faults;
    faults.chunk = chunk;
    faults.capacity = capacity;
    loop.to_a->set_faults(faults);
    loop.to_b->set_faults(faults);
    return pair_over(loop);
}

} // namespace sallytest

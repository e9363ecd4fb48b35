#include "support/pairs.h"

#include <sys/socket.h>

#include "support/guards.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

// Far beyond any healthy handshake.
constexpr int kHandshakeMs = 20000;

Ports connect_ours(int port, ssl_context *context)
{
    Ports ports;
    ssl_error err;
    Break limit = deadline_in_ms(slow(kHandshakeMs));
    ssl_status status =
        ssl_connect_enable_break("127.0.0.1", port, context, limit.get(), ports.fill(), &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    return ports;
}

Ports accept_ours(ssl_listener *listener)
{
    Ports ports;
    ssl_error err;
    Break limit = deadline_in_ms(slow(kHandshakeMs));
    ssl_status status = ssl_accept_enable_break(listener, limit.get(), ports.fill(), &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    return ports;
}

} // namespace

Listener listen_on_loopback(ssl_context *context)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "127.0.0.1";
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_listen(0, &options, context, &listener, &err), err));
    return Listener(listener);
}

int port_of(const ssl_listener *listener)
{
    ssl_endpoints ends = {};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_listener_addresses(listener, &ends, &err), err));
    return ends.local_port;
}

// The kernel lets the buffers of a socket grow while it is used, and whoever has filled one may find room in
// it a moment later. With sizes that were asked for it does not.
static void fix_buffers(const SocketsSince &since)
{
    for (int fd : since.opened()) {
        int bytes = 256 * 1024;
        EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes));
        EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
    }
}

Pair pair_of(ssl_context *client, ssl_context *server)
{
    SocketsSince since;
    Listener listener = listen_on_loopback(server);
    Pair pair;
    Thread connector([&] { pair.client = connect_ours(port_of(listener.get()), client); });
    pair.server = accept_ours(listener.get());
    connector.join();
    fix_buffers(since);
    return pair;
}

Pair connected_pair(ssl_protocol protocol)
{
    Context server = server_context("server", protocol);
    Context client = client_context(protocol);
    return pair_of(client.get(), server.get());
}

RawPair client_of_raw(const RawOptions &options, ssl_context *context, int receive_buffer)
{
    RawListener listener(receive_buffer);
    RawPair pair;
    Thread raw([&] {
        pair.raw = raw_peer(listener.accept(), options);
        EXPECT_EQ(Raw::Ok, pair.raw->handshake()) << pair.raw->last_error();
    });
    pair.ours = connect_ours(listener.port(), context);
    raw.join();
    return pair;
}

RawPair client_of_raw(const RawOptions &options)
{
    Context context = client_context();
    return client_of_raw(options, context.get(), 0);
}

RawPair server_of_raw(const RawOptions &options)
{
    Context context = server_context();
    return server_of_raw(options, context.get());
}

RawPair server_of_raw(const RawOptions &options, ssl_context *context)
{
    Listener listener = listen_on_loopback(context);
    RawPair pair;
    Thread raw([&] {
        pair.raw = raw_peer(connect_to(port_of(listener.get())), options);
        EXPECT_EQ(Raw::Ok, pair.raw->handshake()) << pair.raw->last_error();
    });
    pair.ours = accept_ours(listener.get());
    raw.join();
    return pair;
}

void warm_up()
{
    ssl_break *own = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    Pair pair = connected_pair();
    char byte = 'x';
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_write(pair.client.out(), &byte, 1, nullptr, nullptr));
    EXPECT_EQ(SALLY_OK, ssl_read(pair.server.in(), &byte, 1, &got, nullptr));
    Break passed = deadline_in_ms(1);
    EXPECT_EQ(SALLY_TIMEOUT,
              ssl_read_enable_break(pair.server.in(), &byte, 1, passed.get(), &got, nullptr));
}

} // namespace sallytest

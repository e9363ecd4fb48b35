// Connected pairs over loopback, made through the public API.
#ifndef SALLY_TEST_PAIRS_H
#define SALLY_TEST_PAIRS_H

#include <memory>

#include "support/certs.h"
#include "support/handles.h"
#include "support/raw_peer.h"

namespace sallytest
{

// Listens on 127.0.0.1, a port of the kernel's choice.
Listener listen_on_loopback(ssl_context *context);
int port_of(const ssl_listener *listener);

// Ours at both ends.
struct Pair {
    std::shared_ptr<Pair> below; // what carries it, if that is ours too; freed after it
    Ports client;
    Ports server;
    explicit operator bool() const
    {
        return client && server;
    }
};
Pair connected_pair(ssl_protocol protocol = SALLY_PROTOCOL_AUTO);
// With contexts of the test's own; the client looks for 127.0.0.1.
Pair pair_of(ssl_context *client, ssl_context *server);

// Ours at one end, raw OpenSSL at the other, the handshake done.
struct RawPair {
    Ports ours;
    std::unique_ptr<RawPeer> raw;
    explicit operator bool() const
    {
        return ours && raw != nullptr;
    }
};
// Ours is the client: `options` are a raw server's.
RawPair client_of_raw(const RawOptions &options = raw_server());
// With a context of the test's own, and a small receive buffer at the raw end (0: the default), so
// that what it does not read soon blocks our writer.
RawPair client_of_raw(const RawOptions &options, ssl_context *context, int receive_buffer);
// Ours is the server: `options` are a raw client's.
RawPair server_of_raw(const RawOptions &options = raw_client());
RawPair server_of_raw(const RawOptions &options, ssl_context *context);

// One whole connection, so that what is made once and kept (the thread's wake and token, OpenSSL's
// tables) is there before a guard counts.
void warm_up();

} // namespace sallytest
#endif

/*
 * sallyport/connect.h: the client's way in.
 */
#ifndef SALLYPORT_CONNECT_H
#define SALLYPORT_CONNECT_H

#include "break.h"
#include "context.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Connects to `hostname` (a name, or a numeric IPv4 or IPv6 address), TCP port 1 to 65535, does the
 * TLS handshake, and gives the two ports in *ports. The addresses of a name are tried in turn; when
 * none can be reached, the error tells of the last that answered. "unix:/path" with port 0 is a Unix
 * socket.
 * `context`: a client context, retained by the connection; NULL: ssl_secure_client_context. Server
 *   name indication is sent for names, not for addresses (RFC 6066 section 3).
 * Blocks: name lookup, TCP connect, handshake; without a bound of its own: use a token with a
 *   deadline.
 * Ownership: returns both ports; each is freed with ssl_free_port.
 * Threads: any.
 * Errors: SYSTEM (unknown host, refused, unreachable), VERIFY, PEER, PROTOCOL, TRUNCATED (cut in the
 *   handshake), CONFIG, USAGE (port out of range, not a client context), MEMORY. Keeps: B6, P6, C7.
 */
SALLY_API ssl_status ssl_connect(const char *hostname, int port, ssl_context *context,
                                 ssl_ports *ports, ssl_error *err);

/** ssl_connect that `brk` can break at every point, name lookup included (B8). On break: nothing is
 *  left behind, no file descriptor and no thread that anyone waits for. */
SALLY_API ssl_status ssl_connect_enable_break(const char *hostname, int port, ssl_context *context,
                                              ssl_break *brk, ssl_ports *ports, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

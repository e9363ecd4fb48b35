/*
 * sallyport/proxy.h: clients that come through a proxy, which says who they are (the PROXY protocol,
 * versions 1 and 2).
 *
 * A load balancer that passes TLS on unopened connects in its own name. Told to (HAProxy: send-proxy-v2),
 * it begins each connection with a short header that has the client's address, before the TLS handshake.
 * Anybody could write such a header, so a listener believes those alone whom it was told to trust:
 *
 *     ssl_listen_options options = SALLY_LISTEN_OPTIONS;
 *     options.proxy = SALLY_PROXY_REQUIRED;
 *     options.proxy_trusted = "10.0.7.0/24, ::1";
 *
 * A trusted source is never asked for the header in vain and never guessed at: each of its connections
 * begins with one, or is refused. The header is read within the handshake timeout; one that comes slowly,
 * or not at all, stops nobody.
 *
 * The rule is that of HAProxy's doc/proxy-protocol.txt. What is not TCP there, or names no address, counts
 * as a connection of the proxy's own; extensions are skipped, a checksum among them is verified; a
 * header has 4096 bytes at most.
 */
#ifndef SALLYPORT_PROXY_H
#define SALLYPORT_PROXY_H

#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Whether a listener's clients come through proxies that say who they are. */
typedef enum ssl_proxy_mode {
    SALLY_PROXY_OFF = 0,  /**< nobody is asked for a header, or believed */
    SALLY_PROXY_REQUIRED, /**< trusted sources alone may connect, each with a header; whoever else
                               connects is refused at once, before a byte is read */
    SALLY_PROXY_OR_DIRECT /**< trusted sources must send a header; whoever else connects is a client, and a
                               header of his is no TLS and ends his handshake. Take care that no client
                               can come from a trusted address: it could claim to be anybody */
} ssl_proxy_mode;

/**
 * The two ends of the socket itself: on a connection that came through a proxy, the proxy's address and
 * the one that it connected to, where ssl_addresses gives the client's address and the one that the client
 * connected to. On any other connection the same as ssl_addresses.
 * Threads: any. Errors: CLOSED (both sides closed), USAGE, UNSUPPORTED (no socket below). Keeps: P5, W8.
 */
SALLY_API ssl_status ssl_socket_addresses(const ssl_port *port, ssl_endpoints *ends,
                                          ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

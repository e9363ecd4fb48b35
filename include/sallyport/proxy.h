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
 * as a connection of the proxy's own; a checksum is verified where there is one; a header has 4096 bytes at
 * most. Whatever else version 2 says of a client, in extensions, is kept where options.proxy_tlvs asks
 * for it, and ssl_proxy_tlv gives it.
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

/** The types of extensions that the protocol knows. Any other number from 0 to 255 may be asked for too;
 *  0xE0 to 0xEF are for proxies' own, 0xEA is Amazon's, for instance.
 *  The value of SALLY_TLV_SSL tells of the TLS between client and proxy: a byte of bits (1: it was TLS; 2, 4:
 *  the client showed a certificate, on this connection or when its session began), four bytes that
 *  are all 0 where that was valid, then extensions of its own. They have numbers with 0x20 above their type. */
typedef enum ssl_tlv_type {
    SALLY_TLV_ALPN = 0x01,      /**< the protocol of the client's ALPN that the proxy took */
    SALLY_TLV_AUTHORITY = 0x02, /**< the name that the client asked for, in TLS its SNI */
    SALLY_TLV_CRC32C = 0x03,    /**< the checksum of the header, verified; four bytes */
    SALLY_TLV_NOOP = 0x04,      /**< padding */
    SALLY_TLV_UNIQUE_ID = 0x05, /**< by which the proxy's own log calls the connection */
    SALLY_TLV_SSL = 0x20,
    SALLY_TLV_SSL_VERSION = 0x2021, /**< as "TLSv1.3" */
    SALLY_TLV_SSL_CN = 0x2022,      /**< the common name of the client's certificate */
    SALLY_TLV_SSL_CIPHER = 0x2023,
    SALLY_TLV_SSL_SIG_ALG = 0x2024, /**< of the proxy's own certificate, "ecdsa-with-SHA256" */
    SALLY_TLV_SSL_KEY_ALG = 0x2025, /**< ... as "RSA2048" */
    SALLY_TLV_NETNS = 0x30          /**< the proxy's network namespace, by name */
} ssl_tlv_type;

/**
 * What a proxy said of the client of `port` in the extension (TLV) of that `type`, as the bytes that it sent:
 * texts end without a NUL. *value is NULL, and *length 0, where the header has none, and where no proxy
 * is in between; an empty extension has a *value that is not NULL. Those of a trusted proxy alone are
 * listened to, as its addresses are; of a header that says LOCAL none is.
 * Ownership: *value is lent for as long as `port` is not freed, closed or not. Threads: any.
 * Errors: USAGE (NULL, a type that can be none; the listener did not keep them: options.proxy_tlvs),
 *   PROTOCOL: the header has it twice, which is not for us to choose from, or the extensions in its
 *   SALLY_TLV_SSL go beyond its end. Keeps: W8.
 */
SALLY_API ssl_status ssl_proxy_tlv(const ssl_port *port, int type, const void **value,
                                   size_t *length, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

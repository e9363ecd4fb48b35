/*
 * sallyport/listener.h: the server's door, for programs that accept for themselves.
 *
 * The listener owns the connections that it has taken from the kernel and whose handshake is not
 * done. All threads that are in ssl_accept drive the whole set and each takes whichever finishes
 * first, so one silent client stops nobody (L2). Nothing happens while no thread is in ssl_accept
 * or ssl_sync: the listener has no thread of its own.
 *
 * A loop that serves one client at a time:
 *
 *     for (;;) {
 *         ssl_ports ports;
 *         ssl_status status = ssl_accept_enable_break(listener, stop, &ports, &err);
 *         if (status == SALLY_BREAK || status == SALLY_CLOSED) break;
 *         if (status == SALLY_SYSTEM) ... out of descriptors: free some, or wait a moment
 *         if (status != SALLY_OK) continue;  // that client's handshake failed; err tells
 *         serve(ports);
 *     }
 */
#ifndef SALLYPORT_LISTENER_H
#define SALLYPORT_LISTENER_H

#include "break.h"
#include "context.h"
#include "load.h"
#include "port.h"
#include "proxy.h"
#include "registry.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ssl_listener ssl_listener;

/** How to listen. Start from SALLY_LISTEN_OPTIONS; NULL stands for the same. */
typedef struct ssl_listen_options {
    const char *host; /**< address or name to bind, "unix:/path" for a Unix socket; NULL: all
                            addresses, IPv4 and IPv6 */
    int backlog;      /**< connections queued in the kernel (listen(2)); 0: SOMAXCONN */
    bool reuse;       /**< SO_REUSEADDR: rebind while old connections are in TIME_WAIT */
    int64_t handshake_timeout_ms; /**< for each client, from its TCP accept; negative: none */
    size_t pending_max; /**< half-done handshakes at once; further clients stay in the backlog */
    ssl_registry *registry; /**< contexts by server name, retained; NULL: none (ssl_listen tells) */
    ssl_proxy_mode proxy;   /**< whether clients come through proxies (proxy.h) */
    const char *proxy_trusted; /**< whose word is taken for who a client is: addresses, networks
                                    ("10.0.0.0/8", "fd00::/8") and "unix" (whoever connects to a Unix
                                    socket), between commas or spaces; NULL where `proxy` is off */
    bool proxy_tlvs; /**< keep what else their headers say of a client (TLVs), for ssl_proxy_tlv */
    uint64_t reserved[4];
} ssl_listen_options;

#define SALLY_HANDSHAKE_TIMEOUT_MS   10000
#define SALLY_PENDING_HANDSHAKES_MAX 4096
/* clang-format off */
#define SALLY_LISTEN_OPTIONS \
    {NULL, 0, true, SALLY_HANDSHAKE_TIMEOUT_MS, SALLY_PENDING_HANDSHAKES_MAX, NULL, SALLY_PROXY_OFF, \
     NULL, false, {0}}
/* clang-format on */

/**
 * Listens on TCP `port`, 0 to 65535; 0 lets the kernel pick one, the same for every address
 * (ssl_listener_addresses tells). For a Unix socket `port` must be 0.
 * `context`: a server context with an identity, retained. It serves the clients that name no server, or
 *   one that is not in options->registry. NULL, with a registry only: those are refused with the alert
 *   unrecognized_name.
 * options->registry: a client that names a server gets the context under that name, or under "*." and
 *   what follows the name's first label; upper and lower case are one, and a dot at the end is no part of
 *   the name. A callback on `context` (names.h) is asked first. What is put, replaced or removed later
 *   counts for the clients that come then.
 * options->proxy: a trusted source sends the PROXY protocol's header before the handshake; the client is
 *   whom it names, in ssl_addresses and in error texts. See proxy.h.
 * A host name with several addresses is listened on at each of them; an address given as such, "::"
 * too, at just that one. The file of a Unix socket must not be there yet; it is removed at the end.
 * Blocks: for the name lookup of options->host, if it is a name.
 * Ownership: returns the listener; free with ssl_free_listener. Copies the options.
 * Errors: USAGE (port or option out of range, a client context, an item of options->proxy_trusted that is
 *   no network: the text names it), CONFIG (no identity), SYSTEM (in use, not permitted, unknown host),
 *   MEMORY. Keeps: L1, C4, W8.
 */
SALLY_API ssl_status ssl_listen(int port, const ssl_listen_options *options, ssl_context *context,
                                ssl_listener **listener, ssl_error *err);
/** ssl_listen whose name lookup `brk` can break (B1, B8). On break: nothing is listened on, *listener
 *  is NULL. */
SALLY_API ssl_status ssl_listen_enable_break(int port, const ssl_listen_options *options,
                                             ssl_context *context, ssl_break *brk,
                                             ssl_listener **listener, ssl_error *err);

/**
 * Takes the next client whose handshake is done, in *ports.
 * Blocks: without limit for a client. Threads: any number at once.
 * Errors: a handshake that failed is this call's error (PEER, PROTOCOL, VERIFY, TRUNCATED, TIMEOUT
 *   when it took longer than the listener's handshake timeout; the text names the peer's address),
 *   and the next call goes on. A client that connects and leaves without a word, as a port scan does,
 *   is such a failure too: TRUNCATED. So is one that a listener with options.proxy refuses, and a header that
 *   is none: PROTOCOL. A proxy that looks whether the listener is there and goes (without a byte, or
 *   with a header that says LOCAL or names itself) is no client and no failure. CLOSED (the listener was closed), SYSTEM (no file descriptors left:
 *   the client stays in the backlog), MEMORY, USAGE. Keeps: L2.
 */
SALLY_API ssl_status ssl_accept(ssl_listener *listener, ssl_ports *ports, ssl_error *err);
/** ssl_accept that `brk` can break. On break no client is lost: a half-done handshake stays with the
 *  listener, and any later accept carries it on (B6). A TIMEOUT with phase SALLY_PHASE_ACCEPT is the
 *  token's, one with SALLY_PHASE_HANDSHAKE a client's. */
SALLY_API ssl_status ssl_accept_enable_break(ssl_listener *listener, ssl_break *brk,
                                             ssl_ports *ports, ssl_error *err);

/** What ssl_sync waits for: a listener or a port. One of the two is set, the other is NULL. */
typedef struct ssl_event {
    ssl_listener *listener;
    ssl_port *port; /**< an input port or an output port */
    uint64_t reserved[1];
} ssl_event;

/** The most events of one ssl_sync. */
#define SALLY_SYNC_MAX 64

/**
 * Waits until one of `count` events is ready; *ready is its index, the first of those that were found
 * ready together. Nothing is taken: the next accept, read or write finds it. Ready is
 *   a listener     when a finished (or failed) handshake or a TCP connection waits, or when it is
 *                  closed; half-done handshakes are carried on meanwhile
 *   an input port  when the next read would not wait: for plaintext, EOF, TRUNCATED or a failure, or
 *                  because the port is closed; neither half a record nor a session ticket counts
 *   an output port when the next write is taken at once (or fails at once): what was written before has
 *                  gone out
 * Blocks: without limit; the timeouts of ports do not count here. What a connection has not sent yet
 *   goes out meanwhile. Threads: any; on a port the call is its one reader or its one writer, and wakes
 *   when another thread closes it. On a port that ssl_server serves it obeys the connection's token too.
 * Errors: USAGE (an event that is not one of the two, or comes twice; another thread is inside a call on
 *   a port), UNSUPPORTED (a wrapped port that has callbacks with a wait function at the bottom: there is
 *   nothing to poll), SYSTEM, MEMORY. Keeps: L1, P1, B9.
 */
SALLY_API ssl_status ssl_sync(const ssl_event *events, size_t count, size_t *ready, ssl_error *err);
/** ssl_sync that `brk` can break; a pending break wins over an event that is ready (B2). */
SALLY_API ssl_status ssl_sync_enable_break(const ssl_event *events, size_t count, ssl_break *brk,
                                           size_t *ready, ssl_error *err);

/** Where it listens; with several sockets, the first. The remote end is empty. Threads: any.
 *  Errors: CLOSED, USAGE. Keeps: P5. */
SALLY_API ssl_status ssl_listener_addresses(const ssl_listener *listener, ssl_endpoints *ends,
                                            ssl_error *err);

/**
 * ssl_load_certificate_chain into the listener's context: clients whose handshake begins later see it. A
 * sealed context refuses (SEALED); a context that others use too is changed for them as well.
 * Threads: any, one setter at a time. Errors: as for ssl_load_certificate_chain; USAGE (NULL), CLOSED.
 * Keeps: C2, C3.
 */
SALLY_API ssl_status ssl_listener_load_certificate_chain(ssl_listener *listener, const char *path,
                                                         ssl_error *err);
/** ssl_load_private_key into the listener's context.
 *  Threads and errors as for ssl_listener_load_certificate_chain. Keeps: C2, C3. */
SALLY_API ssl_status ssl_listener_load_private_key(ssl_listener *listener, const char *path,
                                                   const ssl_key_options *options, ssl_error *err);
/** ssl_load_verify_root_certificates into the listener's context.
 *  Threads and errors as for ssl_listener_load_certificate_chain. Keeps: C3. */
SALLY_API ssl_status ssl_listener_load_verify_root_certificates(ssl_listener *listener,
                                                                const char *path, ssl_error *err);
/** ssl_load_suggested_certificate_authorities into the listener's context.
 *  Threads and errors as for ssl_listener_load_certificate_chain. Keeps: C3. */
SALLY_API ssl_status ssl_listener_load_suggested_certificate_authorities(ssl_listener *listener,
                                                                         const char *path,
                                                                         ssl_error *err);

/** Stops listening: threads in accept or sync return, accept with CLOSED; half-done handshakes are
 *  dropped. The address is free again when the last of those threads has left. Twice is fine. Never
 *  blocks. Threads: any. Errors: USAGE. */
SALLY_API ssl_status ssl_close(ssl_listener *listener, ssl_error *err);
/** Closes and frees it. NULL is fine. Not legal during a call on it. */
SALLY_API void ssl_free_listener(ssl_listener *listener);

#ifdef __cplusplus
}
#endif
#endif

/*
 * sallyport/connect.h: the client's way in.
 *
 *     ssl_connect_options options = SALLY_CONNECT_OPTIONS;
 *     options.timeout_ms = 10000;
 *     status = ssl_connect_with("www.example.com", 443, &options, &ports, &err);
 */
#ifndef SALLYPORT_CONNECT_H
#define SALLYPORT_CONNECT_H

#include "break.h"
#include "context.h"
#include "names.h"
#include "port.h"
#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How to connect. Start from SALLY_CONNECT_OPTIONS; NULL stands for the same. */
typedef struct ssl_connect_options {
    ssl_context *context;     /**< a client context, retained by the connection; NULL:
                               ssl_secure_client_context */
    int64_t attempt_delay_ms; /**< until the next address is tried too, while the one before has not
                                   answered (RFC 8305 section 5); at least
                                   SALLY_ATTEMPT_DELAY_MIN_MS; negative: until it has failed */
    int64_t timeout_ms;       /**< for the whole call, then TIMEOUT; not 0; negative: none */
    const char *server_name;  /**< the name, or IP address, that is sent (names only) and that the
                                  certificate must have; NULL: the hostname */
    const ssl_alpn_name *alpn; /**< the protocol names to offer, the best first (ALPN) */
    size_t alpn_count;         /**< 0: what the context offers (ssl_set_alpn) */
    ssl_session *session; /**< to be resumed; not used, and the handshake is a full one, where the
                                  session is of another name or of a context of another identity
                                  (session.h), or the server does not take it; NULL: none */
    uint64_t reserved[13];
} ssl_connect_options;

#define SALLY_ATTEMPT_DELAY_MS     250
#define SALLY_ATTEMPT_DELAY_MIN_MS 10
/* clang-format off */
#define SALLY_CONNECT_OPTIONS {NULL, SALLY_ATTEMPT_DELAY_MS, -1, NULL, NULL, 0, NULL, {0}}
/* clang-format on */

/**
 * Connects to `hostname` (a name, or a numeric IPv4 or IPv6 address), TCP port 1 to 65535, does the
 * TLS handshake, and gives the two ports in *ports. "unix:/path" with port 0 is a Unix socket.
 * The first 16 addresses of a name race (RFC 8305): in the order of getaddrinfo(3), but IPv6 and IPv4
 * in turns, another is tried whenever the last has failed or has not answered for
 * SALLY_ATTEMPT_DELAY_MS; the first that connects is taken. When none can be reached, the error tells
 * how many were tried, and of the last that answered.
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
 *  left behind: no file descriptor of any attempt, and no thread that anyone waits for. */
SALLY_API ssl_status ssl_connect_enable_break(const char *hostname, int port, ssl_context *context,
                                              ssl_break *brk, ssl_ports *ports, ssl_error *err);

/**
 * ssl_connect with options, copied; options->session is borrowed for the call.
 * Blocks: as ssl_connect, up to options->timeout_ms. Ownership, threads: as ssl_connect.
 * Errors: those of ssl_connect; TIMEOUT, USAGE (an option out of range: the text names it). Keeps: B6.
 */
SALLY_API ssl_status ssl_connect_with(const char *hostname, int port,
                                      const ssl_connect_options *options, ssl_ports *ports,
                                      ssl_error *err);

/** ssl_connect_with that `brk` can break at every point, as ssl_connect_enable_break. TIMEOUT: the
 *  token's deadline or the options' limit, whichever is earlier (B5). */
SALLY_API ssl_status ssl_connect_with_enable_break(const char *hostname, int port,
                                                   const ssl_connect_options *options,
                                                   ssl_break *brk, ssl_ports *ports,
                                                   ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

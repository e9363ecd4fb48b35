/*
 * sallyport/names.h: what both ends agree on before anything else: the name of the server that a client
 * wants (SNI, RFC 6066 section 3), and the protocol that is spoken inside (ALPN, RFC 7301).
 *
 * A server for several names has a context for each. Which one a client gets is found out from its
 * first message, the ClientHello, before version, cipher and certificate are chosen: by a callback on
 * the context that the client met first, then by a registry of names (ssl_listen_options.registry).
 * Everything of the chosen context holds: its protocols, ciphers, identity, verification, ALPN, tickets
 * (C4).
 *
 *     static ssl_status choose(const char *hostname, void *user, ssl_context **chosen)
 *     {
 *         struct site *site = find_site(user, hostname);
 *         *chosen = site != NULL ? site->context : NULL;
 *         return SALLY_OK;
 *     }
 */
#ifndef SALLYPORT_NAMES_H
#define SALLYPORT_NAMES_H

#include <stdbool.h>

#include "context.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- server names -------------------------------------------------------------------------- */

/** The longest server name, in bytes without the NUL (RFC 1035 section 2.3.4). */
#define SALLY_SERVER_NAME_MAX 255

/**
 * Chooses the context for a client that asks for `hostname`: the name as it was sent (upper case, a
 * trailing dot), 1 to SALLY_SERVER_NAME_MAX printable bytes of ASCII without spaces, good during the
 * call. `user` is what the setter was given.
 * OK with *chosen set: the handshake goes on with that server context, which is borrowed: it must live
 * until no thread can be inside the callback any more. OK with *chosen left NULL: with the context that
 * the client met first, or with what the registry has.
 * Anything else refuses this client, and nobody else: CONFIG ("we do not serve that name") with the
 * alert unrecognized_name, SYSTEM, MEMORY, LIMIT, UNSUPPORTED and USAGE with internal_error; what accepts
 * the client reports that status. Other statuses count as USAGE.
 *
 * It runs on the thread that drives the handshake, with no lock of the library held, and may call
 * anything in it. While it blocks, that thread does; other handshakes of a listener or server are
 * carried on by its other threads. A break does not end it: it is seen after it.
 */
typedef ssl_status (*ssl_server_name_callback)(const char *hostname, void *user,
                                               ssl_context **chosen);

/**
 * Sets whom to ask for the context of a client that names a server; NULL takes it off. It is not
 * called for a client that sends no name, or what is no host name. The callback of the context that a
 * client met first is asked, once; the chosen context's own is not.
 * Ownership: borrows `user`, for as long as clients come in by this context.
 * Threads: any. Errors: SEALED, USAGE (NULL, a client context). Keeps: C4.
 */
SALLY_API ssl_status ssl_set_server_name_identification_callback(ssl_context *context,
                                                                 ssl_server_name_callback callback,
                                                                 void *user, ssl_error *err);

/* ---- ALPN ---------------------------------------------------------------------------------- */

/** The longest protocol name, in bytes. */
#define SALLY_ALPN_NAME_MAX 255

/** A protocol name of ALPN: bytes, which need not be text; 1 to SALLY_ALPN_NAME_MAX of them (RFC 7301
 *  section 3.1). */
typedef struct ssl_alpn_name {
    const void *bytes;
    size_t length;
} ssl_alpn_name;

/* clang-format off */
/** A name from a string literal: ssl_alpn_name offers[] = {SALLY_ALPN("h2"), SALLY_ALPN("http/1.1")}; */
#define SALLY_ALPN(literal) {(literal), sizeof(literal) - 1}
/* clang-format on */

/**
 * What the clients of a context offer, the best first; `count` 0: no ALPN, the default. One connection can
 * offer something else (ssl_connect_options.alpn).
 * Ownership: copies. Threads: any.
 * Errors: SEALED, USAGE (NULL, a server context, an empty or too long name, more than 32768 bytes with a
 *   length byte for each name), MEMORY. Keeps: C6.
 */
SALLY_API ssl_status ssl_set_alpn(ssl_context *context, const ssl_alpn_name *names, size_t count,
                                  ssl_error *err);

/**
 * What a server speaks, the best first; `count` 0: it does not look at what clients offer, the default.
 * The first of `names` that the client offers is selected. If there is none, the client is served without
 * when `allow_no_match`, and refused with the alert no_application_protocol when not. A client that
 * offers nothing is always served.
 * Ownership, threads and errors as for ssl_set_alpn (USAGE: a client context). Keeps: C6.
 */
SALLY_API ssl_status ssl_set_server_alpn(ssl_context *context, const ssl_alpn_name *names,
                                         size_t count, bool allow_no_match, ssl_error *err);

/**
 * The protocol that was agreed on, copied to `name`, which has room for `size` bytes; SALLY_ALPN_NAME_MAX
 * are always enough. *length says how many; 0: none was agreed on. No NUL is added.
 * Threads: any. Errors: CLOSED (both sides closed), LIMIT (`size` is too small: nothing is copied), USAGE.
 * Keeps: C6.
 */
SALLY_API ssl_status ssl_get_alpn_selected(const ssl_port *port, void *name, size_t size,
                                           size_t *length, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

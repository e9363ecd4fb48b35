/* L3 crypto: lists of ALPN protocol names, and what a server selects from one (C6; RFC 7301). */
#ifndef SALLY_ALPN_LIST_H
#define SALLY_ALPN_LIST_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "sallyport/names.h"

/* The most bytes of a list: each name after its length byte. The rest of the 65535 bytes of all extensions
 * together (RFC 8446 section 4.1.2) is for the others, a session ticket among them. */
#define SALLY_ALPN_LIST_MAX 32768

/* A list as it is sent. */
typedef struct sally_alpn {
    unsigned char *wire; /* NULL: no list */
    unsigned length;
    bool allow_no_match; /* a server's */
} sally_alpn;

/* Whether the names can be sent: OK or USAGE. */
ssl_status sally_alpn_check(const ssl_alpn_name *names, size_t count, const char *call,
                            ssl_error *err);
/* Of names that have been checked. False: out of memory. */
bool sally_alpn_init(sally_alpn *alpn, const ssl_alpn_name *names, size_t count);
void sally_alpn_fini(sally_alpn *alpn);

/* Lets the server's connections of `ctx`, which keeps a copy, select from the list. False: no memory. */
bool sally_alpn_serve(SSL_CTX *ctx, const sally_alpn *alpn);
/* Lets one client's connection offer the list; no list: what its context says. False: no memory. */
bool sally_alpn_offer(SSL *ssl, const sally_alpn *alpn);

#endif

/* L3 crypto: the pause at the ClientHello, in which a server's context is chosen by name (C4).
 *
 * A connection that has somebody to ask carries a sally_hello on its SSL. When the ClientHello is there,
 * OpenSSL calls us before it chooses anything; the name is noted, and OpenSSL is told to come back. So the
 * engine gets control, and its driver asks with no lock held. The answer is one of three: go on, refuse,
 * or begin again with the SSL of another context, to which what was received is played again (bio.h).
 *
 * A connection without a sally_hello passes straight through.
 */
#ifndef SALLY_HELLO_H
#define SALLY_HELLO_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "sallyport/names.h"

typedef struct sally_hello {
    bool asking;                          /* the ClientHello is there, and nobody has answered */
    char name[SALLY_SERVER_NAME_MAX + 1]; /* while asking; empty: none, or no host name */
    int alert;                            /* the answer is a refusal, with this; or 0 */
} sally_hello;

/* Once per SSL_CTX of a server. */
void sally_hello_configure(SSL_CTX *ctx);
/* Lets `ssl` pause for `hello`, which is borrowed; NULL: no more. False: out of memory. */
bool sally_hello_attach(SSL *ssl, sally_hello *hello);
/* The name chose the context of `ssl`: the client is told so (RFC 6066 section 3), memory permitting. */
void sally_hello_acknowledge(SSL *ssl);

#endif

/* L3 crypto: channel bindings (C6). */
#ifndef SALLY_BINDING_H
#define SALLY_BINDING_H

#include <openssl/ssl.h>

#include "sallyport/peer.h"

/* The binding->type one of a connection whose handshake is done. Fills length and bytes only when OK.
 * Errors: UNSUPPORTED, MEMORY, USAGE (no such type). */
ssl_status sally_binding_read(SSL *ssl, const char *call, ssl_binding *binding, ssl_error *err);
ssl_binding_type sally_binding_default(const SSL *ssl);

#endif

/* L3 crypto: sessions as a client keeps them (C6).
 *
 * A session holds a copy of OpenSSL's of its own, which no connection ever sees: OpenSSL marks one that
 * a connection used as not resumable when that connection is cut, and writes to it meanwhile.
 */
#ifndef SALLY_SESSION_H
#define SALLY_SESSION_H

#include <openssl/ssl.h>

#include "sallyport/session.h"

/* What a connection could be resumed with now. `name` is what the peer's certificate was for, NULL for no
 * name. Errors: UNSUPPORTED (nothing so far), MEMORY. */
ssl_status sally_session_take(const SSL *ssl, const char *name, const char *call,
                              ssl_session **session, ssl_error *err);

/* Before the handshake: lets it resume, if the session is of the same name and of a context of the same
 * identity, and not too old; if not, or `session` is NULL, it will be a full one. Errors: MEMORY. */
ssl_status sally_session_offer(SSL *ssl, const ssl_session *session, const char *name,
                               const char *call, ssl_error *err);

#endif

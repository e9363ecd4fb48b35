/* L3 crypto: a context as a record of settings, and what connections take from it (C2).
 *
 * The record is guarded by the context's mutex until it is sealed, and constant afterwards. The
 * SSL_CTX is built from the record, whole, at seal or first use, and is never modified once built: a
 * setter drops the built one, and the next connection builds anew.
 */
#ifndef SALLY_CONTEXT_H
#define SALLY_CONTEXT_H

#include <openssl/ssl.h>

#include "keylog.h"
#include "sallyport/context.h"
#include "sallyport/names.h"

/* Who is asked for another context when a client names a server. */
typedef struct sally_asked {
    ssl_server_name_callback callback; /* NULL: nobody */
    void *user;
} sally_asked;

/* What is demanded of the peer's certificate. */
typedef enum sally_demand {
    SALLY_DEMAND_NOTHING,
    SALLY_DEMAND_TRY,  /* asked for and judged; the connection goes on whatever is found */
    SALLY_DEMAND_VALID /* the handshake fails without a valid one */
} sally_demand;

/* What one connection takes: a reference to the SSL_CTX and the policies OpenSSL does not hold. */
typedef struct sally_policy {
    SSL_CTX *ctx;
    bool client;
    bool verify_hostname;
    bool shutdown_on_close;
    bool doorkeeper;
    sally_asked asked;
    sally_keylog *keylog; /* retained; NULL: none */
} sally_policy;

/* `context` NULL and `client`: the secure client context. Errors: USAGE (wrong kind), CONFIG (a server
 * without an identity), MEMORY. `call` names the public call in the text. */
ssl_status sally_context_policy(ssl_context *context, bool client, const char *call,
                                sally_policy *policy, ssl_error *err);
void sally_policy_fini(sally_policy *policy);

/* As ssl_make_client_context and ssl_make_server_context, under the name of `call`. */
ssl_status sally_context_make(bool client, ssl_protocol protocol, const char *call,
                              ssl_context **context, ssl_error *err);
/* As ssl_secure_client_context. */
ssl_status sally_context_shared(const char *call, ssl_context **context, ssl_error *err);

/* A sealed server context that has no identity: with it every client can begin a handshake, and nobody
 * can end one. It stands where names alone say who serves. NULL when out of memory. */
ssl_context *sally_context_doorkeeper(void);

#define SALLY_REMARK_SIZE 256
/* What is odd about it, if anything is, though it can be used. NULL is not odd. */
bool sally_context_is_odd(ssl_context *context, char text[SALLY_REMARK_SIZE]);

/* For ssl_set_verify and those that do the same under another name. Errors: SEALED, USAGE. */
ssl_status sally_context_set_demand(ssl_context *context, sally_demand demand, const char *call,
                                    ssl_error *err);

#endif

/* L3 crypto: judging the peer's certificate (verify.h has the contract).
 *
 * What is demanded is settled per SSL_CTX, by the verify mode and one callback; a connection adds its
 * name only. OpenSSL judges the server's certificate on every client connection, also where nothing is
 * demanded, so that ssl_peer_verified can say what was found:
 *
 *     end     chain    name  mode  callback
 *     client  -, try   -     NONE  stop         the verdict is kept, the connection goes on
 *     client  try      yes   NONE  stop         the same; the name is part of the verdict
 *     client  valid    any   PEER  stop         every error ends the handshake; errors of the name can
 *                                               come only where a name was given
 *     client  -        yes   PEER  accept_chain errors of the chain are passed over
 *     server  -        -     NONE  accept_all   no certificate is asked for
 *     server  try      -     PEER  accept_all   asked for; none is fine, and so are errors
 *     server  valid    -     PEER  stop         and one must come
 *
 * The verdict is OpenSSL's verify_result. It stays an error where a callback passed one over, because
 * that leaves the error in the X509_STORE_CTX. Each callback makes a note of what it saw, for the text.
 *
 * No locks and no state.
 */
#include "verify.h"

#include <openssl/x509v3.h>

#include "error.h"
#include "hostname.h"
#include "ossl.h"

/* ---- once per SSL_CTX ---------------------------------------------------------------------- */

/* Nothing was judged at all. */
static bool is_no_judgement(int code)
{
    return code == X509_V_ERR_OUT_OF_MEM || code == X509_V_ERR_UNSPECIFIED ||
           code == X509_V_ERR_INVALID_CALL || code == X509_V_ERR_STORE_LOOKUP;
}

static int stop(int good, X509_STORE_CTX *store)
{
    if (!good) {
        sally_verify_note(store);
    }
    return good;
}

static int accept_all(int good, X509_STORE_CTX *store)
{
    return stop(good, store) || !is_no_judgement(X509_STORE_CTX_get_error(store));
}

static int accept_chain(int good, X509_STORE_CTX *store)
{
    return accept_all(good, store) &&
           (good || !sally_verify_is_name_error(X509_STORE_CTX_get_error(store)));
}

/* An SSL_VERIFY_... mode and its callback. */
typedef struct mode {
    int flags;
    SSL_verify_cb callback;
} mode;

static mode client_mode(sally_demand demand, bool has_name)
{
    if (demand == SALLY_DEMAND_NOTHING && has_name) {
        return (mode){SSL_VERIFY_PEER, accept_chain};
    }
    return (mode){demand == SALLY_DEMAND_VALID ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, stop};
}

/* Also a server that demands nothing may be shown something: what it asked for while it did. */
static mode server_mode(sally_demand demand)
{
    switch (demand) {
    case SALLY_DEMAND_NOTHING: break;
    case SALLY_DEMAND_TRY: return (mode){SSL_VERIFY_PEER, accept_all};
    case SALLY_DEMAND_VALID: return (mode){SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, stop};
    }
    return (mode){SSL_VERIFY_NONE, accept_all};
}

void sally_verify_configure(SSL_CTX *ctx, const sally_verify_rules *rules)
{
    mode set =
        rules->client ? client_mode(rules->demand, rules->hostname) : server_mode(rules->demand);
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ctx),
                                    sally_hostname_flags(rules->common_name));
    SSL_CTX_set_verify(ctx, set.flags, set.callback);
}

/* ---- once per connection ------------------------------------------------------------------- */

static ssl_status prepare_client(SSL *ssl, bool check, const char *hostname, const char *call,
                                 ssl_error *err)
{
    sally_hostname name;
    ssl_status status = sally_hostname_read(hostname, call, &name, err);
    if (status != SALLY_OK) {
        return status;
    }
    bool sent = name.is_address || SSL_set_tlsext_host_name(ssl, name.text) == 1;
    if (!sent || (check && !sally_hostname_expect(ssl, &name))) {
        return sally_fail_ossl(err, SALLY_MEMORY, SALLY_PHASE_HANDSHAKE,
                               "%s: cannot use the host name \"%.120s\"", call, hostname);
    }
    return SALLY_OK;
}

ssl_status sally_verify_prepare(SSL *ssl, const sally_policy *policy, const char *hostname,
                                const char *call, ssl_error *err)
{
    if (policy->client && hostname != NULL) {
        return prepare_client(ssl, policy->verify_hostname, hostname, call, err);
    }
    if (policy->verify_hostname) {
        return sally_fail(
            err, SALLY_USAGE, SALLY_PHASE_HANDSHAKE,
            "%s: the context checks the host name, but there is none to check against", call);
    }
    return SALLY_OK;
}

/* ---- the outcome --------------------------------------------------------------------------- */

sally_verdict sally_verify_verdict(SSL *ssl)
{
    long code = SSL_get_verify_result(ssl);
    /* OpenSSL does not keep a certificate that ended the handshake, only what was wrong with it. */
    bool has_certificate = SSL_get0_peer_certificate(ssl) != NULL || code != X509_V_OK;
    return (sally_verdict){code, has_certificate};
}

/* ---- live connections ---------------------------------------------------------------------- */

static bool expects_name(SSL *ssl)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char *address = X509_VERIFY_PARAM_get1_ip_asc(param);
    bool expects = address != NULL || X509_VERIFY_PARAM_get0_host(param, 0) != NULL;
    OPENSSL_free(address);
    return expects;
}

void sally_verify_demand(SSL *ssl, sally_demand demand)
{
    mode set = SSL_is_server(ssl) ? server_mode(demand) : client_mode(demand, expects_name(ssl));
    SSL_set_verify(ssl, set.flags, set.callback);
}

/* As OpenSSL does in the handshake: the purpose first, then what the connection has of its own. */
static bool prepare_store(X509_STORE_CTX *store, SSL *ssl)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(ssl));
    X509_STORE_CTX_set_verify_cb(store, stop);
    return X509_STORE_CTX_set_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx(), ssl) == 1 &&
           X509_STORE_CTX_set_default(store, SSL_is_server(ssl) ? "ssl_client" : "ssl_server") ==
               1 &&
           X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)) == 1;
}

bool sally_verify_again(SSL *ssl)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (leaf == NULL) {
        return true;
    }
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    bool ready = store != NULL &&
                 X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), leaf,
                                     SSL_get_peer_cert_chain(ssl)) == 1 &&
                 prepare_store(store, ssl);
    if (ready) {
        (void)X509_verify_cert(store);
        int code = X509_STORE_CTX_get_error(store);
        ready = !is_no_judgement(code);
        if (ready) {
            SSL_set_verify_result(ssl, code);
        }
    }
    X509_STORE_CTX_free(store);
    return ready;
}

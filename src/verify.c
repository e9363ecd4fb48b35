/* L3 crypto: judging the peer's certificate (verify.h has the contract).
 *
 * What is required is settled per SSL_CTX, by the verify mode and one callback; a connection adds its
 * name only, and no memory of ours. OpenSSL judges the server's certificate on every client
 * connection, also where nothing is required, so that ssl_peer_verified can say what was found:
 *
 *     chain   name    mode    callback
 *     -       -       NONE    -              the verdict is kept, the connection goes on
 *     yes     either  PEER    -              every error ends the handshake; errors of the name can
 *                                            come only where a name was given
 *     -       yes     PEER    accept_chain   errors of the chain are passed over
 *
 * The verdict is OpenSSL's verify_result. It stays an error where accept_chain passed one over, because
 * that leaves the error in the X509_STORE_CTX.
 *
 * No locks and no state.
 */
#include "verify.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "ossl.h"

/* A DNS name (RFC 1035 section 2.3.4) or an address, with its NUL. */
#define NAME_SIZE 256

/* ---- once per SSL_CTX ---------------------------------------------------------------------- */

static bool is_about_the_name(long code)
{
    return code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

/* Nothing was judged at all. */
static bool is_no_judgement(int code)
{
    return code == X509_V_ERR_OUT_OF_MEM || code == X509_V_ERR_UNSPECIFIED ||
           code == X509_V_ERR_INVALID_CALL || code == X509_V_ERR_STORE_LOOKUP;
}

static int accept_chain(int good, X509_STORE_CTX *store)
{
    int code = X509_STORE_CTX_get_error(store);
    return good || !(is_about_the_name(code) || is_no_judgement(code));
}

void sally_verify_configure(SSL_CTX *ctx, bool client, bool verify, bool verify_hostname)
{
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ctx),
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (verify) {
        int more = client ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | more, NULL);
    } else if (verify_hostname) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_chain);
    } else {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    }
}

/* ---- once per connection ------------------------------------------------------------------- */

static ssl_status refuse_name(const char *hostname, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_HANDSHAKE,
                      "the host name \"%.160s\" cannot be used: %s", hostname, why);
}

/* The name as it is sent and looked for, in `name` of NAME_SIZE: the dot that ends an absolute DNS name
 * and the zone of an address are no part of it (RFC 6066 section 3, RFC 9525 section 6.3). */
static ssl_status normalise(const char *hostname, char *name, ssl_error *err)
{
    size_t length = strlen(hostname);
    if (length == 0 || hostname[0] == '.') {
        return refuse_name(hostname, "give the peer's full name or its address", err);
    }
    length -= hostname[length - 1] == '.';
    if (length >= NAME_SIZE) {
        return refuse_name(hostname, "it is longer than a host name can be", err);
    }
    memcpy(name, hostname, length);
    name[length] = '\0';
    if (sally_addr_is_ip(name)) {
        name[strcspn(name, "%")] = '\0';
    }
    return SALLY_OK;
}

static bool expect(SSL *ssl, const char *name, bool check)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (sally_addr_is_ip(name)) {
        return !check || X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    }
    return SSL_set_tlsext_host_name(ssl, name) == 1 &&
           (!check || X509_VERIFY_PARAM_set1_host(param, name, 0) == 1);
}

static ssl_status prepare_client(SSL *ssl, bool check, const char *hostname, ssl_error *err)
{
    char name[NAME_SIZE];
    ssl_status status = normalise(hostname, name, err);
    if (status == SALLY_OK && !expect(ssl, name, check)) {
        status = sally_fail_ossl(err, SALLY_MEMORY, SALLY_PHASE_HANDSHAKE,
                                 "cannot use the host name \"%.160s\"", hostname);
    }
    return status;
}

ssl_status sally_verify_prepare(SSL *ssl, const sally_policy *policy, const char *hostname,
                                ssl_error *err)
{
    if (policy->client && hostname != NULL) {
        return prepare_client(ssl, policy->verify_hostname, hostname, err);
    }
    if (policy->verify_hostname) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_HANDSHAKE,
                          "the context checks the host name, but there is none to check against");
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

static void expected_name(SSL *ssl, char *text, size_t size)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *ip = host == NULL ? X509_VERIFY_PARAM_get1_ip_asc(param) : NULL;
    const char *name = host != NULL ? host : ip != NULL ? ip : "the peer";
    snprintf(text, size, "%s", name);
    OPENSSL_free(ip);
}

void sally_verify_reason(SSL *ssl, const sally_verdict *verdict, char *text, size_t size)
{
    char name[NAME_SIZE];
    const char *words = X509_verify_cert_error_string(verdict->code);
    expected_name(ssl, name, sizeof name);
    if (!verdict->has_certificate) {
        snprintf(text, size, "the peer sent no certificate, and one is required");
    } else if (is_about_the_name(verdict->code)) {
        snprintf(text, size, "the peer's certificate is not for %s (%s)", name, words);
    } else {
        snprintf(text, size, "the certificate of %s is not valid: %s", name, words);
    }
}

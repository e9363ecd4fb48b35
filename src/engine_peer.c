/* L4 engine: questions about the peer and the connection (engine.h).
 *
 * A certificate counts once its owner has proved to have the key. OpenSSL shows it from the moment at
 * which it has been read, so between Certificate and Finished of a later handshake there is none here.
 */
#include "certificate.h"
#include "engine_object.h"

/* In the middle of a message while nobody may bring a new certificate, a KeyUpdate say, what is there is
 * good. */
static bool is_unproven(const sally_engine *e)
{
    bool may_change = e->asked || (SSL_version(e->ssl) < TLS1_3_VERSION &&
                                   (SSL_get_options(e->ssl) & SSL_OP_NO_RENEGOTIATION) == 0);
    return !e->handshaken || (may_change && !SSL_is_init_finished(e->ssl));
}

static X509 *leaf_of(const sally_engine *e)
{
    return is_unproven(e) ? NULL : SSL_get0_peer_certificate(e->ssl);
}

bool sally_engine_peer_verified(const sally_engine *e)
{
    return leaf_of(e) != NULL && e->fatal.status != SALLY_VERIFY &&
           SSL_get_verify_result(e->ssl) == X509_V_OK;
}

bool sally_engine_peer_names(const sally_engine *e, char ***names, size_t *count)
{
    X509 *leaf = leaf_of(e);
    unsigned flags = X509_VERIFY_PARAM_get_hostflags(SSL_get0_param(e->ssl));
    *names = NULL;
    *count = 0;
    return leaf == NULL ||
           sally_certificate_names(leaf, flags == sally_hostname_flags(true), names, count);
}

bool sally_engine_peer_name(const sally_engine *e, bool issuer, char *text, size_t size,
                            size_t *length)
{
    const X509 *leaf = leaf_of(e);
    *length = 0;
    if (leaf != NULL) {
        const X509_NAME *name = issuer ? X509_get_issuer_name(leaf) : X509_get_subject_name(leaf);
        *length = sally_certificate_name_text(name, text, size);
    }
    return leaf == NULL || *length != 0;
}

bool sally_engine_peer_matches(const sally_engine *e, const sally_hostname *name)
{
    X509 *leaf = leaf_of(e);
    return leaf != NULL && sally_hostname_matches(e->ssl, leaf, name);
}

bool sally_engine_peer_pem(const sally_engine *e, char **pem, size_t *length)
{
    X509 *leaf = leaf_of(e);
    *pem = NULL;
    *length = 0;
    return leaf == NULL ||
           sally_certificate_pem(leaf, SSL_get_peer_cert_chain(e->ssl), pem, length);
}

const char *sally_engine_version(const sally_engine *e)
{
    return SSL_get_version(e->ssl);
}

const char *sally_engine_cipher(const sally_engine *e)
{
    return SSL_get_cipher_name(e->ssl);
}

const unsigned char *sally_engine_alpn(const sally_engine *e, size_t *length)
{
    const unsigned char *name;
    unsigned n;
    SSL_get0_alpn_selected(e->ssl, &name, &n);
    *length = n;
    return name;
}

ssl_status sally_engine_binding(sally_engine *e, const char *call, ssl_binding *binding,
                                ssl_error *err)
{
    return sally_binding_read(e->ssl, call, binding, err);
}

ssl_binding_type sally_engine_default_binding(const sally_engine *e)
{
    return sally_binding_default(e->ssl);
}

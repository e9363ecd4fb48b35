/* L3 crypto: channel bindings (binding.h; RFC 5929, RFC 9266).
 *
 * Before TLS 1.3 both tls-unique and tls-exporter are worth something only with the extended master
 * secret (RFC 7627): without it an attacker can give two handshakes the same secret, and resume one as
 * the other. So there they are refused, and an application falls back to tls-server-end-point knowingly.
 *
 * No locks and no state.
 */
#include "binding.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <string.h>

#include "error.h"
#include "ossl.h"

#define EXPORTER_LENGTH 32 /* RFC 9266 section 2 */

/* What a binding came to: bytes, or why there are none. */
typedef struct outcome {
    size_t length;
    const char *why; /* it is not defined here; NULL with length 0: OpenSSL failed */
} outcome;

static outcome undefined(const char *why)
{
    return (outcome){0, why};
}

static bool is_tls13(const SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION;
}

static const char no_extended_secret[] =
    "without the extended master secret (RFC 7627) it binds nothing; use tls-server-end-point";

static outcome read_exporter(SSL *ssl, unsigned char *bytes)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    if (!is_tls13(ssl)) {
        if (SSL_get_extms_support(ssl) != 1) {
            return undefined(no_extended_secret);
        }
        if ((SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION) == 0) {
            return undefined("RFC 9266 leaves it undefined where renegotiation is allowed");
        }
    }
    int done = SSL_export_keying_material(ssl, bytes, EXPORTER_LENGTH, label, sizeof label - 1,
                                          (const unsigned char *)"", 0, 1);
    return (outcome){done == 1 ? EXPORTER_LENGTH : 0, NULL};
}

/* The first Finished of the latest handshake is the client's, in a resumed one the server's. */
static outcome read_unique(SSL *ssl, unsigned char *bytes)
{
    if (is_tls13(ssl)) {
        return undefined("TLS 1.3 has none (RFC 8446 appendix C.5); use tls-exporter");
    }
    if (SSL_get_extms_support(ssl) != 1) {
        return undefined(no_extended_secret);
    }
    if (!SSL_is_init_finished(ssl)) {
        return undefined("a new handshake is under way; ask again after it");
    }
    bool ours = (SSL_is_server(ssl) == 1) == (SSL_session_reused(ssl) == 1);
    size_t length = ours ? SSL_get_finished(ssl, bytes, SALLY_BINDING_MAX)
                         : SSL_get_peer_finished(ssl, bytes, SALLY_BINDING_MAX);
    return (outcome){length <= SALLY_BINDING_MAX ? length : 0, NULL};
}

static const EVP_MD *hash_of(X509 *certificate)
{
    int hash = NID_undef;
    if (X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef) {
        return NULL;
    }
    return hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
}

static outcome read_end_point(SSL *ssl, unsigned char *bytes)
{
    X509 *certificate =
        SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    if (certificate == NULL) {
        return undefined("the server has no certificate");
    }
    const EVP_MD *hash = hash_of(certificate);
    if (hash == NULL) {
        return undefined(
            "the certificate's signature has no hash of its own (RFC 5929 section 4.1)");
    }
    unsigned length = 0;
    int done = X509_digest(certificate, hash, bytes, &length);
    return (outcome){done == 1 ? length : 0, NULL};
}

static const struct kind {
    const char *name;
    outcome (*read)(SSL *ssl, unsigned char *bytes);
} kinds[] = {
    [SALLY_BINDING_TLS_EXPORTER] = {"tls-exporter", read_exporter},
    [SALLY_BINDING_TLS_UNIQUE] = {"tls-unique", read_unique},
    [SALLY_BINDING_TLS_SERVER_END_POINT] = {"tls-server-end-point", read_end_point},
};

const char *ssl_binding_name(ssl_binding_type type)
{
    return (size_t)type < sizeof kinds / sizeof *kinds ? kinds[type].name : NULL;
}

ssl_binding_type sally_binding_default(const SSL *ssl)
{
    return is_tls13(ssl) ? SALLY_BINDING_TLS_EXPORTER : SALLY_BINDING_TLS_UNIQUE;
}

ssl_status sally_binding_read(SSL *ssl, const char *call, ssl_binding *binding, ssl_error *err)
{
    const char *name = ssl_binding_name(binding->type);
    if (name == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "%s: there is no channel binding type number %d", call,
                          (int)binding->type);
    }
    unsigned char bytes[SALLY_BINDING_MAX];
    _Static_assert(sizeof bytes >= EVP_MAX_MD_SIZE, "room for any hash");
    outcome found = kinds[binding->type].read(ssl, bytes);
    if (found.why != NULL) {
        return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_NONE,
                          "%s: %s is not there on this connection (%s): %s", call, name,
                          SSL_get_version(ssl), found.why);
    }
    if (found.length == 0) {
        return sally_fail_ossl(err, SALLY_UNSUPPORTED, SALLY_PHASE_NONE, "%s: no %s", call, name);
    }
    memcpy(binding->bytes, bytes, found.length);
    binding->length = found.length;
    return SALLY_OK;
}

/* L3 crypto: sessions as objects: taken, offered, written down and read back (C6).
 *
 * OpenSSL checks no certificate and no name when it resumes, so a session is offered only to the name
 * that it was made for, and by a context of the same identity (context_name.c): a session that was begun
 * under a laxer policy is passed over, and the handshake is a full one. So is one whose full handshake was
 * long ago (session_since.c). OpenSSL's session id context carries that identity, in the bytes too.
 *
 * Bytes: the magic, the name with its NUL, OpenSSL's DER (i2d_SSL_SESSION(3)), and a SHA-256 of all that.
 *
 * No locks: a session is constant once made. Every copy of a secret is wiped.
 */
#include "session.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

#include "atomic.h"
#include "carried.h"
#include "error.h"
#include "mem.h"
#include "ossl.h"
#include "session_since.h"

struct ssl_session {
    sally_atomic_u64 refs;
    SSL_SESSION *inner; /* constant; ours alone */
    char *name;         /* constant; empty: none */
};

/* ---- life ---------------------------------------------------------------------------------- */

/* Takes `inner` over, whatever happens. NULL when out of memory. */
static ssl_session *make_session(SSL_SESSION *inner, const char *name)
{
    ssl_session *session = inner != NULL ? sally_alloc(sizeof *session) : NULL;
    if (session == NULL) {
        SSL_SESSION_free(inner);
        return NULL;
    }
    sally_store_rel(&session->refs, 1);
    session->inner = inner;
    session->name = sally_copy_text(name != NULL ? name : "");
    if (session->name == NULL) {
        ssl_session_release(session);
        return NULL;
    }
    return session;
}

ssl_session *ssl_session_retain(ssl_session *session)
{
    if (session != NULL) {
        (void)sally_add_relaxed(&session->refs, 1);
    }
    return session;
}

void ssl_session_release(ssl_session *session)
{
    if (session == NULL || !sally_drop_ref(&session->refs)) {
        return;
    }
    SSL_SESSION_free(session->inner);
    sally_free(session->name);
    sally_free(session);
}

/* ---- connections --------------------------------------------------------------------------- */

ssl_status sally_session_take(const SSL *ssl, const char *name, const char *call,
                              ssl_session **session, ssl_error *err)
{
    const SSL_SESSION *current = SSL_get_session(ssl);
    if (current == NULL || SSL_SESSION_is_resumable(current) != 1) {
        return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_NONE,
                          "%s: the server has given no session so far; with TLS 1.3 it comes with "
                          "the first bytes that are read, if it comes",
                          call);
    }
    SSL_SESSION *copy = SSL_SESSION_dup(current);
    if (copy != NULL && !sally_since_note(copy)) {
        SSL_SESSION_free(copy);
        copy = NULL;
    }
    *session = make_session(copy, name);
    return *session != NULL ? SALLY_OK : sally_fail_memory(err, SALLY_PHASE_NONE, call);
}

static bool fits(const SSL *ssl, const ssl_session *session, const char *name)
{
    const sally_carried *carried = sally_carried_by(SSL_get_SSL_CTX(ssl));
    unsigned size = 0;
    const unsigned char *identity = SSL_SESSION_get0_id_context(session->inner, &size);
    return !carried->always_full &&
           sally_since_is_within(session->inner, SALLY_SESSION_LIFETIME_S) &&
           strcasecmp(session->name, name != NULL ? name : "") == 0 &&
           size == sizeof carried->identity && memcmp(identity, carried->identity, size) == 0;
}

ssl_status sally_session_offer(SSL *ssl, const ssl_session *session, const char *name,
                               const char *call, ssl_error *err)
{
    if (session == NULL || !fits(ssl, session, name)) {
        return SALLY_OK;
    }
    SSL_SESSION *copy = SSL_SESSION_dup(session->inner);
    bool offered = copy != NULL && SSL_set_session(ssl, copy) == 1;
    SSL_SESSION_free(copy);
    return offered ? SALLY_OK : sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, call);
}

/* ---- bytes --------------------------------------------------------------------------------- */

static const char magic[8] = "sallyS1";

static size_t serialized_size(const ssl_session *session, int der_size)
{
    return sizeof magic + strlen(session->name) + 1 + (size_t)der_size + SHA256_DIGEST_LENGTH;
}

static void write_all(const ssl_session *session, unsigned char *at, size_t size)
{
    unsigned char *start = at;
    size_t name_size = strlen(session->name) + 1;
    memcpy(at, magic, sizeof magic);
    at += sizeof magic;
    memcpy(at, session->name, name_size);
    at += name_size;
    (void)i2d_SSL_SESSION(session->inner, &at);
    SHA256(start, size - SHA256_DIGEST_LENGTH, start + size - SHA256_DIGEST_LENGTH);
}

static ssl_status serialize(const ssl_session *session, void *buf, size_t size, size_t *length,
                            ssl_error *err)
{
    static const char call[] = "ssl_session_serialize";
    int der_size = i2d_SSL_SESSION(session->inner, NULL);
    if (der_size <= 0) {
        return sally_fail_ossl(err, SALLY_MEMORY, SALLY_PHASE_NONE, "%s", call);
    }
    *length = serialized_size(session, der_size);
    if (buf == NULL || size < *length) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_NONE,
                          "%s: the session has %zu bytes, and there is room for %zu", call, *length,
                          buf != NULL ? size : 0);
    }
    write_all(session, buf, *length);
    return SALLY_OK;
}

ssl_status ssl_session_serialize(const ssl_session *session, void *buf, size_t size, size_t *length,
                                 ssl_error *err)
{
    sally_ossl_begin();
    if (session == NULL || length == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_session_serialize: %s is NULL",
                          session == NULL ? "the session" : "length");
    }
    *length = 0;
    ssl_status status = serialize(session, buf, size, length, err);
    return sally_ossl_ended(status);
}

static ssl_status refuse(const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_NONE, "ssl_session_parse: %s", why);
}

/* The DER between the name and the digest, which has been compared. */
static ssl_status parse_inner(const char *name, const unsigned char *der, const unsigned char *end,
                              ssl_session **session, ssl_error *err)
{
    const unsigned char *at = der;
    SSL_SESSION *inner = d2i_SSL_SESSION(NULL, &at, (long)(end - der));
    if (inner == NULL || at != end) {
        SSL_SESSION_free(inner);
        return sally_fail_ossl(err, SALLY_CONFIG, SALLY_PHASE_NONE,
                               "ssl_session_parse: OpenSSL cannot read this session");
    }
    *session = make_session(inner, name);
    return *session != NULL ? SALLY_OK
                            : sally_fail_memory(err, SALLY_PHASE_NONE, "ssl_session_parse");
}

static ssl_status parse(const unsigned char *bytes, size_t n, ssl_session **session, ssl_error *err)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    if (n < sizeof magic + sizeof digest || n > SALLY_SESSION_SIZE_MAX ||
        memcmp(bytes, magic, sizeof magic) != 0) {
        return refuse("these bytes are no session of ssl_session_serialize", err);
    }
    const unsigned char *end = bytes + n - sizeof digest;
    SHA256(bytes, n - sizeof digest, digest);
    if (memcmp(digest, end, sizeof digest) != 0) {
        return refuse("the session is damaged or cut off", err);
    }
    const unsigned char *name = bytes + sizeof magic;
    const unsigned char *nul = memchr(name, '\0', (size_t)(end - name));
    return nul != NULL ? parse_inner((const char *)name, nul + 1, end, session, err)
                       : refuse("the session has no name in it", err);
}

ssl_status ssl_session_parse(const void *bytes, size_t n, ssl_session **session, ssl_error *err)
{
    sally_ossl_begin();
    if (session == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_session_parse: session is NULL");
    }
    *session = NULL;
    if (bytes == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_session_parse: bytes is NULL");
    }
    ssl_status status = parse(bytes, n, session, err);
    return sally_ossl_ended(status);
}

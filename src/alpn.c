/* L3 crypto: lists of ALPN protocol names (alpn.h; RFC 7301 section 3.1).
 *
 * A server's list is kept on its SSL_CTX, by which it is found in a handshake and with which it goes: the
 * context that it came from may have changed by then, or be gone.
 *
 * No locks: a list does not change once it is on an SSL_CTX.
 */
#include "alpn.h"

#include <pthread.h>
#include <string.h>

#include "error.h"
#include "mem.h"

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int index_of_alpn = -1;

/* ---- lists --------------------------------------------------------------------------------- */

static ssl_status check_name(const ssl_alpn_name *name, size_t number, const char *call,
                             ssl_error *err)
{
    if (name->bytes != NULL && name->length >= 1 && name->length <= SALLY_ALPN_NAME_MAX) {
        return SALLY_OK;
    }
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                      "%s: protocol name %zu is %s; a name has 1 to %d bytes", call, number,
                      name->bytes == NULL ? "NULL"
                      : name->length == 0 ? "empty"
                                          : "too long",
                      SALLY_ALPN_NAME_MAX);
}

ssl_status sally_alpn_check(const ssl_alpn_name *names, size_t count, const char *call,
                            ssl_error *err)
{
    size_t length = 0;
    if (names == NULL && count != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: the protocol names are NULL, and there should be %zu", call, count);
    }
    for (size_t i = 0; i < count; i++) {
        ssl_status status = check_name(&names[i], i + 1, call, err);
        if (status != SALLY_OK) {
            return status;
        }
        length += 1 + names[i].length;
        if (length > SALLY_ALPN_LIST_MAX) {
            return sally_fail(
                err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                "%s: the protocol names are too long: with a length byte each they may "
                "have %d bytes together",
                call, SALLY_ALPN_LIST_MAX);
        }
    }
    return SALLY_OK;
}

static size_t wire_length(const ssl_alpn_name *names, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += 1 + names[i].length;
    }
    return length;
}

bool sally_alpn_init(sally_alpn *alpn, const ssl_alpn_name *names, size_t count)
{
    *alpn = (sally_alpn){.length = (unsigned)wire_length(names, count)};
    if (count == 0) {
        return true;
    }
    alpn->wire = sally_alloc(alpn->length);
    unsigned char *end = alpn->wire;
    for (size_t i = 0; end != NULL && i < count; i++) {
        *end++ = (unsigned char)names[i].length;
        memcpy(end, names[i].bytes, names[i].length);
        end += names[i].length;
    }
    return alpn->wire != NULL;
}

void sally_alpn_fini(sally_alpn *alpn)
{
    sally_free(alpn->wire);
    *alpn = (sally_alpn){.wire = NULL};
}

/* ---- on an SSL_CTX ------------------------------------------------------------------------- */

static void free_kept(void *ctx, void *kept, CRYPTO_EX_DATA *data, int index, long number,
                      void *arg)
{
    (void)ctx;
    (void)data;
    (void)index;
    (void)number;
    (void)arg;
    if (kept != NULL) {
        sally_alpn_fini(kept);
        sally_free(kept);
    }
}

static void make_index(void)
{
    index_of_alpn = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_kept);
}

static sally_alpn *copy_of(const sally_alpn *alpn)
{
    sally_alpn *copy = sally_alloc(sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    *copy = *alpn;
    copy->wire = sally_alloc(alpn->length);
    if (copy->wire == NULL) {
        sally_free(copy);
        return NULL;
    }
    memcpy(copy->wire, alpn->wire, alpn->length);
    return copy;
}

/* OpenSSL has checked the client's list, and copies what is selected. */
static int on_offer(SSL *ssl, const unsigned char **selected, unsigned char *length,
                    const unsigned char *offered, unsigned offered_length, void *arg)
{
    (void)ssl;
    const sally_alpn *alpn = arg;
    unsigned char *found;
    if (SSL_select_next_proto(&found, length, alpn->wire, alpn->length, offered, offered_length) ==
        OPENSSL_NPN_NEGOTIATED) {
        *selected = found;
        return SSL_TLSEXT_ERR_OK;
    }
    return alpn->allow_no_match ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool sally_alpn_serve(SSL_CTX *ctx, const sally_alpn *alpn)
{
    (void)pthread_once(&index_once, make_index);
    sally_alpn *kept = copy_of(alpn);
    if (kept == NULL || SSL_CTX_set_ex_data(ctx, index_of_alpn, kept) != 1) {
        free_kept(NULL, kept, NULL, 0, 0, NULL);
        return false;
    }
    SSL_CTX_set_alpn_select_cb(ctx, on_offer, kept);
    return true;
}

/* Zero is OpenSSL's success here. */
bool sally_alpn_offer(SSL *ssl, const sally_alpn *alpn)
{
    return alpn->wire == NULL || SSL_set_alpn_protos(ssl, alpn->wire, alpn->length) == 0;
}

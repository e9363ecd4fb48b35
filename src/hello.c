/* L3 crypto: the pause at the ClientHello (hello.h has the idea).
 *
 * The client_hello callback is the only place in OpenSSL from which a handshake can still get everything
 * of another context: it comes before version and certificate are chosen. The older servername callback
 * comes too late for the version; it is used here for nothing but the acknowledgement.
 *
 * No locks: an SSL, and the sally_hello on it, belong to the thread that steps it.
 */
#include "hello.h"

#include <pthread.h>
#include <string.h>

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int index_of_hello = -1;

static void make_index(void)
{
    index_of_hello = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* Stands on an SSL whose context was chosen by the name: nothing is asked any more. */
static sally_hello acknowledged;

/* ---- the name ------------------------------------------------------------------------------ */

/* The only name of a list with one entry of the kind host_name, which is what OpenSSL takes. NULL for
 * anything else: RFC 6066 section 3 knows no other kind, and forbids two of a kind. */
static const unsigned char *only_host_name(const unsigned char *list, size_t size, size_t *length)
{
    if (size < 5 || list[2] != TLSEXT_NAMETYPE_host_name) {
        return NULL;
    }
    size_t list_length = (size_t)list[0] << 8 | list[1];
    *length = (size_t)list[3] << 8 | list[4];
    return list_length == size - 2 && *length == size - 5 ? list + 5 : NULL;
}

/* Printable ASCII without spaces: it goes to callbacks, and into error texts. */
static bool is_host_name(const unsigned char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            return false;
        }
    }
    return length >= 1 && length <= SALLY_SERVER_NAME_MAX;
}

static void note_name(SSL *ssl, sally_hello *hello)
{
    const unsigned char *list;
    size_t size;
    size_t length = 0;
    const unsigned char *name = NULL;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &list, &size) == 1) {
        name = only_host_name(list, size, &length);
    }
    if (name == NULL || !is_host_name(name, length)) {
        length = 0;
    } else {
        memcpy(hello->name, name, length);
    }
    hello->name[length] = '\0';
}

/* ---- OpenSSL's callbacks ------------------------------------------------------------------- */

static int on_client_hello(SSL *ssl, int *alert, void *unused)
{
    (void)unused;
    sally_hello *hello = SSL_get_ex_data(ssl, index_of_hello);
    if (hello == NULL || hello == &acknowledged) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    if (hello->alert != 0) {
        *alert = hello->alert;
        return SSL_CLIENT_HELLO_ERROR;
    }
    note_name(ssl, hello);
    hello->asking = true;
    return SSL_CLIENT_HELLO_RETRY;
}

static int on_server_name(SSL *ssl, int *alert, void *unused)
{
    (void)alert;
    (void)unused;
    return SSL_get_ex_data(ssl, index_of_hello) == &acknowledged ? SSL_TLSEXT_ERR_OK
                                                                 : SSL_TLSEXT_ERR_NOACK;
}

void sally_hello_configure(SSL_CTX *ctx)
{
    (void)pthread_once(&index_once, make_index);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
}

bool sally_hello_attach(SSL *ssl, sally_hello *hello)
{
    return SSL_set_ex_data(ssl, index_of_hello, hello) == 1;
}

void sally_hello_acknowledge(SSL *ssl)
{
    (void)SSL_set_ex_data(ssl, index_of_hello, &acknowledged);
}

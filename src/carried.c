/* L3 crypto: what an SSL_CTX carries of ours: one struct in its ex_data (carried.h).
 *
 * No locks: the index is made once, by OpenSSL's own means; the struct is constant once built.
 */
#include "carried.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "mem.h"

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int ex_index = -1; /* constant after `once` */

static void free_carried(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long argl,
                         void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    sally_carried *carried = value;
    if (carried != NULL) {
        ssl_ticket_keys_release(carried->ticket_keys);
        sally_free(carried->staple.response);
        sally_free(carried);
    }
}

static void make_index(void)
{
    ex_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_carried);
}

sally_carried *sally_carried_attach(SSL_CTX *ctx)
{
    if (CRYPTO_THREAD_run_once(&once, make_index) != 1 || ex_index < 0) {
        return NULL;
    }
    sally_carried *carried = sally_alloc(sizeof *carried);
    if (carried == NULL) {
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
        return NULL;
    }
    if (SSL_CTX_set_ex_data(ctx, ex_index, carried) != 1) {
        sally_free(carried);
        return NULL;
    }
    return carried;
}

sally_staple *sally_carried_staple(SSL_CTX *ctx, const unsigned char *response, size_t size)
{
    sally_carried *carried = SSL_CTX_get_ex_data(ctx, ex_index);
    unsigned char *copy = sally_alloc(size);
    if (copy == NULL) {
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
        return NULL;
    }
    memcpy(copy, response, size);
    carried->staple.response = copy;
    carried->staple.size = size;
    return &carried->staple;
}

const sally_carried *sally_carried_by(const SSL_CTX *ctx)
{
    return SSL_CTX_get_ex_data(ctx, ex_index);
}

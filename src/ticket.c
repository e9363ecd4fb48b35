/* L3 crypto: ticket keys: random or loaded, rotated under running handshakes (C5).
 *
 * A handshake copies the one key that it needs, under the lock, and works on the copy: so the lock is
 * held for 80 bytes, and keys may change at any time. Every copy is wiped.
 *
 * Locks: each set's own, at a rank above the connection's, because OpenSSL calls back inside a step;
 * randomness and files are read with none held. own_lock guards the process's set alone.
 *
 * Invariant: a set has at least one key.
 */
#include "ticket.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "carried.h"
#include "clock.h"
#include "mem.h"
#include "ossl.h"

static const int64_t retry_after_ns = INT64_C(60000000000);
static const int64_t rotate_after_ns = SALLY_TICKET_ROTATE_HOURS * INT64_C(3600000000000);

/* ---- life ---------------------------------------------------------------------------------- */

static bool randomise(sally_ticket_key *key)
{
    return RAND_bytes(key->name, sizeof key->name) == 1 &&
           RAND_priv_bytes(key->aes, sizeof key->aes) == 1 &&
           RAND_priv_bytes(key->hmac, sizeof key->hmac) == 1;
}

/* NULL with OpenSSL's queue saying why. */
static ssl_ticket_keys *make_keys(void)
{
    ssl_ticket_keys *keys = sally_alloc(sizeof *keys);
    if (keys == NULL) {
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
        return NULL;
    }
    sally_mutex_init(&keys->lock, SALLY_RANK_TICKETS);
    sally_store_rel(&keys->refs, 1);
    keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    keys->count = 1;
    keys->rotate_at_ns = sally_now_ns() + rotate_after_ns;
    if (keys->cipher == NULL || !randomise(&keys->keys[0])) {
        ssl_ticket_keys_release(keys);
        return NULL;
    }
    return keys;
}

ssl_status ssl_ticket_keys_new(ssl_ticket_keys **keys, ssl_error *err)
{
    static const char call[] = "ssl_ticket_keys_new";
    sally_ossl_begin();
    if (keys == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: keys is NULL", call);
    }
    *keys = make_keys();
    return *keys != NULL
               ? SALLY_OK
               : sally_fail_ossl(err, SALLY_SYSTEM, SALLY_PHASE_CONFIG, "%s: no random key", call);
}

ssl_ticket_keys *ssl_ticket_keys_retain(ssl_ticket_keys *keys)
{
    if (keys != NULL) {
        (void)sally_add_relaxed(&keys->refs, 1);
    }
    return keys;
}

void ssl_ticket_keys_release(ssl_ticket_keys *keys)
{
    if (keys == NULL || !sally_drop_ref(&keys->refs)) {
        return;
    }
    OPENSSL_cleanse(keys->keys, sizeof keys->keys);
    EVP_CIPHER_free(keys->cipher);
    sally_mutex_fini(&keys->lock);
    sally_free(keys);
}

static sally_mutex own_lock = SALLY_MUTEX_INIT(SALLY_RANK_TICKETS);
static ssl_ticket_keys *own_keys; /* own_lock; kept to the end of the process */

ssl_ticket_keys *sally_ticket_keys_own(void)
{
    sally_mutex_lock(&own_lock);
    if (own_keys == NULL) {
        own_keys = make_keys();
    }
    ssl_ticket_keys *keys = ssl_ticket_keys_retain(own_keys);
    sally_mutex_unlock(&own_lock);
    return keys;
}

/* ---- changing ------------------------------------------------------------------------------ */

static void push_locked(ssl_ticket_keys *keys, const sally_ticket_key *fresh)
{
    size_t kept =
        keys->count < SALLY_TICKET_GENERATIONS ? keys->count : SALLY_TICKET_GENERATIONS - 1;
    sally_mutex_assert_held(&keys->lock);
    memmove(&keys->keys[1], &keys->keys[0], kept * sizeof *fresh);
    keys->keys[0] = *fresh;
    keys->count = kept + 1;
    keys->rotate_at_ns = sally_now_ns() + rotate_after_ns;
}

static ssl_status fail_from_file(const char *call, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                      "%s: these keys come from a file that others may share; change the file and "
                      "call ssl_ticket_keys_load",
                      call);
}

static ssl_status rotate(ssl_ticket_keys *keys, const char *call, ssl_error *err)
{
    sally_ticket_key fresh;
    if (!randomise(&fresh)) {
        return sally_fail_ossl(err, SALLY_SYSTEM, SALLY_PHASE_CONFIG, "%s: no random key", call);
    }
    sally_mutex_lock(&keys->lock);
    bool fixed = keys->from_file;
    if (!fixed) {
        push_locked(keys, &fresh);
    }
    sally_mutex_unlock(&keys->lock);
    OPENSSL_cleanse(&fresh, sizeof fresh);
    return fixed ? fail_from_file(call, err) : SALLY_OK;
}

ssl_status ssl_ticket_keys_rotate(ssl_ticket_keys *keys, ssl_error *err)
{
    static const char call[] = "ssl_ticket_keys_rotate";
    sally_ossl_begin();
    if (keys == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: keys is NULL", call);
    }
    ssl_status status = rotate(keys, call, err);
    return sally_ossl_ended(status);
}

static void replace(ssl_ticket_keys *keys, const sally_ticket_key *fresh, size_t count)
{
    sally_mutex_lock(&keys->lock);
    OPENSSL_cleanse(keys->keys, sizeof keys->keys);
    memcpy(keys->keys, fresh, count * sizeof *fresh);
    keys->count = count;
    keys->from_file = true;
    sally_mutex_unlock(&keys->lock);
}

ssl_status ssl_ticket_keys_load(ssl_ticket_keys *keys, const char *path, ssl_error *err)
{
    sally_ticket_key fresh[SALLY_TICKET_KEYS_MAX];
    size_t count = 0;
    sally_ossl_begin();
    if (keys == NULL || path == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "ssl_ticket_keys_load: %s is NULL",
                          keys == NULL ? "keys" : "the path");
    }
    ssl_status status = sally_ticket_file_read(path, fresh, &count, err);
    if (status == SALLY_OK) {
        replace(keys, fresh, count);
    }
    OPENSSL_cleanse(fresh, sizeof fresh);
    return sally_ossl_ended(status);
}

/* ---- sealing and opening tickets ----------------------------------------------------------- */

/* Random keys whose time has come. Without randomness the old key goes on. */
static void rotate_if_due(ssl_ticket_keys *keys)
{
    sally_mutex_lock(&keys->lock);
    int64_t now_ns = sally_now_ns();
    bool due = !keys->from_file && now_ns >= keys->rotate_at_ns;
    if (due) {
        keys->rotate_at_ns = now_ns + retry_after_ns; /* others leave it to us */
    }
    sally_mutex_unlock(&keys->lock);
    if (due) {
        (void)rotate(keys, "rotating ticket keys", NULL);
    }
}

static void copy_first(ssl_ticket_keys *keys, sally_ticket_key *key)
{
    sally_mutex_lock(&keys->lock);
    *key = keys->keys[0];
    sally_mutex_unlock(&keys->lock);
}

/* *first: it is the one that seals, too. */
static bool copy_named(ssl_ticket_keys *keys, const unsigned char *name, sally_ticket_key *key,
                       bool *first)
{
    bool found = false;
    sally_mutex_lock(&keys->lock);
    for (size_t i = 0; !found && i < keys->count; i++) {
        found = memcmp(keys->keys[i].name, name, sizeof key->name) == 0;
        if (found) {
            *key = keys->keys[i];
            *first = i == 0;
        }
    }
    sally_mutex_unlock(&keys->lock);
    return found;
}

static bool use_hmac(EVP_MAC_CTX *mac, sally_ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac, sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* Answers as SSL_CTX_set_tlsext_ticket_key_evp_cb(3) has them: -1 ends the handshake. */
static int seal(ssl_ticket_keys *keys, unsigned char *name, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    sally_ticket_key key;
    rotate_if_due(keys);
    copy_first(keys, &key);
    memcpy(name, key.name, sizeof key.name);
    bool ready = RAND_bytes(iv, EVP_CIPHER_get_iv_length(keys->cipher)) == 1 &&
                 EVP_EncryptInit_ex2(cipher, keys->cipher, key.aes, iv, NULL) == 1 &&
                 use_hmac(mac, &key);
    OPENSSL_cleanse(&key, sizeof key);
    return ready ? 1 : -1;
}

/* 0: a full handshake; 1: take it; 2: take it and give a new one, because the key is an old one, or
 * because TLS 1.3 clients use a ticket once. */
static int unseal(ssl_ticket_keys *keys, const unsigned char *name, const unsigned char *iv,
                  EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool renew)
{
    sally_ticket_key key;
    bool first = false;
    if (!copy_named(keys, name, &key, &first)) {
        return 0;
    }
    bool ready =
        EVP_DecryptInit_ex2(cipher, keys->cipher, key.aes, iv, NULL) == 1 && use_hmac(mac, &key);
    OPENSSL_cleanse(&key, sizeof key);
    if (!ready) {
        return -1;
    }
    return renew || !first ? 2 : 1;
}

int sally_ticket_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                          EVP_MAC_CTX *mac, int sealing)
{
    ssl_ticket_keys *keys = sally_carried_by(SSL_get_SSL_CTX(ssl))->ticket_keys;
    return sealing ? seal(keys, name, iv, cipher, mac)
                   : unseal(keys, name, iv, cipher, mac, SSL_version(ssl) >= TLS1_3_VERSION);
}

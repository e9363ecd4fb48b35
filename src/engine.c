/* L4 engine: TLS as non-blocking steps (engine.h has the rules).
 *
 * Each step has the same shape: refuse what is known to be over, flush unsent ciphertext, call OpenSSL
 * once, and turn its answer into a sally_step. The error queue (E1) is emptied by whoever begins a
 * call, and here after a refusal and after a handshake: a read or a write that succeeds leaves nothing
 * in it, and each look at it costs 200 instructions. Thanks to the BIO, OpenSSL never says WANT_WRITE, and its
 * WANT_READ means "poll" only if the BIO really found nothing; otherwise a message that is not data
 * was processed (auto-retry is off), and the caller looks for breaks before it steps again.
 */
#include "engine.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "alpn.h"
#include "engine_object.h"
#include "mem.h"
#include "ossl.h"
#include "session.h"

/* ---- life ---------------------------------------------------------------------------------- */

/* The lines of an SSL that came to nothing go to the log of its own context. */
static bool log_keys(sally_engine *e, SSL *ssl, const sally_policy *policy)
{
    if (policy->keylog == NULL) {
        return true;
    }
    if (e->keys == NULL) {
        e->keys = sally_alloc(sizeof *e->keys);
    }
    if (e->keys == NULL || !sally_keylog_attach(ssl, e->keys)) {
        return false;
    }
    sally_key_lines_fini(e->keys);
    e->keys->log = sally_keylog_retain(policy->keylog);
    return true;
}

static void drop_keys(sally_engine *e)
{
    if (e->keys != NULL) {
        sally_key_lines_fini(e->keys);
        sally_free(e->keys);
    }
}

bool sally_engine_adopt(sally_engine *e, const sally_policy *policy)
{
    SSL *ssl = SSL_new(policy->ctx);
    BIO *bio = ssl != NULL ? sally_bio_new(&e->bio) : NULL;
    if (bio == NULL) {
        SSL_free(ssl);
        return false;
    }
    SSL_set_bio(ssl, bio, bio);
    if (!log_keys(e, ssl, policy)) {
        SSL_free(ssl);
        return false;
    }
    if (policy->client) {
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    if (e->exact) {
        SSL_set_read_ahead(ssl, 0);
    }
    SSL_free(e->ssl);
    e->ssl = ssl;
    e->shutdown_on_close = e->shutdown == SALLY_SHUTDOWN_AS_CONTEXT
                               ? policy->shutdown_on_close
                               : e->shutdown == SALLY_SHUTDOWN_ON;
    return true;
}

static bool offer(sally_engine *e, const sally_engine_setup *setup)
{
    sally_alpn alpn;
    bool offered =
        sally_alpn_init(&alpn, setup->alpn, setup->alpn_count) && sally_alpn_offer(e->ssl, &alpn);
    sally_alpn_fini(&alpn);
    return offered;
}

/* The name is kept for the session that the handshake will leave. */
static ssl_status prepare_session(sally_engine *e, const sally_engine_setup *setup, ssl_error *err)
{
    e->name = setup->hostname != NULL ? sally_copy_text(setup->hostname) : NULL;
    if (setup->hostname != NULL && e->name == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, setup->call);
    }
    return sally_session_offer(e->ssl, setup->session, e->name, setup->call, err);
}

static ssl_status attach(sally_engine *e, const sally_engine_setup *setup,
                         const sally_policy *policy, ssl_error *err)
{
    e->exact = setup->exact;
    e->shutdown = setup->shutdown;
    if (!sally_engine_adopt(e, policy) || !offer(e, setup) ||
        !sally_engine_listen_for_name(e, setup, policy)) {
        return sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, setup->call);
    }
    ssl_status status = sally_verify_prepare(e->ssl, policy, setup->hostname, setup->call, err);
    return status == SALLY_OK && setup->client ? prepare_session(e, setup, err) : status;
}

static ssl_status make(const sally_engine_setup *setup, sally_engine **engine, ssl_error *err)
{
    sally_policy policy;
    ssl_status status =
        sally_context_policy(setup->context, setup->client, setup->call, &policy, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_engine *e = sally_alloc(sizeof *e);
    status = e == NULL ? sally_fail_memory(err, SALLY_PHASE_HANDSHAKE, setup->call)
                       : attach(e, setup, &policy, err);
    sally_policy_fini(&policy);
    if (status != SALLY_OK && e != NULL) {
        SSL_free(e->ssl);
        sally_engine_drop_pause(e);
        drop_keys(e);
        sally_free(e->name);
        sally_free(e);
        e = NULL;
    }
    *engine = e;
    return status;
}

ssl_status sally_engine_new(const sally_engine_setup *setup, sally_transport *transport,
                            sally_engine **engine, ssl_error *err)
{
    *engine = NULL;
    sally_ossl_begin();
    ssl_status status = make(setup, engine, err);
    sally_ossl_end();
    if (status == SALLY_OK) {
        (*engine)->bio.next = transport;
        (*engine)->bio.traffic = setup->traffic;
    }
    return status;
}

/* The peer is done when it said goodbye: then nothing it sends later can be lost by closing. What ends a
 * transport may be the program's, and leave something in the error queue (E1). */
void sally_engine_free(sally_engine *e)
{
    if (e == NULL) {
        return;
    }
    sally_ossl_begin();
    SSL_free(e->ssl);
    sally_engine_drop_pause(e);
    drop_keys(e);
    sally_transport *transport = e->bio.next;
    transport->ops->finish(transport, &e->bio.unsent, e->ended.status == SALLY_EOF);
    sally_ossl_end();
    sally_buf_fini(&e->bio.unsent);
    sally_free(e->name);
    sally_free(e);
}

/* ---- the shape of a step ------------------------------------------------------------------- */

sally_step sally_engine_fail(sally_engine *e, sally_failure why)
{
    e->last = why;
    return SALLY_STEP_FAILED;
}

static sally_step want(const sally_engine *e, sally_want *want, bool receive)
{
    want->receive = receive;
    want->send = sally_bio_unsent(&e->bio) != 0;
    return SALLY_STEP_WANT;
}

sally_failure sally_engine_dead_way_out(const sally_engine *e)
{
    return (sally_failure){.status = SALLY_SYSTEM,
                           .sys_errno = e->bio.send_errno,
                           .words = sally_engine_fault(e, SALLY_SEND)};
}

void sally_engine_begin(sally_engine *e)
{
    (void)sally_bio_flush(&e->bio);
    e->bio.receive_blocked = false;
    e->bio.drained = false;
}

sally_step sally_engine_refused(sally_engine *e, int result, sally_want *wanted)
{
    sally_failure why = sally_engine_judge(e, result);
    sally_ossl_end();
    if (why.status == SALLY_EOF || why.status == SALLY_TRUNCATED) {
        e->ended = why;
    } else if (why.status != SALLY_OK) {
        e->fatal = why;
    }
    if (why.status != SALLY_OK) {
        return sally_engine_fail(e, why);
    }
    return e->bio.receive_blocked ? want(e, wanted, true) : SALLY_STEP_AGAIN;
}

/* ---- steps --------------------------------------------------------------------------------- */

sally_step sally_engine_handshake(sally_engine *e, sally_want *wanted)
{
    if (e->fatal.status != SALLY_OK) {
        return sally_engine_fail(e, e->fatal);
    }
    sally_engine_begin(e);
    if (e->pause != NULL && e->pause->answered) {
        sally_engine_heed_answer(e);
    }
    int result = SSL_do_handshake(e->ssl);
    if (e->pause != NULL && e->pause->hello.asking) {
        return SALLY_STEP_ASK;
    }
    if (result != 1) {
        sally_step step = sally_engine_refused(e, result, wanted);
        /* To what could not be sent no answer will come. What the peer said before that, an alert
         * say, has been read by now. */
        return step == SALLY_STEP_WANT && e->bio.send_errno != 0
                   ? sally_engine_fail(e, sally_engine_dead_way_out(e))
                   : step;
    }
    sally_ossl_end();
    e->handshaken = true;
    return SALLY_STEP_DONE;
}

typedef int (*take_plaintext)(SSL *ssl, void *buf, size_t n, size_t *got);

static sally_step take(sally_engine *e, take_plaintext how, void *buf, size_t n, size_t *got,
                       sally_want *wanted)
{
    *got = 0;
    if (e->ended.status != SALLY_OK) {
        return sally_engine_fail(e, e->ended);
    }
    if (e->fatal.status != SALLY_OK) {
        return sally_engine_fail(e, e->fatal);
    }
    sally_engine_begin(e);
    if (sally_bio_unsent(&e->bio) > SALLY_UNSENT_MAX) {
        return want(e, wanted, false);
    }
    int result = how(e->ssl, buf, n, got);
    return result == 1 ? SALLY_STEP_DONE : sally_engine_refused(e, result, wanted);
}

sally_step sally_engine_read(sally_engine *e, void *buf, size_t n, size_t *got, sally_want *wanted)
{
    sally_step step = take(e, SSL_read_ex, buf, n, got, wanted);
    sally_traffic_count(e->bio.traffic, SALLY_PLAIN_RECEIVED, *got);
    return step;
}

sally_step sally_engine_look(sally_engine *e, sally_want *wanted)
{
    char byte;
    size_t got;
    return take(e, SSL_peek_ex, &byte, 1, &got, wanted);
}

sally_step sally_engine_write(sally_engine *e, const void *buf, size_t n, size_t *done,
                              sally_want *wanted)
{
    *done = 0;
    if (e->fatal.status != SALLY_OK) {
        return sally_engine_fail(e, e->fatal);
    }
    sally_engine_begin(e);
    if (e->bio.send_errno != 0) {
        return sally_engine_fail(e, sally_engine_dead_way_out(e));
    }
    if (sally_bio_unsent(&e->bio) != 0) {
        return want(e, wanted, false);
    }
    int result = SSL_write_ex(e->ssl, buf, n < SALLY_RECORD_MAX ? n : SALLY_RECORD_MAX, done);
    if (e->bio.send_errno != 0) { /* what was dropped does not count as done */
        *done = 0;
        sally_ossl_end();
        return sally_engine_fail(e, sally_engine_dead_way_out(e));
    }
    sally_traffic_count(e->bio.traffic, SALLY_PLAIN_SENT, *done);
    return result == 1 ? SALLY_STEP_DONE : sally_engine_refused(e, result, wanted);
}

sally_step sally_engine_flush(sally_engine *e, sally_want *wanted)
{
    bool empty = sally_bio_flush(&e->bio);
    if (e->bio.send_errno != 0) {
        return sally_engine_fail(e, sally_engine_dead_way_out(e));
    }
    return empty ? SALLY_STEP_DONE : want(e, wanted, false);
}

/* One SSL_shutdown sends close_notify; a second would wait for the peer's. In the middle of a
 * handshake, or after a failure, there is no goodbye to say. */
static void say_goodbye(sally_engine *e)
{
    e->goodbye_said = true;
    if (e->handshaken && e->shutdown_on_close && e->fatal.status == SALLY_OK) {
        sally_ossl_begin();
        (void)SSL_shutdown(e->ssl);
        sally_ossl_end();
    }
}

sally_step sally_engine_goodbye(sally_engine *e, sally_want *wanted)
{
    if (!e->goodbye_said) {
        say_goodbye(e);
    }
    return sally_engine_flush(e, wanted);
}

/* ---- questions ----------------------------------------------------------------------------- */

bool sally_engine_has_buffered(const sally_engine *e)
{
    return SSL_has_pending(e->ssl) == 1;
}

bool sally_engine_take_key_lines(sally_engine *e, sally_key_lines *lines)
{
    return e->keys != NULL && sally_key_lines_take(e->keys, lines);
}

bool sally_engine_has_ended(const sally_engine *e)
{
    return e->ended.status != SALLY_OK || e->fatal.status != SALLY_OK;
}

bool sally_engine_has_eof(const sally_engine *e)
{
    return e->ended.status == SALLY_EOF;
}

bool sally_engine_can_send(const sally_engine *e)
{
    return e->fatal.status == SALLY_OK && e->bio.send_errno == 0;
}

size_t sally_engine_unsent(const sally_engine *e)
{
    return sally_bio_unsent(&e->bio);
}

unsigned long sally_engine_receives(const sally_engine *e)
{
    return e->bio.receives;
}

void sally_engine_read_ahead(sally_engine *e)
{
    SSL_set_read_ahead(e->ssl, 1);
}

void sally_engine_stop_counting(sally_engine *e)
{
    e->bio.traffic = NULL;
}

sally_transport *sally_engine_transport(sally_engine *e)
{
    return e->bio.next;
}

/* ---- rest ---------------------------------------------------------------------------------- */

/* The key is OpenSSL's own, not a copy, and EVP_PKEY_set_type(3) clears what it had. Of all types this is
 * one whose questions bear a key without content. */
static void empty_key(EVP_PKEY *key)
{
    (void)EVP_PKEY_set_type(key, EVP_PKEY_X25519);
    EVP_PKEY_free(key);
}

/* TLS 1.3 exchanges keys once, and OpenSSL keeps both, ours and the peer's, until SSL_free; whatever comes
 * later, KeyUpdates and certificates too, goes by what was derived from them. Before TLS 1.3 it frees
 * its own, and a renegotiation under way may need what is there. */
static void forget_exchange(sally_engine *e)
{
    EVP_PKEY *key;
    e->exchange_forgotten = true;
    if (SSL_version(e->ssl) < TLS1_3_VERSION) {
        return;
    }
    if (SSL_get_tmp_key(e->ssl, &key) == 1) {
        empty_key(key);
    }
    if (SSL_get_peer_tmp_key(e->ssl, &key) == 1) {
        empty_key(key);
    }
    sally_ossl_end();
}

void sally_engine_rest(sally_engine *e)
{
    (void)SSL_free_buffers(e->ssl);
    if (e->handshaken && !e->exchange_forgotten) {
        forget_exchange(e);
    }
}

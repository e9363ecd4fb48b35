/* L4 engine: the pause of a server's handshake, in which its context is chosen (C4; hello.h).
 *
 * An engine with somebody to ask begins with the SSL of the context that the client met first, and tapes
 * what it receives. At the ClientHello its handshake says ASK. The answer:
 *   - no other context: the SSL goes on, the tape is dropped;
 *   - another one: a new SSL of that context takes the place of the first, and is played the tape. So
 *     everything of the chosen context holds by construction; OpenSSL's way of changing the SSL_CTX under
 *     a handshake (SSL_set_SSL_CTX) takes certificates and ciphers over and leaves protocols, verification,
 *     options, groups and the number of tickets behind (docs/openssl.md);
 *   - a refusal: the SSL goes on to send the alert, and fails.
 * No byte has been sent before the answer, and the question is asked once: a second ClientHello, after a
 * HelloRetryRequest, goes to the context that was chosen at the first.
 */
#include "engine_object.h"
#include "error.h"
#include "mem.h"
#include "ossl.h"

void sally_engine_drop_pause(sally_engine *e)
{
    sally_bio_drop_tape(&e->bio);
    if (e->pause != NULL) {
        sally_policy_fini(&e->pause->chosen);
        sally_free(e->pause);
        e->pause = NULL;
    }
}

bool sally_engine_listen_for_name(sally_engine *e, const sally_engine_setup *setup,
                                  const sally_policy *policy)
{
    sally_names names = {.callback = policy->asked.callback,
                         .user = policy->asked.user,
                         .registry = setup->registry,
                         .required = policy->doorkeeper};
    if (!sally_names_asks_anybody(&names)) {
        return true;
    }
    e->pause = sally_alloc(sizeof *e->pause);
    if (e->pause == NULL) {
        return false;
    }
    e->pause->names = names;
    e->pause->call = setup->call;
    return sally_bio_tape(&e->bio) && sally_hello_attach(e->ssl, &e->pause->hello);
}

void sally_engine_ask(sally_engine *e)
{
    sally_pause *pause = e->pause;
    sally_ossl_begin();
    pause->refusal.status = SALLY_OK;
    (void)sally_names_resolve(&pause->names, pause->hello.name, pause->call, &pause->chosen,
                              &pause->refusal);
    pause->answered = true;
    sally_ossl_end();
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void refuse(sally_engine *e)
{
    sally_pause *pause = e->pause;
    pause->hello.alert =
        pause->refusal.status == SALLY_CONFIG ? SSL_AD_UNRECOGNIZED_NAME : SSL_AD_INTERNAL_ERROR;
    sally_bio_drop_tape(&e->bio);
}

static void go_on(sally_engine *e)
{
    (void)sally_hello_attach(e->ssl, NULL);
    sally_engine_drop_pause(e);
}

/* Without memory the client is refused by the first SSL, which is still there. */
static void begin_again(sally_engine *e)
{
    sally_pause *pause = e->pause;
    if (!sally_engine_adopt(e, &pause->chosen)) {
        (void)sally_fail_memory(&pause->refusal, SALLY_PHASE_HANDSHAKE, pause->call);
        refuse(e);
        return;
    }
    sally_hello_acknowledge(e->ssl);
    sally_bio_play(&e->bio);
    sally_policy_fini(&pause->chosen);
    sally_free(pause);
    e->pause = NULL;
}

/* Nothing more is received in the step that heeds an answer: a whole flight may have come meanwhile, and a
 * break is to be seen before it is gone through (B2). */
void sally_engine_heed_answer(sally_engine *e)
{
    e->bio.drained = true;
    e->pause->answered = false;
    e->pause->hello.asking = false;
    if (e->pause->refusal.status != SALLY_OK) {
        refuse(e);
    } else if (e->pause->chosen.ctx == NULL) {
        go_on(e);
    } else {
        begin_again(e);
    }
}

/* L4 engine: the engine's fields, for engine.c and engine_error.c only. */
#ifndef SALLY_ENGINE_OBJECT_H
#define SALLY_ENGINE_OBJECT_H

#include "bio.h"
#include "engine.h"
#include "hello.h"
#include "keylog.h"
#include "names.h"
#include "verify.h"

/* Why something failed, small enough to keep for the life of a connection. The text is made when it
 * is asked for (engine_error.c). */
typedef struct sally_failure {
    ssl_status status; /* SALLY_OK: none */
    int code;          /* alert number or X509_V_ERR_... */
    int sys_errno;
    uint32_t ossl_code; /* OpenSSL packs it into 32 bits */
    const char *words;  /* constant; NULL: they follow from the rest */
} sally_failure;

/* A server's, from its beginning until its context has been chosen by name, or the client refused. */
typedef struct sally_pause {
    sally_hello hello;
    sally_names names; /* whom to ask */
    const char *call;
    bool answered;
    sally_policy chosen; /* the answer; a NULL ctx: the first context goes on */
    ssl_error refusal;   /* the answer, where it is not OK */
} sally_pause;

struct sally_engine {
    SSL *ssl;
    char *name; /* client: the peer's, as it was given; NULL: none */
    sally_bio bio;
    sally_failure fatal;   /* TLS failed: both directions are over */
    sally_failure ended;   /* EOF or TRUNCATED: only reading is over */
    sally_failure last;    /* what the step that said FAILED means */
    sally_pause *pause;    /* NULL: nobody is asked, or no more */
    sally_key_lines *keys; /* NULL: nobody asked for them */
    bool handshaken;
    bool exact;                 /* as in the setup, for each SSL that it has */
    ssl_wrap_shutdown shutdown; /* likewise */
    bool shutdown_on_close;
    bool goodbye_said;
    bool exchange_forgotten; /* the keys of the key exchange are gone */
    bool asked; /* the client, for a certificate after the handshake; no answer has been seen yet */
};

/* Lets the handshake of a server pause at the ClientHello where the policy or the setup names somebody
 * to ask. False: out of memory. */
bool sally_engine_listen_for_name(sally_engine *e, const sally_engine_setup *setup,
                                  const sally_policy *policy);
/* Does what the answer says. The next SSL_do_handshake goes on with it. */
void sally_engine_heed_answer(sally_engine *e);
void sally_engine_drop_pause(sally_engine *e);

static inline bool sally_engine_is_refused(const sally_engine *e)
{
    return e->pause != NULL && e->pause->hello.alert != 0;
}
/* An SSL of the policy's context in the place of the one before, if any, and the policy itself. The BIO
 * is the same. False: out of memory, and nothing has changed. */
bool sally_engine_adopt(sally_engine *e, const sally_policy *policy);

/* What OpenSSL's refusal of `result` means. Called right after the refusing call, the error queue
 * still full. SALLY_OK: it only wants to be called again. */
sally_failure sally_engine_judge(sally_engine *e, int result);

/* ---- the shape of a step (engine.c) -------------------------------------------------------- */

/* Flushes what is unsent, and lets the BIO ask the transport anew. */
void sally_engine_begin(sally_engine *e);
/* The step FAILED, for this reason. */
sally_step sally_engine_fail(sally_engine *e, sally_failure why);
/* OpenSSL did not do what it was asked for: finds out why, and what to wait for. */
sally_step sally_engine_refused(sally_engine *e, int result, sally_want *wanted);
sally_failure sally_engine_dead_way_out(const sally_engine *e);
/* What the transport did wrong when that direction of it failed; NULL: nothing that it can help. */
const char *sally_engine_fault(const sally_engine *e, sally_direction direction);

#endif

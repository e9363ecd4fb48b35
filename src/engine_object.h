/* L4 engine: the engine's fields, for engine.c and engine_error.c only. */
#ifndef SALLY_ENGINE_OBJECT_H
#define SALLY_ENGINE_OBJECT_H

#include "bio.h"
#include "engine.h"
#include "verify.h"

/* Why something failed, small enough to keep for the life of a connection. The text is made when it
 * is asked for (engine_error.c). */
typedef struct sally_failure {
    ssl_status status; /* SALLY_OK: none */
    int code;          /* alert number or X509_V_ERR_... */
    int sys_errno;
    uint64_t ossl_code;
} sally_failure;

struct sally_engine {
    SSL *ssl;
    sally_bio bio;
    sally_failure fatal; /* TLS failed: both directions are over */
    sally_failure ended; /* EOF or TRUNCATED: only reading is over */
    sally_failure last;  /* what the step that said FAILED means */
    bool handshaken;
    bool shutdown_on_close;
    bool goodbye_said;
};

/* What OpenSSL's refusal of `result` means. Called right after the refusing call, the error queue
 * still full. SALLY_OK: it only wants to be called again. */
sally_failure sally_engine_judge(sally_engine *e, int result);

#endif

/* L4 engine: what OpenSSL's refusals mean, and how they read. The only caller of SSL_get_error.
 *
 * Order of judgement: what the BIO recorded comes before what OpenSSL says, because the BIO shows an
 * end or a failure of the transport to OpenSSL as "would block". OpenSSL reports an alert from the
 * peer as reason SSL_AD_REASON_OFFSET + number (RFC 8446 section 6 has the numbers).
 */
#include <openssl/err.h>
#include <stdio.h>

#include "engine_object.h"
#include "ossl.h"

/* ---- judging ------------------------------------------------------------------------------- */

static sally_failure judge_queue(sally_engine *e)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    sally_failure why = {.status = SALLY_PROTOCOL, .ossl_code = code};
    if (sally_engine_is_refused(e)) {
        why.status = e->pause->refusal.status;
    } else if (e->bio.out_of_memory || reason == ERR_R_MALLOC_FAILURE) {
        why.status = SALLY_MEMORY;
    } else if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        why.status = SALLY_PROTOCOL;
    } else if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
        why.status = SALLY_PEER;
        why.code = reason - SSL_AD_REASON_OFFSET;
    } else if (reason == SSL_R_NO_RENEGOTIATION) { /* OpenSSL makes an error of its warning */
        why.status = SALLY_PEER;
        why.code = SSL_AD_NO_RENEGOTIATION;
    } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
               reason == SSL_R_INVALID_STATUS_RESPONSE /* OCSP: the verdict is ocsp.c's */ ||
               reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        why.code = (int)sally_verify_verdict(e->ssl).code;
        why.status = why.code == X509_V_ERR_OUT_OF_MEM ? SALLY_MEMORY : SALLY_VERIFY;
    }
    return why;
}

const char *sally_engine_fault(const sally_engine *e, sally_direction direction)
{
    const sally_transport *t = e->bio.next;
    return t->ops->fault != NULL ? t->ops->fault(t, direction) : NULL;
}

/* A transport that broke its contract is no peer that went away. */
static sally_failure judge_end(const sally_engine *e)
{
    const char *fault = sally_engine_fault(e, SALLY_RECEIVE);
    return (sally_failure){.status = fault != NULL ? SALLY_SYSTEM : SALLY_TRUNCATED,
                           .sys_errno = e->bio.receive_errno,
                           .words = fault};
}

static sally_failure judge_transport(const sally_engine *e)
{
    if (e->bio.tape != NULL && e->bio.tape->failed != SALLY_OK) {
        return (sally_failure){.status = e->bio.tape->failed};
    }
    bool ended = e->bio.receive_ended || e->bio.receive_errno != 0;
    return ended ? judge_end(e) : (sally_failure){.status = SALLY_OK};
}

sally_failure sally_engine_judge(sally_engine *e, int result)
{
    switch (SSL_get_error(e->ssl, result)) {
    case SSL_ERROR_WANT_READ: return judge_transport(e);
    case SSL_ERROR_ZERO_RETURN:
        return e->handshaken ? (sally_failure){.status = SALLY_EOF}
                             : (sally_failure){.status = SALLY_PEER};
    default: return judge_queue(e);
    }
}

/* ---- reporting ----------------------------------------------------------------------------- */

/* What the alerts about certificates say about ours, and what can be done. */
static const char *meaning_of_alert(int alert)
{
    switch (alert) {
    case SSL_AD_CERTIFICATE_REQUIRED:
        return ": it requires a certificate of this side; load one with ssl_load_identity";
    case SSL_AD_UNKNOWN_CA:
        return ": it does not trust the issuer of this side's certificate, or was not sent the whole "
               "chain";
    case SSL_AD_CERTIFICATE_EXPIRED:
        return ": this side's certificate has expired, or is not valid yet";
    case SSL_AD_CERTIFICATE_REVOKED: return ": this side's certificate must be replaced";
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN: return ": it does not accept this side's certificate";
    case SSL_AD_NO_RENEGOTIATION: return ": it does not renegotiate";
    default: return "";
    }
}

static void say_why(sally_engine *e, const sally_failure *why, char *text, size_t size)
{
    char reason[128] = "";
    if (sally_engine_is_refused(e) || why->words != NULL) {
        snprintf(text, size, "%s", why->words != NULL ? why->words : e->pause->refusal.text);
        return;
    }
    switch (why->status) {
    case SALLY_EOF:
        snprintf(text, size, "the peer has closed the connection (close_notify)");
        return;
    case SALLY_TRUNCATED:
        if (why->sys_errno != 0) {
            sally_errno_text(why->sys_errno, reason, sizeof reason);
        }
        snprintf(text, size, "the connection was cut without close_notify%s%s",
                 reason[0] != '\0' ? ": " : "", reason);
        return;
    case SALLY_PEER:
        snprintf(text, size, "the peer sent alert %d (%s)%s", why->code,
                 SSL_alert_desc_string_long(why->code), meaning_of_alert(why->code));
        return;
    case SALLY_VERIFY: {
        sally_verdict verdict = sally_verify_verdict(e->ssl);
        sally_verify_reason(e->ssl, &verdict, text, size);
        return;
    }
    case SALLY_SYSTEM: sally_errno_text(why->sys_errno, text, size); return;
    case SALLY_MEMORY: snprintf(text, size, "out of memory"); return;
    case SALLY_LIMIT:
        snprintf(text, size, "the client's first message is longer than %zu KiB as sent",
                 SALLY_TAPE_MAX / 1024);
        return;
    default: sally_ossl_reason(why->ossl_code, text, size); return;
    }
}

ssl_status sally_engine_report(sally_engine *e, ssl_phase phase, const char *call, const char *peer,
                               ssl_error *err)
{
    char text[SALLY_ERROR_TEXT_SIZE];
    const sally_failure *why = &e->last;
    if (err == NULL) {
        return why->status;
    }
    bool named = peer != NULL && peer[0] != '\0';
    say_why(e, why, text, sizeof text);
    sally_fail(err, why->status, phase, "%s: %s%s%s%s", call, named ? peer : "", named ? ": " : "",
               phase == SALLY_PHASE_HANDSHAKE ? "TLS handshake: " : "", text);
    err->code = why->code;
    err->sys_errno = why->sys_errno;
    err->ossl_code = why->ossl_code;
    return why->status;
}

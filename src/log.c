/* L0 base: records on their way to the program, and as lines (W9).
 *
 * Texts may have come from a peer: a name in a certificate can hold a newline and a forged line behind it.
 * So control characters are replaced before anybody sees them. A logger that causes records on its own
 * thread does not get them: `inside` ends what would be a recursion.
 */
#include "log.h"

#include <inttypes.h>
#include <stdio.h>

static _Thread_local bool inside;

/* ---- names --------------------------------------------------------------------------------- */

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static const char *const event_names[] = {
    "start_failed", "accept_failed", "handshake_failed", "refused", "idle_closed", "drain_begun",
    "drain_ended",  "reloaded",      "reload_failed",    "remark",  "dropped"};

const char *ssl_log_level_name(ssl_log_level level)
{
    size_t at = (size_t)level;
    return at < sizeof level_names / sizeof level_names[0] ? level_names[at] : "unknown";
}

const char *ssl_log_event_name(ssl_log_event event)
{
    size_t at = (size_t)event;
    return at < sizeof event_names / sizeof event_names[0] ? event_names[at] : "unknown";
}

/* ---- to the program ------------------------------------------------------------------------ */

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == '\x7f';
}

static void copy_clean(char *to, size_t size, const char *from)
{
    size_t length = 0;
    for (; from[length] != '\0' && length + 1 < size; length++) {
        to[length] = is_control(from[length]) ? '?' : from[length];
    }
    to[length] = '\0';
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

void sally_log_emit(const ssl_log *log, const ssl_log_record *record)
{
    char text[SALLY_ERROR_TEXT_SIZE];
    char peer[SALLY_ADDRESS_SIZE];
    if (!sally_log_wants(log, record->level) || inside) {
        return;
    }
    copy_clean(text, sizeof text, or_empty(record->text));
    copy_clean(peer, sizeof peer, or_empty(record->peer));
    ssl_log_record whole = *record;
    whole.peer = peer;
    whole.name = or_empty(record->name);
    whole.reason = or_empty(record->reason);
    whole.text = text;
    inside = true;
    log->call(&whole, log->user);
    inside = false;
}

void ssl_log_reload(const char *name, ssl_status status, const ssl_error *err, void *log)
{
    bool failed = status != SALLY_OK;
    ssl_log_record record = {.level = failed ? SALLY_LOG_ERROR : SALLY_LOG_INFO,
                             .event = failed ? SALLY_LOG_RELOAD_FAILED : SALLY_LOG_RELOADED,
                             .status = status,
                             .name = name,
                             .text = failed && err != NULL ? err->text : "reloaded"};
    if (log == NULL) {
        return;
    }
    if (failed && err != NULL) {
        record.code = err->code;
        record.sys_errno = err->sys_errno;
    }
    sally_log_emit(log, &record);
    if (!failed && err != NULL && err->text[0] != '\0') {
        record.level = SALLY_LOG_WARNING;
        record.event = SALLY_LOG_REMARK;
        record.text = err->text;
        sally_log_emit(log, &record);
    }
}

/* ---- as a line ----------------------------------------------------------------------------- */

typedef struct line {
    char *text;
    size_t size;
    size_t length;
} line;

/* A line is one line, whoever made the record. */
static void put_byte(line *l, char byte)
{
    if (l->length + 1 < l->size) {
        l->text[l->length++] = is_control(byte) ? '?' : byte;
    }
}

static void put(line *l, const char *text)
{
    for (; *text != '\0'; text++) {
        put_byte(l, *text);
    }
}

static void put_key(line *l, const char *key)
{
    if (l->length != 0) {
        put_byte(l, ' ');
    }
    put(l, key);
    put_byte(l, '=');
}

static void put_word(line *l, const char *key, const char *word)
{
    if (word[0] != '\0') {
        put_key(l, key);
        put(l, word);
    }
}

static void put_number(line *l, const char *key, int64_t number)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRId64, number);
    put_word(l, key, number != 0 ? digits : "");
}

static void put_quoted(line *l, const char *key, const char *text)
{
    if (text[0] == '\0') {
        return;
    }
    put_key(l, key);
    put_byte(l, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            put_byte(l, '\\');
        }
        put_byte(l, *text);
    }
    put_byte(l, '"');
}

size_t ssl_log_line(const ssl_log_record *record, char *text, size_t size)
{
    line l = {.text = text, .size = size};
    if (record == NULL || text == NULL || size == 0) {
        return 0;
    }
    const char *status = ssl_status_name(record->status) + sizeof "SALLY_" - 1;
    put_word(&l, "level", ssl_log_level_name(record->level));
    put_word(&l, "event", ssl_log_event_name(record->event));
    put_word(&l, "status", record->status != SALLY_OK ? status : "");
    put_number(&l, "code", record->code);
    put_number(&l, "errno", record->sys_errno);
    put_number(&l, "count", (int64_t)record->count);
    put_word(&l, "reason", record->reason);
    put_word(&l, "peer", record->peer);
    put_quoted(&l, "name", record->name);
    put_quoted(&l, "text", record->text);
    text[l.length] = '\0';
    return l.length;
}

/* L3 crypto: ticket keys in a file, in base64 lines or as they are (C5).
 *
 * A file of nothing but printable characters is taken for text: that 80 random bytes all look like that
 * has a chance of 1 to 10^33. No locks and no state; everything that held a key is wiped.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "error.h"
#include "load.h"
#include "ticket.h"

#define KEY_SIZE sizeof(sally_ticket_key)

/* 80 bytes in base64, and room for what a longer line may decode to. */
#define LINE_MAX_SIZE 160

/* A load under way. */
typedef struct reading {
    sally_source source;
    sally_ticket_key *keys;
    size_t count;
    ssl_error *err;
} reading;

static ssl_status refuse(const reading *r, const char *why)
{
    return sally_fail(r->err, SALLY_CONFIG, SALLY_PHASE_CONFIG, SALLY_CANNOT_LOAD "%s",
                      r->source.noun, r->source.path, why);
}

static ssl_status keep(reading *r, const unsigned char *bytes)
{
    if (r->count == SALLY_TICKET_KEYS_MAX) {
        return sally_fail(r->err, SALLY_LIMIT, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "it has more than %d keys", r->source.noun,
                          r->source.path, SALLY_TICKET_KEYS_MAX);
    }
    for (size_t i = 0; i < r->count; i++) {
        if (memcmp(r->keys[i].name, bytes, sizeof r->keys[i].name) == 0) {
            return refuse(r, "two keys in it have the same name, which is their first 16 bytes");
        }
    }
    memcpy(&r->keys[r->count++], bytes, KEY_SIZE);
    return SALLY_OK;
}

/* ---- text ---------------------------------------------------------------------------------- */

static bool is_text(const sally_file *file)
{
    for (size_t i = 0; i < file->size; i++) {
        unsigned char c = file->bytes[i];
        if ((c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t') {
            return false;
        }
    }
    return true;
}

static ssl_status refuse_line(const reading *r, size_t number)
{
    return sally_fail(r->err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                      SALLY_CANNOT_LOAD "line %zu is not a key of %zu bytes in base64; make one "
                                        "with: openssl rand -base64 80 | tr -d '\\n'",
                      r->source.noun, r->source.path, number, KEY_SIZE);
}

/* Bytes of the line, -1 if it is no base64. */
static int decode(const unsigned char *line, size_t length, unsigned char *bytes)
{
    if (length == 0 || length > LINE_MAX_SIZE || length % 4 != 0) {
        return -1;
    }
    int n = EVP_DecodeBlock(bytes, line, (int)length);
    for (size_t i = length; n > 0 && i > length - 2 && line[i - 1] == '='; i--) {
        n--;
    }
    return n;
}

static ssl_status read_line(reading *r, const unsigned char *line, size_t length, size_t number)
{
    unsigned char bytes[LINE_MAX_SIZE];
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ')) {
        length--;
    }
    if (length == 0 || line[0] == '#') {
        return SALLY_OK;
    }
    ssl_status status =
        decode(line, length, bytes) == (int)KEY_SIZE ? keep(r, bytes) : refuse_line(r, number);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return status;
}

static ssl_status read_text(reading *r, const sally_file *file)
{
    const unsigned char *at = file->bytes;
    const unsigned char *end = at + file->size;
    ssl_status status = SALLY_OK;
    for (size_t number = 1; status == SALLY_OK && at < end; number++) {
        const unsigned char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        status = read_line(r, at, (size_t)(stop - at), number);
        at = stop + 1;
    }
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* What looks like a byte order mark is the name of a key here. */
static ssl_status read_raw(reading *r, const sally_file *file)
{
    ssl_status status =
        file->owned_size % KEY_SIZE == 0
            ? SALLY_OK
            : refuse(r, "its size is no multiple of 80 bytes, which a key has; keys "
                        "of 48 bytes (AES-128) are not taken");
    for (size_t at = 0; status == SALLY_OK && at < file->owned_size; at += KEY_SIZE) {
        status = keep(r, file->owned + at);
    }
    return status;
}

ssl_status sally_ticket_file_read(const char *path, sally_ticket_key *keys, size_t *count,
                                  ssl_error *err)
{
    reading r = {sally_source_file("ticket keys", path), keys, 0, err};
    sally_file file;
    ssl_status status = sally_file_read(&r.source, &file, err);
    if (status != SALLY_OK) {
        return status;
    }
    status = is_text(&file) ? read_text(&r, &file) : read_raw(&r, &file);
    sally_file_fini(&file);
    if (status == SALLY_OK && r.count == 0) {
        status = refuse(&r, "no key in it");
    }
    *count = r.count;
    return status;
}

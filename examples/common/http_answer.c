/* Sends an answer in parts: see http_answer.h. */
#include "http_answer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"

enum {
    CHUNK = 32768,
    CHUNKS = 16,        /* one after the other, then others have their turn */
    SLOWEST_PER_MS = 16 /* bytes that the slowest client has to take */
};

/* An answer on its way. Its bytes are those of the text, then those of the file. */
typedef struct sending {
    http_stay stay; /* first: a user pointer of http.h */
    int file;
    int64_t from, total, done;
    ssl_deadline deadline;
    bool keep_alive;
    size_t length;
    char text[];
} sending;

static void close_file(int file)
{
    if (file >= 0) {
        close(file);
    }
}

static void end_sending(void *user)
{
    sending *s = user;
    close_file(s->file);
    free(s);
}

bool http_is_answering(const ssl_connection *connection)
{
    const http_stay *stay = ssl_connection_user(connection);
    return stay != NULL && stay->is_answering;
}

/* The next bytes; 0: the file has become shorter. */
static size_t next_bytes(const sending *s, char bytes[CHUNK])
{
    int64_t length = (int64_t)s->length;
    size_t n = 0;
    if (s->done < length) {
        n = (size_t)(length - s->done) < CHUNK ? (size_t)(length - s->done) : CHUNK;
        memcpy(bytes, s->text + s->done, n);
    }
    int64_t at = s->done + (int64_t)n, left = s->total - at;
    size_t room = CHUNK - n;
    if (at >= length && left > 0 && room > 0) {
        size_t wanted = left < (int64_t)room ? (size_t)left : room;
        ssize_t got = pread(s->file, bytes + n, wanted, s->from + at - length);
        n += got > 0 ? (size_t)got : 0;
    }
    return n;
}

static ssl_served cut(ssl_port *out)
{
    ssl_abandon_port(out);
    return SALLY_DONE;
}

/* The last bytes are waited for too, where the connection ends behind them. */
static ssl_served finish(ssl_connection *connection, ssl_port *out, bool keep_alive)
{
    if (!keep_alive && ssl_pending_output(out) != 0) {
        return SALLY_KEEP_WRITING;
    }
    ssl_connection_set_user(connection, NULL, NULL);
    return keep_alive ? SALLY_KEEP : SALLY_DONE;
}

ssl_served http_go_on(ssl_connection *connection, ssl_port *out)
{
    sending *s = ssl_connection_user(connection);
    char bytes[CHUNK];
    size_t n = 1, done = 1;
    for (int i = 0; i < CHUNKS && done == n && s->done < s->total; i++) {
        n = next_bytes(s, bytes);
        if (n == 0 || ssl_write_available(out, bytes, n, &done, NULL) != SALLY_OK) {
            return cut(out);
        }
        s->done += (int64_t)done;
    }
    if (s->done == s->total) {
        return finish(connection, out, s->keep_alive);
    }
    bool late = ssl_deadline_after_ms(0).monotonic_ns >= s->deadline.monotonic_ns;
    return late ? cut(out) : SALLY_KEEP_WRITING;
}

ssl_served http_answer_with(ssl_connection *connection, ssl_port *out, const http_answer *answer)
{
    int64_t of_file = answer->file < 0 ? 0 : answer->to - answer->from;
    sending *s = malloc(sizeof *s + answer->length);
    if (s == NULL) {
        close_file(answer->file);
        return cut(out);
    }
    *s = (sending){
        .stay = {.is_answering = true},
        .file = answer->file,
        .from = answer->from,
        .total = (int64_t)answer->length + of_file,
        .deadline = ssl_deadline_after_ms(answer->patience_ms + of_file / SLOWEST_PER_MS),
        .keep_alive = answer->keep_alive,
        .length = answer->length,
    };
    memcpy(s->text, answer->text, answer->length);
    ssl_connection_set_user(connection, s, end_sending);
    return http_go_on(connection, out);
}

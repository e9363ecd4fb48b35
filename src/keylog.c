/* L3 crypto: the log of secrets, to a callback or a file (keylog.h; C6).
 *
 * A file is opened for appending and each write has whole lines in one write(2), so threads and processes
 * do not cut each other's. What cannot be kept or written is counted and forgotten: a log for debugging
 * must not fail what it watches. Lines are wiped before their memory is given back.
 *
 * Locks: none; a log does not change, but for its counters.
 */
#include "keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic.h"
#include "error.h"
#include "mem.h"
#include "ossl.h"

/* Room for the lines of a handshake, so that they are not moved, which would leave a copy behind. */
#define HANDSHAKE_SIZE 2048

struct sally_keylog {
    sally_atomic_u64 refs;
    sally_atomic_u64 lost;  /* lines */
    ssl_keylogger callback; /* NULL: a file */
    void *user;
    int fd; /* -1: a callback */
};

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int index_of_lines = -1;

/* ---- life ---------------------------------------------------------------------------------- */

static sally_keylog *new_log(ssl_keylogger callback, void *user, int fd)
{
    sally_keylog *log = sally_alloc(sizeof *log);
    if (log != NULL) {
        sally_store_rel(&log->refs, 1);
        log->callback = callback;
        log->user = user;
        log->fd = fd;
    }
    return log;
}

sally_keylog *sally_keylog_new(ssl_keylogger callback, void *user)
{
    return new_log(callback, user, -1);
}

/* 0, or an errno; a FIFO without a reader does not block here, and nothing but a regular file is left
 * open. */
static int open_file(const char *path, int *fd, bool *is_regular)
{
    struct stat about;
    *is_regular = false;
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (*fd < 0) {
        return errno;
    }
    int error = fstat(*fd, &about) == 0 ? 0 : errno;
    *is_regular = error == 0 && S_ISREG(about.st_mode);
    if (!*is_regular) {
        close(*fd);
    }
    return error;
}

ssl_status sally_keylog_open(const char *path, const char *call, sally_keylog **log, ssl_error *err)
{
    int fd;
    bool is_regular;
    *log = NULL;
    int error = open_file(path, &fd, &is_regular);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_CONFIG,
                                "%s: cannot open the key log \"%.160s\"", call, path);
    }
    if (!is_regular) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          "%s: the key log \"%.160s\" is no regular file; name one, or use "
                          "ssl_set_keylogger",
                          call, path);
    }
    *log = new_log(NULL, NULL, fd);
    if (*log == NULL) {
        close(fd);
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    return SALLY_OK;
}

sally_keylog *sally_keylog_retain(sally_keylog *log)
{
    if (log != NULL) {
        (void)sally_add_relaxed(&log->refs, 1);
    }
    return log;
}

void sally_keylog_release(sally_keylog *log)
{
    if (log == NULL || !sally_drop_ref(&log->refs)) {
        return;
    }
    if (log->fd >= 0) {
        close(log->fd);
    }
    sally_free(log);
}

uint64_t sally_keylog_lost(const sally_keylog *log)
{
    return log != NULL ? sally_load_relaxed(&log->lost) : 0;
}

/* ---- from OpenSSL -------------------------------------------------------------------------- */

static void make_index(void)
{
    index_of_lines = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static void on_line(const SSL *ssl, const char *line)
{
    sally_key_lines *lines = SSL_get_ex_data(ssl, index_of_lines);
    if (lines == NULL) {
        return;
    }
    size_t length = strlen(line);
    size_t room = lines->text.length == 0 && length < HANDSHAKE_SIZE ? HANDSHAKE_SIZE : length + 1;
    char *end = sally_buf_reserve(&lines->text, room);
    if (end == NULL) {
        (void)sally_add_relaxed(&lines->log->lost, 1);
        return;
    }
    memcpy(end, line, length + 1);
    end[length] = '\n';
    sally_buf_commit(&lines->text, length + 1);
}

void sally_keylog_configure(SSL_CTX *ctx)
{
    (void)pthread_once(&index_once, make_index);
    SSL_CTX_set_keylog_callback(ctx, on_line);
}

bool sally_keylog_attach(SSL *ssl, sally_key_lines *lines)
{
    return SSL_set_ex_data(ssl, index_of_lines, lines) == 1;
}

/* ---- to the log ---------------------------------------------------------------------------- */

static uint64_t count_lines(const char *text, size_t length)
{
    uint64_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += text[i] == '\n';
    }
    return count;
}

static void write_lines(sally_keylog *log, const char *text, size_t length)
{
    ssize_t n;
    do {
        n = write(log->fd, text, length);
    } while (n < 0 && errno == EINTR);
    size_t written = n > 0 ? (size_t)n : 0;
    if (written != length) {
        (void)sally_add_relaxed(&log->lost, count_lines(text + written, length - written));
    }
}

/* The newlines become the ends of strings. */
static void call_with_lines(const sally_keylog *log, char *text, size_t length)
{
    char *end = text + length;
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        *newline = '\0';
        log->callback(text, log->user);
        text = newline + 1;
    }
    sally_ossl_end(); /* the callback may leave anything in OpenSSL's queue (E1) */
}

bool sally_key_lines_take(sally_key_lines *from, sally_key_lines *to)
{
    if (from->text.length == 0) {
        return false;
    }
    *to = (sally_key_lines){.log = sally_keylog_retain(from->log), .text = from->text};
    from->text = (sally_buf){.data = NULL};
    return true;
}

void sally_key_lines_deliver(sally_key_lines *lines)
{
    char *text = (char *)lines->text.data + lines->text.start;
    if (lines->log->callback != NULL) {
        call_with_lines(lines->log, text, lines->text.length);
    } else {
        write_lines(lines->log, text, lines->text.length);
    }
    sally_key_lines_fini(lines);
}

void sally_key_lines_fini(sally_key_lines *lines)
{
    if (lines->text.data != NULL) {
        OPENSSL_cleanse(lines->text.data, lines->text.capacity);
    }
    sally_buf_fini(&lines->text);
    sally_keylog_release(lines->log);
    lines->log = NULL;
}

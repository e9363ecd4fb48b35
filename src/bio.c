/* L3 crypto: the BIO that takes every record whole (B6; bio.h has the contract).
 *
 * The method table is made once for the process. A connection's BIO serves both directions and points
 * at the sally_bio inside its engine; the connection's lock guards it.
 */
#include "bio.h"

#include <pthread.h>
#include <string.h>

#include "mem.h"

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

/* ---- tape ---------------------------------------------------------------------------------- */

bool sally_bio_tape(sally_bio *state)
{
    state->tape = sally_alloc(sizeof *state->tape);
    return state->tape != NULL;
}

void sally_bio_drop_tape(sally_bio *state)
{
    if (state->tape != NULL) {
        sally_buf_fini(&state->tape->bytes);
        sally_free(state->tape);
        state->tape = NULL;
    }
}

void sally_bio_play(sally_bio *state)
{
    state->tape->playing = true;
}

static bool record(sally_tape *tape, const void *bytes, size_t n)
{
    if (tape->bytes.length + n > SALLY_TAPE_MAX) {
        tape->failed = SALLY_LIMIT;
    } else if (!sally_buf_append(&tape->bytes, bytes, n)) {
        tape->failed = SALLY_MEMORY;
    }
    return tape->failed == SALLY_OK;
}

static size_t play(sally_bio *state, void *buf, size_t n)
{
    sally_buf *bytes = &state->tape->bytes;
    size_t count = n < bytes->length ? n : bytes->length;
    memcpy(buf, sally_buf_front(bytes), count);
    sally_buf_consume(bytes, count);
    if (bytes->length == 0) {
        sally_bio_drop_tape(state);
    }
    return count;
}

/* ---- receiving ----------------------------------------------------------------------------- */

static sally_io receive_next(sally_bio *state, void *buf, size_t n, size_t *count)
{
    if (state->drained || state->receive_ended || state->receive_errno != 0) {
        return SALLY_IO_WOULD_BLOCK;
    }
    sally_io io = state->next->ops->receive(state->next, buf, n, count);
    switch (io) {
    case SALLY_IO_DONE:
        state->receives++;
        sally_traffic_count(state->traffic, SALLY_WIRE_RECEIVED, *count);
        state->drained = *count < n;
        break;
    case SALLY_IO_END: state->receive_ended = true; break;
    case SALLY_IO_FAILED: state->receive_errno = state->next->sys_errno; break;
    case SALLY_IO_WOULD_BLOCK: break;
    }
    return io;
}

static sally_io receive(sally_bio *state, void *buf, size_t n, size_t *count)
{
    sally_tape *tape = state->tape;
    if (tape == NULL) {
        return receive_next(state, buf, n, count);
    }
    if (tape->playing) {
        *count = play(state, buf, n);
        return SALLY_IO_DONE;
    }
    sally_io io =
        tape->failed == SALLY_OK ? receive_next(state, buf, n, count) : SALLY_IO_WOULD_BLOCK;
    return io != SALLY_IO_DONE || record(tape, buf, *count) ? io : SALLY_IO_WOULD_BLOCK;
}

static int bio_read(BIO *bio, char *buf, size_t n, size_t *count)
{
    sally_bio *state = BIO_get_data(bio);
    *count = 0;
    BIO_clear_retry_flags(bio);
    if (receive(state, buf, n, count) == SALLY_IO_DONE) {
        return 1;
    }
    state->receive_blocked = true;
    BIO_set_retry_read(bio);
    return 0;
}

/* ---- sending ------------------------------------------------------------------------------- */

/* How much of the bytes the transport takes now. A dead way out takes, and drops, everything. */
static size_t send_some(sally_bio *state, const void *bytes, size_t n)
{
    size_t sent = 0;
    while (sent < n && state->send_errno == 0) {
        size_t count = 0;
        sally_io io =
            state->next->ops->send(state->next, (const char *)bytes + sent, n - sent, &count);
        sent += count;
        sally_traffic_count(state->traffic, SALLY_WIRE_SENT, count);
        if (io == SALLY_IO_FAILED) {
            state->send_errno = state->next->sys_errno;
        } else if (io != SALLY_IO_DONE) {
            return sent;
        }
    }
    return n;
}

static int bio_write(BIO *bio, const char *bytes, size_t n, size_t *count)
{
    sally_bio *state = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t sent = state->unsent.length == 0 ? send_some(state, bytes, n) : 0;
    if (state->send_errno == 0 && !sally_buf_append(&state->unsent, bytes + sent, n - sent)) {
        state->out_of_memory = true;
        *count = 0;
        return 0;
    }
    *count = n;
    return 1;
}

/* What the transport itself holds comes before what it has not taken yet. */
static void flush_held(sally_bio *state)
{
    if (state->send_errno == 0 && state->next->ops->flush(state->next) == SALLY_IO_FAILED) {
        state->send_errno = state->next->sys_errno;
    }
}

bool sally_bio_flush(sally_bio *state)
{
    if (state->next->held != 0) {
        flush_held(state);
    }
    if (state->unsent.length != 0) {
        size_t sent = send_some(state, sally_buf_front(&state->unsent), state->unsent.length);
        sally_buf_consume(&state->unsent, sent);
    }
    return sally_bio_unsent(state) == 0;
}

size_t sally_bio_unsent(const sally_bio *state)
{
    return state->unsent.length + state->next->held;
}

/* ---- the method ---------------------------------------------------------------------------- */

static long count_unsent(BIO *bio)
{
    const sally_bio *state = BIO_get_data(bio);
    return (long)state->unsent.length;
}

/* OpenSSL flushes at the end of each flight: what was written has been taken, so it is done. Most questions
 * are others, ten for each round trip, whether the kernel does the cryptography, say: it does not. */
static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_WPENDING: return count_unsent(bio);
    default: return 0;
    }
}

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sallyport");
    if (made == NULL) {
        return;
    }
    if (BIO_meth_set_read_ex(made, bio_read) && BIO_meth_set_write_ex(made, bio_write) &&
        BIO_meth_set_ctrl(made, bio_ctrl)) {
        method = made;
    } else {
        BIO_meth_free(made);
    }
}

BIO *sally_bio_new(sally_bio *state)
{
    (void)pthread_once(&method_once, make_method);
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio != NULL) {
        BIO_set_data(bio, state);
        BIO_set_init(bio, 1);
    }
    return bio;
}

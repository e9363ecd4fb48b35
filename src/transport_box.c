/* L2 net: a transport of two boxes (transport_box.h says why).
 *
 * Guard: the connection's lock, except for what belongs to the thread that has claimed a direction, from
 * claim to settle: that way's `said`, `result`, `fault`, `moved`, and its box. While a way is busy, steps
 * leave its box alone: they find it empty, or full.
 */
#include "transport_box.h"

#include <errno.h>
#include <string.h>

#include "fd.h"
#include "mem.h"

/* A whole record with its header and expansion (RFC 8446 section 5.2), and a little. */
#define BOX_BYTES ((size_t)17 * 1024)

typedef struct box {
    size_t begin; /* bytes [begin, end) are in it */
    size_t end;
    unsigned char bytes[BOX_BYTES];
} box;

typedef struct way {
    bool busy;            /* claimed: a thread is in read or write */
    bool moved;           /* the exchange under way brought something */
    sally_io said;        /* by the last read or write of the far side */
    ssl_io_result result; /* and the details */
    const char *fault;    /* what was wrong with that, in words; NULL: nothing */
} way;

typedef struct box_transport {
    sally_transport base; /* first: a sally_transport * of this kind points here */
    const sally_far_ops *far_ops;
    void *far;
    bool waits;
    way in;
    way out;
    size_t asked;   /* what a step asked for and did not get; 0: nobody knows yet */
    sally_buf rest; /* what is unsent at the end, behind the outbox */
    box inbox;
    box outbox;
} box_transport;

static size_t length(const box *b)
{
    return b->end - b->begin;
}

/* Whether the far side said something that stays. */
static bool is_over(const way *w)
{
    return w->said == SALLY_IO_END || w->said == SALLY_IO_FAILED;
}

/* ---- in a step: the lock is held ----------------------------------------------------------- */

static sally_io receive_box(sally_transport *t, void *buf, size_t n, size_t *count)
{
    box_transport *b = (box_transport *)t;
    if (b->in.busy) {
        return SALLY_IO_WOULD_BLOCK;
    }
    if (length(&b->inbox) != 0) {
        *count = n < length(&b->inbox) ? n : length(&b->inbox);
        memcpy(buf, b->inbox.bytes + b->inbox.begin, *count);
        b->inbox.begin += *count;
        b->asked = 0;
        return SALLY_IO_DONE;
    }
    if (is_over(&b->in)) {
        t->sys_errno = b->in.result.sys_errno;
        return b->in.said;
    }
    b->asked = n < BOX_BYTES ? n : BOX_BYTES;
    return SALLY_IO_WOULD_BLOCK;
}

static sally_io flush_box(sally_transport *t)
{
    box_transport *b = (box_transport *)t;
    if (!b->out.busy && is_over(&b->out)) {
        t->sys_errno = b->out.result.sys_errno;
        t->held = 0;
        return SALLY_IO_FAILED;
    }
    return t->held == 0 ? SALLY_IO_DONE : SALLY_IO_WOULD_BLOCK;
}

static sally_io send_box(sally_transport *t, const void *buf, size_t n, size_t *count)
{
    box_transport *b = (box_transport *)t;
    sally_io io = flush_box(t);
    if (io != SALLY_IO_DONE) {
        return io;
    }
    *count = n < BOX_BYTES ? n : BOX_BYTES;
    memcpy(b->outbox.bytes, buf, *count);
    b->outbox.begin = 0;
    b->outbox.end = *count;
    t->held = *count;
    return SALLY_IO_DONE;
}

/* ---- between steps ------------------------------------------------------------------------- */

static bool has_something_to_do(const box_transport *b, sally_direction direction)
{
    return direction == SALLY_SEND ? b->base.held != 0 && !is_over(&b->out)
                                   : b->asked != 0 && length(&b->inbox) == 0 && !is_over(&b->in);
}

static sally_claim claim_box(sally_transport *t, sally_direction direction)
{
    box_transport *b = (box_transport *)t;
    way *w = direction == SALLY_SEND ? &b->out : &b->in;
    if (w->busy) {
        return SALLY_CLAIM_BUSY;
    }
    if (!has_something_to_do(b, direction)) {
        return SALLY_CLAIM_NOTHING;
    }
    w->busy = true;
    w->moved = false;
    return SALLY_CLAIM_TAKEN;
}

/* What a far side must not say, by direction. */
typedef struct nonsense {
    const char *count;
    const char *names_nothing;
    const char *names_closed;
} nonsense;

static const nonsense nonsense_of[] = {
    [SALLY_RECEIVE] =
        {"the callback `read` said DONE with no bytes, or with more than it was asked for",
         "the callback `read` said WOULD_BLOCK, and named no descriptor and events to wait for",
         "the callback `read` said WOULD_BLOCK, and named a descriptor that is not open"},
    [SALLY_SEND] = {
        "the callback `write` said DONE with no bytes, or with more than it was given",
        "the callback `write` said WOULD_BLOCK, and named no descriptor and events to wait for",
        "the callback `write` said WOULD_BLOCK, and named a descriptor that is not open"}};

static sally_io failed(way *w, int sys_errno, const char *fault)
{
    w->result.sys_errno = sys_errno != 0 ? sys_errno : EIO;
    w->fault = fault;
    return SALLY_IO_FAILED;
}

/* Poll ignores a negative descriptor, sleeps where no events are asked for, and never sleeps where a
 * descriptor is not open: whoever waited for these would hang, or spin. */
static sally_io heard_block(const box_transport *b, way *w, const nonsense *wrong)
{
    if (b->waits) {
        return SALLY_IO_WOULD_BLOCK;
    }
    if (w->result.fd < 0 || w->result.events == 0) {
        return failed(w, EINVAL, wrong->names_nothing);
    }
    return sally_fd_is_open(w->result.fd) ? SALLY_IO_WOULD_BLOCK
                                          : failed(w, EBADF, wrong->names_closed);
}

/* What the far side said of `n` bytes, once it has been seen to make sense. */
static sally_io heard(const box_transport *b, way *w, sally_io said, size_t n)
{
    sally_direction direction = w == &b->out ? SALLY_SEND : SALLY_RECEIVE;
    const nonsense *wrong = &nonsense_of[direction];
    switch (said) {
    case SALLY_IO_DONE:
        return w->result.count != 0 && w->result.count <= n ? said
                                                            : failed(w, EINVAL, wrong->count);
    case SALLY_IO_WOULD_BLOCK: return heard_block(b, w, wrong);
    case SALLY_IO_END:
        return direction == SALLY_RECEIVE ? said
                                          : failed(w, EINVAL, "the callback `write` said END");
    default: return failed(w, w->result.sys_errno, NULL);
    }
}

static void fill_inbox(box_transport *b)
{
    way *w = &b->in;
    w->result = (ssl_io_result){.fd = -1};
    sally_io said = b->far_ops->read(b->far, b->inbox.bytes, b->asked, &w->result);
    w->said = heard(b, w, said, b->asked);
    w->moved = w->said != SALLY_IO_WOULD_BLOCK;
    b->inbox.begin = 0;
    b->inbox.end = w->said == SALLY_IO_DONE ? w->result.count : 0;
}

static sally_io write_far(box_transport *b, const void *bytes, size_t n, size_t *count)
{
    way *w = &b->out;
    w->result = (ssl_io_result){.fd = -1};
    w->said = heard(b, w, b->far_ops->write(b->far, bytes, n, &w->result), n);
    *count = w->said == SALLY_IO_DONE ? w->result.count : 0;
    return w->said;
}

static sally_io flush_far(box_transport *b)
{
    way *w = &b->out;
    w->result = (ssl_io_result){.fd = -1};
    w->said = b->far_ops->flush != NULL ? b->far_ops->flush(b->far, &w->result) : SALLY_IO_DONE;
    return w->said;
}

static sally_io empty_outbox(box_transport *b)
{
    box *out = &b->outbox;
    while (length(out) != 0) {
        size_t count;
        sally_io io = write_far(b, out->bytes + out->begin, length(out), &count);
        out->begin += count;
        b->out.moved = b->out.moved || io != SALLY_IO_WOULD_BLOCK;
        if (io != SALLY_IO_DONE) {
            return io;
        }
    }
    sally_io io = flush_far(b);
    b->out.moved = b->out.moved || io != SALLY_IO_WOULD_BLOCK;
    return io;
}

static void exchange_box(sally_transport *t, sally_direction direction)
{
    box_transport *b = (box_transport *)t;
    if (direction == SALLY_SEND) {
        (void)empty_outbox(b);
    } else {
        fill_inbox(b);
    }
}

/* A failure leaves `held` as it is, so that the next step asks for it (flush_box). */
static bool settle_box(sally_transport *t, sally_direction direction)
{
    box_transport *b = (box_transport *)t;
    way *w = direction == SALLY_SEND ? &b->out : &b->in;
    w->busy = false;
    if (direction == SALLY_SEND && !is_over(w)) {
        bool flushing = length(&b->outbox) == 0 && w->said == SALLY_IO_WOULD_BLOCK;
        t->held = flushing ? w->result.count : length(&b->outbox);
    }
    return w->moved;
}

static int wait_fd_box(sally_transport *t, sally_direction direction, short *events)
{
    box_transport *b = (box_transport *)t;
    const way *w = direction == SALLY_SEND ? &b->out : &b->in;
    bool known = !b->waits && !w->busy && w->said == SALLY_IO_WOULD_BLOCK;
    *events = known ? w->result.events : 0;
    return known ? w->result.fd : -1;
}

static int wait_box(sally_transport *t, const sally_transport_wait *how)
{
    box_transport *b = (box_transport *)t;
    return b->far_ops->wait(b->far, how);
}

static int watch_box(sally_transport *t, const sally_transport_wait *how, struct pollfd *fds)
{
    box_transport *b = (box_transport *)t;
    return b->far_ops->watch(b->far, how, fds);
}

static void unwatch_box(sally_transport *t, int side)
{
    box_transport *b = (box_transport *)t;
    b->far_ops->unwatch(b->far, side);
}

static const char *fault_of_box(const sally_transport *t, sally_direction direction)
{
    const box_transport *b = (const box_transport *)t;
    return direction == SALLY_SEND ? b->out.fault : b->in.fault;
}

static int address_box(sally_transport *t, bool remote, sally_addr *addr)
{
    box_transport *b = (box_transport *)t;
    return b->far_ops->address != NULL ? b->far_ops->address(b->far, remote, addr) : ENOTSOCK;
}

/* ---- the end: nobody else is here any more -------------------------------------------------- */

static sally_io send_rest_box(sally_transport *t)
{
    box_transport *b = (box_transport *)t;
    sally_io io = is_over(&b->out) ? SALLY_IO_FAILED : empty_outbox(b);
    while (io == SALLY_IO_DONE && b->rest.length != 0) {
        size_t count;
        io = write_far(b, sally_buf_front(&b->rest), b->rest.length, &count);
        sally_buf_consume(&b->rest, count);
    }
    return io == SALLY_IO_DONE ? flush_far(b) : io;
}

static void end_box(sally_transport *t)
{
    box_transport *b = (box_transport *)t;
    b->far_ops->end(b->far, t->depart == NULL);
    sally_buf_fini(&b->rest);
    sally_free(b);
}

static void finish_box(sally_transport *t, sally_buf *unsent, bool peer_done)
{
    (void)peer_done;
    box_transport *b = (box_transport *)t;
    b->rest = *unsent;
    *unsent = (sally_buf){.data = NULL};
    bool left = send_rest_box(t) == SALLY_IO_WOULD_BLOCK;
    if (!left || t->depart == NULL || !t->depart(t)) {
        end_box(t);
    }
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* They differ in how to wait: NULL means poll. */
#define BOX_OPS(wait_, watch_, unwatch_)                                                           \
    {                                                                                              \
        .receive = receive_box, .send = send_box, .wait_fd = wait_fd_box, .finish = finish_box,    \
        .fault = fault_of_box, .address = address_box, .claim = claim_box,                         \
        .exchange = exchange_box, .settle = settle_box, .flush = flush_box, .wait = (wait_),       \
        .watch = (watch_), .unwatch = (unwatch_), .send_rest = send_rest_box, .end = end_box,      \
    }

static const sally_transport_ops polled_ops = BOX_OPS(NULL, NULL, NULL);
static const sally_transport_ops waiting_ops = BOX_OPS(wait_box, NULL, NULL);
static const sally_transport_ops watched_ops = BOX_OPS(wait_box, watch_box, unwatch_box);

sally_transport *sally_transport_box_new(const sally_far_ops *ops, void *far, bool waits)
{
    box_transport *b = sally_alloc(sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    b->base.ops = waits ? &waiting_ops : &polled_ops;
    b->far_ops = ops;
    b->far = far;
    b->waits = waits;
    return &b->base;
}

void sally_transport_box_let_watch(sally_transport *t)
{
    t->ops = &watched_ops;
}

void sally_transport_box_drop(sally_transport *t)
{
    sally_free(t);
}

/* L2 net: a pair of the user's descriptors as a transport (P7).
 *
 * The loan lasts from sally_transport_fd_new to the end; flags are put back then, also before closing.
 * Where bytes are left at the end, and the descriptors are kept, duplicates do the rest: the user
 * may close his own meanwhile, and their numbers may be another file's soon after. A socket that is to
 * be closed goes to `retire`, like one of ours.
 *
 * No locks: whoever holds the connection's lock calls in here, and later whoever sees it out.
 */
#include "transport_fd.h"

#include <errno.h>
#include <poll.h>

#include "mem.h"

typedef struct fd_transport {
    sally_transport base; /* first: a sally_transport * of this kind points here */
    sally_fd in;
    sally_fd out;
    bool ours; /* to be closed at the end: close_original, or they are duplicates */
    sally_sock_retire retire;
    sally_buf rest; /* what is unsent at the end */
} fd_transport;

static sally_io receive_fd(sally_transport *t, void *buf, size_t n, size_t *count)
{
    return sally_fd_receive(&((fd_transport *)t)->in, buf, n, count, &t->sys_errno);
}

static sally_io send_fd(sally_transport *t, const void *buf, size_t n, size_t *count)
{
    return sally_fd_send(&((fd_transport *)t)->out, buf, n, count, &t->sys_errno);
}

static int wait_fd_fd(sally_transport *t, sally_direction direction, short *events)
{
    fd_transport *f = (fd_transport *)t;
    *events = direction == SALLY_SEND ? POLLOUT : POLLIN;
    return direction == SALLY_SEND ? f->out.number : f->in.number;
}

static int address_fd(sally_transport *t, bool remote, sally_addr *addr)
{
    int fd = ((fd_transport *)t)->out.number;
    return remote ? sally_sock_remote(fd, addr) : sally_sock_local(fd, addr);
}

/* ---- the end ------------------------------------------------------------------------------- */

static sally_io send_rest_fd(sally_transport *t)
{
    sally_buf *rest = &((fd_transport *)t)->rest;
    while (rest->length != 0) {
        size_t sent = 0;
        sally_io io = send_fd(t, sally_buf_front(rest), rest->length, &sent);
        if (io != SALLY_IO_DONE) {
            return io;
        }
        sally_buf_consume(rest, sent);
    }
    return SALLY_IO_DONE;
}

static void give_both_back(const fd_transport *f)
{
    sally_fd_give_back(&f->out);
    sally_fd_give_back(&f->in);
}

static void end_fd(sally_transport *t)
{
    fd_transport *f = (fd_transport *)t;
    give_both_back(f);
    if (f->ours && t->depart != NULL) {
        sally_fd_close(f->out.number);
        if (f->in.number != f->out.number) {
            sally_fd_close(f->in.number);
        }
    }
    sally_buf_fini(&f->rest);
    sally_free(f);
}

/* Both, because the flags of either must be put back later. */
static bool use_duplicates(fd_transport *f)
{
    int out = sally_fd_duplicate(f->out.number);
    int in = f->in.number == f->out.number || out < 0 ? out : sally_fd_duplicate(f->in.number);
    if (in < 0) {
        if (out >= 0) {
            sally_fd_close(out);
        }
        return false;
    }
    f->in.number = in;
    f->out.number = out;
    f->ours = true;
    return true;
}

/* A socket ends like one of ours; what is not the same descriptor is closed here. */
static void retire_socket(fd_transport *f, bool peer_done)
{
    give_both_back(f);
    if (f->in.number != f->out.number) {
        sally_fd_close(f->in.number);
    }
    f->retire(f->out.number, &f->rest, peer_done, 0);
    sally_buf_fini(&f->rest);
    sally_free(f);
}

static void finish_fd(sally_transport *t, sally_buf *unsent, bool peer_done)
{
    fd_transport *f = (fd_transport *)t;
    f->rest = *unsent;
    *unsent = (sally_buf){.data = NULL};
    if (t->depart != NULL && f->ours && f->out.is_socket) {
        retire_socket(f, peer_done);
        return;
    }
    bool left = send_rest_fd(t) == SALLY_IO_WOULD_BLOCK && t->depart != NULL;
    if (!left || (!f->ours && !use_duplicates(f)) || !t->depart(t)) {
        end_fd(t);
    }
}

static const sally_transport_ops fd_ops = {
    .receive = receive_fd,
    .send = send_fd,
    .wait_fd = wait_fd_fd,
    .finish = finish_fd,
    .address = address_fd,
    .send_rest = send_rest_fd,
    .end = end_fd,
};

/* ---- the beginning ------------------------------------------------------------------------- */

static int borrow_both(const fd_transport *f)
{
    int failed = sally_fd_borrow(&f->in);
    if (failed == 0) {
        failed = sally_fd_borrow(&f->out);
    }
    if (failed != 0) {
        give_both_back(f);
    }
    return failed;
}

int sally_transport_fd_new(const sally_fd_setup *setup, sally_transport **t)
{
    *t = NULL;
    fd_transport *f = sally_alloc(sizeof *f);
    if (f == NULL) {
        return ENOMEM;
    }
    f->base.ops = &fd_ops;
    f->in = setup->in;
    f->out = setup->out;
    f->ours = setup->close_original;
    f->retire = setup->retire;
    int failed = borrow_both(f);
    if (failed != 0) {
        sally_free(f);
        return failed;
    }
    *t = &f->base;
    return 0;
}

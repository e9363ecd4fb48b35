/* L6 ends: ssl_fetch_listeners (W8): listening sockets of a process that offers them.
 *
 * What comes is looked at before anything of it counts, though it comes from a process of the same user or
 * root: it may be another program, or another version of this one. Descriptors are ours as soon as they have come, so a
 * record that is no offer is taken whole and its descriptors are closed.
 */
#include <errno.h>

#include "clock.h"
#include "error.h"
#include "inherit.h"
#include "mem.h"
#include "offer.h"
#include "ossl.h"
#include "sock.h"
#include "wait.h"

static const char call[] = "ssl_fetch_listeners";

typedef struct haul {
    ssl_inherited *list;
    size_t room;
    size_t count;
    sally_parcel parcel;
} haul;

static void drop_fds(const sally_parcel *parcel)
{
    for (int i = 0; i < parcel->fd_count; i++) {
        sally_sock_close(parcel->fds[i]);
    }
}

/* ---- what came ----------------------------------------------------------------------------- */

static ssl_status fail_offer(const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_PROTOCOL, SALLY_PHASE_LISTEN, "%s: what came is no offer: %s",
                      call, why);
}

static ssl_status check_fds(const sally_parcel *p, ssl_error *err)
{
    for (int i = 0; i < p->fd_count; i++) {
        bool listening;
        int error = sally_sock_is_listening(p->fds[i], &listening);
        if (error != 0 && error != ENOTSOCK) {
            return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s", call);
        }
        if (!listening) {
            return fail_offer("one of the descriptors is no listening socket", err);
        }
    }
    return SALLY_OK;
}

static ssl_status check_room(const haul *h, ssl_error *err)
{
    if (h->parcel.cut && h->parcel.length <= SALLY_OFFER_BYTES_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_LISTEN,
                          "%s: there are more descriptors than this process may open "
                          "(RLIMIT_NOFILE)",
                          call);
    }
    if (h->parcel.cut) {
        return fail_offer("it is too long", err);
    }
    return (size_t)h->parcel.fd_count <= h->room
               ? SALLY_OK
               : sally_fail(err, SALLY_LIMIT, SALLY_PHASE_LISTEN,
                            "%s: %d descriptors came, and there is room for %zu", call,
                            h->parcel.fd_count, h->room);
}

static void fill_list(haul *h, const char *names)
{
    for (; h->count < (size_t)h->parcel.fd_count; h->count++) {
        sally_inherited_fill(&h->list[h->count], h->parcel.fds[h->count], &names);
    }
}

/* The record has room for a NUL behind it, and one is there. */
static ssl_status read_record(haul *h, ssl_error *err)
{
    const char *why;
    const char *names =
        sally_offer_names(h->parcel.bytes, h->parcel.length, h->parcel.fd_count, &why);
    ssl_status status = names != NULL ? check_fds(&h->parcel, err) : fail_offer(why, err);
    if (status == SALLY_OK) {
        fill_list(h, names);
    }
    return status;
}

static ssl_status judge(haul *h, ssl_error *err)
{
    ssl_status status = check_room(h, err);
    if (status == SALLY_OK) {
        status = read_record(h, err);
    }
    if (status != SALLY_OK) {
        drop_fds(&h->parcel);
    }
    return status;
}

/* ---- the other process --------------------------------------------------------------------- */

/* One byte more than an offer may have tells a long one; one more is for the NUL. */
static ssl_status receive(haul *h, int fd, const sally_scope *scope, ssl_error *err)
{
    int error = 0;
    sally_io io;
    do {
        ssl_status status = sally_wait_readable(fd, scope, SALLY_PHASE_LISTEN, err);
        if (status != SALLY_OK) {
            return status;
        }
        h->parcel.length = SALLY_OFFER_BYTES_MAX + 1;
        io = sally_sock_receive_parcel(fd, &h->parcel, &error);
    } while (io == SALLY_IO_WOULD_BLOCK);
    if (io == SALLY_IO_FAILED && error != ECONNRESET) {
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s", call);
    }
    return io == SALLY_IO_DONE
               ? judge(h, err)
               : sally_fail(err, SALLY_TRUNCATED, SALLY_PHASE_LISTEN,
                            "%s: the process there has stopped offering, or has ended", call);
}

static ssl_status fetch_from(haul *h, int fd, const sally_scope *scope, ssl_error *err)
{
    pid_t pid;
    ssl_status status = sally_offer_check_peer(call, fd, &pid, err);
    if (status != SALLY_OK) {
        return status;
    }
    h->parcel.bytes = sally_alloc(SALLY_OFFER_BYTES_MAX + 2);
    if (h->parcel.bytes == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, call);
    }
    status = receive(h, fd, scope, err);
    sally_free(h->parcel.bytes);
    return status;
}

/* No file, or nobody behind it. */
static bool is_nobody(int error)
{
    return error == ENOENT || error == ECONNREFUSED;
}

static ssl_status fetch(haul *h, const sally_addr *addr, const sally_scope *scope, ssl_error *err)
{
    int fd;
    int error = sally_sock_open_records(AF_UNIX, &fd);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot open a socket", call);
    }
    error = sally_sock_connect(fd, addr);
    ssl_status status = error == 0 ? fetch_from(h, fd, scope, err) : SALLY_OK;
    if (error != 0 && !is_nobody(error)) {
        status = sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot connect", call);
    }
    if (status == SALLY_OK && error == 0) {
        sally_take_over_later(fd);
    } else {
        sally_sock_close(fd);
    }
    return status;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static ssl_status check(const haul *h, const char *where, sally_addr *addr, ssl_error *err)
{
    if (h->list == NULL && h->room != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: list is NULL", call);
    }
    return sally_offer_find(call, where, addr, err);
}

static ssl_status fetch_how(const char *where, sally_how how, haul *h, size_t *count,
                            ssl_error *err)
{
    sally_scope scope;
    sally_addr addr;
    sally_ossl_begin();
    if (count == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: count is NULL", call);
    }
    *count = 0;
    ssl_status status = check(h, where, &addr, err);
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, SALLY_PHASE_LISTEN, err);
    }
    if (status == SALLY_OK) {
        scope.call = call;
        sally_scope_bound(&scope, sally_deadline_after_ms(SALLY_FETCH_TIMEOUT_MS));
        status = fetch(h, &addr, &scope, err);
    }
    if (status == SALLY_OK) {
        *count = h->count;
        sally_error_none(err);
    }
    return status;
}

ssl_status ssl_fetch_listeners(const char *where, ssl_inherited *list, size_t room, size_t *count,
                               ssl_error *err)
{
    return fetch_how(where, SALLY_PLAIN, &(haul){.list = list, .room = room}, count, err);
}

ssl_status ssl_fetch_listeners_enable_break(const char *where, ssl_break *brk, ssl_inherited *list,
                                            size_t room, size_t *count, ssl_error *err)
{
    return fetch_how(where, SALLY_ENABLE(brk), &(haul){.list = list, .room = room}, count, err);
}

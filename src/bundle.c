/* L6 ends: listening sockets on their way to another process (bundle.h). No locks of its own. */
#include "bundle.h"

#include <string.h>

#include "error.h"
#include "inherit.h"
#include "listener.h"
#include "mem.h"
#include "sock.h"

/* ---- what is asked for --------------------------------------------------------------------- */

static ssl_status fail_usage(const char *call, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", call, why);
}

static bool are_names(const char *const *names, size_t count)
{
    for (size_t i = 0; names != NULL && i < count; i++) {
        if (names[i] == NULL || strchr(names[i], ':') != NULL) {
            return false;
        }
    }
    return true;
}

static ssl_status check_listeners(const char *call, const ssl_handed_sockets *sockets,
                                  ssl_error *err)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->listeners[i] == NULL) {
            return fail_usage(call, "one of sockets.listeners is NULL", err);
        }
    }
    return SALLY_OK;
}

static ssl_status check_fds(const char *call, const ssl_handed_sockets *sockets, ssl_error *err)
{
    for (size_t i = 0; i < sockets->fd_count; i++) {
        bool listening;
        if (sally_sock_is_listening(sockets->fds[i], &listening) != 0 || !listening) {
            return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                              "%s: descriptor %d in sockets.fds is no listening socket", call,
                              sockets->fds[i]);
        }
    }
    return SALLY_OK;
}

ssl_status sally_bundle_check(const char *call, const ssl_handed_sockets *sockets, ssl_error *err)
{
    bool has_lists = (sockets->count == 0 || sockets->listeners != NULL) &&
                     (sockets->fd_count == 0 || sockets->fds != NULL);
    if (sockets->count + sockets->fd_count == 0 || !has_lists) {
        return fail_usage(call, "there is no listener to hand over", err);
    }
    if (!are_names(sockets->names, sockets->count)) {
        return fail_usage(call, "each of sockets.names must be a name without ':'", err);
    }
    if (!are_names(sockets->fd_names, sockets->fd_count)) {
        return fail_usage(call, "each of sockets.fd_names must be a name without ':'", err);
    }
    ssl_status status = check_listeners(call, sockets, err);
    return status == SALLY_OK ? check_fds(call, sockets, err) : status;
}

/* ---- the bundle ---------------------------------------------------------------------------- */

static const char *name_of(const char *const *names, size_t i)
{
    return names != NULL ? names[i] : SALLY_INHERITED_UNNAMED;
}

static size_t names_size(const ssl_handed_sockets *sockets)
{
    size_t size = 1;
    for (size_t i = 0; i < sockets->count; i++) {
        size += (strlen(name_of(sockets->names, i)) + 1) * SALLY_LISTENER_FDS_MAX;
    }
    for (size_t i = 0; i < sockets->fd_count; i++) {
        size += strlen(name_of(sockets->fd_names, i)) + 1;
    }
    return size;
}

static bool make_room(sally_bundle *b)
{
    size_t most = b->sockets->count * SALLY_LISTENER_FDS_MAX + b->sockets->fd_count;
    b->fds = sally_alloc_array(most, sizeof *b->fds);
    b->names = b->fds != NULL ? sally_alloc(names_size(b->sockets)) : NULL;
    return b->names != NULL;
}

/* The last `count` descriptors have this name. */
static void add_names(sally_bundle *b, const char *name, int count)
{
    size_t length = strlen(name);
    for (int i = b->count - count; i < b->count; i++) {
        if (i != 0) {
            b->names[b->names_length++] = ':';
        }
        memcpy(b->names + b->names_length, name, length);
        b->names_length += length;
    }
}

static void add_fds(sally_bundle *b)
{
    for (size_t i = 0; i < b->sockets->fd_count; i++) {
        b->fds[b->count++] = b->sockets->fds[i];
        add_names(b, name_of(b->sockets->fd_names, i), 1);
    }
}

/* False when it is closed. */
static bool take_one(sally_bundle *b, ssl_listener *l, const char *name)
{
    if (!sally_listener_enter(l)) {
        return false;
    }
    b->entered++;
    int count = sally_listener_fds(l, b->fds + b->count);
    b->count += count;
    add_names(b, name, count);
    return count != 0;
}

ssl_status sally_bundle_take_in(sally_bundle *b, const char *call,
                                const ssl_handed_sockets *sockets, ssl_error *err)
{
    *b = (sally_bundle){.sockets = sockets};
    if (!make_room(b)) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, call);
    }
    for (size_t i = 0; i < sockets->count; i++) {
        if (!take_one(b, sockets->listeners[i], name_of(sockets->names, i))) {
            return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_LISTEN,
                              "%s: listener %zu has been closed", call, i);
        }
    }
    add_fds(b);
    return SALLY_OK;
}

void sally_bundle_let_go(sally_bundle *b)
{
    while (b->entered > 0) {
        sally_listener_leave(b->sockets->listeners[--b->entered]);
    }
    sally_free(b->fds);
    sally_free(b->names);
}

void sally_bundle_leave_files(const sally_bundle *b)
{
    for (size_t i = 0; i < b->sockets->count; i++) {
        sally_listener_leave_file(b->sockets->listeners[i]);
    }
}

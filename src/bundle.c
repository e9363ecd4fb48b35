/* L6 ends: listening sockets on their way to another process (bundle.h). No locks of its own. */
#include "bundle.h"

#include <string.h>

#include "error.h"
#include "inherit.h"
#include "listener.h"
#include "mem.h"
#include "sock.h"

/* ---- what is asked for --------------------------------------------------------------------- */

static ssl_status fail_usage(const sally_goods *goods, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", goods->call, why);
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

static ssl_status check_listeners(const sally_goods *goods, ssl_error *err)
{
    for (size_t i = 0; i < goods->count; i++) {
        if (goods->listeners[i] == NULL) {
            return fail_usage(goods, "one of options.listeners is NULL", err);
        }
    }
    return SALLY_OK;
}

static ssl_status check_fds(const sally_goods *goods, ssl_error *err)
{
    for (size_t i = 0; i < goods->fd_count; i++) {
        bool listening;
        if (sally_sock_is_listening(goods->fds[i], &listening) != 0 || !listening) {
            return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                              "%s: descriptor %d in options.fds is no listening socket",
                              goods->call, goods->fds[i]);
        }
    }
    return SALLY_OK;
}

ssl_status sally_bundle_check(const sally_goods *goods, ssl_error *err)
{
    bool has_lists = (goods->count == 0 || goods->listeners != NULL) &&
                     (goods->fd_count == 0 || goods->fds != NULL);
    if (goods->count + goods->fd_count == 0 || !has_lists) {
        return fail_usage(goods, "there is no listener to hand over", err);
    }
    if (!are_names(goods->names, goods->count)) {
        return fail_usage(goods, "each of options.names must be a name without ':'", err);
    }
    if (!are_names(goods->fd_names, goods->fd_count)) {
        return fail_usage(goods, "each of options.fd_names must be a name without ':'", err);
    }
    ssl_status status = check_listeners(goods, err);
    return status == SALLY_OK ? check_fds(goods, err) : status;
}

/* ---- the bundle ---------------------------------------------------------------------------- */

static const char *name_of(const char *const *names, size_t i)
{
    return names != NULL ? names[i] : SALLY_INHERITED_UNNAMED;
}

static size_t names_size(const sally_goods *goods)
{
    size_t size = 1;
    for (size_t i = 0; i < goods->count; i++) {
        size += (strlen(name_of(goods->names, i)) + 1) * SALLY_LISTENER_FDS_MAX;
    }
    for (size_t i = 0; i < goods->fd_count; i++) {
        size += strlen(name_of(goods->fd_names, i)) + 1;
    }
    return size;
}

static bool make_room(sally_bundle *b)
{
    size_t most = b->goods->count * SALLY_LISTENER_FDS_MAX + b->goods->fd_count;
    b->fds = sally_alloc_array(most, sizeof *b->fds);
    b->names = b->fds != NULL ? sally_alloc(names_size(b->goods)) : NULL;
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
    for (size_t i = 0; i < b->goods->fd_count; i++) {
        b->fds[b->count++] = b->goods->fds[i];
        add_names(b, name_of(b->goods->fd_names, i), 1);
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

ssl_status sally_bundle_take_in(sally_bundle *b, const sally_goods *goods, ssl_error *err)
{
    *b = (sally_bundle){.goods = goods};
    if (!make_room(b)) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, goods->call);
    }
    for (size_t i = 0; i < goods->count; i++) {
        if (!take_one(b, goods->listeners[i], name_of(goods->names, i))) {
            return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_LISTEN,
                              "%s: listener %zu has been closed", goods->call, i);
        }
    }
    add_fds(b);
    return SALLY_OK;
}

void sally_bundle_let_go(sally_bundle *b)
{
    while (b->entered > 0) {
        sally_listener_leave(b->goods->listeners[--b->entered]);
    }
    sally_free(b->fds);
    sally_free(b->names);
}

void sally_bundle_leave_files(const sally_bundle *b)
{
    for (size_t i = 0; i < b->goods->count; i++) {
        sally_listener_leave_file(b->goods->listeners[i]);
    }
}

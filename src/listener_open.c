/* L6 ends: ssl_listen (L1).
 *
 * One listening socket per address of the host. Without a host one IPv6 socket serves IPv4 too; where
 * there is no IPv6, an IPv4 one. With port 0 the kernel picks a port for the first address and the
 * others must get the same: when one of them is taken there, all begin again with another pick.
 *
 * The fds belong to the listener struct from the moment they are open; until ssl_listen returns it,
 * nobody else knows it, so no lock is held here.
 */
#include <errno.h>
#include <string.h>

#include "error.h"
#include "listener.h"
#include "ossl.h"
#include "sock.h"

#define PORT_MAX    65535
#define UNIX_PREFIX "unix:"
/* Picks of the kernel that may turn out to be taken at another address. */
#define PICKS_MAX   16

static const char call[] = "ssl_listen";

/* ---- the port ----------------------------------------------------------------------------- */

static bool is_unix(const char *host)
{
    return host != NULL && strncmp(host, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0;
}

static ssl_status check_port(int port, const char *host, ssl_error *err)
{
    if (port < 0 || port > PORT_MAX) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                          "%s: port %d is out of range; TCP ports are 1 to %d, and 0 picks one",
                          call, port, PORT_MAX);
    }
    if (is_unix(host) && port != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                          "%s: port %d given for the Unix socket \"%s\"; it must be 0", call, port,
                          host);
    }
    return SALLY_OK;
}

/* ---- sockets ------------------------------------------------------------------------------- */

/* What is listened on, and what came of it. */
typedef struct opening {
    const ssl_listen_options *options;
    sally_resolved found;
    int failed_errno; /* of the last address that could not be had, or 0 */
    sally_addr failed;
} opening;

void sally_listener_leave_file(ssl_listener *l)
{
    sally_mutex_lock(&l->lock);
    l->unix_file.exists = false;
    sally_mutex_unlock(&l->lock);
}

void sally_listener_close_fds(ssl_listener *l)
{
    sally_unix_file_remove(&l->local, &l->unix_file);
    for (int i = 0; i < l->fd_count; i++) {
        sally_sock_close(l->fds[i]);
    }
    l->fd_count = 0;
}

/* This machine does not have the address, as ::1 where IPv6 is off: the other ones will do. */
static bool is_absent(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

static int open_one(ssl_listener *l, const sally_addr *addr, const ssl_listen_options *options)
{
    sally_sock_listen how = {.backlog = options->backlog != 0 ? options->backlog : SOMAXCONN,
                             .reuse = options->reuse,
                             .v6_only = options->host != NULL};
    int error = sally_sock_listen_on(addr, &how, &l->fds[l->fd_count]);
    if (error == 0) {
        l->fd_count++;
    }
    return error;
}

/* The port that the first socket got, and its file. */
static int learn_local(ssl_listener *l)
{
    if (l->local.length != 0) {
        return 0;
    }
    int error = sally_sock_local(l->fds[0], &l->local);
    if (error == 0) {
        sally_unix_file_remember(&l->local, &l->unix_file);
    }
    return error;
}

static int open_next(ssl_listener *l, opening *o, const sally_addr *wanted)
{
    sally_addr addr = *wanted;
    if (l->fd_count != 0) {
        sally_addr_set_port(&addr, sally_addr_port(&l->local));
    }
    int error = open_one(l, &addr, o->options);
    if (error == 0) {
        error = learn_local(l);
    }
    if (error != 0) {
        o->failed = addr;
        o->failed_errno = error;
    }
    return error;
}

/* The wildcards are one address in two forms: the first that can be had serves both. */
static bool is_enough(const ssl_listener *l, const opening *o)
{
    return o->options->host == NULL && l->fd_count != 0;
}

/* One socket per address, or the errno of the one that failed and none. */
static int open_all(ssl_listener *l, opening *o)
{
    l->local.length = 0;
    for (int i = 0; i < o->found.count && !is_enough(l, o); i++) {
        int error = open_next(l, o, &o->found.addresses[i]);
        if (error != 0 && !is_absent(error)) {
            sally_listener_close_fds(l);
            return error;
        }
    }
    return l->fd_count != 0 ? 0 : o->failed_errno;
}

static const char *way_out(int error)
{
    switch (error) {
    case EADDRINUSE: return " (port 0 picks a free one)";
    case EACCES: return " (ports below 1024, and directories of Unix sockets, need a privilege)";
    case EADDRNOTAVAIL: return " (it must be an address of this machine)";
    default: return "";
    }
}

static ssl_status open_sockets(ssl_listener *l, opening *o, int port, ssl_error *err)
{
    int error = open_all(l, o);
    for (int i = 1; i < PICKS_MAX && error == EADDRINUSE && port == 0; i++) {
        error = open_all(l, o);
    }
    if (error == 0) {
        return SALLY_OK;
    }
    char where[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&o->failed, where, sizeof where);
    return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot listen on %s%s", call,
                            where, way_out(error));
}

/* ---- the listener -------------------------------------------------------------------------- */

static ssl_status open_listener(ssl_listener *l, const ssl_listen_options *options, int port,
                                const sally_scope *scope, ssl_error *err)
{
    opening o = {.options = options};
    ssl_status status = sally_resolve(options->host, port, true, scope, &o.found, err);
    return status == SALLY_OK ? open_sockets(l, &o, port, err) : status;
}

/* What a call asks for. */
typedef struct request {
    int port;
    sally_listener_setup setup;
} request;

static ssl_status listen_checked(const request *asked, const sally_scope *scope,
                                 ssl_listener **listener, ssl_error *err)
{
    ssl_listener *l;
    ssl_status status = sally_listener_make(&asked->setup, &l, err);
    if (status != SALLY_OK) {
        return status;
    }
    status = open_listener(l, asked->setup.options, asked->port, scope, err);
    if (status != SALLY_OK) {
        sally_listener_discard(l);
        return status;
    }
    *listener = l;
    sally_error_none(err);
    return SALLY_OK;
}

static ssl_status listen_how(request asked, sally_how how, ssl_listener **listener, ssl_error *err)
{
    static const ssl_listen_options usual = SALLY_LISTEN_OPTIONS;
    sally_ossl_begin();
    if (listener == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: listener is NULL", call);
    }
    *listener = NULL;
    if (asked.setup.options == NULL) {
        asked.setup.options = &usual;
    }
    sally_scope scope;
    ssl_status status = check_port(asked.port, asked.setup.options->host, err);
    if (status == SALLY_OK) {
        status = sally_listener_check(&asked.setup, err);
    }
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, SALLY_PHASE_LISTEN, err);
    }
    scope.call = call;
    return status == SALLY_OK ? listen_checked(&asked, &scope, listener, err) : status;
}

ssl_status ssl_listen(int port, const ssl_listen_options *options, ssl_context *context,
                      ssl_listener **listener, ssl_error *err)
{
    return listen_how((request){port, {options, context, call}}, SALLY_PLAIN, listener, err);
}

ssl_status ssl_listen_enable_break(int port, const ssl_listen_options *options,
                                   ssl_context *context, ssl_break *brk, ssl_listener **listener,
                                   ssl_error *err)
{
    return listen_how((request){port, {options, context, call}}, SALLY_ENABLE(brk), listener, err);
}

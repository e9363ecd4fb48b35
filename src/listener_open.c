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
#include <sys/stat.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "listener.h"
#include "mem.h"
#include "ossl.h"
#include "sock.h"

#define PORT_MAX    65535
#define UNIX_PREFIX "unix:"
/* Picks of the kernel that may turn out to be taken at another address. */
#define PICKS_MAX   16

static const char call[] = "ssl_listen";

/* ---- arguments ----------------------------------------------------------------------------- */

static bool is_unix(const char *host)
{
    return host != NULL && strncmp(host, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0;
}

static ssl_status fail_usage(ssl_error *err, const char *why)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", call, why);
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

static ssl_status check_options(const ssl_listen_options *options, ssl_error *err)
{
    if (options->host != NULL && options->host[0] == '\0') {
        return fail_usage(err, "options.host is empty; NULL stands for all addresses");
    }
    if (options->backlog < 0) {
        return fail_usage(err, "options.backlog is negative; 0 stands for the largest");
    }
    if (options->handshake_timeout_ms == 0) {
        return fail_usage(err, "options.handshake_timeout_ms is 0: no handshake could be done; "
                               "negative stands for no limit");
    }
    if (options->pending_max == 0) {
        return fail_usage(err, "options.pending_max is 0: no client could be taken");
    }
    return SALLY_OK;
}

/* That it is for servers, and can serve, is found out before a socket is opened. */
static ssl_status check_context(ssl_context *context, const ssl_listen_options *options,
                                ssl_error *err)
{
    if (context == NULL && options->registry != NULL) {
        return SALLY_OK;
    }
    if (context == NULL) {
        return fail_usage(err, "the context is NULL; a server needs one with an identity, or "
                               "options.registry");
    }
    sally_policy policy;
    ssl_status status = sally_context_policy(context, false, call, &policy, err);
    if (status == SALLY_OK) {
        sally_policy_fini(&policy);
    }
    return status;
}

/* ---- sockets ------------------------------------------------------------------------------- */

/* What is listened on, and what came of it. */
typedef struct opening {
    const ssl_listen_options *options;
    sally_resolved found;
    int failed_errno; /* of the last address that could not be had, or 0 */
    sally_addr failed;
} opening;

static void remember_unix_file(ssl_listener *l)
{
    struct stat file;
    const char *path = sally_addr_unix_path(&l->local);
    if (path != NULL && lstat(path, &file) == 0) {
        l->unix_file = (sally_unix_file){true, file.st_dev, file.st_ino};
    }
}

static void remove_unix_file(const ssl_listener *l)
{
    struct stat file;
    const char *path = sally_addr_unix_path(&l->local);
    if (l->unix_file.exists && lstat(path, &file) == 0 && file.st_dev == l->unix_file.device &&
        file.st_ino == l->unix_file.inode) {
        (void)unlink(path);
    }
}

void sally_listener_close_fds(ssl_listener *l)
{
    remove_unix_file(l);
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
        remember_unix_file(l);
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
    if (status != SALLY_OK) {
        return status;
    }
    int error = sally_handshakes_init(&l->handshakes);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot make an event set",
                                call);
    }
    status = open_sockets(l, &o, port, err);
    if (status != SALLY_OK) {
        sally_handshakes_fini(&l->handshakes);
    }
    return status;
}

static sally_front new_front(const ssl_listen_options *options, ssl_context *context)
{
    return (sally_front){.context = context != NULL ? ssl_context_retain(context)
                                                    : sally_context_doorkeeper(),
                         .registry = ssl_registry_retain(options->registry)};
}

static ssl_listener *new_listener(const ssl_listen_options *options, ssl_context *context)
{
    sally_front front = new_front(options, context);
    ssl_listener *l = front.context != NULL ? sally_alloc(sizeof *l) : NULL;
    if (l == NULL) {
        ssl_context_release(front.context);
        ssl_registry_release(front.registry);
        return NULL;
    }
    sally_mutex_init(&l->lock, SALLY_RANK_LISTENER);
    sally_list_init(&l->watches);
    l->front = front;
    l->handshake_timeout_ms = options->handshake_timeout_ms;
    l->pending_max = options->pending_max;
    return l;
}

/* What a call asks for. */
typedef struct request {
    int port;
    const ssl_listen_options *options;
    ssl_context *context;
} request;

static ssl_status listen_checked(const request *asked, const sally_scope *scope,
                                 ssl_listener **listener, ssl_error *err)
{
    sally_trust *trust;
    ssl_status status =
        sally_trust_new(asked->options->proxy, asked->options->proxy_trusted, call, &trust, err);
    if (status != SALLY_OK) {
        return status;
    }
    ssl_listener *l = new_listener(asked->options, asked->context);
    if (l == NULL) {
        sally_trust_free(trust);
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, call);
    }
    l->front.trust = trust;
    status = open_listener(l, asked->options, asked->port, scope, err);
    if (status != SALLY_OK) {
        l->closed = true; /* nothing is open: freeing it closes nothing */
        ssl_free_listener(l);
        return status;
    }
    *listener = l;
    sally_error_none(err);
    return SALLY_OK;
}

static ssl_status check_request(const request *asked, ssl_error *err)
{
    ssl_status status = check_port(asked->port, asked->options->host, err);
    if (status == SALLY_OK) {
        status = check_options(asked->options, err);
    }
    return status == SALLY_OK ? check_context(asked->context, asked->options, err) : status;
}

static ssl_status listen_how(request asked, sally_how how, ssl_listener **listener, ssl_error *err)
{
    static const ssl_listen_options usual = SALLY_LISTEN_OPTIONS;
    sally_ossl_begin();
    if (listener == NULL) {
        return fail_usage(err, "listener is NULL");
    }
    *listener = NULL;
    if (asked.options == NULL) {
        asked.options = &usual;
    }
    sally_scope scope;
    ssl_status status = check_request(&asked, err);
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, SALLY_PHASE_LISTEN, err);
    }
    return status == SALLY_OK ? listen_checked(&asked, &scope, listener, err) : status;
}

ssl_status ssl_listen(int port, const ssl_listen_options *options, ssl_context *context,
                      ssl_listener **listener, ssl_error *err)
{
    return listen_how((request){port, options, context}, SALLY_PLAIN, listener, err);
}

ssl_status ssl_listen_enable_break(int port, const ssl_listen_options *options,
                                   ssl_context *context, ssl_break *brk, ssl_listener **listener,
                                   ssl_error *err)
{
    return listen_how((request){port, options, context}, SALLY_ENABLE(brk), listener, err);
}

/* L5 ports: TLS over transports of the user's (P7).
 *
 * The transport is made, then the connection over it, then the handshake is done. Until that has
 * succeeded nothing is read ahead, and the transport's `depart` is NULL, which means: whatever ends it gives the
 * original back as it was. So a failure anywhere has one way out, and so has a break.
 *
 * No locks: everything here belongs to the call until it returns the ports.
 */
#include "sallyport/wrap.h"

#include <errno.h>

#include "alpn.h"
#include "conn.h"
#include "error.h"
#include "farewell.h"
#include "linger.h"
#include "ossl.h"
#include "transport_box.h"
#include "transport_fd.h"
#include "transport_port.h"

/* One call. */
typedef struct wrapping {
    const char *call; /* for error texts */
    const ssl_transport *over;
    ssl_wrap_options options;
} wrapping;

#define PHASE SALLY_PHASE_HANDSHAKE

/* ---- transports as values ------------------------------------------------------------------ */

ssl_transport ssl_transport_fds(int in_fd, int out_fd)
{
    ssl_transport over = {.kind = SALLY_TRANSPORT_FDS};
    over.of.fds.in = in_fd;
    over.of.fds.out = out_fd;
    return over;
}

ssl_transport ssl_transport_ports(ssl_ports ports)
{
    ssl_transport over = {.kind = SALLY_TRANSPORT_PORTS};
    over.of.ports = ports;
    return over;
}

ssl_transport ssl_transport_callbacks(const ssl_callbacks *callbacks)
{
    ssl_transport over = {.kind = SALLY_TRANSPORT_CALLBACKS};
    if (callbacks != NULL) {
        over.of.callbacks = *callbacks;
    }
    return over;
}

/* ---- over descriptors ---------------------------------------------------------------------- */

static ssl_status fail_fd(const wrapping *w, int number, bool for_writing, int error,
                          ssl_error *err)
{
    const char *direction = for_writing ? "writing" : "reading";
    switch (error) {
    case EBADF:
        return sally_fail(err, SALLY_USAGE, PHASE, "%s: descriptor %d is not open", w->call,
                          number);
    case EACCES:
        return sally_fail(err, SALLY_USAGE, PHASE, "%s: descriptor %d is not open for %s", w->call,
                          number, direction);
    case EPROTOTYPE:
        return sally_fail(err, SALLY_USAGE, PHASE,
                          "%s: descriptor %d is a socket that is no stream (SOCK_STREAM)", w->call,
                          number);
    default:
        return sally_fail_errno(err, error, PHASE, "%s: descriptor %d for %s", w->call, number,
                                direction);
    }
}

static ssl_status look_at_fd(const wrapping *w, int number, bool for_writing, sally_fd *fd,
                             ssl_error *err)
{
    int failed = sally_fd_look(number, for_writing, fd);
    return failed == 0 ? SALLY_OK : fail_fd(w, number, for_writing, failed, err);
}

static ssl_status over_fds(const wrapping *w, sally_transport **t, ssl_error *err)
{
    sally_fd_setup setup = {.close_original = w->options.close_original,
                            .retire = sally_linger_retire};
    ssl_status status = look_at_fd(w, w->over->of.fds.in, false, &setup.in, err);
    if (status == SALLY_OK) {
        status = look_at_fd(w, w->over->of.fds.out, true, &setup.out, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    int failed = sally_transport_fd_new(&setup, t);
    return failed == 0
               ? SALLY_OK
               : sally_fail_errno(err, failed, PHASE, "%s: cannot use descriptors %d and %d",
                                  w->call, setup.in.number, setup.out.number);
}

/* ---- over ports and callbacks -------------------------------------------------------------- */

static ssl_status over_ports(const wrapping *w, sally_transport **t, ssl_error *err)
{
    ssl_ports below = w->over->of.ports;
    if (below.in == NULL || below.out == NULL) {
        return sally_fail(err, SALLY_USAGE, PHASE, "%s: the %s port of the pair below is NULL",
                          w->call, below.in == NULL ? "input" : "output");
    }
    if (below.in->side != SALLY_IN || below.out->side != SALLY_OUT ||
        below.in->conn != below.out->conn) {
        return sally_fail(err, SALLY_USAGE, PHASE,
                          "%s: the pair below must be the input and the output port of one "
                          "connection",
                          w->call);
    }
    sally_port_setup setup = {
        .ports = below, .close_original = w->options.close_original, .call = w->call};
    return sally_transport_port_new(&setup, t, err);
}

static ssl_status over_callbacks(const wrapping *w, sally_transport **t, ssl_error *err)
{
    const ssl_callbacks *callbacks = &w->over->of.callbacks;
    if (callbacks->read == NULL || callbacks->write == NULL) {
        return sally_fail(err, SALLY_USAGE, PHASE, "%s: the %s callback is NULL", w->call,
                          callbacks->read == NULL ? "read" : "write");
    }
    *t = sally_transport_callback_new(callbacks, w->options.close_original);
    return *t != NULL ? SALLY_OK : sally_fail_memory(err, PHASE, w->call);
}

static ssl_status open_transport(const wrapping *w, sally_transport **t, ssl_error *err)
{
    *t = NULL;
    switch (w->over->kind) {
    case SALLY_TRANSPORT_FDS: return over_fds(w, t, err);
    case SALLY_TRANSPORT_PORTS: return over_ports(w, t, err);
    case SALLY_TRANSPORT_CALLBACKS: return over_callbacks(w, t, err);
    case SALLY_TRANSPORT_NONE: break;
    }
    return sally_fail(err, SALLY_USAGE, PHASE,
                      "%s: no transport; make one with ssl_transport_fds, ssl_transport_ports or "
                      "ssl_transport_callbacks",
                      w->call);
}

/* ---- the connection ------------------------------------------------------------------------ */

/* The caller's; one that refuses whom the registry does not serve; or one made for the protocol. The caller
 * of this releases it. */
static ssl_status choose_context(const wrapping *w, ssl_context **context, ssl_error *err)
{
    const ssl_wrap_options *o = &w->options;
    if (o->context == NULL && o->registry == NULL) {
        return sally_context_make(o->mode == SALLY_WRAP_CONNECT, o->protocol, w->call, context,
                                  err);
    }
    *context = o->context != NULL ? ssl_context_retain(o->context) : sally_context_doorkeeper();
    return *context != NULL ? SALLY_OK : sally_fail_memory(err, PHASE, w->call);
}

/* Takes the transport over, whatever happens. */
static ssl_status make_conn(const wrapping *w, ssl_context *context, sally_transport *t,
                            sally_conn **conn, ssl_error *err)
{
    const ssl_wrap_options *o = &w->options;
    sally_addr remote;
    bool known = t->ops->address != NULL && t->ops->address(t, true, &remote) == 0;
    sally_engine_setup engine = {.context = context,
                                 .client = o->mode == SALLY_WRAP_CONNECT,
                                 .hostname = o->hostname,
                                 .alpn = o->alpn,
                                 .alpn_count = o->alpn_count,
                                 .session = o->session,
                                 .registry = o->registry,
                                 .call = w->call,
                                 .exact = true,
                                 .shutdown = o->shutdown_on_close};
    sally_conn_setup setup = {.engine = engine, .remote = known ? &remote : NULL};
    ssl_status status = sally_conn_new(&setup, t, conn, err);
    if (status != SALLY_OK) {
        sally_buf nothing = {0};
        t->ops->finish(t, &nothing, false);
    }
    return status;
}

static ssl_status open_conn(const wrapping *w, sally_conn **conn, ssl_error *err)
{
    ssl_context *context = NULL;
    sally_transport *t;
    ssl_status status = choose_context(w, &context, err);
    if (status == SALLY_OK) {
        status = open_transport(w, &t, err);
    }
    if (status == SALLY_OK) {
        status = make_conn(w, context, t, conn, err);
    }
    ssl_context_release(context);
    return status;
}

/* The token of the connection below, where a server serves it, else NULL: a drain that breaks that connection
 * breaks this one, in the handshake already (B9). */
static ssl_break *owner_below(const wrapping *w)
{
    const ssl_port *in = w->over->kind == SALLY_TRANSPORT_PORTS ? w->over->of.ports.in : NULL;
    return in != NULL ? in->conn->owner : NULL;
}

/* The original is the connection's from now on. */
static void settle(const wrapping *w, sally_conn *conn)
{
    sally_engine_transport(conn->engine)->depart = sally_farewell;
    if (w->options.close_original) {
        sally_engine_read_ahead(conn->engine);
    }
    if (owner_below(w) != NULL) {
        sally_conn_set_owner(conn, owner_below(w));
    }
}

static ssl_status wrap_in_scope(const wrapping *w, const sally_scope *scope, ssl_ports *ports,
                                ssl_error *err)
{
    sally_conn *conn = NULL;
    ssl_status status = open_conn(w, &conn, err);
    if (status == SALLY_OK) {
        status = sally_conn_handshake_run(conn, scope, w->call, err);
    }
    if (status != SALLY_OK) {
        sally_conn_drop(conn);
        return status;
    }
    settle(w, conn);
    *ports = sally_conn_ports(conn);
    sally_error_none(err);
    return SALLY_OK;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static ssl_status fail_option(const wrapping *w, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, PHASE, "%s: %s", w->call, why);
}

/* What is for one mode alone. */
static ssl_status check_mode_options(const wrapping *w, ssl_error *err)
{
    const ssl_wrap_options *o = &w->options;
    if (o->mode == SALLY_WRAP_CONNECT) {
        return o->registry == NULL ? sally_alpn_check(o->alpn, o->alpn_count, w->call, err)
                                   : fail_option(w, "options.registry is for accept mode", err);
    }
    if (o->hostname != NULL) {
        return fail_option(w,
                           "options.hostname is for connect mode; a server has no host name to "
                           "check, and its clients say which they want",
                           err);
    }
    if (o->alpn_count != 0) {
        return fail_option(
            w,
            "options.alpn is for connect mode; for accept mode use ssl_set_server_alpn "
            "on the context",
            err);
    }
    return o->session == NULL ? SALLY_OK
                              : fail_option(w, "options.session is for connect mode", err);
}

static ssl_status check(const wrapping *w, const ssl_ports *ports, ssl_error *err)
{
    if (ports == NULL || w->over == NULL) {
        return sally_fail(err, SALLY_USAGE, PHASE, "%s: %s is NULL", w->call,
                          ports == NULL ? "ports" : "transport");
    }
    ssl_wrap_mode mode = w->options.mode;
    if (mode != SALLY_WRAP_ACCEPT && mode != SALLY_WRAP_CONNECT) {
        return sally_fail(err, SALLY_USAGE, PHASE,
                          "%s: mode %d is neither SALLY_WRAP_ACCEPT nor SALLY_WRAP_CONNECT",
                          w->call, (int)mode);
    }
    if (w->options.timeout_ms == 0) {
        return fail_option(
            w, "options.timeout_ms is 0: nothing could be done; negative stands for no limit", err);
    }
    return check_mode_options(w, err);
}

static ssl_status wrap_how(wrapping *w, sally_how how, ssl_ports *ports, ssl_error *err)
{
    sally_ossl_begin();
    w->call = w->options.error_call != NULL ? w->options.error_call : w->call;
    sally_scope scope;
    ssl_status status = check(w, ports, err);
    if (ports != NULL) {
        *ports = (ssl_ports){NULL, NULL};
    }
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, PHASE, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    sally_scope_own(&scope, owner_below(w));
    sally_scope_bound(&scope, sally_deadline_after_ms(w->options.timeout_ms));
    return wrap_in_scope(w, &scope, ports, err);
}

static wrapping wrapping_of(const char *call, const ssl_transport *over,
                            const ssl_wrap_options *options)
{
    wrapping w = {.call = call, .over = over, .options = SALLY_WRAP_OPTIONS};
    if (options != NULL) {
        w.options = *options;
    }
    return w;
}

ssl_status ssl_wrap_ports(const ssl_transport *transport, const ssl_wrap_options *options,
                          ssl_ports *ports, ssl_error *err)
{
    wrapping w = wrapping_of("ssl_wrap_ports", transport, options);
    return wrap_how(&w, SALLY_PLAIN, ports, err);
}

ssl_status ssl_wrap_ports_enable_break(const ssl_transport *transport,
                                       const ssl_wrap_options *options, ssl_break *brk,
                                       ssl_ports *ports, ssl_error *err)
{
    wrapping w = wrapping_of("ssl_wrap_ports_enable_break", transport, options);
    return wrap_how(&w, SALLY_ENABLE(brk), ports, err);
}

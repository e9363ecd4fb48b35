/* L6 ends: the client's way in (B6, B8).
 *
 * Name, TCP, handshake: each step is bounded by the one scope of the call. The socket has one owner
 * at every moment: the race over the addresses (connect_race.c) until TCP is up, then the transport,
 * then the connection; whoever owns it when a step fails, or a break comes, ends it. So nothing is left
 * behind.
 *
 * No locks: everything here belongs to the call until it returns the ports.
 */
#include "sallyport/connect.h"

#include <string.h>

#include "alpn.h"
#include "conn.h"
#include "connect_race.h"
#include "context.h"
#include "error.h"
#include "hostname.h"
#include "linger.h"
#include "ossl.h"
#include "sock.h"

#define PORT_MAX    65535
#define UNIX_PREFIX "unix:"

/* What a call asks for. */
typedef struct target {
    const char *call;
    const char *hostname;
    int port;
    bool is_unix;
    const ssl_connect_options *options;
} target;

static const ssl_connect_options usual = SALLY_CONNECT_OPTIONS;

/* ---- arguments ----------------------------------------------------------------------------- */

static ssl_status fail_usage(const target *to, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT, "%s: %s", to->call, why);
}

static ssl_status check_port(const target *to, ssl_error *err)
{
    if (to->is_unix && to->port != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT,
                          "%s: port %d given for the Unix socket \"%s\"; it must be 0", to->call,
                          to->port, to->hostname);
    }
    if (!to->is_unix && (to->port < 1 || to->port > PORT_MAX)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT,
                          "%s: port %d is out of range; TCP ports are 1 to %d", to->call, to->port,
                          PORT_MAX);
    }
    return SALLY_OK;
}

static ssl_status check_options(const target *to, ssl_error *err)
{
    const ssl_connect_options *options = to->options;
    if (options->attempt_delay_ms >= 0 && options->attempt_delay_ms < SALLY_ATTEMPT_DELAY_MIN_MS) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT,
                          "%s: options.attempt_delay_ms is %d; RFC 8305 asks for %d at least, and "
                          "negative stands for one attempt at a time",
                          to->call, (int)options->attempt_delay_ms, SALLY_ATTEMPT_DELAY_MIN_MS);
    }
    if (options->timeout_ms == 0) {
        return fail_usage(to,
                          "options.timeout_ms is 0: nothing could be done; negative stands for no "
                          "limit",
                          err);
    }
    if (options->server_name != NULL && options->server_name[0] == '\0') {
        return fail_usage(to, "options.server_name is empty; NULL stands for the hostname", err);
    }
    return sally_alpn_check(options->alpn, options->alpn_count, to->call, err);
}

/* Before any network: a context that cannot do it is found out here. */
static ssl_status check_context(const target *to, ssl_error *err)
{
    sally_policy policy;
    ssl_status status = sally_context_policy(to->options->context, true, to->call, &policy, err);
    if (status == SALLY_OK) {
        sally_policy_fini(&policy);
    }
    return status;
}

/* The name that is sent and checked; a Unix socket has none of its own. */
static const char *server_name(const target *to)
{
    const char *usual_name = to->is_unix ? NULL : to->hostname;
    return to->options->server_name != NULL ? to->options->server_name : usual_name;
}

/* Before the look-up, which says less about a name that nobody can have. */
static ssl_status check_name(const target *to, ssl_error *err)
{
    sally_hostname name;
    return server_name(to) == NULL ? SALLY_OK
                                   : sally_hostname_read(server_name(to), to->call, &name, err);
}

static ssl_status check_target(const target *to, ssl_error *err)
{
    if (to->hostname == NULL || to->hostname[0] == '\0') {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT, "%s: hostname is %s", to->call,
                          to->hostname == NULL ? "NULL" : "empty");
    }
    ssl_status status = check_port(to, err);
    if (status == SALLY_OK) {
        status = check_options(to, err);
    }
    if (status == SALLY_OK) {
        status = check_name(to, err);
    }
    return status == SALLY_OK ? check_context(to, err) : status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static sally_conn_setup setup_of(const target *to, const sally_addr *remote)
{
    sally_engine_setup engine = {.context = to->options->context,
                                 .client = true,
                                 .hostname = server_name(to),
                                 .alpn = to->options->alpn,
                                 .alpn_count = to->options->alpn_count,
                                 .session = to->options->session,
                                 .call = to->call};
    return (sally_conn_setup){.engine = engine, .remote = remote};
}

/* Takes the fd over, whatever happens. */
static ssl_status make_conn(const sally_conn_setup *setup, int fd, sally_conn **conn,
                            ssl_error *err)
{
    sally_transport *transport = sally_transport_sock_new(fd, sally_linger_retire);
    if (transport == NULL) {
        sally_sock_close(fd);
        return sally_fail_memory(err, SALLY_PHASE_CONNECT, setup->engine.call);
    }
    ssl_status status = sally_conn_new(setup, transport, conn, err);
    if (status != SALLY_OK) {
        sally_buf nothing = {0};
        transport->ops->finish(transport, &nothing, false);
    }
    return status;
}

/* The fd, and in *remote where it leads. */
static ssl_status open_tcp(const target *to, const sally_scope *scope, int *fd, sally_addr *remote,
                           ssl_error *err)
{
    sally_resolved found;
    int reached;
    ssl_status status = sally_resolve(to->hostname, to->port, false, scope, &found, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_race race = {.call = to->call,
                       .hostname = to->hostname,
                       .port = to->port,
                       .delay_ms = to->options->attempt_delay_ms,
                       .scope = scope};
    sally_race_interleave(&found);
    status = sally_race_run(&race, &found, fd, &reached, err);
    if (status == SALLY_OK) {
        *remote = found.addresses[reached];
    }
    return status;
}

static ssl_status open_conn(const target *to, const sally_scope *scope, sally_conn **conn,
                            ssl_error *err)
{
    int fd = -1;
    sally_addr remote;
    ssl_status status = open_tcp(to, scope, &fd, &remote, err);
    if (status != SALLY_OK) {
        return status;
    }
    if (!to->is_unix) {
        sally_sock_no_delay(fd);
    }
    sally_conn_setup setup = setup_of(to, &remote);
    return make_conn(&setup, fd, conn, err);
}

static void close_at_once(int fd, sally_buf *unsent, bool peer_done, int64_t linger_ms)
{
    (void)linger_ms;
    (void)unsent;
    (void)peer_done;
    sally_sock_close(fd);
}

/* After a failed handshake the peer should still read our alert, so the socket may linger. A broken
 * one has nothing to say, and must leave nothing behind (B6). */
static void drop(sally_conn *conn, ssl_status status)
{
    if (conn != NULL && (status == SALLY_BREAK || status == SALLY_TIMEOUT)) {
        sally_transport_sock_set_retire(sally_engine_transport(conn->engine), close_at_once);
    }
    sally_conn_drop(conn);
}

static ssl_status connect_in_scope(const target *to, const sally_scope *scope, ssl_ports *ports,
                                   ssl_error *err)
{
    sally_conn *conn = NULL;
    ssl_status status = open_conn(to, scope, &conn, err);
    if (status == SALLY_OK) {
        status = sally_conn_handshake_run(conn, scope, to->call, err);
    }
    if (status != SALLY_OK) {
        drop(conn, status);
        return status;
    }
    *ports = sally_conn_ports(conn);
    sally_error_none(err);
    return SALLY_OK;
}

static ssl_status connect_how(const target *to, sally_how how, ssl_ports *ports, ssl_error *err)
{
    sally_ossl_begin();
    if (ports == NULL) {
        return fail_usage(to, "ports is NULL", err);
    }
    *ports = (ssl_ports){NULL, NULL};
    sally_scope scope;
    ssl_status status = check_target(to, err);
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, SALLY_PHASE_CONNECT, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    scope.call = to->call;
    sally_scope_bound(&scope, sally_deadline_after_ms(to->options->timeout_ms));
    return connect_in_scope(to, &scope, ports, err);
}

/* ---- calls --------------------------------------------------------------------------------- */

static target target_of(const char *call, const char *hostname, int port,
                        const ssl_connect_options *options)
{
    bool is_unix = hostname != NULL && strncmp(hostname, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0;
    return (target){call, hostname, port, is_unix, options != NULL ? options : &usual};
}

static ssl_connect_options options_with(ssl_context *context)
{
    ssl_connect_options options = usual;
    options.context = context;
    return options;
}

ssl_status ssl_connect(const char *hostname, int port, ssl_context *context, ssl_ports *ports,
                       ssl_error *err)
{
    ssl_connect_options options = options_with(context);
    target to = target_of("ssl_connect", hostname, port, &options);
    return connect_how(&to, SALLY_PLAIN, ports, err);
}

ssl_status ssl_connect_enable_break(const char *hostname, int port, ssl_context *context,
                                    ssl_break *brk, ssl_ports *ports, ssl_error *err)
{
    ssl_connect_options options = options_with(context);
    target to = target_of("ssl_connect_enable_break", hostname, port, &options);
    return connect_how(&to, SALLY_ENABLE(brk), ports, err);
}

ssl_status ssl_connect_with(const char *hostname, int port, const ssl_connect_options *options,
                            ssl_ports *ports, ssl_error *err)
{
    target to = target_of("ssl_connect_with", hostname, port, options);
    return connect_how(&to, SALLY_PLAIN, ports, err);
}

ssl_status ssl_connect_with_enable_break(const char *hostname, int port,
                                         const ssl_connect_options *options, ssl_break *brk,
                                         ssl_ports *ports, ssl_error *err)
{
    target to = target_of("ssl_connect_with_enable_break", hostname, port, options);
    return connect_how(&to, SALLY_ENABLE(brk), ports, err);
}

/* L6 ends: the client's way in (B6, B8).
 *
 * Name, addresses in turn, TCP, handshake: each step is bounded by the one scope of the call. The
 * socket has one owner at every moment: connect_to until TCP is up, then the transport, then the
 * connection; whoever owns it when a step fails, or a break comes, ends it. So nothing is left behind.
 *
 * No locks: everything here belongs to the call until it returns the ports.
 */
#include "sallyport/connect.h"

#include <errno.h>
#include <string.h>

#include "conn.h"
#include "context.h"
#include "error.h"
#include "linger.h"
#include "ossl.h"
#include "resolve.h"
#include "sock.h"

#define PORT_MAX    65535
#define UNIX_PREFIX "unix:"

/* A Unix socket whose backlog is full offers nothing to wait for: try again so often. */
#define UNIX_RETRY_MS 10

static const char call[] = "ssl_connect";

typedef struct target {
    const char *hostname;
    int port;
    bool is_unix;
    ssl_context *context;
} target;

static ssl_status check_port(const target *to, ssl_error *err)
{
    if (to->is_unix && to->port != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT,
                          "%s: port %d given for the Unix socket \"%s\"; it must be 0", call,
                          to->port, to->hostname);
    }
    if (!to->is_unix && (to->port < 1 || to->port > PORT_MAX)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT,
                          "%s: port %d is out of range; TCP ports are 1 to %d", call, to->port,
                          PORT_MAX);
    }
    return SALLY_OK;
}

/* Before any network: a context that cannot do it is found out here. */
static ssl_status check_context(ssl_context *context, ssl_error *err)
{
    sally_policy policy;
    ssl_status status = sally_context_policy(context, true, call, &policy, err);
    if (status == SALLY_OK) {
        sally_policy_fini(&policy);
    }
    return status;
}

static ssl_status check_target(const target *to, ssl_error *err)
{
    if (to->hostname == NULL || to->hostname[0] == '\0') {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT, "%s: hostname is %s", call,
                          to->hostname == NULL ? "NULL" : "empty");
    }
    ssl_status status = check_port(to, err);
    return status == SALLY_OK ? check_context(to->context, err) : status;
}

/* ---- TCP ----------------------------------------------------------------------------------- */

/* Sleeps until the fd (-1: none) is writable, for at most `bound`, and no longer than the scope allows. OK when
 * the bound passed, too. */
static ssl_status await_writable(int fd, const sally_scope *scope, ssl_deadline bound,
                                 ssl_error *err)
{
    struct pollfd fds[1 + SALLY_WAIT_SPARE] = {{.fd = fd, .events = POLLOUT}};
    sally_scope bounded = *scope;
    sally_scope_bound(&bounded, bound);
    sally_wait wait = {.fds = fds, .count = 1, .scope = &bounded, .phase = SALLY_PHASE_CONNECT};
    ssl_status status = SALLY_OK;
    (void)sally_wait_run(&wait, &status, err);
    bool own_bound = status == SALLY_TIMEOUT && !sally_deadline_passed(scope->deadline);
    return own_bound ? SALLY_OK : status;
}

/* One attempt, in *error as an errno, 0 for done. Not OK: the scope stopped it. */
static ssl_status attempt(int fd, const sally_addr *addr, const sally_scope *scope, int *error,
                          ssl_error *err)
{
    ssl_status status = sally_scope_check(scope, SALLY_PHASE_CONNECT, err);
    if (status != SALLY_OK) {
        return status;
    }
    *error = sally_sock_connect(fd, addr);
    if (*error == EINPROGRESS) {
        status = await_writable(fd, scope, SALLY_NEVER, err);
        *error = status == SALLY_OK ? sally_sock_connect_result(fd) : 0;
    } else if (*error == EAGAIN) {
        status = await_writable(-1, scope, sally_deadline_after_ms(UNIX_RETRY_MS), err);
    }
    return status;
}

static ssl_status fail_connect(const target *to, const sally_addr *addr, int error, ssl_error *err)
{
    char where[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(addr, where, sizeof where);
    if (to->is_unix) {
        return sally_fail_errno(err, error, SALLY_PHASE_CONNECT, "%s: cannot connect to %s", call,
                                where);
    }
    return sally_fail_errno(err, error, SALLY_PHASE_CONNECT,
                            "%s: cannot connect to %s port %d (%s)", call, to->hostname, to->port,
                            where);
}

/* On failure no fd is left. */
static ssl_status connect_to(const target *to, const sally_addr *addr, const sally_scope *scope,
                             int *fd, ssl_error *err)
{
    int error = sally_sock_open(addr->storage.ss_family, fd);
    if (error != 0) {
        return fail_connect(to, addr, error, err);
    }
    ssl_status status;
    do {
        status = attempt(*fd, addr, scope, &error, err);
    } while (status == SALLY_OK && error == EAGAIN);
    if (status == SALLY_OK && error != 0) {
        status = fail_connect(to, addr, error, err);
    }
    if (status != SALLY_OK) {
        sally_sock_close(*fd);
        *fd = -1;
    }
    return status;
}

/* An address that this machine has no way to says less about the host than one that answered. */
static bool is_local_obstacle(int error)
{
    switch (error) {
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL:
    case ENETUNREACH:
    case EPERM:
    case EACCES: return true;
    default: return false;
    }
}

/* Tries the addresses in turn; *reached is the index of the one that took us. Of the failures the
 * last is reported, or the last that came from the host. */
static ssl_status connect_to_any(const target *to, const sally_resolved *found,
                                 const sally_scope *scope, int *fd, int *reached, ssl_error *err)
{
    ssl_error told = {.status = SALLY_OK};
    for (int i = 0; i < found->count; i++) {
        ssl_error failure;
        ssl_status status = connect_to(to, &found->addresses[i], scope, fd, &failure);
        if (status == SALLY_OK) {
            *reached = i;
            return SALLY_OK;
        }
        if (status != SALLY_SYSTEM || told.status == SALLY_OK ||
            !is_local_obstacle(failure.sys_errno)) {
            told = failure;
        }
        if (status != SALLY_SYSTEM) {
            break;
        }
    }
    if (err != NULL) {
        *err = told;
    }
    return told.status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static sally_conn_setup setup_of(const target *to, const sally_addr *remote)
{
    sally_engine_setup engine = {.context = to->context,
                                 .client = true,
                                 .hostname = to->is_unix ? NULL : to->hostname,
                                 .call = call};
    return (sally_conn_setup){.engine = engine, .remote = remote};
}

/* Takes the fd over, whatever happens. */
static ssl_status make_conn(const sally_conn_setup *setup, int fd, sally_conn **conn,
                            ssl_error *err)
{
    sally_transport *transport = sally_transport_sock_new(fd, sally_linger_retire);
    if (transport == NULL) {
        sally_sock_close(fd);
        return sally_fail_memory(err, SALLY_PHASE_CONNECT, call);
    }
    ssl_status status = sally_conn_new(setup, transport, conn, err);
    if (status != SALLY_OK) {
        sally_buf nothing = {0};
        transport->ops->finish(transport, &nothing, false);
    }
    return status;
}

static ssl_status open_conn(const target *to, const sally_scope *scope, sally_conn **conn,
                            ssl_error *err)
{
    sally_resolved found;
    int fd = -1;
    int reached = 0;
    ssl_status status = sally_resolve(to->hostname, to->port, false, scope, &found, err);
    if (status == SALLY_OK) {
        status = connect_to_any(to, &found, scope, &fd, &reached, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    if (!to->is_unix) {
        sally_sock_no_delay(fd);
    }
    sally_conn_setup setup = setup_of(to, &found.addresses[reached]);
    return make_conn(&setup, fd, conn, err);
}

static void close_at_once(int fd, sally_buf *unsent, bool peer_done)
{
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
        status = sally_conn_handshake_run(conn, scope, call, err);
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
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONNECT, "%s: ports is NULL", call);
    }
    *ports = (ssl_ports){NULL, NULL};
    sally_scope scope = SALLY_SCOPE_NONE;
    ssl_status status = check_target(to, err);
    if (status == SALLY_OK && how.enable) {
        status = sally_scope_enable(&scope, how.brk, SALLY_PHASE_CONNECT, err);
    }
    return status == SALLY_OK ? connect_in_scope(to, &scope, ports, err) : status;
}

static target target_of(const char *hostname, int port, ssl_context *context)
{
    bool is_unix = hostname != NULL && strncmp(hostname, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0;
    return (target){hostname, port, is_unix, context};
}

ssl_status ssl_connect(const char *hostname, int port, ssl_context *context, ssl_ports *ports,
                       ssl_error *err)
{
    target to = target_of(hostname, port, context);
    return connect_how(&to, SALLY_PLAIN, ports, err);
}

ssl_status ssl_connect_enable_break(const char *hostname, int port, ssl_context *context,
                                    ssl_break *brk, ssl_ports *ports, ssl_error *err)
{
    target to = target_of(hostname, port, context);
    return connect_how(&to, SALLY_ENABLE(brk), ports, err);
}

/* L6 ends: the TCP half of a connect: the addresses of a name race (RFC 8305, B6).
 *
 * One attempt per address, in order. The next is begun when the last has failed, or has run for the
 * delay; all that run are waited for together, within the scope of the call. The first that connects
 * wins, and of several that are found connected together the first in the order. The sockets of the
 * others are closed before anything else happens, as all of them are when a break comes.
 *
 * A process that is short of descriptors or buffers races less: an address that could not be begun
 * for that reason keeps its turn while others run, and fails only when none does.
 *
 * No locks: everything here belongs to the call.
 */
#include "connect_race.h"

#include <errno.h>

#include "clock.h"
#include "error.h"
#include "sock.h"

/* A Unix socket whose backlog is full offers nothing to wait for: try again so often. */
#define UNIX_RETRY_MS 10

#define AT_ONCE ((ssl_deadline){0})
#define NONE    (-1)

typedef struct racing {
    const sally_race *race;
    const sally_addr *addresses;
    int count;
    int begun;         /* attempts on the first so many addresses */
    int running;       /* of these have neither failed nor won */
    int winner;        /* or NONE */
    ssl_deadline next; /* when another is begun */
    int told;          /* the address whose failure is told, while `sys_errno` is not 0 */
    int sys_errno;
    struct pollfd fds[SALLY_RESOLVE_MAX + SALLY_WAIT_SPARE]; /* fd -1: not running */
} racing;

/* ---- order --------------------------------------------------------------------------------- */

static bool has_family(const sally_addr *addr, int family, bool wanted)
{
    return (addr->storage.ss_family == family) == wanted;
}

/* The first from `i` on that is of the family, or that is not; `count` where there is none. */
static int find(const sally_resolved *found, int i, int family, bool wanted)
{
    while (i < found->count && !has_family(&found->addresses[i], family, wanted)) {
        i++;
    }
    return i;
}

/* Moves one to an earlier place; those between move up. */
static void move_to(sally_resolved *found, int place, int from)
{
    sally_addr moved = found->addresses[from];
    for (int i = from; i > place; i--) {
        found->addresses[i] = found->addresses[i - 1];
    }
    found->addresses[place] = moved;
}

void sally_race_interleave(sally_resolved *found)
{
    int first = found->addresses[0].storage.ss_family;
    for (int place = 1; place < found->count; place++) {
        int from = find(found, place, first, place % 2 == 0);
        if (from < found->count) { /* else the rest is of one family */
            move_to(found, place, from);
        }
    }
}

/* ---- attempts ------------------------------------------------------------------------------ */

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

/* Attempts that end give back what this one lacks. */
static bool is_shortage(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN: return true;
    default: return false;
    }
}

static bool is_unix(const sally_addr *addr)
{
    return addr->storage.ss_family == AF_UNIX;
}

static ssl_deadline after_delay(const racing *r)
{
    return sally_deadline_after_ms(r->race->delay_ms);
}

static void close_fd(racing *r, int i)
{
    if (r->fds[i].fd >= 0) {
        sally_sock_close(r->fds[i].fd);
        r->fds[i].fd = -1;
    }
}

static void note_failure(racing *r, int i, int error)
{
    close_fd(r, i);
    if (r->sys_errno == 0 || !is_local_obstacle(error)) {
        r->sys_errno = error;
        r->told = i;
    }
    if (i == r->begun - 1 || r->running == 0) {
        r->next = AT_ONCE;
    }
}

/* The address keeps its turn. */
static void put_off(racing *r, int i, ssl_deadline until)
{
    close_fd(r, i);
    r->next = until;
}

static int start(racing *r, int i)
{
    const sally_addr *addr = &r->addresses[i];
    r->fds[i].events = POLLOUT;
    int error = sally_sock_open(addr->storage.ss_family, &r->fds[i].fd);
    return error != 0 ? error : sally_sock_connect(r->fds[i].fd, addr);
}

static void begin_next(racing *r)
{
    int i = r->begun;
    int error = start(r, i);
    if (error == EAGAIN && is_unix(&r->addresses[i])) {
        put_off(r, i, sally_deadline_after_ms(UNIX_RETRY_MS));
        return;
    }
    if (is_shortage(error) && r->running > 0) {
        put_off(r, i, after_delay(r));
        return;
    }
    r->begun++;
    if (error == 0) {
        r->winner = i;
    } else if (error == EINPROGRESS) {
        r->running++;
        r->next = after_delay(r);
    } else {
        note_failure(r, i, error);
    }
}

static void settle(racing *r, int i)
{
    int error = sally_sock_connect_result(r->fds[i].fd);
    r->running--;
    if (error == 0) {
        r->winner = i;
    } else {
        note_failure(r, i, error);
    }
}

static void settle_ready(racing *r)
{
    for (int i = 0; i < r->begun && r->winner == NONE; i++) {
        if (r->fds[i].fd >= 0 && r->fds[i].revents != 0) {
            settle(r, i);
        }
    }
}

/* ---- the race ------------------------------------------------------------------------------ */

static bool is_more(const racing *r)
{
    return r->begun < r->count;
}

/* Until an attempt is over or the next is due; OK then. */
static ssl_status await(racing *r, ssl_error *err)
{
    sally_scope bounded = *r->race->scope;
    if (is_more(r)) {
        sally_scope_bound(&bounded, r->next);
    }
    sally_wait wait = {
        .fds = r->fds, .count = r->begun, .scope = &bounded, .phase = SALLY_PHASE_CONNECT};
    ssl_status status = SALLY_OK;
    if (sally_wait_run(&wait, &status, err) == SALLY_WAITED_READY) {
        settle_ready(r);
    }
    bool is_due = status == SALLY_TIMEOUT && !sally_deadline_passed(r->race->scope->deadline);
    return is_due ? SALLY_OK : status;
}

static ssl_status fail_all(const racing *r, ssl_error *err)
{
    const sally_race *race = r->race;
    char where[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&r->addresses[r->told], where, sizeof where);
    if (is_unix(&r->addresses[r->told])) {
        return sally_fail_errno(err, r->sys_errno, SALLY_PHASE_CONNECT, "%s: cannot connect to %s",
                                race->call, where);
    }
    if (r->count == 1) {
        return sally_fail_errno(err, r->sys_errno, SALLY_PHASE_CONNECT,
                                "%s: cannot connect to %s port %d (%s)", race->call, race->hostname,
                                race->port, where);
    }
    return sally_fail_errno(err, r->sys_errno, SALLY_PHASE_CONNECT,
                            "%s: cannot connect to %s port %d (%s; %d addresses tried)", race->call,
                            race->hostname, race->port, where, r->count);
}

static ssl_status run(racing *r, ssl_error *err)
{
    ssl_status status = SALLY_OK;
    while (status == SALLY_OK && r->winner == NONE) {
        status = sally_scope_check(r->race->scope, SALLY_PHASE_CONNECT, err);
        if (status != SALLY_OK) {
            break;
        }
        if (is_more(r) && sally_deadline_passed(r->next)) {
            begin_next(r);
        } else if (is_more(r) || r->running > 0) {
            status = await(r, err);
        } else {
            status = fail_all(r, err);
        }
    }
    return status;
}

ssl_status sally_race_run(const sally_race *race, const sally_resolved *found, int *fd,
                          int *reached, ssl_error *err)
{
    racing r = {.race = race,
                .addresses = found->addresses,
                .count = found->count,
                .winner = NONE,
                .next = AT_ONCE};
    ssl_status status = run(&r, err);
    *reached = r.winner;
    *fd = -1;
    for (int i = 0; i < r.begun; i++) {
        if (i == r.winner) {
            *fd = r.fds[i].fd;
        } else {
            close_fd(&r, i);
        }
    }
    return status;
}

/* L6 ends: ssl_offer_listeners (W8): listening sockets for a process that somebody else starts.
 *
 * One process is served at a time: it gets the sockets, and has so long to say that it serves. Until it does,
 * nothing of this one is different, so whatever goes wrong with it is told and the next one is waited for. When
 * it does, the file is removed before it gets its answer: it may offer at the same place at once.
 *
 * The listeners are used while somebody is served only, so that a server that drains meanwhile closes its
 * sockets. Without a descriptor for whoever comes there is a pause, so that nothing spins.
 *
 * No locks: everything is the call's own.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "clock.h"
#include "error.h"
#include "mem.h"
#include "offer.h"
#include "ossl.h"
#include "sock.h"
#include "unix_file.h"
#include "wait.h"

enum { BACKLOG = 8, PAUSE_MS = 200 };

static const char call[] = "ssl_offer_listeners";

typedef struct offer {
    const ssl_offer_options *options;
    const sally_scope *scope;
    sally_addr addr;
    sally_unix_file file;
    int door;  /* -1: closed */
    pid_t pid; /* of the process that is served */
} offer;

/* ---- the place ----------------------------------------------------------------------------- */

/* The directory's path is in `directory`, as long as that of the file. */
static void cut_name(const char *path, char directory[SALLY_ADDR_TEXT_SIZE])
{
    size_t length = (size_t)(strrchr(path, '/') - path);
    length = length != 0 ? length : 1; /* "/" */
    memcpy(directory, path, length);
    directory[length] = '\0';
}

/* Whoever may write to the directory could put a socket of his own in the place of ours. */
static ssl_status check_directory(const char *path, ssl_error *err)
{
    struct stat found;
    char directory[SALLY_ADDR_TEXT_SIZE];
    cut_name(path, directory);
    if (stat(directory, &found) != 0) {
        return sally_fail_errno(err, errno, SALLY_PHASE_LISTEN, "%s: directory %s", call,
                                directory);
    }
    bool is_ours = found.st_uid == 0 || found.st_uid == geteuid();
    if (!is_ours || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return sally_fail_errno(
            err, EPERM, SALLY_PHASE_LISTEN,
            "%s: others than this process's user can write to directory %s; make one with mode 0700",
            call, directory);
    }
    return SALLY_OK;
}

/* 0 or an errno. */
static int claim(offer *o)
{
    int error = sally_sock_open_records(AF_UNIX, &o->door);
    if (error != 0) {
        return error;
    }
    error = sally_sock_listen_private(o->door, &o->addr, BACKLOG);
    if (error == EADDRINUSE && sally_unix_file_remove_dead(&o->addr)) {
        error = sally_sock_listen_private(o->door, &o->addr, BACKLOG);
    }
    if (error == 0) {
        sally_unix_file_remember(&o->addr, &o->file);
    } else {
        sally_sock_close(o->door);
        o->door = -1;
    }
    return error;
}

static ssl_status open_door(offer *o, ssl_error *err)
{
    const char *path = sally_addr_unix_path(&o->addr);
    ssl_status status = path != NULL ? check_directory(path, err) : SALLY_OK;
    if (status != SALLY_OK) {
        return status;
    }
    int error = claim(o);
    return error == 0 ? SALLY_OK
                      : sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot offer at %s%s",
                                         call, o->options->where,
                                         error == EADDRINUSE ? " (is another process there?)" : "");
}

static void close_door(offer *o)
{
    if (o->door >= 0) {
        sally_unix_file_remove(&o->addr, &o->file);
        sally_sock_close(o->door);
        o->door = -1;
    }
}

/* ---- one process --------------------------------------------------------------------------- */

static ssl_status send_bundle(const sally_bundle *b, int fd, ssl_error *err)
{
    const size_t magic = sizeof SALLY_OFFER_MAGIC - 1;
    sally_parcel parcel = {.length = magic + b->names_length, .fd_count = b->count};
    if (b->count > SALLY_OFFERED_MAX || parcel.length > SALLY_OFFER_BYTES_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_LISTEN,
                          "%s: %d sockets with %zu bytes of names; there may be %d with %d", call,
                          b->count, b->names_length, SALLY_OFFERED_MAX, SALLY_OFFER_BYTES_MAX);
    }
    parcel.bytes = sally_alloc(parcel.length);
    if (parcel.bytes == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, call);
    }
    memcpy(parcel.bytes, SALLY_OFFER_MAGIC, magic);
    memcpy(parcel.bytes + magic, b->names, b->names_length);
    memcpy(parcel.fds, b->fds, (size_t)b->count * sizeof *b->fds);
    int error = EAGAIN;
    sally_io io = sally_sock_send_parcel(fd, &parcel, &error);
    sally_free(parcel.bytes);
    if (io == SALLY_IO_DONE) {
        return SALLY_OK;
    }
    if (error == EPIPE || error == ECONNRESET) {
        return sally_fail(err, SALLY_TRUNCATED, SALLY_PHASE_LISTEN, "%s: nobody is there", call);
    }
    return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot give the sockets", call);
}

/* It serves: nothing is offered from here on, unless it is gone already. */
static ssl_status leave(offer *o, int fd, ssl_error *err)
{
    close_door(o);
    int error = sally_offer_say(fd, SALLY_OFFER_LEFT);
    return error == 0 ? SALLY_OK
                      : sally_fail_errno(err, error, SALLY_PHASE_LISTEN,
                                         "%s: process %ld served and was gone", call, (long)o->pid);
}

static ssl_status serve_bundle(offer *o, const sally_bundle *b, int fd, ssl_error *err)
{
    sally_scope bounded = *o->scope;
    sally_scope_bound(&bounded, sally_deadline_after_ms(o->options->timeout_ms));
    ssl_status status = send_bundle(b, fd, err);
    if (status == SALLY_OK) {
        status = sally_offer_hear(call, fd, SALLY_OFFER_SERVING, &bounded, err);
    }
    if (status == SALLY_OK) {
        status = leave(o, fd, err);
    }
    if (status == SALLY_OK) {
        sally_bundle_leave_files(b);
    }
    return status;
}

/* More than the wait and the connection know. */
static ssl_status explain(const offer *o, ssl_status status, ssl_error *err)
{
    if (status == SALLY_TIMEOUT) {
        return sally_fail(err, status, SALLY_PHASE_LISTEN, "%s: process %ld did not serve in time",
                          call, (long)o->pid);
    }
    if (status == SALLY_TRUNCATED) {
        return sally_fail(err, status, SALLY_PHASE_LISTEN,
                          "%s: process %ld ended, or let go, before it served", call, (long)o->pid);
    }
    return status;
}

static ssl_status serve_one(offer *o, int fd, ssl_error *err)
{
    ssl_status status = sally_offer_check_peer(call, fd, &o->pid, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_bundle b;
    status = sally_bundle_take_in(&b, call, &o->options->sockets, err);
    if (status == SALLY_OK) {
        status = serve_bundle(o, &b, fd, err);
    }
    sally_bundle_let_go(&b);
    return explain(o, status, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

/* What the call ends with, and not only the service of one process. A limit of time is the scope's or the
 * process's: the next wait knows. */
static bool is_final(ssl_status status)
{
    return status == SALLY_OK || status == SALLY_BREAK || status == SALLY_CLOSED ||
           status == SALLY_LIMIT;
}

/* The program's function may leave anything in OpenSSL's queue (E1). */
static void tell(const offer *o, const ssl_error *why)
{
    if (o->options->failed != NULL) {
        o->options->failed(why, o->options->user);
        sally_ossl_end();
    }
}

static ssl_status rest(const offer *o, ssl_error *err)
{
    sally_scope bounded = *o->scope;
    sally_scope_bound(&bounded, sally_deadline_after_ms(PAUSE_MS));
    ssl_status status = sally_wait_readable(-1, &bounded, SALLY_PHASE_LISTEN, err);
    return status == SALLY_TIMEOUT ? SALLY_OK : status;
}

/* Waits for a process, and serves it. *served: what came of that; OK too where there was none. */
static ssl_status serve_next(offer *o, ssl_status *served, ssl_error *err)
{
    int fd;
    sally_addr peer;
    *served = SALLY_TIMEOUT;
    ssl_status status = sally_wait_readable(o->door, o->scope, SALLY_PHASE_LISTEN, err);
    if (status != SALLY_OK) {
        return status;
    }
    int error = sally_sock_accept(o->door, &fd, &peer);
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return SALLY_OK;
    }
    ssl_error why;
    if (error != 0) {
        (void)sally_fail_errno(&why, error, SALLY_PHASE_LISTEN, "%s: cannot take a process", call);
        tell(o, &why);
        return rest(o, err);
    }
    *served = serve_one(o, fd, &why);
    sally_sock_close(fd);
    if (!is_final(*served)) {
        tell(o, &why);
    } else if (err != NULL) {
        *err = why;
    }
    return SALLY_OK;
}

static ssl_status serve_until_taken(offer *o, ssl_error *err)
{
    for (;;) {
        ssl_status served;
        ssl_status status = o->door < 0 ? open_door(o, err) : SALLY_OK;
        if (status == SALLY_OK) {
            status = serve_next(o, &served, err);
        }
        if (status != SALLY_OK || is_final(served)) {
            return status != SALLY_OK ? status : served;
        }
    }
}

/* ---- the calls ----------------------------------------------------------------------------- */

static ssl_status prepare(offer *o, ssl_error *err)
{
    const ssl_offer_options *options = o->options;
    if (options == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: options is NULL", call);
    }
    ssl_status status = sally_offer_find(call, options->where, &o->addr, err);
    return status == SALLY_OK ? sally_bundle_check(call, &options->sockets, err) : status;
}

static ssl_status offer_how(const ssl_offer_options *options, sally_how how, pid_t *pid,
                            ssl_error *err)
{
    sally_scope scope;
    offer o = {.options = options, .scope = &scope, .door = -1};
    sally_ossl_begin();
    ssl_status status = prepare(&o, err);
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, SALLY_PHASE_LISTEN, err);
    }
    if (status == SALLY_OK) {
        scope.call = call;
        status = serve_until_taken(&o, err);
        close_door(&o);
    }
    if (pid != NULL) {
        *pid = status == SALLY_OK ? o.pid : -1;
    }
    if (status == SALLY_OK) {
        sally_error_none(err);
    }
    return status;
}

ssl_status ssl_offer_listeners(const ssl_offer_options *options, pid_t *pid, ssl_error *err)
{
    return offer_how(options, SALLY_PLAIN, pid, err);
}

ssl_status ssl_offer_listeners_enable_break(const ssl_offer_options *options, ssl_break *brk,
                                            pid_t *pid, ssl_error *err)
{
    return offer_how(options, SALLY_ENABLE(brk), pid, err);
}

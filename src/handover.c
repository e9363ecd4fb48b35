/* L6 ends: handing listeners to a new process that this one starts (W8).
 *
 * While the new process starts, this one is a user of the listeners, so their descriptors stay open. From its
 * start on both processes hold the sockets, so neither's end refuses anybody: the kernel's queue of
 * clients goes with the last descriptor.
 */
#include <errno.h>
#include <sys/wait.h>

#include "bundle.h"
#include "clock.h"
#include "error.h"
#include "fd.h"
#include "ossl.h"
#include "sock.h"
#include "spawn.h"
#include "wait.h"

/* How long a process that has closed its pipe may take to end, and how often it is looked at. */
#define ENDING_MS 1000
#define LOOK_MS   5

static const char call[] = "ssl_hand_over";

static ssl_status fail_usage(const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", call, why);
}

static ssl_status check_options(const ssl_hand_over_options *options, ssl_error *err)
{
    if (options == NULL) {
        return fail_usage("options is NULL", err);
    }
    if (options->path == NULL || options->arguments == NULL) {
        return fail_usage(
            options->path == NULL ? "options.path is NULL" : "options.arguments is NULL", err);
    }
    return sally_bundle_check(call, &options->sockets, err);
}

/* ---- waiting for it ------------------------------------------------------------------------ */

static ssl_status fail_ended(const char *path, int status, ssl_error *err)
{
    if (WIFSIGNALED(status)) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_LISTEN,
                          "%s: %s was ended by signal %d before it was ready", call, path,
                          WTERMSIG(status));
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_LISTEN,
                      "%s: %s ended with status %d before it was ready", call, path,
                      WEXITSTATUS(status));
}

/* It has closed its pipe, so it is about to end; one that lives on is the program's to deal with. */
static ssl_status bury(const char *path, pid_t *pid, ssl_error *err)
{
    int status = 0;
    ssl_deadline deadline = sally_deadline_after_ms(ENDING_MS);
    while (!sally_spawn_has_ended(*pid, &status)) {
        if (sally_deadline_passed(deadline)) {
            return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_LISTEN,
                              "%s: %s has closed its descriptor " SALLY_READY_FD
                              " without being ready",
                              call, path);
        }
        (void)sally_wait_poll(NULL, 0, sally_deadline_after_ms(LOOK_MS));
    }
    *pid = -1;
    return fail_ended(path, status, err);
}

/* Its word, or why there is none. */
static ssl_status hear(int ready, const char *path, pid_t *pid, ssl_error *err)
{
    const sally_fd pipe_end = {.number = ready};
    sally_spawned said = {.what = 0};
    size_t count;
    int error = 0;
    sally_io io = sally_fd_receive(&pipe_end, &said, sizeof said, &count, &error);
    if (io == SALLY_IO_DONE && said.what == SALLY_SPAWNED_READY) {
        return SALLY_OK;
    }
    ssl_status status = bury(path, pid, err);
    if (io == SALLY_IO_DONE) {
        return sally_fail_errno(err, said.error, SALLY_PHASE_LISTEN, "%s: cannot run %s", call,
                                path);
    }
    return status;
}

static ssl_status launch(const sally_bundle *b, const ssl_hand_over_options *options,
                         const sally_scope *scope, pid_t *pid, ssl_error *err)
{
    bool named = b->sockets->names != NULL || b->sockets->fd_names != NULL;
    sally_spawn what = {.path = options->path,
                        .arguments = options->arguments,
                        .fds = b->fds,
                        .count = b->count,
                        .names = named ? b->names : NULL};
    int ready;
    int error = sally_spawn_start(&what, pid, &ready);
    if (error != 0) {
        *pid = -1;
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot start a process", call);
    }
    sally_scope bounded = *scope;
    sally_scope_bound(&bounded, sally_deadline_after_ms(options->timeout_ms));
    ssl_status status = sally_wait_readable(ready, &bounded, SALLY_PHASE_LISTEN, err);
    if (status == SALLY_OK) {
        status = hear(ready, options->path, pid, err);
    }
    sally_sock_close(ready);
    return status;
}

static ssl_status hand_over_how(const ssl_hand_over_options *options, sally_how how, pid_t *pid,
                                ssl_error *err)
{
    pid_t unasked;
    pid = pid != NULL ? pid : &unasked;
    *pid = -1;
    sally_ossl_begin();
    sally_scope scope;
    ssl_status status = check_options(options, err);
    if (status == SALLY_OK) {
        status = sally_scope_begin(&scope, how, SALLY_PHASE_LISTEN, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    scope.call = call;
    sally_bundle b;
    status = sally_bundle_take_in(&b, call, &options->sockets, err);
    if (status == SALLY_OK) {
        status = launch(&b, options, &scope, pid, err);
    }
    if (status == SALLY_OK) {
        sally_bundle_leave_files(&b);
        sally_error_none(err);
    }
    sally_bundle_let_go(&b);
    return status;
}

ssl_status ssl_hand_over(const ssl_hand_over_options *options, pid_t *pid, ssl_error *err)
{
    return hand_over_how(options, SALLY_PLAIN, pid, err);
}

ssl_status ssl_hand_over_enable_break(const ssl_hand_over_options *options, ssl_break *brk,
                                      pid_t *pid, ssl_error *err)
{
    return hand_over_how(options, SALLY_ENABLE(brk), pid, err);
}

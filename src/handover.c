/* L6 ends: handing listeners to a new process (W8).
 *
 * While the new process starts, this one is a user of the listeners, so their descriptors stay open. From its
 * start on both processes hold the sockets, so neither's end refuses anybody: the kernel's queue of
 * clients goes with the last descriptor.
 */
#include "sallyport/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "error.h"
#include "fd.h"
#include "listener.h"
#include "mem.h"
#include "ossl.h"
#include "sock.h"
#include "spawn.h"

/* How long a process that has closed its pipe may take to end, and how often it is looked at. */
#define ENDING_MS 1000
#define LOOK_MS   5

static const char call[] = "ssl_hand_over";

static ssl_status fail_usage(const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", call, why);
}

static ssl_status check_listeners(const ssl_hand_over_options *options, ssl_error *err)
{
    for (size_t i = 0; i < options->count; i++) {
        if (options->listeners[i] == NULL) {
            return fail_usage("one of options.listeners is NULL", err);
        }
        const char *name = options->names != NULL ? options->names[i] : "";
        if (name == NULL || strchr(name, ':') != NULL) {
            return fail_usage("each of options.names must be a name without ':'", err);
        }
    }
    return SALLY_OK;
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
    if (options->count == 0 || options->listeners == NULL) {
        return fail_usage("there is no listener to hand over", err);
    }
    return check_listeners(options, err);
}

/* ---- what is handed over ------------------------------------------------------------------- */

typedef struct bundle {
    const ssl_hand_over_options *options;
    size_t entered; /* listeners that we are users of */
    int *fds;       /* theirs, and room for as many as there can be */
    int count;
    char *names; /* one for each descriptor; NULL: none */
    size_t names_length;
} bundle;

static size_t names_size(const ssl_hand_over_options *options)
{
    size_t size = 1;
    for (size_t i = 0; i < options->count; i++) {
        size += (strlen(options->names[i]) + 1) * SALLY_LISTENER_FDS_MAX;
    }
    return size;
}

static bool make_room(bundle *b)
{
    b->fds = sally_alloc_array(b->options->count * SALLY_LISTENER_FDS_MAX, sizeof *b->fds);
    if (b->fds != NULL && b->options->names != NULL) {
        b->names = sally_alloc(names_size(b->options));
    }
    return b->fds != NULL && (b->options->names == NULL || b->names != NULL);
}

/* The descriptors of the listener just taken in, the last `count`, have its name. */
static void add_names(bundle *b, const char *name, int count)
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

static ssl_status take_in(bundle *b, ssl_error *err)
{
    if (!make_room(b)) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, call);
    }
    for (; b->entered < b->options->count; b->entered++) {
        ssl_listener *l = b->options->listeners[b->entered];
        if (!sally_listener_enter(l)) {
            return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_LISTEN,
                              "%s: listener %zu has been closed", call, b->entered);
        }
        int count = sally_listener_fds(l, b->fds + b->count);
        b->count += count;
        if (b->names != NULL) {
            add_names(b, b->options->names[b->entered], count);
        }
    }
    return SALLY_OK;
}

static void let_go(bundle *b)
{
    while (b->entered > 0) {
        sally_listener_leave(b->options->listeners[--b->entered]);
    }
    sally_free(b->fds);
    sally_free(b->names);
}

static void leave_files(const bundle *b)
{
    for (size_t i = 0; i < b->options->count; i++) {
        sally_listener_leave_file(b->options->listeners[i]);
    }
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

static ssl_status await(int ready, const ssl_hand_over_options *options, const sally_scope *scope,
                        ssl_error *err)
{
    struct pollfd fds[1 + SALLY_WAIT_SPARE] = {{.fd = ready, .events = POLLIN}};
    sally_scope bounded = *scope;
    sally_scope_bound(&bounded, sally_deadline_after_ms(options->timeout_ms));
    sally_wait wait = {.fds = fds, .count = 1, .scope = &bounded, .phase = SALLY_PHASE_LISTEN};
    ssl_status status = SALLY_OK;
    while (sally_wait_run(&wait, &status, err) == SALLY_WAITED_WOKEN) {}
    return status;
}

static ssl_status launch(const bundle *b, const sally_scope *scope, pid_t *pid, ssl_error *err)
{
    const ssl_hand_over_options *options = b->options;
    sally_spawn what = {.path = options->path,
                        .arguments = options->arguments,
                        .fds = b->fds,
                        .count = b->count,
                        .names = b->names};
    int ready;
    int error = sally_spawn_start(&what, pid, &ready);
    if (error != 0) {
        *pid = -1;
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot start a process", call);
    }
    ssl_status status = await(ready, options, scope, err);
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
    bundle b = {.options = options};
    status = take_in(&b, err);
    if (status == SALLY_OK) {
        status = launch(&b, &scope, pid, err);
    }
    if (status == SALLY_OK) {
        leave_files(&b);
        sally_error_none(err);
    }
    let_go(&b);
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

/* ---- the new process ----------------------------------------------------------------------- */

/* -1: it makes no sense. */
static int read_ready_fd(const char *text)
{
    size_t length = strspn(text, "0123456789");
    bool is_number = length != 0 && length < 8 && text[length] == '\0';
    return is_number ? (int)strtol(text, NULL, 10) : -1;
}

static int say_ready(int number)
{
    sally_fd fd;
    const char ready = SALLY_SPAWNED_READY;
    size_t count;
    int error = sally_fd_look(number, true, &fd);
    if (error != 0) {
        return error;
    }
    sally_io io = sally_fd_send(&fd, &ready, sizeof ready, &count, &error);
    sally_fd_close(number);
    return io == SALLY_IO_FAILED ? error : 0;
}

ssl_status ssl_take_over(ssl_error *err)
{
    const char *text = getenv(SALLY_READY_FD); /* NOLINT(concurrency-mt-unsafe): see the header */
    if (text == NULL) {
        return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_SERVE,
                          "ssl_take_over: no process has handed its listeners to this one");
    }
    int number = read_ready_fd(text);
    if (number < 0) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_SERVE,
                          "ssl_take_over: " SALLY_READY_FD " is \"%.64s\"; it must be a number",
                          text);
    }
    (void)unsetenv(SALLY_READY_FD); /* NOLINT(concurrency-mt-unsafe) */
    int error = say_ready(number);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_SERVE,
                                "ssl_take_over: cannot tell the process before this one");
    }
    sally_error_none(err);
    return SALLY_OK;
}

/* The beginning and the end of a server: see service.h. */
#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "errands.h"

enum {
    LISTENERS_MAX = 8,
    UPGRADE_MS = 10000,   /* for the new process to be ready */
    DRAIN_SOFT_MS = 5000, /* then blocked handlers are broken */
    DRAIN_HARD_MS = 10000 /* then what is left is cut */
};

bool service_check_door(const char *program, service_door *door)
{
    if ((door->cert == NULL) != (door->key == NULL)) {
        fprintf(stderr, "%s: --cert and --key go together; one file may hold both\n", program);
        return false;
    }
    if (door->cert == NULL) {
        door->cert = TEST_CERT;
        door->key = TEST_KEY;
    }
    return true;
}

ssl_status service_context(const service_door *door, ssl_context **context, ssl_error *err)
{
    ssl_status status = ssl_make_server_context(SALLY_PROTOCOL_AUTO, context, err);
    if (status == SALLY_OK) {
        status = ssl_load_identity(*context, door->cert, door->key, NULL, err);
    }
    return status;
}

/* ---- start --------------------------------------------------------------------------------- */

/* A server at work. */
typedef struct service {
    const char *program;
    const service_door *door;
    const ssl_server_options *options;
    ssl_context *context;
    ssl_listener *listeners[LISTENERS_MAX]; /* the server's, once they are added */
    size_t listener_count;
    ssl_server *server;
    errands errands;
} service;

/* The server takes the listener on success. */
static bool add_listener(service *s, ssl_listener *listener, ssl_error *err)
{
    if (ssl_server_add_listener(s->server, listener, err) != SALLY_OK) {
        ssl_free_listener(listener);
        return false;
    }
    s->listeners[s->listener_count++] = listener;
    return true;
}

static bool listen_at_door(service *s, ssl_error *err)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    ssl_listener *listener = NULL;
    options.host = s->door->host;
    return ssl_listen(s->door->port, &options, s->context, &listener, err) == SALLY_OK &&
           add_listener(s, listener, err);
}

/* On sockets of a supervisor's, or of the process before this one; where there are none, on our own. */
static bool open_listeners(service *s, ssl_error *err)
{
    ssl_inherited sockets[LISTENERS_MAX];
    size_t count;
    if (ssl_inherited_fds(true, sockets, LISTENERS_MAX, &count, err) != SALLY_OK) {
        return false;
    }
    for (size_t i = 0; i < count && i < LISTENERS_MAX; i++) {
        ssl_listener *listener = NULL;
        if (ssl_listen_fd(sockets[i].fd, NULL, s->context, &listener, err) != SALLY_OK ||
            !add_listener(s, listener, err)) {
            return false;
        }
    }
    return count != 0 || listen_at_door(s, err);
}

static bool start(service *s, ssl_error *err)
{
    return open_errands(&s->errands, err) &&
           service_context(s->door, &s->context, err) == SALLY_OK &&
           ssl_server_new(s->options, &s->server, err) == SALLY_OK && open_listeners(s, err) &&
           ssl_server_start(s->server, err) == SALLY_OK;
}

void service_announce(const ssl_endpoints *ends)
{
    bool v6 = strchr(ends->local, ':') != NULL;
    printf("listening on %s%s%s:%d\n", v6 ? "[" : "", ends->local, v6 ? "]" : "", ends->local_port);
    fflush(stdout);
}

ssl_status service_catch_signals(ssl_break **stop, ssl_error *err)
{
    ssl_status status = ssl_break_new(NULL, stop, err);
    if (status == SALLY_OK) {
        status = ssl_break_on_signal(SIGTERM, *stop, err);
    }
    if (status == SALLY_OK) {
        status = ssl_break_on_signal(SIGINT, *stop, err);
    }
    return status;
}

/* ---- errands ------------------------------------------------------------------------------- */

/* Everybody who may wait for us to serve. */
static void say_ready(const service *s)
{
    ssl_endpoints ends;
    (void)ssl_listener_addresses(s->listeners[0], &ends, NULL);
    service_announce(&ends);
    (void)ssl_take_over(NULL);
    (void)ssl_notify("READY=1", NULL);
}

static bool drain(const service *s, ssl_error *err)
{
    return ssl_server_drain_enable_break(s->server, DRAIN_SOFT_MS, DRAIN_HARD_MS, s->errands.stop,
                                         NULL, err) == SALLY_OK;
}

/* Clients that come from now on see the new certificate; if it cannot be had, they see the old one. */
static void reload(const service *s)
{
    ssl_error err;
    (void)ssl_notify_reloading(NULL);
    if (ssl_load_identity(s->context, s->door->cert, s->door->key, NULL, &err) == SALLY_OK) {
        fprintf(stderr, "%s: the certificates were read again\n", s->program);
    } else {
        fprintf(stderr, "%s: the old certificates stay: %s\n", s->program, err.text);
    }
    (void)ssl_notify("READY=1", NULL);
}

static void end_process(pid_t pid)
{
    if (pid > 0) {
        (void)kill(pid, SIGTERM);
        (void)waitpid(pid, NULL, 0);
    }
}

/* Whether another process serves from now on. */
static bool upgrade(const service *s)
{
    ssl_hand_over_options options = SALLY_HAND_OVER_OPTIONS;
    char **words = s->door->words;
    if (words == NULL) {
        return false;
    }
    options.path = strchr(words[0], '/') != NULL ? words[0] : "/proc/self/exe";
    options.arguments = words;
    options.listeners = s->listeners;
    options.count = s->listener_count;
    options.timeout_ms = UPGRADE_MS;
    pid_t pid;
    ssl_error err;
    if (ssl_hand_over_enable_break(&options, s->errands.stop, &pid, &err) != SALLY_OK) {
        fprintf(stderr, "%s: nothing was handed over: %s\n", s->program, err.text);
        end_process(pid);
        return false;
    }
    (void)ssl_notify_printf(NULL, "MAINPID=%ld", (long)pid);
    return true;
}

static bool serve_until_stopped(const service *s, ssl_error *err)
{
    for (;;) {
        switch (next_errand(&s->errands, err)) {
        case ERRAND_STOP: (void)ssl_notify("STOPPING=1", NULL); return drain(s, err);
        case ERRAND_UPGRADE:
            if (upgrade(s)) {
                return drain(s, err);
            }
            break;
        case ERRAND_RELOAD: reload(s); break;
        case ERRAND_FAILED: return false;
        }
    }
}

int service_run(const char *program, const service_door *door, const ssl_server_options *options)
{
    service s = {.program = program, .door = door, .options = options};
    ssl_error err;
    bool served = start(&s, &err);
    if (served) {
        say_ready(&s);
        served = serve_until_stopped(&s, &err);
    }
    if (!served) {
        fprintf(stderr, "%s: %s\n", program, err.text);
    }
    ssl_server_free(s.server);
    ssl_context_release(s.context);
    close_errands(&s.errands);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

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
    ssl_ticket_keys *keys;                  /* NULL: the process's own */
    ssl_listener *listeners[LISTENERS_MAX]; /* the server's, once they are added */
    size_t listener_count;
    ssl_server *server;
    ssl_metrics_port *metrics;
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

static void set_proxies(const service *s, ssl_listen_options *options)
{
    options->proxy = s->door->proxies == NULL ? SALLY_PROXY_OFF : SALLY_PROXY_REQUIRED;
    options->proxy_trusted = s->door->proxies;
}

static bool listen_at_door(service *s, ssl_error *err)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    ssl_listener *listener = NULL;
    options.host = s->door->host;
    set_proxies(s, &options);
    return ssl_listen(s->door->port, &options, s->context, &listener, err) == SALLY_OK &&
           add_listener(s, listener, err);
}

/* On sockets of a supervisor's, or of the process before this one; where there are none, on our own. */
static bool open_listeners(service *s, ssl_error *err)
{
    ssl_inherited sockets[LISTENERS_MAX];
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    size_t count;
    set_proxies(s, &options);
    if (ssl_inherited_fds(true, sockets, LISTENERS_MAX, &count, err) != SALLY_OK) {
        return false;
    }
    for (size_t i = 0; i < count && i < LISTENERS_MAX; i++) {
        ssl_listener *listener = NULL;
        if (ssl_listen_fd(sockets[i].fd, &options, s->context, &listener, err) != SALLY_OK ||
            !add_listener(s, listener, err)) {
            return false;
        }
    }
    return count != 0 || listen_at_door(s, err);
}

static bool use_ticket_keys(service *s, ssl_error *err)
{
    return s->door->ticket_keys == NULL ||
           (ssl_ticket_keys_new(&s->keys, err) == SALLY_OK &&
            ssl_ticket_keys_load(s->keys, s->door->ticket_keys, err) == SALLY_OK &&
            ssl_set_ticket_keys(s->context, s->keys, err) == SALLY_OK);
}

static void print_address(const char *what, const ssl_endpoints *ends)
{
    bool v6 = strchr(ends->local, ':') != NULL;
    printf("%s on %s%s%s:%d\n", what, v6 ? "[" : "", ends->local, v6 ? "]" : "", ends->local_port);
}

void service_announce(const ssl_endpoints *ends)
{
    print_address("listening", ends);
    fflush(stdout);
}

static bool open_metrics(service *s, ssl_error *err)
{
    ssl_endpoints ends;
    ssl_metrics_source source = {.server = s->server};
    ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
    options.sources = &source;
    options.source_count = 1;
    if (s->door->metrics_port < 0) {
        return true;
    }
    if (ssl_metrics_listen(s->door->metrics_port, &options, &s->metrics, err) != SALLY_OK ||
        ssl_metrics_port_addresses(s->metrics, &ends, err) != SALLY_OK) {
        return false;
    }
    print_address("metrics", &ends); /* leaves with the line of service_announce */
    return true;
}

static void close_metrics(service *s)
{
    ssl_metrics_port_free(s->metrics);
    s->metrics = NULL;
}

static bool start(service *s, ssl_error *err)
{
    return open_errands(&s->errands, err) &&
           service_context(s->door, &s->context, err) == SALLY_OK && use_ticket_keys(s, err) &&
           ssl_server_new(s->options, &s->server, err) == SALLY_OK && open_listeners(s, err) &&
           open_metrics(s, err) && ssl_server_start(s->server, err) == SALLY_OK;
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

/* A load that fails changes nothing. */
static void reload_ticket_keys(const service *s)
{
    ssl_error err;
    if (ssl_ticket_keys_load(s->keys, s->door->ticket_keys, &err) == SALLY_OK) {
        fprintf(stderr, "%s: the ticket keys were read again\n", s->program);
    } else {
        fprintf(stderr, "%s: the old ticket keys stay: %s\n", s->program, err.text);
    }
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
    if (s->keys != NULL) {
        reload_ticket_keys(s);
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
static bool upgrade(service *s)
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
    close_metrics(s); /* their port is the new process's too */
    if (ssl_hand_over_enable_break(&options, s->errands.stop, &pid, &err) != SALLY_OK) {
        fprintf(stderr, "%s: nothing was handed over: %s\n", s->program, err.text);
        end_process(pid);
        (void)open_metrics(s, NULL);
        return false;
    }
    (void)ssl_notify_printf(NULL, "MAINPID=%ld", (long)pid);
    return true;
}

static bool serve_until_stopped(service *s, ssl_error *err)
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
    close_metrics(&s);
    ssl_server_free(s.server);
    ssl_ticket_keys_release(s.keys);
    ssl_context_release(s.context);
    close_errands(&s.errands);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

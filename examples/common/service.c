/* The beginning and the end of a server: see service.h. */
#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errands.h"
#include "succession.h"

enum {
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
    ssl_server_options options;
    ssl_context *context;
    ssl_ticket_keys *keys;                  /* NULL: the process's own */
    ssl_listener *listeners[LISTENERS_MAX]; /* the server's, once they are added */
    size_t listener_count;
    ssl_server *server;
    ssl_metrics_port *metrics;
    int metrics_fd; /* that came with the listeners; -1: none */
    errands errands;
    succession succession;
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

static bool listen_on(service *s, const ssl_inherited *socket, ssl_error *err)
{
    if (strcmp(socket->name, METRICS_NAME) == 0) {
        s->metrics_fd = socket->fd;
        return true;
    }
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    ssl_listener *listener = NULL;
    set_proxies(s, &options);
    return ssl_listen_fd(socket->fd, &options, s->context, &listener, err) == SALLY_OK &&
           add_listener(s, listener, err);
}

/* On sockets of a supervisor's, or of the process before this one; where there are none, on our own. */
static bool open_listeners(service *s, ssl_error *err)
{
    ssl_inherited sockets[SOCKETS_MAX];
    size_t count;
    if (succession_begin(&s->succession, s->errands.stop, sockets, &count, err) != SALLY_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!listen_on(s, &sockets[i], err)) {
            return false;
        }
    }
    return s->listener_count != 0 || listen_at_door(s, err);
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

static void close_metrics(service *s)
{
    ssl_metrics_port_free(s->metrics);
    s->metrics = NULL;
    if (s->metrics_fd >= 0) {
        close(s->metrics_fd);
        s->metrics_fd = -1;
    }
}

static bool open_metrics(service *s, ssl_error *err)
{
    ssl_endpoints ends;
    ssl_metrics_source source = {.server = s->server};
    ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
    options.sources = &source;
    options.source_count = 1;
    if (s->door->metrics_port < 0) {
        close_metrics(s);
        return true;
    }
    int fd = s->metrics_fd;
    s->metrics_fd = -1;
    if ((fd < 0 ? ssl_metrics_listen(s->door->metrics_port, &options, &s->metrics, err)
                : ssl_metrics_listen_fd(fd, &options, &s->metrics, err)) != SALLY_OK ||
        ssl_metrics_port_addresses(s->metrics, &ends, err) != SALLY_OK) {
        return false;
    }
    print_address("metrics", &ends); /* leaves with the line of service_announce */
    return true;
}

static void begin_succession(service *s)
{
    s->succession = (succession){.program = s->program,
                                 .words = s->door->words,
                                 .where = s->door->hand_over,
                                 .listeners = s->listeners,
                                 .metrics_fd = -1,
                                 .taken = s->errands.taken,
                                 .heir = -1};
}

static bool start(service *s, ssl_error *err)
{
    if (!open_errands(&s->errands, err)) {
        return false;
    }
    begin_succession(s);
    return service_context(s->door, &s->context, err) == SALLY_OK && use_ticket_keys(s, err) &&
           ssl_server_new(&s->options, &s->server, err) == SALLY_OK && open_listeners(s, err) &&
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

/* To everybody who may wait for us to serve. */
static void say_ready(service *s)
{
    ssl_endpoints ends;
    (void)ssl_listener_addresses(s->listeners[0], &ends, NULL);
    service_announce(&ends);
    s->succession.count = s->listener_count;
    s->succession.metrics_fd = ssl_metrics_port_fd(s->metrics);
    succession_serve(&s->succession);
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

/* Another process serves, and answers scrapes, from now on. */
static bool leave(service *s, ssl_error *err)
{
    if (s->succession.heir > 0) {
        (void)ssl_notify_printf(NULL, "MAINPID=%ld", (long)s->succession.heir);
    }
    close_metrics(s);
    return drain(s, err);
}

static bool stop(service *s, ssl_error *err)
{
    (void)succession_withdraw(&s->succession);
    (void)ssl_notify("STOPPING=1", NULL);
    return drain(s, err);
}

static bool serve_until_stopped(service *s, ssl_error *err)
{
    for (;;) {
        switch (next_errand(&s->errands, err)) {
        case ERRAND_STOP: return stop(s, err);
        case ERRAND_LEAVE:
            if (succession_withdraw(&s->succession)) {
                return leave(s, err);
            }
            break;
        case ERRAND_UPGRADE:
            if (succession_start_heir(&s->succession, s->errands.stop)) {
                return leave(s, err);
            }
            break;
        case ERRAND_RELOAD: reload(s); break;
        case ERRAND_FAILED: return false;
        }
    }
}

int service_run(const char *program, const service_door *door, const ssl_server_options *options)
{
    service s = {.program = program, .door = door, .options = *options, .metrics_fd = -1};
    ssl_error err;
    s.options.watchdog = true;
    bool served = start(&s, &err);
    if (served) {
        say_ready(&s);
        served = serve_until_stopped(&s, &err);
    }
    if (!served) {
        fprintf(stderr, "%s: %s\n", program, err.text);
    }
    (void)succession_withdraw(&s.succession);
    close_metrics(&s);
    ssl_server_free(s.server);
    ssl_ticket_keys_release(s.keys);
    ssl_context_release(s.context);
    close_errands(&s.errands);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

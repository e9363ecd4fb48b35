/* The beginning and the end of a server: see service.h. */
#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool open_listener(const service_door *door, ssl_listener **listener, ssl_error *err)
{
    ssl_context *context = NULL;
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = door->host;
    bool open = service_context(door, &context, err) == SALLY_OK &&
                ssl_listen(door->port, &options, context, listener, err) == SALLY_OK;
    ssl_context_release(context); /* the listener keeps its own reference */
    return open;
}

static bool start_server(const service_door *door, const ssl_server_options *options,
                         ssl_server **server, ssl_endpoints *ends, ssl_error *err)
{
    ssl_listener *listener = NULL;
    if (!open_listener(door, &listener, err) ||
        ssl_listener_addresses(listener, ends, err) != SALLY_OK ||
        ssl_server_new(options, server, err) != SALLY_OK ||
        ssl_server_add_listener(*server, listener, err) != SALLY_OK) {
        ssl_free_listener(listener);
        return false;
    }
    return ssl_server_start(*server, err) == SALLY_OK; /* the listener is the server's now */
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

static bool serve_until(ssl_break *stop, ssl_server *server, ssl_error *err)
{
    if (ssl_wait_fd_enable_break(-1, false, stop, err) != SALLY_BREAK) {
        return false;
    }
    ssl_break_clear(stop); /* signals up to here are one; from here on they are the second */
    return ssl_server_drain_enable_break(server, DRAIN_SOFT_MS, DRAIN_HARD_MS, stop, NULL, err) ==
           SALLY_OK;
}

int service_run(const char *program, const service_door *door, const ssl_server_options *options)
{
    ssl_break *stop = NULL;
    ssl_server *server = NULL;
    ssl_endpoints ends;
    ssl_error err;
    bool served = service_catch_signals(&stop, &err) == SALLY_OK &&
                  start_server(door, options, &server, &ends, &err);
    if (served) {
        service_announce(&ends);
        served = serve_until(stop, server, &err);
    }
    if (!served) {
        fprintf(stderr, "%s: %s\n", program, err.text);
    }
    ssl_server_free(server);
    ssl_break_release(stop);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

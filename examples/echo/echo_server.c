/*
 * echo_server: sends every byte back, over TLS, to any number of clients.
 *
 * The handler blocks like any classic server's, and a few workers serve all clients: a client that
 * says nothing holds no worker, because the handler returns SALLY_KEEP after each message.
 *
 * SIGTERM or Ctrl-C drains: no new clients, everything accepted is echoed, then the end with status
 * 0. A second signal is the hard stop.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sallyport.h>

#include "arguments.h"

enum {
    EXIT_USAGE = 2,
    WORKERS_MAX = 1024,
    DRAIN_SOFT_MS = 5000, /* then blocked handlers are broken */
    DRAIN_HARD_MS = 10000 /* then what is left is cut */
};

typedef struct settings {
    const char *host;
    const char *cert;
    const char *key;
    int port;
    int workers;
} settings;

/* Serves one message. Whatever ends the stream, a goodbye, a cut, a drain or a silent peer, ends the
 * connection too, and the server counts it. */
static ssl_served echo(ssl_connection *connection, ssl_port *in, ssl_port *out, void *user)
{
    (void)connection;
    (void)user;
    char buf[16384];
    size_t got = 0;
    if (ssl_read(in, buf, sizeof buf, &got, NULL) != SALLY_OK) {
        return SALLY_DONE;
    }
    return ssl_write(out, buf, got, NULL, NULL) == SALLY_OK ? SALLY_KEEP : SALLY_DONE;
}

static bool open_listener(const settings *s, ssl_listener **listener, ssl_error *err)
{
    ssl_context *context = NULL;
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = s->host;
    bool open = ssl_make_server_context(SALLY_PROTOCOL_AUTO, &context, err) == SALLY_OK &&
                ssl_load_identity(context, s->cert, s->key, NULL, err) == SALLY_OK &&
                ssl_listen(s->port, &options, context, listener, err) == SALLY_OK;
    ssl_context_release(context); /* the listener keeps its own reference */
    return open;
}

static bool start_server(const settings *s, ssl_server **server, ssl_endpoints *ends,
                         ssl_error *err)
{
    ssl_listener *listener = NULL;
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = echo;
    options.workers = s->workers;
    if (!open_listener(s, &listener, err) ||
        ssl_listener_addresses(listener, ends, err) != SALLY_OK ||
        ssl_server_new(&options, server, err) != SALLY_OK ||
        ssl_server_add_listener(*server, listener, err) != SALLY_OK) {
        ssl_free_listener(listener);
        return false;
    }
    return ssl_server_start(*server, err) == SALLY_OK; /* the listener is the server's now */
}

static bool catch_signals(ssl_break **stop, ssl_error *err)
{
    return ssl_break_new(NULL, stop, err) == SALLY_OK &&
           ssl_break_on_signal(SIGTERM, *stop, err) == SALLY_OK &&
           ssl_break_on_signal(SIGINT, *stop, err) == SALLY_OK;
}

/* One line, for people and for the programs that started us. */
static void announce(const ssl_endpoints *ends)
{
    bool v6 = strchr(ends->local, ':') != NULL;
    printf("listening on %s%s%s:%d\n", v6 ? "[" : "", ends->local, v6 ? "]" : "", ends->local_port);
    fflush(stdout);
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

static int run(const settings *s)
{
    ssl_break *stop = NULL;
    ssl_server *server = NULL;
    ssl_endpoints ends;
    ssl_error err;
    bool served = catch_signals(&stop, &err) && start_server(s, &server, &ends, &err);
    if (served) {
        announce(&ends);
        served = serve_until(stop, server, &err);
    }
    if (!served) {
        fprintf(stderr, "echo_server: %s\n", err.text);
    }
    ssl_server_free(server);
    ssl_break_release(stop);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    settings s = {"127.0.0.1", ECHO_TEST_CERT, ECHO_TEST_KEY, 0, SALLY_SERVER_WORKERS};
    const char *cert = NULL, *key = NULL;
    const argument table[] = {{"--host", &s.host, NULL, 0, 0},
                              {"--port", NULL, &s.port, 0, 65535},
                              {"--cert", &cert, NULL, 0, 0},
                              {"--key", &key, NULL, 0, 0},
                              {"--workers", NULL, &s.workers, 1, WORKERS_MAX}};
    if (!read_arguments(argc, argv, table, sizeof table / sizeof table[0])) {
        return EXIT_USAGE;
    }
    if ((cert == NULL) != (key == NULL)) {
        fprintf(stderr, "echo_server: --cert and --key go together; one file may hold both\n");
        return EXIT_USAGE;
    }
    s.cert = cert == NULL ? s.cert : cert;
    s.key = key == NULL ? s.key : key;
    return run(&s);
}

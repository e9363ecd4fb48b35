/*
 * tls_tunnel: TLS for programs that know none.
 *
 *   tls_tunnel server HOST PORT    takes TLS connections and carries them to a plain service
 *   tls_tunnel client HOST PORT    takes plain connections and carries them to a TLS server
 *
 * The plain service is looked up once, at the start: while that lasts, and nothing breaks it, a signal still ends the
 * program. A TLS server is looked up for each client, by the library, under a token.
 *
 * Places lie in a pipe: whoever takes a client takes one out, whoever is done with it puts it back, with its own
 * name on it, to be joined by the next. So the pipe is the limit, further clients wait in the backlog, and the
 * drain has ended when all places are there.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sallyport.h>

#include "../common/arguments.h"
#include "../common/failure.h"
#include "../common/service.h"
#include "channel.h"

enum { CONNECTIONS = 256, CONNECTIONS_MAX = 2048 /* half of a pipe */, DRAIN_S = 10 };

typedef struct tunnel {
    far_end far;
    ssl_listener *listener; /* of TLS; or else */
    int door;
    int places[2];
    ssl_break *stop; /* no more clients */
    ssl_break *cut;  /* the end for those that are there */
} tunnel;

typedef struct place {
    bool was_taken;
    pthread_t by;
} place;

typedef struct client {
    tunnel *tunnel;
    channel channel;
} client;

static ssl_status take_place(const tunnel *t, ssl_break *brk, ssl_error *err)
{
    place p = {.was_taken = false};
    ssl_status status = SALLY_OK;
    while (status == SALLY_OK && read(t->places[0], &p, sizeof p) != (ssize_t)sizeof p) {
        status = ssl_wait_fd_enable_break(t->places[0], false, brk, err);
    }
    if (p.was_taken) {
        pthread_join(p.by, NULL); /* it has nothing left to do */
    }
    return status;
}

static bool give_place(const tunnel *t, place p)
{
    return write(t->places[1], &p, sizeof p) == (ssize_t)sizeof p;
}

static void *serve(void *arg)
{
    client *c = arg;
    const tunnel *t = c->tunnel;
    ssl_error err;
    if (!channel_run(&c->channel, &t->far, t->cut, &err)) {
        fprintf(stderr, "tls_tunnel: a connection was cut: %s\n", err.text);
    }
    free(c);
    (void)give_place(t, (place){true, pthread_self()}); /* there is room: it was there before */
    return NULL;
}

static ssl_status start_client(client *c, ssl_error *err)
{
    pthread_t thread;
    int cause = pthread_create(&thread, NULL, serve, c);
    if (cause != 0) {
        return fail_local(err, cause, "cannot start a thread");
    }
    return SALLY_OK;
}

/* One client, who has a place. */
static ssl_status take_client(tunnel *t, ssl_error *err)
{
    client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return fail_local(err, ENOMEM, "cannot take a client");
    }
    c->tunnel = t;
    c->channel.fd = -1;
    ssl_status status = t->listener != NULL
                            ? ssl_accept_enable_break(t->listener, t->stop, &c->channel.ports, err)
                            : plain_accept(t->door, t->stop, &c->channel.fd, err);
    if (status == SALLY_OK) {
        status = start_client(c, err);
    }
    if (status != SALLY_OK) {
        channel_drop(&c->channel);
        free(c);
    }
    return status;
}

/* Until a signal. A client that fails is one client less; without descriptors or memory it is tried again soon. */
static void serve_clients(tunnel *t)
{
    ssl_error err;
    while (take_place(t, t->stop, &err) == SALLY_OK) {
        ssl_status status = take_client(t, &err);
        if (status == SALLY_OK) {
            continue;
        }
        (void)give_place(t, (place){.was_taken = false});
        if (status == SALLY_BREAK) {
            return;
        }
        fprintf(stderr, "tls_tunnel: a client was lost: %s\n", err.text);
        ssl_break *pause = NULL;
        if (status == SALLY_SYSTEM &&
            ssl_break_new_deadline(t->stop, ssl_deadline_after_ms(100), &pause, NULL) == SALLY_OK) {
            ssl_wait_fd_enable_break(-1, false, pause, NULL);
            ssl_break_release(pause);
        }
    }
}

/* Waits for all connections to end; those that do not, or at a second signal all, are cut. */
static bool drain(tunnel *t, int connections, int seconds, ssl_error *err)
{
    int ended = 0;
    ssl_break *limit = NULL;
    ssl_deadline deadline = ssl_deadline_after_ms(seconds * INT64_C(1000));
    ssl_status status = ssl_break_new_deadline(t->stop, deadline, &limit, err);
    while (status == SALLY_OK && ended < connections) {
        status = take_place(t, limit, err);
        ended += status == SALLY_OK;
    }
    ssl_break_release(limit);
    int cut = connections - ended;
    ssl_break_send(t->cut, 0);
    while (ended < connections && take_place(t, NULL, err) == SALLY_OK) {
        ended++;
    }
    if (cut > 0) {
        snprintf(err->text, sizeof err->text, "connections that had to be cut: %d", cut);
    }
    return cut == 0;
}

static bool make_places(tunnel *t, int connections, ssl_error *err)
{
    bool made = pipe2(t->places, O_CLOEXEC | O_NONBLOCK) == 0;
    for (int i = 0; made && i < connections; i++) {
        made = give_place(t, (place){.was_taken = false});
    }
    if (!made) {
        fail_local(err, errno, "cannot make a pipe for %d connections", connections);
        return false;
    }
    return service_catch_signals(&t->stop, err) == SALLY_OK &&
           ssl_break_new(NULL, &t->cut, err) == SALLY_OK;
}

static bool open_tls(tunnel *t, const service_door *door, ssl_endpoints *ends, ssl_error *err)
{
    ssl_context *context = NULL;
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = door->host;
    bool open = plain_find(&t->far.place, err) == SALLY_OK &&
                service_context(door, &context, err) == SALLY_OK &&
                ssl_listen(door->port, &options, context, &t->listener, err) == SALLY_OK &&
                ssl_listener_addresses(t->listener, ends, err) == SALLY_OK;
    ssl_context_release(context);
    return open;
}

static bool open_plain(tunnel *t, const service_door *door, const char *ca, ssl_endpoints *ends,
                       ssl_error *err)
{
    ssl_context **context = &t->far.context;
    return ssl_make_client_context(SALLY_PROTOCOL_AUTO, context, err) == SALLY_OK &&
           ssl_load_verify_root_certificates(*context, ca, err) == SALLY_OK &&
           ssl_set_verify(*context, true, err) == SALLY_OK &&
           ssl_set_verify_hostname(*context, true, err) == SALLY_OK &&
           plain_listen(door->host, door->port, &t->door, ends, err) == SALLY_OK;
}

static void close_doors(tunnel *t)
{
    ssl_free_listener(t->listener);
    if (t->door >= 0) {
        close(t->door);
    }
}

int main(int argc, char **argv)
{
    const char *mode = NULL, *ca = TEST_CA;
    int connections = CONNECTIONS, seconds = DRAIN_S;
    service_door door = SERVICE_DOOR;
    tunnel t = {.door = -1};
    const argument table[] = {SERVICE_DOOR_ARGUMENTS(door),
                              {"--ca", &ca, NULL, 0, 0},
                              {"--connections", NULL, &connections, 1, CONNECTIONS_MAX},
                              {"--drain", NULL, &seconds, 0, 86400},
                              {"MODE", &mode, NULL, 0, 0},
                              {"HOST", &t.far.place.host, NULL, 0, 0},
                              {"PORT", NULL, &t.far.place.port, 1, 65535}};
    if (!read_arguments(argc, argv, table, sizeof table / sizeof table[0]) ||
        !service_check_door("tls_tunnel", &door)) {
        return EXIT_USAGE;
    }
    t.far.is_plain = strcmp(mode, "server") == 0;
    if (!t.far.is_plain && strcmp(mode, "client") != 0) {
        fprintf(stderr, "tls_tunnel: MODE is \"%s\"; it must be server or client\n", mode);
        return EXIT_USAGE;
    }
    ssl_error err;
    ssl_endpoints ends;
    bool served = (t.far.is_plain ? open_tls(&t, &door, &ends, &err)
                                  : open_plain(&t, &door, ca, &ends, &err)) &&
                  make_places(&t, connections, &err); /* which catches signals */
    if (served) {
        service_announce(&ends);
        serve_clients(&t);
    }
    close_doors(&t);
    if (served) {
        ssl_break_clear(t.stop); /* signals up to here are one; from here on they are the second */
        served = drain(&t, connections, seconds, &err);
    }
    if (!served) {
        fprintf(stderr, "tls_tunnel: %s\n", err.text);
    }
    plain_forget(&t.far.place);
    ssl_context_release(t.far.context);
    ssl_break_release(t.cut);
    ssl_break_release(t.stop);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * echo_server: sends every byte back, over TLS, to any number of clients.
 *
 * A few workers serve all clients. One that says nothing holds none, because the handler returns SALLY_KEEP
 * after each message. Nor does one that does not read: the handler writes what is taken at once, returns
 * SALLY_KEEP_WRITING while something is left, and reads nothing more meanwhile.
 *
 * SIGTERM or Ctrl-C drains: no new clients, everything accepted is echoed, then the end with status
 * 0. A second signal is the hard stop. SIGHUP and SIGUSR2 bring new certificates and a new process,
 * which may also come by itself (--hand-over). All of that is in ../common/service.c.
 */
#include <stdlib.h>
#include <string.h>

#include <sallyport.h>

#include "../common/arguments.h"
#include "../common/service.h"

enum { MESSAGE = 16384 };

/* What the connection did not take. As a rule it takes a whole message and there is none. */
typedef struct rest {
    size_t length;
    char bytes[];
} rest;

/* It waits with its connection. */
static ssl_served put_by(ssl_connection *connection, const char *bytes, size_t n)
{
    rest *r = malloc(sizeof *r + n);
    if (r == NULL) {
        return SALLY_DONE;
    }
    r->length = n;
    memcpy(r->bytes, bytes, n);
    ssl_connection_set_user(connection, r, free); /* frees the one before */
    return SALLY_KEEP_WRITING;
}

/* Serves one message. Whatever ends the stream, a goodbye, a cut, a drain or a silent peer, ends the
 * connection too, and the server counts it. */
static ssl_served echo(ssl_connection *connection, ssl_port *in, ssl_port *out, void *user)
{
    (void)user;
    const rest *old = ssl_connection_user(connection);
    char buf[MESSAGE];
    size_t got = 0, done = 0;
    if (old != NULL) {
        got = old->length;
        memcpy(buf, old->bytes, got);
    } else if (ssl_read(in, buf, sizeof buf, &got, NULL) != SALLY_OK) {
        return SALLY_DONE;
    }
    if (ssl_write_available(out, buf, got, &done, NULL) != SALLY_OK) {
        return SALLY_DONE;
    }
    if (done < got) {
        return put_by(connection, buf + done, got - done);
    }
    if (old != NULL) {
        ssl_connection_set_user(connection, NULL, NULL);
    }
    return SALLY_KEEP;
}

int main(int argc, char **argv)
{
    service_door door = SERVICE_DOOR;
    door.words = argv;
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = echo;
    const argument table[] = {SERVICE_DOOR_ARGUMENTS(door),
                              SERVICE_CLUSTER_ARGUMENTS(door),
                              SERVICE_HAND_OVER_ARGUMENT(door),
                              {"--workers", NULL, &options.workers, 1, WORKERS_MAX}};
    if (!read_arguments(argc, argv, table, sizeof table / sizeof table[0]) ||
        !service_check_door("echo_server", &door)) {
        return EXIT_USAGE;
    }
    return service_run("echo_server", &door, &options);
}

/*
 * echo_server: sends every byte back, over TLS, to any number of clients.
 *
 * The handler blocks like any classic server's, and a few workers serve all clients: a client that
 * says nothing holds no worker, because the handler returns SALLY_KEEP after each message.
 *
 * SIGTERM or Ctrl-C drains: no new clients, everything accepted is echoed, then the end with status
 * 0. A second signal is the hard stop. SIGHUP and SIGUSR2 bring new certificates and a new process. All of
 * that is in ../common/service.c.
 */
#include <sallyport.h>

#include "../common/arguments.h"
#include "../common/service.h"

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

int main(int argc, char **argv)
{
    service_door door = SERVICE_DOOR;
    door.words = argv;
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = echo;
    const argument table[] = {SERVICE_DOOR_ARGUMENTS(door),
                              SERVICE_CLUSTER_ARGUMENTS(door),
                              {"--workers", NULL, &options.workers, 1, WORKERS_MAX}};
    if (!read_arguments(argc, argv, table, sizeof table / sizeof table[0]) ||
        !service_check_door("echo_server", &door)) {
        return EXIT_USAGE;
    }
    return service_run("echo_server", &door, &options);
}

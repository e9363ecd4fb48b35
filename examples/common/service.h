/* What the servers among the examples share: their door, their life, their end. */
#ifndef SERVICE_H
#define SERVICE_H

#include <sallyport.h>

enum { EXIT_USAGE = 2, WORKERS_MAX = SALLY_SERVER_WORKERS_MAX };

/* Where a server listens, and as whom. Start from SERVICE_DOOR; --cert and --key replace the test
 * certificate of the build. */
typedef struct service_door {
    const char *host;
    int port;
    const char *cert;
    const char *key;
    char *
        *words; /* the command line, by which SIGUSR2 starts the program anew; NULL: it does not */
    const char *proxies;     /* whose word is taken for who a client is; nobody else may connect */
    const char *ticket_keys; /* a file that servers share */
    int metrics_port;        /* for Prometheus, on this machine alone; -1: none */
    const char
        *hand_over; /* a Unix socket, where another process can have the listeners; NULL: none */
} service_door;

/* clang-format off */
#define SERVICE_DOOR {"127.0.0.1", 0, NULL, NULL, NULL, NULL, NULL, -1, NULL}

/* The rows of a table of arguments (arguments.h) that fill a door. */
#define SERVICE_DOOR_ARGUMENTS(door) \
    {"--host", &(door).host, NULL, 0, 0}, {"--port", NULL, &(door).port, 0, 65535}, \
    {"--cert", &(door).cert, NULL, 0, 0}, {"--key", &(door).key, NULL, 0, 0}
/* Those of a server that is one of several, for service_run. */
#define SERVICE_CLUSTER_ARGUMENTS(door) \
    {"--proxies", &(door).proxies, NULL, 0, 0}, {"--ticket-keys", &(door).ticket_keys, NULL, 0, 0}, \
    {"--metrics", NULL, &(door).metrics_port, 0, 65535}
/* That of a server that another process may follow, for service_run. */
#define SERVICE_HAND_OVER_ARGUMENT(door) {"--hand-over", &(door).hand_over, NULL, 0, 0}
/* clang-format on */

/* Fills in the test certificate. False, after a message, when only one of --cert and --key is there. */
bool service_check_door(const char *program, service_door *door);

/* A server context with the door's certificate. */
ssl_status service_context(const service_door *door, ssl_context **context, ssl_error *err);

/* One line, for people and for the programs that started us: "listening on ADDRESS:PORT". */
void service_announce(const ssl_endpoints *ends);

/* A token that SIGTERM and SIGINT break. */
ssl_status service_catch_signals(ssl_break **stop, ssl_error *err);

/*
 * Runs a server from beginning to end: listens at the door, or on the sockets that a supervisor opened, or
 * another process offers at door->hand_over; announces it; does what signals ask for (errands.h); drains.
 * SIGTERM and SIGINT up to the first are one; a second one is the hard stop. SIGHUP reads the certificates and
 * ticket keys again. SIGUSR2 starts the program anew, perhaps another version of it, which takes the listening
 * sockets over; one that fetches them at door->hand_over does so without a signal; then this one drains. Returns
 * the program's exit status; a failure is told on standard error under the program's name.
 */
int service_run(const char *program, const service_door *door, const ssl_server_options *options);

#endif

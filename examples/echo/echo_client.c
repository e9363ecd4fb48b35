/*
 * echo_client: sends standard input over TLS and writes what comes back, until both ends are done.
 *
 * Two threads use one connection at once: main receives, a second thread sends, so that input larger
 * than every buffer on the way cannot deadlock. All waits, on the network and on standard input and
 * output alike, listen to one token: Ctrl-C breaks each of them, --timeout bounds them together.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <sallyport.h>

#include "../common/arguments.h"
#include "../common/failure.h"
#include "standard_io.h"

enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130, BUFFER_SIZE = 16384 };

typedef struct sender {
    ssl_port *out;
    ssl_break *stop;
    ssl_status status; /* this and err are main's once the thread is joined */
    ssl_error err;
} sender;

/* The thread: all of standard input, then our goodbye, which the server answers with its own. */
static void *send_input(void *arg)
{
    sender *s = arg;
    char buf[BUFFER_SIZE];
    size_t got = 0;
    do {
        s->status = read_input(buf, sizeof buf, s->stop, &got, &s->err);
        if (s->status == SALLY_OK) {
            s->status = ssl_write_enable_break(s->out, buf, got, s->stop, NULL, &s->err);
        }
    } while (s->status == SALLY_OK && got > 0);
    ssl_error *err =
        s->status == SALLY_OK ? &s->err : NULL; /* the first failure is the one to tell */
    ssl_status closed = ssl_close_port_enable_break(s->out, s->stop, err);
    s->status = s->status == SALLY_OK ? closed : s->status;
    return NULL;
}

static ssl_status receive(ssl_port *in, ssl_break *stop, ssl_error *err)
{
    char buf[BUFFER_SIZE];
    size_t got = 0;
    ssl_status status = SALLY_OK;
    while (status == SALLY_OK) {
        status = ssl_read_enable_break(in, buf, sizeof buf, stop, &got, err);
        if (status == SALLY_OK) {
            status = write_output(buf, got, stop, err);
        }
    }
    return status;
}

/* Leaves in *err how it ended: SALLY_EOF when both ends are done. `limit` is a child of `stop`. */
static void converse(ssl_ports *ports, ssl_break *stop, ssl_break *limit, ssl_error *err)
{
    sender s = {.out = ports->out, .stop = limit};
    pthread_t thread;
    int cause = pthread_create(&thread, NULL, send_input, &s);
    if (cause != 0) {
        fail_local(err, cause, "cannot start a thread");
        return;
    }
    ssl_status received = receive(ports->in, limit, err);
    ssl_break_send(stop, 0); /* nothing more can come back, so there is no use in sending */
    pthread_join(thread, NULL);
    if (received == SALLY_EOF && s.status == SALLY_BREAK && s.err.code == 0) {
        fail_local(err, ECONNRESET, "the server said goodbye before all of the input was sent");
    } else if (received == SALLY_EOF && s.status != SALLY_OK) {
        *err = s.err;
    }
}

/* A connection to a server that showed a certificate of `ca` for this host. */
static bool open_connection(const char *ca, const char *host, int port, ssl_break *stop,
                            ssl_ports *ports, ssl_error *err)
{
    ssl_context *context = NULL;
    bool open = ssl_make_client_context(SALLY_PROTOCOL_AUTO, &context, err) == SALLY_OK &&
                ssl_load_verify_root_certificates(context, ca, err) == SALLY_OK &&
                ssl_set_verify(context, true, err) == SALLY_OK &&
                ssl_set_verify_hostname(context, true, err) == SALLY_OK &&
                ssl_connect_enable_break(host, port, context, stop, ports, err) == SALLY_OK;
    ssl_context_release(context); /* the connection keeps its own reference */
    return open;
}

static int report(const ssl_error *err)
{
    switch (err->status) {
    case SALLY_EOF: return EXIT_SUCCESS;
    case SALLY_BREAK: fprintf(stderr, "echo_client: interrupted\n"); return EXIT_INTERRUPTED;
    case SALLY_TIMEOUT: fprintf(stderr, "echo_client: out of time: %s\n", err->text); break;
    case SALLY_TRUNCATED: fprintf(stderr, "echo_client: cut off: %s\n", err->text); break;
    default: fprintf(stderr, "echo_client: %s\n", err->text);
    }
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *ca = TEST_CA, *host = NULL;
    int seconds = -1, port = 0;
    const argument table[] = {{"--ca", &ca, NULL, 0, 0},
                              {"--timeout", NULL, &seconds, 1, 86400},
                              {"HOST", &host, NULL, 0, 0},
                              {"PORT", NULL, &port, 1, 65535}};
    if (!read_arguments(argc, argv, table, sizeof table / sizeof table[0])) {
        return EXIT_USAGE;
    }
    ssl_break *stop = NULL, *limit = NULL;
    ssl_ports ports = {NULL, NULL};
    ssl_error err;
    ssl_deadline deadline = ssl_deadline_after_ms(seconds < 0 ? -1 : seconds * INT64_C(1000));
    if (ssl_break_new(NULL, &stop, &err) == SALLY_OK &&
        ssl_break_on_signal(SIGINT, stop, &err) == SALLY_OK &&
        ssl_break_new_deadline(stop, deadline, &limit, &err) == SALLY_OK &&
        open_connection(ca, host, port, limit, &ports, &err)) {
        converse(&ports, stop, limit, &err);
    }
    ssl_free_ports(&ports);
    ssl_break_release(limit);
    ssl_break_release(stop);
    return report(&err);
}

/*
 * load MODE PORT PID CA COUNT [CONNECTIONS]: loads an echo server and tells what it cost the server.
 *
 *   handshake  COUNT times: a full TLS 1.3 handshake, one byte there and back, the end
 *   resume     the same, each resuming the session of the one before
 *   echo       COUNT round trips of 64 bytes on each of CONNECTIONS connections, a thread each
 *   bulk       COUNT blocks of 128 KiB there and back, one after the other, on one connection
 *   idle       COUNT connections, each with one byte there and back, left open
 *
 * Prints one line: units of work done, nanoseconds of processor time that process PID used for them; for
 * `idle`, bytes of memory that it holds more than before.
 * Setting up the connections of `echo` and `bulk` is not measured.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

enum { MESSAGE = 64, BLOCK = 128 * 1024, CONNECTIONS_MAX = 256 };

typedef struct load {
    SSL_CTX *context;
    int port;
    pid_t pid;
    int count;
    int connections;
} load;

/* The work of one thread: `count` messages of `size` bytes over a connection of its own. */
typedef struct talker {
    SSL *ssl;
    size_t size;
    int count;
} talker;

static void *talk(void *arg)
{
    talker *t = arg;
    char *message = calloc(1, t->size);
    if (message == NULL) {
        die("out of memory");
    }
    for (int i = 0; i < t->count; i++) {
        write_all(t->ssl, message, t->size);
        read_all(t->ssl, message, t->size);
    }
    free(message);
    return NULL;
}

static void run_talkers(talker *talkers, int count)
{
    pthread_t threads[CONNECTIONS_MAX];
    for (int i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, talk, &talkers[i]) != 0) {
            die("cannot start a thread");
        }
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* A first message on each connection is not measured: it brings the session tickets too. */
static int64_t measure_messages(const load *l, size_t size)
{
    talker talkers[CONNECTIONS_MAX];
    for (int i = 0; i < l->connections; i++) {
        talkers[i] = (talker){client_connect(l->context, l->port, NULL), size, 1};
        talk(&talkers[i]);
        talkers[i].count = l->count;
    }
    int64_t before = process_cpu_ns(l->pid);
    run_talkers(talkers, l->connections);
    int64_t cost = process_cpu_ns(l->pid) - before;
    for (int i = 0; i < l->connections; i++) {
        client_close(talkers[i].ssl);
    }
    return cost;
}

static SSL *connect_and_talk(const load *l, SSL_SESSION *session)
{
    char byte = 'x';
    SSL *ssl = client_connect(l->context, l->port, session);
    write_all(ssl, &byte, 1);
    read_all(ssl, &byte, 1);
    return ssl;
}

/* The ticket comes before the echo. */
static SSL_SESSION *visit(const load *l, SSL_SESSION *session)
{
    SSL *ssl = connect_and_talk(l, session);
    SSL_SESSION *fresh = SSL_get1_session(ssl);
    client_close(ssl);
    return fresh;
}

static int64_t measure_handshakes(const load *l, bool resume)
{
    SSL_SESSION *last = resume ? visit(l, NULL) : NULL;
    int64_t before = process_cpu_ns(l->pid);
    for (int i = 0; i < l->count; i++) {
        SSL_SESSION *fresh = visit(l, last);
        SSL_SESSION_free(resume ? last : fresh);
        last = resume ? fresh : NULL;
    }
    int64_t cost = process_cpu_ns(l->pid) - before;
    SSL_SESSION_free(last);
    return cost;
}

/* A first connection is not measured: it makes what all share. */
static int64_t measure_idle(const load *l)
{
    client_close(connect_and_talk(l, NULL));
    int64_t before = process_memory(l->pid);
    for (int i = 0; i < l->count; i++) {
        client_forget(connect_and_talk(l, NULL));
    }
    return process_memory(l->pid) - before;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: load handshake|resume|echo|bulk|idle PORT PID CA COUNT [CONNECTIONS]\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc > 7) {
        return usage();
    }
    load l = {client_context(argv[4]), number(argv[2]), number(argv[3]), number(argv[5]),
              argc == 7 ? number(argv[6]) : 1};
    if (l.port <= 0 || l.pid <= 0 || l.count <= 0 || l.connections <= 0 ||
        l.connections > CONNECTIONS_MAX) {
        return usage();
    }
    int64_t cost;
    if (strcmp(argv[1], "handshake") == 0) {
        cost = measure_handshakes(&l, false);
    } else if (strcmp(argv[1], "resume") == 0) {
        cost = measure_handshakes(&l, true);
    } else if (strcmp(argv[1], "echo") == 0) {
        cost = measure_messages(&l, MESSAGE);
    } else if (strcmp(argv[1], "bulk") == 0) {
        cost = measure_messages(&l, BLOCK);
    } else if (strcmp(argv[1], "idle") == 0) {
        cost = measure_idle(&l);
    } else {
        return usage();
    }
    printf("%ld %lld\n", (long)l.count * l.connections, (long long)cost);
    SSL_CTX_free(l.context);
    return 0;
}

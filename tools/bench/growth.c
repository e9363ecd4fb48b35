/*
 * growth CERTIFICATE KEY CA ROUNDS: what a pool that grows costs and brings.
 *
 * CLIENTS clients of one server ask it again and again for an answer. Three servers take turns, each made anew:
 * one that has all the workers it may need from the start, one that begins with FEW and grows, one that
 * keeps FEW. Their handlers block for some time in each request, BLOCKED_MS for each client in all, or
 * answer at once. Prints the medians of the rounds: the time as a ratio to the server that has all workers
 * from the start, how long the first answer took for the client that waited longest, and the workers at the end.
 */
#include <poll.h>
#include <pthread.h>
#include <sallyport.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "measure.h"

enum { CLIENTS = 32, FEW = 2, BLOCKED_MS = 800, SHORT_REQUESTS = 500, ROUNDS_MAX = 99 };

/* Reads a byte, blocks for *user milliseconds, answers. */
static ssl_served answer(ssl_connection *c, ssl_port *in, ssl_port *out, void *user)
{
    const int *block_ms = user;
    char byte;
    size_t got;
    (void)c;
    if (ssl_read(in, &byte, 1, &got, NULL) != SALLY_OK) {
        return SALLY_DONE;
    }
    if (*block_ms != 0) {
        (void)poll(NULL, 0, *block_ms);
    }
    return ssl_write(out, &byte, 1, NULL, NULL) == SALLY_OK ? SALLY_KEEP : SALLY_DONE;
}

typedef struct service {
    ssl_server *server;
    int port;
} service;

static void must(ssl_status status, const ssl_error *err)
{
    if (status != SALLY_OK) {
        die(err->text);
    }
}

static service start(ssl_context *context, int workers, int workers_max, int *block_ms)
{
    service s;
    ssl_error err;
    ssl_endpoints ends;
    ssl_listener *listener;
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    ssl_listen_options local = SALLY_LISTEN_OPTIONS;
    local.host = "127.0.0.1";
    options.handler = answer;
    options.user = block_ms;
    options.workers = workers;
    options.workers_max = workers_max;
    must(ssl_server_new(&options, &s.server, &err), &err);
    must(ssl_listen(0, &local, context, &listener, &err), &err);
    must(ssl_listener_addresses(listener, &ends, &err), &err);
    must(ssl_server_add_listener(s.server, listener, &err), &err);
    must(ssl_server_start(s.server, &err), &err);
    s.port = ends.local_port;
    return s;
}

static uint64_t workers_of(const service *s)
{
    ssl_server_counters counters;
    ssl_error err;
    must(ssl_server_count(s->server, &counters, &err), &err);
    return counters.workers;
}

/* ---- clients ------------------------------------------------------------------------------- */

typedef struct crowd {
    SSL *clients[CLIENTS];
    int requests;
    pthread_barrier_t start;
} crowd;

typedef struct client {
    crowd *all;
    SSL *ssl;
    int64_t first_ns; /* of the first answer */
    pthread_t thread;
} client;

static void *ask(void *arg)
{
    client *c = arg;
    char byte = 'x';
    (void)pthread_barrier_wait(&c->all->start);
    int64_t begun = now_ns();
    for (int i = 0; i < c->all->requests; i++) {
        write_all(c->ssl, &byte, 1);
        read_all(c->ssl, &byte, 1);
        c->first_ns = i == 0 ? now_ns() - begun : c->first_ns;
    }
    return NULL;
}

typedef struct figures {
    int64_t time_ns;
    int64_t first_ns; /* the longest wait for a first answer */
    int64_t workers;  /* when all was over, before any of them could end */
} figures;

static figures visit(const service *s, SSL_CTX *context, int requests)
{
    crowd all = {.requests = requests};
    client clients[CLIENTS];
    figures seen = {.time_ns = 0};
    if (pthread_barrier_init(&all.start, NULL, CLIENTS + 1) != 0) {
        die("no barrier");
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client){.all = &all, .ssl = client_connect(context, s->port, NULL)};
        if (pthread_create(&clients[i].thread, NULL, ask, &clients[i]) != 0) {
            die("no thread");
        }
    }
    (void)pthread_barrier_wait(&all.start);
    int64_t begun = now_ns();
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        seen.first_ns = clients[i].first_ns > seen.first_ns ? clients[i].first_ns : seen.first_ns;
    }
    seen.time_ns = now_ns() - begun;
    seen.workers = (int64_t)workers_of(s);
    for (int i = 0; i < CLIENTS; i++) {
        client_close(clients[i].ssl);
    }
    pthread_barrier_destroy(&all.start);
    return seen;
}

/* ---- rounds -------------------------------------------------------------------------------- */

typedef enum kind { ALL, GROWS, FIXED, KINDS } kind;

static const char *const names[] = {"all from the start", "grows", "few"};
static const int workers[KINDS] = {CLIENTS, FEW, FEW};
static const int workers_max[KINDS] = {CLIENTS, CLIENTS, FEW};

static int64_t figures_of[KINDS][3][ROUNDS_MAX];

static void measure_one(ssl_context *context, SSL_CTX *peer, kind k, int block_ms, int round)
{
    service s = start(context, workers[k], workers_max[k], &block_ms);
    figures seen = visit(&s, peer, block_ms != 0 ? BLOCKED_MS / block_ms : SHORT_REQUESTS);
    ssl_server_free(s.server);
    figures_of[k][0][round] = seen.time_ns;
    figures_of[k][1][round] = seen.first_ns;
    figures_of[k][2][round] = seen.workers;
}

static void report(int block_ms, size_t rounds)
{
    double whole = (double)percentile(figures_of[ALL][0], rounds, 50);
    printf("handlers that block for %d ms\n", block_ms);
    for (int k = 0; k < KINDS; k++) {
        double first = (double)percentile(figures_of[k][1], rounds, 50);
        printf("  %-19s time %5.2f, first answer %4.0f ms at most, %lld workers\n", names[k],
               (double)percentile(figures_of[k][0], rounds, 50) / whole, first / 1e6,
               (long long)percentile(figures_of[k][2], rounds, 50));
    }
}

int main(int argc, char **argv)
{
    int rounds = argc == 5 ? number(argv[4]) : 0;
    if (rounds == 0 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "usage: growth CERTIFICATE KEY CA ROUNDS\n");
        return 2;
    }
    ssl_error err;
    ssl_context *context;
    ssl_context_options options = SALLY_CONTEXT_OPTIONS;
    options.certificate_chain = argv[1];
    options.private_key = argv[2];
    must(ssl_make_server_context_with(&options, &context, &err), &err);
    SSL_CTX *peer = client_context(argv[3]);
    static const int blocks[] = {200, 50, 20, 0};
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        for (int round = 0; round < rounds; round++) {
            for (int k = 0; k < KINDS; k++) {
                measure_one(context, peer, (kind)k, blocks[b], round);
            }
        }
        report(blocks[b], (size_t)rounds);
    }
    SSL_CTX_free(peer);
    ssl_context_release(context);
    return 0;
}

/*
 * stalled PORT PID QUIET CA COUNT OF_EACH: how long good clients wait beside stalled ones.
 *
 * PORT and QUIET are those of two servers of one kind, PID is the process of the first, at which OF_EACH
 * clients of each kind stall:
 *
 *   silent, half of a ClientHello, a byte of one each second, silent after the whole of it, silent after
 *   the handshake, never reading what they ask for
 *
 * COUNT good clients visit both in turns, so that both are seen across the same moments of this machine; a
 * visit is a full handshake, one byte there and back. Those who stall before the end of the handshake come
 * anew in time, before the server may drop them. Prints four numbers of nanoseconds: p50 and p99 beside them,
 * p50 and p99 without.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define SECOND_NS      INT64_C(1000000000)
/* Less than the server's limit for a handshake. */
#define SHIFT_NS       (7 * SECOND_NS)
#define LOOK_NS        (SECOND_NS / 20)
/* A server that does so much of the time since the last look has something to do. */
#define BUSY_PART      5
#define SETTLING_LOOKS 60

enum { HELLO_MAX = 2048, RECORD = 16384, SMALL = 4096 };

typedef struct crowd {
    SSL_CTX *context;
    int port;
    int count; /* of each kind */
    char hello[HELLO_MAX];
    size_t hello_size;
    int *silent; /* and after half a hello, and after a whole one */
    int *trickling;
    pthread_t trickler;
    atomic_bool ended;
    int64_t shift_ends_ns;
} crowd;

static void pause_ns(int64_t ns)
{
    struct timespec t = {ns / SECOND_NS, ns % SECOND_NS};
    nanosleep(&t, NULL);
}

/* ---- those who stall after the handshake --------------------------------------------------- */

/* Sends as long as it is taken. True: something was. */
static bool talk_on(SSL *ssl)
{
    static const char much[RECORD];
    size_t done = 0;
    bool taken = false;
    while (SSL_write_ex(ssl, much, sizeof much, &done) == 1) {
        taken = true;
    }
    return taken;
}

static SSL *connect_deaf(const crowd *c)
{
    int small = SMALL;
    SSL *ssl = client_connect(c->context, c->port, NULL);
    int fd = SSL_get_fd(ssl);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
    return ssl;
}

/* Until nobody gets rid of anything any more. What the client keeps of them is forgotten. */
static void add_deaf(const crowd *c)
{
    SSL **deaf = calloc((size_t)c->count, sizeof(SSL *));
    if (deaf == NULL) {
        die("out of memory");
    }
    for (int i = 0; i < c->count; i++) {
        deaf[i] = connect_deaf(c);
    }
    for (bool taken = true; taken; pause_ns(LOOK_NS)) {
        taken = false;
        for (int i = 0; i < c->count; i++) {
            taken = talk_on(deaf[i]) || taken;
        }
    }
    for (int i = 0; i < c->count; i++) {
        client_forget(deaf[i]);
    }
    free(deaf);
}

static void add_silent_after(const crowd *c)
{
    for (int i = 0; i < c->count; i++) {
        client_forget(client_connect(c->context, c->port, NULL));
    }
}

/* ---- those who stall before ---------------------------------------------------------------- */

static void make_hello(crowd *c)
{
    SSL *ssl = SSL_new(c->context);
    BIO *out = BIO_new(BIO_s_mem());
    if (ssl == NULL || out == NULL) {
        die("out of memory");
    }
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    (void)SSL_connect(ssl);
    int n = BIO_read(out, c->hello, sizeof c->hello);
    SSL_free(ssl);
    if (n <= 0) {
        die("no ClientHello");
    }
    c->hello_size = (size_t)n;
}

static int connect_saying(const crowd *c, size_t n)
{
    int fd = connect_loopback(c->port);
    if (n > 0 && send(fd, c->hello, n, MSG_NOSIGNAL) != (ssize_t)n) {
        die("cannot send a part of a ClientHello");
    }
    return fd;
}

/* One byte each second from each of them, and not all at once. */
static void *trickle(void *arg)
{
    const crowd *c = arg;
    for (size_t at = 0; !c->ended && at < c->hello_size - 1; at++) {
        for (int i = 0; !c->ended && i < c->count; i++) {
            (void)send(c->trickling[i], c->hello + at, 1, MSG_NOSIGNAL);
            pause_ns(SECOND_NS / c->count);
        }
    }
    return NULL;
}

static void begin_shift(crowd *c)
{
    c->shift_ends_ns = now_ns() + SHIFT_NS;
    for (int i = 0; i < c->count; i++) {
        c->silent[3 * i] = connect_saying(c, 0);
        c->silent[3 * i + 1] = connect_saying(c, c->hello_size / 2);
        c->silent[3 * i + 2] = connect_saying(c, c->hello_size);
        c->trickling[i] = connect_saying(c, 0);
    }
    c->ended = false;
    if (pthread_create(&c->trickler, NULL, trickle, c) != 0) {
        die("cannot start a thread");
    }
}

static void end_stalled(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        die("a stalled client was dropped");
    }
    close(fd);
}

static void end_shift(crowd *c)
{
    c->ended = true;
    pthread_join(c->trickler, NULL);
    for (int i = 0; i < c->count; i++) {
        end_stalled(c->silent[3 * i]);
        end_stalled(c->silent[3 * i + 1]);
        end_stalled(c->silent[3 * i + 2]);
        end_stalled(c->trickling[i]);
    }
}

static void open_crowd(crowd *c)
{
    size_t count = (size_t)c->count;
    c->silent = calloc(3 * count, sizeof(int));
    c->trickling = calloc(count, sizeof(int));
    if (c->silent == NULL || c->trickling == NULL) {
        die("out of memory");
    }
    make_hello(c);
    add_silent_after(c);
    add_deaf(c);
}

/* ---- good clients -------------------------------------------------------------------------- */

/* Until the server has taken note of all who came and went. */
static void settle(pid_t pid)
{
    int64_t used = LOOK_NS, before = process_cpu_ns(pid);
    for (int i = 0; used > LOOK_NS / BUSY_PART; i++) {
        if (i == SETTLING_LOOKS) {
            die("the server does not come to rest");
        }
        pause_ns(LOOK_NS);
        int64_t now = process_cpu_ns(pid);
        used = now - before;
        before = now;
    }
}

static int64_t visit(SSL_CTX *context, int port)
{
    char byte = 'x';
    int64_t begun = now_ns();
    SSL *ssl = client_connect(context, port, NULL);
    write_all(ssl, &byte, 1);
    read_all(ssl, &byte, 1);
    int64_t took = now_ns() - begun;
    client_close(ssl);
    return took;
}

/* From *done on: visits to both until the shift ends, or all are done. */
static void visit_both(const crowd *c, int quiet, int count, int *done, int64_t *took[2])
{
    for (; *done < count && now_ns() < c->shift_ends_ns; ++*done) {
        took[0][*done] = visit(c->context, c->port);
        took[1][*done] = visit(c->context, quiet);
    }
}

int main(int argc, char **argv)
{
    int numbers[7] = {0};
    for (int i = 1; i < argc && i < 7; i++) {
        numbers[i] = number(argv[i]);
    }
    int count = numbers[5];
    crowd c = {.port = numbers[1], .count = numbers[6]};
    if (argc != 7 || c.port <= 0 || numbers[2] <= 0 || numbers[3] <= 0 || count <= 0 ||
        c.count <= 0) {
        fprintf(stderr, "usage: stalled PORT PID QUIET CA COUNT OF_EACH\n");
        return 2;
    }
    c.context = client_context(argv[4]);
    int64_t *took[2] = {calloc((size_t)count, sizeof(int64_t)),
                        calloc((size_t)count, sizeof(int64_t))};
    if (took[0] == NULL || took[1] == NULL) {
        die("out of memory");
    }
    open_crowd(&c);
    for (int done = 0; done < count;) {
        begin_shift(&c);
        settle(numbers[2]);
        visit_both(&c, numbers[3], count, &done, took);
        end_shift(&c);
    }
    size_t n = (size_t)count;
    printf("%lld %lld %lld %lld\n", (long long)percentile(took[0], n, 50),
           (long long)percentile(took[0], n, 99), (long long)percentile(took[1], n, 50),
           (long long)percentile(took[1], n, 99));
    return 0;
}

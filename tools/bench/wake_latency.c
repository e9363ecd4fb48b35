/*
 * wake_latency PORT CA ROUNDS: how long a break takes to end a blocked read, beside a bare eventfd and
 * poll, in turns.
 *
 * PORT is that of a silent TLS server, whose certificate `CA` has signed. In each round a thread
 * blocks, and once it sleeps (the kernel says so) another one notes the time and wakes it. One thread
 * waits both ways in turns, so that both are woken across the same processors. Prints four numbers of
 * nanoseconds: p50 and p99 of ours, p50 and p99 of the bare one.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sallyport.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

typedef struct waiter {
    ssl_port *in;
    ssl_break *brk;
    int wake_fd;
    int silent_fd; /* never readable; stands for the socket that the bare wait watches */
    int stat_fd;   /* /proc/self/task/TID/stat of the waiting thread */
    int rounds;    /* of both kinds together: even ones are ours, odd ones bare */
    int64_t woken_ns;
    sem_t ready;
    sem_t done;
} waiter;

static void wait_for_break(waiter *w)
{
    char byte;
    size_t got;
    if (ssl_read_enable_break(w->in, &byte, 1, w->brk, &got, NULL) != SALLY_BREAK) {
        die("the read ended, and not by a break");
    }
    w->woken_ns = now_ns();
    ssl_break_clear(w->brk);
}

static void wait_bare(waiter *w)
{
    struct pollfd fds[2] = {{w->silent_fd, POLLIN, 0}, {w->wake_fd, POLLIN, 0}};
    uint64_t value;
    if (poll(fds, 2, -1) != 1) {
        die("poll failed");
    }
    w->woken_ns = now_ns();
    if (read(w->wake_fd, &value, sizeof value) != sizeof value) {
        die("the eventfd is empty");
    }
}

static bool is_ours(int round)
{
    return round % 2 == 0;
}

static void wake(waiter *w, int round)
{
    uint64_t one = 1;
    if (is_ours(round)) {
        ssl_break_send(w->brk, 0);
    } else if (write(w->wake_fd, &one, sizeof one) != sizeof one) {
        die("cannot write the eventfd");
    }
}

static void *run_waiter(void *arg)
{
    waiter *w = arg;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", syscall(SYS_gettid));
    w->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (w->stat_fd < 0) {
        die("cannot see whether a thread sleeps");
    }
    for (int i = 0; i < w->rounds; i++) {
        sem_post(&w->ready);
        if (is_ours(i)) {
            wait_for_break(w);
        } else {
            wait_bare(w);
        }
        sem_post(&w->done);
    }
    return NULL;
}

static bool is_asleep(const waiter *w)
{
    char text[256];
    ssize_t n = pread(w->stat_fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    const char *state = strrchr(text, ')');
    return state != NULL && strncmp(state, ") S", 3) == 0;
}

static int64_t measure_once(waiter *w, int round)
{
    sem_wait(&w->ready);
    while (!is_asleep(w)) {
        sched_yield();
    }
    int64_t sent = now_ns();
    wake(w, round);
    sem_wait(&w->done);
    return w->woken_ns - sent;
}

static pthread_t start(waiter *w, int rounds)
{
    pthread_t thread;
    w->rounds = rounds;
    sem_init(&w->ready, 0, 0);
    sem_init(&w->done, 0, 0);
    if (pthread_create(&thread, NULL, run_waiter, w) != 0) {
        die("cannot start a thread");
    }
    return thread;
}

static void connect_ours(waiter *w, int port, const char *ca, ssl_ports *ports)
{
    ssl_context *context = NULL;
    ssl_error err;
    if (ssl_make_client_context(SALLY_PROTOCOL_AUTO, &context, &err) != SALLY_OK ||
        ssl_load_verify_root_certificates(context, ca, &err) != SALLY_OK ||
        ssl_set_verify(context, true, &err) != SALLY_OK ||
        ssl_connect("127.0.0.1", port, context, ports, &err) != SALLY_OK ||
        ssl_break_new(NULL, &w->brk, &err) != SALLY_OK) {
        die(err.text);
    }
    ssl_context_release(context);
    w->in = ports->in;
}

int main(int argc, char **argv)
{
    int rounds = argc == 4 ? number(argv[3]) : 0;
    if (rounds <= 0) {
        fprintf(stderr, "usage: wake_latency PORT CA ROUNDS\n");
        return 2;
    }
    waiter w = {.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                .silent_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    ssl_ports ports;
    connect_ours(&w, number(argv[1]), argv[2], &ports);
    int64_t *ours_ns = calloc((size_t)rounds, sizeof *ours_ns);
    int64_t *bare_ns = calloc((size_t)rounds, sizeof *bare_ns);
    if (ours_ns == NULL || bare_ns == NULL || w.wake_fd < 0 || w.silent_fd < 0) {
        die("out of memory or descriptors");
    }
    pthread_t thread = start(&w, 2 * rounds);
    for (int i = 0; i < rounds; i++) {
        ours_ns[i] = measure_once(&w, 2 * i);
        bare_ns[i] = measure_once(&w, 2 * i + 1);
    }
    pthread_join(thread, NULL);
    size_t n = (size_t)rounds;
    printf("%lld %lld %lld %lld\n", (long long)percentile(ours_ns, n, 50),
           (long long)percentile(ours_ns, n, 99), (long long)percentile(bare_ns, n, 50),
           (long long)percentile(bare_ns, n, 99));
    ssl_free_ports(&ports);
    ssl_break_release(w.brk);
    free(ours_ns);
    free(bare_ns);
    return 0;
}

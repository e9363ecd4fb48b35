/* What the benchmark programs share. A benchmark that cannot measure ends, with the reason. */
#include "measure.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void die(const char *what)
{
    fprintf(stderr, "benchmark: %s\n", what);
    ERR_print_errors_fp(stderr);
    _exit(EXIT_FAILURE);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) {
        die("no such clock; is the server gone?");
    }
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int number(const char *text)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    return end != text && *end == '\0' && value > 0 && value <= INT_MAX ? (int)value : 0;
}

int64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t process_cpu_ns(pid_t pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0) {
        die("no processor clock for the server's process");
    }
    return read_clock(clock);
}

int64_t process_memory(pid_t pid)
{
    char line[128];
    (void)snprintf(line, sizeof line, "/proc/%ld/smaps_rollup", (long)pid);
    FILE *file = fopen(line, "r");
    long kib = -1;
    while (file != NULL && kib < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Anonymous:", 10) == 0) {
            kib = strtol(line + 10, NULL, 10);
        }
    }
    if (kib < 0) {
        die("cannot read the server's memory");
    }
    fclose(file);
    return (int64_t)kib * 1024;
}

SSL_CTX *client_context(const char *ca)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_load_verify_locations(context, ca, NULL) != 1) {
        die("cannot load the CA certificates");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return context;
}

int connect_loopback(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        die("cannot connect");
    }
    return fd;
}

SSL *client_connect(SSL_CTX *context, int port, SSL_SESSION *session)
{
    int fd = connect_loopback(port);
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_set_session(ssl, session) != 1 ||
        SSL_connect(ssl) != 1) {
        die("the handshake failed");
    }
    if (session != NULL && SSL_session_reused(ssl) != 1) {
        die("the session was not resumed");
    }
    return ssl;
}

void client_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

void client_forget(SSL *ssl)
{
    SSL_set_quiet_shutdown(ssl, 1);
    SSL_free(ssl); /* the descriptor is not the SSL's */
}

void write_all(SSL *ssl, const void *bytes, size_t n)
{
    size_t done = 0;
    if (SSL_write_ex(ssl, bytes, n, &done) != 1 || done != n) {
        die("cannot send");
    }
}

void read_all(SSL *ssl, void *buf, size_t n)
{
    char *at = buf;
    while (n > 0) {
        size_t got = 0;
        if (SSL_read_ex(ssl, at, n, &got) != 1) {
            die("the echo ended early");
        }
        at += got;
        n -= got;
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t percentile(int64_t *values, size_t count, unsigned p)
{
    qsort(values, count, sizeof values[0], by_value);
    return values[(count - 1) * p / 100];
}

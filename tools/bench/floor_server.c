/*
 * floor_server CERT KEY: the floor that ours is measured against. Bare OpenSSL, blocking calls, one
 * thread per connection, no library: the shortest echo server that a careful person would write.
 *
 * Prints `listening on 127.0.0.1:PORT`; runs until it is killed.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *context; /* constant once the first thread runs */

static void die(const char *what)
{
    fprintf(stderr, "floor_server: %s\n", what);
    ERR_print_errors_fp(stderr);
    _exit(EXIT_FAILURE);
}

static void echo(SSL *ssl)
{
    char buf[16384];
    int got;
    while ((got = SSL_read(ssl, buf, sizeof buf)) > 0) {
        if (SSL_write(ssl, buf, got) != got) {
            return;
        }
    }
    SSL_shutdown(ssl);
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    SSL *ssl = SSL_new(context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
        echo(ssl);
    }
    SSL_free(ssl);
    ERR_clear_error();
    close(fd);
    return NULL;
}

static int listen_on_loopback(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&addr, length) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &length) != 0) {
        die("cannot listen");
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(int listener, const pthread_attr_t *detached)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        pthread_t thread;
        if (pthread_create(&thread, detached, serve, (void *)(intptr_t)fd) != 0) {
            close(fd);
        }
    }
}

int main(int argc, char **argv)
{
    pthread_attr_t detached;
    if (argc != 3) {
        fprintf(stderr, "usage: floor_server CERT KEY\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
        die("cannot load the certificate and the key");
    }
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    accept_all(listen_on_loopback(), &detached);
    return 0;
}

/* What the benchmark programs share: clocks, a bare OpenSSL client, order statistics. */
#ifndef MEASURE_H
#define MEASURE_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

_Noreturn void die(const char *what);

/* A positive number of an argument; 0 for anything else. */
int number(const char *text);

int64_t now_ns(void);
/* Processor time of another process so far, threads that have ended included. */
int64_t process_cpu_ns(pid_t pid);
/* Memory of another process that is its own: no files, nothing shared. */
int64_t process_memory(pid_t pid);

/* A context that trusts the certificates of `ca`, TLS 1.3 only. */
SSL_CTX *client_context(const char *ca);
/* A blocking socket with TCP_NODELAY, connected to 127.0.0.1. */
int connect_loopback(int port);
/* The same with the handshake done; with a session (may be NULL) it must be a resumed one. */
SSL *client_connect(SSL_CTX *context, int port, SSL_SESSION *session);
/* Says goodbye and closes. */
void client_close(SSL *ssl);
/* Frees what the client keeps of a connection, and leaves it open, for ever. */
void client_forget(SSL *ssl);
void write_all(SSL *ssl, const void *bytes, size_t n);
void read_all(SSL *ssl, void *buf, size_t n);

/* Sorts; p in 0..100. */
int64_t percentile(int64_t *values, size_t count, unsigned p);

#endif

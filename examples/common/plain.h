/* TCP without TLS, under the same tokens as the ports. Every call that fails fills *err. */
#ifndef PLAIN_H
#define PLAIN_H

#include <stddef.h>

#include <sallyport.h>

/* Where to connect to. */
typedef struct plain_place {
    const char *host;
    int port;
    struct addrinfo *addresses; /* of plain_find */
} plain_place;

/* Looks the name up, which no token breaks: to be done before signals are caught. */
ssl_status plain_find(plain_place *place, ssl_error *err);
void plain_forget(plain_place *place);

/* A descriptor that listens at the first address of `host`, and where. Looks the name up as well. */
ssl_status plain_listen(const char *host, int port, int *fd, ssl_endpoints *ends, ssl_error *err);
/* The next client. */
ssl_status plain_accept(int door, ssl_break *brk, int *fd, ssl_error *err);
/* Connects to the first address of a place found that answers. */
ssl_status plain_connect(const plain_place *to, ssl_break *brk, int *fd, ssl_error *err);
/* At least one byte and at most `n`; *got 0 is the end. */
ssl_status plain_read(int fd, char *buf, size_t n, ssl_break *brk, size_t *got, ssl_error *err);
/* All of it. */
ssl_status plain_write(int fd, const char *bytes, size_t n, ssl_break *brk, ssl_error *err);
/* Closes with a reset: the other end shall not take what it has for the whole. */
void plain_cut(int fd);

#endif

/* How one process of a server follows another, with the same listening sockets (handover.h): the old one starts the new
 * one, or somebody else does, and the new one fetches them. */
#ifndef SUCCESSION_H
#define SUCCESSION_H

#include <pthread.h>
#include <stdbool.h>

#include <sallyport.h>

enum { LISTENERS_MAX = 8, SOCKETS_MAX = LISTENERS_MAX + 1 };

/* The name of the socket that answers scrapes; all others are for TLS. */
#define METRICS_NAME "metrics"

typedef struct succession {
    const char *program;
    char **words;      /* the command line of a new process; NULL: we start none */
    const char *where; /* listeners are offered, and fetched, there; NULL: nowhere */
    ssl_listener *const *listeners;
    size_t count;
    int metrics_fd;   /* -1: none */
    ssl_break *taken; /* is broken when a process that has fetched them serves */
    /* of succession.c */
    ssl_break *stop;
    pthread_t thread;
    bool offering; /* the thread runs, or has run and is not joined */
    pid_t heir;    /* -1: nobody serves in our place */
} succession;

/* The sockets for this process, from a supervisor, from the process that started us, or from one that
 * offers them; *count is 0 when there are none. `stop` ends the wait. */
ssl_status succession_begin(const succession *s, ssl_break *stop, ssl_inherited *sockets,
                            size_t *count, ssl_error *err);

/* We serve: the process before us can go, and who comes after us can have the listeners. What fails is told on
 * standard error, and is no reason not to serve. */
void succession_serve(succession *s);
/* Nobody can have them any more. Whether somebody has, and serves. */
bool succession_withdraw(succession *s);
/* Starts a new process; whether it serves in our place. `stop` ends the wait. */
bool succession_start_heir(succession *s, ssl_break *stop);

#endif

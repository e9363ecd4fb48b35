/* What a service is asked for from outside, by signals, and what it tells its supervisor meanwhile. */
#ifndef ERRANDS_H
#define ERRANDS_H

#include <stdbool.h>

#include <sallyport.h>

typedef enum errand {
    ERRAND_STOP,    /* SIGTERM, SIGINT */
    ERRAND_UPGRADE, /* SIGUSR2 */
    ERRAND_LEAVE,   /* `taken` was broken: another process serves */
    ERRAND_RELOAD,  /* SIGHUP */
    ERRAND_FAILED   /* *err tells */
} errand;

typedef struct errands {
    ssl_break *stop; /* broken by a further SIGTERM or SIGINT */
    ssl_break *upgrade;
    ssl_break *taken; /* may be broken by any thread */
    ssl_break *reload;
} errands;

bool open_errands(errands *e, ssl_error *err);
/* Waits for the next one. Signals of a kind that came meanwhile are one. */
errand next_errand(const errands *e, ssl_error *err);
void close_errands(errands *e);

#endif

/* L6 ends: the TCP half of a connect: the addresses of a name race (RFC 8305, "Happy Eyeballs"). */
#ifndef SALLY_CONNECT_RACE_H
#define SALLY_CONNECT_RACE_H

#include "resolve.h"

typedef struct sally_race {
    const char *call;     /* the public call, for error texts */
    const char *hostname; /* as the caller gave it, for error texts */
    int port;
    int64_t
        delay_ms; /* until the next attempt, while the last one runs; negative: until it fails */
    const sally_scope *scope;
} sally_race;

/* Lets the families take turns, the one of the first address first; within a family the order stays
 * that of getaddrinfo, RFC 6724 (RFC 8305 section 4). */
void sally_race_interleave(sally_resolved *found);

/* Connects to the first of the addresses that takes us: its socket in *fd, its index in *reached. On
 * failure no fd is left. Of failed attempts the last one is reported, or the last that came from the
 * host. Errors: BREAK, TIMEOUT, SYSTEM. */
ssl_status sally_race_run(const sally_race *race, const sally_resolved *found, int *fd,
                          int *reached, ssl_error *err);

#endif

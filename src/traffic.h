/* L0 base: how many bytes connections have moved. One struct is shared by many connections; each adds to
 * it in its steps, any thread may read it. */
#ifndef SALLY_TRAFFIC_H
#define SALLY_TRAFFIC_H

#include <stddef.h>

#include "atomic.h"

typedef enum sally_flow {
    SALLY_PLAIN_RECEIVED, /* what reading calls took from TLS */
    SALLY_PLAIN_SENT,     /* what writing calls gave to it */
    SALLY_WIRE_RECEIVED,  /* as it came from the transport: records, handshakes, alerts */
    SALLY_WIRE_SENT       /* as the transport took it */
} sally_flow;
#define SALLY_FLOWS 4

typedef struct sally_traffic {
    sally_atomic_u64 bytes[SALLY_FLOWS];
} sally_traffic;

/* `traffic` NULL: nobody wants to know. */
static inline void sally_traffic_count(sally_traffic *traffic, sally_flow flow, size_t n)
{
    if (traffic != NULL && n != 0) {
        (void)sally_add_relaxed(&traffic->bytes[flow], n);
    }
}

#endif

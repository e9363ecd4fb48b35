/* L7 service: the numbers of a server (metrics.h of the public headers tells what each one is).
 *
 * They are kept in stripes, so that workers do not fight over the cache lines that every round trip
 * touches. A connection always adds to the same stripe; a snapshot adds the stripes up. All additions
 * are relaxed: the numbers order nothing.
 */
#ifndef SALLY_METRICS_H
#define SALLY_METRICS_H

#include "histogram.h"
#include "sallyport/metrics.h"
#include "traffic.h"

#define SALLY_STRIPES    8
#define SALLY_CACHE_LINE 64

typedef struct sally_stripe {
    sally_traffic traffic;
    sally_histogram handler_time;
    sally_histogram handshake_time;
    sally_histogram break_latency;
    sally_atomic_u64 handshakes[SALLY_OUTCOMES];
    sally_atomic_u64 resumed;
    char apart[SALLY_CACHE_LINE]; /* from the next one */
} sally_stripe;

/* All zero is a beginning. */
typedef struct sally_metrics {
    sally_stripe stripes[SALLY_STRIPES];
    sally_histogram queue_wait;
} sally_metrics;

/* The stripe of whatever is at that address: multiplied, because addresses of one kind differ in few
 * bits. */
static inline sally_stripe *sally_metrics_stripe(sally_metrics *m, const void *owner)
{
    uint64_t mixed = (uint64_t)(uintptr_t)owner * UINT64_C(0x9E3779B97F4A7C15);
    return &m->stripes[mixed >> 61];
}

#endif

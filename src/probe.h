/* L7 service: samples of how long a ready task waits for a worker (W9).
 *
 * The workers' queue is the kernel's list of ready descriptors, which tells nobody since when one has
 * been ready. So the wait is sampled: a probe is a task like any other, whose descriptor is always
 * ready. Parked, it is at the end of that list at once, and it is timed until a worker runs it. It is
 * sent by handlers that begin, so an idle server is left alone.
 */
#ifndef SALLY_PROBE_H
#define SALLY_PROBE_H

#include "histogram.h"
#include "park.h"
#include "wake.h"

typedef struct sally_probe {
    /* constant once open */
    sally_park *park;
    sally_task *task; /* NULL: not open */
    sally_wake wake;  /* raised, for ever */
    sally_histogram *waits;
    sally_atomic_u64 next_ns; /* not before */
    sally_atomic_u64 flying;
    int64_t sent_ns; /* whose task it is: the sender's, then the worker's who has it */
} sally_probe;

/* 0 or an errno. Borrows the park and the histogram. */
int sally_probe_open(sally_probe *probe, sally_park *park, sally_histogram *waits);
/* When no thread uses the park any more. A probe that was not opened, all zero, is fine. */
void sally_probe_close(sally_probe *probe);
/* Sends it, unless it is under way, or the last one was less than SALLY_QUEUE_SAMPLE_MS before. */
void sally_probe_send(sally_probe *probe, int64_t now_ns);

#endif

/* L0 base: a histogram of durations with fixed buckets, which any thread may add to at any time. */
#ifndef SALLY_HISTOGRAM_H
#define SALLY_HISTOGRAM_H

#include "atomic.h"
#include "sallyport/metrics.h"

/* All zero is an empty one. */
typedef struct sally_histogram {
    sally_atomic_u64 buckets[SALLY_HISTOGRAM_BUCKETS];
    sally_atomic_u64 sum_ns;
} sally_histogram;

/* A negative duration counts as none. Never blocks, never allocates. */
void sally_histogram_add(sally_histogram *h, int64_t ns);
/* Adds what is in `from` to *to. The count is that of the buckets that were read, so the two agree; the
 * sum may lack, or have more, what was added meanwhile. */
void sally_histogram_read(const sally_histogram *from, ssl_histogram *to);

#endif

/* L0 base: histograms of durations with fixed buckets (histogram.h).
 *
 * The bounds go from 10 microseconds, about a wake-up, to 10 seconds, the usual handshake timeout, in
 * steps of 2 to 2.5: one set for all, so that histograms of several servers and machines can be added.
 * An addition is two relaxed ones and a short search.
 */
#include "histogram.h"

#define US INT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

/* The last bucket has no bound. */
static const int64_t bounds[SALLY_HISTOGRAM_BUCKETS - 1] = {
    10 * US, 25 * US, 50 * US,  100 * US, 250 * US, 500 * US, 1 * MS,    2500 * US, 5 * MS, 10 * MS,
    25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S,    2500 * MS, 5 * S,     10 * S};

int64_t ssl_histogram_bound_ns(size_t bucket)
{
    return bucket < SALLY_HISTOGRAM_BUCKETS - 1 ? bounds[bucket] : INT64_MAX;
}

/* The first bucket whose bound is not less. Searched from the shortest on: what took longer can bear a longer
 * search. */
static size_t bucket_of(int64_t ns)
{
    size_t bucket = 0;
    while (bucket < SALLY_HISTOGRAM_BUCKETS - 1 && ns > bounds[bucket]) {
        bucket++;
    }
    return bucket;
}

void sally_histogram_add(sally_histogram *h, int64_t ns)
{
    ns = ns > 0 ? ns : 0;
    (void)sally_add_relaxed(&h->buckets[bucket_of(ns)], 1);
    (void)sally_add_relaxed(&h->sum_ns, (uint64_t)ns);
}

void sally_histogram_read(const sally_histogram *from, ssl_histogram *to)
{
    for (size_t i = 0; i < SALLY_HISTOGRAM_BUCKETS; i++) {
        uint64_t found = sally_load_relaxed(&from->buckets[i]);
        to->buckets[i] += found;
        to->count += found;
    }
    to->sum_ns += sally_load_relaxed(&from->sum_ns);
}

int64_t ssl_histogram_quantile_ns(const ssl_histogram *histogram, double fraction)
{
    if (histogram == NULL || histogram->count == 0) {
        return 0;
    }
    double wanted = fraction * (double)histogram->count;
    uint64_t below = 0;
    size_t bucket = 0;
    for (; bucket < SALLY_HISTOGRAM_BUCKETS; bucket++) {
        below += histogram->buckets[bucket];
        if (below != 0 && (double)below >= wanted) {
            break;
        }
    }
    return ssl_histogram_bound_ns(bucket);
}

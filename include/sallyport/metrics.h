/*
 * sallyport/metrics.h: what a server counts, as numbers, as text for Prometheus, and on a port.
 *
 * Counting is always on: it takes no lock, allocates nothing, and costs less than one part in a hundred
 * of the smallest round trip. What each number is, and how exact, is told at its field; docs/metrics.md
 * has the names that they have in the text.
 */
#ifndef SALLYPORT_METRICS_H
#define SALLYPORT_METRICS_H

#include "server.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- histograms ------------------------------------------------------------------------------ */

/** Buckets of a histogram. Their upper bounds are fixed, the same for all: 10, 25, 50, 100, 250 and 500
 *  microseconds, the same in milliseconds from 1 (1, 2.5, 5, 10, 25, ...), 1, 2.5, 5 and 10 seconds, and
 *  none for the last. */
#define SALLY_HISTOGRAM_BUCKETS 20

/** Durations that were counted. */
typedef struct ssl_histogram {
    uint64_t count;  /**< of all; the sum of the buckets, exactly */
    uint64_t sum_ns; /**< nanoseconds of all together */
    /** each of those that are not longer than its bound and longer than the bound before */
    uint64_t buckets[SALLY_HISTOGRAM_BUCKETS];
    uint64_t reserved[4];
} ssl_histogram;

/** The upper bound of a bucket, from 0, in nanoseconds; INT64_MAX for the last one. Threads: any. */
SALLY_API int64_t ssl_histogram_bound_ns(size_t bucket);
/** An upper bound, in nanoseconds, for the shortest `fraction` (0 to 1) of all durations: the bound of
 *  the bucket in which it ends. INT64_MAX: that one has none. 0: nothing was counted. Threads: any. */
SALLY_API int64_t ssl_histogram_quantile_ns(const ssl_histogram *histogram, double fraction);

/* ---- a snapshot ------------------------------------------------------------------------------ */

/** Room for every ssl_status. */
#define SALLY_OUTCOMES 32

/** What a server has counted since it was made. */
typedef struct ssl_metrics {
    ssl_server_counters server; /**< as of ssl_server_count */
    /** Handshakes that ended, by their ssl_status: SALLY_OK; SALLY_TIMEOUT; what the client did (PEER,
     *  PROTOCOL, VERIFY, TRUNCATED...); SALLY_CLOSED: hung up on by a drain; SALLY_SYSTEM, SALLY_MEMORY. A
     *  client that leaves without a word is one too (TRUNCATED). */
    uint64_t handshakes[SALLY_OUTCOMES];
    uint64_t resumed; /**< of those that were SALLY_OK: resumed a session */
    uint64_t parked; /**< connections now for which no handler runs: server.open less server.busy */
    /** Plaintext that handlers have read and written, the server's own looks ahead included. */
    uint64_t plain_received, plain_sent;
    /** What sockets brought and took for it: records, handshakes, alerts. Not what is sent after the
     *  end of a connection because its socket did not take it before. */
    uint64_t wire_received, wire_sent;
    /** From a client's first bytes to the end of a handshake that was SALLY_OK. */
    ssl_histogram handshake_time;
    /** Calls of the handler, from call to return. */
    ssl_histogram handler_time;
    /** How long something that is ready waits for a worker. Sampled: while handlers are called, every
     *  SALLY_QUEUE_SAMPLE_MS at most, a task that is ready at once is put into the workers' queue behind
     *  what is there, and is timed until a worker has it. */
    ssl_histogram queue_wait;
    /** Breaks of connections' tokens (ssl_connection_break) that reached a handler: from ssl_break_send to
     *  the moment in which a call reported the break, or else to the return of the handler. The first send
     *  counts; a send that races with ssl_break_clear may not. Breaks of other tokens are the program's. */
    ssl_histogram break_latency;
    uint64_t reserved[32];
} ssl_metrics;

/** The shortest time between two samples of ssl_metrics.queue_wait, in milliseconds. */
#define SALLY_QUEUE_SAMPLE_MS 200

/** A snapshot, in *metrics; each figure is exact, not all of one instant. Connections that a handler has
 *  taken (SALLY_TAKEN) are counted up to that moment.
 *  Blocks: never. Threads: any, at any time in the server's life. Errors: USAGE. Keeps: W9. */
SALLY_API ssl_status ssl_server_metrics(const ssl_server *server, ssl_metrics *metrics,
                                        ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

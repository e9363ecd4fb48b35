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

/* ---- text for Prometheus --------------------------------------------------------------------- */

/** One label of all lines of a sample, as instance="a". */
typedef struct ssl_metrics_label {
    const char *name;  /**< [a-zA-Z_][a-zA-Z0-9_]*, and none that the lines have of themselves */
    const char *value; /**< any text in UTF-8; escaped where it must be */
} ssl_metrics_label;

/** The snapshot of one server, and what tells its lines from those of others. */
typedef struct ssl_metrics_sample {
    const ssl_metrics *metrics;
    const ssl_metrics_label *labels; /**< may be NULL where there are none */
    size_t label_count;
    uint64_t reserved[4];
} ssl_metrics_sample;

/** Takes a part of the text, which has no NUL; false: no more, please. */
typedef bool (*ssl_metrics_sink)(const char *text, size_t length, void *user);

/**
 * Writes samples in the text format 0.0.4 of Prometheus, part by part, to `sink`. Several servers are
 * several samples of one text, each with labels that no other has: the format wants each metric told
 * once, with the lines of all servers below. Times are in seconds, sizes in bytes. docs/metrics.md lists
 * the names.
 * Blocks: in the sink only. Threads: any. Ownership: borrows everything for the call.
 * Errors: USAGE (NULL, a label that is not one, or is told twice: the text names it), LIMIT (the sink
 *   wanted no more). Keeps: W9.
 */
SALLY_API ssl_status ssl_metrics_write(const ssl_metrics_sample *samples, size_t count,
                                       ssl_metrics_sink sink, void *user, ssl_error *err);

/** ssl_metrics_write into the caller's buffer of `size` bytes, with a NUL behind; *length (may be NULL) is
 *  the length of the whole text, also where it does not fit: then nothing is in the buffer (LIMIT), and
 *  *length + 1 bytes are enough, until a number grows. `text` NULL with `size` 0 asks for the length.
 *  Threads: any. Errors: USAGE, LIMIT. Keeps: W9. */
SALLY_API ssl_status ssl_metrics_text(const ssl_metrics_sample *samples, size_t count, char *text,
                                      size_t size, size_t *length, ssl_error *err);

/* ---- a port for Prometheus ------------------------------------------------------------------- */

/** A server whose numbers are on a port, and what tells its lines from those of others. */
typedef struct ssl_metrics_source {
    ssl_server *server;
    const ssl_metrics_label *labels; /**< may be NULL where there are none */
    size_t label_count;
    uint64_t reserved[4];
} ssl_metrics_source;

/** What is on a port, and where it is. Start from SALLY_METRICS_PORT_OPTIONS. */
typedef struct ssl_metrics_port_options {
    const char *host; /**< a numeric address; NULL: 127.0.0.1, so that this machine alone can ask */
    const ssl_metrics_source *sources;
    size_t source_count;
    int64_t
        timeout_ms; /**< for a client, from its TCP accept until it has its answer; at least 1 */
    uint64_t reserved[8];
} ssl_metrics_port_options;
#define SALLY_METRICS_TIMEOUT_MS 5000
/* clang-format off */
#define SALLY_METRICS_PORT_OPTIONS {NULL, NULL, 0, SALLY_METRICS_TIMEOUT_MS, {0}}
/* clang-format on */

/** A port that answers scrapes, with a thread of its own. */
typedef struct ssl_metrics_port ssl_metrics_port;

/** Clients at once; further ones wait in the backlog. */
#define SALLY_METRICS_CLIENTS_MAX 16
/** The most bytes of a request. */
#define SALLY_METRICS_REQUEST_MAX 4096

/**
 * Answers GET /metrics on TCP `port`, 0 to 65535 (0 picks one: ssl_metrics_port_addresses tells), with the
 * text of ssl_metrics_write, over plain HTTP/1.x: one request for each connection. Anybody who can reach
 * the port can read the numbers; give another host than the default only where that is meant.
 * Whatever is not GET or HEAD /metrics gets 404, 405, 400 or 431 (longer than SALLY_METRICS_REQUEST_MAX).
 * A client that is slow, in asking or in reading, is cut after options->timeout_ms, so
 * SALLY_METRICS_CLIENTS_MAX of them hold the others up for so long at most. The servers never wait.
 * Blocks: never. The port has one thread, which blocks all signals.
 * Ownership: returns the port; free with ssl_metrics_port_free, before the servers. Copies the options and
 *   the labels, borrows the servers. Threads: any.
 * Errors: USAGE (port or time out of range, a host that is no numeric address, a label that is none), SYSTEM (in
 *   use, not permitted, no thread), MEMORY. Keeps: W9.
 */
SALLY_API ssl_status ssl_metrics_listen(int port, const ssl_metrics_port_options *options,
                                        ssl_metrics_port **metrics_port, ssl_error *err);
/**
 * ssl_metrics_listen on a socket that listens already: one that was inherited or fetched (inherit.h, handover.h).
 * options->host must be NULL. Makes the socket non-blocking and close-on-exec.
 * Ownership: takes `fd` on success only; the rest is as there. Threads: any.
 * Errors: USAGE (what ssl_listen_fd says of a descriptor, too), SYSTEM (no thread), MEMORY. Keeps: W8, W9.
 */
SALLY_API ssl_status ssl_metrics_listen_fd(int fd, const ssl_metrics_port_options *options,
                                           ssl_metrics_port **metrics_port, ssl_error *err);
/** Its listening socket, for ssl_handed_sockets.fds; -1 for NULL.
 *  Ownership: borrowed. Threads: any. Keeps: W8. */
SALLY_API int ssl_metrics_port_fd(const ssl_metrics_port *metrics_port);
/** Where it is. The remote end is empty. Threads: any. Errors: USAGE. */
SALLY_API ssl_status ssl_metrics_port_addresses(const ssl_metrics_port *metrics_port,
                                                ssl_endpoints *ends, ssl_error *err);
/** Closes the port and frees it; clients that have no answer yet are cut. NULL is fine.
 *  Blocks: for its thread to end, which is woken at once. Threads: any, once. */
SALLY_API void ssl_metrics_port_free(ssl_metrics_port *metrics_port);

#ifdef __cplusplus
}
#endif
#endif

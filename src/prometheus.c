/* L7 service: snapshots as text for Prometheus, format 0.0.4 (W9).
 *
 * One table names every metric; rows of one name follow each other and share its head. Numbers are
 * written by integer arithmetic: printf writes a decimal comma in some locales. The text goes to the sink in
 * parts of up to PART_SIZE bytes, so nothing is allocated.
 */
#include "prometheus.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "ossl.h"

#define PART_SIZE   1024
#define NS_PER_S    UINT64_C(1000000000)
#define PREFIX      "sallyport_"
#define STATUS_WORD (sizeof "SALLY_" - 1)

typedef struct writer {
    ssl_metrics_sink sink;
    void *user;
    bool refused;
    size_t filled;
    char part[PART_SIZE];
} writer;

/* ---- the table ----------------------------------------------------------------------------- */

typedef enum kind {
    COUNTER,
    GAUGE,
    OUTCOMES, /* a counter for each ssl_status */
    DURATIONS /* a histogram */
} kind;

typedef struct row {
    const char *name; /* behind PREFIX */
    const char *help;
    kind kind;
    size_t at;         /* in ssl_metrics */
    const char *label; /* of its own, or NULL */
    const char *value;
} row;

#define AT(field) offsetof(ssl_metrics, field)

static const row rows[] = {
    {"connections_accepted_total", "Clients taken from the listening sockets.", COUNTER,
     AT(server.accepted), NULL, NULL},
    {"connections_refused_total",
     "Clients refused, or hung up on for the sake of others, by the reason.", COUNTER,
     AT(server.proxy_refused), "reason", "proxy"},
    {"connections_refused_total", NULL, COUNTER, AT(server.refused[SALLY_REFUSED_CONNECTIONS]),
     "reason", "connections"},
    {"connections_refused_total", NULL, COUNTER, AT(server.refused[SALLY_REFUSED_HANDSHAKES]),
     "reason", "handshakes"},
    {"connections_refused_total", NULL, COUNTER, AT(server.refused[SALLY_REFUSED_ADDRESS]),
     "reason", "address"},
    {"connections_refused_total", NULL, COUNTER, AT(server.refused[SALLY_REFUSED_QUEUE_LENGTH]),
     "reason", "queue_length"},
    {"connections_refused_total", NULL, COUNTER, AT(server.refused[SALLY_REFUSED_QUEUE_AGE]),
     "reason", "queue_age"},
    {"connections_refused_total", NULL, COUNTER, AT(server.refused[SALLY_REFUSED_IDLE]), "reason",
     "idle"},
    {"health_checks_total", "Proxies that came without a client, and went.", COUNTER,
     AT(server.health_checks), NULL, NULL},
    {"accept_failures_total", "Clients left in the backlog for want of descriptors or memory.",
     COUNTER, AT(server.accept_failures), NULL, NULL},
    {"connections_open", "Connections now.", GAUGE, AT(server.open), NULL, NULL},
    {"connections_busy", "Connections for which a handler runs now.", GAUGE, AT(server.busy), NULL,
     NULL},
    {"connections_parked", "Connections for which no handler runs now.", GAUGE, AT(parked), NULL,
     NULL},
    {"connections_taken_total", "Connections that a handler has taken away.", COUNTER,
     AT(server.taken), NULL, NULL},
    {"idle_timeouts_total", "Connections closed because the peer was silent.", COUNTER,
     AT(server.idle_timed_out), NULL, NULL},
    {"output_timeouts_total", "Connections closed because the peer did not take what was written.",
     COUNTER, AT(server.output_timed_out), NULL, NULL},
    {"workers", "Threads that run handlers now.", GAUGE, AT(server.workers), NULL, NULL},
    {"worker_start_failures_total", "Workers that the system did not let the pool start.", COUNTER,
     AT(server.worker_start_failures), NULL, NULL},
    {"handshakes_total", "Handshakes that ended, by their result.", OUTCOMES, AT(handshakes),
     "outcome", NULL},
    {"handshakes_resumed_total", "Handshakes that resumed a session.", COUNTER, AT(resumed), NULL,
     NULL},
    {"received_bytes_total", "Bytes received, as plaintext and on the wire.", COUNTER,
     AT(plain_received), "layer", "plaintext"},
    {"received_bytes_total", NULL, COUNTER, AT(wire_received), "layer", "wire"},
    {"sent_bytes_total", "Bytes sent, as plaintext and on the wire.", COUNTER, AT(plain_sent),
     "layer", "plaintext"},
    {"sent_bytes_total", NULL, COUNTER, AT(wire_sent), "layer", "wire"},
    {"handshake_seconds", "Time from a client's first bytes to a handshake that was done.",
     DURATIONS, AT(handshake_time), NULL, NULL},
    {"handler_seconds", "Time in a call of the handler.", DURATIONS, AT(handler_time), NULL, NULL},
    {"queue_wait_seconds", "Time that a ready task waits for a worker, sampled.", DURATIONS,
     AT(queue_wait), NULL, NULL},
    {"break_latency_seconds", "Time from a break of a connection's token to its report.", DURATIONS,
     AT(break_latency), NULL, NULL},
};

/* The labels that lines have of themselves. */
static const char *const own_labels[] = {"le", "outcome", "layer", "reason"};

/* ---- writing ------------------------------------------------------------------------------- */

static void flush(writer *w)
{
    if (w->filled != 0 && !w->refused) {
        w->refused = !w->sink(w->part, w->filled, w->user);
    }
    w->filled = 0;
}

static void put_byte(writer *w, char byte)
{
    if (w->filled == PART_SIZE) {
        flush(w);
    }
    w->part[w->filled++] = byte;
}

static void put(writer *w, const char *text)
{
    for (; *text != '\0'; text++) {
        put_byte(w, *text);
    }
}

static void put_number(writer *w, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    put(w, text);
}

/* As short as it can be, and exact. */
static void put_seconds(writer *w, uint64_t ns)
{
    char fraction[16];
    put_number(w, ns / NS_PER_S);
    int digits = snprintf(fraction, sizeof fraction, ".%09" PRIu64, ns % NS_PER_S);
    while (digits > 1 && fraction[digits - 1] == '0') {
        fraction[--digits] = '\0';
    }
    if (digits > 1) {
        put(w, fraction);
    }
}

static void put_bound(writer *w, size_t bucket)
{
    int64_t ns = ssl_histogram_bound_ns(bucket);
    if (ns == INT64_MAX) {
        put(w, "+Inf");
    } else {
        put_seconds(w, (uint64_t)ns);
    }
}

static void put_escaped(writer *w, const char *value)
{
    for (; *value != '\0'; value++) {
        switch (*value) {
        case '\\': put(w, "\\\\"); break;
        case '"': put(w, "\\\""); break;
        case '\n': put(w, "\\n"); break;
        default: put_byte(w, *value);
        }
    }
}

/* ---- lines --------------------------------------------------------------------------------- */

typedef struct line {
    const row *row;
    const ssl_metrics_sample *sample;
    const char *suffix; /* of the name */
} line;

static void begin_label(writer *w, bool *any, const char *name)
{
    put(w, *any ? "," : "{");
    put(w, name);
    put(w, "=\"");
    *any = true;
}

static void end_labels(writer *w, bool any)
{
    put(w, any ? "} " : " ");
}

/* Name and the labels of the sample; true if there are any. */
static bool begin_line(writer *w, const line *l)
{
    bool any = false;
    put(w, PREFIX);
    put(w, l->row->name);
    put(w, l->suffix);
    for (size_t i = 0; i < l->sample->label_count; i++) {
        begin_label(w, &any, l->sample->labels[i].name);
        put_escaped(w, l->sample->labels[i].value);
        put(w, "\"");
    }
    return any;
}

static void put_plain_line(writer *w, const line *l, uint64_t number)
{
    bool any = begin_line(w, l);
    if (l->row->label != NULL) {
        begin_label(w, &any, l->row->label);
        put(w, l->row->value);
        put(w, "\"");
    }
    end_labels(w, any);
    put_number(w, number);
    put(w, "\n");
}

/* "SALLY_PEER" is written peer. */
static void put_outcome_line(writer *w, const line *l, ssl_status status, uint64_t number)
{
    bool any = begin_line(w, l);
    begin_label(w, &any, l->row->label);
    for (const char *c = ssl_status_name(status) + STATUS_WORD; *c != '\0'; c++) {
        put_byte(w, (char)tolower((unsigned char)*c));
    }
    put(w, "\"");
    end_labels(w, any);
    put_number(w, number);
    put(w, "\n");
}

static void put_outcomes(writer *w, const line *l, const uint64_t *counts)
{
    for (int status = SALLY_OK; status <= SALLY_LIMIT; status++) {
        put_outcome_line(w, l, (ssl_status)status, counts[status]);
    }
}

static void put_buckets(writer *w, line l, const ssl_histogram *h)
{
    uint64_t below = 0;
    l.suffix = "_bucket";
    for (size_t i = 0; i < SALLY_HISTOGRAM_BUCKETS; i++) {
        below += h->buckets[i];
        bool any = begin_line(w, &l);
        begin_label(w, &any, "le");
        put_bound(w, i);
        put(w, "\"");
        end_labels(w, any);
        put_number(w, below);
        put(w, "\n");
    }
}

static void put_histogram(writer *w, line l, const ssl_histogram *h)
{
    put_buckets(w, l, h);
    l.suffix = "_sum";
    bool any = begin_line(w, &l);
    end_labels(w, any);
    put_seconds(w, h->sum_ns);
    put(w, "\n");
    l.suffix = "_count";
    put_plain_line(w, &l, h->count);
}

static void put_row(writer *w, const row *r, const ssl_metrics_sample *sample)
{
    const line l = {.row = r, .sample = sample, .suffix = ""};
    const void *at = (const char *)sample->metrics + r->at;
    switch (r->kind) {
    case COUNTER:
    case GAUGE: put_plain_line(w, &l, *(const uint64_t *)at); break;
    case OUTCOMES: put_outcomes(w, &l, at); break;
    case DURATIONS: put_histogram(w, l, at); break;
    }
}

static const char *type_of(kind k)
{
    return k == GAUGE ? "gauge" : k == DURATIONS ? "histogram" : "counter";
}

static void put_head(writer *w, const row *r)
{
    put(w, "# HELP " PREFIX);
    put(w, r->name);
    put(w, " ");
    put(w, r->help);
    put(w, "\n# TYPE " PREFIX);
    put(w, r->name);
    put(w, " ");
    put(w, type_of(r->kind));
    put(w, "\n");
}

/* ---- checks -------------------------------------------------------------------------------- */

static bool is_label_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return name != NULL && name[0] != '\0' && strchr(letters, name[0]) != NULL &&
           name[strspn(name, more)] == '\0' && strncmp(name, "__", 2) != 0;
}

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof own_labels / sizeof own_labels[0]; i++) {
        if (strcmp(name, own_labels[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_told_before(const ssl_metrics_label *labels, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(labels[i].name, labels[at].name) == 0) {
            return true;
        }
    }
    return false;
}

static const char *fault_of(const ssl_metrics_label *labels, size_t at)
{
    if (!is_label_name(labels[at].name)) {
        return "is no name of a label: letters, digits and _, no digit first, and not __ first";
    }
    if (is_own(labels[at].name)) {
        return "is a label that lines have of themselves; choose another name";
    }
    if (is_told_before(labels, at)) {
        return "is told twice";
    }
    return labels[at].value == NULL ? "has no value" : NULL;
}

ssl_status sally_metrics_check_labels(const ssl_metrics_label *labels, size_t count,
                                      const char *call, ssl_error *err)
{
    if (labels == NULL && count != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: labels is NULL", call);
    }
    for (size_t i = 0; i < count; i++) {
        const char *fault = fault_of(labels, i);
        if (fault != NULL) {
            return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: label %zu, \"%.60s\", %s",
                              call, i, labels[i].name != NULL ? labels[i].name : "", fault);
        }
    }
    return SALLY_OK;
}

static ssl_status check_samples(const ssl_metrics_sample *samples, size_t count, const char *call,
                                ssl_error *err)
{
    if (samples == NULL && count != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: samples is NULL", call);
    }
    ssl_status status = SALLY_OK;
    for (size_t i = 0; i < count && status == SALLY_OK; i++) {
        status =
            samples[i].metrics != NULL
                ? sally_metrics_check_labels(samples[i].labels, samples[i].label_count, call, err)
                : sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                             "%s: metrics of sample %zu is NULL", call, i);
    }
    return status;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static ssl_status write_checked(const ssl_metrics_sample *samples, size_t count,
                                ssl_metrics_sink sink, void *user)
{
    writer w = {.sink = sink, .user = user};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0] && !w.refused; r++) {
        if (rows[r].help != NULL) {
            put_head(&w, &rows[r]);
        }
        for (size_t i = 0; i < count; i++) {
            put_row(&w, &rows[r], &samples[i]);
        }
    }
    flush(&w);
    return w.refused ? SALLY_LIMIT : SALLY_OK;
}

ssl_status ssl_metrics_write(const ssl_metrics_sample *samples, size_t count, ssl_metrics_sink sink,
                             void *user, ssl_error *err)
{
    static const char call[] = "ssl_metrics_write";
    sally_ossl_begin();
    if (sink == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: sink is NULL", call);
    }
    ssl_status status = check_samples(samples, count, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    status = write_checked(samples, count, sink, user);
    sally_ossl_end(); /* the sink may leave anything there (E1) */
    return status == SALLY_OK
               ? SALLY_OK
               : sally_fail(err, status, SALLY_PHASE_NONE, "%s: the sink wanted no more", call);
}

typedef struct room {
    char *text;
    size_t size;
    size_t length; /* of what came, whether it fitted or not */
} room;

static bool fill(const char *text, size_t length, void *user)
{
    room *r = user;
    if (r->length + length < r->size) {
        memcpy(r->text + r->length, text, length);
    }
    r->length += length;
    return true;
}

ssl_status ssl_metrics_text(const ssl_metrics_sample *samples, size_t count, char *text,
                            size_t size, size_t *length, ssl_error *err)
{
    static const char call[] = "ssl_metrics_text";
    sally_ossl_begin();
    if (length != NULL) {
        *length = 0;
    }
    if (text == NULL && size != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: text is NULL", call);
    }
    ssl_status status = check_samples(samples, count, call, err);
    if (status != SALLY_OK) {
        return status;
    }
    room r = {.text = text, .size = size};
    (void)write_checked(samples, count, fill, &r);
    bool fits = r.length < size;
    if (size != 0) {
        text[fits ? r.length : 0] = '\0';
    }
    if (length != NULL) {
        *length = r.length;
    }
    return fits ? SALLY_OK
                : sally_fail(err, SALLY_LIMIT, SALLY_PHASE_NONE,
                             "%s: the text has %zu bytes, and the buffer %zu", call, r.length + 1,
                             size);
}

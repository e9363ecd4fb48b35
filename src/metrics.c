/* L7 service: a snapshot of a server's numbers (W9). */
#include "metrics.h"

#include "error.h"
#include "ossl.h"
#include "server.h"

_Static_assert(SALLY_STRIPES == 8, "sally_metrics_stripe takes three bits");
_Static_assert(SALLY_LIMIT < SALLY_OUTCOMES, "every status is an outcome");

static void add_traffic(ssl_metrics *to, const sally_traffic *from)
{
    to->plain_received += sally_load_relaxed(&from->bytes[SALLY_PLAIN_RECEIVED]);
    to->plain_sent += sally_load_relaxed(&from->bytes[SALLY_PLAIN_SENT]);
    to->wire_received += sally_load_relaxed(&from->bytes[SALLY_WIRE_RECEIVED]);
    to->wire_sent += sally_load_relaxed(&from->bytes[SALLY_WIRE_SENT]);
}

static void add_stripe(ssl_metrics *to, const sally_stripe *from)
{
    add_traffic(to, &from->traffic);
    sally_histogram_read(&from->handler_time, &to->handler_time);
    sally_histogram_read(&from->handshake_time, &to->handshake_time);
    sally_histogram_read(&from->break_latency, &to->break_latency);
    for (size_t i = 0; i < SALLY_OUTCOMES; i++) {
        to->handshakes[i] += sally_load_relaxed(&from->handshakes[i]);
    }
    to->resumed += sally_load_relaxed(&from->resumed);
}

ssl_status ssl_server_metrics(const ssl_server *server, ssl_metrics *metrics, ssl_error *err)
{
    sally_ossl_begin();
    if (server == NULL || metrics == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_server_metrics: %s is NULL",
                          server == NULL ? "server" : "metrics");
    }
    *metrics = (ssl_metrics){.resumed = 0};
    for (size_t i = 0; i < SALLY_STRIPES; i++) {
        add_stripe(metrics, &server->metrics.stripes[i]);
    }
    sally_histogram_read(&server->metrics.queue_wait, &metrics->queue_wait);
    ssl_status status = ssl_server_count(server, &metrics->server, err);
    /* The two are not of one instant. */
    const ssl_server_counters *now = &metrics->server;
    metrics->parked = now->open > now->busy ? now->open - now->busy : 0;
    return status;
}

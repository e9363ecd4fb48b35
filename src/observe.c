/* L7 service: what becomes of a server's clients, told to its numbers (observe.h).
 *
 * No locks: a connection is its holder's, and the numbers are anybody's at any time.
 */
#include "observe.h"

#include "sallyport/session.h"

static sally_stripe *stripe_of(const ssl_connection *c)
{
    return sally_metrics_stripe(&c->server->metrics, c);
}

void sally_observe_shaking(ssl_connection *c)
{
    c->shaking_ns = sally_now_ns();
}

sally_traffic *sally_observe_traffic(const ssl_connection *c)
{
    return &stripe_of(c)->traffic;
}

void sally_observe_shaken(ssl_connection *c)
{
    sally_stripe *stripe = stripe_of(c);
    (void)sally_add_relaxed(&stripe->handshakes[SALLY_OK], 1);
    sally_histogram_add(&stripe->handshake_time, sally_now_ns() - c->shaking_ns);
    if (ssl_port_is_resumed(sally_conn_ports(c->conn).in)) {
        (void)sally_add_relaxed(&stripe->resumed, 1);
    }
}

void sally_observe_unshaken(const ssl_connection *c, ssl_status why)
{
    (void)sally_add_relaxed(&stripe_of(c)->handshakes[why], 1);
}

void sally_observe_turned_away(ssl_server *server)
{
    (void)sally_add_relaxed(&server->metrics.stripes[0].handshakes[SALLY_MEMORY], 1);
}

int64_t sally_observe_call(ssl_connection *c)
{
    int64_t now_ns = sally_now_ns();
    sally_probe_send(&c->server->probe, now_ns);
    return now_ns;
}

int64_t sally_observe_return(ssl_connection *c, int64_t called_ns)
{
    int64_t now_ns = sally_now_ns();
    int64_t latency_ns;
    sally_stripe *stripe = stripe_of(c);
    sally_histogram_add(&stripe->handler_time, now_ns - called_ns);
    if (sally_break_take_latency(c->brk, &latency_ns)) {
        sally_histogram_add(&stripe->break_latency, latency_ns);
    }
    return now_ns;
}

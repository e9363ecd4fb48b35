/* L7 service: what becomes of a server's clients, told to its numbers and its log (observe.h).
 *
 * No locks: a connection is its holder's, and the numbers are anybody's at any time.
 */
#include "observe.h"

#include "error.h"
#include "sallyport/session.h"
#include "server_log.h"

/* Starts of workers that fail within so long of each other are one lack, and one record. */
#define LACK_MS 10000

static sally_stripe *stripe_of(const ssl_connection *c)
{
    return sally_metrics_stripe(&c->server->metrics, c);
}

/* ---- clients ------------------------------------------------------------------------------- */

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

/* `about` has everything but the peer. */
static void log_of_peer(ssl_server *server, const sally_addr *peer, const ssl_log_record *about)
{
    if (sally_log_wants(&server->log, about->level)) {
        char text[SALLY_ADDR_TEXT_SIZE];
        ssl_log_record record = *about;
        sally_addr_text_port(peer, text, sizeof text);
        record.peer = text;
        sally_server_log(server, &record);
    }
}

static void log_of_client(const ssl_connection *c, const ssl_log_record *about)
{
    sally_addr remote;
    sally_addr_recall(&c->remote, &remote);
    log_of_peer(c->server, &remote, about);
}

static const char *words_for(ssl_status why)
{
    switch (why) {
    case SALLY_TIMEOUT: return "the handshake was not done in time";
    case SALLY_CLOSED: return "the handshake was not done when the server was drained";
    default: return "the client could not be waited for";
    }
}

void sally_observe_unshaken(const ssl_connection *c, ssl_status why, const ssl_error *err)
{
    (void)sally_add_relaxed(&stripe_of(c)->handshakes[why], 1);
    log_of_client(c, &(ssl_log_record){.level = SALLY_LOG_INFO,
                                       .event = SALLY_LOG_HANDSHAKE_FAILED,
                                       .status = why,
                                       .code = err != NULL ? err->code : 0,
                                       .sys_errno = err != NULL ? err->sys_errno : 0,
                                       .text = err != NULL ? err->text : words_for(why)});
}

void sally_observe_turned_away(ssl_server *server)
{
    (void)sally_add_relaxed(&server->metrics.stripes[0].handshakes[SALLY_MEMORY], 1);
}

void sally_observe_refusal(ssl_server *server, const sally_addr *client, const char *reason)
{
    log_of_peer(server, client,
                &(ssl_log_record){.level = SALLY_LOG_INFO,
                                  .event = SALLY_LOG_REFUSED,
                                  .status = SALLY_CLOSED,
                                  .reason = reason,
                                  .text = "the client was refused before its handshake"});
}

void sally_observe_limit(ssl_server *server, const sally_addr *client, const char *reason,
                         const char *text)
{
    log_of_peer(server, client,
                &(ssl_log_record){.level = SALLY_LOG_WARNING,
                                  .event = SALLY_LOG_REFUSED,
                                  .status = SALLY_LIMIT,
                                  .reason = reason,
                                  .text = text});
}

void sally_observe_accept_failure(ssl_server *server, int error)
{
    if (sally_log_wants(&server->log, SALLY_LOG_WARNING)) {
        ssl_error why;
        (void)sally_fail_errno(&why, error, SALLY_PHASE_ACCEPT,
                               "ssl_server: a client could not be taken");
        sally_server_log_error(server, SALLY_LOG_WARNING, SALLY_LOG_ACCEPT_FAILED, &why);
    }
}

void sally_observe_idle(const ssl_connection *c)
{
    log_of_client(c, &(ssl_log_record){.level = SALLY_LOG_DEBUG,
                                       .event = SALLY_LOG_IDLE_CLOSED,
                                       .status = SALLY_TIMEOUT,
                                       .text = "the client was silent for too long"});
}

/* ---- handlers ------------------------------------------------------------------------------ */

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

/* ---- the server ---------------------------------------------------------------------------- */

void sally_observe_start_failure(ssl_server *server, const ssl_error *why)
{
    sally_server_log_error(server, SALLY_LOG_ERROR, SALLY_LOG_START_FAILED, why);
}

void sally_observe_lack(ssl_server *server, const ssl_error *why)
{
    bool is_news = sally_deadline_passed(server->lack_until);
    server->lack_until = sally_deadline_after_ms(LACK_MS);
    sally_count(&server->tally.worker_start_failures);
    if (is_news) {
        sally_server_log_error(server, SALLY_LOG_ERROR, SALLY_LOG_START_FAILED, why);
    }
}

void sally_observe_drain(ssl_server *server)
{
    sally_server_log(server, &(ssl_log_record){.level = SALLY_LOG_INFO,
                                               .event = SALLY_LOG_DRAIN_BEGUN,
                                               .count = sally_load_relaxed(&server->tally.open),
                                               .text = "the drain begins"});
}

void sally_observe_drained(ssl_server *server, size_t cut)
{
    bool whole = cut == 0;
    sally_server_log_dropped(server);
    sally_server_log(server, &(ssl_log_record){.level = whole ? SALLY_LOG_INFO : SALLY_LOG_WARNING,
                                               .event = SALLY_LOG_DRAIN_ENDED,
                                               .status = whole ? SALLY_OK : SALLY_TIMEOUT,
                                               .count = cut,
                                               .text = whole ? "the server is drained"
                                                             : "handlers were cut by the drain"});
}

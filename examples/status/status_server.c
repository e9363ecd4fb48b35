/*
 * status_server: a server that shows, over HTTPS, what it counts.
 *
 *     GET /          a page with its numbers, which a browser asks for again every two seconds
 *     GET /metrics   the same for Prometheus
 *
 * Both are made from one snapshot, ssl_server_metrics. Connections are kept between requests, so the page
 * that you look at is one of the parked ones that it counts.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sallyport.h>

#include "../common/arguments.h"
#include "../common/http.h"
#include "../common/http_answer.h"
#include "../common/service.h"

enum { PATIENCE_MS = 10000, PAGE_SIZE = 32768 };

/* ---- the page ------------------------------------------------------------------------------ */

typedef struct page {
    char text[PAGE_SIZE];
    size_t length;
} page;

static void add(page *p, const char *format, ...) SALLY_PRINTF(2, 3);

/* What does not fit is left out. */
static void add(page *p, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int n = vsnprintf(p->text + p->length, sizeof p->text - p->length, format, values);
    va_end(values);
    size_t room = sizeof p->text - p->length - 1;
    p->length += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room;
}

static void add_number(page *p, const char *name, uint64_t number)
{
    add(p, "<tr><th>%s<td>%" PRIu64 "\n", name, number);
}

static void add_duration(page *p, int64_t ns)
{
    if (ns == 0) {
        add(p, "<td>-");
    } else if (ns == INT64_MAX) {
        add(p, "<td>more");
    } else {
        add(p, "<td>&le; %g ms", (double)ns / 1e6);
    }
}

static void add_times(page *p, const char *name, const ssl_histogram *h)
{
    add(p, "<tr><th>%s<td>%" PRIu64, name, h->count);
    add_duration(p, ssl_histogram_quantile_ns(h, 0.5));
    add_duration(p, ssl_histogram_quantile_ns(h, 0.9));
    add_duration(p, ssl_histogram_quantile_ns(h, 0.99));
    add(p, "\n");
}

static void add_outcomes(page *p, const ssl_metrics *m)
{
    for (int status = SALLY_OK; status <= SALLY_LIMIT; status++) {
        if (m->handshakes[status] != 0) {
            add_number(p, ssl_status_name((ssl_status)status), m->handshakes[status]);
        }
    }
    add_number(p, "resumed", m->resumed);
}

static void make_page(page *p, const ssl_metrics *m)
{
    add(p, "<!DOCTYPE html>\n<html lang=en><meta charset=utf-8>"
           "<meta http-equiv=refresh content=2>\n<title>Status</title>\n"
           "<style>body{font:1em sans-serif;margin:2em}th{text-align:left;font-weight:normal}"
           "td{text-align:right;padding-left:2em}h2{font-size:1em}</style>\n"
           "<h2>Connections</h2>\n<table>\n");
    add_number(p, "open", m->server.open);
    add_number(p, "busy", m->server.busy);
    add_number(p, "parked", m->parked);
    add_number(p, "accepted", m->server.accepted);
    add(p, "</table>\n<h2>Handshakes</h2>\n<table>\n");
    add_outcomes(p, m);
    add(p, "</table>\n<h2>Bytes</h2>\n<table>\n<tr><th><td>plaintext<td>on the wire\n");
    add(p, "<tr><th>received<td>%" PRIu64 "<td>%" PRIu64 "\n", m->plain_received, m->wire_received);
    add(p, "<tr><th>sent<td>%" PRIu64 "<td>%" PRIu64 "\n", m->plain_sent, m->wire_sent);
    add(p, "</table>\n<h2>Times</h2>\n<table>\n<tr><th><td>count<td>50 %%<td>90 %%<td>99 %%\n");
    add_times(p, "handshake", &m->handshake_time);
    add_times(p, "handler", &m->handler_time);
    add_times(p, "wait for a worker (samples)", &m->queue_wait);
    add_times(p, "break", &m->break_latency);
    add(p, "</table>\n");
}

/* ---- requests ------------------------------------------------------------------------------ */

static ssl_served answer(ssl_connection *connection, ssl_port *out, const http_request *r,
                         const char *status, const char *type, const page *body)
{
    char text[PAGE_SIZE + 512];
    int head = snprintf(text, sizeof text,
                        "HTTP/1.1 %s\r\nContent-Type: %s; charset=utf-8\r\n"
                        "Content-Length: %zu\r\nCache-Control: no-store\r\n"
                        "Allow: GET, HEAD\r\nConnection: %s\r\n\r\n",
                        status, type, body->length, r->keep_alive ? "keep-alive" : "close");
    size_t length = r->head_only ? 0 : body->length;
    memcpy(text + head, body->text, length);
    const http_answer whole = {.text = text,
                               .length = (size_t)head + length,
                               .file = -1,
                               .patience_ms = PATIENCE_MS,
                               .keep_alive = r->keep_alive};
    return http_answer_with(connection, out, &whole);
}

static ssl_served answer_path(ssl_connection *connection, ssl_port *out, const http_request *r)
{
    page p = {.length = 0};
    ssl_metrics metrics;
    if (ssl_server_metrics(ssl_connection_server(connection), &metrics, NULL) != SALLY_OK) {
        return SALLY_DONE;
    }
    if (strcmp(r->path, "") == 0) {
        make_page(&p, &metrics);
        return answer(connection, out, r, "200 OK", "text/html", &p);
    }
    if (strcmp(r->path, "metrics") == 0) {
        const ssl_metrics_sample sample = {.metrics = &metrics};
        return ssl_metrics_text(&sample, 1, p.text, sizeof p.text, &p.length, NULL) == SALLY_OK
                   ? answer(connection, out, r, "200 OK", "text/plain; version=0.0.4", &p)
                   : SALLY_DONE;
    }
    add(&p, "There are / and /metrics.\n");
    return answer(connection, out, r, NOT_FOUND, "text/plain", &p);
}

static ssl_served refuse(ssl_connection *connection, ssl_port *out, const http_request *r,
                         const char *status)
{
    page p = {.length = 0};
    add(&p, "%s\n", status);
    return answer(connection, out, r, status, "text/plain", &p);
}

/* One request; the connection is parked until the next, and while a request or an answer is not whole. */
static ssl_served serve(ssl_connection *connection, ssl_port *in, ssl_port *out, void *user)
{
    (void)user;
    http_request r = {.keep_alive = false};
    const char *refusal = NULL;
    if (http_is_answering(connection)) {
        return http_go_on(connection, out);
    }
    switch (http_receive(connection, in, PATIENCE_MS, &r, &refusal)) {
    case HTTP_PART: return SALLY_KEEP;
    case HTTP_WHOLE: return answer_path(connection, out, &r);
    case HTTP_REFUSED: return refuse(connection, out, &r, refusal);
    case HTTP_GONE: break;
    }
    return SALLY_DONE;
}

int main(int argc, char **argv)
{
    service_door door = SERVICE_DOOR;
    door.words = argv;
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    const argument table[] = {SERVICE_DOOR_ARGUMENTS(door), SERVICE_HAND_OVER_ARGUMENT(door)};
    if (!read_arguments(argc, argv, table, sizeof table / sizeof table[0]) ||
        !service_check_door("status_server", &door)) {
        return EXIT_USAGE;
    }
    options.handler = serve;
    return service_run("status_server", &door, &options);
}

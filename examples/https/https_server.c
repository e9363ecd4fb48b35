/*
 * https_server: serves the files below a directory, over HTTP/1.1 and TLS.
 *
 * A client that is slow to ask holds no worker: while a head is not whole (common/http.h) the handler
 * returns SALLY_KEEP, as it does between requests. Nor does one that is slow to take an answer: what it has not
 * taken waits with its connection (common/http_answer.h), for a limited time. One call serves one request;
 * pipelined ones stay in the port, and the server lets others have their turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sallyport.h>

#include "../common/arguments.h"
#include "../common/http.h"
#include "../common/http_answer.h"
#include "../common/service.h"
#include "document.h"

enum {
    PATIENCE_S = 10, /* for a head, for the next request, and for a part of an answer */
    WORKERS = 4
};

typedef struct website {
    int root;
    int64_t patience_ms;
} website;

/* The head, and where there is no file the body too: the status once more. */
static size_t put_head(char *text, size_t size, const http_request *r, const answer *a)
{
    char date[DATE_SIZE];
    http_date(time(NULL), date);
    int64_t length = a->fd < 0 ? (int64_t)strlen(a->status) + 1 : a->length;
    bool has_text = a->fd < 0 && !a->no_body;
    return (size_t)snprintf(
        text, size,
        "HTTP/1.1 %s\r\nDate: %s\r\nConnection: %s\r\n%sContent-Length: %" PRId64 "\r\n\r\n%s%s",
        a->status, date, r->keep_alive ? "keep-alive" : "close", a->fields, length,
        has_text ? a->status : "", has_text ? "\n" : "");
}

static ssl_served send_answer(ssl_connection *connection, ssl_port *out, const website *site,
                              const http_request *r, const answer *a)
{
    char text[2 * HEAD_MAX];
    size_t n = put_head(text, sizeof text, r, a);
    bool has_file = a->fd >= 0 && !a->no_body;
    const http_answer whole = {.text = text,
                               .length = n,
                               .file = a->fd,
                               .from = a->from,
                               .to = has_file ? a->from + a->length : a->from,
                               .patience_ms = site->patience_ms,
                               .keep_alive = r->keep_alive};
    return http_answer_with(connection, out, &whole);
}

static ssl_served serve(ssl_connection *connection, ssl_port *in, ssl_port *out, void *user)
{
    const website *site = user;
    http_request r = {.keep_alive = false};
    answer a = {.fields = "Allow: GET, HEAD\r\n", .fd = -1};
    if (http_is_answering(connection)) {
        return http_go_on(connection, out);
    }
    http_arrival arrival = http_receive(connection, in, site->patience_ms, &r, &a.status);
    if (arrival == HTTP_PART || arrival == HTTP_GONE) {
        return arrival == HTTP_PART ? SALLY_KEEP : SALLY_DONE;
    }
    a.no_body = r.head_only;
    if (arrival == HTTP_WHOLE) {
        document_find(site->root, &r, &a);
    }
    return send_answer(connection, out, site, &r, &a);
}

int main(int argc, char **argv)
{
    const char *directory = NULL;
    int seconds = PATIENCE_S;
    service_door door = SERVICE_DOOR;
    door.words = argv;
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = serve;
    options.workers = WORKERS;
    const argument table[] = {SERVICE_DOOR_ARGUMENTS(door),
                              SERVICE_HAND_OVER_ARGUMENT(door),
                              {"--workers", NULL, &options.workers, 1, WORKERS_MAX},
                              {"--patience", NULL, &seconds, 1, 3600},
                              {"DIRECTORY", &directory, NULL, 0, 0}};
    if (!read_arguments(argc, argv, table, sizeof table / sizeof table[0]) ||
        !service_check_door("https_server", &door)) {
        return EXIT_USAGE;
    }
    int top = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    website site = {top < 0 ? -1 : document_open(top, "."), seconds * INT64_C(1000)};
    if (site.root < 0) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): strerror is safe in the C libraries of Linux */
        fprintf(stderr, "https_server: cannot serve \"%s\": %s\n", directory, strerror(errno));
        return EXIT_FAILURE;
    }
    options.user = &site;
    options.idle_timeout_ms = site.patience_ms;
    options.read_timeout_ms = options.write_timeout_ms = site.patience_ms;
    return service_run("https_server", &door, &options);
}

/*
 * https_server: serves the files below a directory, over HTTP/1.1 and TLS.
 *
 * A client that is slow to ask holds no worker: while a head is not whole (common/http.h) the handler
 * returns SALLY_KEEP, as it does between requests. A client that is slow to take an answer has a deadline.
 * One call serves one request; pipelined ones stay in the port, and the server lets others have their turn.
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
#include "../common/service.h"
#include "document.h"

enum {
    PATIENCE_S = 10,     /* for a head, for the next request, and for a part of an answer */
    SLOWEST_PER_MS = 16, /* bytes of an answer that the slowest client has to take, beyond that */
    WORKERS = 16,        /* as many answers may wait for slow clients at once */
    CHUNK = 32768
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

/* The head and the first bytes of a file leave together. False: cut short, as the file may have been too. */
static bool send_answer(ssl_port *out, const website *site, const http_request *r, const answer *a)
{
    char bytes[CHUNK];
    size_t n = put_head(bytes, sizeof bytes, r, a);
    int64_t at = a->from, end = at + (a->fd < 0 || a->no_body ? 0 : a->length);
    ssl_break *limit = NULL;
    ssl_deadline deadline = ssl_deadline_after_ms(site->patience_ms + (end - at) / SLOWEST_PER_MS);
    bool sent = ssl_break_new_deadline(NULL, deadline, &limit, NULL) == SALLY_OK;
    while (sent && n + (size_t)(end - at) > 0) {
        size_t room = sizeof bytes - n, left = (size_t)(end - at);
        ssize_t got = left == 0 ? 0 : pread(a->fd, bytes + n, left < room ? left : room, at);
        sent = (got > 0 || left == 0) &&
               ssl_write_enable_break(out, bytes, n + (size_t)got, limit, NULL, NULL) == SALLY_OK;
        at += got;
        n = 0;
    }
    ssl_break_release(limit);
    return sent;
}

static ssl_served serve(ssl_connection *connection, ssl_port *in, ssl_port *out, void *user)
{
    const website *site = user;
    http_request r = {.keep_alive = false};
    answer a = {.fields = "Allow: GET, HEAD\r\n", .fd = -1};
    http_arrival arrival = http_receive(connection, in, site->patience_ms, &r, &a.status);
    if (arrival == HTTP_PART || arrival == HTTP_GONE) {
        return arrival == HTTP_PART ? SALLY_KEEP : SALLY_DONE;
    }
    a.no_body = r.head_only;
    if (arrival == HTTP_WHOLE) {
        document_find(site->root, &r, &a);
    }
    bool sent = send_answer(out, site, &r, &a);
    if (a.fd >= 0) {
        close(a.fd);
    }
    if (!sent) {
        ssl_abandon_port(out); /* no goodbye: the client shall not take a part for the whole */
    }
    return sent && r.keep_alive ? SALLY_KEEP : SALLY_DONE;
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

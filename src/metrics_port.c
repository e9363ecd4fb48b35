/* L7 service: a port that answers scrapes (W9).
 *
 * One thread serves up to SALLY_METRICS_CLIENTS_MAX visitors, all non-blocking, in one wait that the token
 * `stop` ends. Each has a deadline for all that it does. A visitor that has its answer is seen out by
 * linger.c. Without descriptors the thread leaves the backlog alone for RETRY_MS, so that nothing spins.
 *
 * No locks: everything is constant once the thread runs, or the thread's own.
 */
#include <errno.h>

#include "error.h"
#include "fd.h"
#include "http.h"
#include "linger.h"
#include "listener.h"
#include "mem.h"
#include "ossl.h"
#include "prometheus.h"
#include "sock.h"
#include "sync.h"
#include "wait.h"

enum { BACKLOG = 64, RETRY_MS = 100, STACK_BYTES = 128 * 1024, PORT_MAX = 65535 };

#define TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef struct visitor {
    int fd; /* -1: nobody */
    ssl_deadline deadline;
    bool heard; /* `answer` is made */
    size_t length;
    char request[SALLY_METRICS_REQUEST_MAX];
    sally_buf answer;
} visitor;

struct ssl_metrics_port {
    /* constant once the thread runs */
    ssl_break *stop;
    sally_addr local;
    int fd;
    int64_t timeout_ms;
    size_t source_count;
    ssl_metrics_source *sources; /* their labels are ours */
    sally_thread thread;
    /* the thread's own */
    ssl_metrics *numbers; /* source_count */
    ssl_metrics_sample *samples;
    ssl_deadline rest; /* no clients are taken before */
    visitor visitors[SALLY_METRICS_CLIENTS_MAX];
};

/* ---- answers ------------------------------------------------------------------------------- */

static bool append_text(const char *text, size_t length, void *body)
{
    return sally_buf_append(body, text, length);
}

static bool make_text(ssl_metrics_port *p, sally_buf *body)
{
    for (size_t i = 0; i < p->source_count; i++) {
        (void)ssl_server_metrics(p->sources[i].server, &p->numbers[i], NULL);
    }
    return ssl_metrics_write(p->samples, p->source_count, append_text, body, NULL) == SALLY_OK;
}

static bool answer_metrics(ssl_metrics_port *p, visitor *v, bool head_only)
{
    sally_buf body = {0};
    bool made = make_text(p, &body) && sally_http_answer(&v->answer, 200, TYPE, &body, head_only);
    sally_buf_fini(&body);
    return made;
}

/* ---- one visitor --------------------------------------------------------------------------- */

static void cut(visitor *v)
{
    sally_sock_close(v->fd);
    sally_buf_fini(&v->answer);
    v->fd = -1;
}

static void answer(ssl_metrics_port *p, visitor *v, int status, bool head_only)
{
    v->heard = status == 200 ? answer_metrics(p, v, head_only)
                             : sally_http_refuse(&v->answer, status, head_only);
    if (!v->heard) {
        cut(v);
    }
}

static void judge(ssl_metrics_port *p, visitor *v)
{
    bool head_only;
    int status = sally_http_judge(v->request, v->length, "/metrics", &head_only);
    if (status != 0) {
        answer(p, v, status, head_only);
    } else if (v->length == sizeof v->request) {
        answer(p, v, 431, false);
    }
}

static void hear(ssl_metrics_port *p, visitor *v)
{
    size_t got;
    int failed;
    sally_io io = sally_sock_receive(v->fd, v->request + v->length, sizeof v->request - v->length,
                                     &got, &failed);
    if (io == SALLY_IO_DONE) {
        v->length += got;
        judge(p, v);
    } else if (io != SALLY_IO_WOULD_BLOCK) {
        cut(v);
    }
}

static void tell(visitor *v)
{
    sally_io io = SALLY_IO_DONE;
    while (v->answer.length != 0 && io == SALLY_IO_DONE) {
        size_t sent;
        int failed;
        io = sally_sock_send(v->fd, sally_buf_front(&v->answer), v->answer.length, &sent, &failed);
        sally_buf_consume(&v->answer, sent);
    }
    if (v->answer.length == 0) {
        sally_linger_retire(v->fd, &v->answer, false, 0);
        v->fd = -1;
    } else if (io != SALLY_IO_WOULD_BLOCK) {
        cut(v);
    }
}

static void attend(ssl_metrics_port *p, visitor *v)
{
    if (v->fd >= 0 && !v->heard) {
        hear(p, v);
    }
    if (v->fd >= 0 && v->heard) {
        tell(v);
    }
    if (v->fd >= 0 && sally_deadline_passed(v->deadline)) {
        cut(v);
    }
}

/* ---- the thread ---------------------------------------------------------------------------- */

static visitor *free_place(ssl_metrics_port *p)
{
    for (size_t i = 0; i < SALLY_METRICS_CLIENTS_MAX; i++) {
        if (p->visitors[i].fd < 0) {
            return &p->visitors[i];
        }
    }
    return NULL;
}

static bool takes_clients(ssl_metrics_port *p)
{
    return sally_now_ns() >= p->rest.monotonic_ns && free_place(p) != NULL;
}

static void take_clients(ssl_metrics_port *p)
{
    visitor *place;
    while (takes_clients(p) && (place = free_place(p)) != NULL) {
        sally_addr peer;
        int error = sally_sock_accept(p->fd, &place->fd, &peer);
        if (error != 0) {
            place->fd = -1;
            bool none = error == EAGAIN || error == EWOULDBLOCK;
            p->rest = none ? p->rest : sally_deadline_after_ms(RETRY_MS);
            return;
        }
        place->deadline = sally_deadline_after_ms(p->timeout_ms);
        place->heard = false;
        place->length = 0;
    }
}

/* The pollfds: the backlog, then the visitors. Also bounds the wait by what is due first. */
static int watch(ssl_metrics_port *p, struct pollfd *fds, sally_scope *scope)
{
    int count = 0;
    if (takes_clients(p)) {
        fds[count++] = (struct pollfd){.fd = p->fd, .events = POLLIN};
    } else if (free_place(p) != NULL) {
        sally_scope_bound(scope, p->rest);
    }
    for (size_t i = 0; i < SALLY_METRICS_CLIENTS_MAX; i++) {
        const visitor *v = &p->visitors[i];
        if (v->fd >= 0) {
            fds[count++] = (struct pollfd){.fd = v->fd, .events = v->heard ? POLLOUT : POLLIN};
            sally_scope_bound(scope, v->deadline);
        }
    }
    return count;
}

/* False when the port is to end. */
static bool wait_for_work(ssl_metrics_port *p)
{
    struct pollfd fds[1 + SALLY_METRICS_CLIENTS_MAX + SALLY_WAIT_SPARE];
    sally_scope scope;
    ssl_status status = sally_scope_enable(&scope, p->stop, SALLY_PHASE_SERVE, NULL);
    if (status != SALLY_OK) {
        return false;
    }
    sally_wait wait = {.fds = fds, .scope = &scope, .phase = SALLY_PHASE_SERVE};
    wait.count = watch(p, fds, &scope);
    (void)sally_wait_run(&wait, &status, NULL);
    return status == SALLY_OK || status == SALLY_TIMEOUT;
}

static void *serve(void *arg)
{
    ssl_metrics_port *p = arg;
    while (wait_for_work(p)) {
        take_clients(p);
        for (size_t i = 0; i < SALLY_METRICS_CLIENTS_MAX; i++) {
            attend(p, &p->visitors[i]);
        }
    }
    return NULL;
}

/* ---- making and freeing -------------------------------------------------------------------- */

static void free_labels(const ssl_metrics_source *source)
{
    for (size_t i = 0; source->labels != NULL && i < source->label_count; i++) {
        sally_free((char *)(uintptr_t)source->labels[i].name);
        sally_free((char *)(uintptr_t)source->labels[i].value);
    }
    sally_free((ssl_metrics_label *)(uintptr_t)source->labels);
}

static void free_port(ssl_metrics_port *p)
{
    for (size_t i = 0; p->sources != NULL && i < p->source_count; i++) {
        free_labels(&p->sources[i]);
    }
    for (size_t i = 0; i < SALLY_METRICS_CLIENTS_MAX; i++) {
        if (p->visitors[i].fd >= 0) {
            cut(&p->visitors[i]);
        }
    }
    if (p->fd >= 0) {
        sally_sock_close(p->fd);
    }
    ssl_break_release(p->stop);
    sally_free(p->sources);
    sally_free(p->samples);
    sally_free(p->numbers);
    sally_free(p);
}

/* What is half made is freed with the port. */
static bool copy_labels(ssl_metrics_source *to, const ssl_metrics_source *from)
{
    ssl_metrics_label *labels = sally_alloc_array(from->label_count, sizeof *labels);
    to->labels = labels;
    to->label_count = labels != NULL ? from->label_count : 0;
    for (size_t i = 0; i < to->label_count; i++) {
        labels[i].name = sally_copy_text(from->labels[i].name);
        labels[i].value = sally_copy_text(from->labels[i].value);
        if (labels[i].name == NULL || labels[i].value == NULL) {
            return false;
        }
    }
    return labels != NULL;
}

static bool copy_sources(ssl_metrics_port *p, const ssl_metrics_port_options *options)
{
    size_t count = options->source_count;
    p->sources = sally_alloc_array(count, sizeof *p->sources);
    p->samples = sally_alloc_array(count, sizeof *p->samples);
    p->numbers = sally_alloc_array(count, sizeof *p->numbers);
    if (p->sources == NULL || p->samples == NULL || p->numbers == NULL) {
        return false;
    }
    p->source_count = count;
    for (size_t i = 0; i < count; i++) {
        ssl_metrics_source *source = &p->sources[i];
        source->server = options->sources[i].server;
        if (options->sources[i].label_count != 0 && !copy_labels(source, &options->sources[i])) {
            return false;
        }
        p->samples[i] = (ssl_metrics_sample){.metrics = &p->numbers[i],
                                             .labels = source->labels,
                                             .label_count = source->label_count};
    }
    return true;
}

static ssl_metrics_port *new_port(const ssl_metrics_port_options *options)
{
    ssl_metrics_port *p = sally_alloc(sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->fd = -1;
    p->timeout_ms = options->timeout_ms;
    for (size_t i = 0; i < SALLY_METRICS_CLIENTS_MAX; i++) {
        p->visitors[i].fd = -1;
    }
    if (!copy_sources(p, options)) {
        free_port(p);
        return NULL;
    }
    return p;
}

/* What a call asks for. */
typedef struct request {
    const char *call;
    const ssl_metrics_port_options *options;
    sally_addr addr; /* to listen at, or of the socket that is there already: */
    int fd;          /* -1: none */
} request;

static ssl_status open_socket(ssl_metrics_port *p, const request *asked, ssl_error *err)
{
    const sally_sock_listen how = {.backlog = BACKLOG, .reuse = true};
    int error = sally_sock_listen_on(&asked->addr, &how, &p->fd);
    if (error == 0) {
        error = sally_sock_local(p->fd, &p->local);
    }
    if (error == 0) {
        return SALLY_OK;
    }
    char where[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&asked->addr, where, sizeof where);
    return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot listen on %s%s",
                            asked->call, where,
                            error == EADDRINUSE ? " (port 0 picks a free one)" : "");
}

static ssl_status adopt_socket(ssl_metrics_port *p, const request *asked, ssl_error *err)
{
    int error = sally_fd_adopt(asked->fd);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: descriptor %d", asked->call,
                                asked->fd);
    }
    p->fd = asked->fd;
    p->local = asked->addr;
    return SALLY_OK;
}

static ssl_status start(ssl_metrics_port *p, const request *asked, ssl_error *err)
{
    ssl_status status = ssl_break_new(NULL, &p->stop, err);
    if (status == SALLY_OK) {
        status = asked->fd < 0 ? open_socket(p, asked, err) : adopt_socket(p, asked, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    int error = sally_thread_start(&p->thread, STACK_BYTES, serve, p);
    if (error == 0) {
        return SALLY_OK;
    }
    p->fd = asked->fd < 0 ? p->fd : -1; /* the caller's still */
    return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot start a thread",
                            asked->call);
}

/* ---- the calls ----------------------------------------------------------------------------- */

static ssl_status fail_usage(ssl_error *err, const char *call, const char *why)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", call, why);
}

static ssl_status check_options(const request *asked, ssl_error *err)
{
    const ssl_metrics_port_options *options = asked->options;
    if (options->timeout_ms < 1) {
        return fail_usage(err, asked->call, "options.timeout_ms must be 1 at least");
    }
    if (options->sources == NULL || options->source_count == 0) {
        return fail_usage(err, asked->call, "options.sources names no server");
    }
    ssl_status status = SALLY_OK;
    for (size_t i = 0; i < options->source_count && status == SALLY_OK; i++) {
        const ssl_metrics_source *source = &options->sources[i];
        status =
            source->server != NULL
                ? sally_metrics_check_labels(source->labels, source->label_count, asked->call, err)
                : fail_usage(err, asked->call, "the server of a source is NULL");
    }
    return status;
}

static ssl_status find_address(int port, request *asked, ssl_error *err)
{
    const char *host = asked->options->host != NULL ? asked->options->host : "127.0.0.1";
    if (port < 0 || port > PORT_MAX) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                          "%s: port %d is out of range; it must be 1 to %d, and 0 picks one",
                          asked->call, port, PORT_MAX);
    }
    if (!sally_addr_is_ip(host) || !sally_addr_parse(host, port, &asked->addr)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                          "%s: options.host \"%.100s\" is no numeric address, as 127.0.0.1 or ::1",
                          asked->call, host);
    }
    return SALLY_OK;
}

static ssl_status check_socket(request *asked, ssl_error *err)
{
    if (asked->options->host != NULL) {
        return fail_usage(err, asked->call, "options.host is set, but the socket has its own");
    }
    return sally_listener_check_fd(asked->call, asked->fd, &asked->addr, err);
}

/* The way in of both calls: what they share of their arguments. */
static ssl_status begin(const request *asked, ssl_metrics_port **metrics_port, ssl_error *err)
{
    sally_ossl_begin();
    if (metrics_port == NULL) {
        return fail_usage(err, asked->call, "metrics_port is NULL");
    }
    *metrics_port = NULL;
    return asked->options != NULL ? SALLY_OK : fail_usage(err, asked->call, "options is NULL");
}

static ssl_status make(const request *asked, ssl_metrics_port **metrics_port, ssl_error *err)
{
    ssl_status status = check_options(asked, err);
    if (status != SALLY_OK) {
        return status;
    }
    ssl_metrics_port *made = new_port(asked->options);
    if (made == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, asked->call);
    }
    status = start(made, asked, err);
    if (status == SALLY_OK) {
        *metrics_port = made;
    } else {
        free_port(made);
    }
    return status;
}

ssl_status ssl_metrics_listen(int port, const ssl_metrics_port_options *options,
                              ssl_metrics_port **metrics_port, ssl_error *err)
{
    request asked = {.call = "ssl_metrics_listen", .options = options, .fd = -1};
    ssl_status status = begin(&asked, metrics_port, err);
    if (status == SALLY_OK) {
        status = find_address(port, &asked, err);
    }
    return status == SALLY_OK ? make(&asked, metrics_port, err) : status;
}

ssl_status ssl_metrics_listen_fd(int fd, const ssl_metrics_port_options *options,
                                 ssl_metrics_port **metrics_port, ssl_error *err)
{
    request asked = {.call = "ssl_metrics_listen_fd", .options = options, .fd = fd};
    ssl_status status = begin(&asked, metrics_port, err);
    if (status == SALLY_OK) {
        status = check_socket(&asked, err);
    }
    return status == SALLY_OK ? make(&asked, metrics_port, err) : status;
}

int ssl_metrics_port_fd(const ssl_metrics_port *metrics_port)
{
    return metrics_port != NULL ? metrics_port->fd : -1;
}

ssl_status ssl_metrics_port_addresses(const ssl_metrics_port *metrics_port, ssl_endpoints *ends,
                                      ssl_error *err)
{
    sally_ossl_begin();
    if (metrics_port == NULL || ends == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN,
                          "ssl_metrics_port_addresses: %s is NULL",
                          metrics_port == NULL ? "metrics_port" : "ends");
    }
    *ends = (ssl_endpoints){.remote_port = 0};
    sally_addr_text(&metrics_port->local, ends->local, sizeof ends->local);
    ends->local_port = sally_addr_port(&metrics_port->local);
    return SALLY_OK;
}

void ssl_metrics_port_free(ssl_metrics_port *metrics_port)
{
    if (metrics_port == NULL) {
        return;
    }
    (void)ssl_break_send(metrics_port->stop, 0);
    sally_thread_join(&metrics_port->thread);
    free_port(metrics_port);
}

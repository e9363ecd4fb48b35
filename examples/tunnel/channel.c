/* One connection: see channel.h. Two threads, one for each direction; neither waits for the other. */
#include "channel.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/failure.h"

enum { BUFFER_SIZE = 16384, CONNECT_MS = 10000 };

static ssl_status to_plain(channel *c, ssl_error *err)
{
    char buf[BUFFER_SIZE];
    size_t got = 0;
    ssl_status status = SALLY_OK;
    while (status == SALLY_OK) {
        status = ssl_read_enable_break(c->ports.in, buf, sizeof buf, c->brk, &got, err);
        if (status == SALLY_OK) {
            status = plain_write(c->fd, buf, got, c->brk, err);
        }
    }
    if (status == SALLY_EOF) {
        shutdown(c->fd, SHUT_WR);
    }
    return status;
}

static ssl_status to_tls(channel *c, ssl_error *err)
{
    char buf[BUFFER_SIZE];
    size_t got = 0;
    for (;;) {
        ssl_status status = plain_read(c->fd, buf, sizeof buf, c->brk, &got, err);
        if (status == SALLY_OK && got == 0) {
            status = ssl_close_port_enable_break(c->ports.out, c->brk, err);
            return status == SALLY_OK ? SALLY_EOF : status;
        }
        if (status == SALLY_OK) {
            status = ssl_write_enable_break(c->ports.out, buf, got, c->brk, NULL, err);
        }
        if (status != SALLY_OK) {
            return status;
        }
    }
}

/* A direction that did not end well takes the other one with it. */
static void *run_to_tls(void *arg)
{
    channel *c = arg;
    c->err[1].status = to_tls(c, &c->err[1]);
    if (c->err[1].status != SALLY_EOF) {
        ssl_break_send(c->brk, 0);
    }
    return NULL;
}

/* Leaves in *err the first failure, if any: the other direction's is then a break. */
static bool move_both_ways(channel *c, ssl_error *err)
{
    pthread_t thread;
    int cause = pthread_create(&thread, NULL, run_to_tls, c);
    if (cause != 0) {
        fail_local(err, cause, "cannot start a thread");
        return false;
    }
    c->err[0].status = to_plain(c, &c->err[0]);
    if (c->err[0].status != SALLY_EOF) {
        ssl_break_send(c->brk, 0);
    }
    pthread_join(thread, NULL);
    *err = c->err[0].status == SALLY_EOF || c->err[0].status == SALLY_BREAK ? c->err[1] : c->err[0];
    return c->err[0].status == SALLY_EOF && c->err[1].status == SALLY_EOF;
}

static ssl_status connect_far(channel *c, const far_end *far, ssl_error *err)
{
    ssl_break *limit = NULL;
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = far->context;
    ssl_deadline deadline = ssl_deadline_after_ms(CONNECT_MS);
    ssl_status status = ssl_break_new_deadline(c->brk, deadline, &limit, err);
    if (status == SALLY_OK) {
        status = far->is_plain ? plain_connect(&far->place, limit, &c->fd, err)
                               : ssl_connect_with_enable_break(far->place.host, far->place.port,
                                                               &options, limit, &c->ports, err);
    }
    ssl_break_release(limit);
    return status;
}

void channel_drop(channel *c)
{
    if (c->fd >= 0) {
        plain_cut(c->fd);
    }
    ssl_free_ports(&c->ports); /* a side that has not said goodbye never does */
    ssl_break_release(c->brk);
}

bool channel_run(channel *c, const far_end *far, ssl_break *stop, ssl_error *err)
{
    bool whole = ssl_break_new(stop, &c->brk, err) == SALLY_OK &&
                 connect_far(c, far, err) == SALLY_OK && move_both_ways(c, err);
    if (whole) {
        close(c->fd);
        c->fd = -1;
    }
    channel_drop(c);
    return whole;
}

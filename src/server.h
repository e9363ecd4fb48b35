/* L7 service: the insides of a server, for server.c, admit.c, gate.c, connection.c and drain.c.
 *
 * A server is a park with a pool, gates through which clients come in, and connections. Its lock
 * guards who is there and whether more may come; nothing of one connection's own, which belongs to
 * the thread that holds the connection's task (park.h). No lock is held while a handler or a
 * destroy function of the application runs.
 *
 * The stage only rises, under the lock, and is read without it: a thread that read an older stage
 * and parks a connection all the same is caught by the park, which hurries by then.
 */
#ifndef SALLY_SERVER_H
#define SALLY_SERVER_H

#include "atomic.h"
#include "list.h"
#include "log_limit.h"
#include "metrics.h"
#include "notify.h"
#include "park.h"
#include "pool.h"
#include "probe.h"
#include "quota.h"
#include "sallyport/log.h"
#include "sallyport/server.h"
#include "sync.h"

typedef enum sally_stage {
    SALLY_STAGE_NEW, /* not started */
    SALLY_STAGE_SERVING,
    SALLY_STAGE_DRAINING, /* nobody comes in; requests are served, quiet connections hung up */
    SALLY_STAGE_BREAKING, /* tokens are broken; no handler is called any more */
    SALLY_STAGE_CUTTING,  /* running handlers have lost their ports */
    SALLY_STAGE_ENDED     /* no threads, no connections */
} sally_stage;

typedef struct sally_tally {
    sally_atomic_u64 accepted;
    sally_atomic_u64 handshakes_done;
    sally_atomic_u64 handshakes_failed;
    sally_atomic_u64 handshakes_timed_out;
    sally_atomic_u64 handler_calls;
    sally_atomic_u64 idle_timed_out;
    sally_atomic_u64 output_timed_out;
    sally_atomic_u64 accept_failures;
    sally_atomic_u64 taken;
    sally_atomic_u64 proxy_refused;
    sally_atomic_u64 health_checks;
    sally_atomic_u64 open;
    sally_atomic_u64 busy;
    sally_atomic_u64 refused[SALLY_REFUSALS];
    sally_atomic_u64 workers;
    sally_atomic_u64 worker_start_failures;
} sally_tally;

struct ssl_server {
    /* constant once made */
    ssl_server_options options;
    sally_park *park;
    sally_wake_bank *bank;
    sally_quota *quota; /* NULL: addresses have no limit */
    sally_wake empty;   /* raised once, by the last one out of a server that drains */
    /* constant once started */
    ssl_listener *listeners[SALLY_SERVER_LISTENERS_MAX];
    int listener_count;
    sally_node gates;
    sally_tally tally;
    sally_watchdog watchdog;
    ssl_log log;
    sally_log_limit log_limit;
    sally_metrics metrics;
    sally_probe probe; /* of how long workers let a ready task wait */
    sally_mutex lock;
    /* lock */
    sally_atomic_u64 stage;
    sally_pool *pool; /* NULL: no threads */
    sally_node connections;
    sally_node idle; /* those that may yield, the oldest first; empty unless oldest_idle_yields */
    int64_t places;  /* taken: by connections, and by clients about to be accepted or closed */
    int64_t handshakes; /* of them, those that are not shaken */
    int gates_open;
    bool in_drain; /* a thread is inside ssl_server_drain */
    /* of the pool's timekeeper */
    ssl_deadline lack_until; /* a failed start of a worker is no news until then */
};

static inline void sally_count(sally_atomic_u64 *counter)
{
    (void)sally_add_relaxed(counter, 1);
}

static inline sally_stage sally_server_stage(const ssl_server *server)
{
    return (sally_stage)sally_load_seq(&server->stage);
}

/* server_options.c. USAGE, naming what is wrong. */
ssl_status sally_server_check_options(const ssl_server_options *options, ssl_error *err);

/* Ends every connection of a server whose threads are gone. */
void sally_server_end_leftovers(ssl_server *server);

#endif

/*
 * sallyport/server.h: a small pool of workers that serves many connections.
 *
 * The handler blocks, like any classic server's: it reads, writes, computes, and returns. A worker
 * gets a connection only when there are bytes to work on: silent, half-open and idle connections
 * hold a file descriptor and no thread (W2).
 *
 *     static ssl_served echo(ssl_connection *c, ssl_port *in, ssl_port *out, void *user)
 *     {
 *         char buf[16384];
 *         size_t got;
 *         if (ssl_read(in, buf, sizeof buf, &got, NULL) != SALLY_OK) return SALLY_DONE;
 *         if (ssl_write(out, buf, got, NULL, NULL) != SALLY_OK) return SALLY_DONE;
 *         return SALLY_KEEP;       // parked until the peer sends again
 *     }
 */
#ifndef SALLYPORT_SERVER_H
#define SALLYPORT_SERVER_H

#include "listener.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ssl_server ssl_server;
/** One client of a server. Valid while its handler runs, and from KEEP to the next call. */
typedef struct ssl_connection ssl_connection;

/** What a handler says when it returns. */
typedef enum ssl_served {
    SALLY_DONE = 0, /**< close the connection, with close_notify */
    SALLY_KEEP, /**< park it; call the handler again when the peer sends, ends or is cut. Output that
                         the peer has not taken yet (ssl_write_available, ssl_pending_output) goes out
                         first, within write_timeout_ms */
    SALLY_KEEP_WRITING, /**< park it; call the handler again when that output is gone: it has more to
                             write. No peer that reads slowly holds a worker (W2); cut off, it gets no goodbye (P3) */
    SALLY_TAKEN /**< the pair is the handler's from now on, for a tunnel or threads of its own: the
                         server forgets it, and whoever has it frees both ports. It is neither limited
                         nor drained any more; its port timeouts stay as they are */
} ssl_served;

/** Serves one connection. Runs on a worker, no library lock held. The ports belong to the server,
 *  unless the handler returns SALLY_TAKEN: close or abandon them if you like, never free them. A handler
 *  that is going to return SALLY_TAKEN may give the pair to other threads before it does.
 *  Plain calls on the ports obey the connection's token, so that ssl_server_drain reaches a handler
 *  that knows nothing of breaks (B9). An answer that is none of ssl_served counts as SALLY_DONE.
 *  Keeps: W1. */
typedef ssl_served (*ssl_handler)(ssl_connection *connection, ssl_port *in, ssl_port *out,
                                  void *user);

/** For limits: no limit. For times: never. */
#define SALLY_UNLIMITED          (-1)
/** The most workers. */
#define SALLY_SERVER_WORKERS_MAX 1024

/** Why a client was refused, or let go for the sake of others (W4). */
typedef enum ssl_refusal {
    SALLY_REFUSED_CONNECTIONS = 0, /**< connections_max was reached */
    SALLY_REFUSED_HANDSHAKES,      /**< handshakes_max was */
    SALLY_REFUSED_ADDRESS,         /**< its address had address_connections_max already */
    SALLY_REFUSED_QUEUE_LENGTH,    /**< queue_max others waited for a worker before it */
    SALLY_REFUSED_QUEUE_AGE,       /**< it waited for a worker for queue_timeout_ms */
    SALLY_REFUSED_IDLE             /**< it was idle for longest, and yielded (oldest_idle_yields) */
} ssl_refusal;
#define SALLY_REFUSALS 6

/** What becomes of new clients while connections_max or handshakes_max is reached. */
typedef enum ssl_when_full {
    SALLY_FULL_BACKLOG = 0, /**< they stay in the kernel's backlog until there is room */
    SALLY_FULL_CLOSE,       /**< they are taken and closed at once */
    SALLY_FULL_RESET /**< ... and reset (RST): the client's next call fails. This holds for all other
                                 refusals before the handshake is done, too */
} ssl_when_full;

/** Is told of a client that is refused, with its address and port as text. It runs on a worker or on the
 *  thread that keeps all deadlines, no library lock held; it must not block. */
typedef void (*ssl_refused)(const char *peer, ssl_refusal why, void *user);

/** Everything a server is told. Start from SALLY_SERVER_OPTIONS. */
typedef struct ssl_server_options {
    ssl_handler handler; /**< required */
    void *user;          /**< given to every call of the handler, and of `refused` */
    bool handler_first;  /**< call the handler right after the handshake, for protocols in which the
                              server speaks first; else at the first bytes */
    /* workers */
    int workers;            /**< threads that run handlers; at least 1 */
    int workers_max;        /**< so many while handlers block, in a handler for more than a few
                                    milliseconds: each of them is replaced; 0: no more than `workers` */
    int64_t worker_idle_ms; /**< one that is more than `workers` ends after so long without work */
    size_t worker_stack_bytes; /**< 0: the system's default */
    /* limits of number */
    int64_t connections_max; /**< clients at once */
    int64_t handshakes_max;  /**< of them, those whose handshake is not done */
    int64_t
        address_connections_max; /**< of them, those of one address: of the client that a trusted proxy
                                          names, where there is one; in IPv6 those of a network of 64 bits (/64),
                                          all of which one client may have; clients of Unix sockets have none */
    int64_t
        queue_max; /**< connections that have something to do and wait for a worker; those behind
                            are hung up on */
    ssl_when_full when_full;
    bool
        oldest_idle_yields; /**< while connections_max is reached, a new client takes the place of the one
                                  that has been idle, its handler not running, for longest */
    ssl_refused refused; /**< may be NULL */
    /* limits of time */
    int64_t queue_timeout_ms;     /**< waiting for a worker; longer ones are hung up on */
    int64_t handshake_timeout_ms; /**< from TCP accept to the end of the handshake */
    int64_t idle_timeout_ms;  /**< parked without a whole message, however its bytes trickle in */
    int64_t read_timeout_ms;  /**< one blocking read in a handler */
    int64_t write_timeout_ms; /**< one blocking write in a handler; parked with output that the peer
                                       does not take */
    int64_t close_timeout_ms; /**< a closed connection's last bytes, and the peer's own end: its
                                       socket is closed then */
    /* the supervisor's watchdog (notify.h) */
    bool watchdog;    /**< tell it WATCHDOG=1, if it wants that, while this server works: its
                           timekeeper runs, and its workers are not stuck */
    int64_t stuck_ms; /**< they are stuck when for so long none was free, and none began to serve
                           another connection: all are in handlers that do not return, whatever these
                           wait for. SALLY_UNLIMITED: handlers may; the timekeeper alone is watched */
    uint64_t reserved[6];
} ssl_server_options;

#define SALLY_SERVER_WORKERS  4
#define SALLY_SERVER_STUCK_MS 120000
/* clang-format off */
#define SALLY_SERVER_OPTIONS \
    {NULL, NULL, false, SALLY_SERVER_WORKERS, 0, 10000, 0, SALLY_UNLIMITED, SALLY_UNLIMITED, \
     SALLY_UNLIMITED, SALLY_UNLIMITED, SALLY_FULL_BACKLOG, false, NULL, SALLY_UNLIMITED, \
     SALLY_HANDSHAKE_TIMEOUT_MS, 300000, 60000, 60000, 2000, false, SALLY_SERVER_STUCK_MS, {0}}
/* clang-format on */

/** A word for it, as "queue_age". Never NULL. Threads: any. */
SALLY_API const char *ssl_refusal_name(ssl_refusal refusal);

/** Makes a server, in *server; it does nothing before ssl_server_start.
 *  Errors: USAGE (no handler, a number out of range, two that contradict each other: the text names
 *   them), SYSTEM, MEMORY. Keeps: W4. */
SALLY_API ssl_status ssl_server_new(const ssl_server_options *options, ssl_server **server,
                                    ssl_error *err);
/** Lets the server accept from `listener`, before it is started. At most SALLY_SERVER_LISTENERS_MAX.
 *  Ownership: takes the listener on success only; it is closed by the drain and freed with the
 *  server. Errors: USAGE, LIMIT, MEMORY. */
SALLY_API ssl_status ssl_server_add_listener(ssl_server *server, ssl_listener *listener,
                                             ssl_error *err);
#define SALLY_SERVER_LISTENERS_MAX 16

/**
 * Starts the workers. With options.watchdog, NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read now: where they
 * ask for nothing, nothing is told; else WATCHDOG=1 is sent four times in the time that they give, by the
 * timekeeper, which never waits for the supervisor, until the drain has ended. Several servers of a process each
 * speak for the whole process.
 * Threads: one; with options.watchdog, while none changes the environment.
 * Errors: USAGE (no listener, started before), CONFIG (a variable makes no sense), SYSTEM, MEMORY. Keeps: W1, W8.
 */
SALLY_API ssl_status ssl_server_start(ssl_server *server, ssl_error *err);

/**
 * Stops accepting, when the clients in the backlog have come in; closes idle and unfinished
 * connections with close_notify, after one last read, so that a request already in the socket is
 * still served; lets handlers end. A connection whose peer was heard within SALLY_DRAIN_QUIET_MS is
 * served until it has been quiet for as long. After `soft_ms` breaks the connections' tokens, so
 * that blocked reads and writes of handlers return SALLY_BREAK with SALLY_REASON_DRAIN (in a shielded
 * section, ssl_break_shield, only after it), and calls no handler any more; after `hard_ms`, counted from the call like the other, closes the ports of
 * handlers that still run and joins the workers. Then waits, until `hard_ms` at most, for the last
 * bytes of closed connections to reach their peers, so that the program may exit.
 * Milliseconds; negative: never.
 * *unfinished (may be NULL): handlers whose ports had to be closed.
 * Blocks: up to about `hard_ms`, and beyond it only for a handler that computes without end.
 * Threads: one; not from a handler. Twice is fine.
 * Errors: USAGE, TIMEOUT (*unfinished is not 0; the server is drained all the same). Keeps: W6.
 */
SALLY_API ssl_status ssl_server_drain(ssl_server *server, int64_t soft_ms, int64_t hard_ms,
                                      size_t *unfinished, ssl_error *err);
/** ssl_server_drain that a break of `brk` turns into the hard stop at once. On break: the server is
 *  drained, and unless a handler had to be cut, BREAK is returned. */
SALLY_API ssl_status ssl_server_drain_enable_break(ssl_server *server, int64_t soft_ms,
                                                   int64_t hard_ms, ssl_break *brk,
                                                   size_t *unfinished, ssl_error *err);

/** How long a draining server listens to a connection that was just active, in milliseconds. */
#define SALLY_DRAIN_QUIET_MS 200
/** ssl_error.code of the SALLY_BREAK that a drain sends to handlers. */
#define SALLY_REASON_DRAIN   (-1)

/** Drains with both deadlines 0 if still running, and frees it. NULL is fine. Not to be called from a
 *  handler. */
SALLY_API void ssl_server_free(ssl_server *server);

/** What a server counted since it was made. */
typedef struct ssl_server_counters {
    uint64_t accepted; /**< TCP connections taken */
    uint64_t handshakes_done;
    uint64_t handshakes_failed; /**< refused or broken by the peer or by us */
    uint64_t handshakes_timed_out;
    uint64_t handler_calls;
    uint64_t idle_timed_out;
    uint64_t output_timed_out; /**< parked with output that the peer did not take */
    uint64_t accept_failures;  /**< EMFILE and the like (W5) */
    uint64_t open;             /**< connections now */
    uint64_t busy;             /**< handlers running now */
    uint64_t taken;            /**< given away: the handler returned SALLY_TAKEN */
    uint64_t proxy_refused;    /**< neither a trusted proxy nor welcome as a client (proxy.h) */
    uint64_t health_checks;    /**< proxies that came without a client, and went */
    uint64_t workers;          /**< threads that run handlers, now (W2) */
    uint64_t worker_start_failures; /**< the system had no thread, or no descriptor, for one more */
    uint64_t refused[SALLY_REFUSALS]; /**< clients, by ssl_refusal */
    uint64_t reserved[8];
} ssl_server_counters;

/** A snapshot; each figure is exact, not all of one instant. Threads: any. Errors: USAGE. */
SALLY_API ssl_status ssl_server_count(const ssl_server *server, ssl_server_counters *counters,
                                      ssl_error *err);

/** The server of a connection. */
SALLY_API ssl_server *ssl_connection_server(const ssl_connection *connection);
/** The connection's token, broken by the drain: give it to long computations and to other blocking
 *  calls. Ownership: borrowed for the handler's call; retain it to keep it. */
SALLY_API ssl_break *ssl_connection_break(const ssl_connection *connection);
/** Whether the peer has gone for good, for a handler that computes for long: its host has reset the
 *  connection, or both directions have ended. Advice only: a peer that closed without a reset shows
 *  nothing before something is written to it, and a half close is no departure (W7). Never blocks.
 *  Threads: the handler's. */
SALLY_API bool ssl_connection_is_peer_gone(const ssl_connection *connection);
/** A pointer of the application's that lives across KEEP; `destroy` (may be NULL) is called with it
 *  when the connection ends or the pointer is replaced. */
SALLY_API void ssl_connection_set_user(ssl_connection *connection, void *user,
                                       void (*destroy)(void *user));
/** The pointer of the last ssl_connection_set_user, or NULL. */
SALLY_API void *ssl_connection_user(const ssl_connection *connection);

#ifdef __cplusplus
}
#endif
#endif

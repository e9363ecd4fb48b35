/*
 * sallyport/log.h: what a server tells the program when nobody has asked.
 *
 * A call that fails tells its caller; this is for what happens between calls: a handshake that failed, a
 * client that was refused, a drain. The library writes nowhere by itself: a record goes to a function of
 * the program's, which prints it, counts it, or gives it to syslog(3).
 *
 *     static void print(const ssl_log_record *record, void *user)
 *     {
 *         char line[SALLY_LOG_LINE_SIZE];
 *         ssl_log_line(record, line, sizeof line);
 *         fprintf(stderr, "%s\n", line);
 *     }
 *     ...
 *     ssl_log log = {.call = print, .level = SALLY_LOG_INFO};
 *     ssl_server_set_log(server, &log, &err);
 */
#ifndef SALLYPORT_LOG_H
#define SALLYPORT_LOG_H

#include "server.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How much it matters. */
typedef enum ssl_log_level {
    SALLY_LOG_ERROR = 0, /**< what was asked for is not there: a worker, a new certificate */
    SALLY_LOG_WARNING,   /**< something is short: clients have to wait, handlers were cut, a
                              certificate expires */
    SALLY_LOG_INFO,      /**< what became of single clients, and what the program asked for */
    SALLY_LOG_DEBUG      /**< what is no news: idle clients that are hung up on */
} ssl_log_level;

/** What happened. */
typedef enum ssl_log_event {
    SALLY_LOG_START_FAILED = 0, /**< a server, or one of its threads, did not start */
    SALLY_LOG_ACCEPT_FAILED,    /**< a client stays in the backlog: no descriptor, no memory */
    SALLY_LOG_HANDSHAKE_FAILED, /**< with `peer`, and why */
    SALLY_LOG_REFUSED,       /**< `peer` was turned away before its handshake, for this `reason` */
    SALLY_LOG_IDLE_CLOSED,   /**< `peer` was silent for too long */
    SALLY_LOG_DRAIN_BEGUN,   /**< `count` connections are open */
    SALLY_LOG_DRAIN_ENDED,   /**< `count` handlers were cut; a warning if there are any */
    SALLY_LOG_RELOADED,      /**< the context `name` was made anew from its files */
    SALLY_LOG_RELOAD_FAILED, /**< it was not, and the old one stays */
    SALLY_LOG_REMARK,        /**< something about the context `name` is odd: its certificate has
                                  expired, say. When a server starts, of all its contexts; after a reload */
    SALLY_LOG_DROPPED        /**< `count` records of the event that `reason` names were dropped, for
                                  there were too many (ssl_log.burst) */
} ssl_log_event;

/** One record. All texts are good during the call, and none is NULL. */
typedef struct ssl_log_record {
    ssl_log_level level;
    ssl_log_event event;
    ssl_status status; /**< what failed, as a status; SALLY_OK where nothing did */
    int code;          /**< as ssl_error.code: the number of an alert, of a verification error */
    int sys_errno;     /**< as ssl_error.sys_errno */
    uint64_t count;    /**< of what, is told at the event; else 0 */
    const ssl_server *server; /**< NULL for what is of no server */
    const char *peer;         /**< "192.0.2.7:50122" or "unix:"; empty: nobody's */
    const char *name;         /**< of a context in a registry; else empty */
    const char *reason;       /**< of SALLY_LOG_REFUSED: a word, the same as in the metrics; of
                             SALLY_LOG_DROPPED: ssl_log_event_name; else empty */
    const char *text; /**< all of it as a sentence of up to SALLY_ERROR_TEXT_SIZE - 1 bytes, without
                                     control characters, whatever the peer sent */
    uint64_t reserved[8];
} ssl_log_record;

/**
 * Takes a record. It runs on the thread on which it happened: a worker, the server's timekeeper (then
 * deadlines wait for it), a thread in ssl_server_drain, a registry's watch. Several may be inside at once.
 * No lock of the library is held; it may call the library, and what that has to log meanwhile, on the
 * same thread, is dropped.
 */
typedef void (*ssl_logger)(const ssl_log_record *record, void *user);

/** Where records go. Start from SALLY_LOG. */
typedef struct ssl_log {
    ssl_logger call;     /**< NULL: nowhere */
    void *user;          /**< given to every call */
    ssl_log_level level; /**< records of this level and of those that matter more */
    int64_t burst;       /**< so many records of one event of a server may come at once; 0:
                              SALLY_LOG_BURST; SALLY_UNLIMITED: none is ever dropped */
    int64_t per_second;  /**< and then so many a second; 0: SALLY_LOG_PER_SECOND; SALLY_UNLIMITED:
                              none is ever dropped */
    uint64_t reserved[4];
} ssl_log;
/** What clients can cause, they can cause often: these bound what it costs to write it down. Each event has a limit
 *  of its own, so that no other one is lost for it. What was dropped is told, by SALLY_LOG_DROPPED, before the next
 *  record of that event and at the end of a drain. */
#define SALLY_LOG_BURST      100
#define SALLY_LOG_PER_SECOND 10
/** The most of either. */
#define SALLY_LOG_RATE_MAX   1000000
/* clang-format off */
#define SALLY_LOG {NULL, NULL, SALLY_LOG_INFO, 0, 0, {0}}
/* clang-format on */

/** Sets where a server's records go, before it is started; NULL: nowhere.
 *  Ownership: copies *log; borrows log->user until the server is freed. Threads: one.
 *  Errors: USAGE (server is NULL, a level that is none, a rate out of range, the server has been started).
 *  Keeps: W9. */
SALLY_API ssl_status ssl_server_set_log(ssl_server *server, const ssl_log *log, ssl_error *err);

/** Logs what came of a reload. It is made to be ssl_watch_options.report, with a `const ssl_log *` that
 *  lives as long as the watch as its `user`; log->burst does not count here. Threads: any. Keeps: W9, C5. */
SALLY_API void ssl_log_reload(const char *name, ssl_status status, const ssl_error *err, void *log);

/** The name of a level, as "warning". Never NULL. Threads: any. */
SALLY_API const char *ssl_log_level_name(ssl_log_level level);
/** The name of an event, as "handshake_failed". Never NULL. Threads: any. */
SALLY_API const char *ssl_log_event_name(ssl_log_event event);

/** Room for any record as a line. */
#define SALLY_LOG_LINE_SIZE 1536

/** A record as one line of words and values, without a newline, in `line` of `size` bytes, cut where it does
 *  not fit:
 *
 *      level=info event=handshake_failed status=PEER code=48 peer=192.0.2.7:50122 text="..."
 *
 *  What is empty or 0 is left out; in quotes, " and \ stand behind a \. Returns its length.
 *  Threads: any. Keeps: W9. */
SALLY_API size_t ssl_log_line(const ssl_log_record *record, char *line, size_t size);

#ifdef __cplusplus
}
#endif
#endif

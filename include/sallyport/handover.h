/*
 * sallyport/handover.h: a new process takes the listening sockets over, and no client is refused.
 *
 * The old process goes on serving until the new one (a new version of it, say) listens on the same sockets
 * and says that it serves. From then on both take clients from the same queue, and the old one drains. The new
 * one is started by the old one, with the sockets as its descriptors:
 *
 *     old: ssl_hand_over(&options, &pid, &err)  waits ...  OK: ssl_server_drain(...), exit
 *     new: ssl_inherited_fds, ssl_listen_fd, ssl_server_start, ssl_take_over
 *
 * or by somebody else, a deploy tool or a supervisor, and fetches them through a Unix socket:
 *
 *     old: ssl_offer_listeners(&options, &pid, &err)  waits ...  OK: ssl_server_drain(...), exit
 *     new: ssl_fetch_listeners, ssl_listen_fd, ssl_server_start, ssl_take_over
 *
 * When the new one fails to start, the old one goes on as if nothing had been tried.
 */
#ifndef SALLYPORT_HANDOVER_H
#define SALLYPORT_HANDOVER_H

#include <sys/types.h>

#include "inherit.h"
#include "listener.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The sockets that another process gets, each of them in service here and then there. Names are as in
 *  ssl_inherited.name, without ':'; NULL: there are none, and each is "unknown".
 *  Start from SALLY_HANDED_SOCKETS. */
typedef struct ssl_handed_sockets {
    ssl_listener *const *listeners;
    const char *const *names;    /**< of the listeners, one each */
    size_t count;                /**< of listeners */
    const int *fds;              /**< listening sockets of other kinds, behind those of listeners */
    const char *const *fd_names; /**< of the fds, one each */
    size_t fd_count;             /**< of fds */
    uint64_t reserved[2];
} ssl_handed_sockets;

/* clang-format off */
#define SALLY_HANDED_SOCKETS {NULL, NULL, 0, NULL, NULL, 0, {0}}
/* clang-format on */

/* ---- the new process is started by this one ------------------------------------------------- */

/** What takes over what. Start from SALLY_HAND_OVER_OPTIONS. */
typedef struct ssl_hand_over_options {
    const char *path;           /**< the program (execve(2): no search in PATH) */
    char *const *arguments;     /**< its words, the first is its name; NULL at the end */
    ssl_handed_sockets sockets; /**< for LISTEN_FDS, LISTEN_FDNAMES */
    int64_t timeout_ms;         /**< for the new process to be ready; negative: never */
    uint64_t reserved[4];
} ssl_hand_over_options;

#define SALLY_HAND_OVER_TIMEOUT_MS 30000
/* clang-format off */
#define SALLY_HAND_OVER_OPTIONS {NULL, NULL, SALLY_HANDED_SOCKETS, SALLY_HAND_OVER_TIMEOUT_MS, {0}}
/* clang-format on */

/**
 * Starts the program with the listening sockets as descriptors 3, 4, ..., each socket of each listener in
 * turn, then sockets.fds, and waits until it has called ssl_take_over. It gets the environment and the other
 * descriptors of this process that are not close-on-exec; LISTEN_PID and, where it is set, WATCHDOG_PID name it.
 * The file of a Unix socket is the new process's from then on: it is not removed here.
 * *pid (may be NULL): the new process; -1 where there is none, or none any more.
 * Blocks: until the program is ready, has failed, or options->timeout_ms have passed.
 * Ownership: borrows everything for the call; the listeners go on.
 * Threads: one, while none changes the environment.
 * Errors: SYSTEM (it cannot be started: the text says why), CONFIG (it ended, or closed the descriptor,
 *   before it was ready), TIMEOUT (*pid is the process: it may still become ready, unless you end it),
 *   CLOSED (a listener is closed), USAGE, MEMORY. Keeps: W8.
 */
SALLY_API ssl_status ssl_hand_over(const ssl_hand_over_options *options, pid_t *pid,
                                   ssl_error *err);
/** ssl_hand_over that `brk` can break. On break: *pid is the new process, as after TIMEOUT. */
SALLY_API ssl_status ssl_hand_over_enable_break(const ssl_hand_over_options *options,
                                                ssl_break *brk, pid_t *pid, ssl_error *err);

/* ---- the new process is started by somebody else -------------------------------------------- */

/** Is told of a process that came for the listeners and does not serve, and why; in the thread that offers. */
typedef void (*ssl_offer_failed)(const ssl_error *why, void *user);

/** What is offered where. Start from SALLY_OFFER_OPTIONS. */
typedef struct ssl_offer_options {
    const char *where; /**< "/path" of a Unix socket, or "@name" for an abstract one */
    ssl_handed_sockets sockets;
    int64_t timeout_ms;      /**< for a process to be ready, from its coming; negative: never */
    ssl_offer_failed failed; /**< may be NULL */
    void *user;              /**< given to `failed` */
    uint64_t reserved[4];
} ssl_offer_options;

/* clang-format off */
#define SALLY_OFFER_OPTIONS {NULL, SALLY_HANDED_SOCKETS, SALLY_HAND_OVER_TIMEOUT_MS, NULL, NULL, {0}}
/* clang-format on */

/** The most sockets that are offered together. */
#define SALLY_OFFERED_MAX 253

/**
 * Offers the listening sockets at options->where to processes of this one's user, or root's, and waits until
 * one that has fetched them has called ssl_take_over. One that leaves, is not ready in time or talks nonsense
 * is told of by options->failed, and the next one is served; of others nothing is told but that.
 * The file of the socket is made with mode 0600 (less what umask takes); its directory must be this process's
 * user's, or root's, and nobody else may write there. A file that a dead process of this user has left is
 * replaced; any other is not touched (SYSTEM, EADDRINUSE). When the call returns the file is gone, whatever
 * came of it; and before ssl_take_over returns in the other process, which may offer at the same place then.
 * On OK the files of the listeners' own Unix sockets are the new process's: they are not removed here.
 * *pid (may be NULL): the process that serves; 0 where it has no number here (pid_namespaces(7)); -1 on failure.
 * Blocks: until another process serves, without limit: a thread of its own is the place for it.
 * Ownership: borrows everything for the call; the listeners go on. They are used while a process is being
 *   served only; one that has been closed ends the call then.
 * Errors: SYSTEM (the socket cannot be made, a directory that others can write to: the text says why), LIMIT (more
 *   than SALLY_OFFERED_MAX sockets), CLOSED (a listener is closed), USAGE, MEMORY. Keeps: W8.
 */
SALLY_API ssl_status ssl_offer_listeners(const ssl_offer_options *options, pid_t *pid,
                                         ssl_error *err);
/** ssl_offer_listeners that `brk` can break. On break: nobody has taken over, and nothing is offered. */
SALLY_API ssl_status ssl_offer_listeners_enable_break(const ssl_offer_options *options,
                                                      ssl_break *brk, pid_t *pid, ssl_error *err);

/** How long ssl_fetch_listeners waits for the sockets, in milliseconds. */
#define SALLY_FETCH_TIMEOUT_MS 30000

/**
 * Fetches what another process offers at `where` ("/path" or "@name"), in `list`: as from ssl_inherited_fds, they are
 * close-on-exec, and named. How many there are is in *count; 0, and OK, when nobody offers anything there: no
 * file, or nobody behind it. The process must be of this one's user, or root's. All of them listen.
 * Then serve, and call ssl_take_over: the old process waits for it. If this process ends instead, or fetches once
 * more, the old one goes on as before.
 * Blocks: until the old process has given them, SALLY_FETCH_TIMEOUT_MS at most: it serves one at a time.
 * Ownership: the descriptors are the caller's, as those of open(2) are. On failure there are none.
 * Threads: any, one at a time.
 * Errors: SYSTEM (it is another user's: EPERM; no descriptor), TRUNCATED (the old process ended, or stopped
 *   offering), PROTOCOL (what came is no offer, or a descriptor does not listen), LIMIT (more than `room`, or more
 *   than this process may open), TIMEOUT, USAGE, MEMORY. Keeps: W8.
 */
SALLY_API ssl_status ssl_fetch_listeners(const char *where, ssl_inherited *list, size_t room,
                                         size_t *count, ssl_error *err);
/** ssl_fetch_listeners that `brk` can break. On break: nothing was fetched. */
SALLY_API ssl_status ssl_fetch_listeners_enable_break(const char *where, ssl_break *brk,
                                                      ssl_inherited *list, size_t room,
                                                      size_t *count, ssl_error *err);

/* ---- the new process, however it was started ------------------------------------------------ */

/** How long ssl_take_over waits for the old process's answer, in milliseconds. */
#define SALLY_TAKE_OVER_TIMEOUT_MS 10000

/**
 * Tells the process whose listeners this one got that they are served here: it drains then. Once;
 * a second call, and a process that nobody handed anything to, get UNSUPPORTED, which is no reason to stop. After a
 * failure of any other kind both processes may serve, which no client notices.
 * Blocks: after ssl_fetch_listeners, until the old process has answered, SALLY_TAKE_OVER_TIMEOUT_MS at most; it
 *   does so at once. Threads: one, while none uses the environment.
 * Errors: UNSUPPORTED, CONFIG (SALLYPORT_READY_FD makes no sense), SYSTEM and TRUNCATED (the old process is
 *   gone, or has given up waiting), TIMEOUT. Keeps: W8.
 */
SALLY_API ssl_status ssl_take_over(ssl_error *err);
/** ssl_take_over that `brk` can break. On break: the same as after a failure; with a break that is pending
 *  already the old process is not told, and goes on. */
SALLY_API ssl_status ssl_take_over_enable_break(ssl_break *brk, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

/*
 * sallyport/handover.h: a new process takes the listening sockets over, and no client is refused.
 *
 * The old process starts the program anew (a new version of it, say) with its listening sockets, and goes on
 * serving. The new one listens on them (inherit.h) and says that it serves. From then on both take
 * clients from the same queue, and the old one drains:
 *
 *     old: ssl_hand_over(&options, &pid, &err)  waits ...  OK: ssl_server_drain(...), exit
 *     new: ssl_inherited_fds, ssl_listen_fd, ssl_server_start, ssl_take_over
 *
 * When the new one fails to start, the old one goes on as if nothing had been tried.
 */
#ifndef SALLYPORT_HANDOVER_H
#define SALLYPORT_HANDOVER_H

#include <sys/types.h>

#include "listener.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What takes over what. Start from SALLY_HAND_OVER_OPTIONS. */
typedef struct ssl_hand_over_options {
    const char *path;               /**< the program (execve(2): no search in PATH) */
    char *const *arguments;         /**< its words, the first is its name; NULL at the end */
    ssl_listener *const *listeners; /**< each of them in service, here and then there */
    const char *const *names;       /**< for LISTEN_FDNAMES, one each, without ':'; NULL: none */
    size_t count;                   /**< of listeners */
    int64_t timeout_ms;             /**< for the new process to be ready; negative: never */
    uint64_t reserved[4];
} ssl_hand_over_options;

#define SALLY_HAND_OVER_TIMEOUT_MS 30000
/* clang-format off */
#define SALLY_HAND_OVER_OPTIONS {NULL, NULL, NULL, NULL, 0, SALLY_HAND_OVER_TIMEOUT_MS, {0}}
/* clang-format on */

/**
 * Starts the program with the listening sockets as descriptors 3, 4, ..., each socket of each listener in
 * turn, and waits until it has called ssl_take_over. It gets the environment and the other descriptors of
 * this process that are not close-on-exec; LISTEN_PID and, where it is set, WATCHDOG_PID name it.
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

/**
 * Tells the process that handed its listeners to this one that they are served here: it drains then. Once;
 * a second call, and a process that nobody handed anything to, get UNSUPPORTED, which is no reason to stop.
 * Never blocks. Threads: one, while none uses the environment.
 * Errors: UNSUPPORTED, CONFIG (SALLYPORT_READY_FD makes no sense), SYSTEM (the old process is gone).
 *   Keeps: W8.
 */
SALLY_API ssl_status ssl_take_over(ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

/* L6 ends: the listener behind ssl_listen, ssl_accept and ssl_sync (L1, L2).
 *
 * Whoever polls the listening fds is a user of the listener, between enter and leave; the fds are
 * closed by the last user out after ssl_close (B7).
 *
 * A thread that waits for the listener has a watch: its pollfds and its place among those who can be
 * woken. A watch shows the handshakes and the earliest deadline of the moment at which it began. So
 * whoever leaves wakes one of the others, who then looks anew: nothing is left unwatched.
 */
#ifndef SALLY_LISTENER_H
#define SALLY_LISTENER_H

#include "handshakes.h"
#include "resolve.h"
#include "sallyport/listener.h"
#include "sync.h"
#include "unix_file.h"

#define SALLY_LISTENER_FDS_MAX SALLY_RESOLVE_MAX

struct ssl_listener {
    /* constant: */
    int fds[SALLY_LISTENER_FDS_MAX];
    int fd_count;
    sally_front front; /* retained */
    int64_t handshake_timeout_ms;
    size_t pending_max;
    sally_addr local;          /* of the first fd */
    sally_unix_file unix_file; /* that the socket made; given up by a user of the listener */

    sally_mutex lock; /* SALLY_RANK_LISTENER */
    /* lock: */
    bool closed;
    int users;
    sally_node watches; /* of the threads that sleep, or are about to */
    sally_handshakes handshakes;
};

/* ---- for all users ------------------------------------------------------------------------- */

/* False when it is closed; else the fds stay open until the caller leaves. */
bool sally_listener_enter(ssl_listener *l);
void sally_listener_leave(ssl_listener *l);

/* ---- for the server (L7), which accepts from the fds itself ---------------------------------- */

/* Copies the fds to an array of SALLY_LISTENER_FDS_MAX, returns how many; 0 when it is closed. Whoever
 * uses them has entered. */
int sally_listener_fds(ssl_listener *l, int *fds);
/* Borrowed. */
const sally_front *sally_listener_front(const ssl_listener *l);

/* ---- in listener_make.c -------------------------------------------------------------------- */

/* What a listener is made from. */
typedef struct sally_listener_setup {
    const ssl_listen_options *options; /* not NULL */
    ssl_context *context;
    const char *call; /* for error texts */
} sally_listener_setup;

/* USAGE or CONFIG, before anything is made or opened. */
ssl_status sally_listener_check(const sally_listener_setup *setup, ssl_error *err);
/* A listener without sockets, from a setup that was checked. */
ssl_status sally_listener_make(const sally_listener_setup *setup, ssl_listener **listener,
                               ssl_error *err);
/* Frees one that got no socket. */
void sally_listener_discard(ssl_listener *l);

/* ---- in listener_fd.c, for whoever takes a socket that listens already ------------------------ */

/* Looks at it, and changes nothing: USAGE in the name of `call`; its address. */
ssl_status sally_listener_check_fd(const char *call, int fd, sally_addr *local, ssl_error *err);

/* ---- in listener_open.c -------------------------------------------------------------------- */

/* The file of a Unix socket is somebody else's from now on, and is not removed. */
void sally_listener_leave_file(ssl_listener *l);
/* Closes the listening fds, and removes the file of a Unix socket. */
void sally_listener_close_fds(ssl_listener *l);

/* ---- for those who wait: ssl_accept and ssl_sync ------------------------------------------- */

#define SALLY_POLLFDS_FEW (SALLY_LISTENER_FDS_MAX + 1 + SALLY_WAIT_SPARE)

/* Pollfds of one wait, with the spare ones that sally_wait_run wants; on the heap when many. */
typedef struct sally_pollfds {
    struct pollfd few[SALLY_POLLFDS_FEW];
    struct pollfd *fds;
    int count;
    int capacity;
} sally_pollfds;

void sally_pollfds_init(sally_pollfds *p);
void sally_pollfds_fini(sally_pollfds *p);
/* Makes sure of room for `n` more, the spare ones not counted. False: no memory. */
bool sally_pollfds_make_room(sally_pollfds *p, int n);
/* Sleeps on them, for `self`, and within the scope; `phase` is for the error. OK when something is ready, when the thread was
 * woken, and when `deadline` has passed, which is some handshake's. */
ssl_status sally_pollfds_sleep(sally_pollfds *p, const sally_wake *self, const sally_scope *scope,
                               ssl_deadline deadline, ssl_phase phase, ssl_error *err);

typedef struct sally_watch {
    ssl_listener *listener;
    const sally_wake *self; /* the thread's */
    sally_node node;        /* lock; in `watches` while begun */
    int first;              /* of its pollfds: the listening ones */
    int middle;             /* those of the handshakes */
    int end;
} sally_watch;

/* Adds what the listener waits for, and lowers *deadline to the earliest of its handshakes. A full set
 * of handshakes leaves clients in the backlog: then the listening fds are left out, unless `all`.
 * False: no memory. Otherwise end it before the thread does anything else. */
bool sally_watch_begin_locked(sally_watch *w, bool all, sally_pollfds *p, ssl_deadline *deadline);
void sally_watch_end(sally_watch *w);
/* After the wait: which of the two is ready. */
bool sally_watch_sees_client(const sally_watch *w, const sally_pollfds *p);
bool sally_watch_sees_handshake(const sally_watch *w, const sally_pollfds *p);

/* Carries one handshake on by one step. The handshake, out of the set, if that finished it (or failed);
 * NULL: none did. A proxy that went without a client is dropped here and leaves no trace. */
sally_handshake *sally_listener_drive(ssl_listener *l);

#endif

/* L5 ports: a port as one of several things that a thread waits for (L1). */
#ifndef SALLY_PORT_WATCH_H
#define SALLY_PORT_WATCH_H

#include "conn.h"

/* Pollfds of one port: a transport may have one for each direction, and a server's token its wake. */
#define SALLY_PORT_WATCH_FDS 3

/* Goes inside as a reader, or a writer, does, so that until it leaves nobody else can (P1) and the
 * connection stays. CLOSED: the door is closed, and there is nothing to leave. USAGE: another thread is
 * inside. */
ssl_status sally_port_watch_enter(ssl_port *port, const char *call, ssl_error *err);
void sally_port_watch_leave(ssl_port *port);

/* BREAK when the token of the server that serves the port has been broken (B9). */
ssl_status sally_port_watch_check(const ssl_port *port, const char *call, ssl_error *err);

/* Whether it is ready, from what has been received so far; takes no system call where that is no part of
 * a record, and nothing is unsent. If not, `self` is raised from now on when it may be, and *count
 * pollfds say what to poll for: end it before the thread does anything else. */
bool sally_port_watch_begin(ssl_port *port, const sally_wake *self, struct pollfd *fds, int *count);
/* Takes `self` back; `fds` are those of begin, after the wait. */
void sally_port_watch_end(ssl_port *port, const struct pollfd *fds, int count);
/* One look into the transport, for when poll has seen something. */
bool sally_port_watch_look(ssl_port *port);

#endif

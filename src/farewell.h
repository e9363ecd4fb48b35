/* L5 ports: transports of wrapped connections on their way out (P4, P7).
 *
 * What was accepted and is unsent when both ports are closed still goes out, if the original takes it
 * within SALLY_CLOSE_TIMEOUT_MS. Sockets of ours wait for that on the linger thread (linger.c); an
 * original may have a way to wait of its own, so here each gets a thread, which is rare: a port that was
 * closed with OK leaves nothing.
 */
#ifndef SALLY_FAREWELL_H
#define SALLY_FAREWELL_H

#include "transport.h"

/* How many at once; what comes beyond is dropped. */
#define SALLY_FAREWELL_MAX 64

/* A sally_transport.depart. */
bool sally_farewell(sally_transport *t);

#endif

/* L7 service: where clients come in: one listening socket of a server, as a task. */
#ifndef SALLY_GATE_H
#define SALLY_GATE_H

#include "engine.h"
#include "server.h"

/* What a gate waits for, when not for clients. */
typedef enum sally_gate_lack {
    SALLY_LACKS_NOTHING,
    SALLY_LACKS_PLACE,   /* the server is full */
    SALLY_LACKS_RESOURCE /* a descriptor or memory (W5) */
} sally_gate_lack;

typedef struct sally_gate {
    /* constant */
    ssl_server *server;
    const sally_front *front; /* the listener's */
    int fd;                   /* the listener's */
    sally_node node;          /* server->gates */
    /* the server's lock */
    sally_task *task; /* NULL: closed */
    sally_gate_lack lack;
} sally_gate;

/* Makes a gate and puts it into server->gates, closed to clients still. Errors: MEMORY. */
ssl_status sally_gate_new(ssl_server *server, const sally_front *front, int fd, ssl_error *err);
void sally_gate_free(sally_gate *gate);
/* Closes a gate that is not in the park. */
void sally_gate_discard(sally_gate *gate);

/* Lets clients in. 0 or an errno. */
int sally_gate_open(sally_gate *gate);
/* Takes an open gate out of the park, as it was before it was opened. */
void sally_gate_withdraw(sally_gate *gate);
/* Lock held: a gate that waits for something up to `most` looks again. */
void sally_gate_retry_locked(sally_gate *gate, sally_gate_lack most);
/* Closes the gate of a server that drains, unless a worker has it, who will close it then. With
 * `sweep` the clients that wait in the backlog come in first. */
void sally_gate_close(sally_gate *gate, bool sweep);

#endif

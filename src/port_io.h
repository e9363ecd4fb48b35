/* L5 ports: what the files of the reading and the writing calls lend to those that are made of both:
 * copy, printf, FILE.
 */
#ifndef SALLY_PORT_IO_H
#define SALLY_PORT_IO_H

#include "conn.h"

/* Steps (sally_op.step), lock held. Until there is something in conn->plain. */
sally_step sally_step_fill(sally_conn *conn, sally_op *op, sally_want *want);
/* All of op->bytes accepted and its ciphertext gone. */
sally_step sally_step_write_all(sally_conn *conn, sally_op *op, sally_want *want);

/* What a caller of ssl_write says besides the bytes. */
typedef struct sally_write {
    const char *call; /* for error texts */
    sally_how how;
    size_t *done; /* may be NULL */
} sally_write;

/* ssl_write under another call's name. */
ssl_status sally_port_write(ssl_port *out, const void *bytes, size_t n, const sally_write *write,
                            ssl_error *err);

#endif

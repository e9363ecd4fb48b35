/* L5 ports: another connection as a transport: TLS in TLS (P7). */
#ifndef SALLY_TRANSPORT_PORT_H
#define SALLY_TRANSPORT_PORT_H

#include "conn.h"

typedef struct sally_port_setup {
    ssl_ports ports; /* both of one connection */
    bool close_original;
    const char *call; /* the public call, for error texts */
} sally_port_setup;

/* Claims the connection below: its ports give USAGE from now on, to all but this transport. Errors: CLOSED (a
 * port of it), USAGE (busy, or carrying another one), MEMORY. */
ssl_status sally_transport_port_new(const sally_port_setup *setup, sally_transport **t,
                                    ssl_error *err);

#endif

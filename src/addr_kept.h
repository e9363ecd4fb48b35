/* L2 net: a socket address that is kept for long: in 32 bytes, where it is one of IP. */
#ifndef SALLY_ADDR_KEPT_H
#define SALLY_ADDR_KEPT_H

#include "addr.h"

/* Room for a struct sockaddr_in6. */
#define SALLY_ADDR_KEPT_ROOM 28

/* All zero: no address. */
typedef struct sally_addr_kept {
    socklen_t length;
    unsigned char bytes[SALLY_ADDR_KEPT_ROOM]; /* the address; a longer one: where it is */
} sally_addr_kept;

/* In the place of what was kept before. False, and nothing has changed: no memory. */
bool sally_addr_keep(sally_addr_kept *kept, const sally_addr *addr);
void sally_addr_recall(const sally_addr_kept *kept, sally_addr *addr);
void sally_addr_kept_fini(sally_addr_kept *kept);

#endif

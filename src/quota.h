/* L7 service: how many clients each address has, and whether it may have one more (W4). All addresses of
 * an IPv6 network of 64 bits count as one. */
#ifndef SALLY_QUOTA_H
#define SALLY_QUOTA_H

#include <stdint.h>

#include "addr.h"

typedef struct sally_quota sally_quota;
/* An address that has clients. */
typedef struct sally_resident sally_resident;

/* At most `most` clients for an address; NULL without memory. */
sally_quota *sally_quota_new(int64_t most);
/* When no address has clients any more. NULL is fine. */
void sally_quota_free(sally_quota *quota);

/* One more client for the host of `addr`, in *resident, to be given back. 0; EDQUOT: it has as many as it
 * may; ENOMEM. Where there is no quota (NULL), or no host (Unix sockets), 0 and *resident is NULL. */
int sally_quota_take(sally_quota *quota, const sally_addr *addr, sally_resident **resident);
/* NULL is fine. */
void sally_quota_give(sally_quota *quota, sally_resident *resident);

#endif

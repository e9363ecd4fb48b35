/* L5 ports: connections on their way out (P4).
 *
 * A close that finds unread input makes the kernel send a reset, which destroys what the peer has not
 * read yet: an alert, the last echo. So a retired socket first sends what is unsent, shuts its
 * sending side down, and drains its input for a short bounded time, on one helper thread of the
 * process that exists only while there is something to do. A socket whose peer is known to be done is
 * closed at once.
 */
#ifndef SALLY_LINGER_H
#define SALLY_LINGER_H

#include <stdint.h>

#include "buf.h"

/* How long a socket may linger, in milliseconds, when nobody says otherwise. */
#define SALLY_LINGER_MS  2000
/* How many may linger at once; beyond it a socket is closed as it is. */
#define SALLY_LINGER_MAX 1024

/* A sally_sock_retire: takes the fd and empties *unsent. Never blocks, cannot fail. */
void sally_linger_retire(int fd, sally_buf *unsent, bool peer_done, int64_t linger_ms);
/* How many linger now. */
size_t sally_linger_count(void);

#endif

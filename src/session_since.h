/* L3 crypto: since when a session lasts (C6). */
#ifndef SALLY_SESSION_SINCE_H
#define SALLY_SESSION_SINCE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/* Notes in a session when its full handshake was, unless it is noted already. False when out of memory. */
bool sally_since_note(SSL_SESSION *session);
/* Whether that is at most so many seconds ago. False for a session without the note. */
bool sally_since_is_within(SSL_SESSION *session, int64_t lifetime_s);

/* A server's SSL_CTX: its tickets have the note, and are taken for SALLY_TICKET_LIFETIME_S. */
bool sally_since_configure(SSL_CTX *ctx);

#endif

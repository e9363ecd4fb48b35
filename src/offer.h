/* L6 ends: what a process that offers listening sockets and one that fetches them say to each other (W8).
 *
 * They have a connection of records. It begins with what is offered:
 *
 *     old: one record: SALLY_OFFER_MAGIC, then the names with ':' between them; and the descriptors
 *     new: SALLY_OFFER_SERVING, from ssl_take_over
 *     old: SALLY_OFFER_LEFT, when nothing is offered any more
 *
 * Whoever closes the connection before its last word has not taken part, and nothing has happened.
 */
#ifndef SALLY_OFFER_H
#define SALLY_OFFER_H

#include <sys/types.h>

#include "addr.h"
#include "break.h"
#include "sallyport/handover.h"

/* The number is that of the protocol. */
#define SALLY_OFFER_MAGIC     "sallyport-offer-1\n"
/* The most bytes of the first record. */
#define SALLY_OFFER_BYTES_MAX 65536
#define SALLY_OFFER_SERVING   'S'
#define SALLY_OFFER_LEFT      'L'

/* Where to; USAGE in the name of `call`. */
ssl_status sally_offer_find(const char *call, const char *where, sally_addr *addr, ssl_error *err);
/* Who is at the other end, in *pid; SYSTEM (EPERM) unless it is this process's user or root. */
ssl_status sally_offer_check_peer(const char *call, int fd, pid_t *pid, ssl_error *err);
/* Where the names begin of a first record, behind whose `length` bytes is a NUL, that came with so many
 * descriptors; NULL: it is none, and *why says why. */
const char *sally_offer_names(const char *record, size_t length, int fd_count, const char **why);
/* Waits for one of the words above. PROTOCOL, TRUNCATED (the other end is gone), and what the scope
 * says. */
ssl_status sally_offer_hear(const char *call, int fd, char word, const sally_scope *scope,
                            ssl_error *err);
/* 0 or an errno. */
int sally_offer_say(int fd, char word);

/* take_over.c: whom ssl_take_over tells; takes the connection. */
void sally_take_over_later(int fd);

#endif

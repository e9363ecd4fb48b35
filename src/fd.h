/* L2 net: descriptors of the user's, borrowed as they are: sockets, pipes, terminals (P7).
 *
 * A borrowed descriptor does not block: sockets because sock.c says so in each call, others because
 * O_NONBLOCK is set for the time of the loan. fd.c alone reads and writes what is no socket.
 */
#ifndef SALLY_FD_H
#define SALLY_FD_H

#include <stdbool.h>
#include <stddef.h>

#include "transport.h"

typedef struct sally_fd {
    int number;
    bool is_socket;
    bool was_blocking; /* O_NONBLOCK is set by us, and goes again */
    bool was_delaying; /* TCP_NODELAY likewise */
} sally_fd;

bool sally_fd_is_open(int number);
/* Looks at it, and changes nothing. 0 or an errno: EBADF (not open), EACCES (not open in that
 * direction), EPROTOTYPE (a socket, but no stream). Whoever borrows two looks at both first: they may
 * share one open file description, and with it its flags. */
int sally_fd_look(int number, bool for_writing, sally_fd *fd);
/* 0 or an errno, and nothing is changed then. */
int sally_fd_borrow(const sally_fd *fd);
void sally_fd_give_back(const sally_fd *fd);

/* As sally_sock_receive and sally_sock_send. A write to a pipe without a reader raises no signal. */
sally_io sally_fd_receive(const sally_fd *fd, void *buf, size_t n, size_t *count, int *sys_errno);
sally_io sally_fd_send(const sally_fd *fd, const void *buf, size_t n, size_t *count,
                       int *sys_errno);

/* One that was handed to us and is ours from now on: non-blocking, close-on-exec. 0 or an errno; EBADF: it
 * is not open. */
int sally_fd_adopt(int number);
int sally_fd_set_cloexec(int number);

/* Another number for the same open file, -1 when there is none. */
int sally_fd_duplicate(int number);
/* The same, greater than `number_below`. */
int sally_fd_duplicate_above(int number, int number_below);
void sally_fd_close(int number);

#ifdef SALLY_TESTING
/* Lets the nth fcntl, read or write from now fail with `err` in the calling thread; 0 stops. */
void sally_fd_fail_at(long nth, int err);
/* Such calls made by the calling thread since sally_fd_fail_at. */
long sally_fd_count(void);
#endif

#endif

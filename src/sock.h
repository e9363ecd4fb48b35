/* L2 net: the only maker of socket calls. Every socket is non-blocking and CLOEXEC; sends carry
 * MSG_NOSIGNAL, so that SIGPIPE dies here (E3). Functions return an errno, 0 for done, unless said. */
#ifndef SALLY_SOCK_H
#define SALLY_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "addr.h"
#include "transport.h"

int sally_sock_open(int family, int *fd);
int sally_sock_open_datagram(int family, int *fd);
/* EINPROGRESS: wait for POLLOUT, then sally_sock_connect_result. EAGAIN: the backlog of a Unix
 * socket is full. */
int sally_sock_connect(int fd, const sally_addr *addr);
int sally_sock_connect_result(int fd);

typedef struct sally_sock_listen {
    int backlog;
    bool reuse;   /* SO_REUSEADDR */
    bool v6_only; /* false: IPv4 clients too, where the address is the IPv6 wildcard */
} sally_sock_listen;
/* A Unix socket's file that already exists is not removed: EADDRINUSE. */
int sally_sock_listen_on(const sally_addr *addr, const sally_sock_listen *how, int *fd);

/* Takes one connection; its address in *peer. The new socket has TCP_NODELAY (P6), inherited from
 * the listening one. EAGAIN: none. Clients that vanished in the queue are skipped; EMFILE, ENFILE and
 * ENOBUFS come through. */
int sally_sock_accept(int listen_fd, int *fd, sally_addr *peer);

/* `n` is at least 1. *sys_errno is written with SALLY_IO_FAILED only. */
sally_io sally_sock_receive(int fd, void *buf, size_t n, size_t *count, int *sys_errno);
/* The same, and the bytes stay where they are. */
sally_io sally_sock_peek(int fd, void *buf, size_t n, size_t *count, int *sys_errno);
sally_io sally_sock_send(int fd, const void *buf, size_t n, size_t *count, int *sys_errno);
void sally_sock_shut_send(int fd);
/* Its close will be a reset (RST) that drops what is unsent. */
void sally_sock_reset_when_closed(int fd);
void sally_sock_no_delay(int fd);
/* Whether it is a TCP socket with TCP_NODELAY off; sally_sock_delay puts it off again. */
bool sally_sock_delays(int fd);
void sally_sock_delay(int fd);
/* SOCK_STREAM...; ENOTSOCK: no socket. */
int sally_sock_type(int fd, int *type);
int sally_sock_is_listening(int fd, bool *listening);
int sally_sock_local(int fd, sally_addr *addr);
int sally_sock_remote(int fd, sally_addr *addr);

/* Unix sockets of records (SOCK_SEQPACKET), over which processes of one machine pass descriptors. */
int sally_sock_open_records(int family, int *fd);
/* Its file, where it has one, is its owner's alone (0600) from the first moment on. A file that is there
 * already: EADDRINUSE. */
int sally_sock_listen_private(int fd, const sally_addr *addr, int backlog);
/* The process at the other end and its user, as they were when it connected or listened. */
int sally_sock_peer(int fd, pid_t *pid, uid_t *user);

/* The most descriptors of one record (SCM_MAX_FD of the kernel). */
#define SALLY_PARCEL_FDS_MAX 253
/* A record with descriptors. */
typedef struct sally_parcel {
    char *bytes;
    size_t length; /* to receive: the room; then what came */
    int fds[SALLY_PARCEL_FDS_MAX];
    int fd_count;
    bool cut; /* received: there was more of either than there was room for */
} sally_parcel;
/* Whole or not at all. *sys_errno is written with SALLY_IO_FAILED only. */
sally_io sally_sock_send_parcel(int fd, const sally_parcel *parcel, int *sys_errno);
/* The descriptors are close-on-exec and the caller's, those of a cut parcel too; none but with
 * SALLY_IO_DONE. */
sally_io sally_sock_receive_parcel(int fd, sally_parcel *parcel, int *sys_errno);

/* Closes exactly once; EINTR does not close again. */
void sally_sock_close(int fd);

/* transport_sock.c: takes the fd over on success; NULL when out of memory. On finish the fd goes to
 * `retire`, which the layer above gives (linger.c), with the bytes that are still to be sent; what
 * it leaves in *unsent is dropped. `linger_ms` is how long it may take; negative: no limit; 0: as retire
 * likes. */
typedef void (*sally_sock_retire)(int fd, sally_buf *unsent, bool peer_done, int64_t linger_ms);
sally_transport *sally_transport_sock_new(int fd, sally_sock_retire retire);
/* Another `retire` for a transport made by sally_transport_sock_new; before its end, by its owner. */
void sally_transport_sock_set_retire(sally_transport *t, sally_sock_retire retire);
/* ... and what it is told; 0 until then. */
void sally_transport_sock_set_linger(sally_transport *t, int64_t linger_ms);
/* The fd behind a transport made by sally_transport_sock_new, -1 for any other kind. */
int sally_transport_sock_fd(const sally_transport *t);

#ifdef SALLY_TESTING
/* Lets the nth socket call from now fail with `err` in the calling thread; 0 stops. */
void sally_sock_fail_at(long nth, int err);
/* Socket calls that can fail, made by the calling thread since sally_sock_fail_at. */
long sally_sock_count(void);
#endif

#endif

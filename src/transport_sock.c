/* L2 net: a connected socket as a transport.
 *
 * The transport owns its fd from sally_transport_sock_new until finish, which hands the fd to the
 * `retire` function of the layer above and frees the transport. Between the two nobody else closes
 * or shuts down the fd (B7).
 *
 * No locks: whoever holds the connection's lock calls in here.
 */
#include "mem.h"
#include "sock.h"

#include <poll.h>

typedef struct sock_transport {
    sally_transport base; /* first: a sally_transport * of this kind points here */
    int fd;
    sally_sock_retire retire;
    int64_t linger_ms;
} sock_transport;

static sally_io receive_sock(sally_transport *t, void *buf, size_t n, size_t *count)
{
    return sally_sock_receive(((sock_transport *)t)->fd, buf, n, count, &t->sys_errno);
}

static sally_io send_sock(sally_transport *t, const void *buf, size_t n, size_t *count)
{
    return sally_sock_send(((sock_transport *)t)->fd, buf, n, count, &t->sys_errno);
}

static int wait_fd_sock(sally_transport *t, sally_direction direction, short *events)
{
    *events = direction == SALLY_SEND ? POLLOUT : POLLIN;
    return ((sock_transport *)t)->fd;
}

static void finish_sock(sally_transport *t, sally_buf *unsent, bool peer_done)
{
    sock_transport sock = *(sock_transport *)t;
    sally_free(t);
    sock.retire(sock.fd, unsent, peer_done, sock.linger_ms);
    sally_buf_fini(unsent);
}

static int address_sock(sally_transport *t, bool remote, sally_addr *addr)
{
    int fd = ((sock_transport *)t)->fd;
    return remote ? sally_sock_remote(fd, addr) : sally_sock_local(fd, addr);
}

static const sally_transport_ops sock_ops = {
    .receive = receive_sock,
    .send = send_sock,
    .wait_fd = wait_fd_sock,
    .finish = finish_sock,
    .address = address_sock,
};

sally_transport *sally_transport_sock_new(int fd, sally_sock_retire retire)
{
    sock_transport *t = sally_alloc(sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->base.ops = &sock_ops;
    t->fd = fd;
    t->retire = retire;
    return &t->base;
}

void sally_transport_sock_set_retire(sally_transport *t, sally_sock_retire retire)
{
    ((sock_transport *)t)->retire = retire;
}

void sally_transport_sock_set_linger(sally_transport *t, int64_t linger_ms)
{
    ((sock_transport *)t)->linger_ms = linger_ms;
}

int sally_transport_sock_fd(const sally_transport *t)
{
    return t->ops == &sock_ops ? ((const sock_transport *)t)->fd : -1;
}

#include "support/wrapped.h"

#include <cerrno>
#include <climits>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{

// ---- ends ----------------------------------------------------------------------------------------

std::pair<Fd, Fd> tcp_ends()
{
    RawListener listener;
    Fd client = connect_to(listener.port());
    Fd server = listener.accept();
    for (int fd : {client.get(), server.get()}) {
        EXPECT_EQ(0, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK));
    }
    return {std::move(client), std::move(server)};
}

std::pair<Fd, Fd> socketpair_ends()
{
    int fds[2] = {-1, -1};
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    return {Fd(fds[0]), Fd(fds[1])};
}

std::pair<Fd, Fd> pipe_ends()
{
    int fds[2] = {-1, -1};
    EXPECT_EQ(0, pipe2(fds, O_CLOEXEC));
    return {Fd(fds[0]), Fd(fds[1])};
}

// ---- callbacks -----------------------------------------------------------------------------------

std::atomic<int> SocketCallbacks::closes{0};
std::atomic<int> SocketCallbacks::releases{0};

SocketCallbacks::SocketCallbacks(Fd fd, Waits waits) : fd_(std::move(fd)), waits_(waits) {}

ssl_callbacks SocketCallbacks::callbacks()
{
    ssl_callbacks made = {};
    made.read = read;
    made.write = write;
    made.wait = waits_ == ByThemselves ? wait : nullptr;
    made.close = close;
    made.release = release;
    made.user = this;
    return made;
}

namespace
{

ssl_io result_of(ssize_t count, int fd, short events, ssl_io_result *result)
{
    if (count > 0) {
        result->count = static_cast<size_t>(count);
        return SALLY_IO_DONE;
    }
    if (count == 0) {
        return SALLY_IO_END;
    }
    if (errno == EAGAIN || errno == EINTR) {
        result->fd = fd;
        result->events = events;
        return SALLY_IO_WOULD_BLOCK;
    }
    result->sys_errno = errno;
    return SALLY_IO_FAILED;
}

} // namespace

ssl_io SocketCallbacks::read(void *user, void *buf, size_t n, ssl_io_result *result)
{
    int fd = static_cast<SocketCallbacks *>(user)->fd_.get();
    return result_of(recv(fd, buf, n, MSG_DONTWAIT), fd, POLLIN, result);
}

ssl_io SocketCallbacks::write(void *user, const void *buf, size_t n, ssl_io_result *result)
{
    int fd = static_cast<SocketCallbacks *>(user)->fd_.get();
    return result_of(send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL), fd, POLLOUT, result);
}

int SocketCallbacks::wait(void *user, const ssl_io_wait *what)
{
    int events = (what->for_read ? POLLIN : 0) | (what->for_write ? POLLOUT : 0);
    std::vector<pollfd> fds(what->wakes, what->wakes + what->wake_count);
    fds.push_back({static_cast<SocketCallbacks *>(user)->fd_.get(), static_cast<short>(events), 0});
    int64_t left = (what->deadline.monotonic_ns - ssl_deadline_after_ms(0).monotonic_ns) / 1000000;
    bool never = what->deadline.monotonic_ns == INT64_MAX;
    int ms =
        never ? -1 : static_cast<int>(std::min<int64_t>(std::max<int64_t>(left + 1, 0), INT_MAX));
    return poll(fds.data(), fds.size(), ms) < 0 && errno != EINTR ? errno : 0;
}

void SocketCallbacks::close(void *user)
{
    static_cast<SocketCallbacks *>(user)->fd_.close();
    closes++;
}

void SocketCallbacks::release(void *user)
{
    delete static_cast<SocketCallbacks *>(user);
    releases++;
}

// ---- wrapping ------------------------------------------------------------------------------------

ssl_wrap_options wrap_options(bool client, ssl_context *context)
{
    ssl_wrap_options options = SALLY_WRAP_OPTIONS;
    options.mode = client ? SALLY_WRAP_CONNECT : SALLY_WRAP_ACCEPT;
    options.hostname = client ? "localhost" : nullptr;
    options.context = context;
    options.timeout_ms = slow(20000);
    return options;
}

Ports wrap_end(const ssl_transport &over, bool client, bool close_original, ssl_protocol protocol)
{
    Context context = client ? client_context(protocol) : server_context("server", protocol);
    ssl_wrap_options options = wrap_options(client, context.get());
    options.close_original = close_original;
    Ports ports;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_wrap_ports(&over, &options, ports.fill(), &err), err));
    return ports;
}

Pair wrap_both(const ssl_transport &client, const ssl_transport &server, bool close_original)
{
    Pair pair;
    Thread connector([&] { pair.client = wrap_end(client, true, close_original); });
    pair.server = wrap_end(server, false, close_original);
    connector.join();
    return pair;
}

namespace
{

Pair wrap_sockets(std::pair<Fd, Fd> ends)
{
    int a = ends.first.release();
    int b = ends.second.release();
    return wrap_both(ssl_transport_fds(a, a), ssl_transport_fds(b, b));
}

} // namespace

Pair wrapped_tcp_pair()
{
    return wrap_sockets(tcp_ends());
}

Pair wrapped_socketpair()
{
    return wrap_sockets(socketpair_ends());
}

Pair wrapped_pipes()
{
    auto up = pipe_ends();
    auto down = pipe_ends();
    return wrap_both(ssl_transport_fds(down.first.release(), up.second.release()),
                     ssl_transport_fds(up.first.release(), down.second.release()));
}

Pair wrapped_callbacks(SocketCallbacks::Waits waits)
{
    auto ends = socketpair_ends();
    ssl_callbacks client = (new SocketCallbacks(std::move(ends.first), waits))->callbacks();
    ssl_callbacks server = (new SocketCallbacks(std::move(ends.second), waits))->callbacks();
    return wrap_both(ssl_transport_callbacks(&client), ssl_transport_callbacks(&server));
}

Pair wrapped_over(Pair below, bool close_original)
{
    ssl_transport client = ssl_transport_ports({below.client.in(), below.client.out()});
    ssl_transport server = ssl_transport_ports({below.server.in(), below.server.out()});
    Pair pair = wrap_both(client, server, close_original);
    pair.below = std::make_shared<Pair>(std::move(below));
    return pair;
}

Pair wrapped_ports(int depth)
{
    return depth == 0 ? wrapped_socketpair() : wrapped_over(wrapped_ports(depth - 1));
}

} // namespace sallytest

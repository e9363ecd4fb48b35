// Connected pairs of wrapped ports (ssl_wrap_ports), over each kind of transport.
#ifndef SALLY_TEST_WRAPPED_H
#define SALLY_TEST_WRAPPED_H

#include <atomic>
#include <utility>

#include "sallyport/wrap.h"
#include "support/pairs.h"

namespace sallytest
{

// The two ends of a connected TCP socket over loopback, of a socketpair; blocking, as a user's are.
std::pair<Fd, Fd> tcp_ends();
std::pair<Fd, Fd> socketpair_ends();
// A pipe: what is read from, what is written to.
std::pair<Fd, Fd> pipe_ends();

// Callbacks around a socket. They own themselves: `release` deletes the object, and closes the socket if
// `close` has not.
class SocketCallbacks
{
  public:
    enum Waits { ByPoll, ByThemselves };
    // Takes the fd over.
    SocketCallbacks(Fd fd, Waits waits);
    ssl_callbacks callbacks();

    // What all of them together have seen.
    static std::atomic<int> closes;
    static std::atomic<int> releases;

  private:
    static ssl_io read(void *user, void *buf, size_t n, ssl_io_result *result);
    static ssl_io write(void *user, const void *buf, size_t n, ssl_io_result *result);
    static int wait(void *user, const ssl_io_wait *what);
    static void close(void *user);
    static void release(void *user);

    Fd fd_;
    Waits waits_;
};

// Options of either side, with the test certificates; `context` is kept by the connection.
ssl_wrap_options wrap_options(bool client, ssl_context *context);
// Wraps one end, bounded, and a test failure when it does not work.
Ports wrap_end(const ssl_transport &over, bool client, bool close_original = true,
               ssl_protocol protocol = SALLY_PROTOCOL_AUTO);
// Wraps both ends of a transport.
Pair wrap_both(const ssl_transport &client, const ssl_transport &server,
               bool close_original = true);

// All with close_original, so that the end of a connection is the end of its transport.
Pair wrapped_tcp_pair();
Pair wrapped_socketpair();
Pair wrapped_pipes();
Pair wrapped_callbacks(SocketCallbacks::Waits waits);
// TLS over `below`, which the new pair keeps.
Pair wrapped_over(Pair below, bool close_original = true);
// Wrapped in wrapped in ... `depth` times, over a socketpair.
Pair wrapped_ports(int depth);

} // namespace sallytest
#endif

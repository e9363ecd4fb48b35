// A server under test, and clients of it.
#ifndef SALLY_TEST_SCENARIO_SERVICE_H
#define SALLY_TEST_SCENARIO_SERVICE_H

#include <algorithm>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "sallyport/log.h"
#include "support/certs.h"
#include "support/handles.h"
#include "support/pairs.h"
#include "support/raw_peer.h"
#include "support/threads.h"

namespace sallytest
{

using Handler = std::function<ssl_served(ssl_connection *, ssl_port *, ssl_port *)>;

inline ssl_served call_handler(ssl_connection *connection, ssl_port *in, ssl_port *out, void *user)
{
    return (*static_cast<Handler *>(user))(connection, in, out);
}

inline ssl_server_options service_options(int workers = SALLY_SERVER_WORKERS)
{
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.workers = workers;
    return options;
}

// Echoes what is there and parks.
inline ssl_served echo_once(ssl_connection *, ssl_port *in, ssl_port *out)
{
    char bytes[16384];
    size_t got = 0;
    if (ssl_read(in, bytes, sizeof bytes, &got, nullptr) != SALLY_OK ||
        ssl_write(out, bytes, got, nullptr, nullptr) != SALLY_OK) {
        return SALLY_DONE;
    }
    return SALLY_KEEP;
}

// Echoes until the end, like a server with a thread for each client.
inline ssl_served echo_to_the_end(ssl_connection *connection, ssl_port *in, ssl_port *out)
{
    while (echo_once(connection, in, out) == SALLY_KEEP) {}
    return SALLY_DONE;
}

// Answers one line, "LINE\n", and parks.
inline ssl_served echo_line(ssl_connection *, ssl_port *in, ssl_port *out)
{
    char line[256];
    size_t length = 0;
    if (ssl_read_line(in, line, sizeof line, &length, nullptr) != SALLY_OK ||
        ssl_write(out, line, length, nullptr, nullptr) != SALLY_OK) {
        return SALLY_DONE;
    }
    return SALLY_KEEP;
}

// Echoes once it is let go: until then it holds a worker.
struct HeldEcho {
    Latch entered;
    Latch release;
    Handler handler()
    {
        return [this](ssl_connection *connection, ssl_port *in, ssl_port *out) {
            entered.open();
            release.wait();
            return echo_once(connection, in, out);
        };
    }
};

// Started when it is made; drained, hard, at the latest when it goes out of scope.
class Service
{
  public:
    explicit Service(Handler handler, ssl_server_options options = service_options(),
                     const ssl_log *log = nullptr)
        : Service(std::move(handler), options, loopback_listening(), log)
    {
    }
    Service(Handler handler, ssl_server_options options, const ssl_listen_options &listening,
            const ssl_log *log = nullptr)
        : handler_(std::move(handler)), context_(server_context())
    {
        options.handler = call_handler;
        options.user = &handler_;
        ssl_server *server = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_server_new(&options, &server, &err), err));
        server_.reset(server);
        EXPECT_TRUE(is(SALLY_OK, ssl_server_set_log(server, log, &err), err));
        port_ = add_listener(listening);
        EXPECT_TRUE(is(SALLY_OK, ssl_server_start(server, &err), err));
    }

    ssl_server *get() const
    {
        return server_.get();
    }
    int port() const
    {
        return port_;
    }

    ssl_server_counters count() const
    {
        ssl_server_counters counters = {};
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_server_count(server_.get(), &counters, &err), err));
        return counters;
    }
    // Until the counters are so; false, and a test failure, when they do not get there.
    bool reaches(const std::function<bool(const ssl_server_counters &)> &state, int seconds = 15)
    {
        bool reached = eventually([&] { return state(count()); }, seconds);
        ssl_server_counters now = count();
        EXPECT_TRUE(reached) << "accepted " << now.accepted << ", done " << now.handshakes_done
                             << ", failed " << now.handshakes_failed << ", timed out "
                             << now.handshakes_timed_out << ", calls " << now.handler_calls
                             << ", idle timed out " << now.idle_timed_out << ", accept failures "
                             << now.accept_failures << ", open " << now.open << ", busy "
                             << now.busy;
        return reached;
    }
    bool rests(uint64_t open)
    {
        return reaches([open](auto &now) { return now.open == open && now.busy == 0; });
    }

    // A raw client, its handshake done.
    std::unique_ptr<RawPeer> client(const RawOptions &options = raw_client()) const
    {
        std::unique_ptr<RawPeer> peer = raw_peer(connect_to(port_), options);
        EXPECT_EQ(Raw::Ok, peer->handshake()) << peer->last_error();
        return peer;
    }

    ssl_status drain(int64_t soft_ms, int64_t hard_ms, size_t *unfinished = nullptr)
    {
        return ssl_server_drain(server_.get(), soft_ms, hard_ms, unfinished, nullptr);
    }

  private:
    static ssl_listen_options loopback_listening()
    {
        ssl_listen_options options = SALLY_LISTEN_OPTIONS;
        options.host = "127.0.0.1";
        return options;
    }

    int add_listener(const ssl_listen_options &options)
    {
        ssl_error err;
        ssl_listener *made = nullptr;
        EXPECT_TRUE(is(SALLY_OK, ssl_listen(0, &options, context_.get(), &made, &err), err));
        Listener listener(made);
        int port = port_of(listener.get());
        EXPECT_TRUE(
            is(SALLY_OK, ssl_server_add_listener(server_.get(), listener.get(), &err), err));
        (void)listener.release();
        return port;
    }

    Handler handler_;
    Context context_;
    Server server_;
    int port_ = 0;
};

// One message there and back.
inline void expect_echo(RawPeer *peer, const std::string &message)
{
    std::string back;
    ASSERT_EQ(Raw::Ok, peer->write_all(message)) << peer->last_error();
    ASSERT_EQ(Raw::Ok, peer->read_full(&back, message.size())) << peer->last_error();
    EXPECT_EQ(message, back);
}

// Whether this process may have so many descriptors open: both ends of every connection are in it.
inline bool can_open(size_t descriptors)
{
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < descriptors) {
        limit.rlim_cur = std::min<rlim_t>(descriptors, limit.rlim_max);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur >= descriptors;
}

// Processor time of a process so far, ours if none is named.
inline double cpu_seconds(pid_t pid = 0)
{
    clockid_t clock;
    timespec used = {};
    EXPECT_EQ(0, clock_getcpuclockid(pid, &clock));
    EXPECT_EQ(0, clock_gettime(clock, &used));
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

inline Raw end_of(RawPeer *peer)
{
    std::string rest;
    Raw end = peer->read_to_end(&rest);
    EXPECT_EQ("", rest);
    return end;
}

} // namespace sallytest
#endif

// wrap.c over each transport, transport_port.c and farewell.c: whatever call fails, the original is its
// owner's again, and as it was.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "scenario/ends.h"
#include "support/faults.h"
#include "support/guards.h"
#include "support/rng.h"
#include "support/threads.h"
#include "support/watchdog.h"
#include "support/wrapped.h"

extern "C" {
#include "conn.h"
#include "farewell.h"
#include "fd.h"
#include "sync.h"
}

using namespace sallytest;

namespace
{

bool is_blocking(const Fd &fd)
{
    return (fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0;
}

// One end to be wrapped, new for each try, and a peer of the library's that wraps the other end in a
// thread of its own and leaves when it hears nothing more.
class Scene
{
  public:
    virtual ~Scene() = default;

    Trial trial()
    {
        Trial made([this](ssl_error *err) { return attempt(err); });
        made.prepare = [this] { prepare(); };
        made.cleanup = [this] { cleanup(); };
        return made;
    }

  protected:
    bool close_original_ = false;
    // Makes both ends, and says what they are.
    virtual void make(ssl_transport *ours, ssl_transport *theirs) = 0;
    // After a try that came to nothing.
    virtual void expect_given_back() = 0;
    // Ends ours, so that the peer finds an end.
    virtual void end_ours() = 0;
    virtual void end_theirs() = 0;

  private:
    void prepare()
    {
        make(&ours_, &theirs_);
        peer_ = std::make_unique<Thread>([this] {
            ssl_wrap_options options = wrap_options(false, server_.get());
            Ports ports;
            if (ssl_wrap_ports(&theirs_, &options, ports.fill(), nullptr) == SALLY_OK) {
                char byte;
                size_t got;
                (void)ssl_read(ports.in(), &byte, 1, &got, nullptr);
            }
        });
    }
    ssl_status attempt(ssl_error *err)
    {
        ssl_wrap_options options = wrap_options(true, client_.get());
        options.close_original = close_original_;
        ssl_status status = ssl_wrap_ports(&ours_, &options, ports_.fill(), err);
        EXPECT_EQ(status == SALLY_OK, static_cast<bool>(ports_));
        if (status != SALLY_OK) {
            expect_given_back();
        }
        return status;
    }
    void cleanup()
    {
        ports_.reset();
        end_ours();
        peer_.reset();
        end_theirs();
    }

    Context client_ = client_context();
    Context server_ = server_context();
    ssl_transport ours_ = {};
    ssl_transport theirs_ = {};
    Ports ports_;
    std::unique_ptr<Thread> peer_;
};

class PipeScene : public Scene
{
  protected:
    void make(ssl_transport *ours, ssl_transport *theirs) override
    {
        up_ = pipe_ends();
        down_ = pipe_ends();
        *ours = ssl_transport_fds(down_.first.get(), up_.second.get());
        *theirs = ssl_transport_fds(up_.first.get(), down_.second.get());
    }
    void expect_given_back() override
    {
        EXPECT_TRUE(is_blocking(down_.first));
        EXPECT_TRUE(is_blocking(up_.second));
    }
    void end_ours() override
    {
        down_.first.close();
        up_.second.close();
    }
    void end_theirs() override
    {
        up_.first.close();
        down_.second.close();
    }

  private:
    std::pair<Fd, Fd> up_;
    std::pair<Fd, Fd> down_;
};

// Callbacks that count their ends.
struct Counted {
    Fd fd;
    int closes = 0;
    int releases = 0;
};

ssl_io blocked(const Counted *c, short events, ssl_io_result *result)
{
    result->fd = c->fd.get();
    result->events = events;
    return SALLY_IO_WOULD_BLOCK;
}

ssl_io read_counted(void *user, void *buf, size_t n, ssl_io_result *result)
{
    const auto *c = static_cast<Counted *>(user);
    ssize_t got = recv(c->fd.get(), buf, n, MSG_DONTWAIT);
    result->count = got > 0 ? static_cast<size_t>(got) : 0;
    return got > 0 ? SALLY_IO_DONE : got == 0 ? SALLY_IO_END : blocked(c, POLLIN, result);
}

ssl_io write_counted(void *user, const void *buf, size_t n, ssl_io_result *result)
{
    const auto *c = static_cast<Counted *>(user);
    ssize_t sent = send(c->fd.get(), buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    result->count = sent > 0 ? static_cast<size_t>(sent) : 0;
    return sent > 0 ? SALLY_IO_DONE : blocked(c, POLLOUT, result);
}

void close_counted(void *user)
{
    static_cast<Counted *>(user)->closes++;
}

void release_counted(void *user)
{
    static_cast<Counted *>(user)->releases++;
}

class CallbackScene : public Scene
{
  public:
    CallbackScene()
    {
        close_original_ = true;
    }

  protected:
    void make(ssl_transport *ours, ssl_transport *theirs) override
    {
        auto ends = socketpair_ends();
        counted_ = Counted{std::move(ends.first)};
        theirs_ = std::move(ends.second);
        ssl_callbacks callbacks = {};
        callbacks.read = read_counted;
        callbacks.write = write_counted;
        callbacks.close = close_counted;
        callbacks.release = release_counted;
        callbacks.user = &counted_;
        *ours = ssl_transport_callbacks(&callbacks);
        *theirs = ssl_transport_fds(theirs_.get(), theirs_.get());
        failed_ = false;
    }
    void expect_given_back() override
    {
        failed_ = true;
        EXPECT_EQ(0, counted_.closes);
        EXPECT_EQ(0, counted_.releases);
    }
    void end_ours() override
    {
        EXPECT_EQ(failed_ ? 0 : 1, counted_.closes);
        EXPECT_EQ(failed_ ? 0 : 1, counted_.releases);
        counted_.fd.close();
    }
    void end_theirs() override
    {
        theirs_.close();
    }

  private:
    Counted counted_;
    Fd theirs_;
    bool failed_ = false;
};

// TLS in TLS over a connection of its own.
class PortScene : public Scene
{
  protected:
    void make(ssl_transport *ours, ssl_transport *theirs) override
    {
        below_ = wrapped_socketpair();
        *ours = ssl_transport_ports({below_.client.in(), below_.client.out()});
        *theirs = ssl_transport_ports({below_.server.in(), below_.server.out()});
    }
    // The pair below is free: it carries nothing, and its handles are the only ones.
    void expect_given_back() override
    {
        const sally_conn *conn = below_.client.in()->conn;
        EXPECT_EQ(nullptr, conn->carried);
        EXPECT_EQ(2u, sally_load_relaxed(&conn->handles));
        EXPECT_FALSE(conn->in.closed);
        EXPECT_FALSE(conn->out.closed);
    }
    void end_ours() override
    {
        below_.client.reset();
    }
    void end_theirs() override
    {
        below_ = Pair();
    }

  private:
    Pair below_;
};

class WrapFaults : public testing::Test
{
  protected:
    WrapFaults()
    {
        watchdog_limit(static_cast<int>(long_run(55, 1500)));
        warm_up();
    }
};

TEST_F(WrapFaults, E2_OverDescriptors)
{
    PipeScene scene;
    EXPECT_GT(sweep_allocations("ssl_wrap_ports over pipes", scene.trial()), 2);
}

TEST_F(WrapFaults, E2_AnyCallOnADescriptorFails)
{
    PipeScene scene;
    Trial trial = scene.trial();
    trial.attempt = [attempt = trial.attempt](ssl_error *err) {
        return system_for_cut(attempt(err), err);
    };
    EXPECT_GT(sweep_fd_calls("ssl_wrap_ports over pipes", EIO, trial), 8);
}

TEST_F(WrapFaults, B7_AnyCallOnADescriptorMayBeInterrupted)
{
    for (long nth = 7; nth <= 30; nth++) { // the first six are fcntl, which is not
        auto up = pipe_ends();
        auto down = pipe_ends();
        Ports theirs;
        ssl_transport far = ssl_transport_fds(up.first.get(), down.second.get());
        ssl_transport over = ssl_transport_fds(down.first.get(), up.second.get());
        Thread peer([&] { theirs = wrap_end(far, false, false); });
        sally_fd_fail_at(nth, EINTR);
        Ports ours = wrap_end(over, true, false);
        sally_fd_fail_at(0, 0);
        peer.join();
        ours.reset();
        theirs.reset();
    }
}

TEST_F(WrapFaults, E2_OverCallbacks)
{
    CallbackScene scene;
    EXPECT_GT(sweep_allocations("ssl_wrap_ports over callbacks", scene.trial()), 3);
}

TEST_F(WrapFaults, E2_OverPorts)
{
    PortScene scene;
    EXPECT_GT(sweep_allocations("ssl_wrap_ports over ports", scene.trial()), 3);
}

TEST_F(WrapFaults, E2_InsideOpenSSL)
{
    CallbackScene scene;
    Trial trial = scene.trial();
    trial.stride = long_run(67 * slow(1), 1);
    sweep_openssl_allocations("ssl_wrap_ports over callbacks", trial);
}

// ---- the farewell -----------------------------------------------------------------------------------

// A transport that would block until it is let go.
struct Leaving {
    sally_transport base;
    std::atomic<bool> *go;
    std::atomic<int> *ended;
};

int wait_nowhere(sally_transport *, sally_direction, short *events)
{
    *events = 0;
    return -1;
}

sally_io send_rest_when_let_go(sally_transport *t)
{
    return *reinterpret_cast<Leaving *>(t)->go ? SALLY_IO_DONE : SALLY_IO_WOULD_BLOCK;
}

int wait_a_moment(sally_transport *, const sally_transport_wait *how)
{
    return poll(how->what.wakes, how->what.wake_count, 5) < 0 && errno != EINTR ? errno : 0;
}

void end_leaving(sally_transport *t)
{
    auto *leaving = reinterpret_cast<Leaving *>(t);
    ++*leaving->ended;
    delete leaving;
}

class Farewell : public testing::Test
{
  protected:
    Farewell()
    {
        warm_up();
        ops_.wait_fd = wait_nowhere;
        ops_.wait = wait_a_moment;
        ops_.send_rest = send_rest_when_let_go;
        ops_.end = end_leaving;
    }
    bool leave()
    {
        auto *leaving = new Leaving{{&ops_, 0, 0, nullptr}, &go_, &ended_};
        bool admitted = sally_farewell(&leaving->base);
        if (!admitted) {
            delete leaving;
        }
        return admitted;
    }

    sally_transport_ops ops_ = {};
    std::atomic<bool> go_{false};
    std::atomic<int> ended_{0};
};

TEST_F(Farewell, P4_AThreadSeesItOutAndEndsItOnce)
{
    ThreadGuard threads;
    ASSERT_TRUE(leave());
    EXPECT_EQ(0, ended_);
    go_ = true;
    EXPECT_TRUE(eventually([&] { return ended_ == 1; }));
}

TEST_F(Farewell, P4_WithoutAThreadItIsRefusedAndMayBeTriedAgain)
{
    go_ = true;
    sally_thread_fail_at(1);
    EXPECT_FALSE(leave());
    sally_thread_fail_at(0);
    EXPECT_TRUE(leave());
    EXPECT_TRUE(eventually([&] { return ended_ == 1; }));
}

TEST_F(Farewell, P4_ThereIsABound)
{
    ThreadGuard threads;
    int admitted = 0;
    while (admitted <= SALLY_FAREWELL_MAX && leave()) {
        admitted++;
    }
    EXPECT_EQ(SALLY_FAREWELL_MAX, admitted);
    go_ = true;
    EXPECT_TRUE(eventually([&] { return ended_ == admitted; }));
}

// What is unsent and cannot be seen out is dropped; the original is given back all the same.
TEST_F(Farewell, P4_APipeIsGivenBackAtOnceWhereNoThreadCanSeeItOut)
{
    auto up = pipe_ends();
    auto down = pipe_ends();
    Pair pair = wrap_both(ssl_transport_fds(down.first.get(), up.second.get()),
                          ssl_transport_fds(up.first.get(), down.second.get()), false);
    std::string bytes(200000, 'x');
    EXPECT_EQ(SALLY_OK,
              ssl_write_available(pair.client.out(), bytes.data(), bytes.size(), nullptr, nullptr));
    EXPECT_GT(ssl_pending_output(pair.client.out()), 0u);
    sally_thread_fail_at(1);
    pair.client.reset();
    sally_thread_fail_at(0);
    EXPECT_TRUE(is_blocking(up.second));
    EXPECT_TRUE(is_blocking(down.first));
    up.second.close();
}

} // namespace

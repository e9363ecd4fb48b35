// A gate, when accept fails: what is about one client is skipped, what is about the system is waited out.
// Rules: W5.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <utility>

#include <poll.h>

#include "support/certs.h"
#include "support/guards.h"
#include "support/handles.h"
#include "support/pairs.h"
#include "support/raw_peer.h"
#include "support/threads.h"

extern "C" {
#include "server.h"
#include "sock.h"
}

using namespace sallytest;

namespace
{

ssl_served serve_nothing(ssl_connection *, ssl_port *, ssl_port *, void *)
{
    return SALLY_DONE;
}

// A task of the server's park that runs once, on its only worker, which accepts next.
struct OnWorker {
    explicit OnWorker(std::function<void()> run_) : body(std::move(run_)) {}
    std::function<void()> body;
    Latch done;
    sally_wake wake = SALLY_WAKE_CLOSED;
    sally_task *task = nullptr;

    static void run(sally_task *task, const sally_turn *)
    {
        OnWorker *self = static_cast<OnWorker *>(sally_task_owner(task));
        self->body();
        self->done.open();
    }
};

class Gate : public testing::TestWithParam<int>
{
  protected:
    Gate() : context_(server_context())
    {
        warm_up();
        ssl_server_options options = SALLY_SERVER_OPTIONS;
        options.handler = serve_nothing;
        options.workers = 1;
        ssl_server *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_server_new(&options, &made, nullptr));
        server_.reset(made);
        Listener listener = listen_on_loopback(context_.get());
        port_ = port_of(listener.get());
        EXPECT_EQ(SALLY_OK, ssl_server_add_listener(made, listener.get(), nullptr));
        (void)listener.release();
        EXPECT_EQ(SALLY_OK, ssl_server_start(made, nullptr));
    }

    // The next socket call of the worker fails, which is the accept of the next client.
    void fail_next_accept(int error)
    {
        OnWorker job([error] { sally_sock_fail_at(1, error); });
        ASSERT_EQ(0, sally_wake_open(&job.wake));
        sally_wake_raise(&job.wake);
        job.task = sally_task_new(server_->park, job.wake.wait_fd, OnWorker::run, &job);
        ASSERT_NE(nullptr, job.task);
        ASSERT_EQ(0, sally_park_put(server_->park, job.task, POLLIN, SALLY_NEVER));
        EXPECT_TRUE(job.done.wait());
        sally_task_free(server_->park, job.task);
        sally_wake_close(&job.wake);
    }
    uint64_t failures() const
    {
        return sally_load_relaxed(&server_->tally.accept_failures);
    }

    Context context_;
    Server server_;
    int port_ = 0;
};

using LackOfSystem = Gate;
using LossOfClient = Gate;

} // namespace

TEST_P(LackOfSystem, W5_TheClientIsTakenWhenItIsOver)
{
    fail_next_accept(GetParam());
    auto client = raw_peer(connect_to(port_), raw_client());
    EXPECT_EQ(Raw::Ok, client->handshake()) << client->last_error();
    EXPECT_EQ(1u, failures());
}

INSTANTIATE_TEST_SUITE_P(All, LackOfSystem, testing::Values(EMFILE, ENFILE, ENOBUFS, ENOMEM));

TEST_P(LossOfClient, W5_TheNextOneIsTakenAtOnce)
{
    fail_next_accept(GetParam());
    auto client = raw_peer(connect_to(port_), raw_client());
    EXPECT_EQ(Raw::Ok, client->handshake()) << client->last_error();
    EXPECT_EQ(0u, failures());
}

INSTANTIATE_TEST_SUITE_P(All, LossOfClient, testing::Values(ECONNABORTED, EPROTO, ENETDOWN));

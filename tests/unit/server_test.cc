// A server is made, fed and started whole or not at all, whatever fails.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "support/certs.h"
#include "support/faults.h"
#include "support/guards.h"
#include "support/handles.h"
#include "support/pairs.h"

extern "C" {
#include "error.h"
#include "mem.h"
#include "observe.h"
#include "server.h"
}

using namespace sallytest;

namespace
{

ssl_served serve_nothing(ssl_connection *, ssl_port *, ssl_port *, void *)
{
    return SALLY_DONE;
}

ssl_server_options whole_options()
{
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = serve_nothing;
    options.workers = 2;
    return options;
}

Server new_server()
{
    ssl_server_options options = whole_options();
    ssl_server *server = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_server_new(&options, &server, &err), err));
    return Server(server);
}

ssl_log into(std::vector<std::string> *lines)
{
    ssl_log log = SALLY_LOG;
    log.user = lines;
    log.call = [](const ssl_log_record *record, void *user) {
        char line[SALLY_LOG_LINE_SIZE];
        ssl_log_line(record, line, sizeof line);
        static_cast<std::vector<std::string> *>(user)->push_back(line);
    };
    return log;
}

// Made by hand where faults would hit it, kept out of their reach.
class ServerFaults : public testing::Test
{
  protected:
    ServerFaults() : context_(server_context())
    {
        warm_up();
    }

    Server with_listener()
    {
        Server server = new_server();
        Listener listener = listen_on_loopback(context_.get());
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_server_add_listener(server.get(), listener.get(), &err), err));
        (void)listener.release();
        return server;
    }

    Context context_;
};

} // namespace

TEST_F(ServerFaults, E2_NewIsWholeOrNull)
{
    sweep_allocations("ssl_server_new", [](ssl_error *err) {
        ssl_server_options options = whole_options();
        ssl_server *server = nullptr;
        ssl_status status = ssl_server_new(&options, &server, err);
        EXPECT_EQ(status == SALLY_OK, server != nullptr);
        ssl_server_free(server);
        return status;
    });
}

TEST_F(ServerFaults, E2_AListenerThatWasNotAddedStaysTheCallers)
{
    Listener listener = listen_on_loopback(context_.get());
    for (long nth = 1;; nth++) {
        Server server = new_server();
        ssl_error err;
        sally_mem_fail_at(nth, 0);
        ssl_status status = ssl_server_add_listener(server.get(), listener.get(), &err);
        sally_mem_fail_at(0, 0);
        if (status == SALLY_OK) {
            (void)listener.release();
            EXPECT_GT(nth, 1);
            break;
        }
        EXPECT_TRUE(is(SALLY_MEMORY, status, err));
        EXPECT_EQ(0, server->gates_open);
    }
}

TEST_F(ServerFaults, E2_AServerThatDidNotStartCanBeStartedLater)
{
    LeakGuard leaks;
    for (bool threads : {false, true}) {
        Server server = with_listener();
        ssl_error err;
        for (long nth = 1;; nth++) {
            sally_mem_fail_at(threads ? 0 : nth, 0);
            sally_thread_fail_at(threads ? nth : 0);
            ssl_status status = ssl_server_start(server.get(), &err);
            sally_mem_fail_at(0, 0);
            sally_thread_fail_at(0);
            if (status == SALLY_OK) {
                EXPECT_GT(nth, 2);
                break;
            }
            EXPECT_TRUE(is(threads ? SALLY_SYSTEM : SALLY_MEMORY, status, err));
        }
    }
}

TEST_F(ServerFaults, W9_AServerThatDidNotStartSaysSoInItsLog)
{
    std::vector<std::string> lines;
    ssl_log log = into(&lines);
    for (bool with_error : {true, false}) {
        Server server = with_listener();
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_server_set_log(server.get(), &log, &err), err));
        lines.clear();
        sally_thread_fail_at(2);
        EXPECT_EQ(SALLY_SYSTEM, ssl_server_start(server.get(), with_error ? &err : nullptr));
        sally_thread_fail_at(0);
        ASSERT_EQ(1u, lines.size());
        EXPECT_EQ(0u, lines[0].find("level=error event=start_failed status=SYSTEM")) << lines[0];
        EXPECT_NE(std::string::npos, lines[0].find("worker 2 of 2")) << lines[0];
        EXPECT_TRUE(!with_error || lines[0].find(err.text) != std::string::npos) << err.text;
    }
}

TEST_F(ServerFaults, W9_ALackOfWorkersIsOneRecordHoweverOftenItIsFelt)
{
    std::vector<std::string> lines;
    ssl_log log = into(&lines);
    Server server = with_listener();
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_set_log(server.get(), &log, &err), err));
    (void)sally_fail_errno(&err, EAGAIN, SALLY_PHASE_SERVE, "cannot start worker 3 of 4");
    sally_observe_lack(server.get(), &err);
    sally_observe_lack(server.get(), &err);
    ASSERT_EQ(1u, lines.size());
    EXPECT_EQ(0u, lines[0].find("level=error event=start_failed status=SYSTEM errno=")) << lines[0];
    EXPECT_NE(std::string::npos, lines[0].find("worker 3 of 4")) << lines[0];
    server->lack_until = sally_deadline_after_ms(0); // no start has failed for long
    sally_observe_lack(server.get(), &err);
    EXPECT_EQ(2u, lines.size());
    ssl_server_counters counters;
    ASSERT_TRUE(is(SALLY_OK, ssl_server_count(server.get(), &counters, &err), err));
    EXPECT_EQ(3u, counters.worker_start_failures);
}

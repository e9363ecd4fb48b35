// A metrics port is made whole or not at all, whatever fails. Rules: E2 W9.
#include <gtest/gtest.h>

#include <memory>

#include <fcntl.h>
#include <sys/socket.h>

#include "support/faults.h"
#include "support/handles.h"
#include "support/pairs.h"
#include "support/raw_channel.h"

extern "C" {
#include "sallyport/metrics.h"
}

using namespace sallytest;

namespace
{

ssl_served serve_nothing(ssl_connection *, ssl_port *, ssl_port *, void *)
{
    return SALLY_DONE;
}

class MetricsPortFaults : public testing::Test
{
  protected:
    MetricsPortFaults()
    {
        warm_up();
        ssl_server_options options = SALLY_SERVER_OPTIONS;
        options.handler = serve_nothing;
        ssl_server *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_server_new(&options, &made, nullptr));
        server_.reset(made);
    }

    Try listen()
    {
        return [this](ssl_error *err) {
            const ssl_metrics_label labels[] = {{"a", "1"}, {"b", "2"}};
            const ssl_metrics_source sources[] = {{server_.get(), labels, 2, {}},
                                                  {server_.get(), &labels[1], 1, {}}};
            ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
            options.sources = sources;
            options.source_count = 2;
            ssl_metrics_port *made = nullptr;
            ssl_status status = ssl_metrics_listen(0, &options, &made, err);
            EXPECT_EQ(status == SALLY_OK, made != nullptr);
            ssl_metrics_port_free(made);
            return status;
        };
    }

    // On a socket of the caller's, who has it still where the call fails.
    Try listen_fd()
    {
        return [this](ssl_error *err) {
            const ssl_metrics_source source = {server_.get(), nullptr, 0, {}};
            ssl_metrics_port_options options = SALLY_METRICS_PORT_OPTIONS;
            options.sources = &source;
            options.source_count = 1;
            Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            EXPECT_EQ(0, ::listen(fd.get(), 1));
            ssl_metrics_port *made = nullptr;
            ssl_status status = ssl_metrics_listen_fd(fd.get(), &options, &made, err);
            EXPECT_EQ(status == SALLY_OK, made != nullptr);
            EXPECT_NE(-1, fcntl(fd.get(), F_GETFD));
            if (status == SALLY_OK) {
                EXPECT_EQ(fd.release(), ssl_metrics_port_fd(made));
            }
            ssl_metrics_port_free(made);
            return status;
        };
    }

    Server server_;
};

} // namespace

TEST_F(MetricsPortFaults, E2_ItIsWholeOrNullWithoutMemory)
{
    EXPECT_LT(8, sweep_allocations("ssl_metrics_listen", listen()));
}

TEST_F(MetricsPortFaults, E2_ItIsWholeOrNullWithoutSockets)
{
    EXPECT_LT(3, sweep_socket_calls("ssl_metrics_listen", ENOBUFS, listen()));
}

TEST_F(MetricsPortFaults, E2_ItIsWholeOrNullWithoutThreads)
{
    EXPECT_EQ(1, sweep_thread_starts("ssl_metrics_listen", listen()));
}

TEST_F(MetricsPortFaults, E2_W8_ASocketStaysTheCallersWhenThePortCannotBeMade)
{
    sweep_allocations("ssl_metrics_listen_fd", listen_fd());
    sweep_socket_calls("ssl_metrics_listen_fd", ENOBUFS, listen_fd());
    sweep_fd_calls("ssl_metrics_listen_fd", EBADF, listen_fd());
    EXPECT_EQ(1, sweep_thread_starts("ssl_metrics_listen_fd", listen_fd()));
}

// Certificates that are replaced again and again while clients come: no handshake fails, sessions go on
// being resumed, and nothing is left behind (C5).
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "exchange.h"
#include "support/guards.h"
#include "support/scratch_dir.h"

using namespace sallytest;

namespace
{

std::string bytes_of(const std::string &file)
{
    std::ostringstream all;
    all << std::ifstream(cert_path(file), std::ios::binary).rdbuf();
    return all.str();
}

// A directory with chain.pem and key.pem, which are links to the files of the set in use.
class Site
{
  public:
    Site()
    {
        for (const std::string stem : {"server", "server-rsa"}) {
            std::filesystem::create_directory(directory_.path(stem));
            directory_.write(stem + "/chain.pem", bytes_of(stem + ".pem"));
            directory_.write(stem + "/key.pem", bytes_of(stem + "-key.pem"));
        }
        turn_to("server");
    }
    // Both files at once, as certbot's `live` directory would be if it were a link.
    void turn_to(const char *stem) const
    {
        std::string fresh = directory_.path("fresh");
        std::filesystem::create_symlink(stem, fresh);
        ASSERT_EQ(0, std::rename(fresh.c_str(), directory_.path("live").c_str()));
    }
    std::string chain() const
    {
        return directory_.path("live/chain.pem");
    }
    std::string key() const
    {
        return directory_.path("live/key.pem");
    }

  private:
    ScratchDir directory_;
};

class ReloadUnderLoad : public testing::Test
{
  protected:
    Site site;
    Registry registry;
    Listener listener;
    Context fallback = server_context("wrong-host");
    Context client = client_context();
    std::atomic<bool> stop{false};
    Break closing = new_break();

    void SetUp() override
    {
        ssl_registry *made = nullptr;
        ssl_error err;
        ASSERT_EQ(SALLY_OK, ssl_registry_new(&made, nullptr));
        registry.reset(made);
        std::string chain = site.chain();
        std::string key = site.key();
        ssl_registry_source source = SALLY_REGISTRY_SOURCE;
        source.chain_path = chain.c_str();
        source.key_path = key.c_str();
        ASSERT_TRUE(is(SALLY_OK, ssl_registry_load(made, "localhost", &source, &err), err));
        ssl_watch_options options = SALLY_WATCH_OPTIONS;
        options.interval_ms = SALLY_WATCH_INTERVAL_MIN_MS;
        ASSERT_TRUE(is(SALLY_OK, ssl_registry_watch(made, &options, &err), err));
        ssl_listen_options listen = loopback_options();
        listen.registry = made;
        listener = listen_with(listen, fallback.get());
    }

    // Gives each client a byte, until `closing` is broken.
    void serve()
    {
        for (;;) {
            Outcome outcome;
            outcome.status = ssl_accept_enable_break(listener.get(), closing.get(),
                                                     outcome.ports.fill(), &outcome.err);
            if (outcome.status == SALLY_BREAK) {
                return;
            }
            EXPECT_TRUE(is(SALLY_OK, outcome));
            char byte = 'b';
            ssl_write(outcome.ports.out(), &byte, 1, nullptr, nullptr);
        }
    }

    // A connection after the other, each resumed with the one before; how many were.
    int visit(int port)
    {
        int resumed = 0;
        Session session;
        while (!stop) {
            Ports ports;
            ssl_error err;
            char byte;
            size_t got;
            ssl_connect_options options = SALLY_CONNECT_OPTIONS;
            options.context = client.get();
            options.session = session.get();
            options.server_name = "localhost";
            options.timeout_ms = kBoundMs;
            ssl_status status = ssl_connect_with("127.0.0.1", port, &options, ports.fill(), &err);
            EXPECT_TRUE(is(SALLY_OK, status, err));
            if (status != SALLY_OK) {
                return resumed;
            }
            EXPECT_EQ(SALLY_OK, ssl_read(ports.in(), &byte, 1, &got, nullptr));
            bool again = ssl_port_is_resumed(ports.in());
            EXPECT_EQ(session != nullptr, again);
            resumed += again ? 1 : 0;
            ssl_session *fresh = nullptr;
            EXPECT_EQ(SALLY_OK, ssl_port_session(ports.in(), &fresh, &err));
            session.reset(fresh);
        }
        return resumed;
    }

    uint64_t reloads()
    {
        ssl_registry_counters counters = {};
        EXPECT_EQ(SALLY_OK, ssl_registry_count(registry.get(), &counters, nullptr));
        EXPECT_EQ(0U, counters.failures);
        return counters.reloads;
    }

    // Does `replace` again and again while a visitor comes and comes; nothing fails, nothing stays behind.
    void replace_under_visits(int times, const std::function<void(int)> &replace)
    {
        warm_up();
        LeakGuard leaks(1024 * 1024);
        int resumed = 0;
        Thread server([&] { serve(); });
        Thread visitor([&] { resumed = visit(port_of(listener.get())); });
        for (int i = 0; i < times; i++) {
            replace(i);
        }
        stop = true;
        visitor.join();
        // After the last visit: nobody waits for a server that is gone.
        ssl_break_send(closing.get(), 1);
        server.join();
        EXPECT_GT(resumed, 0);
    }
};

} // namespace

TEST_F(ReloadUnderLoad, C5_CertificatesAreReplacedUnderHandshakes)
{
    replace_under_visits(long_run(20, 1000), [&](int i) {
        uint64_t before = reloads();
        site.turn_to(i % 2 == 0 ? "server-rsa" : "server");
        EXPECT_TRUE(eventually([&] { return reloads() > before; }, 20)) << i;
    });
    EXPECT_EQ(SALLY_OK, ssl_registry_unwatch(registry.get(), nullptr));
}

// One reload after the other, without a pause: far more than a hundred in each second.
TEST_F(ReloadUnderLoad, C5_AsFastAsReloadsGo)
{
    ASSERT_EQ(SALLY_OK, ssl_registry_unwatch(registry.get(), nullptr));
    auto began = std::chrono::steady_clock::now();
    int times = long_run(200, 20000);
    replace_under_visits(times, [&](int i) {
        ssl_error err;
        site.turn_to(i % 2 == 0 ? "server-rsa" : "server");
        EXPECT_TRUE(is(SALLY_OK, ssl_registry_reload(registry.get(), "localhost", &err), err)) << i;
    });
    EXPECT_GE(reloads(), static_cast<uint64_t>(times));
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%.0f reloads a second\n", times / took.count());
}

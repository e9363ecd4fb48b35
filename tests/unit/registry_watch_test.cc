// A registry that watches its files: what it sees, what it tells, and how it ends (C5).
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto_fixture.h"
#include "support/faults.h"
#include "support/guards.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// Collects the reports.
class Reports
{
  public:
    static void add(const char *name, ssl_status status, const ssl_error *err, void *user)
    {
        auto *self = static_cast<Reports *>(user);
        std::lock_guard<std::mutex> guard(self->mutex_);
        EXPECT_STREQ("site", name);
        EXPECT_EQ(status, err->status);
        self->all_.push_back(status);
    }
    std::vector<ssl_status> all()
    {
        std::lock_guard<std::mutex> guard(mutex_);
        return all_;
    }
    bool waits_for(size_t count)
    {
        return eventually([&] { return all().size() >= count; }, 20);
    }

  private:
    std::mutex mutex_;
    std::vector<ssl_status> all_;
};

class Watch : public testing::Test
{
  protected:
    ThreadGuard watchers; // the last: the watch's thread ends by itself, and is waited for
    ScratchDir dir;
    Reports reports;
    Registry registry;
    std::string chain = dir.path("chain.pem");
    std::string key = dir.path("key.pem");

    void SetUp() override
    {
        ssl_registry *made = nullptr;
        ASSERT_EQ(SALLY_OK, ssl_registry_new(&made, nullptr));
        registry.reset(made);
        dir.write("chain.pem", cert("server.pem"));
        dir.write("key.pem", cert("server-key.pem"));
    }
    // The registry's end waits for nobody, and a report may be under way.
    void TearDown() override
    {
        if (registry != nullptr) {
            ssl_registry_unwatch(registry.get(), nullptr);
        }
    }
    void load()
    {
        ssl_registry_source source = SALLY_REGISTRY_SOURCE;
        source.chain_path = chain.c_str();
        source.key_path = key.c_str();
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_registry_load(registry.get(), "site", &source, &err), err));
    }
    ssl_watch_options options()
    {
        ssl_watch_options made = SALLY_WATCH_OPTIONS;
        made.interval_ms = SALLY_WATCH_INTERVAL_MIN_MS;
        made.report = Reports::add;
        made.user = &reports;
        return made;
    }
    void watch()
    {
        ssl_watch_options made = options();
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_registry_watch(registry.get(), &made, &err), err));
    }
    // By a rename, as those tools do it that renew certificates.
    void replace(const std::string &name, const std::string &content) const
    {
        std::string fresh = dir.write(name + ".new", content);
        ASSERT_EQ(0, std::rename(fresh.c_str(), dir.path(name).c_str()));
    }
    std::string subject() const
    {
        ssl_context *context = nullptr;
        ssl_registry_get(registry.get(), "site", &context, nullptr);
        return shown_subject(Context(context).get());
    }
    bool shows(const std::string &name) const
    {
        return subject().find("CN=" + name) != std::string::npos;
    }
};

} // namespace

TEST_F(Watch, C5_FilesThatAreRenamedOverAreReloaded)
{
    load();
    watch();
    EXPECT_TRUE(shows("localhost"));
    replace("key.pem", cert("sni-key.pem"));
    ASSERT_TRUE(reports.waits_for(1)); // the key alone does not match
    EXPECT_EQ(SALLY_CONFIG, reports.all()[0]);
    EXPECT_TRUE(shows("localhost"));
    replace("chain.pem", cert("sni.pem"));
    ASSERT_TRUE(reports.waits_for(2));
    EXPECT_EQ(SALLY_OK, reports.all()[1]);
    EXPECT_TRUE(shows("second.example"));
}

// As a directory of links that is turned from one set of files to the next.
TEST_F(Watch, C5_ALinkThatIsTurnedIsSeen)
{
    dir.write("old-chain", cert("server.pem"));
    dir.write("new-chain", cert("sni.pem"));
    std::remove(chain.c_str());
    dir.write("key.pem", cert("server-key.pem"));
    ASSERT_EQ(0, symlink("old-chain", chain.c_str()));
    load();
    watch();
    ASSERT_EQ(0, symlink("new-chain", dir.path("turned").c_str()));
    replace("key.pem", cert("sni-key.pem"));
    ASSERT_EQ(0, std::rename(dir.path("turned").c_str(), chain.c_str()));
    EXPECT_TRUE(eventually([&] { return shows("second.example"); }, 20));
}

// As a copy that keeps times does it: neither inode nor size nor time of the content tells.
TEST_F(Watch, C5_AFileThatIsWrittenInPlaceWithItsOldTimeIsSeen)
{
    auto padded = [](std::string text) { return text.append(4096 - text.size(), '\n'); };
    dir.write("chain.pem", padded(cert("server.pem")) + padded(cert("server-key.pem")));
    key = chain;
    load();
    watch();
    struct stat about = {};
    ASSERT_EQ(0, stat(chain.c_str(), &about));
    dir.write("chain.pem", padded(cert("sni.pem")) + padded(cert("sni-key.pem")));
    const timespec times[] = {about.st_atim, about.st_mtim};
    ASSERT_EQ(0, utimensat(AT_FDCWD, chain.c_str(), times, 0));
    EXPECT_TRUE(eventually([&] { return shows("second.example"); }, 20));
}

TEST_F(Watch, C5_DamagedFilesAreToldOnceAndTheOldContextStays)
{
    load();
    watch();
    replace("chain.pem", "damaged");
    ASSERT_TRUE(reports.waits_for(1));
    // It goes on trying, and tells no more.
    EXPECT_TRUE(eventually(
        [&] {
            ssl_registry_counters counters = {};
            ssl_registry_count(registry.get(), &counters, nullptr);
            return counters.failures >= 3;
        },
        20));
    EXPECT_EQ(std::vector<ssl_status>{SALLY_CONFIG}, reports.all());
    EXPECT_TRUE(shows("localhost"));
    replace("chain.pem", cert("server.pem"));
    ASSERT_TRUE(reports.waits_for(2));
    EXPECT_EQ(SALLY_OK, reports.all()[1]);
}

TEST_F(Watch, C5_WhatDoesNotChangeIsNotReloaded)
{
    load();
    watch();
    ScratchDir other;
    Reports others;
    EXPECT_FALSE(eventually([&] { return !reports.all().empty(); }, 1));
    ssl_registry_counters counters = {};
    ssl_registry_count(registry.get(), &counters, nullptr);
    EXPECT_EQ(0U, counters.reloads);
}

// ---- the end ---------------------------------------------------------------------------------------

TEST_F(Watch, C5_NoReportComesAfterUnwatch)
{
    load();
    watch();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_unwatch(registry.get(), &err), err));
    replace("chain.pem", "damaged");
    EXPECT_FALSE(eventually([&] { return !reports.all().empty(); }, 1));
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_unwatch(registry.get(), &err), err));
    watch();
    EXPECT_TRUE(reports.waits_for(1));
}

TEST_F(Watch, C5_TheThreadEndsWithTheRegistry)
{
    auto once = [&] {
        SetUp();
        load();
        watch();
        registry.reset();
    };
    once(); /* what OpenSSL makes once and keeps is there before a guard counts */
    LeakGuard leaks;
    for (int i = 0; i < 20; i++) {
        once();
    }
}

namespace
{

// Ends the watch, and gives the last reference back, from inside of a report.
struct Ender {
    ssl_registry *registry;
    bool unwatch;
    Latch done;
};

void end_it(const char *, ssl_status, const ssl_error *, void *user)
{
    auto *ender = static_cast<Ender *>(user);
    if (ender->unwatch) {
        EXPECT_EQ(SALLY_OK, ssl_registry_unwatch(ender->registry, nullptr));
    } else {
        ssl_registry_release(ender->registry);
    }
    ender->done.open();
}

} // namespace

TEST_F(Watch, C5_AReportMayEndTheWatchOrTheRegistry)
{
    for (bool unwatch : {true, false}) {
        ThreadGuard threads;
        SetUp();
        load();
        Ender ender = {unwatch ? registry.get() : registry.release(), unwatch, {}};
        ssl_watch_options made = options();
        made.report = end_it;
        made.user = &ender;
        ASSERT_EQ(SALLY_OK, ssl_registry_watch(ender.registry, &made, nullptr));
        replace("chain.pem", "damaged");
        EXPECT_TRUE(ender.done.wait());
    }
}

// Watches that begin and end while files change, and other threads reload.
TEST_F(Watch, C5_WatchesRaceWithReloads)
{
    load();
    std::atomic<bool> stop{false};
    Thread reloader([&] {
        while (!stop) {
            ssl_registry_reload(registry.get(), nullptr, nullptr);
        }
    });
    for (int i = 0; i < 30; i++) {
        watch();
        replace("chain.pem", cert(i % 2 == 0 ? "server.pem" : "server-rsa.pem"));
        EXPECT_EQ(SALLY_OK, ssl_registry_unwatch(registry.get(), nullptr));
    }
    stop = true;
    reloader.join();
    EXPECT_TRUE(shows("localhost"));
}

// ---- the calls -------------------------------------------------------------------------------------

TEST_F(Watch, E3_BadArgumentsAreUsage)
{
    ssl_error err;
    ssl_watch_options made = options();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_watch(nullptr, &made, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_unwatch(nullptr, &err), err));
    made.interval_ms = SALLY_WATCH_INTERVAL_MIN_MS - 1;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_watch(registry.get(), &made, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "interval_ms")) << err.text;
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_watch(registry.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_watch(registry.get(), nullptr, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_registry_unwatch")) << err.text;
}

TEST_F(Watch, E2_FailuresOfWatch)
{
    ssl_watch_options made = options();
    auto attempt = [&](ssl_error *err) {
        ssl_status status = ssl_registry_watch(registry.get(), &made, err);
        ssl_registry_unwatch(registry.get(), nullptr);
        return status;
    };
    sweep_allocations("ssl_registry_watch", attempt);
    sweep_thread_starts("ssl_registry_watch", attempt);
}

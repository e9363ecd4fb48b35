// notify.c: what a supervisor is told (W8).
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto_fixture.h"
#include "support/environment.h"
#include "support/faults.h"
#include "support/guards.h"
#include "support/supervisor.h"

#include "sallyport/notify.h"

extern "C" {
#include "clock.h"
#include "mem.h"
}

using namespace sallytest;

namespace
{

class Notify : public testing::Test
{
  protected:
    Supervisor supervisor;
    Variable variable{"NOTIFY_SOCKET", supervisor.name()};
    ssl_error err = {};
};

TEST_F(Notify, W8_TheSupervisorHearsIt)
{
    FdGuard fds;
    EXPECT_TRUE(is(SALLY_OK, ssl_notify("READY=1\nSTATUS=serving", &err), err));
    EXPECT_EQ("READY=1\nSTATUS=serving", supervisor.heard());
    EXPECT_TRUE(is(SALLY_OK, ssl_notify_printf(&err, "MAINPID=%d", 77), err));
    EXPECT_EQ("MAINPID=77", supervisor.heard());
    EXPECT_EQ("", supervisor.heard());
}

TEST_F(Notify, W8_OverASocketWithAFileToo)
{
    ScratchDir dir;
    Supervisor with_file(dir.path("notify"));
    Variable path("NOTIFY_SOCKET", dir.path("notify"));
    EXPECT_TRUE(is(SALLY_OK, ssl_notify("STOPPING=1", &err), err));
    EXPECT_EQ("STOPPING=1", with_file.heard());
}

TEST_F(Notify, W8_ReloadingTellsTheTime)
{
    int64_t before = sally_now_ns() / 1000;
    EXPECT_TRUE(is(SALLY_OK, ssl_notify_reloading(&err), err));
    int64_t told = 0;
    ASSERT_EQ(1, sscanf(supervisor.heard().c_str(), "RELOADING=1\nMONOTONIC_USEC=%" SCNd64, &told));
    EXPECT_LE(before, told);
    EXPECT_GE(sally_now_ns() / 1000, told);
}

TEST_F(Notify, W8_ItAllocatesNothing)
{
    sally_mem_fail_at(1, 1);
    EXPECT_EQ(SALLY_OK, ssl_notify("READY=1", nullptr));
    EXPECT_EQ(SALLY_OK, ssl_notify_reloading(nullptr));
    EXPECT_EQ(0, sally_mem_count());
    sally_mem_fail_at(0, 0);
}

TEST_F(Notify, W8_WithoutASupervisorNothingIsDone)
{
    Variable none("NOTIFY_SOCKET", std::nullopt);
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_notify("READY=1", &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "NOTIFY_SOCKET is not set"));
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_notify_printf(&err, "STATUS=%s", "fine"), err));
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_notify_reloading(&err), err));
    EXPECT_EQ("", supervisor.heard());
}

TEST_F(Notify, E3_AddressesThatAreNoneAreNamed)
{
    for (const std::string &wrong :
         {std::string("notify"), std::string(""), std::string("vsock:2:1234"), std::string("@"),
          "/" + std::string(200, 'p')}) {
        Variable address("NOTIFY_SOCKET", wrong);
        EXPECT_TRUE(is(SALLY_CONFIG, ssl_notify("READY=1", &err), err)) << wrong;
        EXPECT_NE(nullptr, std::strstr(err.text, "NOTIFY_SOCKET is")) << err.text;
    }
}

TEST_F(Notify, W8_NobodyThereIsAnError)
{
    Variable address("NOTIFY_SOCKET", "@sallyport-nobody-" + std::to_string(getpid()));
    FdGuard fds;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_notify("READY=1", &err), err));
    EXPECT_EQ(ECONNREFUSED, err.sys_errno);
    EXPECT_NE(nullptr, std::strstr(err.text, "unix:@sallyport-nobody-")) << err.text;
}

// The queue of a datagram socket is short (net.unix.max_dgram_qlen).
TEST_F(Notify, W8_ASupervisorThatDoesNotReadHoldsUpForABoundedTime)
{
    FdGuard fds;
    ssl_status status = SALLY_OK;
    for (int sent = 0; status == SALLY_OK && sent < 100000; sent++) {
        status = ssl_notify("WATCHDOG=1", &err);
    }
    EXPECT_TRUE(is(SALLY_TIMEOUT, status, err));
    EXPECT_EQ("WATCHDOG=1", supervisor.heard());
    EXPECT_TRUE(is(SALLY_OK, ssl_notify("WATCHDOG=1", &err), err));
}

TEST_F(Notify, E3_BadArgumentsAndLimits)
{
    const std::string longest(SALLY_NOTIFY_MAX, 'x');
    EXPECT_TRUE(is(SALLY_USAGE, ssl_notify(nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_notify("", &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_notify(longest.c_str(), &err), err));
    EXPECT_EQ(longest, supervisor.heard());
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_notify((longest + "x").c_str(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_notify_printf(&err, "%s", longest.c_str()), err));
    EXPECT_EQ(longest, supervisor.heard());
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_notify_printf(&err, "%sx", longest.c_str()), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_notify_printf(&err, "%s", ""), err));
    const char *none = nullptr;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_notify_printf(&err, none, 0), err));
    EXPECT_EQ("", supervisor.heard());
}

TEST_F(Notify, E2_AnySocketCallMayFail)
{
    sweep_socket_calls("ssl_notify", ENOBUFS,
                       [](ssl_error *out) { return ssl_notify("READY=1", out); });
}

// ---- the watchdog ------------------------------------------------------------------------------

int64_t watchdog_with(const std::optional<std::string> &usec, const std::optional<std::string> &pid)
{
    Variable period("WATCHDOG_USEC", usec);
    Variable process("WATCHDOG_PID", pid);
    int64_t ms = 77;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_watchdog_timeout_ms(&ms, &err), err));
    return ms;
}

TEST(Watchdog, W8_ThePeriodIsOursAlone)
{
    EXPECT_EQ(20000, watchdog_with("20000000", std::nullopt));
    EXPECT_EQ(20000, watchdog_with("20000000", std::to_string(getpid())));
    EXPECT_EQ(-1, watchdog_with("20000000", "1"));
    EXPECT_EQ(-1, watchdog_with(std::nullopt, std::nullopt));
    EXPECT_EQ(-1, watchdog_with(std::nullopt, std::to_string(getpid())));
    EXPECT_EQ(1, watchdog_with("10", std::nullopt));
}

TEST(Watchdog, E3_VariablesThatMakeNoSenseAreNamed)
{
    ssl_error err;
    int64_t ms = 77;
    for (const char *wrong : {"", "soon", "0", "-5", "1.5", "99999999999999999999"}) {
        Variable period("WATCHDOG_USEC", wrong);
        EXPECT_TRUE(is(SALLY_CONFIG, ssl_watchdog_timeout_ms(&ms, &err), err)) << wrong;
        EXPECT_EQ(-1, ms);
        EXPECT_NE(nullptr, std::strstr(err.text, "WATCHDOG_USEC is")) << err.text;
    }
    EXPECT_TRUE(is(SALLY_USAGE, ssl_watchdog_timeout_ms(nullptr, &err), err));
}

} // namespace

// handover.c, spawn.c: listeners for a new process (W8). The new process is a shell, or a child that
// calls ssl_take_over. What the whole is for is shown by tests/scenario/upgrade_test.cc.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto_fixture.h"
#include "scenario/ends.h"
#include "support/environment.h"
#include "support/faults.h"
#include "support/guards.h"

#include "sallyport/handover.h"

using namespace sallytest;

namespace
{

// The first listener is descriptor 3, so with one listener the word is said by descriptor 4.
#define SAY_READY "printf R >&4"

class HandOver : public testing::Test
{
  protected:
    void SetUp() override
    {
        warm_up();
    }
    // Runs a script in place of the program.
    ssl_status hand_over(const std::string &script, ssl_break *brk = nullptr)
    {
        std::string shell = "/bin/sh", option = "-c", text = script;
        char *words[] = {shell.data(), option.data(), text.data(), nullptr};
        ssl_listener *one = listener.get();
        options.path = program.c_str();
        options.arguments = words;
        options.sockets.listeners = &one;
        options.sockets.count = 1;
        return brk == nullptr ? ssl_hand_over(&options, &pid, &err)
                              : ssl_hand_over_enable_break(&options, brk, &pid, &err);
    }
    // The new process ends with this status.
    void expect_end(int status)
    {
        int got = -1;
        ASSERT_LT(0, pid);
        EXPECT_EQ(pid, waitpid(pid, &got, 0));
        EXPECT_TRUE(WIFEXITED(got));
        EXPECT_EQ(status, WEXITSTATUS(got));
    }
    void end_it() const
    {
        ASSERT_LT(0, pid);
        EXPECT_EQ(0, kill(pid, SIGKILL));
        EXPECT_EQ(pid, waitpid(pid, nullptr, 0));
    }

    Context server = server_context();
    Listener listener = listen_on_loopback(server.get());
    std::string program = "/bin/sh";
    ssl_hand_over_options options = SALLY_HAND_OVER_OPTIONS;
    pid_t pid = 77;
    ssl_error err = {};
};

std::string content_of(const std::string &path)
{
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

TEST_F(HandOver, W8_TheNewProcessFindsThemAsSystemdWouldGiveThem)
{
    ScratchDir dir;
    FdGuard fds;
    const char *names[] = {"front"};
    options.sockets.names = names;
    ASSERT_TRUE(is(SALLY_OK,
                   hand_over("[ \"$LISTEN_PID\" = $$ ] && [ -S /proc/self/fd/3 ] && " SAY_READY
                             "; echo \"$LISTEN_FDS $LISTEN_FDNAMES $SALLYPORT_READY_FD\" >" +
                             dir.path("seen") + "; exit 5"),
                   err));
    expect_end(5);
    EXPECT_EQ("1 front 4\n", content_of(dir.path("seen")));
}

TEST_F(HandOver, W8_AWatchdogLooksAtTheNewProcess)
{
    Variable watched("WATCHDOG_PID", std::to_string(getpid()));
    Variable stale("LISTEN_FDNAMES", "of:another:time");
    ASSERT_TRUE(
        is(SALLY_OK,
           hand_over("[ \"$WATCHDOG_PID\" = $$ ] && [ -z \"$LISTEN_FDNAMES\" ] && " SAY_READY
                     "; exit 0"),
           err));
    expect_end(0);
    Variable unwatched("WATCHDOG_PID", std::nullopt);
    ASSERT_TRUE(is(SALLY_OK, hand_over("[ -z \"$WATCHDOG_PID\" ] && " SAY_READY "; exit 0"), err));
    expect_end(0);
}

TEST_F(HandOver, W8_AllDescriptorsOfAllListenersInTurn)
{
    ScratchDir dir;
    Listener second = listen_on_loopback(server.get());
    ssl_listener *both[] = {listener.get(), second.get()};
    const char *names[] = {"", "back"};
    std::string script =
        "[ \"$LISTEN_FDS\" = 2 ] && [ \"$LISTEN_FDNAMES\" = :back ] && printf R >&5";
    std::string shell = "/bin/sh", option = "-c";
    char *words[] = {shell.data(), option.data(), script.data(), nullptr};
    options.path = "/bin/sh";
    options.arguments = words;
    options.sockets.listeners = both;
    options.sockets.names = names;
    options.sockets.count = 2;
    ASSERT_TRUE(is(SALLY_OK, ssl_hand_over(&options, &pid, &err), err));
    expect_end(0);
}

// Sockets of other kinds go too, behind the listeners'; what has no name is unknown.
TEST_F(HandOver, W8_OtherListeningSocketsGoTooBehindThem)
{
    FdGuard fds;
    Fd plain(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int others[] = {plain.get()};
    const char *other_names[] = {"metrics"};
    options.sockets.fds = others;
    options.sockets.fd_names = other_names;
    options.sockets.fd_count = 1;
    EXPECT_TRUE(is(SALLY_USAGE, hand_over(""), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "is no listening socket")) << err.text;
    ASSERT_EQ(0, listen(plain.get(), 4));
    ASSERT_TRUE(
        is(SALLY_OK,
           hand_over("[ \"$LISTEN_FDNAMES\" = unknown:metrics ] && [ -S /proc/self/fd/4 ] && "
                     "printf R >&5; exit 0"),
           err));
    expect_end(0);
}

// The socket is one and the same: who connects before, meanwhile or after waits in one queue.
TEST_F(HandOver, W8_TheOldListenerGoesOn)
{
    Handshaker early(port_of(listener.get()));
    ASSERT_TRUE(is(SALLY_OK, hand_over(SAY_READY), err));
    expect_end(0);
    Outcome served = accept_from(listener.get());
    ASSERT_TRUE(is(SALLY_OK, served));
    expect_echo(served.ports, early.raw());
}

TEST_F(HandOver, W8_AProgramThatEndsIsReportedAndBuried)
{
    FdGuard fds;
    EXPECT_TRUE(is(SALLY_CONFIG, hand_over("exit 3"), err));
    EXPECT_EQ(-1, pid);
    EXPECT_STREQ("ssl_hand_over: /bin/sh ended with status 3 before it was ready", err.text);
    EXPECT_TRUE(is(SALLY_CONFIG, hand_over("kill -9 $$"), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "by signal 9")) << err.text;
    EXPECT_EQ(-1, waitpid(-1, nullptr, WNOHANG));
    EXPECT_EQ(ECHILD, errno);
}

TEST_F(HandOver, W8_OneThatCannotBeRunToo)
{
    FdGuard fds;
    program = "/nowhere/to/be/found";
    EXPECT_TRUE(is(SALLY_SYSTEM, hand_over(""), err));
    EXPECT_EQ(ENOENT, err.sys_errno);
    EXPECT_EQ(-1, pid);
    EXPECT_NE(nullptr, std::strstr(err.text, "cannot run /nowhere/to/be/found")) << err.text;
    EXPECT_EQ(-1, waitpid(-1, nullptr, WNOHANG));
}

TEST_F(HandOver, W8_OneThatSaysNothingIsWaitedForSoLong)
{
    FdGuard fds;
    options.timeout_ms = 50;
    EXPECT_TRUE(is(SALLY_TIMEOUT, hand_over("exec sleep 60"), err));
    EXPECT_EQ(0U, std::string(err.text).find("ssl_hand_over: ")) << err.text;
    end_it();
}

TEST_F(HandOver, B1_W8_ABreakEndsTheWait)
{
    FdGuard fds;
    Break brk = new_break();
    Thread breaker([&] { ssl_break_send(brk.get(), 1); });
    EXPECT_TRUE(is(SALLY_BREAK, hand_over("exec sleep 60", brk.get()), err));
    end_it();
}

TEST_F(HandOver, W8_TheFileOfAUnixSocketIsTheNewProcesss)
{
    ScratchDir dir;
    for (const char *script : {SAY_READY, "exit 1"}) {
        std::string path = dir.path(script[0] == 'e' ? "kept" : "given");
        std::string host = "unix:" + path;
        ssl_listen_options with_file = SALLY_LISTEN_OPTIONS;
        with_file.host = host.c_str();
        listener = listen_with(with_file, server.get());
        bool given = hand_over(script) == SALLY_OK;
        if (given) {
            expect_end(0);
        }
        listener.reset();
        struct stat file;
        EXPECT_EQ(given ? 0 : -1, lstat(path.c_str(), &file));
    }
}

TEST_F(HandOver, E3_BadArguments)
{
    char *words[] = {nullptr};
    ssl_listener *none[] = {nullptr};
    ssl_listener *one[] = {listener.get()};
    const char *names[] = {"a:b"};
    auto says = [this](const char *why) {
        EXPECT_TRUE(is(SALLY_USAGE, ssl_hand_over(&options, &pid, &err), err));
        EXPECT_EQ(-1, pid);
        EXPECT_NE(nullptr, std::strstr(err.text, why)) << err.text;
    };
    EXPECT_TRUE(is(SALLY_USAGE, ssl_hand_over(nullptr, nullptr, &err), err));
    says("options.path is NULL");
    options.path = "/bin/sh";
    says("options.arguments is NULL");
    options.arguments = words;
    says("no listener");
    options.sockets.listeners = none;
    options.sockets.count = 1;
    says("one of sockets.listeners is NULL");
    options.sockets.listeners = one;
    options.sockets.names = names;
    says("without ':'");
    options.sockets.names = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_close(listener.get(), nullptr));
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_hand_over(&options, &pid, &err), err));
}

TEST_F(HandOver, E2_AnyAllocationMayFail)
{
    const char *names[] = {"front"};
    options.sockets.names = names;
    sweep_allocations("ssl_hand_over", [this](ssl_error *out) {
        ssl_status status = hand_over(SAY_READY);
        *out = err;
        EXPECT_EQ(status == SALLY_OK, pid > 0);
        if (status == SALLY_OK) {
            EXPECT_EQ(pid, waitpid(pid, nullptr, 0));
        }
        return status;
    });
}

// ---- the new process ---------------------------------------------------------------------------

class TakeOver : public testing::Test
{
  protected:
    ssl_error err = {};
};

TEST_F(TakeOver, W8_SaysSoOnce)
{
    int ends[2];
    ASSERT_EQ(0, pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    Fd hear(ends[0]);
    Variable ready("SALLYPORT_READY_FD", std::to_string(ends[1]));
    EXPECT_TRUE(is(SALLY_OK, ssl_take_over(&err), err));
    char said[2] = {};
    EXPECT_EQ(1, read(hear.get(), said, sizeof said));
    EXPECT_EQ(0, read(hear.get(), said, sizeof said)) << "its descriptor is closed";
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_take_over(&err), err));
}

TEST_F(TakeOver, W8_WithoutAPredecessorNothingIsDone)
{
    Variable none("SALLYPORT_READY_FD", std::nullopt);
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_take_over(&err), err));
    EXPECT_EQ(SALLY_UNSUPPORTED, ssl_take_over(nullptr));
}

TEST_F(TakeOver, E3_NonsenseIsNamed)
{
    for (const char *wrong : {"", "four", "4x", "-1", "99999999"}) {
        Variable ready("SALLYPORT_READY_FD", wrong);
        EXPECT_TRUE(is(SALLY_CONFIG, ssl_take_over(&err), err)) << wrong;
    }
    Variable ready("SALLYPORT_READY_FD", "9999");
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_take_over(&err), err));
    EXPECT_EQ(EBADF, err.sys_errno);
}

// The old process may have given up meanwhile: no signal.
TEST_F(TakeOver, E3_AnOldProcessThatIsGoneIsAnError)
{
    int ends[2];
    ASSERT_EQ(0, pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    close(ends[0]);
    Variable ready("SALLYPORT_READY_FD", std::to_string(ends[1]));
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_take_over(&err), err));
    EXPECT_EQ(EPIPE, err.sys_errno);
}

} // namespace

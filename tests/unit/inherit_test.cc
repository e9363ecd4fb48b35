// inherit.c: descriptors that were handed to this process (L1, W8). What needs descriptors 3 and 4 is
// done in a child.
#include <climits>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>

#include "support/environment.h"
#include "support/handles.h"

#include "sallyport/inherit.h"

using namespace sallytest;

namespace
{

// The line at which something does not hold, for in_child.
#define MUST(truth)                                                                                \
    if (!(truth)) {                                                                                \
        return __LINE__ % 256 != 0 ? __LINE__ % 256 : 1;                                           \
    }

void set(const char *name, const std::string &value)
{
    setenv(name, value.c_str(), 1);
}

// Two descriptors as a supervisor leaves them.
void hand_over_two(const char *names)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0) {
        int high = fcntl(ends[1], F_DUPFD, 100);
        dup2(ends[0], 3);
        dup2(high, 4);
    }
    set("LISTEN_PID", std::to_string(getpid()));
    set("LISTEN_FDS", "2");
    if (names != nullptr) {
        set("LISTEN_FDNAMES", names);
    }
}

bool is_cloexec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST(Inherited, L1_W8_DescriptorsAndNames)
{
    EXPECT_EQ(0, in_child([] {
                  hand_over_two("front:back");
                  ssl_inherited list[3];
                  size_t count = 9;
                  MUST(ssl_inherited_fds(false, list, 3, &count, nullptr) == SALLY_OK);
                  MUST(count == 2 && list[0].fd == 3 && list[1].fd == 4);
                  MUST(strcmp(list[0].name, "front") == 0 && strcmp(list[1].name, "back") == 0);
                  MUST(is_cloexec(3) && is_cloexec(4));
                  MUST(getenv("LISTEN_FDS") != nullptr);
                  return 0;
              }));
}

TEST(Inherited, W8_UnsetLeavesNothingForChildren)
{
    EXPECT_EQ(0, in_child([] {
                  hand_over_two(nullptr);
                  ssl_inherited one;
                  size_t count = 9;
                  MUST(ssl_inherited_fds(true, &one, 1, &count, nullptr) == SALLY_OK);
                  MUST(count == 2 && one.fd == 3 && strcmp(one.name, "unknown") == 0);
                  MUST(is_cloexec(4)); // though there was no room for it
                  MUST(getenv("LISTEN_PID") == nullptr && getenv("LISTEN_FDS") == nullptr);
                  MUST(ssl_inherited_fds(true, nullptr, 0, &count, nullptr) == SALLY_OK);
                  MUST(count == 0);
                  return 0;
              }));
}

TEST(Inherited, W8_LongNamesAreCutAndEmptyOnesStay)
{
    EXPECT_EQ(0, in_child([] {
                  hand_over_two((":" + std::string(400, 'n')).c_str());
                  ssl_inherited list[2];
                  size_t count = 0;
                  MUST(ssl_inherited_fds(true, list, 2, &count, nullptr) == SALLY_OK);
                  MUST(strcmp(list[0].name, "") == 0);
                  MUST(strlen(list[1].name) == SALLY_INHERITED_NAME_SIZE - 1);
                  return 0;
              }));
}

TEST(Inherited, W8_NothingForUsIsNoFailure)
{
    ssl_error err;
    size_t count = 9;
    Variable no_pid("LISTEN_PID", std::nullopt);
    Variable no_fds("LISTEN_FDS", std::nullopt);
    EXPECT_TRUE(is(SALLY_OK, ssl_inherited_fds(false, nullptr, 0, &count, &err), err));
    EXPECT_EQ(0U, count);
    Variable two("LISTEN_FDS", "2"); // without a pid
    EXPECT_TRUE(is(SALLY_OK, ssl_inherited_fds(false, nullptr, 0, &count, &err), err));
    EXPECT_EQ(0U, count);
    Variable others("LISTEN_PID", "1");
    EXPECT_TRUE(is(SALLY_OK, ssl_inherited_fds(false, nullptr, 0, &count, &err), err));
    EXPECT_EQ(0U, count);
}

struct Nonsense {
    const char *pid; // NULL: ours
    const char *fds;
    const char *names;
    const char *says;
};

TEST(Inherited, E3_VariablesThatMakeNoSenseAreNamed)
{
    const Nonsense all[] = {
        {"abc", "1", nullptr, "LISTEN_PID is \"abc\""},
        {"", "1", nullptr, "LISTEN_PID is \"\""},
        {nullptr, "0", nullptr, "LISTEN_FDS is \"0\""},
        {nullptr, "-1", nullptr, "LISTEN_FDS is \"-1\""},
        {nullptr, " 1", nullptr, "LISTEN_FDS is \" 1\""},
        {nullptr, "1x", nullptr, "LISTEN_FDS is \"1x\""},
        {nullptr, "99999999999999999999", nullptr, "LISTEN_FDS is \"99999999999999999999\""},
        {nullptr, "2", "one", "LISTEN_FDNAMES is \"one\""},
        {nullptr, "2", "one:two:three", "a name for each descriptor"},
    };
    std::string ours = std::to_string(getpid());
    for (const Nonsense &wrong : all) {
        Variable pid("LISTEN_PID", wrong.pid != nullptr ? wrong.pid : ours);
        Variable fds("LISTEN_FDS", wrong.fds);
        Variable names("LISTEN_FDNAMES", wrong.names != nullptr
                                             ? std::optional<std::string>(wrong.names)
                                             : std::nullopt);
        ssl_error err;
        size_t count = 9;
        EXPECT_TRUE(is(SALLY_CONFIG, ssl_inherited_fds(true, nullptr, 0, &count, &err), err));
        EXPECT_EQ(0U, count);
        EXPECT_NE(nullptr, std::strstr(err.text, wrong.says)) << err.text;
        EXPECT_EQ(nullptr, getenv("LISTEN_FDS"));
    }
}

TEST(Inherited, E3_ADescriptorThatIsNotOpenIsNamed)
{
    EXPECT_EQ(0, in_child([] {
                  hand_over_two(nullptr);
                  close(4);
                  ssl_error err;
                  size_t count = 9;
                  MUST(ssl_inherited_fds(true, nullptr, 0, &count, &err) == SALLY_SYSTEM);
                  MUST(count == 0 && err.sys_errno == EBADF);
                  MUST(strstr(err.text, "descriptor 4") != nullptr);
                  return 0;
              }));
}

TEST(Inherited, E3_BadArguments)
{
    ssl_error err;
    size_t count = 9;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_inherited_fds(false, nullptr, 0, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_inherited_fds(false, nullptr, 1, &count, &err), err));
    EXPECT_STREQ("ssl_inherited_fds: list is NULL", err.text);
}

} // namespace

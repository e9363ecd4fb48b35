// connect_race.c: several addresses, some of which do not answer. Rules: B5 B6 E2.
//
// An address that does not answer has a full backlog, and keeps it, so that a race that is won shows
// that nobody waited for it.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/full_listener.h"
#include "support/guards.h"
#include "support/handles.h"
#include "support/rng.h"
#include "support/threads.h"

extern "C" {
#include "connect_race.h"
#include "sock.h"
}

using namespace sallytest;

namespace
{

constexpr int64_t kNeverMs = 3600000; // a test that waits for it has failed
constexpr int64_t kBoundMs = slow(20000);

sally_resolved resolved(const std::vector<std::string> &addresses, int port)
{
    sally_resolved found = {};
    for (const std::string &address : addresses) {
        EXPECT_TRUE(sally_addr_parse(address.c_str(), port, &found.addresses[found.count++]));
    }
    return found;
}

std::vector<std::string> texts(const sally_resolved &found)
{
    std::vector<std::string> all;
    for (int i = 0; i < found.count; i++) {
        char text[SALLY_ADDR_TEXT_SIZE];
        sally_addr_text(&found.addresses[i], text, sizeof text);
        all.push_back(text);
    }
    return all;
}

std::vector<std::string> interleaved(const std::vector<std::string> &addresses)
{
    sally_resolved found = resolved(addresses, 1);
    sally_race_interleave(&found);
    return texts(found);
}

// Takes connections at 127.0.0.`host`, without ever looking at them.
class Answering
{
  public:
    Answering(uint8_t host, int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0))
    {
        sockaddr_in at = {};
        at.sin_family = AF_INET;
        at.sin_port = htons(static_cast<uint16_t>(port));
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
        int yes = 1;
        setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        EXPECT_EQ(0, bind(fd_.get(), reinterpret_cast<sockaddr *>(&at), sizeof at));
        EXPECT_EQ(0, listen(fd_.get(), 64));
    }
    // How many came since the last call.
    int visitors()
    {
        int count = 0;
        while (Fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC))) {
            count++;
        }
        return count;
    }

  private:
    Fd fd_;
};

struct Raced {
    ssl_status status = SALLY_OK;
    Fd fd;
    int reached = -1;
    ssl_error err = {};
};

class ConnectRace : public testing::Test
{
  protected:
    static void SetUpTestSuite()
    {
        dead = new FullListener();
        dead_too = new FullListener(2, dead->port());
        live = new Answering(3, dead->port());
        live_too = new Answering(4, dead->port());
        ASSERT_TRUE(dead->is_full() && dead_too->is_full());
    }
    static void TearDownTestSuite()
    {
        delete dead;
        delete dead_too;
        delete live;
        delete live_too;
    }
    void SetUp() override
    {
        (void)live->visitors();
        (void)live_too->visitors();
    }
    void TearDown() override
    {
        sally_sock_fail_at(0, 0);
    }

    // All at the one port. `brk` NULL: bounded all the same.
    static Raced race(const std::vector<std::string> &addresses, int64_t delay_ms,
                      ssl_break *brk = nullptr, int64_t bound_ms = kBoundMs)
    {
        Raced raced;
        Break bound = deadline_in_ms(bound_ms, brk);
        sally_scope scope;
        EXPECT_EQ(SALLY_OK,
                  sally_scope_enable(&scope, bound.get(), SALLY_PHASE_CONNECT, &raced.err));
        sally_resolved found = resolved(addresses, dead->port());
        sally_race asked = {"ssl_connect", "several.example", dead->port(), delay_ms, &scope};
        int fd = 99;
        raced.status = sally_race_run(&asked, &found, &fd, &raced.reached, &raced.err);
        raced.fd = Fd(fd);
        EXPECT_EQ(raced.status == SALLY_OK, fd >= 0);
        return raced;
    }

    static FullListener *dead;     // 127.0.0.1
    static FullListener *dead_too; // 127.0.0.2
    static Answering *live;        // 127.0.0.3
    static Answering *live_too;    // 127.0.0.4, and nobody is at 127.0.0.5
};

FullListener *ConnectRace::dead;
FullListener *ConnectRace::dead_too;
Answering *ConnectRace::live;
Answering *ConnectRace::live_too;

using Texts = std::vector<std::string>;

TEST(ConnectOrder, FamiliesTakeTurnsAndKeepTheirOrder)
{
    EXPECT_EQ((Texts{"::1", "10.0.0.1", "::2", "10.0.0.2", "::3"}),
              interleaved({"::1", "::2", "::3", "10.0.0.1", "10.0.0.2"}));
    EXPECT_EQ((Texts{"10.0.0.1", "::1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}),
              interleaved({"10.0.0.1", "10.0.0.2", "10.0.0.3", "::1", "10.0.0.4"}));
    EXPECT_EQ((Texts{"::1", "10.0.0.1", "::2", "::3"}),
              interleaved({"::1", "10.0.0.1", "::2", "::3"}));
    EXPECT_EQ((Texts{"::2", "::1"}), interleaved({"::2", "::1"}));
    EXPECT_EQ((Texts{"10.0.0.1"}), interleaved({"10.0.0.1"}));
}

TEST(ConnectOrder, NoAddressGetsLostWhateverTheOrder)
{
    Rng rng(51);
    for (int round = 0; round < 500; round++) {
        std::vector<std::string> before;
        for (uint64_t i = 1 + rng.below(SALLY_RESOLVE_MAX); i > 0; i--) {
            before.push_back((rng.one_in(2) ? "10.0.0." : "::") + std::to_string(i));
        }
        Texts after = interleaved(before);
        EXPECT_EQ(before.front(), after.front());
        EXPECT_EQ(std::multiset<std::string>(before.begin(), before.end()),
                  std::multiset<std::string>(after.begin(), after.end()));
    }
}

TEST_F(ConnectRace, ASilentAddressCostsTheDelayOnly)
{
    Raced raced = race({"127.0.0.1", "127.0.0.2", "127.0.0.3"}, SALLY_ATTEMPT_DELAY_MIN_MS);
    EXPECT_TRUE(is(SALLY_OK, raced.status, raced.err));
    EXPECT_EQ(2, raced.reached);
    // That it would have been waited for without the race:
    Raced alone = race({"127.0.0.1", "127.0.0.3"}, -1, nullptr, 30);
    EXPECT_TRUE(is(SALLY_TIMEOUT, alone.status, alone.err));
    EXPECT_EQ(0, live_too->visitors());
}

TEST_F(ConnectRace, AfterARefusalTheNextIsTriedAtOnce)
{
    for (int64_t delay_ms : {kNeverMs, int64_t{-1}}) {
        Raced raced = race({"127.0.0.5", "127.0.0.6", "255.255.255.255", "127.0.0.3"}, delay_ms);
        EXPECT_TRUE(is(SALLY_OK, raced.status, raced.err));
        EXPECT_EQ(3, raced.reached);
    }
}

TEST_F(ConnectRace, WhileTheFirstAnswersNobodyElseIsAsked)
{
    Raced raced = race({"127.0.0.3", "127.0.0.4"}, SALLY_ATTEMPT_DELAY_MIN_MS);
    EXPECT_TRUE(is(SALLY_OK, raced.status, raced.err));
    EXPECT_EQ(0, raced.reached);
    EXPECT_EQ(1, live->visitors());
    EXPECT_EQ(0, live_too->visitors());
}

TEST_F(ConnectRace, AnotherFamilyStepsIn)
{
    Raced raced = race({"::1", "127.0.0.3"}, kNeverMs);
    EXPECT_TRUE(is(SALLY_OK, raced.status, raced.err)); // nobody is at ::1, or there is no IPv6
    EXPECT_EQ(1, raced.reached);
}

TEST_F(ConnectRace, AllRefusedIsTheErrorOfTheLastThatAnsweredAndTheirNumber)
{
    Raced raced = race({"127.0.0.5", "127.0.0.6", "255.255.255.255"}, kNeverMs);
    EXPECT_TRUE(is(SALLY_SYSTEM, raced.status, raced.err));
    EXPECT_EQ(ECONNREFUSED, raced.err.sys_errno);
    std::string where = "several.example port " + std::to_string(dead->port()) + " (127.0.0.6:";
    EXPECT_NE(nullptr, strstr(raced.err.text, where.c_str())) << raced.err.text;
    EXPECT_NE(nullptr, strstr(raced.err.text, "3 addresses tried")) << raced.err.text;
}

TEST_F(ConnectRace, B6_ABreakClosesEveryAttempt)
{
    SocketsSince since;
    Break brk = new_break();
    Thread racer([&] {
        Raced raced = race({"127.0.0.1", "127.0.0.2"}, SALLY_ATTEMPT_DELAY_MIN_MS, brk.get());
        EXPECT_TRUE(since.opened().empty());
        EXPECT_TRUE(is(SALLY_BREAK, raced.status, raced.err));
        EXPECT_EQ(7, raced.err.code);
    });
    EXPECT_TRUE(eventually([&] { return since.opened().size() == 2; }));
    ssl_break_send(brk.get(), 7);
}

TEST_F(ConnectRace, B5_TheDeadlineClosesEveryAttempt)
{
    SocketsSince since;
    Raced raced = race({"127.0.0.1", "127.0.0.2"}, SALLY_ATTEMPT_DELAY_MIN_MS, nullptr, 60);
    EXPECT_TRUE(is(SALLY_TIMEOUT, raced.status, raced.err));
    EXPECT_TRUE(since.opened().empty());
}

// Call 3 makes the second socket, call 4 connects it: each fails once and is done again later.
TEST_F(ConnectRace, AShortageSpoilsNoAttemptThatRunsAndNoAddressThatWaits)
{
    for (int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
        for (long nth : {3, 4}) {
            sally_sock_fail_at(nth, error);
            Raced raced = race({"127.0.0.1", "127.0.0.3"}, SALLY_ATTEMPT_DELAY_MIN_MS);
            EXPECT_TRUE(is(SALLY_OK, raced.status, raced.err)) << strerror(error);
            EXPECT_EQ(1, raced.reached);
            EXPECT_GT(sally_sock_count(), nth);
        }
    }
}

TEST_F(ConnectRace, AShortageWithNothingRunningIsAFailure)
{
    sally_sock_fail_at(1, EMFILE);
    Raced raced = race({"127.0.0.3"}, SALLY_ATTEMPT_DELAY_MIN_MS);
    EXPECT_TRUE(is(SALLY_SYSTEM, raced.status, raced.err));
    EXPECT_EQ(EMFILE, raced.err.sys_errno);
}

// The one that was tried first wakes up: it was kept while others were tried.
TEST_F(ConnectRace, AnEarlyAttemptCanStillWin)
{
    FullListener sleepy(7, dead->port());
    ASSERT_TRUE(sleepy.is_full());
    SocketsSince since;
    Thread racer([&] {
        sally_sock_fail_at(3, EMFILE);
        Raced raced = race({"127.0.0.7", "127.0.0.1", "127.0.0.2"}, SALLY_ATTEMPT_DELAY_MIN_MS);
        sally_sock_fail_at(0, 0);
        EXPECT_EQ(1u, since.opened().size());
        EXPECT_TRUE(is(SALLY_OK, raced.status, raced.err));
        EXPECT_EQ(0, raced.reached);
    });
    EXPECT_TRUE(eventually([&] { return since.opened().size() == 3; }));
    sleepy.make_room();
}

TEST_F(ConnectRace, AsManyAddressesAsALookupGives)
{
    std::vector<std::string> all(SALLY_RESOLVE_MAX - 1, "127.0.0.5");
    all.insert(all.begin() + 7, "127.0.0.3");
    Raced raced = race(all, kNeverMs);
    EXPECT_TRUE(is(SALLY_OK, raced.status, raced.err));
    EXPECT_EQ(7, raced.reached);
}

// Any mixture of addresses, breaks at any moment: it is broken, or connected to one that is there, or
// all were refused; and nothing else stays open.
TEST_F(ConnectRace, B6_ManySeeds)
{
    const Texts kinds = {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "::1"};
    Rng rng(6);
    int counts[SALLY_LIMIT + 1] = {};
    for (long round = 0; round < long_run(150, 10000); round++) {
        Texts addresses;
        for (uint64_t i = 1 + rng.below(6); i > 0; i--) {
            addresses.push_back(kinds[rng.below(kinds.size())]);
        }
        Break brk = new_break();
        uint64_t yields = rng.below(rng.one_in(4) ? 100000 : 2000);
        SocketsSince since;
        std::atomic<bool> over{false};
        Thread breaker([&, yields] {
            for (uint64_t i = 0; i < yields && !over; i++) {
                std::this_thread::yield();
            }
            ssl_break_send(brk.get(), 1);
        });
        Raced raced = race(addresses, SALLY_ATTEMPT_DELAY_MIN_MS, brk.get());
        over = true;
        counts[raced.status]++;
        breaker.join();
        size_t open = raced.status == SALLY_OK ? 1 : 0;
        ASSERT_EQ(open, since.opened().size());
        if (open == 1) {
            std::string taken = addresses[static_cast<size_t>(raced.reached)];
            EXPECT_TRUE(taken == "127.0.0.3" || taken == "127.0.0.4") << taken;
        } else if (raced.status == SALLY_SYSTEM) {
            EXPECT_EQ(ECONNREFUSED, raced.err.sys_errno) << raced.err.text;
        } else {
            ASSERT_TRUE(is(SALLY_BREAK, raced.status, raced.err));
        }
        (void)live->visitors();
        (void)live_too->visitors();
    }
    EXPECT_GT(counts[SALLY_OK], 0);
    EXPECT_GT(counts[SALLY_BREAK], 0);
}

} // namespace

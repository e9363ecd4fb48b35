// resolve.c: name lookup that can be broken (B8).

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/handles.h"
#include "support/rng.h"
#include "support/threads.h"

extern "C" {
#include "mem.h"
#include "resolve.h"
#include "sync.h"
}

using sallytest::Break;
using sallytest::eventually;
using sallytest::is;
using sallytest::new_break;

namespace
{

constexpr int helpers_max = 8;

#ifdef SALLY_TEST_TSAN
constexpr bool under_tsan = true;
#else
constexpr bool under_tsan = false;
#endif

// The resolver that the tests put in place of getaddrinfo. "held..." waits until the gate opens;
// "error:N" fails with EAI code N; anything else is 192.0.2.1.
struct FakeResolver {
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    sallytest::Latch gate;
};
FakeResolver *fake;

int answer(const char *service, const addrinfo *hints, addrinfo **result)
{
    addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    return getaddrinfo("192.0.2.1", service, &numeric, result);
}

int fake_getaddrinfo(const char *host, const char *service, const addrinfo *hints,
                     addrinfo **result)
{
    FakeResolver *resolver = fake;
    resolver->begun++;
    int error = 0;
    if (strncmp(host, "held", 4) == 0) {
        resolver->gate.wait();
    }
    if (strncmp(host, "error:", 6) == 0) {
        error = atoi(host + 6);
        errno = EIO;
    }
    if (error == 0) {
        error = answer(service, hints, result);
    }
    resolver->ended++;
    return error;
}

// So many IPv6 addresses, and then so many IPv4 ones.
int many_v6 = 0;
int many_v4 = 0;

int many_addresses(const char *, const char *service, const addrinfo *hints, addrinfo **result)
{
    addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    for (int i = 0; i < many_v6 + many_v4; i++) {
        std::string text = i < many_v6 ? "2001:db8::" + std::to_string(i + 1)
                                       : "192.0.2." + std::to_string(i - many_v6 + 1);
        int error = getaddrinfo(text.c_str(), service, &numeric, result);
        if (error != 0) {
            return error;
        }
        result = &(*result)->ai_next;
    }
    return 0;
}

int real_with_signals_checked(const char *host, const char *service, const addrinfo *hints,
                              addrinfo **result)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    if (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGTERM)) {
        return EAI_FAIL;
    }
    return getaddrinfo(host, service, hints, result);
}

std::string text_of(const sally_addr &addr)
{
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&addr, text, sizeof text);
    return text;
}

sally_scope scope_none()
{
    sally_scope scope = {};
    scope.deadline = SALLY_NEVER;
    return scope;
}

class Resolve : public testing::Test
{
  protected:
    void TearDown() override
    {
        sally_mem_fail_at(0, 0);
        sally_thread_fail_at(0);
        expect_idle();
        sally_resolve_set_hook(nullptr);
    }

    static void expect_idle()
    {
        EXPECT_TRUE(eventually([] { return sally_resolve_helpers() == 0; }));
    }

    ssl_status resolve(const char *host, int port = 443, bool passive = false)
    {
        sally_scope scope = scope_none();
        return sally_resolve(host, port, passive, &scope, &result, &err);
    }

    sally_resolved result;
    ssl_error err;
};

// The first ones when the families take turns, so that no family is pushed out by the other.
TEST_F(Resolve, L1_OfManyAddressesBothFamiliesAreKept)
{
    struct {
        int v6, v4, kept_v6, kept_v4;
    } cases[] = {{20, 20, 8, 8}, {20, 3, 13, 3}, {3, 20, 3, 13}, {20, 0, 16, 0},
                 {0, 20, 0, 16}, {5, 5, 5, 5},   {15, 1, 15, 1}, {16, 1, 15, 1}};
    sally_resolve_set_hook(many_addresses);
    for (const auto &c : cases) {
        many_v6 = c.v6;
        many_v4 = c.v4;
        ASSERT_TRUE(is(SALLY_OK, resolve("many.example"), err));
        ASSERT_EQ(c.kept_v6 + c.kept_v4, result.count);
        for (int i = 0; i < result.count; i++) {
            bool is_v6 = i < c.kept_v6;
            EXPECT_EQ(is_v6 ? AF_INET6 : AF_INET, result.addresses[i].storage.ss_family) << i;
        }
    }
}

TEST_F(Resolve, B8_NumericAddressesNeedNoHelper)
{
    sally_thread_fail_at(1);
    ASSERT_TRUE(is(SALLY_OK, resolve("127.0.0.1"), err));
    ASSERT_EQ(result.count, 1);
    EXPECT_EQ(text_of(result.addresses[0]), "127.0.0.1:443");
    ASSERT_TRUE(is(SALLY_OK, resolve("::1", 1), err));
    EXPECT_EQ(text_of(result.addresses[0]), "[::1]:1");
    ASSERT_TRUE(is(SALLY_OK, resolve("unix:/run/x"), err));
    EXPECT_EQ(text_of(result.addresses[0]), "unix:/run/x");
}

TEST_F(Resolve, NoHostIsEveryAddressOfAListener)
{
    ASSERT_TRUE(is(SALLY_OK, resolve(nullptr, 80, true), err));
    ASSERT_EQ(result.count, 2);
    EXPECT_EQ(text_of(result.addresses[0]), "[::]:80");
    EXPECT_EQ(text_of(result.addresses[1]), "0.0.0.0:80");
}

TEST_F(Resolve, WrongUseIsNamed)
{
    EXPECT_TRUE(is(SALLY_USAGE, resolve("127.0.0.1", 65536), err));
    EXPECT_STREQ(err.text, "port 65536 is out of range (0 to 65535)");
    EXPECT_TRUE(is(SALLY_USAGE, resolve("127.0.0.1", -1), err));
    EXPECT_TRUE(is(SALLY_USAGE, resolve(nullptr), err));
    EXPECT_TRUE(is(SALLY_USAGE, resolve("unix:"), err));
    EXPECT_EQ(result.count, 0);
}

TEST_F(Resolve, TheLongestNameDoesNoHarm)
{
    std::string name(100000, 'n');
    EXPECT_TRUE(is(SALLY_SYSTEM, resolve(name.c_str()), err));
    EXPECT_EQ(std::string(err.text).substr(0, 18), "cannot look up \"nn");
}

TEST_F(Resolve, B8_TheSystemKnowsLocalhostAndHelpersTakeNoSignals)
{
    sally_resolve_set_hook(real_with_signals_checked);
    ASSERT_TRUE(is(SALLY_OK, resolve("localhost", 8443), err));
    ASSERT_GE(result.count, 1);
    for (int i = 0; i < result.count; i++) {
        EXPECT_EQ(sally_addr_port(&result.addresses[i]), 8443);
    }
}

TEST_F(Resolve, ANameOfAListenerIsLookedUpToo)
{
    ASSERT_TRUE(is(SALLY_OK, resolve("localhost", 0, true), err));
    EXPECT_GE(result.count, 1);
}

// A lookup in a thread of its own, with a token to break it.
class Lookup
{
  public:
    explicit Lookup(const char *host)
        : brk_(new_break()), thread_([this, host] {
              sally_scope scope;
              status = sally_scope_enable(&scope, brk_.get(), SALLY_PHASE_RESOLVE, &err);
              if (status == SALLY_OK) {
                  status = sally_resolve(host, 443, false, &scope, &result, &err);
              }
          })
    {
    }
    void send()
    {
        EXPECT_EQ(ssl_break_send(brk_.get(), 5), SALLY_OK);
    }
    void join()
    {
        thread_.join();
    }
    bool is_done() const
    {
        return thread_.is_done();
    }
    bool is_asleep() const
    {
        return sallytest::wait_until_asleep(thread_);
    }

    ssl_status status = SALLY_OK;
    ssl_error err = {};
    sally_resolved result = {};

  private:
    Break brk_;
    sallytest::Thread thread_;
};

class FakeResolve : public Resolve
{
  protected:
    void SetUp() override
    {
        fake = &resolver;
        sally_resolve_set_hook(fake_getaddrinfo);
    }
    void TearDown() override
    {
        resolver.gate.open();
        Resolve::TearDown();
    }

    std::vector<std::unique_ptr<Lookup>> hold_all_helpers()
    {
        std::vector<std::unique_ptr<Lookup>> lookups;
        for (int i = 0; i < helpers_max; i++) {
            lookups.push_back(std::make_unique<Lookup>("held"));
        }
        EXPECT_TRUE(eventually([this] { return resolver.begun == helpers_max; }));
        return lookups;
    }

    void expect_all_answered(const std::vector<std::unique_ptr<Lookup>> &lookups)
    {
        resolver.gate.open();
        for (auto &lookup : lookups) {
            lookup->join();
            EXPECT_TRUE(is(SALLY_OK, lookup->status, lookup->err));
        }
    }

    FakeResolver resolver;
};

TEST_F(FakeResolve, AnUnknownHostIsNamed)
{
    std::string host = "error:" + std::to_string(EAI_NONAME);
    EXPECT_TRUE(is(SALLY_SYSTEM, resolve(host.c_str()), err));
    EXPECT_EQ(err.text, "cannot look up \"" + host + "\": " + gai_strerror(EAI_NONAME));
    EXPECT_EQ(err.phase, SALLY_PHASE_RESOLVE);
    EXPECT_EQ(result.count, 0);
}

TEST_F(FakeResolve, EveryKindOfFailureHasItsCategory)
{
    EXPECT_TRUE(is(SALLY_MEMORY, resolve(("error:" + std::to_string(EAI_MEMORY)).c_str()), err));
    EXPECT_TRUE(is(SALLY_SYSTEM, resolve(("error:" + std::to_string(EAI_AGAIN)).c_str()), err));
    EXPECT_TRUE(is(SALLY_SYSTEM, resolve(("error:" + std::to_string(EAI_SYSTEM)).c_str()), err));
    EXPECT_EQ(err.sys_errno, EIO);
    EXPECT_NE(strstr(err.text, strerror(EIO)), nullptr);
}

TEST_F(FakeResolve, WithoutMemoryOrThreadsNothingIsLeft)
{
    ASSERT_TRUE(is(SALLY_OK, resolve("warm-up"), err));
    sally_mem_fail_at(1, 0);
    EXPECT_TRUE(is(SALLY_MEMORY, resolve("host"), err));
    expect_idle();
    sally_thread_fail_at(1);
    EXPECT_TRUE(is(SALLY_SYSTEM, resolve("host"), err));
    EXPECT_EQ(err.sys_errno, EAGAIN);
    EXPECT_EQ(resolver.begun, 1);
}

TEST_F(FakeResolve, B8_ABreakEndsALookupAtOnce)
{
    Lookup lookup("held");
    ASSERT_TRUE(eventually([this] { return resolver.begun == 1; }));
    lookup.send();
    lookup.join();
    EXPECT_TRUE(is(SALLY_BREAK, lookup.status, lookup.err));
    EXPECT_EQ(lookup.err.code, 5);
    EXPECT_EQ(resolver.ended, 0);
    EXPECT_EQ(sally_resolve_helpers(), 1);
}

TEST_F(FakeResolve, B5_ADeadlineEndsALookup)
{
    sally_scope scope = scope_none();
    sally_scope_bound(&scope, ssl_deadline_after_ms(30));
    ssl_status status = sally_resolve("held", 443, false, &scope, &result, &err);
    EXPECT_TRUE(is(SALLY_TIMEOUT, status, err));
    EXPECT_EQ(resolver.ended, 0);
}

TEST_F(FakeResolve, B2_APendingBreakWinsOverANumericAddress)
{
    Break brk = new_break();
    ssl_break_send(brk.get(), 9);
    sally_scope scope;
    ASSERT_EQ(sally_scope_enable(&scope, brk.get(), SALLY_PHASE_RESOLVE, &err), SALLY_OK);
    ssl_status status = sally_resolve("127.0.0.1", 443, false, &scope, &result, &err);
    EXPECT_TRUE(is(SALLY_BREAK, status, err));
    EXPECT_EQ(result.count, 0);
}

TEST_F(FakeResolve, B8_HelpersAreBoundedAndAQueuedLookupThatIsBrokenNeverRuns)
{
    std::vector<std::unique_ptr<Lookup>> lookups = hold_all_helpers();
    Lookup broken("broken");
    Lookup patient("patient");
    ASSERT_TRUE(broken.is_asleep());
    ASSERT_TRUE(patient.is_asleep());
    EXPECT_EQ(sally_resolve_helpers(), helpers_max);
    broken.send();
    broken.join();
    EXPECT_TRUE(is(SALLY_BREAK, broken.status, broken.err));
    expect_all_answered(lookups);
    patient.join();
    EXPECT_TRUE(is(SALLY_OK, patient.status, patient.err));
    expect_idle();
    EXPECT_EQ(resolver.begun, helpers_max + 1);
}

TEST_F(FakeResolve, B8_ABreakThatRacesWithTheAnswerGivesOneOrTheOther)
{
    sallytest::Rng rng(8);
    long broken = 0;
    long rounds = sallytest::long_run(300, 20000);
    for (long i = 0; i < rounds; i++) {
        Lookup lookup("quick");
        for (uint64_t spin = rng.below(200); spin > 0; spin--) {
            std::this_thread::yield();
        }
        lookup.send();
        lookup.join();
        if (lookup.status == SALLY_BREAK) {
            broken++;
        } else {
            ASSERT_TRUE(is(SALLY_OK, lookup.status, lookup.err));
            ASSERT_EQ(lookup.result.count, 1);
            ASSERT_EQ(text_of(lookup.result.addresses[0]), "192.0.2.1:443");
        }
    }
    RecordProperty("broken", static_cast<int>(broken));
}

TEST_F(FakeResolve, B10_AChildOfAForkLooksUpWithHelpersOfItsOwn)
{
    if (under_tsan) {
        GTEST_SKIP() << "ThreadSanitizer allows no new threads after a fork of a threaded process";
    }
    std::vector<std::unique_ptr<Lookup>> lookups = hold_all_helpers();
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        bool fine = resolve("host") == SALLY_OK && result.count == 1;
        _exit(fine ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_all_answered(lookups);
}

} // namespace

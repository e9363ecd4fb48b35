// fetch.c, offer_words.c: what comes from the other end is looked at before it counts (W8); and any call may fail, at
// either end.
#include <functional>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "offer_fixture.h"
#include "support/faults.h"
#include "support/no_descriptors.h"

extern "C" {
#include "mem.h"
#include "sock.h"
}

using namespace sallytest;

namespace
{

// ---- whom one talks to -------------------------------------------------------------------------

// Makes the calling thread another user's, and it alone: that is what the kernel does, and what the C library's
// setresuid(2) makes up for. Needs root.
bool become_another_user()
{
    constexpr uid_t kNobody = 65534;
    bool changed = syscall(SYS_setresuid, kNobody, kNobody, kNobody) == 0;
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // leak checkers look into this process at its end
    return changed;
}

TEST_F(Offer, W8_AProcessOfAnotherUserGetsNothing)
{
    if (geteuid() != 0) {
        GTEST_SKIP() << "needs root, to be another user";
    }
    where_ = abstract_name();
    offer();
    raw_fetcher(where_); // leaves at once
    EXPECT_EQ(SALLY_TRUNCATED, told(1)[0].status);
    Thread other([this] {
        ASSERT_TRUE(become_another_user());
        Fd fd = raw_fetcher(where_);
        char nothing;
        EXPECT_EQ(0, recv(fd.get(), &nothing, 1, 0));
    });
    std::vector<ssl_error> why = told(2);
    EXPECT_EQ(EPERM, why[1].sys_errno);
    EXPECT_NE(nullptr, std::strstr(why[1].text, "user 65534")) << why[1].text;
    expect_taken_over();
}

TEST_F(Offer, W8_NothingIsTakenFromAnotherUsersProcess)
{
    if (geteuid() != 0) {
        GTEST_SKIP() << "needs root, to be another user";
    }
    FdGuard fds;
    where_ = abstract_name();
    Latch listens;
    Thread other([&] {
        ASSERT_TRUE(become_another_user());
        Fd door = raw_offerer(where_);
        listens.open();
        Fd fd(accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC));
        send_record(fd.get(), SALLY_OFFER_MAGIC "a", {door.get()});
        char nothing;
        EXPECT_GE(0, recv(fd.get(), &nothing, 1, 0));
    });
    ASSERT_TRUE(listens.wait());
    Fetched f;
    fetch(&f);
    EXPECT_TRUE(is(SALLY_SYSTEM, f.status, f.err));
    EXPECT_EQ(EPERM, f.err.sys_errno);
    EXPECT_EQ(0U, f.count);
}

// What is no offer is refused in words, and its descriptors are closed.
TEST_F(Offer, E3_W8_RecordsThatAreNoOffersAreRefused)
{
    Fd listens(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, listen(listens.get(), 1));
    Fd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::string magic = SALLY_OFFER_MAGIC;
    const int good = listens.get();
    struct {
        std::string bytes;
        std::vector<int> fds;
        ssl_status status;
        const char *says;
    } all[] = {
        {"", {good}, SALLY_PROTOCOL, "does not begin"},
        {"s", {good}, SALLY_PROTOCOL, "does not begin"},
        {magic.substr(0, magic.size() - 1), {good}, SALLY_PROTOCOL, "does not begin"},
        {"sallyport-offer-2\na", {good}, SALLY_PROTOCOL, "does not begin"},
        {std::string(400, '\0'), {}, SALLY_PROTOCOL, "does not begin"},
        {magic + "a", {}, SALLY_PROTOCOL, "a name for each"},
        {magic + "a:b", {good}, SALLY_PROTOCOL, "a name for each"},
        {magic + "a", {good, good}, SALLY_PROTOCOL, "a name for each"},
        {magic + std::string("a\0b", 3), {good}, SALLY_PROTOCOL, "a NUL"},
        {magic + "a", {silent.get()}, SALLY_PROTOCOL, "no listening socket"},
        {magic + "a:b", {good, file.get()}, SALLY_PROTOCOL, "no listening socket"},
        {magic + std::string(SALLY_OFFER_BYTES_MAX, 'n'), {good}, SALLY_PROTOCOL, "too long"},
        {magic + std::string(100000, ':'), {good}, SALLY_PROTOCOL, "too long"},
        {magic + "1:2:3:4:5:6:7:8:9", std::vector<int>(9, good), SALLY_LIMIT,
         "there is room for 8"},
    };
    for (const auto &wrong : all) {
        SCOPED_TRACE(wrong.bytes.substr(0, 40));
        FdGuard fds;
        std::string where = abstract_name();
        Fd door = raw_offerer(where);
        Thread other([&] {
            Fd fd(accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC));
            EXPECT_EQ(static_cast<ssize_t>(wrong.bytes.size()),
                      send_record(fd.get(), wrong.bytes, wrong.fds))
                << strerror(errno);
            char rest;
            EXPECT_EQ(0, recv(fd.get(), &rest, 1, 0));
        });
        Fetched f;
        f.status = ssl_fetch_listeners(where.c_str(), f.list, kRoom, &f.count, &f.err);
        EXPECT_TRUE(is(wrong.status, f.status, f.err));
        EXPECT_NE(nullptr, std::strstr(f.err.text, wrong.says)) << f.err.text;
        EXPECT_EQ(0U, f.count);
    }
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_take_over(&err_), err_)) << "nothing was kept";
}

// As many as the kernel lets through in one record, the longest names.
TEST_F(Offer, W8_AsManyAsThereMayBe)
{
    FdGuard fds;
    Fd listens(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, listen(listens.get(), 1));
    std::string name(256, 'n');
    for (size_t count : {SALLY_OFFERED_MAX, SALLY_OFFERED_MAX + 1}) {
        where_ = abstract_name();
        std::vector<int> others(count, listens.get());
        std::vector<const char *> names(count, name.c_str());
        options_ = SALLY_OFFER_OPTIONS;
        options_.where = where_.c_str();
        options_.sockets.fds = others.data();
        options_.sockets.fd_names = names.data();
        options_.sockets.fd_count = count;
        thread_ = std::make_unique<Thread>(
            [this] { status_ = ssl_offer_listeners(&options_, nullptr, &err_); });
        std::vector<ssl_inherited> list(count);
        size_t got = 0;
        auto fetched = [&] {
            ssl_status status =
                ssl_fetch_listeners(where_.c_str(), list.data(), count, &got, nullptr);
            return status != SALLY_OK || got != 0;
        };
        ssl_error gone;
        EXPECT_TRUE(eventually(fetched, 20));
        if (count == SALLY_OFFERED_MAX) {
            EXPECT_EQ(count, got);
            EXPECT_EQ(std::string(255, 'n'), list[count - 1].name) << "cut to the room";
            EXPECT_TRUE(is(SALLY_OK, ssl_take_over(&gone), gone));
            EXPECT_TRUE(is(SALLY_OK, result(), err_));
        } else {
            EXPECT_TRUE(is(SALLY_LIMIT, result(), err_));
        }
        for (size_t i = 0; i < got; i++) {
            close(list[i].fd);
        }
    }
}

// The kernel leaves out what this process may not have open.
TEST_F(Offer, W8_WithoutDescriptorsForAllOfThemItIsALimit)
{
    warm_up();
    FdGuard fds;
    Fd door = raw_offerer(where_);
    Fd listens(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, listen(listens.get(), 1));
    Thread other([&] {
        Fd fd(accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC));
        NoDescriptors none;
        none.give_back(3);
        send_record(fd.get(), SALLY_OFFER_MAGIC "1:2:3:4:5:6:7:8",
                    std::vector<int>(8, listens.get()));
        char rest;
        EXPECT_EQ(0, recv(fd.get(), &rest, 1, 0));
    });
    Fetched f;
    f.status = ssl_fetch_listeners(where_.c_str(), f.list, kRoom, &f.count, &f.err);
    EXPECT_TRUE(is(SALLY_LIMIT, f.status, f.err));
    EXPECT_NE(nullptr, std::strstr(f.err.text, "RLIMIT_NOFILE")) << f.err.text;
    EXPECT_EQ(0U, f.count);
}

TEST_F(Offer, E3_W8_AnOldProcessThatEndsIsToldOf)
{
    FdGuard fds;
    Fd door = raw_offerer(where_);
    Thread other([&] { Fd(accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC)); });
    Fetched f;
    fetch(&f);
    EXPECT_TRUE(is(SALLY_TRUNCATED, f.status, f.err));
}

// It may say one word only; what else it says, and the descriptors that it sends, are dropped.
TEST_F(Offer, E3_W8_AProcessThatTalksNonsenseTakesNothingOver)
{
    FdGuard fds;
    offer();
    size_t count = 0;
    Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const std::string &word :
         {std::string("X"), std::string("L"), std::string("SS"), std::string(100000, 'S')}) {
        Fd fd = raw_fetcher(where_);
        EXPECT_EQ(static_cast<ssize_t>(word.size()), send_record(fd.get(), word, {file.get()}));
        ssl_error why = told(++count).back();
        EXPECT_EQ(SALLY_PROTOCOL, why.status) << why.text;
    }
    expect_taken_over();
}

// One that hides its word behind nonsense of no length gets no further.
TEST_F(Offer, E3_W8_AnEmptyRecordIsTheEnd)
{
    FdGuard fds;
    offer();
    Fd fd = raw_fetcher(where_);
    EXPECT_EQ(0, send_record(fd.get(), "", {}));
    EXPECT_EQ(SALLY_TRUNCATED, told(1)[0].status);
    expect_taken_over();
}

// ---- faults ------------------------------------------------------------------------------------

// A fetch under a fault; what it got is given back at once.
Trial fetch_trial(const std::string &where)
{
    Trial trial([where](ssl_error *err) {
        Fetched f;
        f.status = ssl_fetch_listeners(where.c_str(), f.list, kRoom, &f.count, err);
        EXPECT_EQ(f.status == SALLY_OK, f.count == 1);
        return f.status;
    });
    trial.cleanup = let_go;
    return trial;
}

TEST_F(Offer, E2_W8_AnyAllocationOfAFetchMayFail)
{
    offer();
    EXPECT_TRUE(eventually([this] { return exists(where_); }, 20));
    raw_fetcher(where_);
    sweep_allocations("ssl_fetch_listeners", fetch_trial(where_));
}

TEST_F(Offer, E2_W8_AnySocketCallOfAFetchMayFail)
{
    offer();
    raw_fetcher(where_);
    sweep_socket_calls("ssl_fetch_listeners", ENOBUFS, fetch_trial(where_));
}

// Whatever fails in the old process, it goes on, and the next process gets what is offered; or the call ends with
// the fault, and leaves nothing.
void sweep_offer(const std::function<void(long nth)> &begin, const std::function<long()> &end,
                 ssl_offer_options options, const std::string &where)
{
    for (long nth = 1;; nth++) {
        SCOPED_TRACE(nth);
        ASSERT_GT(200, nth);
        FdGuard fds;
        long calls = 0;
        ssl_status status = SALLY_OK;
        ssl_error err = {};
        std::atomic<bool> ended{false};
        Thread old([&] {
            begin(nth);
            status = ssl_offer_listeners(&options, nullptr, &err);
            calls = end();
            ended = true;
        });
        auto taken = [&] {
            Fetched f;
            f.status = ssl_fetch_listeners(where.c_str(), f.list, kRoom, &f.count, &f.err);
            if (f.status == SALLY_OK && f.count != 0) {
                (void)ssl_take_over(&f.err);
            }
            return ended.load();
        };
        EXPECT_TRUE(eventually(taken, 20));
        old.join();
        EXPECT_FALSE(exists(where));
        EXPECT_TRUE(status == SALLY_OK || status == SALLY_MEMORY || err.sys_errno == ENOBUFS)
            << err.text;
        if (calls < nth) {
            EXPECT_EQ(SALLY_OK, status);
            EXPECT_LT(2, nth);
            return;
        }
    }
}

TEST_F(Offer, E2_W8_AnyAllocationOfAnOfferMayFail)
{
    ssl_listener *one[] = {listener_.get()};
    options_.where = where_.c_str();
    options_.sockets.listeners = one;
    options_.sockets.count = 1;
    sweep_offer([](long nth) { sally_mem_fail_at(nth, 0); },
                [] {
                    long calls = sally_mem_count();
                    sally_mem_fail_at(0, 0);
                    return calls;
                },
                options_, where_);
}

TEST_F(Offer, E2_W8_AnySocketCallOfAnOfferMayFail)
{
    ssl_listener *one[] = {listener_.get()};
    options_.where = where_.c_str();
    options_.sockets.listeners = one;
    options_.sockets.count = 1;
    sweep_offer([](long nth) { sally_sock_fail_at(nth, ENOBUFS); },
                [] {
                    long calls = sally_sock_count();
                    sally_sock_fail_at(0, 0);
                    return calls;
                },
                options_, where_);
}

} // namespace

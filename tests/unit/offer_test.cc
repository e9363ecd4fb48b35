// offer.c, take_over.c, unix_file.c: listeners offered on a Unix socket, and fetched (W8). With two processes
// tests/scenario/offer_test.cc does it; those that mean no good are in fetch_test.cc.
#include <fcntl.h>

#include "offer_fixture.h"

using namespace sallytest;

namespace
{

// ---- between two that mean well ----------------------------------------------------------------

TEST_F(Offer, W8_WhatIsFetchedIsWhatWasOffered)
{
    FdGuard fds;
    Fd plain(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, listen(plain.get(), 4));
    const int others[] = {plain.get()};
    const char *other_names[] = {"metrics"};
    options_.sockets.fds = others;
    options_.sockets.fd_names = other_names;
    options_.sockets.fd_count = 1;
    offer();
    Fetched f;
    fetch(&f);
    ASSERT_TRUE(is(SALLY_OK, f.status, f.err));
    ASSERT_EQ(2U, f.count);
    EXPECT_STREQ("front", f.list[0].name);
    EXPECT_STREQ("metrics", f.list[1].name);
    EXPECT_EQ(inode_of(plain.get()), inode_of(f.list[1].fd));
    EXPECT_EQ(inode_of(listening_fd_of(listener_.get())), inode_of(f.list[0].fd));
    for (size_t i = 0; i < f.count; i++) {
        EXPECT_EQ(FD_CLOEXEC, fcntl(f.list[i].fd, F_GETFD));
    }
    EXPECT_TRUE(exists(where_));
    EXPECT_TRUE(is(SALLY_OK, ssl_take_over(&f.err), f.err));
    EXPECT_FALSE(exists(where_)) << "whoever has taken over can offer at the same place";
    EXPECT_TRUE(is(SALLY_OK, result(), err_));
    EXPECT_EQ(getpid(), pid_);
    EXPECT_TRUE(told(0).empty());
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_take_over(&f.err), f.err)) << "it is said once";
}

TEST_F(Offer, W8_WithoutNamesTheyAreUnknown)
{
    offer();
    stop();
    thread_.reset();
    stop_ = new_break();
    listeners_[0] = listener_.get();
    options_.sockets.names = nullptr;
    thread_ = std::make_unique<Thread>([this] {
        status_ = ssl_offer_listeners_enable_break(&options_, stop_.get(), &pid_, &err_);
    });
    Fetched f;
    fetch(&f);
    ASSERT_EQ(1U, f.count);
    EXPECT_STREQ("unknown", f.list[0].name);
    let_go();
}

TEST_F(Offer, W8_AnAbstractNameHasNoFile)
{
    where_ = abstract_name();
    offer();
    expect_taken_over();
}

// Both forms that nothing breaks.
TEST_F(Offer, W8_ThePlainForm)
{
    ssl_listener *one[] = {listener_.get()};
    options_.where = where_.c_str();
    options_.sockets.listeners = one;
    options_.sockets.count = 1;
    thread_ = std::make_unique<Thread>(
        [this] { status_ = ssl_offer_listeners(&options_, nullptr, &err_); });
    expect_taken_over();
}

TEST_F(Offer, W8_WhereNobodyOffersNothingIsFetched)
{
    FdGuard fds;
    for (const std::string &where : {where_, abstract_name(), dir_.path("no/such/directory")}) {
        size_t count = 77;
        EXPECT_TRUE(
            is(SALLY_OK, ssl_fetch_listeners(where.c_str(), nullptr, 0, &count, &err_), err_));
        EXPECT_EQ(0U, count);
    }
    raw_offerer(where_); // has gone already
    size_t count = 77;
    EXPECT_TRUE(is(SALLY_OK, ssl_fetch_listeners(where_.c_str(), nullptr, 0, &count, &err_), err_));
    EXPECT_EQ(0U, count);
}

TEST_F(Offer, W8_TheFileOfAUnixSocketGoesWithIt)
{
    for (bool taken : {false, true}) {
        std::string path = dir_.path(taken ? "taken" : "kept");
        std::string host = "unix:" + path;
        ssl_listen_options with_file = SALLY_LISTEN_OPTIONS;
        with_file.host = host.c_str();
        listener_ = listen_with(with_file, server_.get());
        stop_ = new_break();
        offer();
        Fetched f;
        fetch(&f);
        if (taken) {
            EXPECT_TRUE(is(SALLY_OK, ssl_take_over(&f.err), f.err));
        } else {
            let_go();
            stop();
        }
        thread_->join();
        listener_.reset();
        EXPECT_EQ(taken, exists(path));
    }
}

// ---- a new process that comes to nothing -------------------------------------------------------

TEST_F(Offer, W8_OneThatLeavesIsToldOfAndTheNextIsServed)
{
    FdGuard fds;
    offer();
    {
        Fetched f;
        fetch(&f);
        EXPECT_EQ(1U, f.count);
        let_go();
    }
    ssl_error why = told(1)[0];
    EXPECT_EQ(SALLY_TRUNCATED, why.status);
    EXPECT_NE(nullptr, std::strstr(why.text, "before it served")) << why.text;
    EXPECT_TRUE(exists(where_));
    expect_taken_over();
}

TEST_F(Offer, W8_OneThatIsNotReadyInTimeIsGivenUp)
{
    FdGuard fds;
    options_.timeout_ms = 50;
    offer();
    Fetched f;
    fetch(&f);
    ssl_error why = told(1)[0];
    EXPECT_EQ(SALLY_TIMEOUT, why.status);
    EXPECT_NE(nullptr, std::strstr(why.text, "did not serve in time")) << why.text;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_take_over(&f.err), f.err));
    EXPECT_EQ(EPIPE, f.err.sys_errno);
    EXPECT_FALSE(thread_->is_done());
}

// It fetches once more before it serves: the first time counts for nothing.
TEST_F(Offer, W8_WhoFetchesAgainLetsGoOfTheFirst)
{
    FdGuard fds;
    offer();
    Fetched first;
    fetch(&first);
    std::string elsewhere = abstract_name();
    Fd door = raw_offerer(elsewhere);
    Fd here(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, listen(here.get(), 1));
    Thread other([&] {
        Fd fd(accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC));
        send_record(fd.get(), SALLY_OFFER_MAGIC "a", {here.get()});
        char rest;
        EXPECT_EQ(0, recv(fd.get(), &rest, 1, 0));
    });
    Fetched second;
    second.status =
        ssl_fetch_listeners(elsewhere.c_str(), second.list, kRoom, &second.count, &second.err);
    EXPECT_TRUE(is(SALLY_OK, second.status, second.err));
    EXPECT_EQ(SALLY_TRUNCATED, told(1)[0].status);
    let_go();
}

TEST_F(Offer, W8_AClosedListenerEndsTheOffer)
{
    offer();
    EXPECT_EQ(SALLY_OK, ssl_close(listener_.get(), nullptr));
    Fetched f;
    fetch(&f);
    EXPECT_TRUE(is(SALLY_TRUNCATED, f.status, f.err));
    EXPECT_EQ(0U, f.count);
    EXPECT_TRUE(is(SALLY_CLOSED, result(), err_));
    EXPECT_EQ(-1, pid_);
    EXPECT_FALSE(exists(where_));
}

// ---- breaks ------------------------------------------------------------------------------------

TEST_F(Offer, B1_W8_ABreakEndsTheOffer)
{
    FdGuard fds;
    offer();
    EXPECT_TRUE(eventually([this] { return exists(where_); }, 20));
    stop();
    EXPECT_TRUE(is(SALLY_BREAK, status_, err_));
    EXPECT_EQ(0U, std::string(err_.text).find("ssl_offer_listeners: ")) << err_.text;
    EXPECT_EQ(-1, pid_);
    EXPECT_FALSE(exists(where_));
}

TEST_F(Offer, B1_W8_WhileAProcessIsServedToo)
{
    FdGuard fds;
    offer();
    Fetched f;
    fetch(&f);
    stop();
    EXPECT_TRUE(is(SALLY_BREAK, status_, err_));
    EXPECT_FALSE(exists(where_));
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_take_over(&f.err), f.err));
}

TEST_F(Offer, B5_W8_ADeadlineToo)
{
    FdGuard fds;
    stop_ = deadline_in_ms(30);
    offer();
    EXPECT_TRUE(is(SALLY_TIMEOUT, result(), err_));
    EXPECT_FALSE(exists(where_));
}

TEST_F(Offer, B1_W8_ABreakEndsAFetch)
{
    FdGuard fds;
    Fd door = raw_offerer(where_); // says nothing
    Break brk = new_break();
    Thread breaker([&] { ssl_break_send(brk.get(), 1); });
    Fetched f;
    f.status = ssl_fetch_listeners_enable_break(where_.c_str(), brk.get(), f.list, kRoom, &f.count,
                                                &f.err);
    EXPECT_TRUE(is(SALLY_BREAK, f.status, f.err));
    EXPECT_EQ(0U, std::string(f.err.text).find("ssl_fetch_listeners: ")) << f.err.text;
    EXPECT_EQ(0U, f.count);
}

TEST_F(Offer, B1_W8_ABreakEndsTheWaitForTheAnswer)
{
    FdGuard fds;
    Fd door = raw_offerer(where_);
    Latch heard;
    Break brk = new_break();
    Thread other([&] {
        Fd fd(accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC));
        send_record(fd.get(), SALLY_OFFER_MAGIC "a", {listening_fd_of(listener_.get())});
        char word = 0;
        EXPECT_EQ(1, recv(fd.get(), &word, 1, 0));
        EXPECT_EQ(SALLY_OFFER_SERVING, word);
        ssl_break_send(brk.get(), 1);
        EXPECT_EQ(0, recv(fd.get(), &word, 1, 0));
    });
    Fetched f;
    fetch(&f);
    ASSERT_TRUE(is(SALLY_OK, f.status, f.err));
    EXPECT_TRUE(is(SALLY_BREAK, ssl_take_over_enable_break(brk.get(), &f.err), f.err));
    EXPECT_EQ(0U, std::string(f.err.text).find("ssl_take_over: ")) << f.err.text;
}

// ---- the file ----------------------------------------------------------------------------------

TEST_F(Offer, W8_TheFileIsItsOwnersAlone)
{
    offer();
    EXPECT_TRUE(eventually([this] { return exists(where_); }, 20));
    struct stat found = {};
    ASSERT_EQ(0, lstat(where_.c_str(), &found));
    EXPECT_TRUE(S_ISSOCK(found.st_mode));
    EXPECT_EQ(0600U, found.st_mode & 07777);
}

TEST_F(Offer, W8_ADirectoryThatOthersCanWriteToIsRefused)
{
    FdGuard fds;
    for (mode_t mode : {0777, 0770, 0707}) {
        std::string open = dir_.path("open");
        ASSERT_EQ(0, mkdir(open.c_str(), 0700));
        ASSERT_EQ(0, chmod(open.c_str(), mode));
        where_ = open + "/door";
        offer();
        EXPECT_TRUE(is(SALLY_SYSTEM, result(), err_));
        EXPECT_EQ(EPERM, err_.sys_errno);
        EXPECT_NE(nullptr, std::strstr(err_.text, "mode 0700")) << err_.text;
        EXPECT_FALSE(exists(where_));
        ASSERT_EQ(0, rmdir(open.c_str()));
    }
    where_ = dir_.path("none/door");
    offer();
    EXPECT_TRUE(is(SALLY_SYSTEM, result(), err_));
    EXPECT_EQ(ENOENT, err_.sys_errno);
}

TEST_F(Offer, W8_ThatOfADeadProcessIsReplaced)
{
    raw_offerer(where_); // its socket is closed, and the file is there
    ASSERT_TRUE(exists(where_));
    offer();
    expect_taken_over();
}

TEST_F(Offer, W8_ThatOfALivingOneIsNot)
{
    FdGuard fds;
    Fd door = raw_offerer(where_);
    offer();
    EXPECT_TRUE(is(SALLY_SYSTEM, result(), err_));
    EXPECT_EQ(EADDRINUSE, err_.sys_errno);
    EXPECT_TRUE(exists(where_));
}

TEST_F(Offer, W8_AFileThatIsNoSocketIsNotTouched)
{
    FdGuard fds;
    dir_.write("door", "precious");
    offer();
    EXPECT_TRUE(is(SALLY_SYSTEM, result(), err_));
    EXPECT_EQ(EADDRINUSE, err_.sys_errno);
    EXPECT_EQ("precious", file_content(where_));
}

TEST_F(Offer, W8_OneThatHasTakenItsPlaceIsNotRemoved)
{
    offer();
    EXPECT_TRUE(eventually([this] { return exists(where_); }, 20));
    std::string ours = dir_.path("ours");
    ASSERT_EQ(0, rename(where_.c_str(), ours.c_str()));
    Fd another = raw_offerer(where_);
    stop();
    EXPECT_TRUE(exists(where_));
}

// ---- bad arguments -----------------------------------------------------------------------------

TEST_F(Offer, E3_BadArguments)
{
    FdGuard fds;
    ssl_listener *none[] = {nullptr};
    const int closed[] = {-1};
    const char *names[] = {"a:b"};
    options_ = SALLY_OFFER_OPTIONS;
    auto says = [this](const char *why) {
        EXPECT_TRUE(is(SALLY_USAGE, ssl_offer_listeners(&options_, &pid_, &err_), err_));
        EXPECT_EQ(-1, pid_);
        EXPECT_NE(nullptr, std::strstr(err_.text, why)) << err_.text;
    };
    EXPECT_TRUE(is(SALLY_USAGE, ssl_offer_listeners(nullptr, nullptr, &err_), err_));
    says("where is NULL");
    options_.where = "relative";
    says("where is \"relative\"");
    options_.where = where_.c_str();
    says("no listener");
    options_.sockets.count = 1;
    says("no listener");
    options_.sockets.listeners = none;
    says("one of sockets.listeners is NULL");
    ssl_listener *one[] = {listener_.get()};
    options_.sockets.listeners = one;
    options_.sockets.names = names;
    says("sockets.names must be a name without ':'");
    options_.sockets.names = nullptr;
    options_.sockets.fd_count = 1;
    says("no listener");
    options_.sockets.fds = closed;
    says("descriptor -1 in sockets.fds is no listening socket");
    options_.sockets.fd_names = names;
    says("sockets.fd_names must be a name without ':'");
    EXPECT_FALSE(exists(where_));

    size_t count = 77;
    std::string long_path = "/" + std::string(120, 'p');
    for (const char *where : {"", "relative", "@", "/", long_path.c_str()}) {
        EXPECT_TRUE(is(SALLY_USAGE, ssl_fetch_listeners(where, nullptr, 0, &count, &err_), err_));
        EXPECT_EQ(0U, count);
    }
    EXPECT_TRUE(is(SALLY_USAGE, ssl_fetch_listeners(nullptr, nullptr, 0, &count, &err_), err_));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_fetch_listeners("/x", nullptr, 1, &count, &err_), err_));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_fetch_listeners("/x", nullptr, 0, nullptr, &err_), err_));
}

} // namespace

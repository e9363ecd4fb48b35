// transport_fd.c: a pair of the user's descriptors as a transport: who has them, and in which state, after
// each way out.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "support/guards.h"
#include "support/wrapped.h"

extern "C" {
#include "mem.h"
#include "transport_fd.h"
}

using namespace sallytest;

namespace
{

bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

bool is_blocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

// What `retire` and `depart` were given last.
struct Retired {
    int fd;
    std::string unsent;
    bool peer_done;
};
Retired retired;
sally_transport *departed;

void retire(int fd, sally_buf *unsent, bool peer_done, int64_t)
{
    const unsigned char *front = sally_buf_front(unsent);
    retired = {fd, std::string(front, front + unsent->length), peer_done};
}

bool depart(sally_transport *t)
{
    departed = t;
    return true;
}

bool stay(sally_transport *)
{
    return false;
}

class TransportFd : public testing::Test
{
  protected:
    TransportFd()
    {
        retired = {-1, "", false};
        departed = nullptr;
    }
    ~TransportFd() override
    {
        sally_fd_fail_at(0, 0);
        sally_mem_fail_at(0, 0);
    }

    // Our input is what `in` reads, our output what `out` writes.
    int make(int in, int out, bool close_original)
    {
        sally_fd_setup setup = {};
        EXPECT_EQ(0, sally_fd_look(in, false, &setup.in));
        EXPECT_EQ(0, sally_fd_look(out, true, &setup.out));
        setup.close_original = close_original;
        setup.retire = retire;
        return sally_transport_fd_new(&setup, &t_);
    }
    int make_over_pipes(bool close_original)
    {
        return make(down_.first.get(), up_.second.get(), close_original);
    }
    void finish(const std::string &unsent = "", bool peer_done = false)
    {
        sally_buf buf = {};
        EXPECT_TRUE(sally_buf_append(&buf, unsent.data(), unsent.size()));
        t_->ops->finish(t_, &buf, peer_done);
        EXPECT_EQ(0u, buf.length);
        sally_buf_fini(&buf);
    }
    void fill(int fd)
    {
        std::string page(4096, 'f');
        while (write(fd, page.data(), page.size()) > 0) {}
        EXPECT_EQ(EAGAIN, errno);
    }
    bool pipes_are_as_before() const
    {
        return is_blocking(down_.first.get()) && is_blocking(up_.second.get());
    }

    std::pair<Fd, Fd> up_ = pipe_ends();
    std::pair<Fd, Fd> down_ = pipe_ends();
    sally_transport *t_ = nullptr;
};

// ---- the beginning ----------------------------------------------------------------------------------

TEST_F(TransportFd, P7_WithoutMemoryNothingIsBorrowed)
{
    sally_mem_fail_at(1, 0);
    EXPECT_EQ(ENOMEM, make_over_pipes(true));
    EXPECT_EQ(nullptr, t_);
    EXPECT_TRUE(pipes_are_as_before());
}

// Two calls for each of the two: the flags are read, and set.
TEST_F(TransportFd, P7_WhicheverCallFailsNothingIsBorrowed)
{
    for (long nth = 1; nth <= 4; nth++) {
        sally_fd_setup setup = {};
        ASSERT_EQ(0, sally_fd_look(down_.first.get(), false, &setup.in));
        ASSERT_EQ(0, sally_fd_look(up_.second.get(), true, &setup.out));
        sally_fd_fail_at(nth, EIO);
        EXPECT_EQ(EIO, sally_transport_fd_new(&setup, &t_)) << nth;
        EXPECT_EQ(nullptr, t_);
        EXPECT_TRUE(pipes_are_as_before()) << nth;
    }
}

// ---- the end ----------------------------------------------------------------------------------------

TEST_F(TransportFd, P7_AfterAFailedWrapTheOriginalIsItsOwnersAgain)
{
    ASSERT_EQ(0, make_over_pipes(true));
    EXPECT_FALSE(is_blocking(up_.second.get()));
    finish("alert");
    EXPECT_TRUE(pipes_are_as_before());
    char buf[8] = "";
    EXPECT_EQ(5, read(up_.first.get(), buf, sizeof buf));
    EXPECT_STREQ("alert", buf);
}

TEST_F(TransportFd, P7_KeptDescriptorsAreGivenBack)
{
    ASSERT_EQ(0, make_over_pipes(false));
    t_->depart = depart;
    finish("last");
    EXPECT_EQ(nullptr, departed) << "everything went at once";
    EXPECT_TRUE(pipes_are_as_before());
}

TEST_F(TransportFd, P7_CloseOriginalClosesBothAndTheirFlagsArePutBackBefore)
{
    Fd watched(dup(up_.second.get()));
    ASSERT_EQ(0, make_over_pipes(true));
    t_->depart = depart;
    int in = down_.first.release();
    int out = up_.second.release();
    finish();
    EXPECT_FALSE(is_open(in));
    EXPECT_FALSE(is_open(out));
    EXPECT_TRUE(is_blocking(watched.get()));
}

TEST_F(TransportFd, P4_WhatDoesNotGoAtOnceGoesByADuplicate)
{
    FdGuard guard;
    auto up = pipe_ends();
    ASSERT_EQ(0, make(down_.first.get(), up.second.get(), false));
    t_->depart = depart;
    fill(up.second.get());
    finish("rest");
    ASSERT_EQ(t_, departed);
    up.second.close(); // the owner may, and its number may be another file's soon after
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, departed->ops->send_rest(departed));
    std::string all(1 << 20, '\0');
    ssize_t got = read(up.first.get(), &all[0], all.size());
    EXPECT_EQ(SALLY_IO_DONE, departed->ops->send_rest(departed));
    departed->ops->end(departed);
    ASSERT_GT(got, 0);
    EXPECT_EQ(4, read(up.first.get(), &all[0], all.size()));
    EXPECT_EQ("rest", all.substr(0, 4));
    EXPECT_TRUE(is_blocking(down_.first.get()));
}

TEST_F(TransportFd, P4_WithoutADescriptorForADuplicateTheRestIsDropped)
{
    for (long nth = 2; nth <= 3; nth++) { // the first is the write
        SCOPED_TRACE(nth);
        FdGuard guard;
        ASSERT_EQ(0, make_over_pipes(false));
        t_->depart = depart;
        fill(up_.second.get());
        sally_fd_fail_at(nth, EMFILE);
        finish("rest");
        sally_fd_fail_at(0, 0);
        EXPECT_EQ(nullptr, departed);
        EXPECT_TRUE(pipes_are_as_before());
    }
}

TEST_F(TransportFd, P4_AFarewellThatIsRefusedClosesTheDuplicates)
{
    FdGuard guard;
    ASSERT_EQ(0, make_over_pipes(false));
    t_->depart = stay;
    fill(up_.second.get());
    finish("rest");
    EXPECT_TRUE(pipes_are_as_before());
}

TEST_F(TransportFd, P4_AFailingWriteEndsTheFarewellAtOnce)
{
    ASSERT_EQ(0, make_over_pipes(false));
    t_->depart = depart;
    sally_fd_fail_at(1, EIO);
    finish("rest");
    EXPECT_EQ(nullptr, departed);
    EXPECT_TRUE(pipes_are_as_before());
}

TEST_F(TransportFd, P4_ASocketThatIsToBeClosedEndsLikeOneOfOurs)
{
    auto ends = socketpair_ends();
    int in = down_.first.release();
    ASSERT_EQ(0, make(in, ends.first.get(), true));
    t_->depart = depart;
    finish("rest", true);
    EXPECT_EQ(ends.first.get(), retired.fd);
    EXPECT_EQ("rest", retired.unsent);
    EXPECT_TRUE(retired.peer_done);
    EXPECT_FALSE(is_open(in)) << "what is not the socket is closed here";
}

// ---- bytes ------------------------------------------------------------------------------------------

TEST_F(TransportFd, P7_WaitsForTheDescriptorOfItsDirection)
{
    ASSERT_EQ(0, make_over_pipes(false));
    short events = 0;
    EXPECT_EQ(down_.first.get(), t_->ops->wait_fd(t_, SALLY_RECEIVE, &events));
    EXPECT_EQ(POLLIN, events);
    EXPECT_EQ(up_.second.get(), t_->ops->wait_fd(t_, SALLY_SEND, &events));
    EXPECT_EQ(POLLOUT, events);
    sally_addr addr;
    EXPECT_EQ(ENOTSOCK, t_->ops->address(t_, true, &addr));
    finish();
}

TEST_F(TransportFd, E2_AFailureLeavesItsErrnoOnTheTransport)
{
    ASSERT_EQ(0, make_over_pipes(false));
    char byte = 'x';
    size_t count = 9;
    sally_fd_fail_at(1, EIO);
    EXPECT_EQ(SALLY_IO_FAILED, t_->ops->send(t_, &byte, 1, &count));
    EXPECT_EQ(EIO, t_->sys_errno);
    EXPECT_EQ(0u, count);
    finish();
}

} // namespace

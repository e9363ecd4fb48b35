// fd.c: descriptors of the user's: how they are borrowed, and given back as they were.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <string>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/threads.h"
#include "support/wrapped.h"

extern "C" {
#include "fd.h"
}

using namespace sallytest;

namespace
{

bool is_blocking(const Fd &fd)
{
    return (fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0;
}

bool has_no_delay(const Fd &fd)
{
    int on = 0;
    socklen_t size = sizeof on;
    EXPECT_EQ(0, getsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, &size));
    return on != 0;
}

class FdTest : public testing::Test
{
  protected:
    ~FdTest() override
    {
        sally_fd_fail_at(0, 0);
    }

    sally_fd looked_at(const Fd &fd, bool for_writing)
    {
        sally_fd made = {};
        EXPECT_EQ(0, sally_fd_look(fd.get(), for_writing, &made));
        return made;
    }
    sally_io receive(const sally_fd &fd, std::string *bytes)
    {
        char buf[64];
        sally_io io = sally_fd_receive(&fd, buf, sizeof buf, &count_, &errno_);
        bytes->assign(buf, count_);
        return io;
    }
    sally_io send(const sally_fd &fd, const std::string &bytes)
    {
        return sally_fd_send(&fd, bytes.data(), bytes.size(), &count_, &errno_);
    }

    std::pair<Fd, Fd> pipe_ = pipe_ends();
    size_t count_ = 0;
    int errno_ = 0;
};

// ---- looking ----------------------------------------------------------------------------------------

TEST_F(FdTest, P7_LookingSaysWhatADescriptorIsAndChangesNothing)
{
    sally_fd reader = looked_at(pipe_.first, false);
    EXPECT_FALSE(reader.is_socket);
    EXPECT_TRUE(reader.was_blocking);
    EXPECT_TRUE(is_blocking(pipe_.first));
    auto ends = tcp_ends();
    sally_fd socket = looked_at(ends.first, true);
    EXPECT_TRUE(socket.is_socket);
    EXPECT_FALSE(socket.was_blocking) << "O_NONBLOCK of a socket is nothing to us";
    EXPECT_TRUE(socket.was_delaying);
    EXPECT_FALSE(has_no_delay(ends.first));
}

TEST_F(FdTest, P7_WhatCannotBeBorrowedHasAnErrnoOfItsOwn)
{
    sally_fd fd;
    EXPECT_EQ(EBADF, sally_fd_look(-1, false, &fd));
    EXPECT_EQ(EACCES, sally_fd_look(pipe_.second.get(), false, &fd));
    EXPECT_EQ(EACCES, sally_fd_look(pipe_.first.get(), true, &fd));
    Fd datagrams(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(EPROTOTYPE, sally_fd_look(datagrams.get(), true, &fd));
    sally_fd_fail_at(1, EIO);
    EXPECT_EQ(EIO, sally_fd_look(pipe_.first.get(), false, &fd));
}

// ---- the loan ---------------------------------------------------------------------------------------

TEST_F(FdTest, P7_APipeDoesNotBlockForTheTimeOfTheLoan)
{
    sally_fd fd = looked_at(pipe_.first, false);
    ASSERT_EQ(0, sally_fd_borrow(&fd));
    EXPECT_FALSE(is_blocking(pipe_.first));
    sally_fd_give_back(&fd);
    EXPECT_TRUE(is_blocking(pipe_.first));
}

TEST_F(FdTest, P7_OneThatDidNotBlockStaysSo)
{
    ASSERT_EQ(0, fcntl(pipe_.first.get(), F_SETFL, O_NONBLOCK));
    sally_fd fd = looked_at(pipe_.first, false);
    ASSERT_EQ(0, sally_fd_borrow(&fd));
    sally_fd_give_back(&fd);
    EXPECT_FALSE(is_blocking(pipe_.first));
}

TEST_F(FdTest, P6_ATcpSocketHasNoDelayForTheTimeOfTheLoan)
{
    auto ends = tcp_ends();
    sally_fd fd = looked_at(ends.first, true);
    ASSERT_EQ(0, sally_fd_borrow(&fd));
    EXPECT_TRUE(has_no_delay(ends.first));
    EXPECT_TRUE(is_blocking(ends.first));
    sally_fd_give_back(&fd);
    EXPECT_FALSE(has_no_delay(ends.first));
}

TEST_F(FdTest, P7_ALoanThatFailsChangesNothing)
{
    sally_fd fd = looked_at(pipe_.first, false);
    for (long nth = 1; nth <= 2; nth++) {
        sally_fd_fail_at(nth, EIO);
        EXPECT_EQ(EIO, sally_fd_borrow(&fd)) << nth;
        EXPECT_EQ(nth, sally_fd_count());
        EXPECT_TRUE(is_blocking(pipe_.first)) << nth;
    }
}

TEST_F(FdTest, B10_ADuplicateIsNotInherited)
{
    Fd copy(sally_fd_duplicate(pipe_.first.get()));
    ASSERT_TRUE(copy);
    EXPECT_NE(0, fcntl(copy.get(), F_GETFD) & FD_CLOEXEC);
    sally_fd_fail_at(1, EMFILE);
    EXPECT_EQ(-1, sally_fd_duplicate(pipe_.first.get()));
}

// ---- bytes ------------------------------------------------------------------------------------------

class BorrowedPipe : public FdTest
{
  protected:
    BorrowedPipe() : reader_(looked_at(pipe_.first, false)), writer_(looked_at(pipe_.second, true))
    {
        EXPECT_EQ(0, sally_fd_borrow(&reader_));
        EXPECT_EQ(0, sally_fd_borrow(&writer_));
    }

    sally_fd reader_;
    sally_fd writer_;
    std::string got_;
};

TEST_F(BorrowedPipe, P7_BytesThenNothingThenTheEnd)
{
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, receive(reader_, &got_));
    EXPECT_EQ(SALLY_IO_DONE, send(writer_, "bytes"));
    EXPECT_EQ(5u, count_);
    EXPECT_EQ(SALLY_IO_DONE, receive(reader_, &got_));
    EXPECT_EQ("bytes", got_);
    pipe_.second.close();
    EXPECT_EQ(SALLY_IO_END, receive(reader_, &got_));
    EXPECT_EQ(0u, count_);
}

TEST_F(BorrowedPipe, B7_AnInterruptedCallIsMadeAgain)
{
    sally_fd_fail_at(1, EINTR);
    EXPECT_EQ(SALLY_IO_DONE, send(writer_, "bytes"));
    EXPECT_EQ(2, sally_fd_count());
    sally_fd_fail_at(1, EINTR);
    EXPECT_EQ(SALLY_IO_DONE, receive(reader_, &got_));
    EXPECT_EQ(2, sally_fd_count());
    EXPECT_EQ("bytes", got_);
}

TEST_F(BorrowedPipe, E2_AFailureHasItsErrnoAndNoBytes)
{
    sally_fd_fail_at(1, EIO);
    EXPECT_EQ(SALLY_IO_FAILED, send(writer_, "bytes"));
    EXPECT_EQ(EIO, errno_);
    EXPECT_EQ(0u, count_);
    sally_fd_fail_at(1, ENXIO);
    EXPECT_EQ(SALLY_IO_FAILED, receive(reader_, &got_));
    EXPECT_EQ(ENXIO, errno_);
    EXPECT_EQ(0u, count_);
}

// A write of more than a page to a pipe with a page of room takes what there is room for.
TEST_F(BorrowedPipe, P7_AShortWriteSaysHowMany)
{
    std::string page(4096, 'p');
    int capacity = fcntl(pipe_.second.get(), F_GETPIPE_SZ);
    for (int filled = 0; filled + 4096 < capacity; filled += 4096) {
        ASSERT_EQ(SALLY_IO_DONE, send(writer_, page));
    }
    EXPECT_EQ(SALLY_IO_DONE, send(writer_, page + page));
    EXPECT_EQ(page.size(), count_);
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, send(writer_, page));
    EXPECT_EQ(0u, count_);
}

bool is_sigpipe_pending()
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

bool is_sigpipe_blocked()
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, SIGPIPE) == 1;
}

TEST_F(BorrowedPipe, E3_APipeWithoutAReaderIsEpipeAndNoSignal)
{
    pipe_.first.close();
    for (long interrupted = 0; interrupted <= 1; interrupted++) {
        sally_fd_fail_at(interrupted, EINTR);
        EXPECT_EQ(SALLY_IO_FAILED, send(writer_, "bytes"));
        EXPECT_EQ(EPIPE, errno_);
        EXPECT_FALSE(is_sigpipe_pending());
        EXPECT_FALSE(is_sigpipe_blocked());
    }
}

TEST_F(BorrowedPipe, E3_ASignalThatWasBlockedAndPendingStaysSo)
{
    pipe_.first.close();
    in_new_thread([&] {
        sigset_t pipe_signal;
        sigemptyset(&pipe_signal);
        sigaddset(&pipe_signal, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
        pthread_kill(pthread_self(), SIGPIPE);
        EXPECT_EQ(SALLY_IO_FAILED, send(writer_, "bytes"));
        EXPECT_TRUE(is_sigpipe_pending());
        EXPECT_TRUE(is_sigpipe_blocked());
        const struct timespec at_once = {};
        EXPECT_EQ(SIGPIPE, sigtimedwait(&pipe_signal, nullptr, &at_once));
    });
}

} // namespace

// transport_box.c and transport_callback.c: a transport of two boxes over somebody else's code, which may
// say anything.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

extern "C" {
#include "mem.h"
#include "transport_box.h"
}

namespace
{

// What a transport asks of its far side, and what that answers.
constexpr int kOpen = STDERR_FILENO;
constexpr int kNeverOpen = 1000000;

sally_io block_on(int fd, short events, ssl_io_result *result)
{
    result->fd = fd;
    result->events = events;
    return SALLY_IO_WOULD_BLOCK;
}

struct Far {
    using Read = std::function<sally_io(void *buf, size_t n, ssl_io_result *)>;
    using Write = std::function<sally_io(const void *buf, size_t n, ssl_io_result *)>;
    using Flush = std::function<sally_io(ssl_io_result *)>;

    Read read = [](void *, size_t, ssl_io_result *result) {
        return block_on(kOpen, POLLIN, result);
    };
    Write write = [this](const void *buf, size_t n, ssl_io_result *result) {
        taken.append(static_cast<const char *>(buf), n);
        result->count = n;
        return SALLY_IO_DONE;
    };
    Flush flush = [](ssl_io_result *) { return SALLY_IO_DONE; };
    std::string taken; // by write
    int reads = 0;
    int writes = 0;
    int ends = 0;
    bool given_back = false;
    int waits = 0;
};

sally_io far_read(void *far, void *buf, size_t n, ssl_io_result *result)
{
    auto *f = static_cast<Far *>(far);
    f->reads++;
    EXPECT_GE(n, 1u);
    EXPECT_EQ(-1, result->fd);
    EXPECT_EQ(0u, result->count);
    return f->read(buf, n, result);
}

sally_io far_write(void *far, const void *buf, size_t n, ssl_io_result *result)
{
    auto *f = static_cast<Far *>(far);
    f->writes++;
    EXPECT_GE(n, 1u);
    EXPECT_EQ(-1, result->fd);
    return f->write(buf, n, result);
}

sally_io far_flush(void *far, ssl_io_result *result)
{
    return static_cast<Far *>(far)->flush(result);
}

int far_wait(void *far, const sally_transport_wait *)
{
    static_cast<Far *>(far)->waits++;
    return EINTR;
}

void far_end(void *far, bool given_back)
{
    static_cast<Far *>(far)->ends++;
    static_cast<Far *>(far)->given_back = given_back;
}

const sally_far_ops far_ops = {far_read, far_write, far_flush, far_wait,
                               nullptr,  nullptr,   nullptr,   far_end};

sally_transport *departed;

bool depart(sally_transport *t)
{
    departed = t;
    return true;
}

bool refuse_to_depart(sally_transport *)
{
    return false;
}

class BoxTest : public testing::Test
{
  protected:
    BoxTest()
    {
        departed = nullptr;
        make(false);
    }
    ~BoxTest() override
    {
        sally_mem_fail_at(0, 0);
        if (t_ != nullptr) {
            finish();
        }
    }

    void make(bool waits)
    {
        if (t_ != nullptr) {
            sally_transport_box_drop(t_);
        }
        t_ = sally_transport_box_new(&far_ops, &far_, waits);
        ASSERT_NE(nullptr, t_);
    }
    void finish(const std::string &unsent = "")
    {
        sally_buf buf = {};
        EXPECT_TRUE(sally_buf_append(&buf, unsent.data(), unsent.size()));
        t_->ops->finish(t_, &buf, false);
        EXPECT_EQ(0u, buf.length);
        t_ = nullptr;
    }

    // A step's receive, and its send.
    sally_io receive(size_t n, std::string *bytes = nullptr)
    {
        std::string buf(n, '\0');
        size_t count = 0;
        sally_io io = t_->ops->receive(t_, &buf[0], n, &count);
        if (bytes != nullptr) {
            *bytes = buf.substr(0, count);
        }
        return io;
    }
    sally_io send(const std::string &bytes, size_t *count = nullptr)
    {
        size_t taken = 0;
        sally_io io = t_->ops->send(t_, bytes.data(), bytes.size(), &taken);
        if (count != nullptr) {
            *count = taken;
        }
        return io;
    }
    // Claims, exchanges and settles: whether the next step may find something new.
    bool exchange(sally_direction direction)
    {
        EXPECT_EQ(SALLY_CLAIM_TAKEN, t_->ops->claim(t_, direction));
        t_->ops->exchange(t_, direction);
        return t_->ops->settle(t_, direction);
    }
    // What the far side's read says, after a step that found nothing.
    sally_io read_says(const Far::Read &read, size_t n = 5)
    {
        far_.read = read;
        EXPECT_EQ(SALLY_IO_WOULD_BLOCK, receive(n));
        exchange(SALLY_RECEIVE);
        return receive(n);
    }
    sally_io write_says(const Far::Write &write)
    {
        far_.write = write;
        EXPECT_EQ(SALLY_IO_DONE, send("bytes"));
        exchange(SALLY_SEND);
        return t_->ops->flush(t_);
    }

    Far far_;
    sally_transport *t_ = nullptr;
};

Far::Read bringing(const std::string &bytes)
{
    return [bytes](void *buf, size_t n, ssl_io_result *result) {
        result->count = std::min(n, bytes.size());
        memcpy(buf, bytes.data(), result->count);
        return SALLY_IO_DONE;
    };
}

// ---- what is said and makes sense -------------------------------------------------------------------

TEST_F(BoxTest, P7_AStepCallsNothingAndAnExchangeReadsNoMoreThanItAskedFor)
{
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, receive(5));
    EXPECT_EQ(0, far_.reads);
    size_t asked = 0;
    far_.read = [&](void *buf, size_t n, ssl_io_result *result) {
        asked = n;
        return bringing("abc")(buf, n, result);
    };
    EXPECT_TRUE(exchange(SALLY_RECEIVE));
    EXPECT_EQ(5u, asked);
    std::string bytes;
    EXPECT_EQ(SALLY_IO_DONE, receive(2, &bytes));
    EXPECT_EQ("ab", bytes);
    EXPECT_EQ(SALLY_CLAIM_NOTHING, t_->ops->claim(t_, SALLY_RECEIVE)) << "a byte is left";
    EXPECT_EQ(SALLY_IO_DONE, receive(2, &bytes));
    EXPECT_EQ("c", bytes);
}

TEST_F(BoxTest, P7_NothingIsReadBeforeAStepHasAsked)
{
    EXPECT_EQ(SALLY_CLAIM_NOTHING, t_->ops->claim(t_, SALLY_RECEIVE));
    EXPECT_EQ(SALLY_CLAIM_NOTHING, t_->ops->claim(t_, SALLY_SEND));
}

TEST_F(BoxTest, P1_ADirectionIsOneThreadsAtATime)
{
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, receive(5));
    EXPECT_EQ(SALLY_CLAIM_TAKEN, t_->ops->claim(t_, SALLY_RECEIVE));
    EXPECT_EQ(SALLY_CLAIM_BUSY, t_->ops->claim(t_, SALLY_RECEIVE));
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, receive(5)) << "meanwhile the box looks empty";
    short events;
    EXPECT_EQ(-1, t_->ops->wait_fd(t_, SALLY_RECEIVE, &events));
    t_->ops->exchange(t_, SALLY_RECEIVE);
    EXPECT_FALSE(t_->ops->settle(t_, SALLY_RECEIVE));
    EXPECT_EQ(kOpen, t_->ops->wait_fd(t_, SALLY_RECEIVE, &events));
    EXPECT_EQ(1, events);
}

TEST_F(BoxTest, P7_ShortWritesGoOnWhereTheyStopped)
{
    far_.write = [this](const void *buf, size_t n, ssl_io_result *result) {
        if (far_.writes % 3 == 0) {
            return block_on(kOpen, POLLOUT, result);
        }
        far_.taken.append(static_cast<const char *>(buf), 1);
        result->count = n != 0 ? 1 : 0;
        return SALLY_IO_DONE;
    };
    size_t taken = 0;
    EXPECT_EQ(SALLY_IO_DONE, send("bytes", &taken));
    EXPECT_EQ(5u, taken);
    EXPECT_EQ(5u, t_->held);
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, send("more")) << "one record at a time";
    EXPECT_TRUE(exchange(SALLY_SEND));
    EXPECT_EQ(3u, t_->held);
    while (t_->ops->flush(t_) == SALLY_IO_WOULD_BLOCK) {
        exchange(SALLY_SEND);
    }
    EXPECT_EQ("bytes", far_.taken);
    EXPECT_EQ(0u, t_->held);
}

TEST_F(BoxTest, P7_WhatIsHeldBelowIsHeldUntilItHasGone)
{
    size_t left = 3;
    far_.flush = [&](ssl_io_result *result) {
        result->count = left;
        return left == 0 ? SALLY_IO_DONE : SALLY_IO_WOULD_BLOCK;
    };
    EXPECT_EQ(SALLY_IO_DONE, send("bytes"));
    exchange(SALLY_SEND);
    EXPECT_EQ("bytes", far_.taken);
    EXPECT_EQ(3u, t_->held);
    left = 0;
    exchange(SALLY_SEND);
    EXPECT_EQ(SALLY_IO_DONE, t_->ops->flush(t_));
    finish(); // while `left` is there
}

TEST_F(BoxTest, P3_AnEndStays)
{
    auto end = [](void *, size_t, ssl_io_result *) { return SALLY_IO_END; };
    EXPECT_EQ(SALLY_IO_END, read_says(end));
    EXPECT_EQ(SALLY_IO_END, receive(5));
    EXPECT_EQ(SALLY_CLAIM_NOTHING, t_->ops->claim(t_, SALLY_RECEIVE)) << "it is not asked again";
    EXPECT_EQ(1, far_.reads);
}

TEST_F(BoxTest, P7_AFailureStaysWithItsErrno)
{
    auto fail = [](const void *, size_t, ssl_io_result *result) {
        result->sys_errno = ENODEV;
        return SALLY_IO_FAILED;
    };
    EXPECT_EQ(SALLY_IO_FAILED, write_says(fail));
    EXPECT_EQ(ENODEV, t_->sys_errno);
    EXPECT_EQ(SALLY_IO_FAILED, send("more"));
    EXPECT_EQ(1, far_.writes);
}

TEST_F(BoxTest, P7_WaitingIsTheFarSidesWhereItSaysSo)
{
    make(true);
    far_.read = [](void *, size_t, ssl_io_result *) { return SALLY_IO_WOULD_BLOCK; };
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, receive(5));
    EXPECT_FALSE(exchange(SALLY_RECEIVE)) << "no descriptor is needed";
    sally_transport_wait how = {};
    EXPECT_EQ(EINTR, t_->ops->wait(t_, &how));
    EXPECT_EQ(1, far_.waits);
}

// ---- what makes no sense ----------------------------------------------------------------------------

class Nonsense : public BoxTest
{
  protected:
    void expect_refused(sally_direction direction, int sys_errno, const char *says)
    {
        EXPECT_EQ(sys_errno, t_->sys_errno);
        const char *fault = t_->ops->fault(t_, direction);
        ASSERT_NE(nullptr, fault);
        EXPECT_NE(nullptr, strstr(fault, says)) << fault;
        sally_direction other = direction == SALLY_SEND ? SALLY_RECEIVE : SALLY_SEND;
        EXPECT_EQ(nullptr, t_->ops->fault(t_, other));
        make(false);
    }
    void expect_read_refused(sally_io said, const ssl_io_result &details, int sys_errno = EINVAL)
    {
        auto say = [=](void *, size_t, ssl_io_result *result) {
            *result = details;
            return said;
        };
        EXPECT_EQ(SALLY_IO_FAILED, read_says(say));
        expect_refused(SALLY_RECEIVE, sys_errno, "the callback `read` said");
    }
    void expect_write_refused(sally_io said, const ssl_io_result &details, int sys_errno = EINVAL)
    {
        auto say = [=](const void *, size_t, ssl_io_result *result) {
            *result = details;
            return said;
        };
        EXPECT_EQ(SALLY_IO_FAILED, write_says(say));
        expect_refused(SALLY_SEND, sys_errno, "the callback `write` said");
    }
};

const ssl_io_result kNoDetails = {0, 0, -1, 0};
const ssl_io_result kSixBytes = {6, 0, -1, 0};
const ssl_io_result kMinusOneBytes = {static_cast<size_t>(-1), 0, -1, 0};

TEST_F(Nonsense, P7_MoreThanWasAskedFor)
{
    expect_read_refused(SALLY_IO_DONE, kSixBytes);
    expect_read_refused(SALLY_IO_DONE, kMinusOneBytes);
    expect_write_refused(SALLY_IO_DONE, kSixBytes);
    expect_write_refused(SALLY_IO_DONE, kMinusOneBytes);
}

TEST_F(Nonsense, P7_DoneWithNothing)
{
    expect_read_refused(SALLY_IO_DONE, kNoDetails);
    expect_write_refused(SALLY_IO_DONE, kNoDetails);
}

TEST_F(Nonsense, P7_WouldBlockWithNothingToWaitFor)
{
    const ssl_io_result no_events = {0, 0, kOpen, 0};
    const ssl_io_result negative = {0, 0, -2, POLLIN};
    for (const ssl_io_result &details : {kNoDetails, no_events, negative}) {
        expect_read_refused(SALLY_IO_WOULD_BLOCK, details);
        expect_write_refused(SALLY_IO_WOULD_BLOCK, details);
    }
}

TEST_F(Nonsense, P7_WouldBlockWithADescriptorThatIsNotOpen)
{
    const ssl_io_result closed = {0, 0, kNeverOpen, POLLIN};
    expect_read_refused(SALLY_IO_WOULD_BLOCK, closed, EBADF);
    expect_write_refused(SALLY_IO_WOULD_BLOCK, closed, EBADF);
}

TEST_F(Nonsense, P7_AnEndOfWriting)
{
    expect_write_refused(SALLY_IO_END, kNoDetails);
}

TEST_F(Nonsense, P7_AFailureWithoutAnErrnoIsEio)
{
    EXPECT_EQ(SALLY_IO_FAILED, read_says([](void *, size_t, ssl_io_result *) {
                  return static_cast<sally_io>(-1); // and no value of ssl_io
              }));
    EXPECT_EQ(EIO, t_->sys_errno);
}

// ---- the end ----------------------------------------------------------------------------------------

TEST_F(BoxTest, P4_WhatIsUnsentGoesBehindWhatIsHeld)
{
    t_->depart = depart;
    EXPECT_EQ(SALLY_IO_DONE, send("held,"));
    finish("unsent");
    EXPECT_EQ("held,unsent", far_.taken);
    EXPECT_EQ(nullptr, departed);
    EXPECT_EQ(1, far_.ends);
    EXPECT_FALSE(far_.given_back);
}

TEST_F(BoxTest, P4_WhatDoesNotGoAtOnceDeparts)
{
    t_->depart = depart;
    Far::Write take = far_.write;
    far_.write = [](const void *, size_t, ssl_io_result *result) {
        return block_on(kOpen, POLLOUT, result);
    };
    finish("unsent");
    ASSERT_NE(nullptr, departed);
    EXPECT_EQ(0, far_.ends);
    EXPECT_EQ(SALLY_IO_WOULD_BLOCK, departed->ops->send_rest(departed));
    far_.write = take;
    EXPECT_EQ(SALLY_IO_DONE, departed->ops->send_rest(departed));
    EXPECT_EQ("unsent", far_.taken);
    departed->ops->end(departed);
    EXPECT_EQ(1, far_.ends);
}

TEST_F(BoxTest, P4_ARefusedFarewellEndsItAtOnce)
{
    t_->depart = refuse_to_depart;
    far_.write = [](const void *, size_t, ssl_io_result *result) {
        return block_on(kOpen, POLLOUT, result);
    };
    finish("unsent");
    EXPECT_EQ(1, far_.ends);
}

TEST_F(BoxTest, P4_AFarSideThatHasFailedIsNotAskedAgainAtTheEnd)
{
    t_->depart = depart;
    write_says([](const void *, size_t, ssl_io_result *) { return SALLY_IO_FAILED; });
    finish("unsent");
    EXPECT_EQ(1, far_.writes);
    EXPECT_EQ(1, far_.ends);
}

TEST_F(BoxTest, P7_AfterAFailedWrapTheFarSideIsGivenBack)
{
    finish("alert");
    EXPECT_EQ("alert", far_.taken);
    EXPECT_TRUE(far_.given_back);
}

TEST_F(BoxTest, E2_WithoutMemoryTheFarSideIsLeftAlone)
{
    sally_mem_fail_at(1, 0);
    EXPECT_EQ(nullptr, sally_transport_box_new(&far_ops, &far_, false));
    EXPECT_EQ(0, far_.ends);
}

// ---- functions of the program -----------------------------------------------------------------------

struct Program {
    int closes = 0;
    int releases = 0;
};

void close_program(void *user)
{
    auto *program = static_cast<Program *>(user);
    EXPECT_EQ(0, program->releases) << "release comes last of all";
    program->closes++;
}

void release_program(void *user)
{
    static_cast<Program *>(user)->releases++;
}

ssl_callbacks callbacks_of(Program *program)
{
    ssl_callbacks callbacks = {};
    callbacks.close = close_program;
    callbacks.release = release_program;
    callbacks.user = program;
    return callbacks;
}

// How often each is called at the end: closed if so asked, released unless the wrap failed.
void expect_calls(bool close_original, bool wrapped, int closes, int releases)
{
    Program program;
    ssl_callbacks callbacks = callbacks_of(&program);
    sally_transport *t = sally_transport_callback_new(&callbacks, close_original);
    ASSERT_NE(nullptr, t);
    t->depart = wrapped ? depart : nullptr;
    sally_buf nothing = {};
    t->ops->finish(t, &nothing, false);
    EXPECT_EQ(closes, program.closes);
    EXPECT_EQ(releases, program.releases);
}

TEST(CallbackTest, P7_CloseAndReleaseAreCalledAsTheHeaderSays)
{
    expect_calls(true, true, 1, 1);
    expect_calls(false, true, 0, 1);
    expect_calls(true, false, 0, 0);
    expect_calls(false, false, 0, 0);
}

TEST(CallbackTest, P7_BothMayBeMissing)
{
    ssl_callbacks callbacks = {};
    sally_transport *t = sally_transport_callback_new(&callbacks, true);
    ASSERT_NE(nullptr, t);
    t->depart = depart;
    sally_buf nothing = {};
    t->ops->finish(t, &nothing, false);
}

TEST(CallbackTest, E2_WithoutMemoryNoneIsCalled)
{
    Program program;
    ssl_callbacks callbacks = callbacks_of(&program);
    for (long nth = 1; nth <= 2; nth++) {
        sally_mem_fail_at(nth, 0);
        EXPECT_EQ(nullptr, sally_transport_callback_new(&callbacks, true)) << nth;
    }
    sally_mem_fail_at(0, 0);
    EXPECT_EQ(0, program.closes);
    EXPECT_EQ(0, program.releases);
}

} // namespace

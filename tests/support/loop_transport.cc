#include "support/loop_transport.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/raw_channel.h"

extern "C" {
#include "buf.h"
}

namespace sallytest
{
namespace
{

using Lock = std::lock_guard<std::mutex>;

std::atomic<int> live{0};

// Makes the eventfd readable, or not, whatever it was.
void set_level(int fd, bool on)
{
    uint64_t value = 1;
    ssize_t ignored = read(fd, &value, sizeof value);
    if (on) {
        value = 1;
        ignored = write(fd, &value, sizeof value);
    }
    (void)ignored;
}

} // namespace

LoopPipe::LoopPipe()
    : readable_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      writable_(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK))
{
}

LoopPipe::~LoopPipe()
{
    close(readable_);
    close(writable_);
}

void LoopPipe::set_faults(const LoopFaults &faults)
{
    Lock lock(mutex_);
    faults_ = faults;
    update_locked();
}

// How many bytes a receive may take now: none past a stall or a cut.
size_t LoopPipe::deliverable_locked() const
{
    size_t last = std::min(faults_.stall_at, faults_.cut_at);
    size_t allowed = last > received_ ? last - received_ : 0;
    return std::min({bytes_.size(), allowed, faults_.chunk});
}

bool LoopPipe::can_receive_locked() const
{
    bool stalled = received_ >= faults_.stall_at;
    bool at_end = received_ >= faults_.cut_at || (ended_ && bytes_.empty());
    return reset_ || deliverable_locked() > 0 || (at_end && !stalled);
}

bool LoopPipe::can_send_locked() const
{
    return reset_ || ended_ || receiver_gone_ || sent_ >= faults_.refuse_at ||
           bytes_.size() < faults_.capacity;
}

void LoopPipe::update_locked()
{
    set_level(readable_, can_receive_locked());
    set_level(writable_, can_send_locked());
}

sally_io LoopPipe::receive(void *buf, size_t n, size_t *count, int *sys_errno)
{
    Lock lock(mutex_);
    receives_++;
    if (!can_receive_locked()) {
        return SALLY_IO_WOULD_BLOCK;
    }
    if (reset_) {
        *sys_errno = ECONNRESET;
        return SALLY_IO_FAILED;
    }
    *count = std::min(n, deliverable_locked());
    if (*count == 0) {
        *sys_errno = faults_.cut_errno;
        return received_ >= faults_.cut_at && *sys_errno != 0 ? SALLY_IO_FAILED : SALLY_IO_END;
    }
    bytes_.copy(static_cast<char *>(buf), *count);
    bytes_.erase(0, *count);
    received_ += *count;
    update_locked();
    return SALLY_IO_DONE;
}

sally_io LoopPipe::send(const void *buf, size_t n, size_t *count, int *sys_errno)
{
    Lock lock(mutex_);
    if (!can_send_locked()) {
        return SALLY_IO_WOULD_BLOCK;
    }
    if (reset_ || ended_ || receiver_gone_ || sent_ >= faults_.refuse_at) {
        *sys_errno = reset_ ? ECONNRESET : faults_.refuse_errno;
        return SALLY_IO_FAILED;
    }
    size_t room = faults_.capacity - bytes_.size();
    *count = std::min({n, room, faults_.chunk, static_cast<size_t>(faults_.refuse_at - sent_)});
    bytes_.append(static_cast<const char *>(buf), *count);
    sent_ += *count;
    if (recording_) {
        record_.append(static_cast<const char *>(buf), *count);
    }
    update_locked();
    return SALLY_IO_DONE;
}

void LoopPipe::send_last(const void *buf, size_t n)
{
    Lock lock(mutex_);
    if (!ended_ && !reset_ && n > 0) {
        bytes_.append(static_cast<const char *>(buf), n);
        sent_ += n;
        update_locked();
    }
}

void LoopPipe::end()
{
    Lock lock(mutex_);
    ended_ = true;
    update_locked();
}

void LoopPipe::reset()
{
    Lock lock(mutex_);
    reset_ = true;
    update_locked();
}

void LoopPipe::close_receiver()
{
    Lock lock(mutex_);
    receiver_gone_ = true;
    update_locked();
}

uint64_t LoopPipe::bytes_sent() const
{
    Lock lock(mutex_);
    return sent_;
}

uint64_t LoopPipe::bytes_received() const
{
    Lock lock(mutex_);
    return received_;
}

uint64_t LoopPipe::receives() const
{
    Lock lock(mutex_);
    return receives_;
}

std::string LoopPipe::in_flight() const
{
    Lock lock(mutex_);
    return bytes_;
}

std::string LoopPipe::recorded() const
{
    Lock lock(mutex_);
    return record_;
}

namespace
{

// ---- as a transport of the library ----

struct LoopTransport {
    sally_transport base; // first: what the library points to
    std::shared_ptr<LoopPipe> from;
    std::shared_ptr<LoopPipe> to;
};

LoopTransport *self(sally_transport *t)
{
    return reinterpret_cast<LoopTransport *>(t);
}

sally_io receive_loop(sally_transport *t, void *buf, size_t n, size_t *count)
{
    return self(t)->from->receive(buf, n, count, &t->sys_errno);
}

sally_io send_loop(sally_transport *t, const void *buf, size_t n, size_t *count)
{
    return self(t)->to->send(buf, n, count, &t->sys_errno);
}

int wait_fd_loop(sally_transport *t, sally_direction direction, short *events)
{
    *events = POLLIN;
    return direction == SALLY_SEND ? self(t)->to->writable_fd() : self(t)->from->readable_fd();
}

void finish_loop(sally_transport *t, sally_buf *unsent, bool)
{
    self(t)->to->send_last(sally_buf_front(unsent), unsent->length);
    self(t)->to->end();
    self(t)->from->close_receiver();
    sally_buf_fini(unsent);
    delete self(t);
    live--;
}

const sally_transport_ops loop_ops = [] {
    sally_transport_ops ops = {};
    ops.receive = receive_loop;
    ops.send = send_loop;
    ops.wait_fd = wait_fd_loop;
    ops.finish = finish_loop;
    return ops;
}();

sally_transport *make_transport(std::shared_ptr<LoopPipe> from, std::shared_ptr<LoopPipe> to)
{
    auto *made = new LoopTransport{{}, std::move(from), std::move(to)};
    made->base.ops = &loop_ops;
    live++;
    return &made->base;
}

// ---- as a channel of a raw peer ----

class LoopChannel : public Channel
{
  public:
    LoopChannel(std::shared_ptr<LoopPipe> from, std::shared_ptr<LoopPipe> to)
        : from_(std::move(from)), to_(std::move(to))
    {
    }
    ~LoopChannel() override
    {
        to_->end();
        from_->close_receiver();
    }

    BIO *make_bio() override;
    bool wait(bool for_reading, int ms) override
    {
        return wait_for_fd(for_reading ? from_->readable_fd() : to_->writable_fd(), POLLIN, ms);
    }
    long send(const std::string &bytes) override
    {
        size_t count = 0;
        int failed = 0;
        sally_io io = to_->send(bytes.data(), bytes.size(), &count, &failed);
        return io == SALLY_IO_DONE ? static_cast<long>(count) : -1;
    }
    void end() override
    {
        to_->end();
    }
    void reset() override
    {
        to_->reset();
        from_->reset();
    }

    int bio_read(BIO *bio, char *buf, size_t n)
    {
        size_t count = 0;
        int failed = 0;
        BIO_clear_retry_flags(bio);
        switch (from_->receive(buf, n, &count, &failed)) {
        case SALLY_IO_DONE: return static_cast<int>(count);
        case SALLY_IO_WOULD_BLOCK: BIO_set_retry_read(bio); return -1;
        case SALLY_IO_END: at_end_ = true; return 0;
        default: errno = failed; return -1;
        }
    }
    int bio_write(BIO *bio, const char *buf, size_t n)
    {
        size_t count = 0;
        int failed = 0;
        BIO_clear_retry_flags(bio);
        switch (to_->send(buf, n, &count, &failed)) {
        case SALLY_IO_DONE: return static_cast<int>(count);
        case SALLY_IO_WOULD_BLOCK: BIO_set_retry_write(bio); return -1;
        default: errno = failed; return -1;
        }
    }
    bool at_end() const
    {
        return at_end_;
    }

  private:
    std::shared_ptr<LoopPipe> from_;
    std::shared_ptr<LoopPipe> to_;
    bool at_end_ = false;
};

LoopChannel *channel_of(BIO *bio)
{
    return static_cast<LoopChannel *>(BIO_get_data(bio));
}

int read_channel(BIO *bio, char *buf, int n)
{
    return channel_of(bio)->bio_read(bio, buf, static_cast<size_t>(n));
}

int write_channel(BIO *bio, const char *buf, int n)
{
    return channel_of(bio)->bio_write(bio, buf, static_cast<size_t>(n));
}

long control_channel(BIO *bio, int command, long, void *)
{
    switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP: return 1;
    case BIO_CTRL_EOF: return channel_of(bio)->at_end();
    default: return 0;
    }
}

BIO_METHOD *channel_method()
{
    static BIO_METHOD *method = [] {
        BIO_METHOD *made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "test loop");
        BIO_meth_set_read(made, read_channel);
        BIO_meth_set_write(made, write_channel);
        BIO_meth_set_ctrl(made, control_channel);
        return made;
    }();
    return method;
}

BIO *LoopChannel::make_bio()
{
    BIO *bio = BIO_new(channel_method());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    return bio;
}

} // namespace

sally_transport *transport_a(const Loop &loop)
{
    return make_transport(loop.to_a, loop.to_b);
}

sally_transport *transport_b(const Loop &loop)
{
    return make_transport(loop.to_b, loop.to_a);
}

std::unique_ptr<Channel> channel_a(const Loop &loop)
{
    return std::make_unique<LoopChannel>(loop.to_a, loop.to_b);
}

std::unique_ptr<Channel> channel_b(const Loop &loop)
{
    return std::make_unique<LoopChannel>(loop.to_b, loop.to_a);
}

int live_transports()
{
    return live;
}

} // namespace sallytest

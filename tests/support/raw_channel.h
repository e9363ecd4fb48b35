// What a raw peer runs over: a socket, or whatever else can carry bytes (loop_transport.h).
// Raw sockets here are plain system calls, independent of the library under test.
#ifndef SALLY_TEST_RAW_CHANNEL_H
#define SALLY_TEST_RAW_CHANNEL_H

#include <memory>
#include <string>

#include <openssl/bio.h>

namespace sallytest
{

// Carries bytes and never blocks, except in wait.
class Channel
{
  public:
    virtual ~Channel() = default;
    // A BIO for OpenSSL over this channel; the caller owns it.
    virtual BIO *make_bio() = 0;
    // Until it can be read (or written), at most `ms`; false when the time is over.
    virtual bool wait(bool for_reading, int ms) = 0;
    // As much of `bytes` as goes at once: -1 when nothing does, else the number.
    virtual long send(const std::string &bytes) = 0;
    // No more from us; the other end sees the end of the stream (FIN).
    virtual void end() = 0;
    // Gone at once: the other end sees a reset.
    virtual void reset() = 0;
};

// An owned file descriptor.
class Fd
{
  public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    ~Fd()
    {
        close();
    }
    Fd(Fd &&other) noexcept : fd_(other.release()) {}
    Fd &operator=(Fd &&other) noexcept
    {
        close();
        fd_ = other.release();
        return *this;
    }

    int get() const
    {
        return fd_;
    }
    int release()
    {
        int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void close();
    explicit operator bool() const
    {
        return fd_ >= 0;
    }

  private:
    int fd_;
};

class SocketChannel : public Channel
{
  public:
    // Takes the fd over and makes it non-blocking.
    explicit SocketChannel(Fd fd);

    BIO *make_bio() override;
    bool wait(bool for_reading, int ms) override;
    long send(const std::string &bytes) override;
    void end() override;
    void reset() override;
    int fd() const
    {
        return fd_.get();
    }

  private:
    Fd fd_;
};

// poll(2) of one fd: whether it got ready within `ms`.
bool wait_for_fd(int fd, short events, int ms);

// A TCP connection to 127.0.0.1. `receive_buffer` 0: the system's default.
Fd connect_to(int port, int receive_buffer = 0);
// Closes with a reset.
void reset_socket(Fd fd);

// Listens on 127.0.0.1, a port that the kernel picks.
class RawListener
{
  public:
    // A small `receive_buffer` is inherited by what is accepted, and fills soon.
    explicit RawListener(int receive_buffer = 0, int backlog = 64);
    int port() const
    {
        return port_;
    }
    // Waits at most ten seconds; no fd (and a test failure) when nobody comes.
    Fd accept();

  private:
    Fd fd_;
    int port_ = 0;
};

// A loopback port on which nobody listens, and nobody will while this lives: bound, not listening.
class ClosedPort
{
  public:
    ClosedPort();
    int port() const
    {
        return port_;
    }

  private:
    Fd fd_;
    int port_ = 0;
};

} // namespace sallytest
#endif

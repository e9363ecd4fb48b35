// What the tests of connect, listen and accept share.
#ifndef SALLY_TEST_SCENARIO_ENDS_H
#define SALLY_TEST_SCENARIO_ENDS_H

#include <memory>
#include <string>

#include "support/certs.h"
#include "support/handles.h"
#include "support/pairs.h"
#include "support/raw_peer.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{

// Far beyond what any of these calls takes; a test that hangs ends there.
inline constexpr int kBoundMs = slow(20000);

// What a call of ssl_accept or ssl_connect came to.
struct Outcome {
    ssl_status status = SALLY_OK;
    Ports ports;
    ssl_error err = {};
};

inline testing::AssertionResult is(ssl_status want, const Outcome &got)
{
    bool has_ports = got.ports.in() != nullptr || got.ports.out() != nullptr;
    if (has_ports != (got.status == SALLY_OK)) {
        return testing::AssertionFailure() << "ports after " << ssl_status_name(got.status);
    }
    return is(want, got.status, got.err);
}

// `brk` NULL: nothing but the bound breaks it.
inline Outcome accept_from(ssl_listener *listener, ssl_break *brk = nullptr)
{
    Outcome outcome;
    Break bound = deadline_in_ms(kBoundMs, brk);
    outcome.status =
        ssl_accept_enable_break(listener, bound.get(), outcome.ports.fill(), &outcome.err);
    return outcome;
}

inline Outcome connect_at(const std::string &host, int port, ssl_context *context,
                          ssl_break *brk = nullptr)
{
    Outcome outcome;
    Break bound = deadline_in_ms(kBoundMs, brk);
    outcome.status = ssl_connect_enable_break(host.c_str(), port, context, bound.get(),
                                              outcome.ports.fill(), &outcome.err);
    return outcome;
}

inline Listener listen_with(const ssl_listen_options &options, ssl_context *context, int port = 0)
{
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_listen(port, &options, context, &listener, &err), err));
    return Listener(listener);
}

inline ssl_listen_options loopback_options()
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    options.host = "127.0.0.1";
    return options;
}

// A raw client, its handshake not begun.
inline std::unique_ptr<RawPeer> raw_client_at(int port)
{
    return raw_peer(connect_to(port), raw_client());
}

// A raw client that does its whole handshake in a thread of its own.
class Handshaker
{
  public:
    explicit Handshaker(int port) : Handshaker(raw_client_at(port)) {}
    explicit Handshaker(std::unique_ptr<RawPeer> raw)
        : raw_(std::move(raw)), thread_([this] { result_ = raw_->handshake(); })
    {
    }
    Raw result()
    {
        thread_.join();
        return result_;
    }
    RawPeer &raw()
    {
        thread_.join();
        return *raw_;
    }

  private:
    std::unique_ptr<RawPeer> raw_;
    Raw result_ = Raw::Failed;
    Thread thread_; // last: it uses the others
};

// For sweeps of socket calls that look at the errno.
inline ssl_status system_for_cut(ssl_status status, ssl_error *err)
{
    if (status != SALLY_TRUNCATED || err->sys_errno == 0) {
        return status;
    }
    err->status = SALLY_SYSTEM;
    return SALLY_SYSTEM;
}

// A byte from the one to the other and back: the pair works, and the two belong together.
inline void expect_echo(const Ports &ours, RawPeer &raw, char byte = 'e')
{
    std::string got;
    size_t n = 0;
    char buf = 0;
    ssl_error err;
    EXPECT_EQ(Raw::Ok, raw.write_all(std::string(1, byte)));
    EXPECT_TRUE(is(SALLY_OK, ssl_read(ours.in(), &buf, 1, &n, &err), err));
    EXPECT_EQ(byte, buf);
    EXPECT_TRUE(is(SALLY_OK, ssl_write(ours.out(), &buf, 1, nullptr, &err), err));
    EXPECT_EQ(Raw::Ok, raw.read_full(&got, 1));
    EXPECT_EQ(std::string(1, byte), got);
}

} // namespace sallytest
#endif

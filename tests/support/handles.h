// Owners for the public handles, and comparison of results.
#ifndef SALLY_TEST_HANDLES_H
#define SALLY_TEST_HANDLES_H

#include <memory>
#include <ostream>

#include <gtest/gtest.h>

#include "sallyport/break.h"
#include "sallyport/connect.h"
#include "sallyport/error.h"
#include "sallyport/listener.h"
#include "sallyport/load.h"
#include "sallyport/memory.h"
#include "sallyport/ocsp.h"
#include "sallyport/peer.h"
#include "sallyport/port.h"
#include "sallyport/registry.h"
#include "sallyport/server.h"
#include "sallyport/session.h"
#include "sallyport/verify.h"
#include "sallyport/wrap.h"

namespace sallytest
{

template <auto Free>
struct Deleter {
    template <class T>
    void operator()(T *object) const
    {
        Free(object);
    }
};

using Context = std::unique_ptr<ssl_context, Deleter<ssl_context_release>>;
using Registry = std::unique_ptr<ssl_registry, Deleter<ssl_registry_release>>;
using Session = std::unique_ptr<ssl_session, Deleter<ssl_session_release>>;
using TicketKeys = std::unique_ptr<ssl_ticket_keys, Deleter<ssl_ticket_keys_release>>;
using Break = std::unique_ptr<ssl_break, Deleter<ssl_break_release>>;
using Listener = std::unique_ptr<ssl_listener, Deleter<ssl_free_listener>>;
using Server = std::unique_ptr<ssl_server, Deleter<ssl_server_free>>;

// Both doors of a connection, freed at the end.
class Ports
{
  public:
    Ports() = default;
    explicit Ports(ssl_ports ports) : ports_(ports) {}
    ~Ports()
    {
        reset();
    }
    Ports(Ports &&other) noexcept : ports_(other.release()) {}
    Ports &operator=(Ports &&other) noexcept
    {
        reset();
        ports_ = other.release();
        return *this;
    }

    ssl_port *in() const
    {
        return ports_.in;
    }
    ssl_port *out() const
    {
        return ports_.out;
    }
    ssl_ports *fill()
    {
        return &ports_;
    }
    void reset()
    {
        ssl_free_ports(&ports_);
    }
    ssl_ports release()
    {
        ssl_ports ports = ports_;
        ports_ = ssl_ports{nullptr, nullptr};
        return ports;
    }
    explicit operator bool() const
    {
        return ports_.in != nullptr && ports_.out != nullptr;
    }

  private:
    ssl_ports ports_{nullptr, nullptr};
};

// EXPECT_TRUE(is(SALLY_EOF, ssl_read(in, buf, n, &got, &err), err)): names both, and the text.
inline testing::AssertionResult is(ssl_status want, ssl_status got, const ssl_error &err)
{
    if (want == got && (got == SALLY_OK || err.status == got)) {
        return testing::AssertionSuccess();
    }
    auto result = testing::AssertionFailure()
                  << "wanted " << ssl_status_name(want) << ", got " << ssl_status_name(got);
    if (got != SALLY_OK) {
        result << " (err says " << ssl_status_name(err.status) << ": " << err.text << ")";
    }
    return result;
}

// A new token; NULL and a failure when it cannot be made.
inline Break new_break(ssl_break *parent = nullptr)
{
    ssl_break *brk = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_break_new(parent, &brk, &err), err));
    return Break(brk);
}

inline Break deadline_in_ms(int64_t ms, ssl_break *parent = nullptr)
{
    ssl_break *brk = nullptr;
    ssl_error err;
    ssl_status status = ssl_break_new_deadline(parent, ssl_deadline_after_ms(ms), &brk, &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    return Break(brk);
}

} // namespace sallytest

// How GoogleTest prints a status.
inline void PrintTo(ssl_status status, std::ostream *out)
{
    *out << ssl_status_name(status);
}

#endif

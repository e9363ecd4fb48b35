#include "scenario/streams.h"

#include <algorithm>

#include "support/rng.h"

namespace sallytest
{
namespace
{

constexpr uint64_t kPiece = 60000;
constexpr uint64_t kUpdateEvery = 200000;

// One thread's way through both streams.
struct Exchange {
    RawPeer *raw;
    RawTraffic traffic;
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t next_update = kUpdateEvery;

    bool is_done() const
    {
        return sent == traffic.send && received == traffic.receive;
    }
};

// Not Ok: it would block, or failed.
Raw send_piece(Exchange *x)
{
    if (x->sent == x->traffic.send) {
        return Raw::WantRead;
    }
    std::string bytes =
        stream_bytes(kTheirs, x->sent, std::min<uint64_t>(16000, x->traffic.send - x->sent));
    size_t done = 0;
    Raw result = x->raw->write_step(bytes.data(), bytes.size(), &done);
    x->sent += done;
    if (x->traffic.update_keys && result == Raw::Ok && x->sent >= x->next_update) {
        EXPECT_TRUE(x->raw->update_key(true));
        x->next_update += kUpdateEvery;
    }
    return result;
}

Raw receive_piece(Exchange *x)
{
    char buf[16384];
    size_t got = 0;
    Raw result = x->raw->read_step(buf, sizeof buf, &got);
    EXPECT_EQ(-1, stream_mismatch(kOurs, x->received, buf, got)) << "after " << x->received;
    x->received += got;
    return result;
}

bool has_failed(Raw result)
{
    return result != Raw::Ok && result != Raw::WantRead && result != Raw::WantWrite;
}

} // namespace

void send_ours(ssl_port *out, uint64_t from, uint64_t to)
{
    while (from < to) {
        std::string bytes = stream_bytes(kOurs, from, std::min(kPiece, to - from));
        size_t done = 0;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_write(out, bytes.data(), bytes.size(), &done, &err), err));
        from += done;
    }
}

void receive_theirs(ssl_port *in, uint64_t from, uint64_t to)
{
    std::string buf(kPiece, '\0');
    while (from < to) {
        size_t got = 0;
        ssl_error err;
        size_t most = std::min(kPiece, to - from);
        ASSERT_TRUE(is(SALLY_OK, ssl_read(in, &buf[0], most, &got, &err), err));
        ASSERT_EQ(-1, stream_mismatch(kTheirs, from, buf.data(), got)) << "after " << from;
        from += got;
    }
}

void raw_send(RawPeer *raw, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t n = std::min(kPiece, to - from);
        ASSERT_EQ(Raw::Ok, raw->write_all(stream_bytes(kTheirs, from, n))) << raw->last_error();
        from += n;
    }
}

void raw_receive(RawPeer *raw, uint64_t from, uint64_t to)
{
    while (from < to) {
        std::string bytes;
        size_t most = std::min<uint64_t>(16384, to - from);
        ASSERT_EQ(Raw::Ok, raw->read_some(&bytes, most)) << raw->last_error() << " after " << from;
        ASSERT_EQ(-1, stream_mismatch(kOurs, from, bytes.data(), bytes.size())) << "after " << from;
        from += bytes.size();
    }
}

void raw_exchange(RawPeer *raw, const RawTraffic &traffic)
{
    Exchange x{raw, traffic};
    while (!x.is_done()) {
        Raw sent = send_piece(&x);
        Raw received = receive_piece(&x);
        ASSERT_FALSE(has_failed(sent) || has_failed(received))
            << name_of(sent) << " " << name_of(received) << " " << raw->last_error();
        if (sent != Raw::Ok && received != Raw::Ok && !x.is_done()) {
            // Most often there is something to read soon; if not, writing is tried again.
            raw->channel().wait(true, 5);
        }
    }
}

} // namespace sallytest

#include "conformance/port_suite.h"

#include "support/rng.h"

namespace sallytest
{

void PortSuite::put(const std::string &bytes)
{
    ssl_error err;
    size_t done = 0;
    EXPECT_TRUE(is(SALLY_OK, ssl_write(out_, bytes.data(), bytes.size(), &done, &err), err));
    EXPECT_EQ(bytes.size(), done);
}

std::string PortSuite::get(size_t n)
{
    ssl_error err;
    std::string bytes(n, '\0');
    size_t got = 0;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_full(in_, &bytes[0], n, &got, &err), err));
    bytes.resize(got);
    return bytes;
}

ssl_status PortSuite::read_status(ssl_error *err)
{
    char byte;
    size_t got = 0;
    return ssl_read(in_, &byte, 1, &got, err);
}

ssl_status PortSuite::close_status(ssl_port *port)
{
    ssl_error err;
    ssl_status status = ssl_close_port(port, &err);
    EXPECT_TRUE(status == SALLY_OK || err.text[0] != '\0');
    return status;
}

// A socket that takes nothing now may take a little when acknowledgements come, or its probes of a
// closed window (every 200 ms at first), and poll does not tell before a third of it is free. So it is
// full when nothing has moved for a while. Anything but TCP is full when it says so.
size_t fill_port(ssl_port *out, bool is_tcp)
{
    size_t total = 0;
    int rounds = is_tcp ? 4 : 1;
    for (int still = 0; still < rounds; still++) {
        size_t unsent = ssl_pending_output(out);
        size_t done = 0;
        do {
            std::string bytes = stream_bytes(1, total, 65536);
            ssl_error err;
            EXPECT_TRUE(is(SALLY_OK,
                           ssl_write_available(out, bytes.data(), bytes.size(), &done, &err), err));
            total += done;
            still = done != 0 || ssl_pending_output(out) != unsent ? 0 : still;
        } while (done != 0);
        (void)ssl_flush_enable_break(out, deadline_in_ms(100).get(), nullptr);
    }
    return total;
}

size_t PortSuite::fill()
{
    return fill_port(out_, GetParam().is_tcp);
}

} // namespace sallytest

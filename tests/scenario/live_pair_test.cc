// A certificate demanded of a live connection that has our library at both ends (C7), and what the log of
// secrets gets of it (C6).
#include <mutex>
#include <set>
#include <string>

#include "sallyport/keylog.h"
#include "scenario/live.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

const char kClient[] = "/O=Sallyport tests/CN=Test client";
const int kCertificateRequired = 116; // RFC 8446 section 6
const int kHandshakeFailure = 40;     // RFC 5246 section 7.2
const int kNoRenegotiation = 100;

// Lines of a context, from any thread.
struct Log {
    std::mutex mutex;
    std::multiset<std::string> lines;

    explicit Log(ssl_context *context)
    {
        EXPECT_EQ(SALLY_OK, ssl_set_keylogger(context, add, this, nullptr));
    }
    static void add(const char *line, void *user)
    {
        Log *log = static_cast<Log *>(user);
        std::lock_guard<std::mutex> hold(log->mutex);
        log->lines.insert(line);
    }
};

// Reads one byte in a thread of its own, and answers what it is asked on the way.
class Reading
{
  public:
    explicit Reading(ssl_port *in)
        : thread_([this, in] {
              char byte;
              size_t got;
              status_ = ssl_read(in, &byte, 1, &got, &err_);
          })
    {
    }
    ssl_status status()
    {
        thread_.join();
        return status_;
    }
    const ssl_error &err() const
    {
        return err_;
    }

  private:
    ssl_status status_ = SALLY_OK;
    ssl_error err_ = {};
    Thread thread_;
};

void write_byte(ssl_port *out)
{
    EXPECT_EQ(SALLY_OK, ssl_write(out, "e", 1, nullptr, nullptr));
}

void expect_bytes(ssl_port *out, ssl_port *in)
{
    std::string sent(50000, 's');
    std::string back(sent.size(), '\0');
    size_t got = 0;
    Thread writer(
        [&] { EXPECT_EQ(SALLY_OK, ssl_write(out, sent.data(), sent.size(), nullptr, nullptr)); });
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_full(in, back.data(), back.size(), &got, &err), err));
    EXPECT_EQ(sent, back);
}

void expect_bytes_both_ways(const Pair &pair)
{
    expect_bytes(pair.client.out(), pair.server.in());
    expect_bytes(pair.server.out(), pair.client.in());
}

std::string subject_of_peer(const ssl_port *port)
{
    char text[200];
    size_t length = 0;
    EXPECT_EQ(SALLY_OK, ssl_peer_subject_name(port, text, sizeof text, &length, nullptr));
    return text;
}

class LivePair : public testing::TestWithParam<ssl_protocol>
{
  protected:
    LivePair()
        : server_(trusting_server(GetParam(), !is_tls13())),
          client_(client_context_with_identity(GetParam()))
    {
        EXPECT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(client_.get(), !is_tls13(), nullptr));
    }
    static bool is_tls13()
    {
        return GetParam() == SALLY_PROTOCOL_TLS13;
    }
    Pair connect()
    {
        Pair pair = pair_of(client_.get(), server_.get());
        if (pair) {
            ssl_port_set_timeout(pair.server.in(), slow(20000), nullptr);
            ssl_port_set_timeout(pair.client.in(), slow(20000), nullptr);
        }
        return pair;
    }

    Context server_;
    Context client_;
};

INSTANTIATE_TEST_SUITE_P(Versions, LivePair,
                         testing::Values(SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13),
                         [](const testing::TestParamInfo<ssl_protocol> &version) {
                             return version.param == SALLY_PROTOCOL_TLS13 ? "Tls13" : "Tls12";
                         });

TEST_P(LivePair, C7_AReaderAnswersAsOftenAsItIsAsked)
{
    Pair pair = connect();
    ASSERT_TRUE(pair);
    EXPECT_FALSE(ssl_peer_verified(pair.server.in()));
    Reading client(pair.client.in());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.server.in(), true, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.server.out(), true, &err), err));
    EXPECT_TRUE(ssl_peer_verified(pair.server.in()));
    EXPECT_EQ(kClient, subject_of_peer(pair.server.in()));
    write_byte(pair.server.out());
    EXPECT_TRUE(is(SALLY_OK, client.status(), client.err()));
    expect_bytes_both_ways(pair);
}

// What it wrote before it was asked is read afterwards.
TEST_P(LivePair, C7_WhatWasWrittenFirstIsKept)
{
    Pair pair = connect();
    ASSERT_TRUE(pair);
    EXPECT_EQ(SALLY_OK, ssl_write(pair.client.out(), "first", 5, nullptr, nullptr));
    Reading client(pair.client.in());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.server.in(), true, &err), err));
    write_byte(pair.server.out());
    EXPECT_TRUE(is(SALLY_OK, client.status(), client.err()));
    char buf[5];
    size_t got = 0;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_full(pair.server.in(), buf, sizeof buf, &got, &err), err));
    EXPECT_EQ("first", std::string(buf, got));
    expect_bytes_both_ways(pair);
}

// A client without a key does not offer to be asked in TLS 1.3; before it, it has nothing to show.
TEST_P(LivePair, C7_AClientWithoutACertificate)
{
    client_ = client_context(GetParam());
    ASSERT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(client_.get(), true, nullptr));
    Pair pair = connect();
    ASSERT_TRUE(pair);
    Reading client(pair.client.in());
    ssl_error err;
    ssl_status status = ssl_port_set_verify(pair.server.in(), true, &err);
    if (is_tls13()) {
        EXPECT_TRUE(is(SALLY_UNSUPPORTED, status, err));
        write_byte(pair.server.out());
        EXPECT_TRUE(is(SALLY_OK, client.status(), client.err()));
        expect_bytes_both_ways(pair);
    } else {
        EXPECT_TRUE(is(SALLY_VERIFY, status, err));
        EXPECT_TRUE(is(SALLY_PEER, client.status(), client.err()));
        EXPECT_EQ(kHandshakeFailure, client.err().code);
    }
}

// A certificate that the server does not trust: both ends learn it.
TEST_P(LivePair, C7_AClientWithAnotherRoot)
{
    std::string chain = cert_path("wrong-ca.pem");
    std::string key = cert_path("wrong-ca-key.pem");
    ASSERT_EQ(SALLY_OK,
              ssl_load_identity(client_.get(), chain.c_str(), key.c_str(), nullptr, nullptr));
    Pair pair = connect();
    ASSERT_TRUE(pair);
    Reading client(pair.client.in());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_VERIFY, ssl_port_set_verify(pair.server.in(), true, &err), err));
    EXPECT_TRUE(is(SALLY_PEER, client.status(), client.err()));
    EXPECT_NE(kCertificateRequired, client.err().code) << "it showed one";
}

// A renegotiation makes new secrets; a certificate after a TLS 1.3 handshake makes none.
TEST_P(LivePair, C6_BothLogsGetTheSecretsOfARenegotiation)
{
    Log at_server(server_.get());
    Log at_client(client_.get());
    Pair pair = connect();
    ASSERT_TRUE(pair);
    size_t of_a_handshake = is_tls13() ? 5 : 1;
    EXPECT_EQ(of_a_handshake, at_server.lines.size());
    Reading client(pair.client.in());
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.server.in(), true, &err), err));
    write_byte(pair.server.out());
    EXPECT_TRUE(is(SALLY_OK, client.status(), client.err()));
    EXPECT_EQ(is_tls13() ? of_a_handshake : 2, at_server.lines.size());
    EXPECT_EQ(at_server.lines, at_client.lines);
    EXPECT_EQ(at_server.lines.size(),
              std::set<std::string>(at_server.lines.begin(), at_server.lines.end()).size());
}

TEST(LivePair12, P1_OurClientDoesNotRenegotiateUnlessTold)
{
    Context server = trusting_server(SALLY_PROTOCOL_TLS12, true);
    Context client = client_context_with_identity(SALLY_PROTOCOL_TLS12);
    Pair pair = pair_of(client.get(), server.get());
    ASSERT_TRUE(pair);
    Reading reading(pair.client.in());
    ssl_error err;
    Break bound = deadline_in_ms(slow(20000));
    EXPECT_TRUE(is(SALLY_PEER,
                   ssl_port_set_verify_enable_break(pair.server.in(), true, bound.get(), &err),
                   err));
    EXPECT_EQ(kNoRenegotiation, err.code);
    pair.server.reset();
    EXPECT_NE(SALLY_OK, reading.status());
}

} // namespace

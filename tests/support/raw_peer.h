// A TLS peer made of plain OpenSSL, that does what a test tells it: one handshake step, a KeyUpdate, a
// CertificateRequest after the handshake, a goodbye, a cut, or nothing at all.
//
// Every call is bounded: ten seconds (stretched in slow builds), then a test failure.
// Threads: one, except where a test gives reading and writing turns of its own.
#ifndef SALLY_TEST_RAW_PEER_H
#define SALLY_TEST_RAW_PEER_H

#include <memory>
#include <ostream>
#include <string>

#include <openssl/ssl.h>

#include "support/raw_channel.h"

namespace sallytest
{

struct RawOptions {
    bool server = false;
    int version = 0;                 // TLS1_2_VERSION or TLS1_3_VERSION; 0: both
    std::string identity = "server"; // stem of certificate and key; a client's: see client_identity
    std::string client_identity;     // shown when the server asks; empty: none
    bool post_handshake_auth = false; // a client offers it
    bool ask_certificate = false;     // a server asks for a client certificate in the handshake
    bool require_certificate = false; // and fails without one
    bool allow_renegotiation = false;
    bool refuse_renegotiation = false;  // when ours asks for it
    bool extended_master_secret = true; // RFC 7627; TLS 1.2
    std::string ciphers;                // TLS 1.2 list
    std::string server_name;            // SNI of a client; empty: none
    std::string trust; // stem of the CA that it verifies against; empty: verifies nothing
    bool read_ahead = false;
};

enum class Raw {
    Ok,
    WantRead,
    WantWrite,
    Eof,   // close_notify
    Cut,   // the stream ended without it, or was reset
    Alert, // the other end sent a fatal alert: last_alert()
    Failed // anything else: last_error()
};

const char *name_of(Raw result);
inline void PrintTo(Raw result, std::ostream *out)
{
    *out << name_of(result);
}

class RawPeer
{
  public:
    RawPeer(std::unique_ptr<Channel> channel, const RawOptions &options);
    ~RawPeer();
    RawPeer(const RawPeer &) = delete;
    RawPeer &operator=(const RawPeer &) = delete;

    // One step; never blocks.
    Raw handshake_step();
    Raw read_step(void *buf, size_t n, size_t *got);
    Raw write_step(const void *buf, size_t n, size_t *done);

    // To the end; they wait as needed.
    Raw handshake();
    Raw write_all(const std::string &bytes);
    // What comes next, at least a byte unless the result is not Ok.
    Raw read_some(std::string *bytes, size_t most = 16384);
    // Exactly n bytes, or fewer and not Ok.
    Raw read_full(std::string *bytes, size_t n);
    // Everything up to the end, which is the result.
    Raw read_to_end(std::string *bytes);
    // Whether nothing can be read for `ms` milliseconds: for promises of silence.
    bool is_silent_for(int ms);

    // TLS 1.3. The message goes out with the next write or read step, or with push.
    bool update_key(bool ask_peer_too);
    // False while an earlier request is unanswered, and when the client did not offer it.
    bool request_certificate();
    // TLS 1.2.
    bool request_renegotiation();
    // Lets OpenSSL send what it has queued.
    Raw push();

    // Says goodbye (close_notify); the other direction stays open.
    Raw send_goodbye();
    // The stream ends without goodbye (FIN), or with a reset.
    void end()
    {
        channel_->end();
    }
    void reset()
    {
        channel_->reset();
    }

    // Bytes that are no TLS, or half of a message.
    void send_garbage(const std::string &bytes);
    void send_half_client_hello();

    SSL *ssl()
    {
        return ssl_;
    }
    Channel &channel()
    {
        return *channel_;
    }
    int last_alert() const
    {
        return last_alert_;
    } // number of the last alert received, or -1
    int key_updates_received() const
    {
        return key_updates_;
    }
    int tickets_received() const
    {
        return tickets_;
    }
    int certificate_requests_received() const
    {
        return certificate_requests_;
    }
    const std::string &last_error() const
    {
        return last_error_;
    }

  private:
    Raw result_of(int returned);
    Raw run(const char *what, Raw (*step)(RawPeer *, void *), void *arg);
    static void on_message(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl,
                           void *arg);

    std::unique_ptr<Channel> channel_;
    SSL_CTX *ctx_ = nullptr;
    SSL *ssl_ = nullptr;
    int last_alert_ = -1;
    int key_updates_ = 0;
    int tickets_ = 0;
    int certificate_requests_ = 0;
    std::string last_error_;
};

// A peer over a socket, its handshake not done.
std::unique_ptr<RawPeer> raw_peer(Fd fd, const RawOptions &options = {});

// The bytes of a ClientHello.
std::string client_hello();

// A raw server's options, and a raw client's, for a version (0: both).
RawOptions raw_server(int version = 0);
RawOptions raw_client(int version = 0);

} // namespace sallytest
#endif

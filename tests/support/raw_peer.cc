#include "support/raw_peer.h"

#include <cerrno>

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "support/certs.h"
#include "support/rng.h"

namespace sallytest
{
namespace
{

int patience_ms()
{
    return slow(10000);
}

void load_identity(SSL_CTX *ctx, const std::string &stem)
{
    EXPECT_EQ(1, SSL_CTX_use_certificate_chain_file(ctx, cert_path(stem + ".pem").c_str()));
    std::string key = cert_path(stem + "-key.pem");
    EXPECT_EQ(1, SSL_CTX_use_PrivateKey_file(ctx, key.c_str(), SSL_FILETYPE_PEM));
}

int accept_any(X509_STORE_CTX *, void *)
{
    return 1;
}

void ask_for_certificates(SSL_CTX *ctx, const RawOptions &options)
{
    int mode = SSL_VERIFY_NONE;
    if (!options.server && !options.trust.empty()) {
        mode = SSL_VERIFY_PEER;
    } else if (options.server && options.require_certificate) {
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    } else if (options.server && options.ask_certificate) {
        mode = SSL_VERIFY_PEER;
    }
    SSL_CTX_set_verify(ctx, mode, nullptr);
    if (options.trust.empty()) {
        SSL_CTX_set_cert_verify_callback(ctx, accept_any, nullptr);
    } else {
        std::string roots = cert_path(options.trust + ".pem");
        EXPECT_EQ(1, SSL_CTX_load_verify_file(ctx, roots.c_str()));
    }
}

SSL_CTX *make_ctx(const RawOptions &options)
{
    SSL_CTX *ctx = SSL_CTX_new(options.server ? TLS_server_method() : TLS_client_method());
    if (options.version != 0) {
        SSL_CTX_set_min_proto_version(ctx, options.version);
        SSL_CTX_set_max_proto_version(ctx, options.version);
    }
    if (options.server) {
        load_identity(ctx, options.identity);
        SSL_CTX_set_session_id_context(ctx, reinterpret_cast<const unsigned char *>("raw"), 3);
    } else if (!options.client_identity.empty()) {
        load_identity(ctx, options.client_identity);
    }
    if (!options.ciphers.empty()) {
        EXPECT_EQ(1, SSL_CTX_set_cipher_list(ctx, options.ciphers.c_str()));
    }
    ask_for_certificates(ctx, options);
    if (options.allow_renegotiation) {
        SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    }
    if (options.refuse_renegotiation) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    }
    if (!options.extended_master_secret) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    }
    SSL_CTX_set_post_handshake_auth(ctx, options.post_handshake_auth);
    SSL_CTX_set_read_ahead(ctx, options.read_ahead);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

std::string take_error_text()
{
    char text[256] = "none";
    unsigned long code = ERR_peek_last_error();
    ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return text;
}

struct WriteArgs {
    const char *bytes;
    size_t n;
    size_t done;
};

struct ReadArgs {
    std::string *bytes;
    size_t most;
};

} // namespace

const char *name_of(Raw result)
{
    static const char *const names[] = {"Ok",  "WantRead", "WantWrite", "Eof",
                                        "Cut", "Alert",    "Failed"};
    return names[static_cast<int>(result)];
}

RawOptions raw_server(int version)
{
    RawOptions options;
    options.server = true;
    options.version = version;
    return options;
}

RawOptions raw_client(int version)
{
    RawOptions options;
    options.version = version;
    return options;
}

RawPeer::RawPeer(std::unique_ptr<Channel> channel, const RawOptions &options)
    : channel_(std::move(channel)), ctx_(make_ctx(options)), ssl_(SSL_new(ctx_))
{
    BIO *bio = channel_->make_bio();
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_msg_callback(ssl_, on_message);
    SSL_set_msg_callback_arg(ssl_, this);
    if (options.server) {
        SSL_set_accept_state(ssl_);
    } else {
        SSL_set_connect_state(ssl_);
    }
    if (!options.server_name.empty()) {
        SSL_set_tlsext_host_name(ssl_, options.server_name.c_str());
    }
}

RawPeer::~RawPeer()
{
    SSL_free(ssl_);
    SSL_CTX_free(ctx_);
    ERR_clear_error();
}

void RawPeer::on_message(int sent, int, int type, const void *bytes, size_t n, SSL *, void *arg)
{
    auto *peer = static_cast<RawPeer *>(arg);
    const auto *message = static_cast<const unsigned char *>(bytes);
    if (sent != 0 || n == 0) {
        return;
    }
    if (type == SSL3_RT_ALERT && n == 2) {
        peer->last_alert_ = message[1];
    } else if (type == SSL3_RT_HANDSHAKE && message[0] == SSL3_MT_KEY_UPDATE) {
        peer->key_updates_++;
    } else if (type == SSL3_RT_HANDSHAKE && message[0] == SSL3_MT_NEWSESSION_TICKET) {
        peer->tickets_++;
    } else if (type == SSL3_RT_HANDSHAKE && message[0] == SSL3_MT_CERTIFICATE_REQUEST) {
        peer->certificate_requests_++;
    }
}

Raw RawPeer::result_of(int returned)
{
    if (returned > 0) {
        return Raw::Ok;
    }
    int error = SSL_get_error(ssl_, returned);
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    last_error_ = take_error_text();
    switch (error) {
    case SSL_ERROR_WANT_READ: return Raw::WantRead;
    case SSL_ERROR_WANT_WRITE: return Raw::WantWrite;
    case SSL_ERROR_ZERO_RETURN: return Raw::Eof;
    case SSL_ERROR_SYSCALL: return Raw::Cut;
    default: break;
    }
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return Raw::Cut;
    }
    return reason > SSL_AD_REASON_OFFSET && last_alert_ >= 0 ? Raw::Alert : Raw::Failed;
}

Raw RawPeer::handshake_step()
{
    ERR_clear_error();
    return result_of(SSL_do_handshake(ssl_));
}

Raw RawPeer::read_step(void *buf, size_t n, size_t *got)
{
    ERR_clear_error();
    *got = 0;
    return result_of(SSL_read_ex(ssl_, buf, n, got));
}

Raw RawPeer::write_step(const void *buf, size_t n, size_t *done)
{
    ERR_clear_error();
    *done = 0;
    return result_of(SSL_write_ex(ssl_, buf, n, done));
}

// Steps until one gives neither WantRead nor WantWrite.
Raw RawPeer::run(const char *what, Raw (*step)(RawPeer *, void *), void *arg)
{
    for (;;) {
        Raw result = step(this, arg);
        if (result != Raw::WantRead && result != Raw::WantWrite) {
            return result;
        }
        if (!channel_->wait(result == Raw::WantRead, patience_ms())) {
            ADD_FAILURE() << "the raw peer waited too long: " << what;
            return result;
        }
    }
}

Raw RawPeer::handshake()
{
    return run(
        "handshake", [](RawPeer *peer, void *) { return peer->handshake_step(); }, nullptr);
}

Raw RawPeer::write_all(const std::string &bytes)
{
    WriteArgs args = {bytes.data(), bytes.size(), 0};
    auto step = [](RawPeer *peer, void *arg) {
        auto *w = static_cast<WriteArgs *>(arg);
        size_t done = 0;
        Raw result = peer->write_step(w->bytes + w->done, w->n - w->done, &done);
        w->done += done;
        return result;
    };
    Raw result = Raw::Ok;
    while (result == Raw::Ok && args.done < args.n) {
        result = run("write", step, &args);
    }
    return result;
}

Raw RawPeer::read_some(std::string *bytes, size_t most)
{
    ReadArgs args = {bytes, most};
    bytes->clear();
    return run(
        "read",
        [](RawPeer *peer, void *arg) {
            auto *r = static_cast<ReadArgs *>(arg);
            r->bytes->resize(r->most);
            size_t got = 0;
            Raw result = peer->read_step(&(*r->bytes)[0], r->most, &got);
            r->bytes->resize(got);
            return result;
        },
        &args);
}

Raw RawPeer::read_full(std::string *bytes, size_t n)
{
    Raw result = Raw::Ok;
    std::string all;
    while (result == Raw::Ok && all.size() < n) {
        std::string some;
        result = read_some(&some, n - all.size() < 16384 ? n - all.size() : 16384);
        all += some;
    }
    *bytes = all;
    return result;
}

Raw RawPeer::read_to_end(std::string *bytes)
{
    bytes->clear();
    for (;;) {
        std::string some;
        Raw result = read_some(&some);
        if (result != Raw::Ok) {
            return result;
        }
        *bytes += some;
    }
}

bool RawPeer::is_silent_for(int ms)
{
    char byte;
    size_t got = 0;
    while (read_step(&byte, 1, &got) == Raw::WantRead) {
        if (!channel_->wait(true, ms)) {
            return true;
        }
    }
    return false;
}

bool RawPeer::update_key(bool ask_peer_too)
{
    return SSL_key_update(ssl_, ask_peer_too ? SSL_KEY_UPDATE_REQUESTED
                                             : SSL_KEY_UPDATE_NOT_REQUESTED) == 1;
}

bool RawPeer::request_certificate()
{
    SSL_set_verify(ssl_, SSL_VERIFY_PEER, nullptr);
    bool asked = SSL_verify_client_post_handshake(ssl_) == 1;
    ERR_clear_error();
    return asked;
}

bool RawPeer::request_renegotiation()
{
    return SSL_renegotiate(ssl_) == 1;
}

Raw RawPeer::push()
{
    return handshake();
}

Raw RawPeer::send_goodbye()
{
    ERR_clear_error();
    auto step = [](RawPeer *peer, void *) {
        int returned = SSL_shutdown(peer->ssl_);
        return returned == 0 ? Raw::Ok : peer->result_of(returned);
    };
    return run("goodbye", step, nullptr);
}

void RawPeer::send_garbage(const std::string &bytes)
{
    EXPECT_EQ(static_cast<long>(bytes.size()), channel_->send(bytes));
}

void RawPeer::send_half_client_hello()
{
    std::string hello = client_hello();
    send_garbage(hello.substr(0, hello.size() / 2));
}

std::unique_ptr<RawPeer> raw_peer(Fd fd, const RawOptions &options)
{
    return std::make_unique<RawPeer>(std::make_unique<SocketChannel>(std::move(fd)), options);
}

std::string client_hello()
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    char *bytes = nullptr;
    long n = BIO_get_mem_data(out, &bytes);
    std::string hello(bytes, static_cast<size_t>(n));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return hello;
}

} // namespace sallytest

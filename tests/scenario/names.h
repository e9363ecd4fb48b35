// What the tests of server names and ALPN share: a listener, whom it asks, and raw clients that name a
// server.
#ifndef SALLY_TEST_SCENARIO_NAMES_H
#define SALLY_TEST_SCENARIO_NAMES_H

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <openssl/x509.h>

#include "ends.h"
#include "sallyport/names.h"

namespace sallytest
{

// A server name callback as a C++ function.
using Choose = std::function<ssl_status(const char *hostname, ssl_context **chosen)>;

inline ssl_status call_choose(const char *hostname, void *user, ssl_context **chosen)
{
    return (*static_cast<Choose *>(user))(hostname, chosen);
}

inline void ask(ssl_context *context, Choose *choose)
{
    ssl_error err;
    ssl_status status =
        ssl_set_server_name_identification_callback(context, call_choose, choose, &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
}

// Chooses `context` for `name`, nothing for others.
inline Choose only(const std::string &name, ssl_context *context)
{
    return [name, context](const char *hostname, ssl_context **chosen) {
        *chosen = name == hostname ? context : nullptr;
        return SALLY_OK;
    };
}

inline RawOptions naming(const std::string &name, int version = 0)
{
    RawOptions options = raw_client(version);
    options.server_name = name;
    return options;
}

// One client at a listener: what came of it at both ends.
struct Meeting {
    std::unique_ptr<RawPeer> raw;
    Raw result = Raw::Failed; // of the raw client's handshake
    Outcome ours;
};

// `prepare` sees the raw client before its handshake.
inline Meeting meet(
    ssl_listener *listener, const RawOptions &options,
    const std::function<void(SSL *)> &prepare = [](SSL *) {})
{
    Meeting meeting;
    meeting.raw = raw_peer(connect_to(port_of(listener)), options);
    prepare(meeting.raw->ssl());
    Thread client([&] { meeting.result = meeting.raw->handshake(); });
    meeting.ours = accept_from(listener);
    client.join();
    return meeting;
}

// The common name in the certificate that the server showed: which of ours it was.
inline std::string shown(const RawPeer &peer)
{
    X509 *certificate = SSL_get0_peer_certificate(const_cast<RawPeer &>(peer).ssl());
    char name[128] = "";
    if (certificate != nullptr) {
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                  sizeof name);
    }
    return name;
}

inline std::string selected(const ssl_port *port)
{
    char name[SALLY_ALPN_NAME_MAX];
    size_t length = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_get_alpn_selected(port, name, sizeof name, &length, &err), err));
    return std::string(name, length);
}

inline std::string selected(RawPeer &peer)
{
    const unsigned char *name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(peer.ssl(), &name, &length);
    return std::string(reinterpret_cast<const char *>(name), length);
}

// What a raw client offers: names, each after its length byte.
inline void offer(SSL *ssl, const std::string &list)
{
    EXPECT_EQ(0, SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char *>(list.data()),
                                     static_cast<unsigned>(list.size())));
}

} // namespace sallytest
#endif

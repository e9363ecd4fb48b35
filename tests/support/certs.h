// The test certificates (certs/make-certs.sh) and contexts made from them.
#ifndef SALLY_TEST_CERTS_H
#define SALLY_TEST_CERTS_H

#include <string>

#include "support/handles.h"

namespace sallytest
{

// "/.../server.pem" for "server.pem".
std::string cert_path(const std::string &file);

// A server context with the identity STEM.pem and STEM-key.pem. NULL and a test failure when that
// cannot be.
Context server_context(const std::string &stem = "server",
                       ssl_protocol protocol = SALLY_PROTOCOL_AUTO);

// A client context that trusts ca.pem alone and checks the host name.
Context client_context(ssl_protocol protocol = SALLY_PROTOCOL_AUTO);

// The same, with an identity of its own (client.pem), which it shows when it is asked, after a TLS 1.3
// handshake too.
Context client_context_with_identity(ssl_protocol protocol = SALLY_PROTOCOL_AUTO);

} // namespace sallytest
#endif

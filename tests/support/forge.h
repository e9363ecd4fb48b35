// Certificates made on the spot, of any content: names that no authority would sign, hashes, dates.
#ifndef SALLY_TEST_FORGE_H
#define SALLY_TEST_FORGE_H

#include <string>
#include <vector>

#include "support/handles.h"

namespace sallytest
{

struct Forgery {
    std::vector<std::string> dns;       // bytes as they are, a NUL too
    std::vector<std::string> addresses; // "127.0.0.1", "::1"
    std::string common_name = "forged";
    std::string organization; // any length
    const char *hash = "SHA256";
    bool ed25519 = false; // the key; P-256 otherwise
    long begins = -3600;  // seconds from now
    long ends = 3600;
};

// Self-signed, and so its own root.
struct Forged {
    std::string certificate; // PEM
    std::string key;         // PEM
};
Forged forge(const Forgery &what);

// A server context that shows it, and a client context that trusts it and demands nothing.
Context server_that_shows(const Forged &forged, ssl_protocol protocol = SALLY_PROTOCOL_AUTO);
Context client_that_trusts(const Forged &forged, ssl_protocol protocol = SALLY_PROTOCOL_AUTO);

} // namespace sallytest
#endif

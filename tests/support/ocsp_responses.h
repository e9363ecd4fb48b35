// OCSP responses as a responder would give them, good and bad.
#ifndef SALLY_TEST_OCSP_RESPONSES_H
#define SALLY_TEST_OCSP_RESPONSES_H

#include <string>

namespace sallytest
{

struct OcspOptions {
    std::string about = "server"; // stem of the certificate
    std::string issuer = "ca";    // stem of who issued it
    std::string signer = "ca";    // stem of who signs
    std::string status = "good";  // or "revoked", "unknown"
    long from_s = -60;            // relative to now
    long until_s = 3600;
    bool has_end = true;
    bool sha256_id = false;
    bool refuses = false; // the responder's error in place of an answer
};

// In DER.
std::string ocsp_response(const OcspOptions &options = {});

} // namespace sallytest
#endif

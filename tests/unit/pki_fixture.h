// Keys, certificates, revocation lists and parameters made by the test that needs them, as text.
#ifndef SALLY_TEST_PKI_FIXTURE_H
#define SALLY_TEST_PKI_FIXTURE_H

#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>

namespace sallytest
{

struct KeyDeleter {
    void operator()(EVP_PKEY *key) const
    {
        EVP_PKEY_free(key);
    }
};
using Key = std::unique_ptr<EVP_PKEY, KeyDeleter>;

// "RSA", "RSA-PSS", "EC" (P-256), "ED25519" or "ED448".
Key new_key(const std::string &type);
std::string pkcs8_pem(EVP_PKEY *key);
std::string pkcs8_der(EVP_PKEY *key);
// PKCS#1 for RSA, SEC1 for EC.
std::string traditional_pem(EVP_PKEY *key);
// For localhost, valid for an hour.
std::string self_signed_pem(EVP_PKEY *key);

// A list of the authority STEM.pem that names the certificates of `revoked` (stems); `days`: in force
// for so long, from two days ago on, so that a negative number has expired.
std::string crl_pem(const std::string &stem, const std::vector<std::string> &revoked,
                    int days = 30);
std::string crl_der(const std::string &stem, const std::vector<std::string> &revoked);

// Parameters of a group by name: "ffdhe2048", "modp_1536".
std::string dh_pem(const std::string &group);
// 2048 bits, sound, and of no group with a name.
std::string unnamed_dh_pem();
// The same size, with a number for a prime that is none.
std::string unsafe_dh_pem();

} // namespace sallytest
#endif

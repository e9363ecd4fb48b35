// What the tests of contexts, loading and verification share: files of any content, and a handshake
// between two contexts in memory.
#ifndef SALLY_TEST_CRYPTO_FIXTURE_H
#define SALLY_TEST_CRYPTO_FIXTURE_H

#include <functional>
#include <string>
#include <vector>

#include <openssl/ssl.h>

#include "support/certs.h"
#include "support/faults.h"
#include "support/handles.h"
#include "support/scratch_dir.h"

extern "C" {
#include "context_record.h"
#include "verify.h"
}

namespace sallytest
{

std::string file_content(const std::string &path);
// A test certificate's or key's bytes: cert("server.pem").
std::string cert(const std::string &file);

// What OpenSSL's queue holds before a call is none of the call's business (E1).
void poison_openssl_queue();
bool openssl_queue_is_empty();

// New contexts with nothing in them; a NULL and a test failure when they cannot be made.
Context bare_client(ssl_protocol protocol = SALLY_PROTOCOL_AUTO);
Context bare_server(ssl_protocol protocol = SALLY_PROTOCOL_AUTO);

// What a connection would take from the context now.
struct Built {
    explicit Built(ssl_context *context);
    ~Built()
    {
        sally_policy_fini(&policy);
    }
    Built(const Built &) = delete;
    Built &operator=(const Built &) = delete;
    SSL_CTX *ctx() const
    {
        return policy.ctx;
    }
    sally_policy policy;
};

// How a handshake in memory ended, from both sides. TLS 1.3 clients are done before the server has
// seen their certificate.
struct Shake {
    bool client_done = false;
    bool server_done = false;
    bool client_verified = false;
    bool server_verified = false;
    long client_code = X509_V_OK;
    std::string client_reason; // sally_verify_reason
    std::string server_reason;
    std::string version;
    std::string cipher;
    std::string exchange;    // the server's ephemeral key: "DH 4096", "secp384r1", "X25519"
    std::string server_name; // as the server got it; empty: none
    explicit operator bool() const
    {
        return client_done && server_done;
    }
};
Shake shake(ssl_context *client, ssl_context *server, const char *hostname = "localhost");

// OpenSSL's n-th allocation fails in a setter on a fresh context, which is then built: no crash, nothing
// lost, a clear error, for every so many-th.
inline void sweep_openssl_setter(const char *what, bool client,
                                 const std::function<ssl_status(ssl_context *, ssl_error *)> &set)
{
    Trial trial([&](ssl_error *err) {
        ssl_context *made = nullptr;
        auto make = client ? ssl_make_client_context : ssl_make_server_context;
        ssl_status status = make(SALLY_PROTOCOL_AUTO, &made, err);
        if (status == SALLY_OK) {
            status = set(made, err);
        }
        sally_policy policy = {};
        if (status == SALLY_OK && client) {
            status = sally_context_policy(made, client, what, &policy, err);
        }
        sally_policy_fini(&policy);
        ssl_context_release(made);
        return status;
    });
    trial.stride = 7;
    sweep_openssl_allocations(what, trial);
}

// The subject of the certificate that the context shows; empty: none.
std::string shown_subject(ssl_context *context);

} // namespace sallytest
#endif

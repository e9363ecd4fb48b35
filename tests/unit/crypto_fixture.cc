#include "crypto_fixture.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <openssl/err.h>

namespace sallytest
{
namespace
{

struct SslDeleter {
    void operator()(SSL *ssl) const
    {
        SSL_free(ssl);
    }
};
using Ssl = std::unique_ptr<SSL, SslDeleter>;

Ssl make_end(ssl_context *context, bool client, const char *hostname)
{
    sally_policy policy;
    ssl_error err;
    ssl_status status = sally_context_policy(context, client, "shake", &policy, &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    if (status != SALLY_OK) {
        return nullptr;
    }
    Ssl ssl(SSL_new(policy.ctx));
    status = sally_verify_prepare(ssl.get(), &policy, client ? hostname : nullptr, "shake", &err);
    sally_policy_fini(&policy);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    if (client) {
        SSL_set_connect_state(ssl.get());
    } else {
        SSL_set_accept_state(ssl.get());
    }
    return status == SALLY_OK ? std::move(ssl) : nullptr;
}

// One turn; a finished end reads on, for what a TLS 1.3 server says after the client is done.
bool turn(SSL *ssl)
{
    char byte;
    size_t got;
    ERR_clear_error();
    if (!SSL_is_init_finished(ssl)) {
        return SSL_do_handshake(ssl) == 1;
    }
    SSL_read_ex(ssl, &byte, 1, &got);
    return true;
}

std::string reason_of(SSL *ssl)
{
    char text[400];
    sally_verdict verdict = sally_verify_verdict(ssl);
    sally_verify_reason(ssl, &verdict, text, sizeof text);
    return text;
}

std::string exchange_of(SSL *client)
{
    EVP_PKEY *key = nullptr;
    if (SSL_get_peer_tmp_key(client, &key) != 1) {
        return "";
    }
    std::string name = EVP_PKEY_get0_type_name(key);
    char group[32];
    size_t length = 0;
    if (name == "DH") {
        name += " " + std::to_string(EVP_PKEY_get_bits(key));
    } else if (name == "EC" && EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1) {
        name = group;
    }
    EVP_PKEY_free(key);
    return name;
}

bool is_verified(SSL *ssl)
{
    sally_verdict verdict = sally_verify_verdict(ssl);
    return verdict.has_certificate && verdict.code == X509_V_OK;
}

} // namespace

std::string file_content(const std::string &path)
{
    std::ostringstream all;
    all << std::ifstream(path, std::ios::binary).rdbuf();
    EXPECT_FALSE(all.str().empty()) << path;
    return all.str();
}

std::string cert(const std::string &file)
{
    return file_content(cert_path(file));
}

void poison_openssl_queue()
{
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
}

bool openssl_queue_is_empty()
{
    return ERR_peek_error() == 0;
}

Context bare_client(ssl_protocol protocol)
{
    ssl_context *context = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_make_client_context(protocol, &context, &err), err));
    return Context(context);
}

Context bare_server(ssl_protocol protocol)
{
    ssl_context *context = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_make_server_context(protocol, &context, &err), err));
    return Context(context);
}

Built::Built(ssl_context *context)
{
    ssl_error err;
    bool client = ssl_context_is_client(context);
    EXPECT_TRUE(is(SALLY_OK, sally_context_policy(context, client, "Built", &policy, &err), err));
}

Shake shake(ssl_context *client_context, ssl_context *server_context, const char *hostname)
{
    Ssl client = make_end(client_context, true, hostname);
    Ssl server = make_end(server_context, false, nullptr);
    BIO *client_bio = nullptr;
    BIO *server_bio = nullptr;
    Shake result;
    if (!client || !server || BIO_new_bio_pair(&client_bio, 0, &server_bio, 0) != 1) {
        ADD_FAILURE() << "no handshake to begin";
        return result;
    }
    SSL_set_bio(client.get(), client_bio, client_bio);
    SSL_set_bio(server.get(), server_bio, server_bio);
    for (int i = 0; i < 10; i++) {
        result.client_done = turn(client.get());
        result.server_done = turn(server.get());
    }
    ERR_clear_error();
    result.client_verified = is_verified(client.get());
    result.server_verified = is_verified(server.get());
    result.client_code = sally_verify_verdict(client.get()).code;
    result.client_reason = reason_of(client.get());
    result.server_reason = reason_of(server.get());
    result.version = SSL_get_version(client.get());
    result.cipher = SSL_get_cipher_name(client.get());
    result.exchange = exchange_of(client.get());
    const char *name = SSL_get_servername(server.get(), TLSEXT_NAMETYPE_host_name);
    result.server_name = name != nullptr ? name : "";
    return result;
}

std::string shown_subject(ssl_context *context)
{
    X509 *leaf = context->identity.leaf;
    char text[200] = "";
    if (leaf != nullptr) {
        X509_NAME_oneline(X509_get_subject_name(leaf), text, sizeof text);
    }
    return text;
}

} // namespace sallytest

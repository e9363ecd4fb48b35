// What a client makes of the OCSP response that it is shown (C6). What a server may load is in
// context_ocsp_test.cc.
#include <string>

#include "crypto_fixture.h"
#include "support/ocsp_responses.h"

using namespace sallytest;

namespace
{

int show(SSL *ssl, void *arg)
{
    const auto *der = static_cast<const std::string *>(arg);
    void *copy = OPENSSL_memdup(der->data(), der->size());
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(der->size()));
    return SSL_TLSEXT_ERR_OK;
}

// A handshake with a server that shows these bytes, whatever they are.
Shake shown(ssl_context *client, std::string der, const std::string &stem = "server")
{
    Context server = server_context(stem);
    Built built(server.get());
    SSL_CTX_set_tlsext_status_cb(built.ctx(), show);
    SSL_CTX_set_tlsext_status_arg(built.ctx(), &der);
    return shake(client, server.get());
}

Context asking(ssl_ocsp_mode mode, ssl_protocol protocol = SALLY_PROTOCOL_AUTO)
{
    Context client = client_context(protocol);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_set_ocsp(client.get(), mode, &err), err));
    return client;
}

struct Shown {
    const char *what;
    OcspOptions options;
    long code;
};

Shown make_shown(const char *what, long code, void (*change)(OcspOptions *))
{
    Shown made = {what, {}, code};
    change(&made.options);
    return made;
}

const Shown all_shown[] = {
    make_shown("good", X509_V_OK, [](OcspOptions *) {}),
    make_shown("good, by SHA-256", X509_V_OK, [](OcspOptions *o) { o->sha256_id = true; }),
    make_shown("ended within the skew", X509_V_OK, [](OcspOptions *o) { o->until_s = -30; }),
    make_shown("revoked", X509_V_ERR_CERT_REVOKED, [](OcspOptions *o) { o->status = "revoked"; }),
    make_shown("unknown", X509_V_ERR_OCSP_CERT_UNKNOWN,
               [](OcspOptions *o) { o->status = "unknown"; }),
    make_shown("expired", X509_V_ERR_OCSP_VERIFY_FAILED,
               [](OcspOptions *o) { o->until_s = -3600, o->from_s = -7200; }),
    make_shown("of tomorrow", X509_V_ERR_OCSP_VERIFY_FAILED,
               [](OcspOptions *o) { o->from_s = 3000; }),
    make_shown("of another certificate", X509_V_ERR_OCSP_VERIFY_FAILED,
               [](OcspOptions *o) { o->about = "sni"; }),
    make_shown("signed by a stranger", X509_V_ERR_OCSP_VERIFY_FAILED,
               [](OcspOptions *o) { o->signer = "other-ca"; }),
    make_shown("signed by the server itself", X509_V_ERR_OCSP_VERIFY_FAILED,
               [](OcspOptions *o) { o->signer = "server"; }),
    make_shown("an error", X509_V_ERR_OCSP_VERIFY_FAILED,
               [](OcspOptions *o) { o->refuses = true; }),
};

TEST(OcspClient, C6_OnlyAGoodResponseIsAccepted)
{
    for (ssl_protocol protocol : {SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13}) {
        Context client = asking(SALLY_OCSP_ASK, protocol);
        for (const Shown &one : all_shown) {
            Shake result = shown(client.get(), ocsp_response(one.options));
            EXPECT_EQ(one.code == X509_V_OK, static_cast<bool>(result)) << one.what;
            EXPECT_EQ(one.code, result.client_code) << one.what;
        }
    }
}

TEST(OcspClient, C6_DamagedBytesAreRefused)
{
    Context client = asking(SALLY_OCSP_ASK);
    std::string good = ocsp_response();
    for (size_t i = 0; i + 1 < good.size(); i += 17) {
        std::string damaged = good;
        damaged[i] ^= 0x41;
        Shake result = shown(client.get(), damaged);
        EXPECT_FALSE(result) << i;
        EXPECT_NE(X509_V_OK, result.client_code) << i;
        EXPECT_FALSE(shown(client.get(), good.substr(0, i + 1))) << i;
    }
}

// The issuer is an intermediate that the server sends.
TEST(OcspClient, C6_AResponseOfAnIntermediate)
{
    OcspOptions options;
    options.about = "chain";
    options.issuer = options.signer = "intermediate";
    Context client = asking(SALLY_OCSP_REQUIRE);
    EXPECT_TRUE(shown(client.get(), ocsp_response(options), "chain"));
    options.signer = "ca";
    EXPECT_FALSE(shown(client.get(), ocsp_response(options), "chain")) << "not its issuer";
}

// A client that verifies nothing judges the response all the same, by its verify sources.
TEST(OcspClient, C6_TheResponseIsJudgedAlsoWhereTheChainIsNot)
{
    Context client = asking(SALLY_OCSP_ASK);
    ASSERT_EQ(SALLY_OK, ssl_set_verify(client.get(), false, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_verify_hostname(client.get(), false, nullptr));
    EXPECT_TRUE(shown(client.get(), ocsp_response()));
    OcspOptions revoked;
    revoked.status = "revoked";
    EXPECT_FALSE(shown(client.get(), ocsp_response(revoked)));
}

TEST(OcspClient, C6_TheReasonSpeaksOfOcsp)
{
    Shake result = shake(asking(SALLY_OCSP_REQUIRE).get(), server_context().get());
    EXPECT_EQ(X509_V_ERR_OCSP_VERIFY_NEEDED, result.client_code);
    EXPECT_NE(std::string::npos, result.client_reason.find("no OCSP response"))
        << result.client_reason;
    OcspOptions revoked;
    revoked.status = "revoked";
    result = shown(asking(SALLY_OCSP_ASK).get(), ocsp_response(revoked));
    EXPECT_NE(std::string::npos, result.client_reason.find("revoked")) << result.client_reason;
}

} // namespace

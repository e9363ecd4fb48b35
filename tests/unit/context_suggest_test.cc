// The authorities that a server suggests to its clients (C3).
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "support/faults.h"

using namespace sallytest;

namespace
{

// The names that a client is sent.
std::string suggested(ssl_context *context)
{
    Built built(context);
    const STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(built.ctx());
    std::string all;
    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        char text[100];
        X509_NAME_oneline(sk_X509_NAME_value(names, i), text, sizeof text);
        all += std::string(text) + "\n";
    }
    return all;
}

ssl_status suggest(ssl_context *context, const std::string &path, ssl_error *err)
{
    return ssl_load_suggested_certificate_authorities(context, path.c_str(), err);
}

TEST(Suggested, C3_NamesAreSentEachOnceAndReplaced)
{
    ScratchDir dir;
    Context server = server_context();
    std::string path = dir.write("cas", cert("ca.pem") + cert("other-ca.pem") + cert("ca.pem"));
    ssl_error err;
    EXPECT_EQ("", suggested(server.get()));
    ASSERT_TRUE(is(SALLY_OK, suggest(server.get(), path, &err), err));
    EXPECT_EQ("/O=Sallyport tests/CN=Test CA\n/O=Sallyport tests/CN=Other CA\n",
              suggested(server.get()));
    ASSERT_TRUE(is(SALLY_OK, suggest(server.get(), cert_path("ca.pem"), &err), err));
    EXPECT_EQ("/O=Sallyport tests/CN=Test CA\n", suggested(server.get()));
}

// Not in an order of OpenSSL's, by which the shorter name would come first.
TEST(Suggested, C3_NamesAreInTheOrderOfTheFile)
{
    ScratchDir dir;
    Context server = server_context();
    std::string path =
        dir.write("cas", cert("other-ca.pem") + cert("ca.pem") + cert("other-ca.pem"));
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, suggest(server.get(), path, &err), err));
    EXPECT_EQ("/O=Sallyport tests/CN=Other CA\n/O=Sallyport tests/CN=Test CA\n",
              suggested(server.get()));
}

TEST(Suggested, C3_ImplyNoTrust)
{
    Context client = client_context_with_identity(SALLY_PROTOCOL_TLS12);
    Context server = server_context();
    ASSERT_EQ(SALLY_OK, suggest(server.get(), cert_path("ca.pem"), nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_verify(server.get(), true, nullptr));
    EXPECT_FALSE(shake(client.get(), server.get()));
    std::string roots = cert_path("ca.pem");
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(server.get(), roots.c_str(), nullptr));
    EXPECT_TRUE(shake(client.get(), server.get()));
}

TEST(Suggested, C3_ClientIsUsage)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, suggest(bare_client().get(), cert_path("ca.pem"), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_load_verify_source")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE,
                   ssl_load_suggested_certificate_authorities(bare_server().get(), nullptr, &err),
                   err));
}

TEST(ContextAllocations, Suggested)
{
    Context server = server_context();
    sweep_allocations("ssl_load_suggested_certificate_authorities", [&](ssl_error *err) {
        return suggest(server.get(), cert_path("ca.pem"), err);
    });
    sweep_openssl_setter(
        "ssl_load_suggested_certificate_authorities", false,
        [](ssl_context *c, ssl_error *err) { return suggest(c, cert_path("ca.pem"), err); });
}

} // namespace

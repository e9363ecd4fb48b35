#include "support/certs.h"

namespace sallytest
{

std::string cert_path(const std::string &file)
{
    return std::string(SALLY_TEST_CERTS) + "/" + file;
}

Context server_context(const std::string &stem, ssl_protocol protocol)
{
    ssl_context *context = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_make_server_context(protocol, &context, &err), err));
    std::string chain = cert_path(stem + ".pem");
    std::string key = cert_path(stem + "-key.pem");
    ssl_status status = ssl_load_identity(context, chain.c_str(), key.c_str(), nullptr, &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    return Context(context);
}

Context client_context(ssl_protocol protocol)
{
    ssl_context *context = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_make_client_context(protocol, &context, &err), err));
    std::string roots = cert_path("ca.pem");
    ssl_status status = ssl_load_verify_root_certificates(context, roots.c_str(), &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    EXPECT_TRUE(is(SALLY_OK, ssl_set_verify(context, true, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(context, true, &err), err));
    return Context(context);
}

Context client_context_with_identity(ssl_protocol protocol)
{
    Context context = client_context(protocol);
    std::string chain = cert_path("client.pem");
    std::string key = cert_path("client-key.pem");
    ssl_error err;
    ssl_status status = ssl_load_identity(context.get(), chain.c_str(), key.c_str(), nullptr, &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    return context;
}

} // namespace sallytest

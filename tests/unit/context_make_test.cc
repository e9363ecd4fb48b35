// Contexts made with their identity at once (C1, C3, E2).
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "support/faults.h"

using namespace sallytest;

namespace
{

class Make : public testing::Test
{
  protected:
    void identify(const std::string &stem)
    {
        chain_ = cert_path(stem + ".pem");
        key_ = cert_path(stem + "-key.pem");
        options_.certificate_chain = chain_.c_str();
        options_.private_key = key_.c_str();
    }
    Context make(bool client, ssl_status want = SALLY_OK)
    {
        ssl_context *made = reinterpret_cast<ssl_context *>(&options_);
        auto call = client ? ssl_make_client_context_with : ssl_make_server_context_with;
        EXPECT_TRUE(is(want, call(&options_, &made, &err_), err_));
        EXPECT_EQ(want == SALLY_OK, made != nullptr);
        EXPECT_TRUE(openssl_queue_is_empty());
        return Context(made);
    }

    ssl_context_options options_ = SALLY_CONTEXT_OPTIONS;
    ssl_error err_ = {};

  private:
    std::string chain_;
    std::string key_;
};

TEST_F(Make, C3_ServerIsReadyToServe)
{
    identify("server");
    Context server = make(false);
    EXPECT_FALSE(ssl_context_is_sealed(server.get()));
    EXPECT_TRUE(shake(client_context().get(), server.get()));
}

TEST_F(Make, C3_KeyIsReadAsTheOptionsSay)
{
    identify("server");
    std::string der = cert_path("server-key.der");
    options_.private_key = der.c_str();
    options_.key.asn1 = true;
    EXPECT_TRUE(shake(client_context().get(), make(false).get()));
    options_.key.rsa_only = true;
    make(false, SALLY_CONFIG);
    EXPECT_NE(nullptr, std::strstr(err_.text, "rsa_only")) << err_.text;
}

TEST_F(Make, C1_SecureClientWithAnIdentityIsItsOwnAndSealed)
{
    identify("client");
    Context client = make(true);
    EXPECT_TRUE(ssl_context_is_sealed(client.get()));
    EXPECT_NE(bare_client(SALLY_PROTOCOL_SECURE).get(), client.get());
    EXPECT_TRUE(client->demand == SALLY_DEMAND_VALID && client->verify_hostname);
    EXPECT_FALSE(shake(client.get(), server_context().get())) << "the test CA is not the system's";
    options_.private_key = nullptr;
    make(true, SALLY_CONFIG);
}

TEST_F(Make, C1_WithoutAnIdentityItIsThePlainCall)
{
    EXPECT_EQ(bare_client(SALLY_PROTOCOL_SECURE).get(), make(true).get());
    ssl_context *made = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_make_client_context_with(nullptr, &made, nullptr));
    EXPECT_EQ(bare_client(SALLY_PROTOCOL_SECURE).get(), made);
    ssl_context_release(made);
    options_.protocol = SALLY_PROTOCOL_AUTO;
    EXPECT_FALSE(ssl_context_is_sealed(make(true).get()));
    options_.protocol = SALLY_PROTOCOL_SSLV3;
    make(false, SALLY_UNSUPPORTED);
}

TEST_F(Make, C3_OneHalfMayComeLater)
{
    identify("server");
    std::string key = options_.private_key;
    options_.private_key = nullptr;
    Context server = make(false);
    EXPECT_EQ(SALLY_OK, ssl_load_private_key(server.get(), key.c_str(), nullptr, nullptr));
    EXPECT_TRUE(shake(client_context().get(), server.get()));
}

TEST_F(Make, E2_NothingIsMadeOfABadIdentity)
{
    identify("server");
    std::string other = cert_path("client-key.pem");
    options_.private_key = other.c_str();
    make(false, SALLY_CONFIG);
    EXPECT_NE(nullptr, std::strstr(err_.text, "does not match")) << err_.text;
    options_.private_key = "/nowhere";
    make(false, SALLY_SYSTEM);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_make_server_context_with(&options_, nullptr, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_make_server_context_with")) << err.text;
}

TEST_F(Make, AllocationFailures)
{
    identify("client");
    sweep_allocations("ssl_make_client_context_with", [&](ssl_error *err) {
        ssl_context *made = nullptr;
        ssl_status status = ssl_make_client_context_with(&options_, &made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        ssl_context_release(made);
        return status;
    });
}

} // namespace

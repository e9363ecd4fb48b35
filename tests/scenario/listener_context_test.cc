// The context procedures that take a listener (C2, C3).
#include <cstring>
#include <string>

#include "scenario/ends.h"

using namespace sallytest;

namespace
{

class ListenerContext : public testing::Test
{
  protected:
    ssl_status chain(const std::string &file)
    {
        return ssl_listener_load_certificate_chain(listener_.get(), cert_path(file).c_str(), &err_);
    }
    ssl_status key(const std::string &file)
    {
        return ssl_listener_load_private_key(listener_.get(), cert_path(file).c_str(), nullptr,
                                             &err_);
    }
    ssl_status roots(const std::string &file)
    {
        return ssl_listener_load_verify_root_certificates(listener_.get(), cert_path(file).c_str(),
                                                          &err_);
    }
    ssl_status suggested(const std::string &file)
    {
        return ssl_listener_load_suggested_certificate_authorities(listener_.get(),
                                                                   cert_path(file).c_str(), &err_);
    }
    // The client and the server both got through.
    bool connects(ssl_context *client)
    {
        Outcome connected;
        Thread connector(
            [&] { connected = connect_at("127.0.0.1", port_of(listener_.get()), client); });
        Outcome served = accept_from(listener_.get());
        connector.join();
        return served.status == SALLY_OK && connected.status == SALLY_OK;
    }

    Context server_ = server_context();
    Listener listener_ = listen_on_loopback(server_.get());
    ssl_error err_ = {};
};

TEST_F(ListenerContext, C3_LoadsAreForHandshakesThatBeginLater)
{
    Context client = client_context_with_identity(SALLY_PROTOCOL_TLS12);
    EXPECT_TRUE(connects(client.get()));
    ASSERT_EQ(SALLY_OK, ssl_set_verify(server_.get(), true, nullptr));
    EXPECT_FALSE(connects(client.get())) << "nobody is trusted yet";
    EXPECT_TRUE(is(SALLY_OK, roots("ca.pem"), err_));
    EXPECT_TRUE(is(SALLY_OK, suggested("ca.pem"), err_));
    EXPECT_TRUE(connects(client.get()));
}

TEST_F(ListenerContext, C2_AHalfThatDoesNotMatchIsRefused)
{
    EXPECT_TRUE(is(SALLY_CONFIG, chain("sni.pem"), err_));
    EXPECT_TRUE(is(SALLY_CONFIG, key("sni-key.pem"), err_));
    EXPECT_TRUE(is(SALLY_OK, chain("server.pem"), err_));
    EXPECT_TRUE(is(SALLY_OK, key("server-key.pem"), err_));
    EXPECT_TRUE(is(SALLY_SYSTEM, roots("none"), err_));
    EXPECT_TRUE(connects(client_context().get()));
}

TEST_F(ListenerContext, C2_SealedUnderTheCallsOwnName)
{
    ASSERT_EQ(SALLY_OK, ssl_seal_context(server_.get(), nullptr));
    auto named = [&](const char *name) { return std::strncmp(err_.text, name, strlen(name)) == 0; };
    EXPECT_TRUE(is(SALLY_SEALED, chain("none"), err_));
    EXPECT_TRUE(named("ssl_listener_load_certificate_chain:")) << err_.text;
    EXPECT_TRUE(is(SALLY_SEALED, key("none"), err_));
    EXPECT_TRUE(named("ssl_listener_load_private_key:")) << err_.text;
    EXPECT_TRUE(is(SALLY_SEALED, roots("none"), err_));
    EXPECT_TRUE(named("ssl_listener_load_verify_root_certificates:")) << err_.text;
    EXPECT_TRUE(is(SALLY_SEALED, suggested("none"), err_));
    EXPECT_TRUE(named("ssl_listener_load_suggested_certificate_authorities:")) << err_.text;
}

TEST_F(ListenerContext, E3_NullIsUsageAndAClosedOneClosed)
{
    EXPECT_TRUE(is(SALLY_USAGE,
                   ssl_listener_load_certificate_chain(listener_.get(), nullptr, &err_), err_));
    ASSERT_EQ(SALLY_OK, ssl_close(listener_.get(), nullptr));
    EXPECT_TRUE(is(SALLY_CLOSED, chain("server.pem"), err_));
    EXPECT_TRUE(is(SALLY_CLOSED, key("server-key.pem"), err_));
    listener_.reset();
    EXPECT_TRUE(is(SALLY_USAGE, roots("ca.pem"), err_));
    EXPECT_TRUE(is(SALLY_USAGE, key("ca.pem"), err_));
}

} // namespace

// Revocation lists: who is refused, and that nobody slips through where a list is missing (C2, C3, C7).
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "pki_fixture.h"
#include "support/faults.h"

using namespace sallytest;

namespace
{

class Crls : public testing::Test
{
  protected:
    void load(ssl_context *context, const std::string &content, bool whole_chain = false)
    {
        std::string path = dir_.write("list", content);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_load_crls(context, path.c_str(), whole_chain, &err), err));
    }

    ScratchDir dir_;
    Context client_ = client_context();
};

TEST_F(Crls, C3_RevokedCertificateIsRefused)
{
    EXPECT_TRUE(shake(client_.get(), server_context().get()));
    load(client_.get(), crl_pem("ca", {"server"}));
    Shake refused = shake(client_.get(), server_context().get());
    EXPECT_FALSE(refused);
    EXPECT_EQ(X509_V_ERR_CERT_REVOKED, refused.client_code);
    EXPECT_TRUE(shake(client_.get(), server_context("server-rsa").get())) << "of the same issuer";
}

TEST_F(Crls, C3_DerIsReadToo)
{
    load(client_.get(), crl_der("ca", {"server"}));
    EXPECT_EQ(X509_V_ERR_CERT_REVOKED, shake(client_.get(), server_context().get()).client_code);
}

TEST_F(Crls, C3_MissingListRefuses)
{
    load(client_.get(), crl_pem("other-ca", {}));
    Shake refused = shake(client_.get(), server_context().get());
    EXPECT_FALSE(refused);
    EXPECT_EQ(X509_V_ERR_UNABLE_TO_GET_CRL, refused.client_code);
}

TEST_F(Crls, C3_ExpiredListRefuses)
{
    load(client_.get(), crl_pem("ca", {}, -1));
    EXPECT_EQ(X509_V_ERR_CRL_HAS_EXPIRED, shake(client_.get(), server_context().get()).client_code);
}

TEST_F(Crls, C3_WholeChainNeedsAListOfEachIssuer)
{
    load(client_.get(), crl_pem("intermediate", {}));
    EXPECT_TRUE(shake(client_.get(), server_context("chain").get()));
    load(client_.get(), crl_pem("intermediate", {}), true);
    EXPECT_EQ(X509_V_ERR_UNABLE_TO_GET_CRL,
              shake(client_.get(), server_context("chain").get()).client_code);
    load(client_.get(), crl_pem("ca", {})); // several calls add, and whole_chain stays
    EXPECT_TRUE(shake(client_.get(), server_context("chain").get()));
}

TEST_F(Crls, C3_RevokedIntermediateIsFoundInTheWholeChainOnly)
{
    load(client_.get(), crl_pem("ca", {"intermediate"}) + crl_pem("intermediate", {}));
    EXPECT_TRUE(shake(client_.get(), server_context("chain").get()));
    load(client_.get(), crl_pem("other-ca", {}), true);
    EXPECT_EQ(X509_V_ERR_CERT_REVOKED,
              shake(client_.get(), server_context("chain").get()).client_code);
}

TEST_F(Crls, C3_ServerRefusesARevokedClient)
{
    Context client = client_context_with_identity(SALLY_PROTOCOL_TLS12);
    std::string roots = cert_path("ca.pem");
    for (const char *revoked : {"server", "client"}) {
        Context server = server_context();
        ASSERT_EQ(SALLY_OK,
                  ssl_load_verify_root_certificates(server.get(), roots.c_str(), nullptr));
        ASSERT_EQ(SALLY_OK, ssl_set_verify(server.get(), true, nullptr));
        load(server.get(), crl_pem("ca", {revoked}));
        bool served = static_cast<bool>(shake(client.get(), server.get()));
        EXPECT_EQ(revoked != std::string("client"), served);
    }
}

TEST_F(Crls, C2_OpenConnectionsKeepWhatTheyHave)
{
    Built before(client_.get());
    load(client_.get(), crl_pem("ca", {"server"}));
    EXPECT_NE(before.ctx(), Built(client_.get()).ctx());
    EXPECT_EQ(0ul, X509_VERIFY_PARAM_get_flags(SSL_CTX_get0_param(before.ctx())) &
                       X509_V_FLAG_CRL_CHECK);
}

TEST(ContextAllocations, Crls)
{
    ScratchDir dir;
    std::string path = dir.write("list", crl_pem("ca", {}));
    Context client = bare_client();
    sweep_allocations("ssl_load_crls", [&](ssl_error *err) {
        return ssl_load_crls(client.get(), path.c_str(), false, err);
    });
    sweep_openssl_setter("ssl_load_crls", true, [&](ssl_context *c, ssl_error *err) {
        return ssl_load_crls(c, path.c_str(), true, err);
    });
}

} // namespace

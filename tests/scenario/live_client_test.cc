// A server's certificate judged again on a live connection (C7).
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

#include <openssl/pem.h>

#include "scenario/live.h"
#include "support/scratch_dir.h"

using namespace sallytest;

namespace
{

// A directory of roots, which OpenSSL looks into whenever it judges.
class RootDirectory
{
  public:
    void add_ca()
    {
        BIO *bio = BIO_new_file(cert_path("ca.pem").c_str(), "r");
        X509 *ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
        char name[32];
        snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(ca));
        X509_free(ca);
        BIO_free(bio);
        std::filesystem::copy_file(cert_path("ca.pem"), directory_.path(name));
    }
    const char *path() const
    {
        return directory_.root().c_str();
    }

  private:
    ScratchDir directory_;
};

struct LiveClient : testing::TestWithParam<ssl_protocol> {
    LiveClient()
    {
        ssl_context *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_make_client_context(GetParam(), &made, nullptr));
        context.reset(made);
        ssl_verify_source source = {SALLY_VERIFY_DIRECTORY, roots.path()};
        EXPECT_EQ(SALLY_OK, ssl_load_verify_source(made, &source, false, nullptr));
    }
    RawPair connect(const std::string &identity)
    {
        RawOptions options = raw_server();
        options.identity = identity;
        return client_of_raw(options, context.get(), 0);
    }
    RootDirectory roots;
    Context context;
};

TEST_P(LiveClient, C7_TheCertificateIsJudgedAgain)
{
    RawPair pair = connect("server");
    ASSERT_TRUE(pair);
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_VERIFY, ssl_port_set_verify(pair.ours.in(), true, &err), err));
    EXPECT_EQ(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, err.code);
    EXPECT_NE(nullptr, strstr(err.text, "/CN=localhost, depth 0")) << err.text;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_try_verify(pair.ours.in(), true, &err), err));
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    roots.add_ca();
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.ours.out(), true, &err), err));
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.ours.out(), false, &err), err));
    EXPECT_TRUE(ssl_peer_verified(pair.ours.in()));
    expect_streams_both_ways(pair);
}

TEST_P(LiveClient, C7_TheNameIsJudgedAgainToo)
{
    roots.add_ca();
    ASSERT_EQ(SALLY_OK, ssl_set_verify_hostname(context.get(), true, nullptr));
    ASSERT_EQ(SALLY_OK, ssl_try_verify(context.get(), true, nullptr));
    RawPair pair = connect("wrong-host");
    ASSERT_TRUE(pair);
    EXPECT_FALSE(ssl_peer_verified(pair.ours.in()));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_VERIFY, ssl_port_set_verify(pair.ours.in(), true, &err), err));
    EXPECT_EQ(X509_V_ERR_IP_ADDRESS_MISMATCH, err.code);
    EXPECT_NE(nullptr, strstr(err.text, "is for other.example")) << err.text;
    expect_streams_both_ways(pair);
}

// It needs nobody's slot: a reader may be inside.
TEST_P(LiveClient, P1_AReaderInsideIsNoHindrance)
{
    roots.add_ca();
    RawPair pair = connect("server");
    ASSERT_TRUE(pair);
    Thread reader([&] { receive_theirs(pair.ours.in(), 0, 1); });
    EXPECT_TRUE(wait_until_asleep(reader));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_set_verify(pair.ours.in(), true, &err), err));
    raw_send(pair.raw.get(), 0, 1);
}

INSTANTIATE_TEST_SUITE_P(Versions, LiveClient,
                         testing::Values(SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13));

} // namespace

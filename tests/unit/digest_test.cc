// digest.c: a digest that grows.
#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "crypto_fixture.h"
#include "support/rng.h"

extern "C" {
#include "digest.h"
}

using namespace sallytest;

namespace
{

class Digest : public testing::TestWithParam<const sally_digest_kind *>
{
  protected:
    std::string openssl(const std::string &text) const
    {
        unsigned char bytes[EVP_MAX_MD_SIZE];
        size_t n = 0;
        EXPECT_EQ(1, EVP_Q_digest(nullptr, GetParam()->name, nullptr, text.data(), text.size(),
                                  bytes, &n));
        EXPECT_EQ(GetParam()->size, n);
        return std::string(reinterpret_cast<char *>(bytes), n);
    }

    std::string ours(const std::string &text, size_t piece) const
    {
        sally_digest digest;
        unsigned char bytes[SALLY_DIGEST_MAX];
        EXPECT_EQ(SALLY_OK, sally_digest_begin(&digest, GetParam(), "test", nullptr));
        for (size_t at = 0; at < text.size(); at += piece) {
            size_t n = std::min(piece, text.size() - at);
            EXPECT_EQ(SALLY_OK, sally_digest_add(&digest, text.data() + at, n, nullptr));
        }
        EXPECT_EQ(SALLY_OK, sally_digest_end(&digest, bytes, nullptr));
        sally_digest_fini(&digest);
        return std::string(reinterpret_cast<char *>(bytes), GetParam()->size);
    }
};

INSTANTIATE_TEST_SUITE_P(Kinds, Digest,
                         testing::Values(&sally_digest_md5, &sally_digest_sha1,
                                         &sally_digest_sha256),
                         [](const testing::TestParamInfo<const sally_digest_kind *> &kind) {
                             return std::string(kind.param->name);
                         });

} // namespace

TEST_P(Digest, PiecesMakeTheSameWhole)
{
    std::string text = stream_bytes(1, 0, 1000);
    for (size_t piece : {1, 7, 63, 64, 65, 999, 1000}) {
        EXPECT_EQ(openssl(text), ours(text, piece)) << piece;
    }
    EXPECT_EQ(openssl(""), ours("", 1));
}

TEST_P(Digest, UnsupportedWhereNoProviderOffersIt)
{
    sally_digest digest;
    ssl_error err = {};
    sally_digest_kind unknown = {"NOSUCHDIGEST", GetParam()->size};
    EXPECT_TRUE(
        is(SALLY_UNSUPPORTED, sally_digest_begin(&digest, &unknown, "ssl_test", &err), err));
    EXPECT_EQ(
        0u, std::string(err.text).find("ssl_test: no provider of this OpenSSL offers NOSUCHDIGEST"))
        << err.text;
    EXPECT_TRUE(openssl_queue_is_empty());
    sally_digest_fini(&digest);
}

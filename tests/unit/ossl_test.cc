// OpenSSL's error queue, and its reasons in our texts (E1).
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

extern "C" {
#include "ossl.h"
}

namespace
{

TEST(Ossl, E1_BeginDropsWhatSomebodyElseLeft)
{
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    sally_ossl_begin();
    EXPECT_EQ(0u, ERR_peek_error());
}

TEST(Ossl, E1_EndLeavesTheQueueEmpty)
{
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_CIPHER_MATCH);
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    sally_ossl_end();
    EXPECT_EQ(0u, ERR_peek_error());
}

// OpenSSL learns its words for TLS when libssl is first used.
class OsslText : public testing::Test
{
  protected:
    OsslText()
    {
        EXPECT_EQ(1, OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr));
    }
};

TEST_F(OsslText, FailGivesTheNewestReasonAndItsCode)
{
    ssl_error err;
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_CIPHER_MATCH);
    EXPECT_EQ(SALLY_CONFIG,
              sally_fail_ossl(&err, SALLY_CONFIG, SALLY_PHASE_CONFIG, "loading %s", "it"));
    EXPECT_STREQ("loading it: no cipher match", err.text);
    EXPECT_EQ(SSL_R_NO_CIPHER_MATCH, ERR_GET_REASON(static_cast<unsigned long>(err.ossl_code)));
    EXPECT_EQ(SALLY_PHASE_CONFIG, err.phase);
    EXPECT_EQ(0u, ERR_peek_error());
}

TEST(Ossl, FailSaysMemoryWhereverInTheQueueItIsSaid)
{
    ssl_error err;
    ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
    ERR_raise(ERR_LIB_SSL, ERR_R_X509_LIB);
    EXPECT_EQ(SALLY_MEMORY, sally_fail_ossl(&err, SALLY_CONFIG, SALLY_PHASE_CONFIG, "x"));
    EXPECT_EQ(SALLY_MEMORY, err.status);
}

TEST_F(OsslText, FailKeepsTheReasonOfAnOverlongText)
{
    ssl_error err;
    std::string longest(1000, 'x');
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_CIPHER_MATCH);
    sally_fail_ossl(&err, SALLY_CONFIG, SALLY_PHASE_CONFIG, "%s", longest.c_str());
    EXPECT_NE(std::string::npos, std::string(err.text).find("no cipher match"));
}

TEST(Ossl, FailTakesNull)
{
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_CIPHER_MATCH);
    EXPECT_EQ(SALLY_CONFIG, sally_fail_ossl(nullptr, SALLY_CONFIG, SALLY_PHASE_CONFIG, "x"));
    EXPECT_EQ(0u, ERR_peek_error());
}

TEST(Ossl, ReasonIsNeverEmpty)
{
    const uint64_t codes[] = {0, 1, 0x0A0000B9, 0xFFFFFFFF, 0x80000002};
    for (uint64_t code : codes) {
        char text[64] = "";
        sally_ossl_reason(code, text, sizeof text);
        EXPECT_NE('\0', text[0]) << code;
    }
}

} // namespace

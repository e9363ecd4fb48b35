// libs.c: the OpenSSL that this process runs with.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto_fixture.h"
#include "sallyport/library.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

template <class Function>
Function look_up(void *handle, const char *name)
{
    Function function = nullptr;
    void *object = dlsym(handle, name);
    EXPECT_NE(nullptr, object) << name;
    std::memcpy(&function, &object, sizeof function);
    return function;
}

bool has_digest(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(nullptr, name, nullptr);
    EVP_MD_free(md);
    ERR_clear_error();
    return md != nullptr;
}

bool legacy_is_installed()
{
    std::string directory = OPENSSL_info(OPENSSL_INFO_MODULES_DIR);
    return access((directory + "/legacy.so").c_str(), R_OK) == 0;
}

// Each in a process of its own, because what is loaded there stays.
class LibsDeathTest : public testing::Test
{
  protected:
    void SetUp() override
    {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
    }
};
using LegacyProviderDeathTest = LibsDeathTest;

void say_and_leave(const std::string &text)
{
    std::fprintf(stderr, "%s\n", text.c_str());
    std::_Exit(0);
}

std::string load_and_report()
{
    ssl_error err = {};
    poison_openssl_queue();
    ssl_status status = ssl_load_legacy_provider(&err);
    std::string report = ssl_status_name(status);
    report += openssl_queue_is_empty() ? "" : ", E1 is broken";
    report += has_digest("MD4") ? ", MD4: y" : ", MD4: n";
    report += has_digest("SHA256") ? ", SHA256: y" : ", SHA256: n";
    return status == SALLY_OK ? report : report + ", " + err.text;
}

void load_in_threads()
{
    Barrier together(8);
    std::vector<std::unique_ptr<Thread>> threads;
    for (int i = 0; i < 8; i++) {
        threads.push_back(std::make_unique<Thread>([&] {
            together.wait();
            EXPECT_EQ(SALLY_OK, ssl_load_legacy_provider(nullptr));
            EXPECT_TRUE(has_digest("MD4"));
        }));
    }
    threads.clear();
    say_and_leave(testing::Test::HasFailure() ? "failed" : load_and_report());
}

} // namespace

TEST(Libs, E1_OpensslIsAvailable)
{
    poison_openssl_queue();
    EXPECT_TRUE(ssl_available());
    EXPECT_TRUE(openssl_queue_is_empty());
    poison_openssl_queue();
    EXPECT_EQ(nullptr, ssl_load_fail_reason());
    EXPECT_TRUE(openssl_queue_is_empty());
}

TEST(Libs, AFunctionOfLibsslIsFoundAndCalled)
{
    ASSERT_NE(nullptr, ssl_libssl()) << ssl_libssl_load_fail_reason();
    EXPECT_EQ(nullptr, ssl_libssl_load_fail_reason());
    EXPECT_EQ(ssl_libssl(), ssl_libssl());
    auto describe = look_up<const char *(*)(int)>(ssl_libssl(), "SSL_alert_desc_string_long");
    EXPECT_STREQ("unknown CA", describe(SSL_AD_UNKNOWN_CA));
    EXPECT_EQ(SSL_alert_desc_string_long(SSL_AD_UNKNOWN_CA), describe(SSL_AD_UNKNOWN_CA))
        << "another libssl than ours";
}

TEST(Libs, AFunctionOfLibcryptoIsFoundAndCalled)
{
    ASSERT_NE(nullptr, ssl_libcrypto()) << ssl_libcrypto_load_fail_reason();
    EXPECT_EQ(nullptr, ssl_libcrypto_load_fail_reason());
    auto version = look_up<const char *(*)(int)>(ssl_libcrypto(), "OpenSSL_version");
    EXPECT_EQ(OpenSSL_version(OPENSSL_VERSION), version(OPENSSL_VERSION));
    EXPECT_EQ(nullptr, dlsym(ssl_libcrypto(), "SSL_new")) << "libcrypto is not libssl";
}

TEST(Libs, HandlesAreMadeOnceForAllThreads)
{
    void *seen[8] = {};
    {
        std::vector<std::unique_ptr<Thread>> threads;
        for (void *&handle : seen) {
            threads.push_back(std::make_unique<Thread>([&handle] { handle = ssl_libssl(); }));
        }
    }
    for (void *handle : seen) {
        EXPECT_EQ(ssl_libssl(), handle);
    }
}

TEST(Libs, TheVersionsTriedAreThoseOfTheSharedLibraries)
{
    const char *const *versions = ssl_openssl_lib_versions();
    ASSERT_NE(nullptr, versions[0]);
    EXPECT_EQ(nullptr, versions[1]);
    std::string file = std::string("libssl.so.") + versions[0];
    void *handle = dlopen(file.c_str(), RTLD_NOW | RTLD_NOLOAD);
    EXPECT_EQ(ssl_libssl(), handle) << file;
    dlclose(handle);
}

TEST(Libs, TheVersionIsThatOfTheLibraryThatRuns)
{
    EXPECT_STREQ(OpenSSL_version(OPENSSL_VERSION), ssl_openssl_version());
    EXPECT_EQ(0u, std::string(ssl_openssl_version()).find("OpenSSL 3."));
    EXPECT_EQ(OpenSSL_version_num(), ssl_openssl_version_number());
    EXPECT_EQ(3u, ssl_openssl_version_number() >> 28);
}

TEST_F(LegacyProviderDeathTest, ItsDigestsComeAndTheDefaultOnesStay)
{
    const char *wanted = legacy_is_installed() ? "SALLY_OK, MD4: y, SHA256: y"
                                               : "SALLY_UNSUPPORTED, MD4: n, SHA256: y";
    EXPECT_EXIT(say_and_leave(load_and_report()), testing::ExitedWithCode(0), wanted);
}

TEST_F(LegacyProviderDeathTest, LoadingTwiceIsFine)
{
    const char *wanted = legacy_is_installed() ? "SALLY_OK, MD4: y" : "SALLY_UNSUPPORTED, MD4: n";
    EXPECT_EXIT(
        {
            load_and_report();
            say_and_leave(load_and_report());
        },
        testing::ExitedWithCode(0), wanted);
}

TEST_F(LegacyProviderDeathTest, ManyThreadsMayLoadItAtOnce)
{
    if (!legacy_is_installed()) {
        GTEST_SKIP() << "OpenSSL's legacy module is not installed";
    }
    EXPECT_EXIT(load_in_threads(), testing::ExitedWithCode(0), "SALLY_OK, MD4: y, SHA256: y");
}

TEST_F(LegacyProviderDeathTest, AModuleThatIsNotInstalledIsUnsupported)
{
    EXPECT_EXIT(
        {
            setenv("OPENSSL_MODULES", "/nonexistent", 1);
            say_and_leave(load_and_report());
        },
        testing::ExitedWithCode(0),
        "SALLY_UNSUPPORTED, MD4: n, SHA256: y, ssl_load_legacy_provider: OpenSSL's module "
        "\"legacy\" cannot be loaded.*OPENSSL_MODULES");
}

// A configuration that leaves OpenSSL no algorithm is seen, and put into words.
TEST_F(LibsDeathTest, WithoutAlgorithmsTlsIsNotAvailable)
{
    EXPECT_EXIT(
        {
            EVP_set_default_properties(nullptr, "provider=none");
            bool there = ssl_available();
            const char *reason = ssl_load_fail_reason();
            say_and_leave(std::string(there ? "available, " : "not available, ") +
                          (reason != nullptr ? reason : "no reason"));
        },
        testing::ExitedWithCode(0), "not available, OpenSSL 3.* cannot make a TLS context: ");
}

// Verify sources: files, directories, and what connections take from them (C2, C3).
#include <cstdio>
#include <cstring>
#include <string>

#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto_fixture.h"

using namespace sallytest;

namespace
{

TEST(Trust, C3_DirectoryIsSearchedWhenNeeded)
{
    ScratchDir dir;
    Context client = bare_client();
    std::string root = dir.path("");
    ssl_verify_source source = {SALLY_VERIFY_DIRECTORY, root.c_str()};
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &source, false, &err), err));
    ASSERT_EQ(SALLY_OK, ssl_set_verify(client.get(), true, nullptr));
    EXPECT_FALSE(shake(client.get(), server_context().get()));

    BIO *bio = BIO_new_file(cert_path("ca.pem").c_str(), "r");
    X509 *ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    char name[32];
    std::snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(ca));
    X509_free(ca);
    BIO_free(bio);
    dir.write(name, cert("ca.pem"));
    EXPECT_TRUE(shake(client.get(), server_context().get()));
}

TEST(Trust, C3_DirectoryThatIsNoneIsRefusedOrPassedOver)
{
    ScratchDir dir;
    Context client = bare_client();
    std::string file = dir.write("file", "x");
    ssl_verify_source missing = {SALLY_VERIFY_DIRECTORY, "/nowhere"};
    ssl_verify_source no_directory = {SALLY_VERIFY_DIRECTORY, file.c_str()};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_load_verify_source(client.get(), &missing, false, &err), err));
    EXPECT_TRUE(
        is(SALLY_CONFIG, ssl_load_verify_source(client.get(), &no_directory, false, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &missing, true, &err), err));
    ASSERT_EQ(0, mkdir(dir.path("a:b").c_str(), 0700));
    std::string colon = dir.path("a:b");
    ssl_verify_source list = {SALLY_VERIFY_DIRECTORY, colon.c_str()};
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_load_verify_source(client.get(), &list, false, &err), err));
}

// OpenSSL would wait in it, in the middle of a handshake, whatever the deadline.
TEST(Trust, C3_ADirectoryWithAFifoUnderAHashedNameIsRefused)
{
    ScratchDir dir;
    Context client = bare_client();
    std::string path = dir.path("");
    ssl_verify_source source = {SALLY_VERIFY_DIRECTORY, path.c_str()};
    ssl_error err;
    ASSERT_EQ(0, mkfifo(dir.path("fifo").c_str(), 0600));
    ASSERT_EQ(0, symlink("nowhere", dir.path("89abcdef.0").c_str()));
    EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &source, false, &err), err));
    ASSERT_EQ(0, symlink("fifo", dir.path("01234567.0").c_str()));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_load_verify_source(client.get(), &source, false, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "\"01234567.0\" in it is no regular file"))
        << err.text;
    EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &source, true, &err), err));
    EXPECT_EQ(1U, client->trust.directory_count);
}

TEST(Trust, C3_ADefaultDirectoryThatWouldBeWaitedForIsPassedOver)
{
    ScratchDir dir;
    std::string pem = cert("ca.pem");
    BIO *bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509 *ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    char name[20];
    std::snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(ca));
    X509_free(ca);
    BIO_free(bio);
    ASSERT_EQ(0, mkfifo(dir.path(name).c_str(), 0600));
    setenv("SSL_CERT_FILE", "/nowhere", 1);
    setenv("SSL_CERT_DIR", dir.path("").c_str(), 1);
    Context client = bare_client();
    EXPECT_EQ(SALLY_OK, ssl_load_default_verify_sources(client.get(), nullptr));
    Shake met = shake(client.get(), server_context().get());
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    EXPECT_TRUE(met);
    EXPECT_FALSE(met.client_verified);
}

TEST(Trust, C3_SourcesOfOtherSystemsAreUnsupportedOrPassedOver)
{
    Context client = bare_client();
    for (ssl_verify_source_kind kind : {SALLY_VERIFY_WIN32_STORE, SALLY_VERIFY_MACOSX_KEYCHAIN}) {
        ssl_verify_source source = {kind, "ROOT"};
        ssl_error err;
        EXPECT_TRUE(
            is(SALLY_UNSUPPORTED, ssl_load_verify_source(client.get(), &source, false, &err), err));
        EXPECT_NE(nullptr, std::strstr(err.text, "ROOT")) << err.text;
        EXPECT_NE(nullptr, std::strstr(err.text, "SALLY_VERIFY_DEFAULT")) << err.text;
        EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &source, true, &err), err));
        source.path = nullptr;
        EXPECT_TRUE(
            is(SALLY_USAGE, ssl_load_verify_source(client.get(), &source, true, &err), err));
    }
}

TEST(Trust, C2_AddedRootsReachLaterConnectionsOnly)
{
    Context client = bare_client();
    Built before(client.get());
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(client.get(), cert_path("ca.pem").c_str(),
                                                          nullptr));
    EXPECT_EQ(0, sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(before.ctx()))));
    EXPECT_TRUE(shake(client.get(), server_context().get()).client_verified);
}

} // namespace

// The default verify sources, and the secure client context (C1, C3).
#include <cstdlib>
#include <string>

#include <sys/stat.h>

#include "crypto_fixture.h"
#include "support/faults.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// Puts the environment and the list of default sources back.
class Defaults : public testing::Test
{
  protected:
    ~Defaults() override
    {
        unsetenv("SSL_CERT_FILE");
        unsetenv("SSL_CERT_DIR");
        ssl_verify_source system = {SALLY_VERIFY_DEFAULT, nullptr};
        ssl_default_verify_sources_set(&system, 1, nullptr);
    }
    static Context secure()
    {
        ssl_context *context = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_secure_client_context(&context, &err), err));
        return Context(context);
    }
    static void set_one_file(const std::string &file)
    {
        ssl_verify_source source = {SALLY_VERIFY_FILE, file.c_str()};
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_default_verify_sources_set(&source, 1, &err), err));
    }
};

TEST_F(Defaults, C1_SecureContextIsCachedAndSealed)
{
    Context one = secure();
    Context two = secure();
    EXPECT_EQ(one.get(), two.get());
    EXPECT_TRUE(ssl_context_is_sealed(one.get()));
    EXPECT_TRUE(ssl_context_is_client(one.get()));
    EXPECT_FALSE(ssl_context_is_server(one.get()));
    EXPECT_EQ(one.get(), bare_client(SALLY_PROTOCOL_SECURE).get());
    sally_policy policy;
    ASSERT_EQ(SALLY_OK, sally_context_policy(nullptr, true, "x", &policy, nullptr));
    EXPECT_TRUE(SSL_CTX_get_verify_mode(policy.ctx) == SSL_VERIFY_PEER && policy.verify_hostname &&
                policy.shutdown_on_close);
    EXPECT_EQ(one->built, policy.ctx);
    sally_policy_fini(&policy);
}

TEST_F(Defaults, C1_SecureContextIsRebuiltWhenTheSourcesChange)
{
    Context before = secure();
    EXPECT_FALSE(shake(before.get(), server_context().get()));
    set_one_file(cert_path("ca.pem"));
    Context after = secure();
    EXPECT_NE(before.get(), after.get());
    EXPECT_TRUE(shake(after.get(), server_context().get()));
    EXPECT_FALSE(shake(after.get(), server_context("wrong-host").get()));
    EXPECT_FALSE(shake(after.get(), server_context("wrong-ca").get()));
}

TEST_F(Defaults, C3_EnvironmentNamesTheFile)
{
    setenv("SSL_CERT_FILE", cert_path("ca.pem").c_str(), 1);
    Context client = bare_client();
    ASSERT_EQ(SALLY_OK, ssl_load_default_verify_sources(client.get(), nullptr));
    EXPECT_TRUE(shake(client.get(), server_context().get()).client_verified);
}

TEST_F(Defaults, C3_WhatIsMissingPoisonsNothing)
{
    ScratchDir dir;
    ASSERT_EQ(0, mkfifo(dir.path("fifo").c_str(), 0600));
    for (const std::string &file : {std::string("/nowhere"), dir.path("fifo"), std::string("")}) {
        setenv("SSL_CERT_FILE", file.c_str(), 1);
        setenv("SSL_CERT_DIR", "", 1);
        Context client = client_context();
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_load_default_verify_sources(client.get(), &err), err));
        EXPECT_TRUE(shake(client.get(), server_context().get())) << file;
        EXPECT_TRUE(openssl_queue_is_empty());
    }
}

TEST_F(Defaults, C3_ListIsCopiedCheckedAndBounded)
{
    ssl_verify_source many[SALLY_VERIFY_SOURCES_MAX + 1] = {};
    for (ssl_verify_source &source : many) {
        source = {SALLY_VERIFY_DEFAULT, nullptr};
    }
    ssl_verify_source no_path = {SALLY_VERIFY_DIRECTORY, nullptr};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_LIMIT,
                   ssl_default_verify_sources_set(many, SALLY_VERIFY_SOURCES_MAX + 1, &err), err));
    EXPECT_TRUE(
        is(SALLY_OK, ssl_default_verify_sources_set(many, SALLY_VERIFY_SOURCES_MAX, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_default_verify_sources_set(&no_path, 1, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_default_verify_sources_set(nullptr, 1, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_default_verify_sources_set(nullptr, 0, &err), err));
    Context nobody = secure();
    EXPECT_EQ(nullptr, nobody->trust.roots);
    EXPECT_FALSE(nobody->trust.defaults);
}

TEST_F(Defaults, C3_ListIsShownAsItWasSet)
{
    ssl_verify_source *shown = nullptr;
    size_t count = 9;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_default_verify_sources(&shown, &count, &err), err));
    ASSERT_EQ(1u, count);
    EXPECT_EQ(SALLY_VERIFY_DEFAULT, shown[0].kind);
    EXPECT_EQ(nullptr, shown[0].path);
    ssl_free_block(shown);

    ssl_verify_source set[] = {{SALLY_VERIFY_FILE, "/a"},
                               {SALLY_VERIFY_DEFAULT, "ignored"},
                               {SALLY_VERIFY_DIRECTORY, "/dir"},
                               {SALLY_VERIFY_WIN32_STORE, "ROOT"}};
    ASSERT_EQ(SALLY_OK, ssl_default_verify_sources_set(set, 4, nullptr));
    ASSERT_TRUE(is(SALLY_OK, ssl_default_verify_sources(&shown, &count, &err), err));
    ASSERT_EQ(4u, count);
    EXPECT_STREQ("/a", shown[0].path);
    EXPECT_EQ(nullptr, shown[1].path);
    EXPECT_EQ(SALLY_VERIFY_DIRECTORY, shown[2].kind);
    EXPECT_STREQ("/dir", shown[2].path);
    EXPECT_STREQ("ROOT", shown[3].path);
    EXPECT_EQ(SALLY_OK, ssl_default_verify_sources_set(shown, count, nullptr)) << "a round trip";
    ssl_free_block(shown);

    ASSERT_EQ(SALLY_OK, ssl_default_verify_sources_set(nullptr, 0, nullptr));
    ASSERT_TRUE(is(SALLY_OK, ssl_default_verify_sources(&shown, &count, &err), err));
    EXPECT_EQ(0u, count);
    ssl_free_block(shown);
    ssl_free_block(nullptr);
}

TEST_F(Defaults, E2_ListIsNullWhenItCannotBeShown)
{
    ssl_verify_source *shown = nullptr;
    size_t count = 9;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_default_verify_sources(nullptr, &count, &err), err));
    EXPECT_EQ(0u, count);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_default_verify_sources(&shown, nullptr, &err), err));
    sweep_allocations("ssl_default_verify_sources", [](ssl_error *e) {
        ssl_verify_source *made = reinterpret_cast<ssl_verify_source *>(e);
        size_t n = 9;
        ssl_status status = ssl_default_verify_sources(&made, &n, e);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        EXPECT_EQ(status == SALLY_OK ? 1u : 0u, n);
        ssl_free_block(made);
        return status;
    });
}

TEST_F(Defaults, C1_ThreadsThatComeTogetherShareOne)
{
    set_one_file(cert_path("ca.pem"));
    Context found[4];
    {
        Thread a([&] { found[0] = secure(); });
        Thread b([&] { found[1] = secure(); });
        Thread c([&] { found[2] = secure(); });
        found[3] = secure();
    }
    for (const Context &one : found) {
        EXPECT_EQ(found[3].get(), one.get());
    }
}

TEST_F(Defaults, AllocationFailures)
{
    setenv("SSL_CERT_FILE", cert_path("ca.pem").c_str(), 1);
    sweep_allocations("ssl_secure_client_context", [](ssl_error *err) {
        ssl_context *made = nullptr;
        ssl_verify_source sources[] = {{SALLY_VERIFY_DEFAULT, nullptr},
                                       {SALLY_VERIFY_FILE, "/nowhere"}};
        ssl_status status = ssl_default_verify_sources_set(sources, 2, err);
        if (status == SALLY_OK) {
            status = ssl_secure_client_context(&made, err);
            EXPECT_EQ(status == SALLY_OK, made != nullptr);
        }
        ssl_context_release(made);
        return status;
    });
}

} // namespace

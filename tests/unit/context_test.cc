// Contexts as objects: shared, sealed, and one for many threads (C2).
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "support/faults.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// ---- sharing ----

TEST(Contexts, LastReleaseFreesIt)
{
    Context context = server_context();
    EXPECT_EQ(context.get(), ssl_context_retain(context.get()));
    ssl_context_release(context.get());
    EXPECT_TRUE(shake(client_context().get(), context.get()));
}

TEST(Contexts, E3_NullIsNoContext)
{
    EXPECT_EQ(nullptr, ssl_context_retain(nullptr));
    ssl_context_release(nullptr);
    EXPECT_FALSE(ssl_context_is_client(nullptr));
    EXPECT_FALSE(ssl_context_is_server(nullptr));
    EXPECT_FALSE(ssl_context_is_sealed(nullptr));
}

TEST(Contexts, KnowTheirKind)
{
    EXPECT_TRUE(ssl_context_is_client(bare_client().get()));
    EXPECT_FALSE(ssl_context_is_server(bare_client().get()));
    EXPECT_TRUE(ssl_context_is_server(bare_server().get()));
    EXPECT_FALSE(ssl_context_is_client(bare_server().get()));
}

// ---- sealing ----

TEST(Sealing, C2_TwiceIsFine)
{
    Context context = server_context();
    ssl_error err;
    EXPECT_FALSE(ssl_context_is_sealed(context.get()));
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
    EXPECT_TRUE(ssl_context_is_sealed(context.get()));
    EXPECT_TRUE(shake(client_context().get(), context.get()));
}

TEST(Sealing, C2_ServerWithoutIdentityStaysOpen)
{
    Context context = bare_server();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_seal_context(context.get(), &err), err));
    EXPECT_FALSE(ssl_context_is_sealed(context.get()));
    EXPECT_EQ(SALLY_OK, ssl_set_verify(context.get(), true, nullptr));
}

TEST(Sealing, C2_ClientWithHalfAnIdentityStaysOpen)
{
    Context context = bare_client();
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_load_private_key(context.get(), cert_path("client-key.pem").c_str(),
                                             nullptr, nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_seal_context(context.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "certificate")) << err.text;
    EXPECT_FALSE(ssl_context_is_sealed(context.get()));
}

TEST(Sealing, C2_NothingLeftToOfferStaysOpen)
{
    Context context = bare_client(SALLY_PROTOCOL_TLS12);
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_set_ciphers(context.get(), "AES128-SHA:@SECLEVEL=5", nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_seal_context(context.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "no cipher is left")) << err.text;
}

TEST(Sealing, C2_SealedIsSharedWithoutALock)
{
    Context context = client_context();
    ASSERT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    sally_mutex_lock(&context->lock); // whoever took it would hang
    Thread other([&] { Built built(context.get()); });
    other.join();
    sally_mutex_unlock(&context->lock);
}

TEST(Sealing, C2_SettersRaceWithConnectionsAndTheSeal)
{
    Context context = client_context();
    Thread setter([&] {
        while (ssl_set_shutdown_on_close(context.get(), true, nullptr) == SALLY_OK) {}
    });
    for (int i = 0; i < 50; i++) {
        Built built(context.get());
        EXPECT_NE(nullptr, built.ctx());
    }
    EXPECT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    setter.join();
}

// ---- allocation failures ----

TEST(ContextAllocations, Make)
{
    for (auto make : {ssl_make_client_context, ssl_make_server_context}) {
        sweep_allocations("make", [&](ssl_error *err) {
            ssl_context *made = nullptr;
            ssl_status status = make(SALLY_PROTOCOL_AUTO, &made, err);
            EXPECT_EQ(status == SALLY_OK, made != nullptr);
            ssl_context_release(made);
            return status;
        });
    }
}

} // namespace

// Named sealed contexts, shared by threads (C5).
#include <atomic>
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "support/faults.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

Registry new_registry()
{
    ssl_registry *registry = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_new(&registry, &err), err));
    return Registry(registry);
}

Context sealed_client()
{
    Context context = bare_client();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
    return context;
}

Context got(ssl_registry *registry, const char *name)
{
    ssl_context *context = nullptr;
    ssl_registry_get(registry, name, &context, nullptr);
    return Context(context);
}

TEST(Registry, C5_PutThenGetGivesTheContext)
{
    Registry registry = new_registry();
    Context a = sealed_client();
    Context b = sealed_client();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_put(registry.get(), "b", b.get(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_put(registry.get(), "a", a.get(), &err), err));
    EXPECT_EQ(a.get(), got(registry.get(), "a").get());
    EXPECT_EQ(b.get(), got(registry.get(), "b").get());
}

TEST(Registry, C5_GotContextOutlivesTheRegistry)
{
    Registry registry = new_registry();
    Context context = sealed_client();
    ASSERT_EQ(SALLY_OK, ssl_registry_put(registry.get(), "name", context.get(), nullptr));
    context.reset();
    Context mine = got(registry.get(), "name");
    registry.reset();
    EXPECT_TRUE(ssl_context_is_sealed(mine.get()));
}

TEST(Registry, C5_PutOfATakenNameChangesNothing)
{
    Registry registry = new_registry();
    Context a = sealed_client();
    Context b = sealed_client();
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_registry_put(registry.get(), "name", a.get(), nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_registry_put(registry.get(), "name", b.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_registry_replace")) << err.text;
    EXPECT_EQ(a.get(), got(registry.get(), "name").get());
}

TEST(Registry, C5_ReplaceGivesNewOnesTheNewContext)
{
    Registry registry = new_registry();
    Context a = sealed_client();
    Context b = sealed_client();
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_registry_put(registry.get(), "name", a.get(), nullptr));
    Context old = got(registry.get(), "name");
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_replace(registry.get(), "name", b.get(), &err), err));
    EXPECT_EQ(a.get(), old.get());
    EXPECT_EQ(b.get(), got(registry.get(), "name").get());
}

TEST(Registry, C5_MissingNamesAreConfigErrors)
{
    Registry registry = new_registry();
    Context context = sealed_client();
    ssl_context *out = context.get();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_registry_get(registry.get(), "none", &out, &err), err));
    EXPECT_EQ(nullptr, out);
    EXPECT_NE(nullptr, std::strstr(err.text, "\"none\"")) << err.text;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_registry_remove(registry.get(), "none", &err), err));
    EXPECT_TRUE(
        is(SALLY_CONFIG, ssl_registry_replace(registry.get(), "none", context.get(), &err), err));
}

TEST(Registry, C5_RemoveTakesTheNameOut)
{
    Registry registry = new_registry();
    Context context = sealed_client();
    for (const char *name : {"a", "b", "c"}) {
        ASSERT_EQ(SALLY_OK, ssl_registry_put(registry.get(), name, context.get(), nullptr));
    }
    EXPECT_EQ(SALLY_OK, ssl_registry_remove(registry.get(), "b", nullptr));
    EXPECT_EQ(nullptr, got(registry.get(), "b").get());
    EXPECT_EQ(context.get(), got(registry.get(), "a").get());
    EXPECT_EQ(context.get(), got(registry.get(), "c").get());
}

TEST(Registry, C5_OnlySealedContexts)
{
    Registry registry = new_registry();
    Context open = bare_client();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_put(registry.get(), "name", open.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_seal_context")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_put(registry.get(), "name", nullptr, &err), err));
}

TEST(Registry, NamesHaveALength)
{
    Registry registry = new_registry();
    Context context = sealed_client();
    std::string longest(SALLY_REGISTRY_NAME_MAX, 'x');
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_OK, ssl_registry_put(registry.get(), longest.c_str(), context.get(), &err), err));
    longest += 'x';
    EXPECT_TRUE(is(SALLY_USAGE,
                   ssl_registry_put(registry.get(), longest.c_str(), context.get(), &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_put(registry.get(), "", context.get(), &err), err));
    EXPECT_TRUE(
        is(SALLY_USAGE, ssl_registry_put(registry.get(), nullptr, context.get(), &err), err));
}

TEST(Registry, E3_NullIsUsage)
{
    Context context = sealed_client();
    ssl_context *out = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_new(nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_put(nullptr, "x", context.get(), &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_replace(nullptr, "x", context.get(), &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_get(nullptr, "x", &out, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_get(new_registry().get(), "x", nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_remove(nullptr, "x", &err), err));
    EXPECT_EQ(nullptr, ssl_registry_retain(nullptr));
    ssl_registry_release(nullptr);
}

TEST(Registry, E1_QueueIsEmptyAfterEveryCall)
{
    Registry registry = new_registry();
    Context context = sealed_client();
    poison_openssl_queue();
    ssl_registry_put(registry.get(), "x", context.get(), nullptr);
    EXPECT_TRUE(openssl_queue_is_empty());
    poison_openssl_queue();
    got(registry.get(), "x");
    EXPECT_TRUE(openssl_queue_is_empty());
}

TEST(Registry, AllocationFailures)
{
    Context context = sealed_client();
    sweep_allocations("ssl_registry_new", [](ssl_error *err) {
        ssl_registry *made = nullptr;
        ssl_status status = ssl_registry_new(&made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        ssl_registry_release(made);
        return status;
    });
    Registry registry = new_registry();
    sweep_allocations("ssl_registry_put", [&](ssl_error *err) {
        ssl_status status = ssl_registry_put(registry.get(), "name", context.get(), err);
        EXPECT_EQ(status == SALLY_OK, got(registry.get(), "name") != nullptr);
        ssl_registry_remove(registry.get(), "name", nullptr);
        return status;
    });
}

// Every get finds one of the two contexts, whole, while they replace each other.
TEST(Registry, C5_GetsRaceWithReplaces)
{
    constexpr int kRounds = 2000;
    Registry registry = new_registry();
    Context contexts[] = {sealed_client(), sealed_client()};
    ASSERT_EQ(SALLY_OK, ssl_registry_put(registry.get(), "name", contexts[0].get(), nullptr));
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    auto get_on = [&] {
        while (!stop) {
            wrong += ssl_context_is_sealed(got(registry.get(), "name").get()) ? 0 : 1;
        }
    };
    Thread one(get_on);
    Thread two(get_on);
    for (int i = 0; i < kRounds; i++) {
        ssl_registry_replace(registry.get(), "name", contexts[i % 2].get(), nullptr);
    }
    stop = true;
    one.join();
    two.join();
    EXPECT_EQ(0, wrong);
}

} // namespace

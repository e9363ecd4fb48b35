// Contexts that a registry makes from files, and makes again; the list of names (C5).
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

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

std::vector<std::string> names_in(ssl_registry *registry)
{
    const char **names = nullptr;
    size_t count = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_list(registry, &names, &count, &err), err));
    std::vector<std::string> list(names, names + count);
    EXPECT_EQ(nullptr, names[count]);
    ssl_free_block(names);
    return list;
}

ssl_registry_counters counters_of(ssl_registry *registry)
{
    ssl_registry_counters counters = {};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_count(registry, &counters, &err), err));
    return counters;
}

std::string subject_in(ssl_registry *registry, const char *name)
{
    ssl_context *context = nullptr;
    ssl_registry_get(registry, name, &context, nullptr);
    return context != nullptr ? shown_subject(Context(context).get()) : "";
}

// A chain and its key in a directory of the test's own, in a registry as "site".
class Reload : public testing::Test
{
  protected:
    ScratchDir dir;
    std::string chain = dir.path("chain.pem");
    std::string key = dir.path("key.pem");
    Registry registry = new_registry();

    void put_identity(const std::string &stem) const
    {
        dir.write("chain.pem", cert(stem + ".pem"));
        dir.write("key.pem", cert(stem + "-key.pem"));
    }
    ssl_registry_source source() const
    {
        ssl_registry_source made = SALLY_REGISTRY_SOURCE;
        made.chain_path = chain.c_str();
        made.key_path = key.c_str();
        return made;
    }
    void SetUp() override
    {
        put_identity("server");
        ssl_registry_source made = source();
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, ssl_registry_load(registry.get(), "site", &made, &err), err));
    }
    ssl_status reload(const char *name, ssl_error *err) const
    {
        return ssl_registry_reload(registry.get(), name, err);
    }
};

} // namespace

TEST_F(Reload, C5_ALoadedContextIsSealedAndHasItsName)
{
    ssl_context *got = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_registry_get(registry.get(), "site", &got, nullptr));
    Context context(got);
    EXPECT_TRUE(ssl_context_is_sealed(got));
    EXPECT_STREQ("site", got->sessions.name);
    EXPECT_NE(std::string::npos, shown_subject(got).find("CN=localhost"));
    EXPECT_TRUE(shake(client_context().get(), got));
}

TEST_F(Reload, C5_AReloadTakesTheNewFilesAndLeavesTheOldContext)
{
    ssl_context *got = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_registry_get(registry.get(), "site", &got, nullptr));
    Context old(got);
    put_identity("sni");
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, reload("site", &err), err));
    EXPECT_NE(std::string::npos, subject_in(registry.get(), "site").find("CN=second.example"));
    EXPECT_NE(std::string::npos, shown_subject(old.get()).find("CN=localhost"));
    EXPECT_EQ(1U, counters_of(registry.get()).reloads);
    EXPECT_EQ(0U, counters_of(registry.get()).failures);
}

TEST_F(Reload, C5_DamagedFilesKeepTheOldContext)
{
    std::string before = subject_in(registry.get(), "site");
    ssl_error err;
    dir.write("key.pem", cert("sni-key.pem"));
    EXPECT_TRUE(is(SALLY_CONFIG, reload("site", &err), err));
    dir.write("chain.pem", "nothing of use");
    EXPECT_TRUE(is(SALLY_CONFIG, reload("site", &err), err));
    std::remove(chain.c_str());
    EXPECT_TRUE(is(SALLY_SYSTEM, reload("site", &err), err));
    EXPECT_EQ(before, subject_in(registry.get(), "site"));
    EXPECT_EQ(3U, counters_of(registry.get()).failures);
    put_identity("sni");
    EXPECT_TRUE(is(SALLY_OK, reload("site", &err), err));
    EXPECT_NE(before, subject_in(registry.get(), "site"));
}

// One that fails is told and does not keep the others from being reloaded.
TEST_F(Reload, C5_AllAreReloadedAlsoAfterOneThatFails)
{
    std::string other = dir.write("other.pem", cert("wildcard.pem"));
    std::string other_key = dir.write("other-key.pem", cert("wildcard-key.pem"));
    ssl_registry_source made = SALLY_REGISTRY_SOURCE;
    made.chain_path = other.c_str();
    made.key_path = other_key.c_str();
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_registry_load(registry.get(), "other", &made, &err), err));
    dir.write("other.pem", "damaged");
    put_identity("sni");
    EXPECT_TRUE(is(SALLY_CONFIG, reload(nullptr, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "other.pem")) << err.text;
    EXPECT_NE(std::string::npos, subject_in(registry.get(), "site").find("CN=second.example"));
    EXPECT_NE(std::string::npos, subject_in(registry.get(), "other").find("CN=wild.example"));
    EXPECT_EQ(SALLY_OK, ssl_registry_reload(new_registry().get(), nullptr, &err));
}

TEST_F(Reload, C5_OnlyWhatWasLoadedIsReloaded)
{
    Context put = server_context();
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_seal_context(put.get(), nullptr));
    ASSERT_EQ(SALLY_OK, ssl_registry_put(registry.get(), "put", put.get(), nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, reload("put", &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_registry_load")) << err.text;
    EXPECT_TRUE(is(SALLY_CONFIG, reload("none", &err), err));
    EXPECT_TRUE(is(SALLY_OK, reload(nullptr, &err), err));
}

TEST_F(Reload, C5_ATakenNameIsNotLoaded)
{
    ssl_registry_source made = source();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_registry_load(registry.get(), "site", &made, &err), err));
    EXPECT_EQ(SALLY_OK, ssl_registry_remove(registry.get(), "site", nullptr));
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_load(registry.get(), "site", &made, &err), err));
}

// Tickets survive, although the certificate is another one: the name is what counts.
TEST_F(Reload, C5_TheIdentitySurvivesAReload)
{
    auto identity = [&] {
        ssl_context *got = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_registry_get(registry.get(), "site", &got, nullptr));
        Context context(got);
        unsigned char bytes[32];
        EXPECT_TRUE(sally_context_identify(got, bytes));
        return std::string(reinterpret_cast<char *>(bytes), sizeof bytes);
    };
    std::string before = identity();
    put_identity("sni");
    ASSERT_EQ(SALLY_OK, reload("site", nullptr));
    EXPECT_EQ(before, identity());
}

// ---- makers ----------------------------------------------------------------------------------------

namespace
{

struct Maker {
    ssl_status status = SALLY_OK;
    bool seals = true;
    bool says_why = true;
    int made = 0;
    int destroyed = 0;
};

ssl_status make(const char *name, void *user, ssl_context **context, ssl_error *err)
{
    auto *maker = static_cast<Maker *>(user);
    EXPECT_STREQ("made", name);
    maker->made++;
    poison_openssl_queue();
    *context = server_context().release();
    if (maker->seals) {
        EXPECT_EQ(SALLY_OK, ssl_seal_context(*context, nullptr));
    }
    if (maker->status != SALLY_OK && maker->says_why) {
        err->status = maker->status;
        std::strcpy(err->text, "the maker's own words");
    }
    return maker->status;
}

ssl_registry_source source_of(Maker *maker)
{
    ssl_registry_source source = SALLY_REGISTRY_SOURCE;
    source.make = make;
    source.user = maker;
    source.destroy = [](void *user) { static_cast<Maker *>(user)->destroyed++; };
    return source;
}

} // namespace

TEST(RegistryMaker, C5_AMakerMakesAtLoadAndAtReload)
{
    Maker maker;
    Registry registry = new_registry();
    ssl_registry_source source = source_of(&maker);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_load(registry.get(), "made", &source, &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_registry_reload(registry.get(), "made", &err), err));
    EXPECT_EQ(2, maker.made);
    EXPECT_EQ(0, maker.destroyed);
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_EQ(SALLY_OK, ssl_registry_remove(registry.get(), "made", nullptr));
    EXPECT_EQ(1, maker.destroyed);
}

TEST(RegistryMaker, C5_AMakerThatFailsIsTheError)
{
    Maker maker;
    Registry registry = new_registry();
    ssl_registry_source source = source_of(&maker);
    ssl_error err;
    maker.status = SALLY_LIMIT;
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_registry_load(registry.get(), "made", &source, &err), err));
    EXPECT_STREQ("the maker's own words", err.text);
    maker.says_why = false;
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_registry_load(registry.get(), "made", &source, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "no reason")) << err.text;
    EXPECT_EQ(SALLY_LIMIT, ssl_registry_load(registry.get(), "made", &source, nullptr));
    maker = Maker();
    maker.seals = false;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_load(registry.get(), "made", &source, &err), err));
    EXPECT_EQ(0, maker.destroyed) << "what was not taken is not destroyed";
    EXPECT_TRUE(names_in(registry.get()).empty());
}

// ---- overlapping reloads ---------------------------------------------------------------------------

namespace
{

// The first call waits until a second has been put into service.
struct SlowMaker {
    std::atomic<int> calls{0};
    Latch first_began;
    Latch second_done;
    ssl_context *by_second = nullptr;
};

ssl_status make_slowly(const char *, void *user, ssl_context **context, ssl_error *)
{
    auto *maker = static_cast<SlowMaker *>(user);
    int call = ++maker->calls;
    *context = server_context().release();
    EXPECT_EQ(SALLY_OK, ssl_seal_context(*context, nullptr));
    if (call == 2) {
        maker->first_began.open();
        maker->second_done.wait();
    }
    if (call == 3) {
        maker->by_second = *context;
    }
    return SALLY_OK;
}

} // namespace

TEST(RegistryMaker, C5_AReloadThatBeganEarlierBringsNothingOldBack)
{
    SlowMaker maker;
    Registry registry = new_registry();
    ssl_registry_source source = SALLY_REGISTRY_SOURCE;
    source.make = make_slowly;
    source.user = &maker;
    ASSERT_EQ(SALLY_OK, ssl_registry_load(registry.get(), "made", &source, nullptr));
    Thread early([&] { ssl_registry_reload(registry.get(), "made", nullptr); });
    ASSERT_TRUE(maker.first_began.wait());
    ASSERT_EQ(SALLY_OK, ssl_registry_reload(registry.get(), "made", nullptr));
    maker.second_done.open();
    early.join();
    ssl_context *in_service = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_registry_get(registry.get(), "made", &in_service, nullptr));
    EXPECT_EQ(maker.by_second, in_service);
    ssl_context_release(in_service);
}

// ---- the list, and bad arguments --------------------------------------------------------------------

TEST(RegistryList, C5_EveryNameOnce)
{
    Registry registry = new_registry();
    Context context = server_context();
    ASSERT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    EXPECT_TRUE(names_in(registry.get()).empty());
    for (const char *name : {"b", "c", "a"}) {
        ASSERT_EQ(SALLY_OK, ssl_registry_put(registry.get(), name, context.get(), nullptr));
    }
    EXPECT_EQ((std::vector<std::string>{"a", "b", "c"}), names_in(registry.get()));
}

TEST(RegistryList, E3_BadArgumentsAreUsage)
{
    Registry registry = new_registry();
    const char **names = nullptr;
    size_t count = 0;
    ssl_registry_counters counters;
    ssl_registry_source source = SALLY_REGISTRY_SOURCE;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_list(nullptr, &names, &count, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_list(registry.get(), nullptr, &count, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_count(registry.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_count(nullptr, &counters, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_load(registry.get(), "x", nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_load(registry.get(), "x", &source, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "chain_path")) << err.text;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_load(nullptr, "x", &source, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_reload(nullptr, nullptr, &err), err));
    Maker maker;
    source = source_of(&maker);
    source.file_count = 1;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_registry_load(registry.get(), "made", &source, &err), err));
}

TEST_F(Reload, E2_AllocationFailures)
{
    sweep_allocations("ssl_registry_load", [&](ssl_error *err) {
        ssl_registry_source made = source();
        ssl_status status = ssl_registry_load(registry.get(), "more", &made, err);
        EXPECT_EQ(status == SALLY_OK, !subject_in(registry.get(), "more").empty());
        ssl_registry_remove(registry.get(), "more", nullptr);
        return status;
    });
    sweep_allocations("ssl_registry_reload", [&](ssl_error *err) { return reload("site", err); });
    sweep_allocations("ssl_registry_list", [&](ssl_error *err) {
        const char **names = nullptr;
        size_t count = 0;
        ssl_status status = ssl_registry_list(registry.get(), &names, &count, err);
        EXPECT_EQ(status == SALLY_OK, names != nullptr);
        EXPECT_EQ(status == SALLY_OK ? 1U : 0U, count);
        ssl_free_block(names);
        return status;
    });
}

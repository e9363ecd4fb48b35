// Ticket keys: rotation, and files of them (C5). How they seal is seen by tests/scenario/session_test.cc.
#include <algorithm>
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "support/faults.h"
#include "support/threads.h"

extern "C" {
#include "clock.h"
#include "ticket.h"
}

using namespace sallytest;

namespace
{

TicketKeys new_keys()
{
    ssl_ticket_keys *keys = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_ticket_keys_new(&keys, &err), err));
    return TicketKeys(keys);
}

// 80 bytes, the name all `mark`.
std::string raw_key(char mark, char secret = '\x01')
{
    return std::string(16, mark) + std::string(64, secret);
}

std::string base64(const std::string &bytes)
{
    std::string text(bytes.size() * 2, '\0');
    int n = EVP_EncodeBlock(reinterpret_cast<unsigned char *>(&text[0]),
                            reinterpret_cast<const unsigned char *>(bytes.data()),
                            static_cast<int>(bytes.size()));
    text.resize(static_cast<size_t>(n));
    return text;
}

std::string names_of(const TicketKeys &keys)
{
    std::string names;
    for (size_t i = 0; i < keys->count; i++) {
        names += static_cast<char>(keys->keys[i].name[0]);
    }
    return names;
}

class TicketFile : public testing::Test
{
  protected:
    ScratchDir dir;
    TicketKeys keys = new_keys();

    ssl_status load(const std::string &content, ssl_error *err)
    {
        return ssl_ticket_keys_load(keys.get(), dir.write("keys", content).c_str(), err);
    }
    testing::AssertionResult loads(const std::string &content)
    {
        ssl_error err;
        return is(SALLY_OK, load(content, &err), err);
    }
    // Refused for the reason given, and nothing has changed.
    testing::AssertionResult refuses(ssl_status want, const char *why, const std::string &content)
    {
        sally_ticket_key before = keys->keys[0];
        ssl_error err;
        testing::AssertionResult result = is(want, load(content, &err), err);
        if (result && std::strstr(err.text, why) == nullptr) {
            return testing::AssertionFailure() << err.text;
        }
        EXPECT_EQ(0, std::memcmp(&before, &keys->keys[0], sizeof before));
        EXPECT_FALSE(keys->from_file);
        return result;
    }
};

} // namespace

TEST(Tickets, C5_NewKeysAreRandom)
{
    TicketKeys a = new_keys();
    TicketKeys b = new_keys();
    EXPECT_NE(0, std::memcmp(&a->keys[0], &b->keys[0], sizeof a->keys[0]));
    EXPECT_NE(0, std::memcmp(a->keys[0].aes, a->keys[0].hmac, sizeof a->keys[0].aes));
}

TEST(Tickets, C5_RotationKeepsTheLastFew)
{
    TicketKeys keys = new_keys();
    sally_ticket_key first = keys->keys[0];
    for (size_t n = 2; n <= SALLY_TICKET_GENERATIONS; n++) {
        ASSERT_EQ(SALLY_OK, ssl_ticket_keys_rotate(keys.get(), nullptr));
        ASSERT_EQ(n, keys->count);
        EXPECT_EQ(0, std::memcmp(&first, &keys->keys[n - 1], sizeof first));
    }
    ASSERT_EQ(SALLY_OK, ssl_ticket_keys_rotate(keys.get(), nullptr));
    EXPECT_EQ(static_cast<size_t>(SALLY_TICKET_GENERATIONS), keys->count);
    for (size_t i = 0; i < SALLY_TICKET_KEYS_MAX; i++) {
        EXPECT_NE(0, std::memcmp(&first, &keys->keys[i], sizeof first)) << "still in memory";
    }
}

// When the time has come, the next ticket is made with a new key, once.
TEST(Tickets, C5_RandomKeysRotateByThemselves)
{
    TicketKeys keys = new_keys();
    Context server = server_context();
    ASSERT_EQ(SALLY_OK, ssl_set_ticket_keys(server.get(), keys.get(), nullptr));
    ASSERT_TRUE(shake(client_context().get(), server.get()));
    EXPECT_EQ(1U, keys->count);
    keys->rotate_at_ns = sally_now_ns();
    ASSERT_TRUE(shake(client_context().get(), server.get()));
    ASSERT_TRUE(shake(client_context().get(), server.get()));
    EXPECT_EQ(2U, keys->count);
    int64_t wait_ns = keys->rotate_at_ns - sally_now_ns();
    EXPECT_NEAR(SALLY_TICKET_ROTATE_HOURS, static_cast<double>(wait_ns) / 3600e9, 0.1);
}

TEST(Tickets, C5_KeysOutliveTheContextThatUsesThem)
{
    TicketKeys keys = new_keys();
    Context server = server_context();
    ASSERT_EQ(SALLY_OK, ssl_set_ticket_keys(server.get(), keys.get(), nullptr));
    keys.reset();
    EXPECT_TRUE(shake(client_context().get(), server.get()));
    EXPECT_EQ(SALLY_OK, ssl_set_ticket_keys(server.get(), nullptr, nullptr));
    EXPECT_TRUE(shake(client_context().get(), server.get()));
}

TEST_F(TicketFile, C5_RawKeys)
{
    EXPECT_TRUE(loads(raw_key('a') + raw_key('b')));
    EXPECT_EQ("ab", names_of(keys));
}

TEST_F(TicketFile, C5_KeysInLines)
{
    EXPECT_TRUE(loads("# keys of three machines\n\n" + base64(raw_key('a')) + "\r\n" +
                      base64(raw_key('b')) + "\n" + base64(raw_key('c'))));
    EXPECT_EQ("abc", names_of(keys));
    EXPECT_TRUE(keys->from_file);
}

TEST_F(TicketFile, C5_ALoadReplacesAllKeys)
{
    EXPECT_TRUE(loads(raw_key('a') + raw_key('b') + raw_key('c')));
    EXPECT_TRUE(loads(raw_key('d')));
    EXPECT_EQ("d", names_of(keys));
    const auto *bytes = reinterpret_cast<const unsigned char *>(&keys->keys[1]);
    EXPECT_TRUE(std::all_of(bytes, bytes + sizeof keys->keys[1], [](int b) { return b == 0; }));
}

TEST_F(TicketFile, C5_WhatIsNoKeyIsRefused)
{
    EXPECT_TRUE(refuses(SALLY_CONFIG, "it is empty", ""));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "no key in it", "# nothing\n"));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "multiple of 80 bytes", std::string(48, '\x01')));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "multiple of 80 bytes", raw_key('a') + "\x01"));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "line 2 is not a key",
                        base64(raw_key('a')) + "\n" + base64(std::string(48, 'x')) + "\n"));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "line 1 is not a key", "not base64 at all\n"));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "line 1 is not a key", std::string(500, 'A') + "\n"));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "same name", raw_key('a') + raw_key('a', '\x02')));
    EXPECT_TRUE(refuses(SALLY_CONFIG, "line 1 is not a key", cert("server.pem")));
    EXPECT_TRUE(refuses(SALLY_LIMIT, "more than", [] {
        std::string all;
        for (int i = 0; i <= SALLY_TICKET_KEYS_MAX; i++) {
            all += raw_key(static_cast<char>(i));
        }
        return all;
    }()));
}

TEST_F(TicketFile, C3_NoRegularFile)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_ticket_keys_load(keys.get(), "/dev/zero", &err), err));
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_ticket_keys_load(keys.get(), "/nowhere", &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_ticket_keys_load(keys.get(), nullptr, &err), err));
    EXPECT_TRUE(openssl_queue_is_empty());
}

TEST_F(TicketFile, C5_KeysOfAFileAreNotRotatedHere)
{
    ASSERT_TRUE(loads(raw_key('a')));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_ticket_keys_rotate(keys.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_ticket_keys_load")) << err.text;
    Context server = server_context();
    ASSERT_EQ(SALLY_OK, ssl_set_ticket_keys(server.get(), keys.get(), nullptr));
    keys->rotate_at_ns = sally_now_ns();
    ASSERT_TRUE(shake(client_context().get(), server.get()));
    EXPECT_EQ("a", names_of(keys));
}

TEST_F(TicketFile, E2_AllocationFailures)
{
    sweep_allocations("ssl_ticket_keys_new", [](ssl_error *err) {
        ssl_ticket_keys *made = nullptr;
        ssl_status status = ssl_ticket_keys_new(&made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        ssl_ticket_keys_release(made);
        return status;
    });
    std::string path = dir.write("keys", raw_key('a'));
    sweep_allocations("ssl_ticket_keys_load", [&](ssl_error *err) {
        return ssl_ticket_keys_load(keys.get(), path.c_str(), err);
    });
}

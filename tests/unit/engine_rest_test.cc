// What a connection that waits gives back (W2), and that nothing misses it: neither the streams, nor a
// certificate asked for later, nor a question.
#include <string>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "support/engines.h"

extern "C" {
#include "engine_object.h"
}

using namespace sallytest;

namespace
{

struct FreeKey {
    void operator()(EVP_PKEY *key) const
    {
        EVP_PKEY_free(key);
    }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

Key key_of_ours(const sally_engine *engine)
{
    EVP_PKEY *key = nullptr;
    return Key(SSL_get_tmp_key(engine->ssl, &key) == 1 ? key : nullptr);
}

Key key_of_peers(const sally_engine *engine)
{
    EVP_PKEY *key = nullptr;
    return Key(SSL_get_peer_tmp_key(engine->ssl, &key) == 1 ? key : nullptr);
}

// The length of what makes the key: its public part, encoded.
size_t size_of(const Key &key)
{
    unsigned char *encoded = nullptr;
    size_t size = EVP_PKEY_get1_encoded_public_key(key.get(), &encoded);
    OPENSSL_free(encoded);
    ERR_clear_error();
    return size;
}

struct Resting : public testing::TestWithParam<int> {
    Resting() : context(server_context())
    {
        std::string roots = cert_path("ca.pem");
        EXPECT_EQ(SALLY_OK,
                  ssl_load_verify_root_certificates(context.get(), roots.c_str(), nullptr));
        EXPECT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(context.get(), true, nullptr));
    }

    EngineSetup setup(int version)
    {
        EngineSetup made;
        made.client = false;
        made.version = version;
        made.context = context.get();
        made.raw.client_identity = "client";
        made.raw.post_handshake_auth = true;
        made.raw.allow_renegotiation = true;
        return made;
    }

    Context context;
};

void expect_echo(EnginePair *pair, const std::string &words)
{
    EXPECT_EQ(Raw::Ok, pair->raw->write_all(words));
    EXPECT_EQ(words, pair->read_all_there_is().bytes);
    EXPECT_EQ(SALLY_STEP_DONE, pair->write(words).step);
    std::string back;
    EXPECT_EQ(Raw::Ok, pair->raw->read_full(&back, words.size()));
    EXPECT_EQ(words, back);
}

// All that can be asked of a connection with a certificate or without.
std::string answers(sally_engine *e)
{
    std::string all = std::string(sally_engine_version(e)) + " " + sally_engine_cipher(e);
    for (ssl_binding_type type : {SALLY_BINDING_TLS_EXPORTER, SALLY_BINDING_TLS_UNIQUE,
                                  SALLY_BINDING_TLS_SERVER_END_POINT}) {
        ssl_binding binding = {};
        binding.type = type;
        ssl_status status = sally_engine_binding(e, "test", &binding, nullptr);
        all += std::string(" ") + ssl_status_name(status) + " " +
               std::string(reinterpret_cast<const char *>(binding.bytes), binding.length);
    }
    char name[200];
    size_t length = 0;
    EXPECT_TRUE(sally_engine_peer_name(e, false, name, sizeof name, &length));
    all += " " + std::string(name, length);
    return all + (sally_engine_is_resumed(e) ? " resumed" : " full") +
           (sally_engine_peer_verified(e) ? " verified" : "");
}

INSTANTIATE_TEST_SUITE_P(Versions, Resting, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_P(Resting, W2_BytesGoOnAndAnswersStay)
{
    EnginePair pair(setup(GetParam()));
    ASSERT_TRUE(pair.shake());
    std::string before = answers(pair.engine);
    for (const char *words : {"after the first rest", "after the second"}) {
        sally_engine_rest(pair.engine);
        EXPECT_EQ(0u, ERR_peek_error());
        EXPECT_EQ(before, answers(pair.engine));
        expect_echo(&pair, words);
    }
}

// By post-handshake authentication, or by renegotiation, which exchanges keys anew.
TEST_P(Resting, W2_ACertificateCanBeAskedForAfterwards)
{
    EnginePair pair(setup(GetParam()));
    ASSERT_TRUE(pair.shake());
    expect_echo(&pair, "first");
    sally_engine_rest(pair.engine);
    sally_step answer = SALLY_STEP_AGAIN;
    for (int i = 0; i < 1000 && answer == SALLY_STEP_AGAIN; i++) {
        sally_want want = {false, false};
        answer = sally_engine_request(pair.engine, SALLY_DEMAND_VALID, &want);
        char byte;
        size_t got = 0;
        EXPECT_EQ(Raw::WantRead, pair.raw->read_step(&byte, 1, &got)) << pair.raw->last_error();
        ASSERT_NE(SALLY_STEP_FAILED, pair.read().step);
        sally_engine_rest(pair.engine); // in the middle of it, too
    }
    EXPECT_EQ(SALLY_STEP_DONE, answer);
    EXPECT_TRUE(sally_engine_peer_verified(pair.engine));
    expect_echo(&pair, "last");
}

TEST_F(Resting, W2_KeyUpdatesAreFollowedAfterwards)
{
    EnginePair pair(setup(TLS1_3_VERSION));
    ASSERT_TRUE(pair.shake());
    sally_engine_rest(pair.engine);
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(pair.raw->update_key(true));
        ASSERT_EQ(Raw::Ok, pair.raw->push());
        expect_echo(&pair, "with the next keys");
        sally_engine_rest(pair.engine);
    }
    EXPECT_EQ(3, pair.raw->key_updates_received());
}

// A handshake that waits for its next bytes is rested too, and needs its keys.
TEST_P(Resting, W2_AHandshakeKeepsItsKeys)
{
    EnginePair pair(setup(GetParam()));
    LoopFaults one_byte;
    one_byte.chunk = 1;
    pair.loop.to_a->set_faults(one_byte);
    sally_step step = SALLY_STEP_AGAIN;
    for (int i = 0; i < 20000 && step != SALLY_STEP_DONE; i++) {
        pair.raw->handshake_step();
        step = pair.handshake().step;
        ASSERT_NE(SALLY_STEP_FAILED, step);
        if (step != SALLY_STEP_DONE) {
            sally_engine_rest(pair.engine);
        }
    }
    ASSERT_EQ(SALLY_STEP_DONE, step);
    EXPECT_EQ(SALLY_STEP_DONE, pair.flush().step);
    expect_echo(&pair, "shaken");
}

struct RestingGroup : public testing::TestWithParam<const char *> {
};

INSTANTIATE_TEST_SUITE_P(Groups, RestingGroup,
                         testing::Values("X25519", "P-256", "X448", "ffdhe2048"));

// OpenSSL hands out the very keys that it has, so what is seen here is what it has left.
TEST_P(RestingGroup, W2_KeysOfTheExchangeAreGone)
{
    Context context = server_context();
    ASSERT_EQ(SALLY_OK, ssl_set_groups(context.get(), GetParam(), nullptr));
    EngineSetup setup;
    setup.client = false;
    setup.version = TLS1_3_VERSION;
    setup.context = context.get();
    EnginePair pair(setup);
    ASSERT_EQ(1, SSL_set1_groups_list(pair.raw->ssl(), GetParam()));
    ASSERT_TRUE(pair.shake());
    Key ours = key_of_ours(pair.engine), peers = key_of_peers(pair.engine);
    ASSERT_NE(nullptr, ours);
    ASSERT_NE(nullptr, peers);
    EXPECT_GT(size_of(ours), 0u);
    EXPECT_GT(size_of(peers), 0u);
    sally_engine_rest(pair.engine);
    EXPECT_EQ(0u, size_of(ours));
    EXPECT_EQ(0u, size_of(peers));
    expect_echo(&pair, "by what was derived");
}

} // namespace

// A certificate asked for after the handshake, its answer coming byte by byte (C7).
#include <string>

#include "support/engines.h"

using namespace sallytest;

namespace
{

class EngineAuth : public testing::TestWithParam<int>
{
  protected:
    EngineAuth() : context_(server_context()), pair_(setup())
    {
        EXPECT_TRUE(pair_.shake());
        EXPECT_EQ(SALLY_STEP_DONE, pair_.flush().step);
        let_the_client_read();
    }

    EngineSetup setup()
    {
        std::string roots = cert_path("ca.pem");
        EXPECT_EQ(SALLY_OK,
                  ssl_load_verify_root_certificates(context_.get(), roots.c_str(), nullptr));
        EXPECT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(context_.get(), true, nullptr));
        EngineSetup made;
        made.client = false;
        made.version = GetParam();
        made.context = context_.get();
        made.raw.client_identity = "client";
        made.raw.post_handshake_auth = true;
        return made;
    }

    void let_the_client_read()
    {
        char byte;
        size_t got = 0;
        EXPECT_EQ(Raw::WantRead, pair_.raw->read_step(&byte, 1, &got)) << pair_.raw->last_error();
    }

    sally_step request(sally_demand demand = SALLY_DEMAND_VALID)
    {
        sally_want want = {false, false};
        return sally_engine_request(pair_.engine, demand, &want);
    }

    bool has_certificate()
    {
        char text[200];
        size_t length = 0;
        EXPECT_TRUE(sally_engine_peer_name(pair_.engine, false, text, sizeof text, &length));
        return length != 0;
    }

    Context context_;
    EnginePair pair_;
};

INSTANTIATE_TEST_SUITE_P(Versions, EngineAuth, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

// Between Certificate and Finished OpenSSL shows the certificate already; we do not.
TEST_P(EngineAuth, C7_NobodyIsVerifiedBeforeTheKeyIsProved)
{
    LoopFaults one_byte;
    one_byte.chunk = 1;
    pair_.loop.to_a->set_faults(one_byte);
    EXPECT_EQ(SALLY_STEP_AGAIN, request());
    bool shown_early = false;
    int steps = 0;
    sally_step answer = SALLY_STEP_AGAIN;
    while (answer == SALLY_STEP_AGAIN && ++steps < 20000) {
        let_the_client_read();
        char buf[64];
        size_t got = 0;
        sally_want want = {false, false};
        ASSERT_NE(SALLY_STEP_FAILED, sally_engine_read(pair_.engine, buf, sizeof buf, &got, &want));
        answer = request();
        if (answer == SALLY_STEP_AGAIN) {
            shown_early = shown_early || has_certificate();
            ASSERT_FALSE(sally_engine_peer_verified(pair_.engine)) << steps;
        }
    }
    EXPECT_EQ(SALLY_STEP_DONE, answer);
    EXPECT_GT(steps, 100);
    EXPECT_FALSE(shown_early);
    EXPECT_TRUE(sally_engine_peer_verified(pair_.engine));
    EXPECT_TRUE(has_certificate());
}

// A request that could not be made has changed nothing.
TEST(EngineAuth13, C7_ARefusedRequestAsksNobodyLater)
{
    EngineSetup setup;
    setup.client = false;
    setup.version = TLS1_3_VERSION;
    EnginePair pair(setup);
    ASSERT_TRUE(pair.shake());
    for (int i = 0; i < 2; i++) {
        sally_want want = {false, false};
        EXPECT_EQ(SALLY_STEP_FAILED, sally_engine_request(pair.engine, SALLY_DEMAND_VALID, &want));
        EXPECT_EQ(SALLY_UNSUPPORTED, pair.why());
    }
    EXPECT_FALSE(sally_engine_has_ended(pair.engine));
    EXPECT_EQ(SALLY_STEP_DONE, pair.write("on").step);
}

} // namespace

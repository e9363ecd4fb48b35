// OCSP responses that a server loads: which are taken, and what is said of the others (C6).
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "support/faults.h"
#include "support/ocsp_responses.h"

using namespace sallytest;

namespace
{

// A server whose issuer is among its verify sources, and one file.
class OcspFile : public testing::Test
{
  protected:
    ScratchDir dir;
    Context server = server_context();

    void SetUp() override
    {
        trust_ca(server.get());
    }
    static void trust_ca(ssl_context *context)
    {
        ssl_error err;
        std::string roots = cert_path("ca.pem");
        EXPECT_TRUE(
            is(SALLY_OK, ssl_load_verify_root_certificates(context, roots.c_str(), &err), err));
    }
    ssl_status load(const std::string &der, ssl_error *err, ssl_context *context = nullptr)
    {
        std::string path = dir.write("response.der", der);
        return ssl_load_ocsp_response(context != nullptr ? context : server.get(), path.c_str(),
                                      err);
    }
    testing::AssertionResult loads(const OcspOptions &options)
    {
        ssl_error err;
        return is(SALLY_OK, load(ocsp_response(options), &err), err);
    }
    testing::AssertionResult refuses(const char *why, const std::string &der)
    {
        ssl_error err;
        testing::AssertionResult result = is(SALLY_CONFIG, load(der, &err), err);
        EXPECT_EQ(nullptr, server->stapling.response);
        EXPECT_TRUE(openssl_queue_is_empty());
        if (result && std::strstr(err.text, why) == nullptr) {
            return testing::AssertionFailure() << err.text;
        }
        return result;
    }
};

OcspOptions with(void (*change)(OcspOptions *))
{
    OcspOptions options;
    change(&options);
    return options;
}

} // namespace

TEST_F(OcspFile, C6_AGoodResponseIsTaken)
{
    EXPECT_TRUE(loads({}));
    EXPECT_TRUE(loads(with([](OcspOptions *o) { o->sha256_id = true; })));
    EXPECT_TRUE(loads(with([](OcspOptions *o) { o->has_end = false; })));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(server.get(), &err), err));
}

TEST_F(OcspFile, C6_WhatIsNotGoodIsRefused)
{
    auto response = [](void (*change)(OcspOptions *)) { return ocsp_response(with(change)); };
    EXPECT_TRUE(refuses("revoked", response([](OcspOptions *o) { o->status = "revoked"; })));
    EXPECT_TRUE(refuses("does not know", response([](OcspOptions *o) { o->status = "unknown"; })));
    EXPECT_TRUE(refuses("expired", response([](OcspOptions *o) {
                            o->from_s = -7200;
                            o->until_s = -3600;
                        })));
    EXPECT_TRUE(refuses("not valid yet", response([](OcspOptions *o) { o->from_s = 1800; })));
    EXPECT_TRUE(refuses("expired", response([](OcspOptions *o) {
                            o->from_s = -3 * 86400;
                            o->has_end = false;
                        })));
    EXPECT_TRUE(refuses("another certificate", response([](OcspOptions *o) { o->about = "sni"; })));
    EXPECT_TRUE(refuses("not signed", response([](OcspOptions *o) { o->signer = "other-ca"; })));
    EXPECT_TRUE(refuses("not signed", response([](OcspOptions *o) { o->signer = "server"; })));
    EXPECT_TRUE(refuses("error", response([](OcspOptions *o) { o->refuses = true; })));
    EXPECT_TRUE(refuses("damaged", "no DER at all"));
    EXPECT_TRUE(refuses("damaged", ocsp_response() + "x"));
    EXPECT_TRUE(refuses("empty", ""));
}

TEST_F(OcspFile, C6_TheIssuerMustBeAtHand)
{
    ssl_error err;
    Context alone = server_context();
    EXPECT_TRUE(is(SALLY_CONFIG, load(ocsp_response(), &err, alone.get()), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "append it to the chain")) << err.text;
    EXPECT_TRUE(is(SALLY_CONFIG, load(ocsp_response(), &err, bare_server().get()), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "load that first")) << err.text;
}

TEST_F(OcspFile, C6_AnIssuerInTheChainWillDo)
{
    Context chained = server_context("chain");
    OcspOptions options;
    options.about = "chain";
    options.issuer = options.signer = "intermediate";
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, load(ocsp_response(options), &err, chained.get()), err));
}

TEST_F(OcspFile, C6_AnotherIdentityNeedsAnotherResponse)
{
    ASSERT_TRUE(loads({}));
    ssl_error err;
    std::string chain = cert_path("sni.pem");
    std::string key = cert_path("sni-key.pem");
    ASSERT_EQ(SALLY_OK,
              ssl_load_identity(server.get(), chain.c_str(), key.c_str(), nullptr, nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_seal_context(server.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_load_ocsp_response")) << err.text;
    ASSERT_TRUE(loads(with([](OcspOptions *o) { o->about = "sni"; })));
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(server.get(), &err), err));
}

TEST_F(OcspFile, C6_SealingRemarksOnAResponseThatHasExpired)
{
    ASSERT_TRUE(loads({}));
    server->stapling.until = time(nullptr) - 1;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(server.get(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "OCSP response has expired")) << err.text;
}

// From its beginning, not from when it was loaded: clients count that way.
TEST_F(OcspFile, C6_WithoutAnEndItIsSentForADayFromItsBeginning)
{
    constexpr time_t kDay = 86400;
    ASSERT_TRUE(loads(with([](OcspOptions *o) {
        o->has_end = false;
        o->from_s = -20 * 3600;
    })));
    EXPECT_NEAR(static_cast<double>(time(nullptr) - 20 * 3600 + kDay),
                static_cast<double>(server->stapling.until), 120);
    ASSERT_TRUE(loads(with([](OcspOptions *o) { o->from_s = -20 * 3600; })));
    EXPECT_NEAR(static_cast<double>(time(nullptr) + 3600),
                static_cast<double>(server->stapling.until), 120);
}

TEST_F(OcspFile, E3_BadArgumentsAreUsage)
{
    ssl_error err;
    Context client = bare_client();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_ocsp_response(server.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_ocsp_response(client.get(), "x", &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_ocsp(server.get(), SALLY_OCSP_ASK, &err), err));
    EXPECT_TRUE(
        is(SALLY_USAGE, ssl_set_ocsp(client.get(), static_cast<ssl_ocsp_mode>(9), &err), err));
    EXPECT_TRUE(is(SALLY_SYSTEM, ssl_load_ocsp_response(server.get(), "/nowhere", &err), err));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_load_ocsp_response(server.get(), "/dev/zero", &err), err));
}

TEST_F(OcspFile, E2_AllocationFailures)
{
    std::string path = dir.write("good.der", ocsp_response());
    sweep_allocations("ssl_load_ocsp_response", [&](ssl_error *err) {
        return ssl_load_ocsp_response(server.get(), path.c_str(), err);
    });
    Context fresh;
    Trial trial(
        [&](ssl_error *err) { return ssl_load_ocsp_response(fresh.get(), path.c_str(), err); });
    trial.prepare = [&] {
        fresh = server_context();
        trust_ca(fresh.get());
    };
    trial.cleanup = [&] { fresh.reset(); };
    trial.stride = 7;
    sweep_openssl_allocations("ssl_load_ocsp_response", trial);
}

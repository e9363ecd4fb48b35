// The identity of a context, and the setters of resumption (C4, C6).
#include <cstring>
#include <set>
#include <string>

#include "crypto_fixture.h"
#include "pki_fixture.h"
#include "support/faults.h"

extern "C" {
#include "carried.h"
}

using namespace sallytest;

namespace
{

// As the SSL_CTX carries it.
std::string identity_of(const Context &context)
{
    Built built(context.get());
    const sally_carried *carried = sally_carried_by(built.ctx());
    return std::string(reinterpret_cast<const char *>(carried->identity), sizeof carried->identity);
}

using Change = std::function<ssl_status(ssl_context *)>;

Context changed(Context context, const Change &change)
{
    EXPECT_EQ(SALLY_OK, change(context.get()));
    return context;
}

ssl_status trust_ca(ssl_context *context)
{
    return ssl_load_verify_root_certificates(context, cert_path("ca.pem").c_str(), nullptr);
}

ssl_status name_it(ssl_context *context)
{
    return ssl_set_context_name(context, "name", nullptr);
}

TEST(ContextName, C4_TheSameSettingsAreTheSameIdentity)
{
    EXPECT_EQ(identity_of(server_context()), identity_of(server_context()));
    EXPECT_EQ(identity_of(client_context()), identity_of(client_context()));
    EXPECT_NE(identity_of(client_context()), identity_of(server_context()));
}

// server-rsa.pem differs from server.pem in key, serial and validity, and has the same names.
TEST(ContextName, C4_ARenewedCertificateChangesNothing)
{
    EXPECT_EQ(identity_of(server_context("server")), identity_of(server_context("server-rsa")));
    EXPECT_NE(identity_of(server_context("server")), identity_of(server_context("sni")));
}

TEST(ContextName, C4_AStableNameStandsForTheCertificate)
{
    EXPECT_EQ(identity_of(changed(server_context("server"), name_it)),
              identity_of(changed(server_context("sni"), name_it)));
    EXPECT_NE(identity_of(server_context("server")),
              identity_of(changed(server_context("server"), name_it)));
}

TEST(ContextName, C4_ThePolicyCountsWhateverTheName)
{
    const Change changes[] = {
        trust_ca,
        [](ssl_context *c) { return ssl_set_verify(c, true, nullptr); },
        [](ssl_context *c) { return ssl_try_verify(c, true, nullptr); },
        [](ssl_context *c) { return ssl_set_verify_hostname(c, true, nullptr); },
        [](ssl_context *c) { return ssl_set_insecure_common_name(c, true, nullptr); },
        [](ssl_context *c) { return ssl_set_ocsp(c, SALLY_OCSP_ASK, nullptr); },
        [](ssl_context *c) { return ssl_set_ocsp(c, SALLY_OCSP_REQUIRE, nullptr); },
        [](ssl_context *c) {
            ssl_verify_source source = {SALLY_VERIFY_DIRECTORY, "/etc"};
            return ssl_load_verify_source(c, &source, false, nullptr);
        },
        [](ssl_context *c) {
            ssl_verify_source source = {SALLY_VERIFY_DEFAULT, nullptr};
            return ssl_load_verify_source(c, &source, false, nullptr);
        },
    };
    std::set<std::string> all = {identity_of(changed(bare_client(), name_it))};
    for (const Change &change : changes) {
        EXPECT_TRUE(
            all.insert(identity_of(changed(changed(bare_client(), name_it), change))).second);
    }
}

TEST(ContextName, C4_OtherAnchorsAreAnotherIdentity)
{
    Context more = client_context();
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(
                            more.get(), cert_path("other-ca.pem").c_str(), nullptr));
    EXPECT_NE(identity_of(client_context()), identity_of(more));
}

// So nobody who has been revoked comes in by a ticket from before.
TEST(ContextName, C4_OtherRevocationListsAreAnotherIdentity)
{
    ScratchDir dir;
    std::string nobody = dir.write("nobody", crl_pem("ca", {}));
    std::string client = dir.write("client", crl_pem("ca", {"client"}));
    auto with = [](const std::string &path, bool whole_chain) {
        return changed(server_context(), [&](ssl_context *c) {
            return ssl_load_crls(c, path.c_str(), whole_chain, nullptr);
        });
    };
    std::set<std::string> all = {identity_of(server_context()), identity_of(with(nobody, false)),
                                 identity_of(with(nobody, true)), identity_of(with(client, false))};
    EXPECT_EQ(4U, all.size());
    EXPECT_EQ(identity_of(with(nobody, false)), identity_of(with(nobody, false)));
}

TEST(ContextName, E3_BadArgumentsAreUsage)
{
    ssl_error err;
    Context client = bare_client();
    Context server = bare_server();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_context_name(server.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_context_name(server.get(), "", &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_session_tickets(client.get(), 1, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_ticket_keys(client.get(), nullptr, &err), err));
    unsigned many = SALLY_SESSION_TICKETS_MAX + 1;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_session_tickets(server.get(), many, &err), err));
}

TEST(ContextName, E2_AllocationFailures)
{
    Context context = server_context();
    sweep_allocations("ssl_set_context_name", [&](ssl_error *err) {
        return ssl_set_context_name(context.get(), "name", err);
    });
    Context fresh;
    Trial building([&](ssl_error *err) {
        sally_policy policy;
        ssl_status status = sally_context_policy(fresh.get(), false, "test", &policy, err);
        sally_policy_fini(&policy);
        return status;
    });
    building.prepare = [&] { fresh = server_context(); };
    sweep_allocations("building", building);
}

} // namespace

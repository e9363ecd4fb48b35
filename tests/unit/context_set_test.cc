// Ciphers and switches; and what every setter does alike (C2, C3, E1, E3).
#include <cstring>
#include <filesystem>
#include <functional>
#include <regex>
#include <set>
#include <string>

#include "crypto_fixture.h"

using namespace sallytest;

namespace
{

TEST(Setters, C3_CiphersOfTls12)
{
    Context client = bare_client(SALLY_PROTOCOL_TLS12);
    ssl_error err;
    const char one[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
    EXPECT_TRUE(is(SALLY_OK, ssl_set_ciphers(client.get(), one, &err), err));
    EXPECT_EQ(one, shake(client.get(), server_context().get()).cipher);
}

TEST(Setters, C3_SuitesOfTls13)
{
    Context client = bare_client();
    ssl_error err;
    const char one[] = "TLS_CHACHA20_POLY1305_SHA256";
    EXPECT_TRUE(is(SALLY_OK, ssl_set_ciphersuites(client.get(), one, &err), err));
    EXPECT_EQ(one, shake(client.get(), server_context().get()).cipher);
}

TEST(Setters, C3_ListsOfNothingKnownAreRefused)
{
    Context client = bare_client();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphers(client.get(), "NO-SUCH-CIPHER", &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "NO-SUCH-CIPHER")) << err.text;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphers(client.get(), "", &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_ciphers(client.get(), nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphersuites(client.get(), "TLS_NO_SUCH", &err), err));
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_set_ciphersuites(client.get(), "", &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_ciphersuites(client.get(), nullptr, &err), err));
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_TRUE(shake(client.get(), server_context().get()));
}

TEST(Setters, C7_HostNameOfAServerIsUsage)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_verify_hostname(bare_server().get(), true, &err), err));
}

// ---- every setter, alike ----

struct Setter {
    const char *name;
    std::function<ssl_status(ssl_context *, ssl_error *)> call;
};

const ssl_verify_source nowhere = {SALLY_VERIFY_FILE, "/nowhere"};

const Setter setters[] = {
    {"ssl_load_certificate_chain",
     [](ssl_context *c, ssl_error *e) { return ssl_load_certificate_chain(c, "/nowhere", e); }},
    {"ssl_load_private_key",
     [](ssl_context *c, ssl_error *e) { return ssl_load_private_key(c, "/nowhere", nullptr, e); }},
    {"ssl_load_identity",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_identity(c, "/nowhere", "/nowhere", nullptr, e);
     }},
    {"ssl_load_verify_source",
     [](ssl_context *c, ssl_error *e) { return ssl_load_verify_source(c, &nowhere, true, e); }},
    {"ssl_load_verify_root_certificates",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_verify_root_certificates(c, "/nowhere", e);
     }},
    {"ssl_load_default_verify_sources",
     [](ssl_context *c, ssl_error *e) { return ssl_load_default_verify_sources(c, e); }},
    {"ssl_load_certificate_chain_bytes",
     [](ssl_context *c, ssl_error *e) { return ssl_load_certificate_chain_bytes(c, nullptr, e); }},
    {"ssl_load_private_key_bytes",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_private_key_bytes(c, nullptr, nullptr, e);
     }},
    {"ssl_load_identity_bytes",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_identity_bytes(c, nullptr, nullptr, nullptr, e);
     }},
    {"ssl_load_verify_root_certificates_bytes",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_verify_root_certificates_bytes(c, nullptr, e);
     }},
    {"ssl_load_suggested_certificate_authorities",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_suggested_certificate_authorities(c, "/nowhere", e);
     }},
    {"ssl_load_crls",
     [](ssl_context *c, ssl_error *e) { return ssl_load_crls(c, "/nowhere", true, e); }},
    {"ssl_set_groups",
     [](ssl_context *c, ssl_error *e) { return ssl_set_groups(c, "NO-SUCH", e); }},
    {"ssl_server_context_enable_dhe",
     [](ssl_context *c, ssl_error *e) { return ssl_server_context_enable_dhe(c, "/nowhere", e); }},
    {"ssl_server_context_enable_ecdhe",
     [](ssl_context *c, ssl_error *e) { return ssl_server_context_enable_ecdhe(c, "NO-SUCH", e); }},
    {"ssl_set_verify", [](ssl_context *c, ssl_error *e) { return ssl_set_verify(c, true, e); }},
    {"ssl_set_context_name",
     [](ssl_context *c, ssl_error *e) { return ssl_set_context_name(c, "name", e); }},
    {"ssl_set_ticket_keys",
     [](ssl_context *c, ssl_error *e) { return ssl_set_ticket_keys(c, nullptr, e); }},
    {"ssl_set_session_tickets",
     [](ssl_context *c, ssl_error *e) { return ssl_set_session_tickets(c, 2, e); }},
    {"ssl_load_ocsp_response",
     [](ssl_context *c, ssl_error *e) { return ssl_load_ocsp_response(c, "/nowhere", e); }},
    {"ssl_set_ocsp",
     [](ssl_context *c, ssl_error *e) { return ssl_set_ocsp(c, SALLY_OCSP_ASK, e); }},
    {"ssl_set_verify_hostname",
     [](ssl_context *c, ssl_error *e) { return ssl_set_verify_hostname(c, true, e); }},
    {"ssl_set_ciphers",
     [](ssl_context *c, ssl_error *e) { return ssl_set_ciphers(c, "NO-SUCH", e); }},
    {"ssl_set_ciphersuites",
     [](ssl_context *c, ssl_error *e) { return ssl_set_ciphersuites(c, nullptr, e); }},
    {"ssl_set_shutdown_on_close",
     [](ssl_context *c, ssl_error *e) { return ssl_set_shutdown_on_close(c, false, e); }},
    {"ssl_set_insecure_renegotiation",
     [](ssl_context *c, ssl_error *e) { return ssl_set_insecure_renegotiation(c, true, e); }},
    {"ssl_try_verify", [](ssl_context *c, ssl_error *e) { return ssl_try_verify(c, true, e); }},
    {"ssl_set_insecure_common_name",
     [](ssl_context *c, ssl_error *e) { return ssl_set_insecure_common_name(c, true, e); }},
    {"ssl_set_server_name_identification_callback",
     [](ssl_context *c, ssl_error *e) {
         return ssl_set_server_name_identification_callback(c, nullptr, nullptr, e);
     }},
    {"ssl_set_alpn", [](ssl_context *c, ssl_error *e) { return ssl_set_alpn(c, nullptr, 1, e); }},
    {"ssl_set_server_alpn",
     [](ssl_context *c, ssl_error *e) { return ssl_set_server_alpn(c, nullptr, 1, true, e); }},
    {"ssl_set_keylogger",
     [](ssl_context *c, ssl_error *e) { return ssl_set_keylogger(c, nullptr, nullptr, e); }},
    {"ssl_set_keylog_file",
     [](ssl_context *c, ssl_error *e) { return ssl_set_keylog_file(c, "/nowhere/log", e); }},
};

// What the headers declare: each call whose first argument is a context to be changed.
std::set<std::string> declared_setters()
{
    std::set<std::string> names;
    const std::regex setter(R"(ssl_status\s+(ssl_\w+)\(ssl_context \*context)");
    for (const auto &header :
         std::filesystem::directory_iterator(SALLY_TEST_SOURCE "/include/sallyport")) {
        std::string text = file_content(header.path().string());
        for (std::sregex_iterator at(text.begin(), text.end(), setter), end; at != end; ++at) {
            names.insert((*at)[1]);
        }
    }
    names.erase("ssl_seal_context");
    return names;
}

TEST(Setters, NoneIsMissingHere)
{
    std::set<std::string> here;
    for (const Setter &setter : setters) {
        here.insert(setter.name);
    }
    EXPECT_EQ(declared_setters(), here);
}

TEST(Sealing, C2_EverySetterSaysSealedUnderItsName)
{
    Context context = client_context();
    ssl_error err;
    ASSERT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    Built before(context.get());
    for (const Setter &setter : setters) {
        poison_openssl_queue();
        EXPECT_TRUE(is(SALLY_SEALED, setter.call(context.get(), &err), err)) << setter.name;
        EXPECT_EQ(0, std::strncmp(err.text, setter.name, std::strlen(setter.name))) << err.text;
    }
    Built after(context.get());
    EXPECT_EQ(before.ctx(), after.ctx());
}

TEST(Setters, E3_NullContextIsUsage)
{
    ssl_error err;
    for (const Setter &setter : setters) {
        EXPECT_TRUE(is(SALLY_USAGE, setter.call(nullptr, &err), err)) << setter.name;
        EXPECT_EQ(SALLY_USAGE, setter.call(nullptr, nullptr)) << setter.name;
    }
    EXPECT_TRUE(is(SALLY_USAGE, ssl_seal_context(nullptr, &err), err));
}

TEST(Setters, E3_NullPathIsUsage)
{
    Context context = bare_server();
    ssl_context *c = context.get();
    ssl_error err;
    ssl_verify_source no_path = {SALLY_VERIFY_FILE, nullptr};
    ssl_verify_source no_kind = {static_cast<ssl_verify_source_kind>(9), "/nowhere"};
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_certificate_chain(c, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_private_key(c, nullptr, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_identity(c, nullptr, "x", nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_identity(c, "x", nullptr, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_root_certificates(c, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_source(c, nullptr, true, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_source(c, &no_path, true, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_verify_source(c, &no_kind, true, &err), err));
}

TEST(Setters, E1_QueueIsEmptyAfterEveryCall)
{
    Context context = bare_client();
    for (const Setter &setter : setters) {
        poison_openssl_queue();
        setter.call(context.get(), nullptr);
        EXPECT_TRUE(openssl_queue_is_empty()) << setter.name;
    }
    poison_openssl_queue();
    ssl_seal_context(context.get(), nullptr);
    EXPECT_TRUE(openssl_queue_is_empty());
    poison_openssl_queue();
    context.reset();
    EXPECT_TRUE(openssl_queue_is_empty());
    poison_openssl_queue();
    context = bare_server();
    EXPECT_TRUE(openssl_queue_is_empty());
}

} // namespace

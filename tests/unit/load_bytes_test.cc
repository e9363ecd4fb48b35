// Keys of every type and form, from files and from memory (C3).
#include <cstring>
#include <string>

#include "crypto_fixture.h"
#include "pki_fixture.h"

using namespace sallytest;

namespace
{

ssl_bytes bytes_of(const std::string &content)
{
    return {content.data(), content.size(), "the label"};
}

// ---- keys of every type and form ----

TEST(LoadKeys, C3_EveryTypeServesFromFileAndMemory)
{
    ScratchDir dir;
    for (const char *type : {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"}) {
        SCOPED_TRACE(type);
        Key key = new_key(type);
        std::string chain_text = self_signed_pem(key.get());
        std::string key_text = pkcs8_pem(key.get());
        std::string chain_path = dir.write("chain", chain_text);
        std::string key_path = dir.write("key", key_text);
        ssl_bytes chain = bytes_of(chain_text);
        ssl_bytes key_bytes = bytes_of(key_text);
        Context file = bare_server();
        Context memory = bare_server();
        ssl_error err;
        EXPECT_TRUE(
            is(SALLY_OK,
               ssl_load_identity(file.get(), chain_path.c_str(), key_path.c_str(), nullptr, &err),
               err));
        EXPECT_TRUE(is(SALLY_OK,
                       ssl_load_identity_bytes(memory.get(), &chain, &key_bytes, nullptr, &err),
                       err));
        EXPECT_TRUE(shake(bare_client().get(), file.get()));
        EXPECT_TRUE(shake(bare_client().get(), memory.get()));
    }
}

TEST(LoadKeys, C3_EveryFormIsRead)
{
    ScratchDir dir;
    for (const char *type : {"RSA", "EC"}) {
        Key key = new_key(type);
        std::string traditional = dir.write("traditional", traditional_pem(key.get()));
        std::string pkcs8 = dir.write("pkcs8", pkcs8_pem(key.get()));
        std::string der = dir.write("der", pkcs8_der(key.get()));
        ssl_key_options asn1 = {};
        asn1.asn1 = true;
        ssl_error err;
        Context context = bare_server();
        ssl_context *c = context.get();
        EXPECT_TRUE(is(SALLY_OK, ssl_load_private_key(c, traditional.c_str(), nullptr, &err), err));
        EXPECT_TRUE(is(SALLY_OK, ssl_load_private_key(c, pkcs8.c_str(), nullptr, &err), err));
        EXPECT_TRUE(is(SALLY_OK, ssl_load_private_key(c, der.c_str(), &asn1, &err), err));
    }
}

TEST(LoadKeys, C3_RsaOnlyRefusesEveryOtherTypeByName)
{
    ssl_key_options options = {};
    options.rsa_only = true;
    Context context = bare_server();
    for (const char *type : {"RSA-PSS", "EC", "ED25519", "ED448"}) {
        Key key = new_key(type);
        for (bool der : {false, true}) {
            std::string content = der ? pkcs8_der(key.get()) : pkcs8_pem(key.get());
            ssl_bytes bytes = bytes_of(content);
            options.asn1 = der;
            ssl_error err;
            EXPECT_TRUE(is(SALLY_CONFIG,
                           ssl_load_private_key_bytes(context.get(), &bytes, &options, &err), err))
                << type;
            EXPECT_NE(nullptr, std::strstr(err.text, (std::string(type) + " found").c_str()))
                << err.text;
            EXPECT_NE(nullptr, std::strstr(err.text, "leave it off")) << err.text;
        }
    }
}

// ---- memory ----

TEST(LoadBytes, C3_TextsNameTheLabelOrMemory)
{
    Context context = bare_server();
    ssl_bytes junk = {"junk", 4, nullptr};
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_CONFIG, ssl_load_certificate_chain_bytes(context.get(), &junk, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "\"(memory)\"")) << err.text;
    junk.label = "vault:tls";
    EXPECT_TRUE(
        is(SALLY_CONFIG, ssl_load_private_key_bytes(context.get(), &junk, nullptr, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "\"vault:tls\"")) << err.text;
}

TEST(LoadBytes, E3_NullIsUsageNothingIsEmptyAndTooMuchIsALimit)
{
    Context context = bare_server();
    ssl_context *c = context.get();
    std::string much(SALLY_FILE_MAX + 1, ' ');
    ssl_bytes null = {nullptr, 4, nullptr};
    ssl_bytes nothing = {"", 0, nullptr};
    ssl_bytes too_much = bytes_of(much);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_certificate_chain_bytes(c, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_private_key_bytes(c, &null, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_load_identity_bytes(c, &nothing, nullptr, nullptr, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "private key")) << err.text;
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_load_verify_root_certificates_bytes(c, &nothing, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "empty")) << err.text;
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_load_certificate_chain_bytes(c, &too_much, &err), err));
}

// Bytes are looked at where they lie: there is no second copy of a key that somebody has to wipe.
TEST(LoadBytes, C3_NoCopyIsMade)
{
    std::string key = cert("server-key.pem");
    ssl_bytes bytes = bytes_of(key);
    sally_source source = sally_source_bytes("private key", &bytes);
    sally_file file;
    ASSERT_EQ(SALLY_OK, sally_file_read(&source, &file, nullptr));
    EXPECT_EQ(static_cast<const void *>(key.data()), file.bytes);
    EXPECT_EQ(nullptr, file.owned);
    sally_file_fini(&file);
    EXPECT_EQ(cert("server-key.pem"), key) << "and it stays the caller's";
}

} // namespace

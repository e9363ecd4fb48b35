// protocols.c: the names of protocols, and which of them can be spoken (C1).
#include <string>
#include <vector>

#include <openssl/evp.h>

#include "crypto_fixture.h"
#include "sallyport/library.h"

using namespace sallytest;

namespace
{

using Supported = ssl_status (*)(ssl_protocol *, size_t, size_t *, ssl_error *);

std::vector<ssl_protocol> supported(Supported ask)
{
    ssl_protocol all[SALLY_PROTOCOLS_MAX];
    size_t count = 99;
    ssl_error err;
    poison_openssl_queue();
    EXPECT_TRUE(is(SALLY_OK, ask(all, SALLY_PROTOCOLS_MAX, &count, &err), err));
    EXPECT_TRUE(openssl_queue_is_empty());
    return std::vector<ssl_protocol>(all, all + count);
}

const ssl_protocol every_protocol[] = {
    SALLY_PROTOCOL_SECURE,      SALLY_PROTOCOL_AUTO,           SALLY_PROTOCOL_TLS13,
    SALLY_PROTOCOL_TLS12,       SALLY_PROTOCOL_TLS11_INSECURE, SALLY_PROTOCOL_TLS10_INSECURE,
    SALLY_PROTOCOL_SSLV2_OR_V3, SALLY_PROTOCOL_SSLV2,          SALLY_PROTOCOL_SSLV3};

// A configuration that leaves OpenSSL without an algorithm.
class NoAlgorithms
{
  public:
    NoAlgorithms()
    {
        EXPECT_EQ(1, EVP_set_default_properties(nullptr, "provider=none"));
    }
    ~NoAlgorithms()
    {
        EVP_set_default_properties(nullptr, "");
    }
};

} // namespace

TEST(ProtocolNames, AreRackets)
{
    EXPECT_STREQ("secure", ssl_protocol_name(SALLY_PROTOCOL_SECURE));
    EXPECT_STREQ("auto", ssl_protocol_name(SALLY_PROTOCOL_AUTO));
    EXPECT_STREQ("tls13", ssl_protocol_name(SALLY_PROTOCOL_TLS13));
    EXPECT_STREQ("tls12", ssl_protocol_name(SALLY_PROTOCOL_TLS12));
    EXPECT_STREQ("tls11", ssl_protocol_name(SALLY_PROTOCOL_TLS11_INSECURE));
    EXPECT_STREQ("tls", ssl_protocol_name(SALLY_PROTOCOL_TLS10_INSECURE));
    EXPECT_STREQ("sslv2-or-v3", ssl_protocol_name(SALLY_PROTOCOL_SSLV2_OR_V3));
    EXPECT_STREQ("sslv2", ssl_protocol_name(SALLY_PROTOCOL_SSLV2));
    EXPECT_STREQ("sslv3", ssl_protocol_name(SALLY_PROTOCOL_SSLV3));
    EXPECT_STREQ("unknown protocol", ssl_protocol_name(static_cast<ssl_protocol>(15)));
}

TEST(ProtocolNames, GoThereAndBack)
{
    for (ssl_protocol protocol : every_protocol) {
        ssl_protocol back = SALLY_PROTOCOL_AUTO;
        EXPECT_EQ(SALLY_OK, ssl_protocol_from_name(ssl_protocol_name(protocol), &back, nullptr));
        EXPECT_EQ(protocol, back);
    }
}

TEST(ProtocolNames, OthersAreUsage)
{
    for (const char *name : {"", "tls1", "TLS12", "tls12 ", "unknown protocol"}) {
        ssl_protocol protocol = SALLY_PROTOCOL_TLS12;
        ssl_error err = {};
        EXPECT_TRUE(is(SALLY_USAGE, ssl_protocol_from_name(name, &protocol, &err), err)) << name;
        EXPECT_EQ(SALLY_PROTOCOL_SECURE, protocol);
        EXPECT_NE(std::string::npos, std::string(err.text).find("tls13, tls12")) << err.text;
    }
    ssl_protocol protocol;
    EXPECT_EQ(SALLY_USAGE, ssl_protocol_from_name(nullptr, &protocol, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_protocol_from_name("auto", nullptr, nullptr));
}

TEST(Protocols, C1_TheSupportedOnesCanBeSpoken)
{
    std::vector<ssl_protocol> servers = supported(ssl_supported_server_protocols);
    EXPECT_EQ(servers, supported(ssl_supported_client_protocols));
    ASSERT_FALSE(servers.empty());
    for (ssl_protocol protocol : servers) {
        Context server = server_context("server", protocol);
        Context client =
            bare_client(protocol == SALLY_PROTOCOL_SECURE ? SALLY_PROTOCOL_AUTO : protocol);
        EXPECT_TRUE(shake(client.get(), server.get())) << ssl_protocol_name(protocol);
    }
}

TEST(Protocols, C1_TheyAreListedWorstFirstAndTheLastIsTheBest)
{
    std::vector<ssl_protocol> clients = supported(ssl_supported_client_protocols);
    ASSERT_GE(clients.size(), 4u);
    EXPECT_EQ(SALLY_PROTOCOL_SECURE, clients[0]);
    EXPECT_EQ(SALLY_PROTOCOL_AUTO, clients[1]);
    EXPECT_EQ(SALLY_PROTOCOL_TLS13, clients.back());
    ssl_protocol best = SALLY_PROTOCOL_SECURE;
    EXPECT_EQ(SALLY_OK, ssl_max_client_protocol(&best, nullptr));
    EXPECT_EQ(SALLY_PROTOCOL_TLS13, best);
    best = SALLY_PROTOCOL_SECURE;
    EXPECT_EQ(SALLY_OK, ssl_max_server_protocol(&best, nullptr));
    EXPECT_EQ(SALLY_PROTOCOL_TLS13, best);
}

TEST(Protocols, C1_SslIsNotAmongThem)
{
    for (ssl_protocol protocol : supported(ssl_supported_server_protocols)) {
        EXPECT_NE(SALLY_PROTOCOL_SSLV2, protocol);
        EXPECT_NE(SALLY_PROTOCOL_SSLV3, protocol);
        EXPECT_NE(SALLY_PROTOCOL_SSLV2_OR_V3, protocol);
    }
}

TEST(Protocols, C1_WithoutAlgorithmsThereAreNone)
{
    EXPECT_TRUE(ssl_available()); // OpenSSL has started, and remembers so
    NoAlgorithms none;
    EXPECT_TRUE(supported(ssl_supported_client_protocols).empty());
    ssl_protocol best = SALLY_PROTOCOL_TLS12;
    ssl_error err = {};
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_max_client_protocol(&best, &err), err));
    EXPECT_EQ(SALLY_PROTOCOL_SECURE, best);
    EXPECT_EQ(0u, std::string(err.text).find("ssl_max_client_protocol: this OpenSSL")) << err.text;
}

// Nor is there a context for what cannot be spoken: that is said when it is made, and not at its first use.
TEST(Protocols, C1_AContextForWhatCannotBeSpokenIsUnsupported)
{
    EXPECT_TRUE(ssl_available());
    NoAlgorithms none;
    for (ssl_protocol protocol : {SALLY_PROTOCOL_AUTO, SALLY_PROTOCOL_TLS13, SALLY_PROTOCOL_TLS12,
                                  SALLY_PROTOCOL_TLS11_INSECURE}) {
        for (auto make : {ssl_make_client_context, ssl_make_server_context}) {
            ssl_context *made = nullptr;
            ssl_error err = {};
            EXPECT_TRUE(is(SALLY_UNSUPPORTED, make(protocol, &made, &err), err));
            EXPECT_EQ(nullptr, made);
            EXPECT_NE(std::string::npos, std::string(err.text).find("cannot speak")) << err.text;
            EXPECT_TRUE(openssl_queue_is_empty());
        }
    }
}

TEST(Protocols, ALittleRoomIsFilledAndALimit)
{
    ssl_protocol two[3] = {SALLY_PROTOCOL_SSLV2, SALLY_PROTOCOL_SSLV2, SALLY_PROTOCOL_SSLV2};
    size_t count = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_supported_client_protocols(two, 2, &count, &err), err));
    EXPECT_EQ(2u, count);
    EXPECT_EQ(SALLY_PROTOCOL_AUTO, two[1]);
    EXPECT_EQ(SALLY_PROTOCOL_SSLV2, two[2]);
    EXPECT_EQ(SALLY_LIMIT, ssl_supported_server_protocols(nullptr, 0, &count, nullptr));
    EXPECT_EQ(0u, count);
}

TEST(Protocols, E3_NullIsUsage)
{
    ssl_protocol one;
    size_t count = 1;
    poison_openssl_queue();
    EXPECT_EQ(SALLY_USAGE, ssl_supported_client_protocols(nullptr, 1, &count, nullptr));
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_EQ(0u, count);
    EXPECT_EQ(SALLY_USAGE, ssl_supported_server_protocols(&one, 1, nullptr, nullptr));
    poison_openssl_queue();
    EXPECT_EQ(SALLY_USAGE, ssl_max_client_protocol(nullptr, nullptr));
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_EQ(SALLY_USAGE, ssl_max_server_protocol(nullptr, nullptr));
}

// addr.c: addresses as values and as text (P5).

#include <cstring>
#include <string>

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

extern "C" {
#include "addr.h"
}

namespace
{

std::string text_of(const sally_addr &addr)
{
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text(&addr, text, sizeof text);
    return text;
}

std::string text_port_of(const sally_addr &addr)
{
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&addr, text, sizeof text);
    return text;
}

struct Form {
    const char *in;
    const char *out;
    const char *with_port;
};

class AddrForms : public testing::TestWithParam<Form>
{
};

TEST_P(AddrForms, P5_TextGoesInAndComesOut)
{
    sally_addr addr;
    ASSERT_TRUE(sally_addr_parse(GetParam().in, 443, &addr));
    EXPECT_GT(addr.length, 0u);
    EXPECT_EQ(text_of(addr), GetParam().out);
    EXPECT_EQ(text_port_of(addr), GetParam().with_port);
}

INSTANTIATE_TEST_SUITE_P(
    All, AddrForms,
    testing::Values(Form{"127.0.0.1", "127.0.0.1", "127.0.0.1:443"},
                    Form{"0.0.0.0", "0.0.0.0", "0.0.0.0:443"}, Form{"::1", "::1", "[::1]:443"},
                    Form{"::", "::", "[::]:443"},
                    Form{"2001:DB8::0001", "2001:db8::1", "[2001:db8::1]:443"},
                    Form{"::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7:443"},
                    Form{"fe80::1%lo", "fe80::1%lo", "[fe80::1%lo]:443"},
                    Form{"fe80::1%1", "fe80::1%lo", "[fe80::1%lo]:443"},
                    Form{"fe80::1%4000000000", "fe80::1%4000000000", "[fe80::1%4000000000]:443"},
                    Form{"unix:/run/a.sock", "unix:/run/a.sock", "unix:/run/a.sock"},
                    Form{"unix:a", "unix:a", "unix:a"},
                    Form{"unix:@name", "unix:@name", "unix:@name"}));

TEST(Addr, NamesAreNotAddresses)
{
    sally_addr addr;
    for (const char *text :
         {"localhost", "", "127.0.0", "1.2.3.4.5", "256.1.1.1", "::g", "[::1]", "127.0.0.1%lo",
          "fe80::1%no-such-interface", "fe80::1%", "fe80::1%4294967296", "fe80::1%1x",
          "unix:", "UNIX:/a", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"}) {
        EXPECT_FALSE(sally_addr_parse(text, 1, &addr)) << text;
        EXPECT_EQ(addr.length, 0u) << text;
    }
}

TEST(Addr, TheLongestUnixPathFitsAndALongerOneDoesNot)
{
    std::string longest = "unix:/" + std::string(sizeof(sockaddr_un::sun_path) - 2, 'p');
    sally_addr addr;
    ASSERT_TRUE(sally_addr_parse(longest.c_str(), 0, &addr));
    EXPECT_EQ(text_of(addr), longest);
    EXPECT_FALSE(sally_addr_parse((longest + "p").c_str(), 0, &addr));
}

TEST(Addr, UnixPathsWithAndWithoutTheirNulAreEqual)
{
    sally_addr addr;
    ASSERT_TRUE(sally_addr_parse("unix:/a", 0, &addr));
    addr.length--;
    EXPECT_EQ(text_of(addr), "unix:/a");
}

TEST(Addr, AnUnnamedUnixSocketIsSaidToBeOne)
{
    sally_addr addr = {};
    addr.storage.ss_family = AF_UNIX;
    addr.length = sizeof(sa_family_t);
    EXPECT_EQ(text_of(addr), "unix:");
    EXPECT_EQ(text_port_of(addr), "unix:");
}

TEST(Addr, NoAddressIsSaidToBeNone)
{
    sally_addr addr = {};
    EXPECT_EQ(text_of(addr), "no address");
    EXPECT_EQ(text_port_of(addr), "no address");
    EXPECT_EQ(sally_addr_port(&addr), 0);
}

TEST(Addr, PortsAreKept)
{
    sally_addr addr;
    ASSERT_TRUE(sally_addr_parse("127.0.0.1", 65535, &addr));
    EXPECT_EQ(sally_addr_port(&addr), 65535);
    ASSERT_TRUE(sally_addr_parse("::1", 1, &addr));
    EXPECT_EQ(sally_addr_port(&addr), 1);
    ASSERT_TRUE(sally_addr_parse("unix:/a", 7, &addr));
    EXPECT_EQ(sally_addr_port(&addr), 0);
}

TEST(Addr, TextNeverOverrunsItsRoom)
{
    sally_addr addr;
    ASSERT_TRUE(sally_addr_parse("2001:db8::1", 443, &addr));
    char text[8];
    memset(text, 'x', sizeof text);
    sally_addr_text_port(&addr, text, 5);
    EXPECT_STREQ(text, "[200");
    EXPECT_EQ(text[5], 'x');
}

TEST(Addr, APortCanBeSetInEitherFamily)
{
    for (const char *text : {"127.0.0.1", "2001:db8::1"}) {
        sally_addr addr;
        ASSERT_TRUE(sally_addr_parse(text, 1, &addr));
        sally_addr_set_port(&addr, 65535);
        EXPECT_EQ(sally_addr_port(&addr), 65535) << text;
    }
}

TEST(Addr, OnlyAUnixSocketWithAFileHasAPath)
{
    sally_addr addr;
    ASSERT_TRUE(sally_addr_parse("unix:/tmp/a", 0, &addr));
    EXPECT_STREQ(sally_addr_unix_path(&addr), "/tmp/a");
    ASSERT_TRUE(sally_addr_parse("unix:@a", 0, &addr));
    EXPECT_EQ(sally_addr_unix_path(&addr), nullptr);
    ASSERT_TRUE(sally_addr_parse("127.0.0.1", 1, &addr));
    EXPECT_EQ(sally_addr_unix_path(&addr), nullptr);
}

TEST(Addr, OnlyNumbersAreIpAddresses)
{
    for (const char *text : {"127.0.0.1", "::1", "fe80::1%eth9", "::ffff:1.2.3.4"}) {
        EXPECT_TRUE(sally_addr_is_ip(text)) << text;
    }
    for (const char *text : {"localhost", "a.1", "1.2.3", "", "unix:/a", "[::1]", "1.2.3.4%lo"}) {
        EXPECT_FALSE(sally_addr_is_ip(text)) << text;
    }
}

} // namespace

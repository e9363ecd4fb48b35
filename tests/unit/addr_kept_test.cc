// Addresses as small as they are (P5).
#include <cstring>
#include <string>

#include <gtest/gtest.h>

extern "C" {
#include "addr_kept.h"
#include "mem.h"
}

namespace
{

struct Kept {
    ~Kept()
    {
        sally_addr_kept_fini(&kept);
    }
    std::string text() const
    {
        sally_addr addr;
        char text[SALLY_ADDR_TEXT_SIZE];
        sally_addr_recall(&kept, &addr);
        sally_addr_text_port(&addr, text, sizeof text);
        return text;
    }

    sally_addr_kept kept = {};
};

sally_addr address(const std::string &text, int port = 443)
{
    sally_addr addr = {};
    EXPECT_TRUE(sally_addr_parse(text.c_str(), port, &addr)) << text;
    return addr;
}

TEST(AddrKept, P5_EveryKindComesBackAsItWas)
{
    std::string path = "unix:/" + std::string(100, 'p');
    const char *texts[][2] = {{"192.0.2.1", "192.0.2.1:443"},
                              {"2001:db8::1", "[2001:db8::1]:443"},
                              {"fe80::1%7", "[fe80::1%7]:443"},
                              {"unix:/tmp/s", "unix:/tmp/s"},
                              {path.c_str(), path.c_str()}};
    Kept same;
    for (const auto &text : texts) {
        sally_addr addr = address(text[0]);
        Kept fresh;
        ASSERT_TRUE(sally_addr_keep(&fresh.kept, &addr));
        ASSERT_TRUE(sally_addr_keep(&same.kept, &addr));
        EXPECT_EQ(text[1], fresh.text());
        EXPECT_EQ(text[1], same.text()) << "in the place of another one";
        EXPECT_EQ(addr.length, fresh.kept.length);
    }
}

TEST(AddrKept, NoneIsNone)
{
    Kept kept;
    sally_addr addr = address("192.0.2.1");
    sally_addr_recall(&kept.kept, &addr);
    EXPECT_EQ(0u, addr.length);
    ASSERT_TRUE(sally_addr_keep(&kept.kept, &addr));
    EXPECT_EQ(0u, kept.kept.length);
}

TEST(AddrKept, OnlyALongOneNeedsMemoryAndWithoutItTheOldOneStays)
{
    EXPECT_EQ(32u, sizeof(sally_addr_kept));
    Kept kept;
    sally_addr ip = address("2001:db8::1");
    sally_addr path = address("unix:/" + std::string(100, 'p'));
    sally_mem_fail_at(1, 1);
    EXPECT_TRUE(sally_addr_keep(&kept.kept, &ip));
    EXPECT_FALSE(sally_addr_keep(&kept.kept, &path));
    sally_mem_fail_at(0, 0);
    EXPECT_EQ("[2001:db8::1]:443", kept.text());
}

} // namespace

// hex.c: bytes as hex digits, and back.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sallyport/digest.h"
#include "support/handles.h"

using namespace sallytest;

namespace
{

std::string to_hex(const std::string &bytes)
{
    std::vector<char> hex(2 * bytes.size() + 1, '?');
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_OK,
           ssl_bytes_to_hex_string(bytes.data(), bytes.size(), hex.data(), hex.size(), &err), err));
    return hex.data();
}

std::string to_bytes(const char *hex)
{
    std::string bytes(100, '?');
    size_t count = 100;
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_OK, ssl_hex_string_to_bytes(hex, &bytes[0], bytes.size(), &count, &err), err));
    return bytes.substr(0, count);
}

// What is wrong with `hex`, in room that nothing may be written to.
std::string refusal(const char *hex, ssl_status wanted = SALLY_USAGE, size_t room = 100)
{
    std::string bytes(room, '?');
    size_t count = 7;
    ssl_error err = {};
    EXPECT_TRUE(is(wanted, ssl_hex_string_to_bytes(hex, &bytes[0], room, &count, &err), err));
    EXPECT_EQ(0u, count);
    EXPECT_EQ(std::string(room, '?'), bytes);
    return err.text;
}

} // namespace

TEST(Hex, LowerCaseIsWritten)
{
    EXPECT_EQ("", to_hex(""));
    EXPECT_EQ("00", to_hex(std::string(1, '\0')));
    EXPECT_EQ("007f80ff0aa0", to_hex(std::string("\x00\x7f\x80\xff\x0a\xa0", 6)));
}

TEST(Hex, BothCasesAreRead)
{
    EXPECT_EQ("", to_bytes(""));
    EXPECT_EQ("Open", to_bytes("4f70656e"));
    EXPECT_EQ("Open", to_bytes("4F70656E"));
    EXPECT_EQ(std::string("\xab\xcd\xef", 3), to_bytes("aBCdEf"));
}

TEST(Hex, EveryByteGoesThereAndBack)
{
    std::string all;
    for (int byte = 0; byte < 256; byte++) {
        all.push_back(static_cast<char>(byte));
    }
    std::string hex = to_hex(all);
    std::string back(256, '\0');
    size_t count = 0;
    EXPECT_EQ(SALLY_OK, ssl_hex_string_to_bytes(hex.c_str(), &back[0], 256, &count, nullptr));
    EXPECT_EQ(256u, count);
    EXPECT_EQ(all, back);
}

TEST(Hex, AnOddNumberOfDigitsIsRefusedWithItsPlace)
{
    EXPECT_EQ("ssl_hex_string_to_bytes: 3 digits, an odd number; the digit at position 2 has no "
              "second one",
              refusal("abc"));
    EXPECT_NE(std::string::npos, refusal("a").find("position 0"));
}

TEST(Hex, EveryOtherCharacterIsRefusedWithItsPlace)
{
    for (int c = 1; c < 256; c++) {
        if (isxdigit(c) != 0 && c < 128) {
            continue;
        }
        char hex[] = {'0', '1', '2', static_cast<char>(c), '4', '5', '\0'};
        EXPECT_NE(std::string::npos, refusal(hex).find("at position 3 is no hex digit")) << c;
    }
    EXPECT_EQ("ssl_hex_string_to_bytes: \"x\" at position 1 is no hex digit", refusal("0x12"));
    EXPECT_EQ("ssl_hex_string_to_bytes: \"\\x0a\" at position 2 is no hex digit", refusal("12\n"));
}

TEST(Hex, AWrongDigitIsNamedBeforeAnOddNumber)
{
    EXPECT_NE(std::string::npos, refusal("12g").find("\"g\" at position 2"));
}

TEST(Hex, NothingIsWrittenPastTheRoom)
{
    EXPECT_NE(std::string::npos, refusal("0011", SALLY_LIMIT, 1).find("room for 1"));
    unsigned char bytes[3] = {9, 9, 9};
    size_t count = 0;
    EXPECT_EQ(SALLY_OK, ssl_hex_string_to_bytes("0102", bytes, 2, &count, nullptr));
    EXPECT_EQ(2u, count);
    EXPECT_EQ(9, bytes[2]);

    char hex[6] = "?????";
    ssl_error err;
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_bytes_to_hex_string("ab", 2, hex, 4, &err), err));
    EXPECT_STREQ("", hex);
    EXPECT_EQ(SALLY_OK, ssl_bytes_to_hex_string("ab", 2, hex, 5, nullptr));
    EXPECT_STREQ("6162", hex);
    EXPECT_EQ(SALLY_LIMIT, ssl_bytes_to_hex_string("", 0, hex, 0, nullptr));
    EXPECT_STREQ("6162", hex);
}

TEST(Hex, ASizeThatOverflowsIsALimit)
{
    char hex[8];
    EXPECT_EQ(SALLY_LIMIT, ssl_bytes_to_hex_string("a", SIZE_MAX, hex, sizeof hex, nullptr));
    EXPECT_EQ(SALLY_LIMIT,
              ssl_bytes_to_hex_string("a", SIZE_MAX / 2 + 1, hex, sizeof hex, nullptr));
}

TEST(Hex, ZeroBytesNeedNoMemory)
{
    char hex[1] = {'?'};
    size_t count = 1;
    EXPECT_EQ(SALLY_OK, ssl_bytes_to_hex_string(nullptr, 0, hex, 1, nullptr));
    EXPECT_EQ('\0', hex[0]);
    EXPECT_EQ(SALLY_OK, ssl_hex_string_to_bytes("", nullptr, 0, &count, nullptr));
    EXPECT_EQ(0u, count);
}

TEST(Hex, E3_NullIsUsage)
{
    char hex[3] = "??";
    size_t count = 1;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_bytes_to_hex_string(nullptr, 1, hex, 3, &err), err));
    EXPECT_STREQ("ssl_bytes_to_hex_string: bytes is NULL", err.text);
    EXPECT_STREQ("", hex);
    EXPECT_EQ(SALLY_USAGE, ssl_bytes_to_hex_string("a", 1, nullptr, 3, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_hex_string_to_bytes(nullptr, hex, 3, &count, nullptr));
    EXPECT_EQ(0u, count);
    EXPECT_EQ(SALLY_USAGE, ssl_hex_string_to_bytes("61", nullptr, 3, &count, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_hex_string_to_bytes("61", hex, 3, nullptr, nullptr));
}

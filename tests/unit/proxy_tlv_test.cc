// proxy_tlv.c: the extensions of a PROXY header, found by type (W8).
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/proxy_headers.h"

extern "C" {
#include "proxy_tlv.h"
}

using namespace sallytest;

namespace
{

struct Found {
    sally_tlv_found verdict;
    std::string value;
};

// In memory of exactly that size, so that a read beyond it is seen.
Found find(const std::string &bytes, int type)
{
    std::vector<unsigned char> exact(bytes.begin(), bytes.end());
    exact.shrink_to_fit();
    unsigned char none = 0;
    sally_tlv tlv = {-1, nullptr, 0};
    Found found;
    found.verdict = sally_tlv_find(exact.empty() ? &none : exact.data(), exact.size(), type, &tlv);
    EXPECT_EQ(found.verdict == SALLY_TLV_FOUND, tlv.value != nullptr) << "an output for FOUND only";
    if (tlv.value != nullptr) {
        found.value.assign(reinterpret_cast<const char *>(tlv.value), tlv.length);
    }
    return found;
}

void expect_found(const std::string &value, const std::string &bytes, int type)
{
    Found found = find(bytes, type);
    EXPECT_EQ(SALLY_TLV_FOUND, found.verdict) << "type " << type;
    EXPECT_EQ(value, found.value) << "type " << type;
}

const std::string kSslHead("\x01\0\0\0\0", 5);

std::string ssl_tlv(const std::string &inner)
{
    return tlv(SALLY_TLV_SSL, kSslHead + inner);
}

} // namespace

TEST(ProxyTlv, W8_EachTypeIsFoundWhereverItStands)
{
    const std::string binary("\0\xFF\0", 3);
    const std::string inner = tlv(0x21, "TLSv1.3") + tlv(0x22, "client") + tlv(0x23, "cipher") +
                              tlv(0x24, "SHA256") + tlv(0x25, "RSA2048");
    const std::string all =
        tlv(SALLY_TLV_ALPN, "h2") + tlv(SALLY_TLV_AUTHORITY, "www.example.org") +
        tlv(SALLY_TLV_CRC32C, "1234") + tlv(SALLY_TLV_NOOP, "") + tlv(SALLY_TLV_UNIQUE_ID, binary) +
        ssl_tlv(inner) + tlv(SALLY_TLV_NETNS, "blue") + tlv(0, "zero") + tlv(0xEA, "vpce") +
        tlv(0xFF, "last");
    expect_found("h2", all, SALLY_TLV_ALPN);
    expect_found("www.example.org", all, SALLY_TLV_AUTHORITY);
    expect_found("1234", all, SALLY_TLV_CRC32C);
    expect_found("", all, SALLY_TLV_NOOP);
    expect_found(binary, all, SALLY_TLV_UNIQUE_ID);
    expect_found(kSslHead + inner, all, SALLY_TLV_SSL);
    expect_found("TLSv1.3", all, SALLY_TLV_SSL_VERSION);
    expect_found("client", all, SALLY_TLV_SSL_CN);
    expect_found("cipher", all, SALLY_TLV_SSL_CIPHER);
    expect_found("SHA256", all, SALLY_TLV_SSL_SIG_ALG);
    expect_found("RSA2048", all, SALLY_TLV_SSL_KEY_ALG);
    expect_found("blue", all, SALLY_TLV_NETNS);
    expect_found("zero", all, 0);
    expect_found("vpce", all, 0xEA);
    expect_found("last", all, 0xFF);
}

TEST(ProxyTlv, W8_WhatIsNotThereIsAbsent)
{
    for (const std::string &bytes : {std::string(), tlv(SALLY_TLV_ALPN, "h2"), ssl_tlv("")}) {
        EXPECT_EQ(SALLY_TLV_ABSENT, find(bytes, SALLY_TLV_AUTHORITY).verdict);
        EXPECT_EQ(SALLY_TLV_ABSENT, find(bytes, SALLY_TLV_SSL_CN).verdict);
    }
    EXPECT_EQ(SALLY_TLV_ABSENT, find(tlv(0x22, "outside"), SALLY_TLV_SSL_CN).verdict)
        << "an inner type counts inside only";
    EXPECT_EQ(SALLY_TLV_ABSENT, find(ssl_tlv(tlv(0x22, "inside")), 0x22).verdict)
        << "and an outer one outside";
}

TEST(ProxyTlv, W8_TwiceIsNotForUsToChooseFrom)
{
    const std::string name = tlv(SALLY_TLV_AUTHORITY, "a.example");
    const std::string twice = name + tlv(SALLY_TLV_ALPN, "h2") + name;
    EXPECT_EQ(SALLY_TLV_TWICE, find(twice, SALLY_TLV_AUTHORITY).verdict);
    EXPECT_EQ(SALLY_TLV_TWICE, find(twice + name, SALLY_TLV_AUTHORITY).verdict);
    expect_found("h2", twice, SALLY_TLV_ALPN);
    const std::string inside = ssl_tlv(tlv(0x22, "a") + tlv(0x22, "b") + tlv(0x21, "TLSv1.2"));
    EXPECT_EQ(SALLY_TLV_TWICE, find(inside, SALLY_TLV_SSL_CN).verdict);
    expect_found("TLSv1.2", inside, SALLY_TLV_SSL_VERSION);
    const std::string two = ssl_tlv(tlv(0x22, "a")) + ssl_tlv(tlv(0x21, "b"));
    EXPECT_EQ(SALLY_TLV_TWICE, find(two, SALLY_TLV_SSL_CN).verdict) << "inside of which one?";
}

TEST(ProxyTlv, W8_LengthsThatLieAreNotFollowed)
{
    const std::string good = tlv(SALLY_TLV_ALPN, "h2");
    for (const char *tail : {"\x02", "\x02\x01"}) {
        EXPECT_EQ(SALLY_TLV_BROKEN, find(good + tail, SALLY_TLV_ALPN).verdict);
    }
    EXPECT_EQ(SALLY_TLV_BROKEN,
              find(good + std::string("\x02\0\x05name", 7), SALLY_TLV_ALPN).verdict);
    EXPECT_EQ(SALLY_TLV_BROKEN, find(good + "\x02\xFF\xFFname", SALLY_TLV_ALPN).verdict);
    // A value that ends one byte before, at and after the end of the extension around it.
    for (int more : {-1, 0, 1}) {
        std::string inner = tlv(0x22, "name");
        inner[2] = static_cast<char>(4 + more);
        const std::string bytes = ssl_tlv(inner) + good;
        sally_tlv_found wanted = more == 0 ? SALLY_TLV_FOUND : SALLY_TLV_BROKEN;
        EXPECT_EQ(wanted, find(bytes, SALLY_TLV_SSL_CN).verdict) << more;
        expect_found("h2", bytes, SALLY_TLV_ALPN);
    }
    EXPECT_EQ(SALLY_TLV_BROKEN,
              find(tlv(SALLY_TLV_SSL, "\x01\x02\x03\x04"), SALLY_TLV_SSL_CN).verdict)
        << "no room for what comes before its own extensions";
    expect_found("\x01\x02\x03\x04", tlv(SALLY_TLV_SSL, "\x01\x02\x03\x04"), SALLY_TLV_SSL);
}

TEST(ProxyTlv, W8_EveryCutIsSeen)
{
    const std::string all = tlv(SALLY_TLV_ALPN, "h2") + ssl_tlv(tlv(0x21, "TLSv1.3"));
    for (size_t n = 0; n < all.size(); n++) {
        bool whole = n == 0 || n == 5;
        EXPECT_EQ(!whole, find(all.substr(0, n), 0xFF).verdict == SALLY_TLV_BROKEN) << n;
    }
}

TEST(ProxyTlv, E3_NumbersThatAreNoTypes)
{
    for (int type : {0, 1, 0xFF, 0x2000, 0x2021, 0x20FF}) {
        EXPECT_TRUE(sally_tlv_is_type(type)) << type;
    }
    for (int type : {-1, 0x100, 0x1FFF, 0x2100, 0x10021, 0x202100, -0x7FFFFFFF - 1, 0x7FFFFFFF}) {
        EXPECT_FALSE(sally_tlv_is_type(type)) << type;
    }
}

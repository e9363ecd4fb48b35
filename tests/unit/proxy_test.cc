// proxy.c: the PROXY protocol's header (W8).
#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/proxy_headers.h"

extern "C" {
#include "proxy.h"
#include "proxy_tlv.h"
}

using namespace sallytest;

namespace
{

struct Judged {
    sally_proxy_verdict verdict = SALLY_PROXY_MORE;
    sally_proxy_header header = {};
    std::string why;
};

// In memory of exactly that size, so that a read beyond it is seen.
Judged judge(const std::string &bytes)
{
    Judged judged;
    const char *why = nullptr;
    std::vector<unsigned char> exact(bytes.begin(), bytes.end());
    exact.shrink_to_fit();
    unsigned char none = 0;
    judged.verdict =
        sally_proxy_parse(exact.empty() ? &none : exact.data(), exact.size(), &judged.header, &why);
    EXPECT_EQ(judged.verdict == SALLY_PROXY_MALFORMED, why != nullptr) << bytes;
    judged.why = why != nullptr ? why : "";
    return judged;
}

std::string text_of(const sally_addr &addr)
{
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&addr, text, sizeof text);
    return text;
}

struct Good {
    const char *name;
    std::string header;
    const char *source;
    const char *destination;
    bool local = false;
};

void PrintTo(const Good &good, std::ostream *out)
{
    *out << good.name;
}

std::string v2_unix(const std::string &source, const std::string &destination)
{
    return v2_header(0x21, 0x31, unix_block(source, destination));
}

std::vector<Good> good_headers()
{
    const std::string v4 = inet_block(AF_INET, "192.0.2.7", 40001, "203.0.113.9", 443);
    const std::string v6 = inet_block(AF_INET6, "2001:db8::7", 1, "2001:db8::9", 65535);
    const char *nobody = "no address";
    return {
        {"V1Tcp4", v1_tcp4(), "192.0.2.7:40001", "203.0.113.9:443"},
        {"V1Tcp6", "PROXY TCP6 2001:DB8::7 ::1 0 65535\r\n", "[2001:db8::7]:0", "[::1]:65535"},
        {"V1Tcp4Longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
         "255.255.255.255:65535", "255.255.255.255:65535"},
        {"V1Tcp6Longest",
         "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"},
        {"V1Unknown", "PROXY UNKNOWN\r\n", nobody, nobody},
        {"V1UnknownLongest", "PROXY UNKNOWN " + std::string(91, '\xFF') + "\r\n", nobody, nobody},
        {"V2Tcp4", v2_header(0x21, 0x11, v4), "192.0.2.7:40001", "203.0.113.9:443"},
        {"V2Tcp6", v2_header(0x21, 0x21, v6), "[2001:db8::7]:1", "[2001:db8::9]:65535"},
        {"V2UnixPaths", v2_unix("/run/client", "/run/server"), "unix:/run/client",
         "unix:/run/server"},
        {"V2UnixUnnamed", v2_unix("", "/run/server"), "unix:", "unix:/run/server"},
        {"V2UnixAbstract", v2_unix(std::string("\0left", 5), std::string(108, 'p')), "unix:@left",
         "unix:pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
         "pppppppppppppppppppppppp"},
        {"V2Udp4NamesNoStream", v2_header(0x21, 0x12, v4), nobody, nobody},
        {"V2Unspec", v2_header(0x21, 0x00, ""), nobody, nobody},
        {"V2UnspecWithSomething", v2_header(0x21, 0x00, "anything"), nobody, nobody},
        {"V2ProtocolUnspec", v2_header(0x21, 0x10, "?"), nobody, nobody},
        {"V2Local", v2_local(), nobody, nobody, true},
        {"V2LocalWithAddresses", v2_header(0x20, 0x11, v4), nobody, nobody, true},
        {"V2LocalWithAnyFamily", v2_header(0x20, 0xFF, "x"), nobody, nobody, true},
        {"V2WithExtensions",
         v2_header(0x21, 0x11, v4 + tlv(0x02, "example.org") + tlv(0xE0, "") + tlv(0x20, "12345")),
         "192.0.2.7:40001", "203.0.113.9:443"},
        {"V2WithChecksum", v2_with_checksum(0x11, v4), "192.0.2.7:40001", "203.0.113.9:443"},
        {"V2Longest", v2_header(0x21, 0x11, v4 + tlv(0x04, std::string(4096 - 16 - 12 - 3, 'n'))),
         "192.0.2.7:40001", "203.0.113.9:443"},
    };
}

class ProxyHeader : public testing::TestWithParam<Good>
{
};

TEST_P(ProxyHeader, W8_IsReadAndEndsWhereItEnds)
{
    for (const char *behind : {"", "\x16\x03\x01", "PROXY UNKNOWN\r\n"}) {
        Judged judged = judge(GetParam().header + behind);
        ASSERT_EQ(SALLY_PROXY_WHOLE, judged.verdict) << judged.why;
        EXPECT_EQ(GetParam().header.size(), judged.header.length);
        EXPECT_EQ(GetParam().source, text_of(judged.header.source));
        EXPECT_EQ(GetParam().destination, text_of(judged.header.destination));
        EXPECT_EQ(GetParam().local, judged.header.local);
    }
}

TEST_P(ProxyHeader, W8_EveryBeginningWantsMore)
{
    const std::string &header = GetParam().header;
    for (size_t n = 0; n < header.size(); n++) {
        EXPECT_EQ(SALLY_PROXY_MORE, judge(header.substr(0, n)).verdict) << n << " bytes";
    }
}

TEST(ProxyExtensions, W8_AreTheLastBytesOfAHeaderThatTellsOfAClient)
{
    const std::string v4 = inet_block(AF_INET, "192.0.2.7", 40001, "203.0.113.9", 443);
    const std::string unix_ends = unix_block("/a", "/b");
    const std::string extensions = tlv(SALLY_TLV_ALPN, "h2") + tlv(SALLY_TLV_NOOP, "");
    const std::string told[] = {v2_header(0x21, 0x11, v4 + extensions),
                                v2_header(0x21, 0x12, v4 + extensions),
                                v2_header(0x21, 0x31, unix_ends + extensions)};
    for (const std::string &header : told) {
        Judged judged = judge(header + "TLS");
        ASSERT_EQ(SALLY_PROXY_WHOLE, judged.verdict) << judged.why;
        EXPECT_EQ(extensions, header.substr(judged.header.tlvs_at));
    }
    const std::string untold[] = {v1_tcp4(), "PROXY UNKNOWN\r\n", v2_tcp4(),
                                  v2_header(0x20, 0x11, v4 + extensions),
                                  v2_header(0x21, 0x00, extensions)};
    for (const std::string &header : untold) {
        Judged judged = judge(header + "TLS");
        ASSERT_EQ(SALLY_PROXY_WHOLE, judged.verdict) << judged.why;
        EXPECT_EQ(judged.header.length, judged.header.tlvs_at);
    }
}

INSTANTIATE_TEST_SUITE_P(All, ProxyHeader, testing::ValuesIn(good_headers()),
                         [](const auto &good) { return std::string(good.param.name); });

struct Bad {
    const char *name;
    std::string bytes;
    const char *why;
};

void PrintTo(const Bad &bad, std::ostream *out)
{
    *out << bad.name;
}

std::vector<Bad> bad_v1_headers()
{
    const char *address = "an address of the PROXY line";
    const char *port = "a port of the PROXY line";
    const char *protocol = "none of TCP4, TCP6 and UNKNOWN";
    const char *crlf = "does not end with CRLF";
    return {
        {"NoProtocol", "PROXY \r\n", "names no protocol"},
        {"TwoSpaces", "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "names no protocol"},
        {"LowerCase", "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", protocol},
        {"Udp", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", protocol},
        {"UnknownWithATail", "PROXY UNKNOWNS\r\n", protocol},
        {"NoAddress", "PROXY TCP4\r\n", address},
        {"OneAddress", "PROXY TCP4 1.2.3.4\r\n", address},
        {"SpacesBetweenAddresses", "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n", address},
        {"OtherFamily", "PROXY TCP4 ::1 ::1 1 2\r\n", address},
        {"OtherFamilyStill", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", address},
        {"MixedFamilies", "PROXY TCP6 ::1 5.6.7.8 1 2\r\n", address},
        {"LeadingZeroInAddress", "PROXY TCP4 010.2.3.4 5.6.7.8 1 2\r\n", address},
        {"ThreeNumbers", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", address},
        {"Name", "PROXY TCP4 localhost 5.6.7.8 1 2\r\n", address},
        {"Zone", "PROXY TCP6 fe80::1%lo ::1 1 2\r\n", address},
        {"UnixPath", "PROXY TCP4 unix:/a unix:/b 1 2\r\n", address},
        {"LongWord", "PROXY TCP6 " + std::string(40, '1') + " ::1 1 2\r\n", address},
        {"NoPort", "PROXY TCP4 1.2.3.4 5.6.7.8\r\n", port},
        {"OnePort", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", port},
        {"PortTooHigh", "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", port},
        {"PortFarTooHigh", "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999999999999999999\r\n", port},
        {"NegativePort", "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", port},
        {"LeadingZeroInPort", "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", port},
        {"SignedPort", "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", port},
        {"EmptyPort", "PROXY TCP4 1.2.3.4 5.6.7.8  2\r\n", port},
        {"Tail", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "goes on after its ports"},
        {"SpaceAtTheEnd", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "goes on after its ports"},
        {"LfAlone", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", crlf},
        {"CrAlone", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx", crlf},
        {"LfBeforeCr", "PROXY UNKNOWN\n\r", crlf},
        {"Nul", std::string("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n", 34), crlf},
        {"NoEnd", "PROXY UNKNOWN " + std::string(93, 'x'), "no end in 107 bytes"},
        {"EndTooLate", "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", "no end in 107 bytes"},
    };
}

std::vector<Bad> bad_v2_headers()
{
    const std::string v4 = inet_block(AF_INET, "192.0.2.7", 40001, "203.0.113.9", 443);
    const std::string v6 = inet_block(AF_INET6, "2001:db8::7", 1, "2001:db8::9", 65535);
    const char *room = "no room for its addresses";
    const char *beyond = "goes beyond its end";
    std::string bad_sum = v2_with_checksum(0x11, v4);
    bad_sum[20] ^= 1; // the destination's
    return {
        {"V2Version1", v2_signature() + "\x11", "neither 1 nor 2"},
        {"V2Version3", v2_signature() + "\x31", "neither 1 nor 2"},
        {"V2Command2", v2_signature() + "\x22", "neither LOCAL nor PROXY"},
        {"V2Family4", v2_signature() + "\x21\x41", "family or protocol is unknown"},
        {"V2Protocol3", v2_signature() + "\x21\x13", "family or protocol is unknown"},
        {"V2TooLong", v2_signature() + "\x21\x11\x0F\xF1", "longer than 4096"},
        {"V2LocalTooLong", v2_signature() + "\x20" + std::string("\0\xFF\xFF", 3),
         "longer than 4096"},
        {"V2ShortTcp4", v2_header(0x21, 0x11, v4.substr(1)).substr(0, 16), room},
        {"V2ShortUdp4", v2_header(0x21, 0x12, v4.substr(1)), room},
        {"V2ShortTcp6", v2_header(0x21, 0x21, v6.substr(1)), room},
        {"V2ShortUnix", v2_header(0x21, 0x31, unix_block("", "").substr(1)), room},
        {"V2ExtensionWithoutLength", v2_header(0x21, 0x11, v4 + "\x04"), beyond},
        {"V2ExtensionWithHalfALength", v2_header(0x21, 0x11, v4 + std::string("\x04\0", 2)),
         beyond},
        {"V2ExtensionTooLong", v2_header(0x21, 0x11, v4 + std::string("\x04\0\x05five", 7)),
         beyond},
        {"V2SecondExtensionTooLong",
         v2_header(0x21, 0x11, v4 + tlv(4, "good") + std::string("\x04\xFF\xFF", 3)), beyond},
        {"V2ChecksumWrong", bad_sum, "checksum of the PROXY header is wrong"},
        {"V2ChecksumTooShort", v2_header(0x21, 0x11, v4 + tlv(3, "abc")), "checksum"},
    };
}

std::vector<Bad> other_bytes()
{
    const char *none = "no PROXY header";
    return {{"Tls", "\x16\x03\x01\x02", none},  {"Http", "GET / HTTP/1.1\r\n", none},
            {"AlmostV1", "PROXZ", none},        {"V1WithATab", "PROXY\tTCP4", none},
            {"AlmostV2", "\r\n\r\n\r", none},   {"OneByte", "x", none},
            {"Nul", std::string(1, '\0'), none}};
}

class NoProxyHeader : public testing::TestWithParam<Bad>
{
};

TEST_P(NoProxyHeader, W8_IsRefusedWithTheReason)
{
    for (const char *behind : {"", "more"}) {
        Judged judged = judge(GetParam().bytes + behind);
        ASSERT_EQ(SALLY_PROXY_MALFORMED, judged.verdict);
        EXPECT_NE(std::string::npos, judged.why.find(GetParam().why)) << judged.why;
    }
}

std::string bad_name(const testing::TestParamInfo<Bad> &info)
{
    return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(V1, NoProxyHeader, testing::ValuesIn(bad_v1_headers()), bad_name);
INSTANTIATE_TEST_SUITE_P(V2, NoProxyHeader, testing::ValuesIn(bad_v2_headers()), bad_name);
INSTANTIATE_TEST_SUITE_P(Other, NoProxyHeader, testing::ValuesIn(other_bytes()), bad_name);

// The fixed part of version 2: whichever bit of it is wrong, the header is another one or none.
TEST(ProxyHeaderDamage, W8_EveryBitOfTheSignatureCounts)
{
    for (size_t at = 0; at < v2_signature().size() * 8; at++) {
        std::string header = v2_tcp4();
        header[at / 8] ^= static_cast<char>(1 << at % 8);
        EXPECT_EQ(SALLY_PROXY_MALFORMED, judge(header).verdict) << "bit " << at;
    }
}

// CRC32c finds every damage of a single bit, except in the heads of extensions, which could hide it.
TEST(ProxyHeaderDamage, W8_TheChecksumCoversTheWholeHeader)
{
    const std::string good =
        v2_with_checksum(0x11, inet_block(AF_INET, "1.2.3.4", 5, "6.7.8.9", 10));
    const size_t heads[] = {28, 34, 41}; // three bytes each
    for (size_t at = 16 * 8; at < good.size() * 8; at++) {
        std::string header = good;
        header[at / 8] ^= static_cast<char>(1 << at % 8);
        bool in_head = std::any_of(std::begin(heads), std::end(heads), [at](size_t head) {
            return at / 8 >= head && at / 8 < head + 3;
        });
        if (!in_head) {
            EXPECT_EQ(SALLY_PROXY_MALFORMED, judge(header).verdict) << "bit " << at;
        }
    }
}

TEST(ProxyHeaderDamage, W8_TheTestsChecksumIsTheStandardOne)
{
    EXPECT_EQ(0xE3069283U, crc32c_of("123456789"));
}

} // namespace

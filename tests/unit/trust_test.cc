// trust.c: whose PROXY header is believed (W8).
#include <cstring>
#include <memory>
#include <string>

#include "support/faults.h"
#include "support/handles.h"

extern "C" {
#include "trust.h"
}

using namespace sallytest;

namespace
{

using Trust = std::unique_ptr<sally_trust, Deleter<sally_trust_free>>;

Trust trust_in(const char *list, ssl_proxy_mode mode = SALLY_PROXY_REQUIRED)
{
    sally_trust_setup setup = {mode, list, false};
    sally_trust *trust = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, sally_trust_new(&setup, "ssl_listen", &trust, &err), err));
    return Trust(trust);
}

sally_standing standing(const Trust &trust, const char *address)
{
    sally_addr addr;
    EXPECT_TRUE(sally_addr_parse(address, 1234, &addr)) << address;
    return sally_trust_judge(trust.get(), &addr);
}

struct Judgement {
    const char *list;
    const char *address;
    bool trusted;
};

TEST(Trust, W8_NetworksAndAddressesAreWhatTheySay)
{
    const Judgement judgements[] = {
        {"10.0.0.0/8", "10.0.0.0", true},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true}, // as a dual-stack socket shows it
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.7/32", "192.0.2.7", true},
        {"0.0.0.0/0", "198.51.100.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::1", "::1", true},
        {"::1", "::2", false},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"2001:db8::/127", "2001:db8::1", true},
        {"2001:db8::/127", "2001:db8::2", false},
        {"::ffff:10.0.0.0/104", "10.1.1.1", true},
        {"10.0.0.0/8, 192.0.2.7 ::1", "::1", true},
        {"10.0.0.0/8,192.0.2.7,::1", "192.0.2.7", true},
        {" ,10.0.0.0/8, ", "192.0.2.7", false},
        {"::/0 0.0.0.0/0", "unix:/run/a", false},
        {"unix", "unix:/run/a", true},
        {"unix", "unix:@a", true},
        {"unix", "127.0.0.1", false},
    };
    for (const Judgement &j : judgements) {
        sally_standing required = standing(trust_in(j.list), j.address);
        EXPECT_EQ(j.trusted ? SALLY_CLIENT_PROXY : SALLY_CLIENT_REFUSED, required)
            << j.list << ": " << j.address;
        sally_standing mixed = standing(trust_in(j.list, SALLY_PROXY_OR_DIRECT), j.address);
        EXPECT_EQ(j.trusted ? SALLY_CLIENT_PROXY : SALLY_CLIENT_DIRECT, mixed)
            << j.list << ": " << j.address;
    }
}

TEST(Trust, W8_WithoutAListNobodyIsAsked)
{
    Trust off = trust_in(nullptr, SALLY_PROXY_OFF);
    EXPECT_FALSE(off);
    EXPECT_EQ(SALLY_CLIENT_DIRECT, standing(off, "10.0.0.1"));
}

struct Wrong {
    ssl_proxy_mode mode;
    const char *list;
    const char *says;
    bool tlvs = false;
};

TEST(Trust, E3_WhatIsWrongWithTheListIsNamed)
{
    const std::string long_item = "1" + std::string(200, '0') + ".0.0.1";
    const Wrong all[] = {
        {SALLY_PROXY_REQUIRED, nullptr, "proxy_trusted is empty"},
        {SALLY_PROXY_OR_DIRECT, " , ", "proxy_trusted is empty"},
        {SALLY_PROXY_OFF, "10.0.0.0/8", "options.proxy is SALLY_PROXY_OFF"},
        {SALLY_PROXY_OFF, nullptr, "proxy_tlvs is given, and options.proxy is SALLY_PROXY_OFF",
         true},
        {static_cast<ssl_proxy_mode>(7), "10.0.0.0/8", "none of ssl_proxy_mode"},
        {SALLY_PROXY_REQUIRED, "::1, proxy.example", "\"proxy.example\": it is neither"},
        {SALLY_PROXY_REQUIRED, "10.0.0.0/33", "\"10.0.0.0/33\": behind the slash"},
        {SALLY_PROXY_REQUIRED, "10.0.0.0/", "from 0 to 32"},
        {SALLY_PROXY_REQUIRED, "10.0.0.0/+8", "from 0 to 32"},
        {SALLY_PROXY_REQUIRED, "10.0.0.0/8/8", "from 0 to 32"},
        {SALLY_PROXY_REQUIRED, "::1/129", "from 0 to 128"},
        {SALLY_PROXY_REQUIRED, "::/0x8", "from 0 to 128"},
        {SALLY_PROXY_REQUIRED, "10.1.0.0/8", "\"10.1.0.0/8\": it has bits set behind its prefix"},
        {SALLY_PROXY_REQUIRED, "fe80::1%lo", "it is neither"},
        {SALLY_PROXY_REQUIRED, "unix:/run/a", "it is neither"},
        {SALLY_PROXY_REQUIRED, "unix/8", "it is neither"},
        {SALLY_PROXY_REQUIRED, long_item.c_str(), "too long"},
    };
    for (const Wrong &wrong : all) {
        int something = 0;
        auto *trust = reinterpret_cast<sally_trust *>(&something);
        ssl_error err;
        sally_trust_setup setup = {wrong.mode, wrong.list, wrong.tlvs};
        ssl_status status = sally_trust_new(&setup, "ssl_listen", &trust, &err);
        EXPECT_TRUE(is(SALLY_USAGE, status, err));
        EXPECT_EQ(nullptr, trust);
        EXPECT_EQ(err.text, std::strstr(err.text, "ssl_listen: "));
        EXPECT_NE(nullptr, std::strstr(err.text, wrong.says)) << err.text;
    }
}

TEST(Trust, W8_WhetherExtensionsAreKeptIsKnownToIt)
{
    for (bool tlvs : {true, false}) {
        sally_trust_setup setup = {SALLY_PROXY_REQUIRED, "::1", tlvs};
        sally_trust *trust = nullptr;
        ssl_error err;
        ASSERT_TRUE(is(SALLY_OK, sally_trust_new(&setup, "ssl_listen", &trust, &err), err));
        EXPECT_EQ(tlvs, sally_trust_keeps_tlvs(trust));
        sally_trust_free(trust);
    }
}

TEST(Trust, E2_WithoutMemoryThereIsNone)
{
    sweep_allocations("sally_trust_new", [](ssl_error *err) {
        sally_trust_setup setup = {SALLY_PROXY_REQUIRED, "10.0.0.0/8 ::1", false};
        sally_trust *trust = nullptr;
        ssl_status status = sally_trust_new(&setup, "ssl_listen", &trust, err);
        EXPECT_EQ(status == SALLY_OK, trust != nullptr);
        sally_trust_free(trust);
        return status;
    });
}

} // namespace

// How many clients an address has: counted by host, whatever the port, and given back. Rules: W4.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/guards.h"

extern "C" {
#include "mem.h"
#include "quota.h"
}

using namespace sallytest;

namespace
{

sally_addr at(const std::string &host, int port = 1)
{
    sally_addr addr = {};
    EXPECT_TRUE(sally_addr_parse(host.c_str(), port, &addr)) << host;
    return addr;
}

class Quota : public testing::Test
{
  protected:
    ~Quota() override
    {
        for (sally_resident *r : residents_) {
            sally_quota_give(quota_, r);
        }
        sally_quota_free(quota_);
    }
    int take(const sally_addr &addr)
    {
        sally_resident *r = nullptr;
        int error = sally_quota_take(quota_, &addr, &r);
        EXPECT_TRUE(error == 0 || r == nullptr);
        residents_.push_back(r);
        return error;
    }
    void give_last()
    {
        sally_quota_give(quota_, residents_.back());
        residents_.pop_back();
    }

    HeapGuard heap_;
    sally_quota *quota_ = sally_quota_new(2);
    std::vector<sally_resident *> residents_;
};

} // namespace

TEST_F(Quota, W4_AnAddressHasSoManyWhateverThePort)
{
    EXPECT_EQ(0, take(at("192.0.2.1", 1)));
    EXPECT_EQ(0, take(at("192.0.2.1", 2)));
    EXPECT_EQ(EDQUOT, take(at("192.0.2.1", 3)));
    EXPECT_EQ(0, take(at("192.0.2.2", 1))) << "another address";
    EXPECT_EQ(0, take(at("2001:db8::1", 1)));
}

TEST_F(Quota, W4_WhatIsGivenBackCanBeTaken)
{
    EXPECT_EQ(0, take(at("2001:db8::1")));
    EXPECT_EQ(0, take(at("2001:db8::1")));
    give_last();
    EXPECT_EQ(0, take(at("2001:db8::1")));
    EXPECT_EQ(EDQUOT, take(at("2001:db8::1")));
}

TEST_F(Quota, W4_AllAddressesOfAnIpv6NetworkOf64BitsAreOne)
{
    EXPECT_EQ(0, take(at("2001:db8:0:1::")));
    EXPECT_EQ(0, take(at("2001:db8:0:1:8000::1")));
    EXPECT_EQ(EDQUOT, take(at("2001:db8:0:1::2")));
    EXPECT_EQ(EDQUOT, take(at("2001:db8:0:1:ffff:ffff:ffff:ffff"))) << "its last address";
    EXPECT_EQ(0, take(at("2001:db8:0:2::"))) << "the first one behind it";
    EXPECT_EQ(0, take(at("2001:db8:0:0:ffff:ffff:ffff:ffff"))) << "the last one before it";
    give_last();
    give_last();
    give_last(); // of those that were refused there is nothing to give back
    give_last();
    give_last();
    EXPECT_EQ(0, take(at("2001:db8:0:1::3"))) << "one of the two has gone";
    EXPECT_EQ(EDQUOT, take(at("2001:db8:0:1::4")));
}

TEST_F(Quota, W4_Ipv4AddressesInIpv6AreNotOneNetwork)
{
    for (const char *prefix : {"::ffff:", "64:ff9b::"}) {
        EXPECT_EQ(0, take(at(std::string(prefix) + "192.0.2.1")));
        EXPECT_EQ(0, take(at(std::string(prefix) + "192.0.2.2"))) << "another client";
    }
    EXPECT_EQ(EDQUOT, take(at("192.0.2.1"))) << "the same, however it is written";
    EXPECT_EQ(EDQUOT, take(at("64:ff9b::192.0.2.2")));
    EXPECT_EQ(0, take(at("::1")));
    EXPECT_EQ(0, take(at("::2"))) << "addresses that stand for themselves";
    EXPECT_EQ(EDQUOT, take(at("::3")));
    EXPECT_EQ(0, take(at("64:ff9b:1::192.0.2.1"))) << "beside the well-known prefix";
}

TEST_F(Quota, W4_AMappedAddressIsTheAddressItStandsFor)
{
    EXPECT_EQ(0, take(at("192.0.2.1")));
    EXPECT_EQ(0, take(at("::ffff:192.0.2.1")));
    EXPECT_EQ(EDQUOT, take(at("192.0.2.1")));
}

TEST_F(Quota, W4_UnixSocketsAndMissingQuotasHaveNoLimit)
{
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(0, take(at("unix:/tmp/nowhere")));
    }
    sally_resident *r = nullptr;
    sally_addr addr = at("192.0.2.1");
    EXPECT_EQ(0, sally_quota_take(nullptr, &addr, &r));
    EXPECT_EQ(nullptr, r);
    sally_quota_give(nullptr, r);
    sally_quota_free(nullptr);
}

TEST_F(Quota, W4_ManyAddressesAreToldApart)
{
    for (int i = 0; i < 10000; i++) {
        std::string host = "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256);
        EXPECT_EQ(0, take(at(host)));
        EXPECT_EQ(0, take(at(host)));
    }
    EXPECT_EQ(EDQUOT, take(at("10.0.7.7")));
}

TEST_F(Quota, W5_WithoutMemoryNothingIsTaken)
{
    sally_mem_fail_at(1, 0);
    EXPECT_EQ(ENOMEM, take(at("192.0.2.1")));
    sally_mem_fail_at(1, 0);
    EXPECT_EQ(nullptr, sally_quota_new(1));
    sally_mem_fail_at(0, 0);
}

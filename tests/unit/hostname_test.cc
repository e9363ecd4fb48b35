// Host names against certificates (RFC 9525), as the handshake judges them and as the question does.
#include <cstring>
#include <string>
#include <vector>

#include "crypto_fixture.h"
#include "support/forge.h"
#include "support/pairs.h"

extern "C" {
#include "hostname.h"
}

using namespace sallytest;

namespace
{

struct Asked {
    std::string name;
    bool matches;
};

struct Case {
    const char *what;
    Forgery certificate;
    bool common_name; // ssl_set_insecure_common_name
    std::vector<Asked> asked;
};

Forgery with_dns(std::vector<std::string> dns, const std::string &common_name = "cn.example")
{
    Forgery made;
    made.dns = std::move(dns);
    made.common_name = common_name;
    return made;
}

Forgery with_addresses(std::vector<std::string> addresses, const std::string &common_name = "x")
{
    Forgery made;
    made.addresses = std::move(addresses);
    made.common_name = common_name;
    return made;
}

const std::string kNul("good.example\0.evil.example", 26);

const Case cases[] = {
    {"ExactName",
     with_dns({"www.example.org"}),
     false,
     {{"www.example.org", true},
      {"WWW.Example.ORG", true},
      {"www.example.org.", true},
      {"example.org", false},
      {"a.www.example.org", false},
      {"wwww.example.org", false}}},
    {"SecondOfTwoNames",
     with_dns({"one.example", "two.example"}),
     false,
     {{"two.example", true}, {"three.example", false}}},
    {"WildcardLabel",
     with_dns({"*.example.org"}),
     false,
     {{"a.example.org", true},
      {"A.EXAMPLE.org", true},
      {"xn--bcher-kva.example.org", true},
      {"example.org", false},
      {"a.b.example.org", false},
      {"a.example.com", false}}},
    {"PartialWildcards",
     with_dns({"w*.example.org", "*w.example.org", "w*w.example.org", "xn--*.example.org"}),
     false,
     {{"www.example.org", false},
      {"w.example.org", false},
      {"xn--a.example.org", false},
      {"xn--bcher-kva.example.org", false}}},
    {"WildcardElsewhere",
     with_dns({"www.*.org", "*.*.example"}),
     false,
     {{"www.example.org", false}, {"a.b.example", false}}},
    {"WildcardOfATopLevelDomain",
     with_dns({"*.org", "*"}),
     false,
     {{"example.org", false}, {"localhost", false}, {"org", false}}},
    {"ALabel",
     with_dns({"xn--bcher-kva.example"}),
     false,
     {{"xn--bcher-kva.example", true}, {"XN--BCHER-KVA.example", true}, {"bcher.example", false}}},
    {"EmbeddedNul", with_dns({kNul}), false, {{"good.example", false}, {"evil.example", false}}},
    {"LeadingDotInTheCertificate",
     with_dns({".example.org"}),
     false,
     {{"a.example.org", false}, {"example.org", false}}},
    {"TrailingDotInTheCertificate", with_dns({"example.org."}), false, {{"example.org", false}}},
    {"AddressesV4",
     with_addresses({"192.0.2.1"}),
     false,
     {{"192.0.2.1", true}, {"192.0.2.10", false}, {"::ffff:192.0.2.1", false}}},
    {"AddressesV6",
     with_addresses({"fe80::1", "2001:db8::2"}),
     false,
     {{"fe80::1", true},
      {"fe80::1%lo", true},
      {"FE80:0:0:0:0:0:0:1", true},
      {"2001:db8::2", true},
      {"2001:db8::3", false}}},
    {"AddressAsDnsName", with_dns({"192.0.2.1", "*.0.2.1"}), false, {{"192.0.2.1", false}}},
    {"CommonNameIsNoName", with_dns({}, "www.example.org"), false, {{"www.example.org", false}}},
    {"AddressInTheCommonNameIsNoName",
     with_addresses({}, "192.0.2.1"),
     true,
     {{"192.0.2.1", false}}},
    {"CommonNameWhereItIsAllowed",
     with_dns({}, "www.example.org"),
     true,
     {{"www.example.org", true}, {"example.org", false}}},
    {"CommonNameBesideADnsName",
     with_dns({"other.example"}, "www.example.org"),
     true,
     {{"www.example.org", false}, {"other.example", true}}},
    {"CommonNameBesideAnAddress",
     with_addresses({"192.0.2.1"}, "www.example.org"),
     true,
     {{"www.example.org", true}, {"192.0.2.1", true}}},
};

void PrintTo(const Case &c, std::ostream *out)
{
    *out << c.what;
}

class Hostname : public testing::TestWithParam<Case>
{
  protected:
    Hostname() : forged_(forge(GetParam().certificate)), server_(server_that_shows(forged_)) {}

    Context client(bool checks_name)
    {
        Context made = client_that_trusts(forged_);
        ssl_error err;
        bool cn = GetParam().common_name;
        EXPECT_TRUE(is(SALLY_OK, ssl_set_insecure_common_name(made.get(), cn, &err), err));
        EXPECT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(made.get(), checks_name, &err), err));
        return made;
    }

    Forged forged_;
    Context server_;
};

TEST_P(Hostname, C7_InTheHandshake)
{
    Context context = client(true);
    for (const Asked &asked : GetParam().asked) {
        Shake result = shake(context.get(), server_.get(), asked.name.c_str());
        EXPECT_EQ(asked.matches, static_cast<bool>(result))
            << asked.name << ": " << result.client_reason;
        EXPECT_EQ(asked.matches, result.client_verified) << asked.name;
    }
}

TEST_P(Hostname, C7_AsAQuestion)
{
    Context context = client(false);
    Pair pair = pair_of(context.get(), server_.get());
    ASSERT_TRUE(pair);
    for (const Asked &asked : GetParam().asked) {
        bool matches = !asked.matches;
        ssl_error err;
        ssl_status status =
            ssl_peer_check_hostname(pair.client.out(), asked.name.c_str(), &matches, &err);
        EXPECT_TRUE(is(SALLY_OK, status, err));
        EXPECT_EQ(asked.matches, matches) << asked.name;
    }
}

INSTANTIATE_TEST_SUITE_P(Names, Hostname, testing::ValuesIn(cases),
                         [](const testing::TestParamInfo<Case> &c) { return c.param.what; });

// ---- names that name nobody ----

struct Refused {
    std::string name;
    const char *way_out; // part of the text
};

const Refused refused[] = {
    {"", "full name"},
    {".", "full name"},
    {".d", "full name"},
    {"*.example.org", "certificates only"},
    {"a b", "letters, digits"},
    {"a..b", "empty label"},
    {"www.example.org..", "empty label"},
    {"b\xc3\xbc"
     "cher.example",
     "xn--"},
    {std::string(256, 'x'), "longer"},
};

TEST(HostnameRead, C7_NamesThatNameNobodyAreUsageWithAWayOut)
{
    Pair pair = connected_pair();
    ASSERT_TRUE(pair);
    for (const Refused &bad : refused) {
        sally_hostname name;
        ssl_error err;
        EXPECT_TRUE(
            is(SALLY_USAGE, sally_hostname_read(bad.name.c_str(), "call", &name, &err), err));
        EXPECT_NE(nullptr, std::strstr(err.text, bad.way_out)) << err.text;
        EXPECT_EQ(err.text, std::strstr(err.text, "call: ")) << err.text;
        bool matches = true;
        ssl_status status =
            ssl_peer_check_hostname(pair.client.in(), bad.name.c_str(), &matches, &err);
        EXPECT_TRUE(is(SALLY_USAGE, status, err));
        EXPECT_FALSE(matches);
    }
}

TEST(HostnameRead, C7_TheLongestNameIsOne)
{
    sally_hostname name;
    std::string longest(SALLY_HOSTNAME_SIZE - 1, 'x');
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, sally_hostname_read(longest.c_str(), "call", &name, &err), err));
    EXPECT_EQ(longest, name.text);
    EXPECT_TRUE(
        is(SALLY_OK, sally_hostname_read((longest + ".").c_str(), "call", &name, &err), err));
    EXPECT_EQ(longest, name.text);
}

} // namespace

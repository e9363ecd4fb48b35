// The same questions to Racket's library and to ours. Where the answers differ, the test says why, and
// docs/racket.md says it too.
#include <functional>
#include <sstream>

#include <gtest/gtest.h>

#include "interop/our_ends.h"
#include "interop/peers.h"
#include "sallyport/digest.h"
#include "sallyport/library.h"
#include "support/certs.h"
#include "support/forge.h"

namespace
{

using namespace sallytest;

class RacketAnswers : public testing::Test
{
  protected:
    void SetUp() override
    {
        SKIP_WITHOUT("racket");
    }
};

// One answer for each question.
Strings ask_racket(const Strings &questions, const Strings &arguments = {})
{
    std::string lines;
    for (const std::string &question : questions) {
        lines += question + "\n";
    }
    Process script(racket("answers.rkt", arguments));
    script.feed_and_close(lines);
    EXPECT_EQ(0, script.wait()) << script.err();
    std::istringstream said(script.out());
    Strings answers;
    for (std::string line; std::getline(said, line);) {
        answers.push_back(line);
    }
    EXPECT_EQ(questions.size(), answers.size()) << script.out();
    answers.resize(questions.size());
    return answers;
}

// The rule of docs/racket.md.
std::string in_c(std::string name)
{
    std::string made;
    for (char c : name) {
        made += c == '-' || c == '/' ? "_" : c == '!' || c == '?' ? "" : std::string(1, c);
    }
    return made;
}

// ---- sealed contexts ---------------------------------------------------------------------------

const char kNoFile[] = "/there/is/no/such/file";

ssl_status load_no_source(ssl_context *context, ssl_error *err)
{
    ssl_verify_source source = {SALLY_VERIFY_FILE, kNoFile};
    return ssl_load_verify_source(context, &source, false, err);
}

ssl_status choose_nobody(const char *, void *, ssl_context **)
{
    return SALLY_OK;
}

ssl_status set_alpn(ssl_context *context, ssl_error *err)
{
    const ssl_alpn_name h2 = SALLY_ALPN("h2");
    return ssl_set_server_alpn(context, &h2, 1, true, err);
}

using Setter = std::function<ssl_status(ssl_context *, ssl_error *)>;

struct Sealed {
    const char *role;
    const char *procedure;
    Setter ours;
    const char *they_name = nullptr; // where Racket's failure names another call
};

const Sealed kSealed[] = {
    {"server", "ssl-load-certificate-chain!",
     [](ssl_context *c, ssl_error *e) { return ssl_load_certificate_chain(c, kNoFile, e); }},
    {"client", "ssl-load-private-key!",
     [](ssl_context *c, ssl_error *e) { return ssl_load_private_key(c, kNoFile, nullptr, e); }},
    {"client", "ssl-load-verify-source!", load_no_source},
    {"client", "ssl-load-verify-root-certificates!",
     [](ssl_context *c, ssl_error *e) { return ssl_load_verify_root_certificates(c, kNoFile, e); }},
    {"server", "ssl-load-suggested-certificate-authorities!",
     [](ssl_context *c, ssl_error *e) {
         return ssl_load_suggested_certificate_authorities(c, kNoFile, e);
     }},
    {"client", "ssl-load-default-verify-sources!", ssl_load_default_verify_sources,
     "ssl-load-verify-source!"},
    {"client", "ssl-set-ciphers!",
     [](ssl_context *c, ssl_error *e) { return ssl_set_ciphers(c, "DEFAULT", e); }},
    {"client", "ssl-set-verify!",
     [](ssl_context *c, ssl_error *e) { return ssl_set_verify(c, true, e); }},
    {"server", "ssl-try-verify!",
     [](ssl_context *c, ssl_error *e) { return ssl_try_verify(c, true, e); }},
    {"client", "ssl-set-verify-hostname!",
     [](ssl_context *c, ssl_error *e) { return ssl_set_verify_hostname(c, true, e); }},
    {"server", "ssl-server-context-enable-dhe!",
     [](ssl_context *c, ssl_error *e) {
         return ssl_server_context_enable_dhe(c, ssl_dh4096_param_path(), e);
     }},
    {"server", "ssl-server-context-enable-ecdhe!",
     [](ssl_context *c, ssl_error *e) {
         return ssl_server_context_enable_ecdhe(c, "secp521r1", e);
     }},
    {"server", "ssl-set-server-name-identification-callback!",
     [](ssl_context *c, ssl_error *e) {
         return ssl_set_server_name_identification_callback(c, choose_nobody, nullptr, e);
     }},
    {"server", "ssl-set-server-alpn!", set_alpn},
};

Context sealed_context(const std::string &role)
{
    Context context = role == "server" ? server_context() : client_context();
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
    return context;
}

TEST_F(RacketAnswers, C2_SettersOfASealedContextFailUnderTheirNames)
{
    Strings questions;
    for (const Sealed &row : kSealed) {
        questions.push_back(std::string("sealed ") + row.role + " " + row.procedure);
    }
    questions.push_back("sealed client ssl-seal-context!");
    Strings theirs = ask_racket(questions);
    for (size_t i = 0; i < std::size(kSealed); i++) {
        const Sealed &row = kSealed[i];
        EXPECT_EQ(row.they_name != nullptr ? row.they_name : row.procedure, theirs[i]);
        Context context = sealed_context(row.role);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_SEALED, row.ours(context.get(), &err), err)) << row.procedure;
        EXPECT_EQ(0U, std::string(err.text).find(in_c(row.procedure) + ":")) << err.text;
    }
    EXPECT_EQ("no failure", theirs.back());
    EXPECT_EQ(SALLY_OK, ssl_seal_context(sealed_context("client").get(), nullptr));
}

// ---- protocols ---------------------------------------------------------------------------------

using Supported = ssl_status (*)(ssl_protocol *, size_t, size_t *, ssl_error *);
using Best = ssl_status (*)(ssl_protocol *, ssl_error *);

std::string list_of(Supported supported)
{
    ssl_protocol protocols[SALLY_PROTOCOLS_MAX];
    size_t count = 0;
    EXPECT_EQ(SALLY_OK, supported(protocols, SALLY_PROTOCOLS_MAX, &count, nullptr));
    std::string list;
    for (size_t i = 0; i < count; i++) {
        list += (i > 0 ? " " : "") + std::string(ssl_protocol_name(protocols[i]));
    }
    return list;
}

std::string best_of(Best best)
{
    ssl_protocol protocol;
    EXPECT_EQ(SALLY_OK, best(&protocol, nullptr));
    return ssl_protocol_name(protocol);
}

TEST_F(RacketAnswers, C1_TheSameProtocolsAreSupported)
{
    Strings theirs =
        ask_racket({"supported client", "supported server", "max client", "max server"});
    EXPECT_EQ(theirs[0], list_of(ssl_supported_client_protocols));
    EXPECT_EQ(theirs[1], list_of(ssl_supported_server_protocols));
    EXPECT_EQ(theirs[2], best_of(ssl_max_client_protocol));
    EXPECT_EQ(theirs[3], best_of(ssl_max_server_protocol));
}

// ---- digests -----------------------------------------------------------------------------------

std::string digest_by(ssl_status (*digest)(const ssl_digest_source *, char *, ssl_error *),
                      const std::string &text)
{
    ssl_digest_source in = ssl_digest_of_bytes(text.data(), text.size());
    char hex[SALLY_SHA256_HEX_SIZE];
    return digest(&in, hex, nullptr) == SALLY_OK ? hex : "error";
}

std::string hex_of(const std::string &bytes)
{
    std::string hex(2 * bytes.size() + 1, '\0');
    ssl_status status =
        ssl_bytes_to_hex_string(bytes.data(), bytes.size(), hex.data(), hex.size(), nullptr);
    return status == SALLY_OK ? hex.c_str() : "error";
}

std::string unhexed(const std::string &hex)
{
    std::string bytes(hex.size() / 2 + 1, '\0');
    size_t count = 0;
    if (ssl_hex_string_to_bytes(hex.c_str(), bytes.data(), bytes.size(), &count, nullptr) !=
        SALLY_OK) {
        return "error";
    }
    return hex_of(bytes.substr(0, count));
}

std::string our_answer(const std::string &question)
{
    std::string text = question.substr(question.find(' ') + 1);
    switch (question[0]) {
    case 's': return digest_by(ssl_sha1, text);
    case 'm': return digest_by(ssl_md5, text);
    case 'h': return hex_of(text);
    default: return unhexed(text);
    }
}

TEST_F(RacketAnswers, DigestsAndHexAreTheSame)
{
    Strings questions;
    for (const std::string &text :
         {std::string(), std::string("abc"), std::string(55, 'x'), std::string(64, 'y'),
          std::string("two  words "), std::string("\xc3\xa4\x7f"), std::string(20000, 'z')}) {
        for (const char *call : {"sha1 ", "md5 ", "hex "}) {
            questions.push_back(call + text);
        }
    }
    for (const char *hex : {"", "00", "00ff", "aF09", "0", "0a1", "0g", "g0", " 00", "00 ", "0x00",
                            "+1", "\xc3\xa4"}) {
        questions.push_back(std::string("unhex ") + hex);
    }
    Strings theirs = ask_racket(questions);
    for (size_t i = 0; i < questions.size(); i++) {
        EXPECT_EQ(theirs[i], our_answer(questions[i])) << questions[i];
    }
}

// ---- host names --------------------------------------------------------------------------------

struct Asked {
    const char *host;
    const char *theirs;
    const char *ours; // "error": USAGE
    const char *why;  // they differ
};

struct Certificate {
    Strings dns;
    Strings addresses;
    const char *common_name;
    std::vector<Asked> asked;
};

const Certificate kCertificates[] = {
    {{"www.example.org"},
     {},
     "x",
     {{"www.example.org", "yes", "yes", nullptr},
      {"WWW.Example.ORG", "yes", "yes", nullptr},
      {"example.org", "no", "no", nullptr},
      {"a.www.example.org", "no", "no", nullptr},
      {"www.example.org.", "no", "yes", "the dot that ends a name is no part of it"},
      {"", "no", "error", "an empty name names nobody"},
      {".example.org", "yes", "error", "that would be all names below example.org"},
      {"*.example.org", "no", "error", "a pattern names nobody"}}},
    {{"*.example.org"},
     {},
     "x",
     {{"a.example.org", "yes", "yes", nullptr},
      {"A.EXAMPLE.org", "yes", "yes", nullptr},
      {"xn--bcher-kva.example.org", "yes", "yes", nullptr},
      {"example.org", "no", "no", nullptr},
      {"a.b.example.org", "no", "no", nullptr}}},
    {{"w*.example.org"},
     {},
     "x",
     {{"www.example.org", "yes", "no", "a wildcard is a whole label (RFC 9525 section 6.3)"}}},
    {{"www.*.org", "*.org", "*"},
     {},
     "x",
     {{"www.example.org", "no", "no", nullptr}, {"example.org", "no", "no", nullptr}}},
    {{},
     {},
     "www.example.org",
     {{"www.example.org", "yes", "no", "the common name is no name (RFC 9525 section 2)"}}},
    {{"other.example"}, {}, "www.example.org", {{"www.example.org", "no", "no", nullptr}}},
    {{}, {}, "192.0.2.1", {{"192.0.2.1", "yes", "no", "nor is it an address"}}},
    {{},
     {"192.0.2.1", "2001:db8::1"},
     "x",
     {{"192.0.2.1", "no", "yes", "addresses of subjectAltName count"},
      {"2001:db8::1", "no", "yes", "addresses of subjectAltName count"},
      {"192.0.2.10", "no", "no", nullptr}}},
};

std::string site(size_t i)
{
    return "case" + std::to_string(i) + ".example";
}

// Shows each of the certificates under its name.
Registry all_sites()
{
    ssl_registry *made = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_registry_new(&made, nullptr));
    for (size_t i = 0; i < std::size(kCertificates); i++) {
        Forgery what;
        what.dns = kCertificates[i].dns;
        what.addresses = kCertificates[i].addresses;
        what.common_name = kCertificates[i].common_name;
        Context context = server_that_shows(forge(what));
        EXPECT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
        EXPECT_EQ(SALLY_OK, ssl_registry_put(made, site(i).c_str(), context.get(), nullptr));
    }
    return Registry(made);
}

Ports visit(int port, const std::string &name)
{
    ssl_context *made = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_make_client_context(SALLY_PROTOCOL_AUTO, &made, nullptr));
    Context trusting(made);
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = made;
    options.server_name = name.c_str();
    return connect_here(port, options);
}

std::string check(const Ports &ports, const char *host)
{
    bool matches = false;
    if (ssl_peer_check_hostname(ports.in(), host, &matches, nullptr) != SALLY_OK) {
        return "error";
    }
    return matches ? "yes" : "no";
}

TEST_F(RacketAnswers, C7_HostNamesOrWhyNot)
{
    Registry sites = all_sites();
    OurServer server(nullptr, read_to_the_end, sites.get());
    Strings questions;
    for (size_t i = 0; i < std::size(kCertificates); i++) {
        questions.push_back("names " + site(i));
        for (const Asked &asked : kCertificates[i].asked) {
            questions.back() += std::string(" \"") + asked.host + "\"";
        }
    }
    Strings theirs = ask_racket(questions, {std::to_string(server.port())});
    for (size_t i = 0; i < std::size(kCertificates); i++) {
        Ports ports = visit(server.port(), site(i));
        std::istringstream answers(theirs[i]);
        for (const Asked &asked : kCertificates[i].asked) {
            std::string answer;
            answers >> answer;
            EXPECT_EQ(asked.theirs, answer) << site(i) << ": \"" << asked.host << "\"";
            EXPECT_EQ(asked.ours, check(ports, asked.host))
                << site(i) << ": \"" << asked.host << "\"";
            EXPECT_EQ(asked.why == nullptr, std::string(asked.theirs) == asked.ours);
        }
    }
}

} // namespace

// Every kind of bad file, given to every call that loads one (C3): what it is told, that it is told at once,
// and that nothing has changed (C2, E1). And every kind of good one.
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto_fixture.h"
#include "loaders.h"
#include "pki_fixture.h"
#include "support/guards.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// ---- the files ----

using MakeFile = std::function<std::string(const ScratchDir &, Wants)>; // returns the path

MakeFile with_content(const std::function<std::string(Wants)> &content)
{
    return
        [content](const ScratchDir &dir, Wants wants) { return dir.write("bad", content(wants)); };
}

MakeFile with_text(const std::string &text)
{
    return with_content([text](Wants) { return text; });
}

MakeFile with_cert(const std::string &file)
{
    return [file](const ScratchDir &, Wants) { return cert_path(file); };
}

std::string cut_in_half(const std::string &text)
{
    return text.substr(0, text.size() / 2);
}

// The base64 of the first block loses a line in its middle.
std::string without_a_line(std::string text)
{
    size_t at = text.find('\n', text.size() / 2);
    return text.erase(at, text.find('\n', at + 1) - at);
}

std::string make_socket(const ScratchDir &dir, Wants)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = dir.path("socket");
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address));
    close(fd);
    return path;
}

std::string make_fifo(const ScratchDir &dir, Wants)
{
    EXPECT_EQ(0, mkfifo(dir.path("fifo").c_str(), 0600));
    return dir.path("fifo");
}

std::string make_huge(const ScratchDir &dir, Wants)
{
    std::string path = dir.write("huge", "x");
    EXPECT_EQ(0, truncate(path.c_str(), SALLY_FILE_MAX + 1L));
    return path;
}

std::string make_loop(const ScratchDir &dir, Wants)
{
    EXPECT_EQ(0, symlink("loop", dir.path("loop").c_str()));
    return dir.path("loop");
}

std::string make_unreadable(const ScratchDir &dir, Wants wants)
{
    std::string path = dir.write("secret", good_content(wants));
    EXPECT_EQ(0, chmod(path.c_str(), 0));
    return path;
}

std::string make_beyond_a_file(const ScratchDir &dir, Wants)
{
    return dir.write("file", "x") + "/below";
}

const char csr[] = "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";
const char public_key[] = "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n";

struct Told {
    ssl_status status;
    std::vector<std::string> words; // the reason, and the way out where there is one
};

struct Row {
    const char *name;
    MakeFile make;
    Told all;                         // by every loader
    std::map<Wants, Told> but = {};   // but by these
    std::vector<Wants> good_for = {}; // no bad file for these
    bool in_memory = false;           // its bytes are as bad as the file
    bool as_nobody = false;           // bad for those who are not root
};

// What a loader needs is told when there is something else.
const std::map<Wants, Told> nothing_usable = {
    {Wants::Chain, {SALLY_CONFIG, {"no certificate in it", "-----BEGIN CERTIFICATE-----"}}},
    {Wants::Roots, {SALLY_CONFIG, {"no certificate in it", "-----BEGIN CERTIFICATE-----"}}},
    {Wants::Names, {SALLY_CONFIG, {"no certificate in it", "-----BEGIN CERTIFICATE-----"}}},
    {Wants::Key, {SALLY_CONFIG, {"no private key in it", "a PEM block named PRIVATE KEY"}}},
    {Wants::Crls, {SALLY_CONFIG, {"no revocation list in it", "-----BEGIN X509 CRL-----"}}},
    {Wants::Dh, {SALLY_CONFIG, {"no parameters in it", "-----BEGIN DH PARAMETERS-----"}}},
};

// The same, and what was found; `but` where another text is right.
std::map<Wants, Told> found(const std::string &what, const std::map<Wants, Told> &but = {})
{
    std::map<Wants, Told> told = nothing_usable;
    for (auto &one : told) {
        one.second.words.push_back(what + " found");
    }
    for (const auto &one : but) {
        told[one.first] = one.second;
    }
    return told;
}

std::string blocks_of(size_t count)
{
    std::string text;
    for (size_t i = 0; i < count; i++) {
        text += "-----BEGIN X-----\nMAA=\n-----END X-----\n";
    }
    return text;
}

std::string chain_of(int count)
{
    std::string text;
    for (int i = 0; i < count; i++) {
        text += cert("ca.pem"); // which has signed itself
    }
    return text;
}

// In place of what a row says of PEM.
const Told no_response = {SALLY_CONFIG, {"it is no OCSP response, or a damaged one"}};
const Told no_directory = {SALLY_CONFIG, {"no directory", "SALLY_VERIFY_FILE"}};
const Told der_found = {SALLY_CONFIG, {"not PEM (DER found)", "openssl x509 -inform der"}};
const Told cut_off = {SALLY_CONFIG, {" 1 in it is damaged or cut off", "copy it anew"}};
const Told second_cut_off = {SALLY_CONFIG, {" 2 in it is damaged or cut off", "copy it anew"}};
const Told key_cut_off = {SALLY_CONFIG, {"the key is damaged or cut off", "copy it anew"}};

const std::vector<Wants> certificates = {Wants::Chain, Wants::Roots, Wants::Names};

std::vector<Row> all_rows()
{
    return {
        // No file to read.
        {"missing",
         [](const ScratchDir &dir, Wants) { return dir.path("none"); },
         {SALLY_SYSTEM, {"No such file"}}},
        {"beyond a file", make_beyond_a_file, {SALLY_SYSTEM, {"Not a directory"}}},
        {"unreadable",
         make_unreadable,
         {SALLY_SYSTEM, {"Permission denied"}},
         {{Wants::Directory, no_directory}},
         {},
         false,
         true},
        {"directory",
         [](const ScratchDir &dir, Wants) { return dir.path(""); },
         {SALLY_CONFIG, {"a directory", "name a regular file"}},
         {},
         {Wants::Directory}},
        {"fifo",
         make_fifo,
         {SALLY_CONFIG, {"a FIFO", "name a regular file"}},
         {{Wants::Directory, no_directory}}},
        {"device",
         [](const ScratchDir &, Wants) { return std::string("/dev/zero"); },
         {SALLY_CONFIG, {"a device", "name a regular file"}},
         {{Wants::Directory, no_directory}}},
        {"socket", make_socket, {SALLY_SYSTEM, {"socket"}}, {{Wants::Directory, no_directory}}},
        {"loop", make_loop, {SALLY_SYSTEM, {"symbolic links"}}},
        {"huge",
         make_huge,
         {SALLY_LIMIT, {"8388609 bytes", "at most 8388608", "right file?"}},
         {{Wants::Directory, no_directory}}},
        {"empty",
         with_text(""),
         {SALLY_CONFIG, {"empty", "written in full?"}},
         {{Wants::Directory, no_directory}}},
        {"a mark and nothing",
         with_text("\xef\xbb\xbf"),
         {SALLY_CONFIG, {"empty"}},
         {{Wants::Directory, no_directory}},
         {},
         true},
        // Nothing in it.
        {"zeros",
         with_text(std::string(5000, '\0')),
         no_directory,
         found("no PEM at all"),
         {},
         true},
        {"binary",
         with_text("\x7f"
                   "ELF\x02\x01\xff\xfe\x80 and so on"),
         no_directory,
         found("no PEM at all"),
         {},
         true},
        {"text", with_text("<html>404</html>\n"), no_directory, found("no PEM at all"), {}, true},
        {"utf-16",
         with_text(std::string("\xff\xfe-\0-\0-\0", 8)),
         no_directory,
         found("UTF-16 text, which is to be saved as ASCII,"),
         {},
         true},
        // Something else in it.
        {"request", with_text(csr), no_directory, found("a certificate request"), {}, true},
        {"public key", with_text(public_key), no_directory, found("a public key"), {}, true},
        {"key",
         with_cert("server-key.pem"),
         no_directory,
         found("a private key"),
         {Wants::Key},
         true},
        {"certificate", with_cert("server.pem"), no_directory, found("a certificate"), certificates,
         true},
        {"revocation list",
         with_content([](Wants) { return crl_pem("ca", {}); }),
         no_directory,
         found("a revocation list"),
         {Wants::Crls},
         true},
        {"parameters",
         with_content([](Wants) { return dh_pem("ffdhe2048"); }),
         no_directory,
         found("Diffie-Hellman parameters"),
         {Wants::Dh},
         true},
        // The other encoding.
        {"certificate in DER",
         with_cert("server.der"),
         no_directory,
         found("no PEM at all",
               {{Wants::Chain, der_found}, {Wants::Roots, der_found}, {Wants::Names, der_found}}),
         {},
         true},
        {"key in DER",
         with_cert("server-key.der"),
         no_directory,
         found("no PEM at all",
               {{Wants::Key, {SALLY_CONFIG, {"not PEM (DER found)", "asn1", "openssl pkey"}}}}),
         {},
         true},
        {"half a revocation list in DER",
         with_content([](Wants) { return cut_in_half(crl_der("ca", {})); }),
         no_directory,
         found("no PEM at all"),
         {},
         true},
        // Damaged.
        {"cut off",
         with_content([](Wants w) { return cut_in_half(good_content(w)); }),
         cut_off,
         {{Wants::Key, key_cut_off}, {Wants::Directory, no_directory}},
         {},
         true},
        {"cut in its first line",
         with_text("-----BEGIN CERTIF"),
         cut_off,
         {{Wants::Key, nothing_usable.at(Wants::Key)}, {Wants::Directory, no_directory}},
         {},
         true},
        {"a line lost",
         with_content([](Wants w) { return without_a_line(good_content(w)); }),
         cut_off,
         {{Wants::Key, key_cut_off}, {Wants::Directory, no_directory}},
         {},
         true},
        {"NUL bytes inside",
         with_content([](Wants w) {
             std::string text = good_content(w);
             return text.replace(text.size() / 2, 8, std::string(8, '\0'));
         }),
         cut_off,
         {{Wants::Key, key_cut_off},
          {Wants::Ocsp, {SALLY_CONFIG, {"not signed by"}}},
          {Wants::Directory, no_directory}},
         {},
         true},
        {"the second cut off",
         with_content([](Wants w) { return good_content(w) + cut_in_half(good_content(w)); }),
         second_cut_off,
         {{Wants::Directory, no_directory}},
         {Wants::Key},
         true},
        // Too much of it.
        {"too many blocks",
         with_content([](Wants) { return blocks_of(SALLY_PEM_BLOCKS_MAX + 1); }),
         {SALLY_LIMIT, {"4097 blocks", "at most 4096", "right file?"}},
         {{Wants::Directory, no_directory}},
         {},
         true},
        {"no certificate inside",
         with_text("-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n"),
         cut_off,
         found("a certificate", {{Wants::Chain, cut_off},
                                 {Wants::Roots, cut_off},
                                 {Wants::Names, cut_off},
                                 {Wants::Directory, no_directory}}),
         {},
         true},
    };
}

// Bad for one kind of loader only.
const Row chain_rows[] = {
    {"wrong order",
     with_content([](Wants) { return cert("ca.pem") + cert("server.pem"); }),
     {SALLY_CONFIG, {"out of order", "Test CA", "put the leaf first"}},
     {},
     {},
     true},
    {"a stranger after the leaf",
     with_content([](Wants) { return cert("server.pem") + cert("other-ca.pem"); }),
     {SALLY_CONFIG, {"out of order", "put the leaf first"}},
     {},
     {},
     true},
    {"mismatched", with_cert("sni.pem"), {SALLY_CONFIG, {"match"}}, {}, {}, true},
    {"too long",
     with_content([](Wants) { return chain_of(SALLY_CHAIN_MAX + 1); }),
     {SALLY_LIMIT, {"101 certificates", "at most 100", "right file?"}},
     {},
     {},
     true},
};
const Row key_rows[] = {
    {"mismatched", with_cert("sni-key.pem"), {SALLY_CONFIG, {"match"}}, {}, {}, true},
    {"encrypted",
     with_cert("server-key-enc.pem"),
     {SALLY_CONFIG, {"encrypted", "passphrase callback", "ssl_key_options"}},
     {},
     {},
     true},
};
const Row dh_rows[] = {
    {"too small",
     with_content([](Wants) { return dh_pem("modp_1536"); }),
     {SALLY_CONFIG, {"1536 bits are too small", "2048", "ssl_dh4096_param_path()"}}},
    {"unsafe",
     with_content([](Wants) { return unsafe_dh_pem(); }),
     {SALLY_CONFIG, {"damaged or unsafe", "ssl_dh4096_param_path()"}}},
};

std::vector<Row> rows_for(const Loader &loader)
{
    std::vector<Row> rows = all_rows();
    auto add = [&](const Row *first, const Row *end) { rows.insert(rows.end(), first, end); };
    switch (loader.wants) {
    case Wants::Chain: add(std::begin(chain_rows), std::end(chain_rows)); break;
    case Wants::Key: add(std::begin(key_rows), std::end(key_rows)); break;
    case Wants::Dh: add(std::begin(dh_rows), std::end(dh_rows)); break;
    default: break;
    }
    return rows;
}

bool is_bad_for(const Row &row, const Loader &loader)
{
    for (Wants good : row.good_for) {
        if (good == loader.wants) {
            return false;
        }
    }
    return row.in_memory || !loader.in_memory;
}

// Every loader of PEM tells what it found; what is no response is that and nothing else.
const Told &told_to(const Row &row, const Loader &loader)
{
    auto found = row.but.find(loader.wants);
    if (found != row.but.end()) {
        return found->second;
    }
    bool is_content = row.in_memory && row.all.words[0] != "empty";
    return loader.wants == Wants::Ocsp && is_content ? no_response : row.all;
}

// ---- the matrix ----

// Root reads everything, so the thread becomes somebody else: the system call, unlike the C library's
// function of that name, changes this thread alone.
void become_nobody()
{
    constexpr int kNobody = 65534;
    if (geteuid() == 0) {
        ASSERT_EQ(0, syscall(SYS_setresuid, -1, kNobody, -1));
    }
}

class LoadMatrix : public testing::TestWithParam<Loader>
{
  protected:
    static constexpr std::chrono::seconds kBound{2};

    void SetUp() override
    {
        std::string issuer = cert_path("ca.pem");
        ASSERT_EQ(SALLY_OK,
                  ssl_load_verify_root_certificates(context_.get(), issuer.c_str(), nullptr));
    }

    // The call with one file, and what it was told.
    void refuse(const std::string &path, const Told &told)
    {
        const Loader &loader = GetParam();
        FdGuard fds;
        ssl_error err;
        poison_openssl_queue();
        auto begin = std::chrono::steady_clock::now();
        ssl_status status = loader.load(context_.get(), path.c_str(), &err);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, kBound);
        EXPECT_TRUE(is(told.status, status, err));
        EXPECT_TRUE(openssl_queue_is_empty());
        EXPECT_EQ(SALLY_PHASE_CONFIG, err.phase);
        expect_words(told, loader.in_memory ? "the label" : path.substr(0, 120), err.text);
    }

    static void expect_words(const Told &told, const std::string &file, const std::string &text)
    {
        EXPECT_NE(std::string::npos, text.find(file)) << text;
        for (const std::string &word : told.words) {
            EXPECT_NE(std::string::npos, text.find(word)) << "no \"" << word << "\" in: " << text;
        }
    }

    Context context_ = server_context();
    ScratchDir dir_;
};

TEST_P(LoadMatrix, C3_EachBadFileIsRefusedAtOnceAndChangesNothing_C2_E1)
{
    ASSERT_EQ(0, chmod(dir_.path("").c_str(), 0755)); // so that nobody gets as far as the file
    Built before(context_.get());
    Shake usual = shake(client_context().get(), context_.get());
    ASSERT_TRUE(usual);
    for (const Row &row : rows_for(GetParam())) {
        if (!is_bad_for(row, GetParam())) {
            continue;
        }
        SCOPED_TRACE(row.name);
        std::string path = row.make(dir_, GetParam().wants);
        in_new_thread([&] {
            if (row.as_nobody) {
                become_nobody();
            }
            refuse(path, told_to(row, GetParam()));
        });
        // A setter that changes anything drops what was built.
        EXPECT_EQ(before.ctx(), Built(context_.get()).ctx());
    }
    Shake after = shake(client_context().get(), context_.get());
    EXPECT_TRUE(after);
    EXPECT_EQ(usual.cipher, after.cipher);
    EXPECT_EQ(usual.exchange, after.exchange);
}

// What editors and mail do to text that is fine.
TEST_P(LoadMatrix, C3_LineEndsMarksAndTextAroundTheBlocksDoNoHarm)
{
    if (GetParam().wants == Wants::Directory || GetParam().wants == Wants::Ocsp) {
        GTEST_SKIP() << "no text";
    }
    const std::string good = good_content(GetParam().wants);
    std::string crlf;
    for (char byte : good) {
        crlf += byte == '\n' ? "\r\n" : std::string(1, byte);
    }
    const std::pair<const char *, std::string> variants[] = {
        {"as it is", good},
        {"CRLF", crlf},
        {"byte order mark", "\xef\xbb\xbf" + good},
        {"leading text", "Certificate:\n  of somebody\n\n" + good},
        {"trailing text", good + "\nand that was it"},
        {"no last line end", good.substr(0, good.size() - 1)},
    };
    for (const auto &variant : variants) {
        SCOPED_TRACE(variant.first);
        std::string path = dir_.write("good", variant.second);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, GetParam().load(context_.get(), path.c_str(), &err), err));
        EXPECT_TRUE(openssl_queue_is_empty());
    }
}

TEST(LoadBounds, C3_AsManyBlocksAndCertificatesAsTheySay)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string blocks = dir.write("blocks", cert("ca.pem") + blocks_of(SALLY_PEM_BLOCKS_MAX - 1));
    std::string chain = dir.write("chain", chain_of(SALLY_CHAIN_MAX));
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_OK, ssl_load_verify_root_certificates(context.get(), blocks.c_str(), &err), err));
    EXPECT_TRUE(is(SALLY_OK, ssl_load_certificate_chain(context.get(), chain.c_str(), &err), err));
    EXPECT_EQ(SALLY_CHAIN_MAX - 1, sk_X509_num(context->identity.issuers));
}

std::string name_of_loader(const testing::TestParamInfo<Loader> &info)
{
    return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(All, LoadMatrix, testing::ValuesIn(all_loaders()), name_of_loader);

// ---- sources that are only tried ----

TEST(LoadTried, C3_ABadSourceIsPassedOverAndChangesNothing)
{
    Context client = client_context();
    Built before(client.get());
    ScratchDir dir;
    for (const Row &row : all_rows()) {
        Loader roots = {"", Wants::Roots, {}, false};
        if (!is_bad_for(row, roots) || row.as_nobody) {
            continue;
        }
        SCOPED_TRACE(row.name);
        std::string path = row.make(dir, Wants::Roots);
        ssl_verify_source source = {SALLY_VERIFY_FILE, path.c_str()};
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_source(client.get(), &source, true, &err), err));
        EXPECT_TRUE(openssl_queue_is_empty());
        EXPECT_EQ(before.ctx(), Built(client.get()).ctx());
    }
    EXPECT_TRUE(shake(client.get(), server_context().get()));
}

} // namespace

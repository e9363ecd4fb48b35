// Files, and the certificates and keys in them: what is accepted, and what each bad file is told (C3).
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "crypto_fixture.h"
#include "support/guards.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// ---- bad files ----

using MakeFile = std::function<std::string(const ScratchDir &)>; // returns the path

MakeFile with_content(const std::function<std::string()> &content)
{
    return [content](const ScratchDir &dir) { return dir.write("bad", content()); };
}

std::string cut_in_half(const std::string &text)
{
    return text.substr(0, text.size() / 2);
}

std::string make_socket(const ScratchDir &dir)
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

std::string make_fifo(const ScratchDir &dir)
{
    EXPECT_EQ(0, mkfifo(dir.path("fifo").c_str(), 0600));
    return dir.path("fifo");
}

std::string make_huge(const ScratchDir &dir)
{
    std::string path = dir.write("huge", "x");
    EXPECT_EQ(0, truncate(path.c_str(), SALLY_FILE_MAX + 1L));
    return path;
}

const char csr[] = "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";

struct BadFile {
    const char *name;
    MakeFile make;
    ssl_status status;
    std::vector<std::string> words; // all in the text
};

std::ostream &operator<<(std::ostream &out, const BadFile &bad)
{
    return out << bad.name;
}

// Bad as a chain, as a key and as a verify source.
const BadFile bad_for_all[] = {
    {"missing",
     [](const ScratchDir &dir) { return dir.path("none"); },
     SALLY_SYSTEM,
     {"No such file"}},
    {"directory",
     [](const ScratchDir &dir) { return dir.path(""); },
     SALLY_CONFIG,
     {"a directory"}},
    {"fifo", make_fifo, SALLY_CONFIG, {"a FIFO"}},
    {"device",
     [](const ScratchDir &) { return std::string("/dev/zero"); },
     SALLY_CONFIG,
     {"a device"}},
    {"socket", make_socket, SALLY_SYSTEM, {"socket"}},
    {"huge", make_huge, SALLY_LIMIT, {"8388609 bytes"}},
    {"empty", with_content([] { return std::string(); }), SALLY_CONFIG, {"empty"}},
    {"zeros",
     with_content([] { return std::string(5000, '\0'); }),
     SALLY_CONFIG,
     {"no PEM at all"}},
    {"text", with_content([] { return std::string("hello\n"); }), SALLY_CONFIG, {"no PEM at all"}},
    {"request",
     with_content([] { return std::string(csr); }),
     SALLY_CONFIG,
     {"a certificate request"}},
    {"loop",
     [](const ScratchDir &dir) {
         EXPECT_EQ(0, symlink("loop", dir.path("loop").c_str()));
         return dir.path("loop");
     },
     SALLY_SYSTEM,
     {"symbolic links"}},
};

const BadFile bad_certificates[] = {
    {"der",
     [](const ScratchDir &) { return cert_path("server.der"); },
     SALLY_CONFIG,
     {"not PEM (DER found)", "openssl x509 -inform der"}},
    {"key",
     [](const ScratchDir &) { return cert_path("server-key.pem"); },
     SALLY_CONFIG,
     {"no certificate", "a private key found"}},
    {"cut",
     with_content([] { return cut_in_half(cert("server.pem")); }),
     SALLY_CONFIG,
     {"certificate 1", "cut off"}},
    {"second_cut",
     with_content([] { return cert("server.pem") + cut_in_half(cert("ca.pem")); }),
     SALLY_CONFIG,
     {"certificate 2", "cut off"}},
    {"second_cut_in_its_first_line",
     with_content([] { return cert("server.pem") + "-----BEGIN CERTIF"; }),
     SALLY_CONFIG,
     {"certificate 2", "cut off"}},
    {"garbled",
     with_content([] {
         return std::string("-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n");
     }),
     SALLY_CONFIG,
     {"certificate 1", "damaged"}},
};

const BadFile bad_chains[] = {
    {"wrong_order",
     with_content([] { return cert("ca.pem") + cert("server.pem"); }),
     SALLY_CONFIG,
     {"out of order", "leaf first", "Test CA"}},
    {"stranger_after_leaf",
     with_content([] { return cert("server.pem") + cert("other-ca.pem"); }),
     SALLY_CONFIG,
     {"out of order"}},
};

const BadFile bad_keys[] = {
    {"certificate",
     [](const ScratchDir &) { return cert_path("server.pem"); },
     SALLY_CONFIG,
     {"no private key", "a certificate found"}},
    {"der",
     [](const ScratchDir &) { return cert_path("server-key.der"); },
     SALLY_CONFIG,
     {"not PEM (DER found)", "asn1"}},
    {"cut",
     with_content([] { return cut_in_half(cert("server-key.pem")); }),
     SALLY_CONFIG,
     {"damaged or cut off"}},
    {"encrypted",
     [](const ScratchDir &) { return cert_path("server-key-enc.pem"); },
     SALLY_CONFIG,
     {"encrypted", "passphrase callback"}},
};

template <size_t N>
std::vector<BadFile> with_common(const BadFile (&more)[N])
{
    std::vector<BadFile> all(std::begin(bad_for_all), std::end(bad_for_all));
    all.insert(all.end(), std::begin(more), std::end(more));
    return all;
}

std::vector<BadFile> chain_cases()
{
    std::vector<BadFile> all = with_common(bad_certificates);
    all.insert(all.end(), std::begin(bad_chains), std::end(bad_chains));
    return all;
}

std::string name_of_case(const testing::TestParamInfo<BadFile> &info)
{
    return info.param.name;
}

// Refused with the right words, at once, with nothing left and nothing changed.
class BadFileTest : public testing::TestWithParam<BadFile>
{
  protected:
    template <class Load>
    void refuse(Load load)
    {
        std::string path = GetParam().make(dir_);
        FdGuard fds;
        ssl_error err;
        poison_openssl_queue();
        auto begin = std::chrono::steady_clock::now();
        ssl_status status = load(path.c_str(), &err);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
        EXPECT_TRUE(is(GetParam().status, status, err));
        EXPECT_TRUE(openssl_queue_is_empty());
        EXPECT_EQ(SALLY_PHASE_CONFIG, err.phase);
        std::string text = err.text;
        EXPECT_NE(std::string::npos, text.find(path.substr(0, 150))) << text;
        for (const std::string &word : GetParam().words) {
            EXPECT_NE(std::string::npos, text.find(word)) << "no \"" << word << "\" in: " << text;
        }
    }

    ScratchDir dir_;
};

using BadChain = BadFileTest;
TEST_P(BadChain, C3_IsRefusedAndChangesNothing)
{
    Context context = server_context();
    std::string before = shown_subject(context.get());
    refuse([&](const char *path, ssl_error *err) {
        return ssl_load_certificate_chain(context.get(), path, err);
    });
    EXPECT_EQ(before, shown_subject(context.get()));
    EXPECT_TRUE(shake(bare_client().get(), context.get()));
}
INSTANTIATE_TEST_SUITE_P(Load, BadChain, testing::ValuesIn(chain_cases()), name_of_case);

class BadKey : public BadFileTest
{
};
TEST_P(BadKey, C3_IsRefusedAndChangesNothing)
{
    Context context = server_context();
    refuse([&](const char *path, ssl_error *err) {
        return ssl_load_private_key(context.get(), path, nullptr, err);
    });
    EXPECT_TRUE(shake(bare_client().get(), context.get()));
}
INSTANTIATE_TEST_SUITE_P(Load, BadKey, testing::ValuesIn(with_common(bad_keys)), name_of_case);

class BadRoots : public BadFileTest
{
};
TEST_P(BadRoots, C3_AreRefusedAndChangeNothing)
{
    Context context = client_context();
    refuse([&](const char *path, ssl_error *err) {
        return ssl_load_verify_root_certificates(context.get(), path, err);
    });
    EXPECT_TRUE(shake(context.get(), server_context().get()));
}
INSTANTIATE_TEST_SUITE_P(Load, BadRoots, testing::ValuesIn(with_common(bad_certificates)),
                         name_of_case);

// As roots where a source that cannot be loaded is passed over.
class TriedRoots : public BadFileTest
{
};
TEST_P(TriedRoots, C3_ArePassedOver)
{
    Context context = client_context();
    std::string path = GetParam().make(dir_);
    ssl_verify_source source = {SALLY_VERIFY_FILE, path.c_str()};
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_source(context.get(), &source, true, &err), err));
    EXPECT_TRUE(openssl_queue_is_empty());
    EXPECT_TRUE(shake(context.get(), server_context().get()));
}
INSTANTIATE_TEST_SUITE_P(Load, TriedRoots, testing::ValuesIn(with_common(bad_certificates)),
                         name_of_case);

// ---- good files ----

ssl_status load_key(ssl_context *context, const std::string &path, const ssl_key_options *options,
                    ssl_error *err)
{
    return ssl_load_private_key(context, path.c_str(), options, err);
}

int say_sallyport(char *buf, int size, void *)
{
    const char passphrase[] = "sallyport";
    EXPECT_GE(size, 9);
    std::memcpy(buf, passphrase, 9);
    return 9;
}

int say_nonsense(char *buf, int, void *)
{
    buf[0] = 'x';
    return 1;
}

int say_nothing(char *, int, void *asked)
{
    *static_cast<int *>(asked) += 1;
    return -1;
}

int say_too_much(char *, int size, void *)
{
    return size + 1;
}

TEST(LoadKey, C3_DerOnRequest)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.asn1 = true;
    EXPECT_TRUE(
        is(SALLY_OK, load_key(context.get(), cert_path("server-key.der"), &options, &err), err));
}

TEST(LoadKey, C3_PemWhereDerWasPromisedSaysSo)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.asn1 = true;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "PEM found")) << err.text;
}

TEST(LoadKey, C3_EncryptedWithItsPassphrase)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.passphrase = say_sallyport;
    EXPECT_TRUE(is(SALLY_OK,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
}

TEST(LoadKey, C3_WrongPassphraseIsTold)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.passphrase = say_nonsense;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "passphrase is wrong")) << err.text;
    EXPECT_TRUE(openssl_queue_is_empty());
}

TEST(LoadKey, C3_CallbackMayGiveNone)
{
    Context context = bare_server();
    int asked = 0;
    ssl_key_options options = {};
    ssl_error err;
    options.passphrase = say_nothing;
    options.user = &asked;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "gave none")) << err.text;
    EXPECT_GE(asked, 1);
}

TEST(LoadKey, CallbackThatClaimsMoreThanTheRoomIsNotBelieved)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.passphrase = say_too_much;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key-enc.pem"), &options, &err), err));
}

TEST(LoadKey, C3_RsaOnlySkipsOthers)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string both = dir.write("both", cert("server-key.pem") + cert("server-rsa-key.pem"));
    ssl_key_options options = {};
    ssl_error err;
    options.rsa_only = true;
    EXPECT_TRUE(is(SALLY_OK, load_key(context.get(), both, &options, &err), err));
    EXPECT_EQ(EVP_PKEY_RSA, EVP_PKEY_get_base_id(context->identity.key));
}

TEST(LoadKey, C3_RsaOnlyWithoutOneNamesWhatThereIs)
{
    Context context = bare_server();
    ssl_key_options options = {};
    ssl_error err;
    options.rsa_only = true;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key.pem"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "EC found")) << err.text;
    options.asn1 = true;
    EXPECT_TRUE(is(SALLY_CONFIG,
                   load_key(context.get(), cert_path("server-key.der"), &options, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "EC found")) << err.text;
}

// As `openssl ecparam -genkey` writes it.
TEST(LoadKey, ParametersBeforeTheKeyArePassedOver)
{
    ScratchDir dir;
    Context context = bare_server();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey_traditional(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    char *text = nullptr;
    long size = BIO_get_mem_data(bio, &text);
    std::string parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                             "-----END EC PARAMETERS-----\n";
    std::string path = dir.write("key", parameters + std::string(text, static_cast<size_t>(size)));
    BIO_free(bio);
    EVP_PKEY_free(key);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, load_key(context.get(), path, nullptr, &err), err));
}

TEST(LoadIdentity, KeyAndChainMayShareAFile)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string path = dir.write("both", cert("chain-key.pem") + cert("chain.pem"));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_load_identity(context.get(), path.c_str(), path.c_str(), nullptr, &err),
                   err));
    EXPECT_EQ(1, sk_X509_num(context->identity.issuers));
}

TEST(LoadIdentity, TextAroundTheBlocksIsNoMatter)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string path = dir.write("chatty", "Certificate:\n  of somebody\n" + cert("server.pem") +
                                               "and that was it");
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_load_certificate_chain(context.get(), path.c_str(), &err), err));
}

// A path that is longer than the text of an error.
TEST(LoadIdentity, OverlongPathLeavesRoomForTheReason)
{
    Context context = bare_server();
    std::string path = "/" + std::string(3000, 'x');
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_SYSTEM, ssl_load_certificate_chain(context.get(), path.c_str(), &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "name too long")) << err.text;
}

// Root reads everything, so the thread becomes somebody else: the system call, unlike the C library's
// function of that name, changes this thread alone.
void become_nobody()
{
    constexpr int kNobody = 65534;
    if (geteuid() == 0) {
        ASSERT_EQ(0, syscall(SYS_setresuid, -1, kNobody, -1));
    }
}

TEST(LoadIdentity, UnreadableFileIsASystemError)
{
    ScratchDir dir;
    Context context = bare_server();
    std::string path = dir.write("secret", cert("server.pem"));
    ASSERT_EQ(0, chmod(path.c_str(), 0));
    in_new_thread([&] {
        ssl_error err;
        become_nobody();
        EXPECT_TRUE(
            is(SALLY_SYSTEM, ssl_load_certificate_chain(context.get(), path.c_str(), &err), err));
        EXPECT_EQ(EACCES, err.sys_errno);
    });
}

} // namespace

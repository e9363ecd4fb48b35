#include "support/forge.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace sallytest
{
namespace
{

// A file that is gone with the object.
class ScratchFile
{
  public:
    explicit ScratchFile(const std::string &content)
    {
        std::string pattern = std::filesystem::temp_directory_path() / "sally-forge-XXXXXX";
        int fd = mkstemp(pattern.data());
        EXPECT_GE(fd, 0);
        close(fd);
        path_ = pattern;
        std::ofstream(path_, std::ios::binary) << content;
    }
    ~ScratchFile()
    {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    ScratchFile(const ScratchFile &) = delete;
    ScratchFile &operator=(const ScratchFile &) = delete;
    const char *path() const
    {
        return path_.c_str();
    }

  private:
    std::string path_;
};

void put(X509_NAME *name, const char *field, const std::string &value)
{
    if (!value.empty()) {
        auto bytes = reinterpret_cast<const unsigned char *>(value.data());
        X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, bytes, static_cast<int>(value.size()),
                                   -1, 0);
    }
}

GENERAL_NAME *general_name(int type, ASN1_STRING *value, const void *bytes, size_t n)
{
    ASN1_STRING_set(value, bytes, static_cast<int>(n));
    GENERAL_NAME *name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, type, value);
    return name;
}

void put_alternative_names(X509 *x, const Forgery &what)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (const std::string &dns : what.dns) {
        sk_GENERAL_NAME_push(names,
                             general_name(GEN_DNS, ASN1_IA5STRING_new(), dns.data(), dns.size()));
    }
    for (const std::string &address : what.addresses) {
        ASN1_OCTET_STRING *bytes = a2i_IPADDRESS(address.c_str());
        std::string raw(reinterpret_cast<const char *>(ASN1_STRING_get0_data(bytes)),
                        static_cast<size_t>(ASN1_STRING_length(bytes)));
        ASN1_OCTET_STRING_free(bytes);
        sk_GENERAL_NAME_push(
            names, general_name(GEN_IPADD, ASN1_OCTET_STRING_new(), raw.data(), raw.size()));
    }
    if (sk_GENERAL_NAME_num(names) > 0) {
        EXPECT_EQ(1, X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT));
    }
    GENERAL_NAMES_free(names);
}

std::string text_of(BIO *bio)
{
    char *bytes = nullptr;
    long n = BIO_get_mem_data(bio, &bytes);
    std::string text(bytes, static_cast<size_t>(n));
    BIO_free(bio);
    return text;
}

void trust(ssl_context *context, const Forged &forged)
{
    ScratchFile root(forged.certificate);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_load_verify_root_certificates(context, root.path(), &err), err));
}

} // namespace

Forged forge(const Forgery &what)
{
    EVP_PKEY *key =
        what.ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519") : EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), what.begins);
    X509_gmtime_adj(X509_getm_notAfter(x), what.ends);
    put(X509_get_subject_name(x), "O", what.organization);
    put(X509_get_subject_name(x), "CN", what.common_name);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    put_alternative_names(x, what);
    const EVP_MD *hash = what.ed25519 ? nullptr : EVP_get_digestbyname(what.hash);
    EXPECT_GT(X509_sign(x, key, hash), 0);
    BIO *certificate = BIO_new(BIO_s_mem());
    BIO *secret = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(certificate, x);
    PEM_write_bio_PrivateKey(secret, key, nullptr, nullptr, 0, nullptr, nullptr);
    X509_free(x);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return Forged{text_of(certificate), text_of(secret)};
}

Context server_that_shows(const Forged &forged, ssl_protocol protocol)
{
    ScratchFile chain(forged.certificate);
    ScratchFile key(forged.key);
    ssl_context *context = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_make_server_context(protocol, &context, &err), err));
    ssl_status status = ssl_load_identity(context, chain.path(), key.path(), nullptr, &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    return Context(context);
}

Context client_that_trusts(const Forged &forged, ssl_protocol protocol)
{
    ssl_context *context = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_make_client_context(protocol, &context, &err), err));
    trust(context, forged);
    return Context(context);
}

} // namespace sallytest

// Certificates and keys from files of any content (C3): a load succeeds, or fails in words and changes
// nothing (C2); OpenSSL's queue is empty afterwards (E1).
#include "fuzz.h"

#include <cstring>

#include <openssl/err.h>

#include "sallyport/context.h"
#include "sallyport/load.h"

namespace
{

using Load = ssl_status (*)(ssl_context *context, const char *path, ssl_error *err);

int passphrase(char *buf, int size, void *)
{
    static const char word[] = "sallyport";
    FUZZ_CHECK(size >= static_cast<int>(sizeof word));
    std::memcpy(buf, word, sizeof word - 1);
    return sizeof word - 1;
}

ssl_status load_key(ssl_context *context, const char *path, ssl_error *err)
{
    ssl_key_options options = {};
    options.passphrase = passphrase;
    return ssl_load_private_key(context, path, &options, err);
}

ssl_status load_der_key(ssl_context *context, const char *path, ssl_error *err)
{
    ssl_key_options options = {};
    options.asn1 = true;
    return ssl_load_private_key(context, path, &options, err);
}

ssl_status load_rsa_key(ssl_context *context, const char *path, ssl_error *err)
{
    ssl_key_options options = {};
    options.rsa_only = true;
    return ssl_load_private_key(context, path, &options, err);
}

ssl_status load_both(ssl_context *context, const char *path, ssl_error *err)
{
    return ssl_load_identity(context, path, path, nullptr, err);
}

void check_load(Load load, const char *path)
{
    ssl_context *context = nullptr;
    FUZZ_CHECK(ssl_make_client_context(SALLY_PROTOCOL_AUTO, &context, nullptr) == SALLY_OK);
    ssl_error err = {};
    ssl_status status = load(context, path, &err);
    FUZZ_CHECK(ERR_peek_error() == 0);
    if (status != SALLY_OK) {
        FUZZ_CHECK(status == SALLY_CONFIG || status == SALLY_LIMIT || status == SALLY_UNSUPPORTED);
        FUZZ_CHECK(err.status == status && err.text[0] != '\0');
        FUZZ_CHECK(std::memchr(err.text, '\0', sizeof err.text) != nullptr);
        // A client with neither certificate nor key can be sealed; with one of them it cannot.
        FUZZ_CHECK(ssl_seal_context(context, nullptr) == SALLY_OK);
    }
    ssl_context_release(context);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sallyfuzz::File file(data, size);
    for (Load load : {ssl_load_certificate_chain, ssl_load_verify_root_certificates, load_key,
                      load_der_key, load_rsa_key, load_both}) {
        check_load(load, file.path());
    }
    return 0;
}

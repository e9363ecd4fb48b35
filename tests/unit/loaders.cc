#include "loaders.h"

#include "crypto_fixture.h"
#include "pki_fixture.h"
#include "support/ocsp_responses.h"

namespace sallytest
{

namespace
{

using Load = std::function<ssl_status(ssl_context *, const char *path, ssl_error *)>;

// ---- contexts, from files ----

ssl_status load_source(ssl_context *c, ssl_verify_source_kind kind, const char *path, ssl_error *e)
{
    ssl_verify_source source = {kind, path};
    return ssl_load_verify_source(c, &source, false, e);
}

// ---- contexts that are made anew ----

ssl_status make_with(const char *chain, const char *key, ssl_error *e)
{
    ssl_context_options options = SALLY_CONTEXT_OPTIONS;
    options.certificate_chain = chain;
    options.private_key = key;
    ssl_context *made = nullptr;
    ssl_status status = ssl_make_server_context_with(&options, &made, e);
    EXPECT_EQ(status == SALLY_OK, made != nullptr);
    ssl_context_release(made);
    return status;
}

ssl_status load_into_registry(const char *chain, const char *key, ssl_error *e)
{
    ssl_registry *made = nullptr;
    EXPECT_EQ(SALLY_OK, ssl_registry_new(&made, nullptr));
    Registry registry(made);
    ssl_registry_source source = SALLY_REGISTRY_SOURCE;
    source.chain_path = chain;
    source.key_path = key;
    ssl_status status = ssl_registry_load(made, "site", &source, e);
    ssl_context *found = nullptr;
    EXPECT_EQ(status == SALLY_OK, ssl_registry_get(made, "site", &found, nullptr) == SALLY_OK);
    ssl_context_release(found);
    return status;
}

// ---- the context of a listener ----

Load by_listener(std::function<ssl_status(ssl_listener *, const char *, ssl_error *)> load)
{
    return [load](ssl_context *c, const char *path, ssl_error *e) {
        ssl_listen_options options = SALLY_LISTEN_OPTIONS;
        options.host = "127.0.0.1";
        ssl_listener *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_listen(0, &options, c, &made, nullptr));
        Listener listener(made);
        return load(made, path, e);
    };
}

// ---- from memory ----

Load by_bytes(std::function<ssl_status(ssl_context *, const ssl_bytes *, ssl_error *)> load)
{
    return [load](ssl_context *c, const char *path, ssl_error *e) {
        std::string content = file_content(path);
        ssl_bytes bytes = {content.data(), content.size(), "the label"};
        return load(c, &bytes, e);
    };
}

ssl_status load_key_bytes(ssl_context *c, const ssl_bytes *key, ssl_error *e)
{
    return ssl_load_private_key_bytes(c, key, nullptr, e);
}

ssl_status load_listener_key(ssl_listener *l, const char *path, ssl_error *e)
{
    return ssl_listener_load_private_key(l, path, nullptr, e);
}

std::vector<Loader> make_loaders()
{
    static const std::string chain = cert_path("server.pem");
    static const std::string key = cert_path("server-key.pem");
    return {
        {"ssl_load_certificate_chain", Wants::Chain, ssl_load_certificate_chain},
        {"ssl_load_private_key", Wants::Key,
         [](ssl_context *c, const char *path, ssl_error *e) {
             return ssl_load_private_key(c, path, nullptr, e);
         }},
        {"ssl_load_identity_chain", Wants::Chain,
         [](ssl_context *c, const char *path, ssl_error *e) {
             return ssl_load_identity(c, path, key.c_str(), nullptr, e);
         }},
        {"ssl_load_identity_key", Wants::Key,
         [](ssl_context *c, const char *path, ssl_error *e) {
             return ssl_load_identity(c, chain.c_str(), path, nullptr, e);
         }},
        {"ssl_make_server_context_with_chain", Wants::Chain,
         [](ssl_context *, const char *path, ssl_error *e) {
             return make_with(path, key.c_str(), e);
         }},
        {"ssl_make_server_context_with_key", Wants::Key,
         [](ssl_context *, const char *path, ssl_error *e) {
             return make_with(chain.c_str(), path, e);
         }},
        {"ssl_registry_load_chain", Wants::Chain,
         [](ssl_context *, const char *path, ssl_error *e) {
             return load_into_registry(path, key.c_str(), e);
         }},
        {"ssl_registry_load_key", Wants::Key,
         [](ssl_context *, const char *path, ssl_error *e) {
             return load_into_registry(chain.c_str(), path, e);
         }},
        {"ssl_load_verify_root_certificates", Wants::Roots, ssl_load_verify_root_certificates},
        {"ssl_load_verify_source_file", Wants::Roots,
         [](ssl_context *c, const char *path, ssl_error *e) {
             return load_source(c, SALLY_VERIFY_FILE, path, e);
         }},
        {"ssl_load_verify_source_directory", Wants::Directory,
         [](ssl_context *c, const char *path, ssl_error *e) {
             return load_source(c, SALLY_VERIFY_DIRECTORY, path, e);
         }},
        {"ssl_load_suggested_certificate_authorities", Wants::Names,
         ssl_load_suggested_certificate_authorities},
        {"ssl_load_crls", Wants::Crls,
         [](ssl_context *c, const char *path, ssl_error *e) {
             return ssl_load_crls(c, path, false, e);
         }},
        {"ssl_server_context_enable_dhe", Wants::Dh, ssl_server_context_enable_dhe},
        {"ssl_load_ocsp_response", Wants::Ocsp, ssl_load_ocsp_response},
        {"ssl_listener_load_certificate_chain", Wants::Chain,
         by_listener(ssl_listener_load_certificate_chain)},
        {"ssl_listener_load_private_key", Wants::Key, by_listener(load_listener_key)},
        {"ssl_listener_load_verify_root_certificates", Wants::Roots,
         by_listener(ssl_listener_load_verify_root_certificates)},
        {"ssl_listener_load_suggested_certificate_authorities", Wants::Names,
         by_listener(ssl_listener_load_suggested_certificate_authorities)},
        {"ssl_load_certificate_chain_bytes", Wants::Chain,
         by_bytes(ssl_load_certificate_chain_bytes), true},
        {"ssl_load_private_key_bytes", Wants::Key, by_bytes(load_key_bytes), true},
        {"ssl_load_verify_root_certificates_bytes", Wants::Roots,
         by_bytes(ssl_load_verify_root_certificates_bytes), true},
    };
}

} // namespace

void PrintTo(const Loader &loader, std::ostream *out)
{
    *out << loader.name;
}

const std::vector<Loader> &all_loaders()
{
    static const std::vector<Loader> loaders = make_loaders();
    return loaders;
}

std::string good_content(Wants wants)
{
    switch (wants) {
    case Wants::Chain: return cert("server.pem");
    case Wants::Key: return cert("server-key.pem");
    case Wants::Crls: return crl_pem("ca", {});
    case Wants::Dh: return dh_pem("ffdhe2048");
    case Wants::Ocsp: return ocsp_response();
    default: return cert("ca.pem");
    }
}

} // namespace sallytest

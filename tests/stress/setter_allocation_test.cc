// The n-th allocation fails, for every n, in the setters of contexts and in what works on connections and
// sessions: MEMORY, nothing left, and the same call works right after it (C2, E2).
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>

#include <unistd.h>

#include "sallyport/keylog.h"
#include "sallyport/names.h"
#include "stress/sweeps.h"
#include "support/pairs.h"
#include "support/threads.h"
#include "support/watchdog.h"

using namespace sallytest;

namespace
{

using Set = std::function<ssl_status(ssl_context *, ssl_error *)>;

// One setter, and whose allocations it makes: ours, OpenSSL's.
struct Setter {
    const char *name;
    bool client;
    bool ours;
    bool openssl;
    Set set;
};

void PrintTo(const Setter &setter, std::ostream *out)
{
    *out << setter.name;
}

class SetterAllocation : public testing::TestWithParam<Setter>
{
  protected:
    void SetUp() override
    {
        watchdog_limit(static_cast<int>(long_run(55, 1500)));
        warm_up();
    }
};

// The one fault has been by then.
Set and_again(const Set &set)
{
    return [set](ssl_context *context, ssl_error *err) {
        ssl_status status = set(context, err);
        ssl_error again;
        EXPECT_TRUE(status == SALLY_OK || is(SALLY_OK, set(context, &again), again));
        return status;
    };
}

TEST_P(SetterAllocation, C2_ASetterThatFailedCanBeCalledAgain)
{
    const Setter &setter = GetParam();
    Trial trial = setter_trial(setter.client, and_again(setter.set));
    if (setter.ours) {
        sweep_allocations(setter.name, trial);
    }
    if (setter.openssl) {
        trial.stride = handshake_stride();
        sweep_openssl_allocations(setter.name, trial);
    }
}

// ---- what is set --------------------------------------------------------------------------------------

std::string bytes_of(const std::string &file)
{
    std::ifstream in(cert_path(file));
    std::ostringstream bytes;
    bytes << in.rdbuf();
    return bytes.str();
}

ssl_bytes view_of(const std::string &bytes)
{
    return {bytes.data(), bytes.size(), nullptr};
}

const ssl_alpn_name kNames[] = {SALLY_ALPN("h2"), SALLY_ALPN("http/1.1")};

void log_nothing(const char *, void *) {}

ssl_status set_alpn(ssl_context *context, ssl_error *err)
{
    return ssl_set_alpn(context, kNames, 2, err);
}

ssl_status set_server_alpn(ssl_context *context, ssl_error *err)
{
    return ssl_set_server_alpn(context, kNames, 2, true, err);
}

ssl_status set_keylogger(ssl_context *context, ssl_error *err)
{
    return ssl_set_keylogger(context, log_nothing, nullptr, err);
}

ssl_status set_keylog_file(ssl_context *context, ssl_error *err)
{
    std::string path = testing::TempDir() + "sally_setter_keylog";
    ssl_status status = ssl_set_keylog_file(context, path.c_str(), err);
    unlink(path.c_str());
    return status;
}

ssl_status load_chain(ssl_context *context, ssl_error *err)
{
    return ssl_load_certificate_chain(context, cert_path("chain.pem").c_str(), err);
}

ssl_status load_chain_bytes(ssl_context *context, ssl_error *err)
{
    static const std::string pem = bytes_of("chain.pem");
    ssl_bytes chain = view_of(pem);
    return ssl_load_certificate_chain_bytes(context, &chain, err);
}

ssl_status load_key(ssl_context *context, ssl_error *err)
{
    return ssl_load_private_key(context, cert_path("server-key.pem").c_str(), nullptr, err);
}

ssl_status load_key_bytes(ssl_context *context, ssl_error *err)
{
    static const std::string pem = bytes_of("server-key.pem");
    ssl_bytes key = view_of(pem);
    return ssl_load_private_key_bytes(context, &key, nullptr, err);
}

ssl_status load_identity_bytes(ssl_context *context, ssl_error *err)
{
    static const std::string chain_pem = bytes_of("chain.pem");
    static const std::string key_pem = bytes_of("chain-key.pem");
    ssl_bytes chain = view_of(chain_pem);
    ssl_bytes key = view_of(key_pem);
    return ssl_load_identity_bytes(context, &chain, &key, nullptr, err);
}

ssl_status load_roots_bytes(ssl_context *context, ssl_error *err)
{
    static const std::string pem = bytes_of("ca.pem");
    ssl_bytes roots = view_of(pem);
    return ssl_load_verify_root_certificates_bytes(context, &roots, err);
}

ssl_status load_default_sources(ssl_context *context, ssl_error *err)
{
    return ssl_load_default_verify_sources(context, err);
}

const Setter kSetters[] = {
    {"ssl_set_alpn", true, true, false, set_alpn},
    {"ssl_set_server_alpn", false, true, false, set_server_alpn},
    {"ssl_set_keylogger", true, true, false, set_keylogger},
    {"ssl_set_keylog_file", false, true, false, set_keylog_file},
    {"ssl_load_certificate_chain", false, true, true, load_chain},
    {"ssl_load_certificate_chain_bytes", false, false, true, load_chain_bytes},
    {"ssl_load_private_key", false, true, true, load_key},
    {"ssl_load_private_key_bytes", false, false, true, load_key_bytes},
    {"ssl_load_identity_bytes", false, false, true, load_identity_bytes},
    {"ssl_load_verify_root_certificates_bytes", true, false, true, load_roots_bytes},
};

INSTANTIATE_TEST_SUITE_P(Setters, SetterAllocation, testing::ValuesIn(kSetters),
                         [](const testing::TestParamInfo<Setter> &setter) {
                             return setter.param.name;
                         });

// ---- listeners, sessions, connections -----------------------------------------------------------------

class OtherAllocation : public testing::Test
{
  protected:
    void SetUp() override
    {
        watchdog_limit(static_cast<int>(long_run(55, 1500)));
        warm_up();
    }
};

using Load = ssl_status (*)(ssl_listener *, const char *, ssl_error *);

// Into a listener of its own for each try, because what is loaded adds up.
void sweep_load(const char *what, Load load, const std::string &file)
{
    std::string path = cert_path(file);
    Context context;
    Listener listener;
    Trial trial([&](ssl_error *err) { return load(listener.get(), path.c_str(), err); });
    trial.prepare = [&] {
        context = server_context();
        listener = listen_on_loopback(context.get());
    };
    trial.cleanup = [&] {
        listener.reset();
        context.reset();
    };
    sweep_allocations(what, trial);
    trial.stride = handshake_stride();
    sweep_openssl_allocations(what, trial);
}

ssl_status load_listeners_key(ssl_listener *listener, const char *path, ssl_error *err)
{
    return ssl_listener_load_private_key(listener, path, nullptr, err);
}

TEST_F(OtherAllocation, C3_TheLoadingFormsOfAListener)
{
    sweep_load("ssl_listener_load_certificate_chain", ssl_listener_load_certificate_chain,
               "server.pem");
    sweep_load("ssl_listener_load_private_key", load_listeners_key, "server-key.pem");
    sweep_load("ssl_listener_load_verify_root_certificates",
               ssl_listener_load_verify_root_certificates, "ca.pem");
    sweep_load("ssl_listener_load_suggested_certificate_authorities",
               ssl_listener_load_suggested_certificate_authorities, "ca.pem");
}

TEST_F(OtherAllocation, C3_DefaultVerifySources)
{
    std::string roots = cert_path("ca.pem");
    ssl_verify_source source = {SALLY_VERIFY_FILE, roots.c_str()};
    sweep_allocations("ssl_default_verify_sources_set", [&](ssl_error *err) {
        return ssl_default_verify_sources_set(&source, 1, err);
    });
    sweep_both("ssl_load_default_verify_sources", setter_trial(true, load_default_sources));
    ssl_verify_source usual = {SALLY_VERIFY_DEFAULT, nullptr};
    EXPECT_EQ(SALLY_OK, ssl_default_verify_sources_set(&usual, 1, nullptr));
}

TEST_F(OtherAllocation, C6_SessionsAsBytes)
{
    Pair pair = connected_pair(SALLY_PROTOCOL_TLS12);
    ASSERT_TRUE(pair);
    ssl_session *left = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_port_session(pair.client.in(), &left, nullptr));
    Session session(left);
    unsigned char bytes[SALLY_SESSION_SIZE_MAX];
    size_t length = 0;
    sweep_openssl_allocations("ssl_session_serialize", Trial([&](ssl_error *err) {
                                  return ssl_session_serialize(session.get(), bytes, sizeof bytes,
                                                               &length, err);
                              }));
    ASSERT_GT(length, 0u);
    sweep_both("ssl_session_parse", Trial([&](ssl_error *err) {
                   ssl_session *made = nullptr;
                   ssl_status status = ssl_session_parse(bytes, length, &made, err);
                   EXPECT_EQ(status == SALLY_OK, made != nullptr);
                   ssl_session_release(made);
                   return status;
               }));
}

TEST_F(OtherAllocation, C6_WhatAConnectionTells)
{
    Pair pair = connected_pair();
    ASSERT_TRUE(pair);
    const ssl_port *in = pair.client.in();
    sweep_openssl_allocations("ssl_channel_binding", Trial([&](ssl_error *err) {
                                  ssl_binding binding;
                                  return ssl_default_channel_binding(in, &binding, err);
                              }));
    sweep_openssl_allocations("ssl_peer_issuer_name", Trial([&](ssl_error *err) {
                                  char text[200];
                                  size_t length = 0;
                                  return ssl_peer_issuer_name(in, text, sizeof text, &length, err);
                              }));
    sweep_openssl_allocations("ssl_port_try_verify", Trial([&](ssl_error *err) {
                                  return ssl_port_try_verify(pair.client.in(), true, err);
                              }));
}

} // namespace

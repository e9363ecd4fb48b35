// The error idiom (E1, E2, E3) over the calls of contexts, listeners and ports.
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <openssl/err.h>

#include "sallyport/digest.h"
#include "support/guards.h"
#include "support/pairs.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

// What an unrelated part of the program may have left in OpenSSL's queue: each entry looks like
// something that a careless caller would believe.
void poison()
{
    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
    ERR_raise(ERR_LIB_SSL, SSL_R_UNEXPECTED_EOF_WHILE_READING);
    ERR_raise(ERR_LIB_SSL, SSL_AD_REASON_OFFSET + 40);
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
}

struct Call {
    const char *name;
    ssl_status expected;
    std::function<ssl_status(ssl_error *)> make;
};

// Each call gives what it should with a poisoned queue, and leaves it empty.
void expect_unpoisoned(const std::vector<Call> &calls)
{
    for (const Call &call : calls) {
        SCOPED_TRACE(call.name);
        poison();
        ssl_error err = {};
        ssl_status status = call.make(&err);
        EXPECT_TRUE(is(call.expected, status, err));
        EXPECT_EQ(0u, ERR_peek_error()) << "the queue is not empty";
        EXPECT_EQ(0u, status == SALLY_OK ? 0 : err.ossl_code == ERR_PACK(ERR_LIB_PEM, 0, 108));
        ERR_clear_error();
    }
}

} // namespace

TEST(Error, E1_ReadingWithAPoisonedQueue)
{
    RawPair pair = client_of_raw();
    ASSERT_TRUE(pair);
    ssl_port *in = pair.ours.in();
    pair.raw->write_all("abcdef\nxyz");
    char buf[100];
    size_t got = 0;
    bool ready = false;
    Break limit = deadline_in_ms(0);
    expect_unpoisoned({
        {"peek", SALLY_OK, [&](ssl_error *err) { return ssl_peek(in, buf, 1, &got, err); }},
        {"line", SALLY_OK, [&](ssl_error *err) { return ssl_read_line(in, buf, 99, &got, err); }},
        {"read", SALLY_OK, [&](ssl_error *err) { return ssl_read(in, buf, 1, &got, err); }},
        {"full", SALLY_OK, [&](ssl_error *err) { return ssl_read_full(in, buf, 2, &got, err); }},
        {"ready", SALLY_OK, [&](ssl_error *err) { return ssl_byte_ready(in, &ready, err); }},
        {"available", SALLY_OK,
         [&](ssl_error *err) { return ssl_read_available(in, buf, 1, &got, err); }},
        {"timeout", SALLY_TIMEOUT,
         [&](ssl_error *err) { return ssl_read_enable_break(in, buf, 1, limit.get(), &got, err); }},
        {"usage", SALLY_USAGE, [&](ssl_error *err) { return ssl_read(in, buf, 1, nullptr, err); }},
    });
    pair.raw->send_goodbye();
    expect_unpoisoned({
        {"eof", SALLY_EOF, [&](ssl_error *err) { return ssl_read(in, buf, 1, &got, err); }},
        {"eof again", SALLY_EOF, [&](ssl_error *err) { return ssl_read(in, buf, 1, &got, err); }},
    });
}

TEST(Error, E1_TruncationWithAPoisonedQueue)
{
    RawPair pair = client_of_raw();
    ASSERT_TRUE(pair);
    pair.raw->end();
    char buf[1];
    size_t got = 0;
    expect_unpoisoned({{"cut", SALLY_TRUNCATED, [&](ssl_error *err) {
                            return ssl_read(pair.ours.in(), buf, 1, &got, err);
                        }}});
}

TEST(Error, E1_WritingAndClosingWithAPoisonedQueue)
{
    RawPair pair = client_of_raw();
    ASSERT_TRUE(pair);
    ssl_port *out = pair.ours.out();
    ssl_endpoints ends;
    expect_unpoisoned({
        {"write", SALLY_OK, [&](ssl_error *err) { return ssl_write(out, "abc", 3, nullptr, err); }},
        {"available", SALLY_OK,
         [&](ssl_error *err) { return ssl_write_available(out, "d", 1, nullptr, err); }},
        {"flush", SALLY_OK, [&](ssl_error *err) { return ssl_flush(out, err); }},
        {"addresses", SALLY_OK, [&](ssl_error *err) { return ssl_addresses(out, &ends, err); }},
        {"close", SALLY_OK, [&](ssl_error *err) { return ssl_close_port(out, err); }},
        {"closed", SALLY_CLOSED,
         [&](ssl_error *err) { return ssl_write(out, "x", 1, nullptr, err); }},
        {"close input", SALLY_OK,
         [&](ssl_error *err) { return ssl_close_port(pair.ours.in(), err); }},
    });
    std::string got;
    EXPECT_EQ(Raw::Eof, pair.raw->read_to_end(&got));
    EXPECT_EQ("abcd", got);
}

TEST(Error, E1_ContextsWithAPoisonedQueue)
{
    ssl_context *context = nullptr;
    std::string chain = cert_path("server.pem");
    std::string key = cert_path("server-key.pem");
    std::string roots = cert_path("ca.pem");
    std::string der = cert_path("server.der");
    expect_unpoisoned({
        {"make", SALLY_OK,
         [&](ssl_error *err) {
             return ssl_make_server_context(SALLY_PROTOCOL_AUTO, &context, err);
         }},
        {"not PEM", SALLY_CONFIG,
         [&](ssl_error *err) { return ssl_load_certificate_chain(context, der.c_str(), err); }},
        {"chain", SALLY_OK,
         [&](ssl_error *err) { return ssl_load_certificate_chain(context, chain.c_str(), err); }},
        {"key", SALLY_OK,
         [&](ssl_error *err) { return ssl_load_private_key(context, key.c_str(), nullptr, err); }},
        {"roots", SALLY_OK,
         [&](ssl_error *err) {
             return ssl_load_verify_root_certificates(context, roots.c_str(), err);
         }},
        {"missing", SALLY_SYSTEM,
         [&](ssl_error *err) {
             return ssl_load_verify_root_certificates(context, "/nowhere/roots.pem", err);
         }},
        {"ciphers", SALLY_OK,
         [&](ssl_error *err) { return ssl_set_ciphers(context, "ECDHE+AESGCM", err); }},
        {"no ciphers", SALLY_CONFIG,
         [&](ssl_error *err) { return ssl_set_ciphers(context, "NO-SUCH-CIPHER", err); }},
        {"seal", SALLY_OK, [&](ssl_error *err) { return ssl_seal_context(context, err); }},
        {"sealed", SALLY_SEALED,
         [&](ssl_error *err) { return ssl_load_certificate_chain(context, chain.c_str(), err); }},
    });
    ssl_context_release(context);
}

// In Racket one failed load poisons the next read of an unrelated connection.
TEST(Error, E1_FailedLoadDoesNotDisturbAnUnrelatedConnection)
{
    RawPair pair = client_of_raw();
    Context context = client_context();
    ASSERT_TRUE(pair);
    pair.raw->write_all("fine");
    std::string der = cert_path("server.der");
    EXPECT_NE(SALLY_OK, ssl_load_verify_root_certificates(context.get(), der.c_str(), nullptr));
    EXPECT_NE(SALLY_OK, ssl_load_verify_root_certificates(context.get(), "/nowhere", nullptr));
    char buf[4];
    size_t got = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_read_full(pair.ours.in(), buf, 4, &got, &err), err));
}

TEST(Error, E1_ConnectAndAcceptWithAPoisonedQueue)
{
    Context server = server_context();
    Context client = client_context();
    Listener listener = listen_on_loopback(server.get());
    Ports theirs;
    Thread connector([&] {
        poison();
        ssl_error err;
        EXPECT_TRUE(
            is(SALLY_OK,
               ssl_connect("127.0.0.1", port_of(listener.get()), client.get(), theirs.fill(), &err),
               err));
        EXPECT_EQ(0u, ERR_peek_error());
    });
    Ports ours;
    expect_unpoisoned({{"accept", SALLY_OK, [&](ssl_error *err) {
                            return ssl_accept(listener.get(), ours.fill(), err);
                        }}});
}

// ---- out-parameters -----------------------------------------------------------------------------

namespace
{

template <class T>
T *not_null()
{
    static char somewhere;
    return reinterpret_cast<T *>(&somewhere);
}

ssl_ports not_null_ports()
{
    return {not_null<ssl_port>(), not_null<ssl_port>()};
}

bool is_null(const ssl_ports &ports)
{
    return ports.in == nullptr && ports.out == nullptr;
}

} // namespace

TEST(Error, E2_ContextIsNullOnFailure)
{
    ssl_error err;
    ssl_context *context = not_null<ssl_context>();
    auto unknown = static_cast<ssl_protocol>(77);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_make_client_context(unknown, &context, &err), err));
    EXPECT_EQ(nullptr, context);
    context = not_null<ssl_context>();
    EXPECT_TRUE(
        is(SALLY_UNSUPPORTED, ssl_make_server_context(SALLY_PROTOCOL_SSLV2, &context, &err), err));
    EXPECT_EQ(nullptr, context);
}

TEST(Error, E2_PortsAreNullOnFailure)
{
    ClosedPort nobody;
    ssl_error err;
    ssl_ports ports = not_null_ports();
    EXPECT_TRUE(
        is(SALLY_SYSTEM, ssl_connect("127.0.0.1", nobody.port(), nullptr, &ports, &err), err));
    EXPECT_TRUE(is_null(ports));
    ports = not_null_ports();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_connect("127.0.0.1", 70000, nullptr, &ports, &err), err));
    EXPECT_TRUE(is_null(ports));
    ports = not_null_ports();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_connect(nullptr, 443, nullptr, &ports, &err), err));
    EXPECT_TRUE(is_null(ports));
    ports = not_null_ports();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_accept(nullptr, &ports, &err), err));
    EXPECT_TRUE(is_null(ports));
}

TEST(Error, E2_ListenerIsNullOnFailure)
{
    Context client = client_context();
    ssl_error err;
    ssl_listener *listener = not_null<ssl_listener>();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(0, nullptr, client.get(), &listener, &err), err));
    EXPECT_EQ(nullptr, listener);
    listener = not_null<ssl_listener>();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(-1, nullptr, client.get(), &listener, &err), err));
    EXPECT_EQ(nullptr, listener);
}

TEST(Error, E2_RegistryGetIsNullOnFailure)
{
    ssl_error err;
    ssl_registry *made = nullptr;
    ASSERT_TRUE(is(SALLY_OK, ssl_registry_new(&made, &err), err));
    Registry registry(made);
    ssl_context *context = not_null<ssl_context>();
    EXPECT_TRUE(is(SALLY_CONFIG, ssl_registry_get(made, "nobody", &context, &err), err));
    EXPECT_EQ(nullptr, context);
}

TEST(Error, E2_ServerAndBreakAreNullOnFailure)
{
    ssl_error err;
    ssl_server_options options = SALLY_SERVER_OPTIONS; // no handler
    ssl_server *server = not_null<ssl_server>();
    EXPECT_TRUE(is(SALLY_USAGE, ssl_server_new(&options, &server, &err), err));
    EXPECT_EQ(nullptr, server);
    Break deepest = new_break();
    for (int i = 1; i < SALLY_BREAK_DEPTH_MAX; i++) {
        deepest = new_break(deepest.get());
    }
    ssl_break *brk = not_null<ssl_break>();
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_break_new(deepest.get(), &brk, &err), err));
    EXPECT_EQ(nullptr, brk);
}

TEST(Error, E3_EveryCallTakesNullForItsError)
{
    ssl_context *context = nullptr;
    ssl_ports ports = not_null_ports();
    EXPECT_EQ(SALLY_USAGE, ssl_connect("127.0.0.1", 0, nullptr, &ports, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_accept(nullptr, &ports, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_listen(0, nullptr, nullptr, nullptr, nullptr));
    EXPECT_EQ(SALLY_UNSUPPORTED, ssl_make_client_context(SALLY_PROTOCOL_SSLV2, &context, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_close_port(nullptr, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_server_new(nullptr, nullptr, nullptr));
    EXPECT_EQ(SALLY_USAGE, ssl_registry_new(nullptr, nullptr));
}

// Every text names the call, so that a log line of its own is enough.
TEST(Error, TextNamesTheCall)
{
    ssl_error err;
    char byte;
    size_t got = 0;
    ssl_read(nullptr, &byte, 1, &got, &err);
    EXPECT_EQ(0, strncmp("ssl_read:", err.text, 9)) << err.text;
    ssl_close_port(nullptr, &err);
    EXPECT_EQ(0, strncmp("ssl_close_port:", err.text, 15)) << err.text;
}

// Those of a break and of a deadline too, which are made far below.
TEST(Error, TextOfABreakAndOfADeadlineNamesTheCall)
{
    Context client = client_context();
    Context server = server_context();
    Listener door = listen_on_loopback(server.get());
    Pair pair = connected_pair();
    ssl_transport over = ssl_transport_ports({pair.server.in(), pair.server.out()});
    ssl_wrap_options upgrade = SALLY_WRAP_OPTIONS;
    upgrade.context = server.get();
    upgrade.error_call = "starttls";
    ssl_event event = {};
    event.listener = door.get();
    ssl_digest_source in = ssl_digest_of_port(pair.client.in());
    char hex[SALLY_SHA256_HEX_SIZE];
    char byte = 'x';
    size_t n = 0;
    ssl_ports ports;
    auto calls = [&](ssl_break *brk) {
        return std::vector<std::pair<const char *, std::function<ssl_status(ssl_error *)>>>{
            {"ssl_read_enable_break",
             [&, brk](ssl_error *e) {
                 return ssl_read_enable_break(pair.client.in(), &byte, 1, brk, &n, e);
             }},
            {"ssl_write_enable_break",
             [&, brk](ssl_error *e) {
                 return ssl_write_enable_break(pair.client.out(), &byte, 1, brk, &n, e);
             }},
            {"ssl_sha256_enable_break",
             [&, brk](ssl_error *e) { return ssl_sha256_enable_break(&in, brk, hex, e); }},
            {"ssl_accept",
             [&, brk](ssl_error *e) {
                 return ssl_accept_enable_break(door.get(), brk, &ports, e);
             }},
            {"ssl_sync",
             [&, brk](ssl_error *e) { return ssl_sync_enable_break(&event, 1, brk, &n, e); }},
            {"ssl_connect_enable_break",
             [&, brk](ssl_error *e) {
                 return ssl_connect_enable_break("127.0.0.1", port_of(door.get()), client.get(),
                                                 brk, &ports, e);
             }},
            {"starttls",
             [&, brk](ssl_error *e) {
                 return ssl_wrap_ports_enable_break(&over, &upgrade, brk, &ports, e);
             }},
            {"ssl_wait_fd_enable_break",
             [&, brk](ssl_error *e) { return ssl_wait_fd_enable_break(0, false, brk, e); }},
        };
    };
    Break broken = new_break();
    Break late = deadline_in_ms(0);
    ssl_break_send(broken.get(), 1);
    for (ssl_break *brk : {broken.get(), late.get()}) {
        for (const auto &call : calls(brk)) {
            ssl_error err;
            ssl_status wanted = brk == broken.get() ? SALLY_BREAK : SALLY_TIMEOUT;
            EXPECT_TRUE(is(wanted, call.second(&err), err));
            EXPECT_EQ(0, strncmp((std::string(call.first) + ": ").c_str(), err.text,
                                 strlen(call.first) + 2))
                << call.first << ": " << err.text;
        }
    }
}

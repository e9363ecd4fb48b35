// The n-th allocation fails, for every n, in every public constructor: ours gives MEMORY, NULL outputs
// and leaves nothing; inside OpenSSL there is no crash, no lost descriptor, and a clear error (E2).
#include "sallyport/digest.h"
#include "sallyport/library.h"
#include "stress/sweeps.h"
#include "support/guards.h"
#include "support/loop_pairs.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"
#include "support/watchdog.h"

extern "C" {
#include "mem.h"
}

using namespace sallytest;

namespace
{

class Allocation : public testing::Test
{
  protected:
    void SetUp() override
    {
        watchdog_limit(static_cast<int>(long_run(55, 1500)));
        warm_up();
    }
};

ssl_status make_and_release(ssl_status (*make)(ssl_protocol, ssl_context **, ssl_error *),
                            ssl_error *err)
{
    ssl_context *context = nullptr;
    ssl_status status = make(SALLY_PROTOCOL_AUTO, &context, err);
    EXPECT_EQ(status == SALLY_OK, context != nullptr);
    ssl_context_release(context);
    return status;
}

// A raw server that serves one client after the other until it is told to stop.
class RawServer
{
  public:
    RawServer() : thread_([this] { run(); }) {}
    ~RawServer()
    {
        stop_ = true;
        connect_to(listener_.port());
        thread_.join();
    }
    int port() const
    {
        return listener_.port();
    }

  private:
    void run()
    {
        for (;;) {
            Fd fd = listener_.accept();
            if (stop_) {
                return;
            }
            auto raw = raw_peer(std::move(fd), raw_server());
            std::string none;
            if (raw->handshake() == Raw::Ok) {
                raw->read_to_end(&none);
            }
        }
    }

    RawListener listener_;
    std::atomic<bool> stop_{false};
    Thread thread_;
};

ssl_served never_called(ssl_connection *, ssl_port *, ssl_port *, void *)
{
    return SALLY_DONE;
}

ssl_server_options server_options()
{
    ssl_server_options options = SALLY_SERVER_OPTIONS;
    options.handler = never_called;
    options.workers = 2;
    return options;
}

} // namespace

// ---- tokens -------------------------------------------------------------------------------------

TEST_F(Allocation, E2_BreakNew)
{
    sweep_allocations("ssl_break_new", [](ssl_error *err) {
        ssl_break *made = nullptr;
        ssl_status status = ssl_break_new(nullptr, &made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        ssl_break_release(made);
        return status;
    });
}

TEST_F(Allocation, E2_BreakNewDeadline)
{
    Break parent = new_break();
    sweep_allocations("ssl_break_new_deadline", [&](ssl_error *err) {
        ssl_break *made = nullptr;
        ssl_status status =
            ssl_break_new_deadline(parent.get(), ssl_deadline_after_ms(5), &made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        ssl_break_release(made);
        return status;
    });
}

// Each try in a new thread, which has no token yet.
TEST_F(Allocation, E2_BreakSelf)
{
    ssl_status status = SALLY_MEMORY;
    long nth = 1;
    for (; nth < 100 && status != SALLY_OK; nth++) {
        LeakGuard leaks;
        in_new_thread([&] {
            ssl_break *own = nullptr;
            ssl_error err;
            sally_mem_fail_at(nth, 0);
            status = ssl_break_self(&own, &err);
            sally_mem_fail_at(0, 0);
            EXPECT_EQ(status == SALLY_OK, own != nullptr);
            EXPECT_TRUE(status == SALLY_OK || is(SALLY_MEMORY, status, err));
        });
    }
    EXPECT_GT(nth, 2);
    EXPECT_EQ(SALLY_OK, status);
}

// ---- contexts -----------------------------------------------------------------------------------

TEST_F(Allocation, E2_MakeClientContext)
{
    sweep_allocations("ssl_make_client_context", [](ssl_error *err) {
        return make_and_release(ssl_make_client_context, err);
    });
}

TEST_F(Allocation, E2_MakeServerContext)
{
    sweep_allocations("ssl_make_server_context", [](ssl_error *err) {
        return make_and_release(ssl_make_server_context, err);
    });
}

// Setting the default sources drops the cached one.
TEST_F(Allocation, E2_SecureClientContext)
{
    std::string roots = cert_path("ca.pem");
    ssl_verify_source source = {SALLY_VERIFY_FILE, roots.c_str()};
    Trial trial([](ssl_error *err) {
        ssl_context *context = nullptr;
        ssl_status status = ssl_secure_client_context(&context, err);
        EXPECT_EQ(status == SALLY_OK, context != nullptr);
        ssl_context_release(context);
        return status;
    });
    trial.prepare = [&] {
        EXPECT_EQ(SALLY_OK, ssl_default_verify_sources_set(&source, 1, nullptr));
    };
    sweep_both("ssl_secure_client_context", trial);
    ssl_verify_source usual = {SALLY_VERIFY_DEFAULT, nullptr};
    EXPECT_EQ(SALLY_OK, ssl_default_verify_sources_set(&usual, 1, nullptr));
}

TEST_F(Allocation, C2_LoadIdentityAndSeal)
{
    std::string chain = cert_path("chain.pem");
    std::string key = cert_path("chain-key.pem");
    auto load = [&](ssl_context *context, ssl_error *err) {
        ssl_status status = ssl_load_identity(context, chain.c_str(), key.c_str(), nullptr, err);
        return status == SALLY_OK ? ssl_seal_context(context, err) : status;
    };
    sweep_both("ssl_load_identity", setter_trial(false, load));
}

TEST_F(Allocation, C3_LoadVerifySources)
{
    std::string roots = cert_path("ca.pem");
    auto load = [&](ssl_context *context, ssl_error *err) {
        return ssl_load_verify_root_certificates(context, roots.c_str(), err);
    };
    sweep_both("ssl_load_verify_root_certificates", setter_trial(true, load));
}

TEST_F(Allocation, C3_SetCiphers)
{
    auto set = [](ssl_context *context, ssl_error *err) {
        ssl_status status = ssl_set_ciphers(context, "ECDHE+AESGCM", err);
        return status == SALLY_OK ? ssl_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256", err)
                                  : status;
    };
    sweep_both("ssl_set_ciphers", setter_trial(true, set));
}

TEST_F(Allocation, C5_Registry)
{
    Context context = server_context();
    ASSERT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    sweep_allocations("ssl_registry", [&](ssl_error *err) {
        ssl_registry *made = nullptr;
        ssl_status status = ssl_registry_new(&made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        Registry registry(made);
        if (status == SALLY_OK) {
            status = ssl_registry_put(made, "one", context.get(), err);
        }
        if (status == SALLY_OK) {
            status = ssl_registry_replace(made, "one", context.get(), err);
        }
        return status;
    });
}

// ---- connections --------------------------------------------------------------------------------

namespace
{

// With a context of its own for each try: the first use builds the SSL_CTX.
struct ListenScene {
    Context context;

    ssl_status listen(ssl_error *err)
    {
        ssl_listen_options options = SALLY_LISTEN_OPTIONS;
        options.host = "127.0.0.1";
        ssl_listener *listener = nullptr;
        ssl_status status = ssl_listen(0, &options, context.get(), &listener, err);
        EXPECT_EQ(status == SALLY_OK, listener != nullptr);
        ssl_free_listener(listener);
        return status;
    }

    Trial trial()
    {
        Trial made([this](ssl_error *err) { return listen(err); });
        made.prepare = [this] { context = server_context(); };
        made.cleanup = [this] { context.reset(); };
        return made;
    }
};

} // namespace

TEST_F(Allocation, E2_Listen)
{
    ListenScene scene;
    sweep_both("ssl_listen", scene.trial());
}

TEST_F(Allocation, E2_ListenSocketCalls)
{
    ListenScene scene;
    sweep_socket_calls("ssl_listen", EMFILE, scene.trial());
}

namespace
{

Trial connect_trial(int port, ssl_context *context)
{
    return Trial([port, context](ssl_error *err) {
        Ports ports;
        ssl_status status = ssl_connect("127.0.0.1", port, context, ports.fill(), err);
        EXPECT_EQ(status == SALLY_OK, static_cast<bool>(ports));
        return status;
    });
}

} // namespace

TEST_F(Allocation, E2_Connect)
{
    RawServer server;
    Context context = client_context();
    sweep_allocations("ssl_connect", connect_trial(server.port(), context.get()));
}

TEST_F(Allocation, E2_ConnectInsideOpenSSL)
{
    RawServer server;
    Context context = client_context();
    Trial trial = connect_trial(server.port(), context.get());
    trial.stride = handshake_stride();
    sweep_openssl_allocations("ssl_connect", trial);
}

namespace
{

// A listener of its own for each try, and a raw client before it.
struct AcceptScene {
    Context context = server_context();
    Listener listener;
    std::unique_ptr<Thread> client;

    void prepare()
    {
        listener = listen_on_loopback(context.get());
        int port = port_of(listener.get());
        client = std::make_unique<Thread>([port] {
            auto raw = raw_peer(connect_to(port), raw_client());
            std::string none;
            if (raw->handshake() == Raw::Ok) {
                raw->read_to_end(&none);
            }
        });
    }

    void cleanup()
    {
        listener.reset();
        client.reset();
    }

    Trial trial()
    {
        Trial made([this](ssl_error *err) {
            Ports ports;
            ssl_status status = ssl_accept(listener.get(), ports.fill(), err);
            EXPECT_EQ(status == SALLY_OK, static_cast<bool>(ports));
            return status;
        });
        made.prepare = [this] { prepare(); };
        made.cleanup = [this] { cleanup(); };
        return made;
    }
};

} // namespace

TEST_F(Allocation, E2_Accept)
{
    AcceptScene scene;
    sweep_allocations("ssl_accept", scene.trial());
}

TEST_F(Allocation, E2_AcceptInsideOpenSSL)
{
    AcceptScene scene;
    Trial trial = scene.trial();
    trial.stride = handshake_stride();
    sweep_openssl_allocations("ssl_accept", trial);
}

// What a connection needs while it works: a peek's buffer, ciphertext that is kept.
TEST_F(Allocation, B6_ReadsAndWritesWithoutMemory)
{
    Pair pair;
    Trial trial([&](ssl_error *err) {
        char buf[8];
        size_t got = 0;
        std::string bytes(3000, 'x');
        ssl_status status =
            ssl_write_available(pair.client.out(), bytes.data(), bytes.size(), &got, err);
        if (status == SALLY_OK) {
            status = ssl_peek(pair.client.in(), buf, 8, &got, err);
        }
        return status;
    });
    trial.prepare = [&] {
        pair = pair_over_loop(SIZE_MAX, 1000);
        EXPECT_EQ(SALLY_OK, ssl_write(pair.server.out(), "look", 4, nullptr, nullptr));
    };
    trial.cleanup = [&] { pair = Pair(); };
    sweep_allocations("ssl_peek and ssl_write_available", trial);
}

// ---- server -------------------------------------------------------------------------------------

TEST_F(Allocation, E2_QuestionsAboutThePeer)
{
    Pair pair = connected_pair();
    ASSERT_TRUE(pair);
    const ssl_port *port = pair.client.in();
    sweep_both("ssl_peer_certificate_hostnames", Trial([&](ssl_error *err) {
                   char **names = nullptr;
                   size_t count = 0;
                   ssl_status status = ssl_peer_certificate_hostnames(port, &names, &count, err);
                   EXPECT_EQ(count == 0, names == nullptr);
                   ssl_free_block(names);
                   return status;
               }));
    sweep_both("ssl_peer_certificate_chain", Trial([&](ssl_error *err) {
                   char *pem = nullptr;
                   size_t length = 0;
                   ssl_status status = ssl_peer_certificate_chain(port, &pem, &length, err);
                   EXPECT_EQ(status == SALLY_OK, pem != nullptr);
                   ssl_free_block(pem);
                   return status;
               }));
    sweep_openssl_allocations("ssl_peer_subject_name", Trial([&](ssl_error *err) {
                                  char text[200];
                                  size_t length = 0;
                                  return ssl_peer_subject_name(port, text, sizeof text, &length,
                                                               err);
                              }));
    sweep_openssl_allocations("ssl_port_set_verify", Trial([&](ssl_error *err) {
                                  return ssl_port_set_verify(pair.client.in(), true, err);
                              }));
    EXPECT_EQ(SALLY_OK, ssl_port_set_verify(pair.client.in(), true, nullptr));
    EXPECT_TRUE(ssl_peer_verified(port));
}

TEST_F(Allocation, E2_AskingAClient)
{
    RawPair pair;
    std::unique_ptr<Thread> client;
    RawOptions options = raw_client(TLS1_3_VERSION);
    options.client_identity = "client";
    options.post_handshake_auth = true;
    Context context = server_context();
    ASSERT_EQ(SALLY_OK, ssl_load_verify_root_certificates(context.get(),
                                                          cert_path("ca.pem").c_str(), nullptr));
    Break bound;
    Trial trial([&](ssl_error *err) {
        return ssl_port_set_verify_enable_break(pair.ours.in(), true, bound.get(), err);
    });
    trial.prepare = [&] {
        bound = deadline_in_ms(slow(20000));
        pair = server_of_raw(options, context.get());
        client = std::make_unique<Thread>([&] {
            std::string got;
            pair.raw->read_full(&got, 1);
        });
    };
    trial.cleanup = [&] {
        pair.ours.reset();
        client.reset();
        pair = RawPair();
    };
    sweep_allocations("ssl_port_set_verify", trial);
}

TEST_F(Allocation, E2_ServerNew)
{
    ssl_server_options options = server_options();
    sweep_allocations("ssl_server_new", [&](ssl_error *err) {
        ssl_server *server = nullptr;
        ssl_status status = ssl_server_new(&options, &server, err);
        EXPECT_EQ(status == SALLY_OK, server != nullptr);
        ssl_server_free(server);
        return status;
    });
}

namespace
{

struct ServerScene {
    Context context = server_context();
    ssl_server_options options = server_options();
    Server server;
    ssl_listener *listener = nullptr;

    void prepare()
    {
        ssl_server *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_server_new(&options, &made, nullptr));
        server.reset(made);
        listener = listen_on_loopback(context.get()).release();
    }

    ssl_status add(ssl_error *err)
    {
        ssl_status status = ssl_server_add_listener(server.get(), listener, err);
        listener = status == SALLY_OK ? nullptr : listener;
        return status;
    }

    void cleanup()
    {
        server.reset();
        ssl_free_listener(listener);
        listener = nullptr;
    }

    Trial trial(const Try &attempt)
    {
        Trial made(attempt);
        made.prepare = [this] { prepare(); };
        made.cleanup = [this] { cleanup(); };
        return made;
    }
};

} // namespace

TEST_F(Allocation, E2_ServerAddListener)
{
    ServerScene scene;
    sweep_allocations("ssl_server_add_listener",
                      scene.trial([&](ssl_error *err) { return scene.add(err); }));
}

TEST_F(Allocation, E2_ServerStart)
{
    ServerScene scene;
    sweep_allocations("ssl_server_start", scene.trial([&](ssl_error *err) {
        ssl_status status = scene.add(err);
        return status == SALLY_OK ? ssl_server_start(scene.server.get(), err) : status;
    }));
}

TEST_F(Allocation, E2_ServerStartWithoutThreads)
{
    ServerScene scene;
    Trial trial = scene.trial([&](ssl_error *err) {
        ssl_status status = scene.add(err);
        return status == SALLY_OK ? ssl_server_start(scene.server.get(), err) : status;
    });
    sweep_thread_starts("ssl_server_start", trial);
}

// ---- digests and the library below -------------------------------------------------------------

TEST_F(Allocation, E2_Digests)
{
    ssl_digest_source in = ssl_digest_of_bytes("abc", 3);
    sweep_openssl_allocations("ssl_sha1", [&](ssl_error *err) {
        char hex[SALLY_SHA1_HEX_SIZE] = "old";
        ssl_status status = ssl_sha1(&in, hex, err);
        EXPECT_STREQ(status == SALLY_OK ? "a9993e364706816aba3e25717850c26c9cd0d89d" : "", hex);
        return status;
    });
}

// OpenSSL passes over an algorithm that it has no memory to fetch and says nothing, so a list may be
// short then; what is in it is counted.
TEST_F(Allocation, E2_SupportedProtocols)
{
    sweep_both("ssl_supported_server_protocols", Trial([&](ssl_error *err) {
                   ssl_protocol all[SALLY_PROTOCOLS_MAX];
                   size_t count = 99;
                   ssl_status status =
                       ssl_supported_server_protocols(all, SALLY_PROTOCOLS_MAX, &count, err);
                   EXPECT_LT(count, static_cast<size_t>(SALLY_PROTOCOLS_MAX));
                   return status;
               }));
}

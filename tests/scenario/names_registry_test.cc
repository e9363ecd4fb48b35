// A listener, or a server, with a registry of contexts by server name (C4, C5).
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "names.h"
#include "service.h"

using namespace sallytest;

namespace
{

Context sealed(const std::string &stem)
{
    Context context = server_context(stem);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_seal_context(context.get(), &err), err));
    return context;
}

class NamesByRegistry : public testing::Test
{
  protected:
    NamesByRegistry()
    {
        ssl_registry *made = nullptr;
        EXPECT_EQ(SALLY_OK, ssl_registry_new(&made, nullptr));
        registry_.reset(made);
    }
    void put(const char *name, const std::string &stem)
    {
        Context context = sealed(stem);
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_registry_put(made(), name, context.get(), &err), err));
    }
    ssl_registry *made() const
    {
        return registry_.get();
    }
    Listener listen(ssl_context *context) const
    {
        ssl_listen_options options = loopback_options();
        options.registry = made();
        return listen_with(options, context);
    }
    // Which certificate a client sees that asks for `name`.
    static std::string shown_for(ssl_listener *listener, const std::string &name)
    {
        Meeting meeting = meet(listener, naming(name));
        EXPECT_TRUE(is(SALLY_OK, meeting.ours)) << name;
        return shown(*meeting.raw);
    }

    Registry registry_;
};

TEST_F(NamesByRegistry, C4_ExactThenWildcardThenTheFirstContext)
{
    put("a.wild.example", "sni");
    put("*.wild.example", "wildcard");
    Context first = server_context();
    Listener listener = listen(first.get());
    registry_.reset(); // the listener has its own reference
    EXPECT_EQ("second.example", shown_for(listener.get(), "a.wild.example"));
    EXPECT_EQ("wild.example", shown_for(listener.get(), "b.wild.example"));
    EXPECT_EQ("localhost", shown_for(listener.get(), "b.a.wild.example"));
    EXPECT_EQ("localhost", shown_for(listener.get(), "wild.example"));
    EXPECT_EQ("localhost", shown_for(listener.get(), "unknown.example"));
    EXPECT_EQ("localhost", shown_for(listener.get(), ""));
}

TEST_F(NamesByRegistry, C4_NamesAreFoundInAnyCaseAndWithADotAtTheEnd)
{
    put("Second.Example", "sni");
    put("*.WILD.example", "wildcard");
    Context first = server_context();
    Listener listener = listen(first.get());
    for (const char *name : {"second.example", "SECOND.EXAMPLE", "sEcOnD.eXaMpLe."}) {
        EXPECT_EQ("second.example", shown_for(listener.get(), name));
    }
    EXPECT_EQ("wild.example", shown_for(listener.get(), "X.wild.EXAMPLE."));
}

TEST_F(NamesByRegistry, C4_WithoutAFirstContextTheUnknownIsRefused)
{
    put("second.example", "sni");
    Listener listener = listen(nullptr);
    for (const char *name : {"unknown.example", "", "with space"}) {
        Meeting meeting = meet(listener.get(), naming(name));
        EXPECT_TRUE(is(SALLY_CONFIG, meeting.ours)) << name;
        EXPECT_EQ(Raw::Alert, meeting.result);
        EXPECT_EQ(SSL_AD_UNRECOGNIZED_NAME, meeting.raw->last_alert());
    }
    EXPECT_EQ("second.example", shown_for(listener.get(), "second.example"));
}

TEST_F(NamesByRegistry, C4_WithoutAFirstContextAndARegistryThereIsNoListener)
{
    ssl_listen_options options = loopback_options();
    ssl_listener *listener = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_listen(0, &options, nullptr, &listener, &err), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "options.registry")) << err.text;
}

TEST_F(NamesByRegistry, C4_CallbackIsAskedFirst)
{
    put("second.example", "sni");
    Context first = server_context();
    Context chosen = server_context("wildcard");
    Choose choose = [&](const char *hostname, ssl_context **context) {
        *context = std::string("special.example") == hostname ? chosen.get() : nullptr;
        return std::string("bad.example") == hostname ? SALLY_CONFIG : SALLY_OK;
    };
    ask(first.get(), &choose);
    Listener listener = listen(first.get());
    EXPECT_EQ("wild.example", shown_for(listener.get(), "special.example"));
    EXPECT_EQ("second.example", shown_for(listener.get(), "second.example"));
    EXPECT_TRUE(is(SALLY_CONFIG, meet(listener.get(), naming("bad.example")).ours));
}

TEST_F(NamesByRegistry, C5_WhatIsReplacedCountsForTheNextClient)
{
    put("second.example", "server");
    Listener listener = listen(nullptr);
    EXPECT_EQ("localhost", shown_for(listener.get(), "second.example"));
    Context better = sealed("sni");
    ASSERT_EQ(SALLY_OK, ssl_registry_replace(made(), "second.example", better.get(), nullptr));
    EXPECT_EQ("second.example", shown_for(listener.get(), "second.example"));
    ASSERT_EQ(SALLY_OK, ssl_registry_remove(made(), "second.example", nullptr));
    EXPECT_TRUE(is(SALLY_CONFIG, meet(listener.get(), naming("second.example")).ours));
}

// ---- the server --------------------------------------------------------------------------------

// A server whose only listener is `listener`.
class NamedService
{
  public:
    explicit NamedService(Listener listener) : handler_(echo_once), port_(port_of(listener.get()))
    {
        ssl_server_options options = service_options();
        options.handler = call_handler;
        options.user = &handler_;
        ssl_server *server = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, ssl_server_new(&options, &server, &err), err));
        server_.reset(server);
        ssl_status added = ssl_server_add_listener(server, listener.get(), &err);
        EXPECT_TRUE(is(SALLY_OK, added, err));
        (void)listener.release();
        EXPECT_TRUE(is(SALLY_OK, ssl_server_start(server, &err), err));
    }
    // "CN: ECHO", or "alert N".
    std::string echo_for(const std::string &name) const
    {
        std::unique_ptr<RawPeer> peer = raw_peer(connect_to(port_), naming(name));
        std::string got;
        if (peer->handshake() != Raw::Ok) {
            return "alert " + std::to_string(peer->last_alert());
        }
        EXPECT_EQ(Raw::Ok, peer->write_all("hello"));
        EXPECT_EQ(Raw::Ok, peer->read_full(&got, 5));
        return shown(*peer) + ": " + got;
    }

  private:
    Handler handler_;
    int port_;
    Server server_; // first to go
};

TEST_F(NamesByRegistry, C4_ServerServesByName)
{
    put("second.example", "sni");
    put("*.wild.example", "wildcard");
    NamedService service(listen(nullptr));
    EXPECT_EQ("second.example: hello", service.echo_for("second.example"));
    EXPECT_EQ("wild.example: hello", service.echo_for("a.wild.example"));
    EXPECT_EQ("alert 112", service.echo_for("unknown.example"));
    EXPECT_EQ("alert 112", service.echo_for(""));
}

TEST_F(NamesByRegistry, C4_ServersCallbackMayBlockAndOthersAreServed)
{
    Context first = server_context();
    Context other = server_context("sni");
    Latch inside;
    Latch go_on;
    Choose choose = [&](const char *hostname, ssl_context **context) {
        if (std::string("slow.example") == hostname) {
            inside.open();
            go_on.wait();
        }
        *context = other.get();
        return SALLY_OK;
    };
    ask(first.get(), &choose);
    NamedService service(listen(first.get()));
    std::string slow_echo;
    Thread slow_client([&] { slow_echo = service.echo_for("slow.example"); });
    ASSERT_TRUE(inside.wait());
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ("second.example: hello", service.echo_for("quick.example"));
    }
    go_on.open();
    slow_client.join();
    EXPECT_EQ("second.example: hello", slow_echo);
}

TEST_F(NamesByRegistry, C5_ReplacedWhileClientsCome)
{
    put("second.example", "sni");
    NamedService service(listen(nullptr));
    Context contexts[2] = {sealed("sni"), sealed("sni")};
    std::atomic<bool> done{false};
    Thread replacer([&] {
        for (unsigned i = 0; !done; i++) {
            EXPECT_EQ(SALLY_OK, ssl_registry_replace(made(), "second.example",
                                                     contexts[i % 2].get(), nullptr));
        }
    });
    {
        std::vector<std::unique_ptr<Thread>> clients;
        for (int i = 0; i < 4; i++) {
            clients.push_back(std::make_unique<Thread>([&] {
                for (int k = 0; k < long_run(10, 200); k++) {
                    EXPECT_EQ("second.example: hello", service.echo_for("second.example"));
                }
            }));
        }
    }
    done = true;
}

} // namespace

// proxied.c: a header read from a socket, byte for byte and not one too many (W8).
#include <cerrno>
#include <memory>
#include <string>

#include <sys/socket.h>
#include <unistd.h>

#include "scenario/ends.h"
#include "support/faults.h"
#include "support/guards.h"
#include "support/proxy_headers.h"

extern "C" {
#include "error.h"
#include "mem.h"
#include "proxied.h"
#include "sock.h"
}

using namespace sallytest;

namespace
{

using Proxied = std::unique_ptr<sally_proxied, Deleter<sally_proxied_free>>;

class ProxiedClient : public testing::Test
{
  protected:
    ProxiedClient()
    {
        int ends[2];
        EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
        ours = Fd(ends[0]);
        theirs = Fd(ends[1]);
        begin_anew();
    }

    void begin_anew(bool keeps_tlvs = false)
    {
        sally_addr proxy;
        EXPECT_TRUE(sally_addr_parse("198.51.100.3", 999, &proxy));
        proxied.reset(sally_proxied_new(&proxy, keeps_tlvs));
    }

    void send(const std::string &bytes)
    {
        ASSERT_EQ(static_cast<ssize_t>(bytes.size()),
                  ::send(theirs.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    sally_telling step()
    {
        return sally_proxied_step(proxied.get(), ours.get(), "ssl_accept", &err);
    }
    std::string what_is_left()
    {
        char bytes[256];
        ssize_t n = recv(ours.get(), bytes, sizeof bytes, MSG_DONTWAIT);
        return n > 0 ? std::string(bytes, static_cast<size_t>(n)) : "";
    }
    static std::string text_of(const sally_addr *addr)
    {
        char text[SALLY_ADDR_TEXT_SIZE];
        sally_addr_text_port(addr, text, sizeof text);
        return text;
    }
    std::string client() const
    {
        return text_of(sally_proxied_client(proxied.get()));
    }

    Fd ours;
    Fd theirs;
    Proxied proxied;
    ssl_error err = {};
};

TEST_F(ProxiedClient, W8_TheHeaderIsTakenAndNothingBehindIt)
{
    for (const std::string &header : {v1_tcp4(), v2_tcp4()}) {
        begin_anew();
        EXPECT_EQ("198.51.100.3:999", client());
        send(header + "TLS bytes");
        EXPECT_EQ(SALLY_TELLS_CLIENT, step());
        EXPECT_EQ("192.0.2.7:40001", client());
        EXPECT_EQ("203.0.113.9:443", text_of(sally_proxied_destination(proxied.get())));
        EXPECT_EQ("TLS bytes", what_is_left());
    }
}

// Each byte is taken when it comes, or the socket would be ready for ever; the client's first byte stays.
TEST_F(ProxiedClient, W8_AByteAtATimeIsAsGood)
{
    for (const std::string &header :
         {v1_tcp4(), std::string("PROXY UNKNOWN\r\n"), v2_tcp6(), v2_local()}) {
        begin_anew();
        for (char byte : header) {
            send(std::string(1, byte));
            ASSERT_EQ(SALLY_TELLS_MORE, step());
            ASSERT_EQ("", what_is_left());
        }
        EXPECT_TRUE(proxied->told);
        EXPECT_EQ(0U, proxied->held.length);
        EXPECT_EQ(nullptr, proxied->held.data);
        send("T");
        EXPECT_EQ(SALLY_TELLS_CLIENT, step());
        EXPECT_EQ("T", what_is_left());
    }
}

TEST_F(ProxiedClient, W8_WithoutAnAddressItIsTheProxyItself)
{
    for (const std::string &header : {v2_local(), std::string("PROXY UNKNOWN\r\n")}) {
        begin_anew();
        send(header + "T");
        EXPECT_EQ(SALLY_TELLS_CLIENT, step());
        EXPECT_EQ("198.51.100.3:999", client());
        EXPECT_EQ(nullptr, sally_proxied_destination(proxied.get()));
        EXPECT_EQ("T", what_is_left());
    }
}

TEST_F(ProxiedClient, W8_NothingTakesNoMemory)
{
    sally_mem_fail_at(1, 1);
    EXPECT_EQ(SALLY_TELLS_MORE, step());
    send(v2_tcp4());
    EXPECT_EQ(SALLY_TELLS_MORE, step());
    send("T");
    EXPECT_EQ(SALLY_TELLS_CLIENT, step());
    sally_mem_fail_at(0, 0);
}

TEST_F(ProxiedClient, W8_AProxyThatGoesWithoutAClientIsAHealthCheck)
{
    theirs.close();
    EXPECT_EQ(SALLY_TELLS_NOBODY, step());
}

TEST_F(ProxiedClient, W8_SoIsOneThatSaysLocalAndGoes)
{
    send(v2_local());
    theirs.close();
    EXPECT_EQ(SALLY_TELLS_NOBODY, step());
}

TEST_F(ProxiedClient, W8_SoIsOneThatNamesItselfAndGoes)
{
    send("PROXY TCP4 198.51.100.3 203.0.113.9 999 443\r\n");
    theirs.close();
    EXPECT_EQ(SALLY_TELLS_NOBODY, step());
}

TEST_F(ProxiedClient, W8_SoIsOneThatEndsWithAReset)
{
    send(v2_local());
    EXPECT_EQ(SALLY_TELLS_MORE, step());
    sally_sock_fail_at(1, ECONNRESET);
    EXPECT_EQ(SALLY_TELLS_NOBODY, step());
    sally_sock_fail_at(0, 0);
}

TEST_F(ProxiedClient, W8_AClientThatGoesIsForTlsToReport)
{
    send(v2_tcp4());
    theirs.close();
    EXPECT_EQ(SALLY_TELLS_CLIENT, step());
}

TEST_F(ProxiedClient, W8_HalfAHeaderAndTheEndIsACut)
{
    send(v2_tcp4().substr(0, 20));
    EXPECT_EQ(SALLY_TELLS_MORE, step());
    theirs.close();
    EXPECT_EQ(SALLY_TELLS_NOTHING, step());
    EXPECT_EQ(SALLY_TRUNCATED, err.status);
    EXPECT_STREQ("ssl_accept: 198.51.100.3:999: the stream ended inside of the PROXY header",
                 err.text);
}

TEST_F(ProxiedClient, W8_WhatIsNoHeaderIsRefusedAndNamesTheProxy)
{
    send("\x16\x03\x01 a ClientHello");
    EXPECT_EQ(SALLY_TELLS_NOTHING, step());
    EXPECT_EQ(SALLY_PROTOCOL, err.status);
    EXPECT_EQ(SALLY_PHASE_HANDSHAKE, err.phase);
    EXPECT_STREQ("ssl_accept: 198.51.100.3:999: these bytes are no PROXY header", err.text);
    EXPECT_EQ("198.51.100.3:999", client());
}

TEST_F(ProxiedClient, W8_ExtensionsAreKeptWhereTheyAreAskedForAndWhereThereAreSome)
{
    const std::string plain = v2_tcp4();
    const std::string name = tlv(SALLY_TLV_AUTHORITY, "www.example.org");
    const std::string header = v2_header(0x21, 0x11, plain.substr(16) + name);
    for (bool asked : {false, true}) {
        for (const std::string &sent : {plain, v1_tcp4(), v2_local(), header}) {
            begin_anew(asked);
            send(sent + "T");
            ASSERT_EQ(SALLY_TELLS_CLIENT, step());
            EXPECT_EQ("T", what_is_left());
            EXPECT_EQ(asked && sent == header, proxied->tlvs != nullptr)
                << "there is no memory for what is not there";
        }
    }
    sally_tlv tlv;
    ASSERT_EQ(SALLY_TLV_FOUND, sally_proxied_tlv(proxied.get(), SALLY_TLV_AUTHORITY, &tlv));
    EXPECT_EQ("www.example.org",
              std::string(reinterpret_cast<const char *>(tlv.value), tlv.length));
    EXPECT_EQ(name.size(), proxied->tlvs->length) << "no byte of the addresses";
    EXPECT_EQ(SALLY_TLV_ABSENT, sally_proxied_tlv(proxied.get(), SALLY_TLV_ALPN, &tlv));
}

TEST_F(ProxiedClient, W8_ExtensionsThatComeAByteAtATimeAreAsGood)
{
    const std::string id = tlv(SALLY_TLV_UNIQUE_ID, std::string(3000, 'u'));
    begin_anew(true);
    for (char byte : v2_header(0x21, 0x11, v2_tcp4().substr(16) + id)) {
        send(std::string(1, byte));
        ASSERT_EQ(SALLY_TELLS_MORE, step());
    }
    EXPECT_EQ(nullptr, proxied->held.data);
    sally_tlv tlv;
    ASSERT_EQ(SALLY_TLV_FOUND, sally_proxied_tlv(proxied.get(), SALLY_TLV_UNIQUE_ID, &tlv));
    EXPECT_EQ(3000U, tlv.length);
    EXPECT_EQ('u', tlv.value[2999]);
}

// A malloc'd block of glibc has 8 bytes of head and is a multiple of 16.
TEST_F(ProxiedClient, W8_AConnectionWithoutExtensionsCostsNoMoreThanBefore)
{
    auto block = [](size_t size) { return (size + 8 + 15) / 16; };
    size_t before = sizeof(sally_addr) + sizeof(sally_proxy_header) + 8 + sizeof(sally_buf);
    EXPECT_EQ(block(before), block(sizeof(sally_proxied)));
}

TEST_F(ProxiedClient, E2_WithoutMemoryForExtensionsTheClientIsRefused)
{
    const std::string id = tlv(SALLY_TLV_UNIQUE_ID, "7");
    const std::string header = v2_header(0x21, 0x11, v2_tcp4().substr(16) + id);
    sweep_allocations("sally_proxied_step", [&](ssl_error *out) {
        begin_anew(true);
        if (!proxied) {
            *out = ssl_error{};
            return sally_fail(out, SALLY_MEMORY, SALLY_PHASE_HANDSHAKE, "no entry");
        }
        send(header);
        sally_telling telling = sally_proxied_step(proxied.get(), ours.get(), "ssl_accept", out);
        return telling == SALLY_TELLS_NOTHING ? out->status : SALLY_OK;
    });
}

TEST_F(ProxiedClient, E2_AnyAllocationMayFail)
{
    sweep_allocations("sally_proxied_step", [this](ssl_error *out) {
        Proxied made(sally_proxied_new(&proxied->proxy, false));
        if (!made) {
            *out = ssl_error{};
            return sally_fail(out, SALLY_MEMORY, SALLY_PHASE_HANDSHAKE, "no entry");
        }
        send("PROXY ");
        sally_telling telling = sally_proxied_step(made.get(), ours.get(), "ssl_accept", out);
        return telling == SALLY_TELLS_NOTHING ? out->status : SALLY_OK;
    });
}

// ---- through a listener ------------------------------------------------------------------------

// A whole service of one client behind a proxy, whose header comes in two pieces.
ssl_status serve_proxied(ssl_context *context, ssl_error *err)
{
    ssl_listen_options options = loopback_options();
    options.proxy = SALLY_PROXY_REQUIRED;
    options.proxy_trusted = "127.0.0.1";
    ssl_listener *listener = nullptr;
    ssl_status status = ssl_listen(0, &options, context, &listener, err);
    if (status != SALLY_OK) {
        return status;
    }
    int port = port_of(listener);
    std::unique_ptr<Handshaker> client;
    in_new_thread([&] {
        auto raw = raw_client_at(port);
        raw->channel().send(v2_tcp4());
        client = std::make_unique<Handshaker>(std::move(raw));
    });
    Ports ports;
    status = ssl_accept(listener, ports.fill(), err);
    EXPECT_EQ(status == SALLY_OK, static_cast<bool>(ports));
    ssl_free_listener(listener);
    client->result();
    return status;
}

class ProxiedAccept : public testing::Test
{
  protected:
    void SetUp() override
    {
        warm_up();
    }
    Context server = server_context();
};

TEST_F(ProxiedAccept, E2_AnyAllocationMayFail)
{
    sweep_allocations("ssl_accept behind a proxy",
                      [&](ssl_error *err) { return serve_proxied(server.get(), err); });
}

TEST_F(ProxiedAccept, E2_AnySocketCallMayFail)
{
    sweep_socket_calls("ssl_accept behind a proxy", ENOBUFS, [&](ssl_error *err) {
        return system_for_cut(serve_proxied(server.get(), err), err);
    });
}

} // namespace

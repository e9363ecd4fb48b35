#include "exchange.h"

namespace sallytest
{
namespace
{

Outcome connect_offering(int port, ssl_context *context, ssl_session *offered,
                         const std::string &name)
{
    Outcome outcome;
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context;
    options.session = offered;
    options.server_name = name.c_str();
    options.timeout_ms = kBoundMs;
    outcome.status =
        ssl_connect_with("127.0.0.1", port, &options, outcome.ports.fill(), &outcome.err);
    return outcome;
}

// The byte that comes takes the ticket along.
void read_a_byte(Outcome *outcome)
{
    char byte;
    size_t got = 0;
    outcome->status = ssl_read(outcome->ports.in(), &byte, 1, &got, &outcome->err);
}

void serve_a_byte(Outcome *server)
{
    char byte = 'b';
    if (server->status == SALLY_OK) {
        EXPECT_EQ(SALLY_OK, ssl_write(server->ports.out(), &byte, 1, nullptr, nullptr));
    }
}

} // namespace

Exchange exchange(ssl_context *server, ssl_context *client, ssl_session *offered,
                  const std::string &name)
{
    Exchange met;
    Listener listener = listen_on_loopback(server);
    Thread acceptor([&] {
        met.server = accept_from(listener.get());
        serve_a_byte(&met.server);
    });
    met.client = connect_offering(port_of(listener.get()), client, offered, name);
    if (met.client.status == SALLY_OK) {
        read_a_byte(&met.client);
    }
    acceptor.join();
    met.client_resumed = ssl_port_is_resumed(met.client.ports.in());
    met.server_resumed = ssl_port_is_resumed(met.server.ports.out());
    met.client_verified = ssl_peer_verified(met.client.ports.in());
    met.server_verified = ssl_peer_verified(met.server.ports.in());
    ssl_session *session = nullptr;
    if (met.client.ports) {
        ssl_port_session(met.client.ports.out(), &session, nullptr);
    }
    met.session.reset(session);
    return met;
}

Context demanding_server(ssl_protocol protocol)
{
    Context context = server_context("server", protocol);
    ssl_error err;
    std::string roots = cert_path("ca.pem");
    ssl_status status = ssl_load_verify_root_certificates(context.get(), roots.c_str(), &err);
    EXPECT_TRUE(is(SALLY_OK, status, err));
    EXPECT_TRUE(is(SALLY_OK, ssl_set_verify(context.get(), true, &err), err));
    return context;
}

void name_context(const Context &context, const char *name)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_set_context_name(context.get(), name, &err), err));
}

void use_keys(const Context &context, const TicketKeys &keys)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_set_ticket_keys(context.get(), keys.get(), &err), err));
}

TicketKeys new_ticket_keys()
{
    ssl_ticket_keys *keys = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_ticket_keys_new(&keys, &err), err));
    return TicketKeys(keys);
}

} // namespace sallytest

// One connection between two contexts, a byte for the client, and what both ends say of it: for the tests of
// resumption.
#ifndef SALLY_TEST_SCENARIO_EXCHANGE_H
#define SALLY_TEST_SCENARIO_EXCHANGE_H

#include <string>

#include "ends.h"

namespace sallytest
{

struct Exchange {
    Outcome client; // its ports are open still
    Outcome server;
    bool client_resumed = false;
    bool server_resumed = false;
    bool client_verified = false; // the server's certificate
    bool server_verified = false; // the client's
    Session session;              // what the client could resume it with; NULL: nothing

    bool is_resumed() const
    {
        EXPECT_EQ(client_resumed, server_resumed);
        return client_resumed && server_resumed;
    }
    bool is_ok() const
    {
        return client.status == SALLY_OK && server.status == SALLY_OK;
    }
};

// The client asks for `name`. A TLS 1.3 client that is refused learns it from its first read: then that is
// the client's outcome.
Exchange exchange(ssl_context *server, ssl_context *client, ssl_session *offered = nullptr,
                  const std::string &name = "localhost");

// A context that requires the client's certificate, by ca.pem.
Context demanding_server(ssl_protocol protocol = SALLY_PROTOCOL_AUTO);

void name_context(const Context &context, const char *name);
void use_keys(const Context &context, const TicketKeys &keys);
TicketKeys new_ticket_keys();

} // namespace sallytest
#endif

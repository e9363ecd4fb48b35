// Resumption between our two ends: what is resumed, and what is a full handshake after all (C4, C5, C6).
#include <cstring>
#include <string>
#include <vector>

#include "exchange.h"
#include "support/guards.h"

using namespace sallytest;

namespace
{

class Resumption : public testing::TestWithParam<ssl_protocol>
{
  protected:
    Context server = server_context("server", GetParam());
    Context client = client_context(GetParam());

    // A session of the two contexts of this test.
    Session first_session()
    {
        Exchange met = exchange(server.get(), client.get());
        EXPECT_TRUE(met.is_ok());
        EXPECT_FALSE(met.is_resumed());
        EXPECT_NE(nullptr, met.session);
        return std::move(met.session);
    }
};

std::vector<unsigned char> serialized(const ssl_session *session)
{
    size_t length = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_LIMIT, ssl_session_serialize(session, nullptr, 0, &length, &err), err));
    EXPECT_LT(length, static_cast<size_t>(SALLY_SESSION_SIZE_MAX));
    std::vector<unsigned char> bytes(length);
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_session_serialize(session, bytes.data(), bytes.size(), &length, &err), err));
    EXPECT_EQ(bytes.size(), length);
    return bytes;
}

Session parsed(const std::vector<unsigned char> &bytes)
{
    ssl_session *session = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_session_parse(bytes.data(), bytes.size(), &session, &err), err));
    return Session(session);
}

} // namespace

TEST_P(Resumption, C6_ASessionIsResumedAndVerifiedAsBefore)
{
    Session session = first_session();
    Exchange again = exchange(server.get(), client.get(), session.get());
    EXPECT_TRUE(again.is_ok());
    EXPECT_TRUE(again.is_resumed());
    EXPECT_TRUE(again.client_verified);
}

// Ten connections, each resumed with the one before.
TEST_P(Resumption, C6_EachConnectionGivesASessionForTheNext)
{
    Session session = first_session();
    for (int i = 0; i < 10; i++) {
        Exchange again = exchange(server.get(), client.get(), session.get());
        ASSERT_TRUE(again.is_ok());
        EXPECT_TRUE(again.is_resumed()) << i;
        session = std::move(again.session);
        ASSERT_NE(nullptr, session) << i;
    }
}

// An abandoned connection takes nothing from the session that it gave.
TEST_P(Resumption, C6_ASessionOutlivesItsCutConnection)
{
    Exchange met = exchange(server.get(), client.get());
    ssl_abandon_port(met.client.ports.out());
    met.client.ports.reset();
    met.server.ports.reset();
    EXPECT_TRUE(exchange(server.get(), client.get(), met.session.get()).is_resumed());
}

TEST_P(Resumption, C6_BytesOfASessionResume)
{
    Session session = first_session();
    Session copy = parsed(serialized(session.get()));
    session.reset();
    Exchange again = exchange(server.get(), client.get(), copy.get());
    EXPECT_TRUE(again.is_resumed());
    EXPECT_TRUE(again.client_verified);
}

TEST_P(Resumption, C6_DamagedBytesAreRefused)
{
    std::vector<unsigned char> bytes = serialized(first_session().get());
    ssl_error err;
    for (size_t i = 0; i < bytes.size(); i++) {
        std::vector<unsigned char> damaged = bytes;
        ssl_session *session = nullptr;
        damaged[i] ^= 0x20;
        ASSERT_TRUE(is(SALLY_CONFIG,
                       ssl_session_parse(damaged.data(), damaged.size(), &session, &err), err))
            << i;
        ASSERT_EQ(nullptr, session);
        ASSERT_TRUE(is(SALLY_CONFIG, ssl_session_parse(bytes.data(), i, &session, &err), err)) << i;
    }
}

// ---- not for every name, not for every policy ----

TEST_P(Resumption, C6_AnotherNameIsAFullHandshake)
{
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(client.get(), false, &err), err));
    Session session = first_session();
    Exchange other = exchange(server.get(), client.get(), session.get(), "other.example");
    EXPECT_TRUE(other.is_ok());
    EXPECT_FALSE(other.is_resumed());
    EXPECT_TRUE(exchange(server.get(), client.get(), session.get(), "LOCALHOST").is_resumed());
}

// The certificate is of a CA that the lax context does not know: the strict one must see that itself.
TEST_P(Resumption, C4_AStricterClientMakesAFullHandshake)
{
    Context strangers = server_context("wrong-ca", GetParam());
    Context lax = client_context(GetParam());
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_verify(lax.get(), false, &err), err));
    ASSERT_TRUE(is(SALLY_OK, ssl_set_verify_hostname(lax.get(), false, &err), err));
    Exchange met = exchange(strangers.get(), lax.get());
    ASSERT_NE(nullptr, met.session);
    EXPECT_FALSE(met.client_verified);
    EXPECT_TRUE(exchange(strangers.get(), lax.get(), met.session.get()).is_resumed());
    Exchange strict = exchange(strangers.get(), client.get(), met.session.get());
    EXPECT_TRUE(is(SALLY_VERIFY, strict.client));
}

TEST_P(Resumption, C4_ATicketWithoutACertificateIsNoPassWhereOneIsRequired)
{
    Context demanding = demanding_server(GetParam());
    Context anonymous = client_context(GetParam());
    Session session = first_session();
    Exchange refused = exchange(demanding.get(), anonymous.get(), session.get());
    EXPECT_NE(SALLY_OK, refused.server.status);
    EXPECT_NE(SALLY_OK, refused.client.status);
}

// The same where the two contexts have one name.
TEST_P(Resumption, C4_AStableNameIsNoPassForAStricterPolicy)
{
    Context demanding = demanding_server(GetParam());
    name_context(server, "one name");
    name_context(demanding, "one name");
    Session session = first_session();
    EXPECT_NE(SALLY_OK, exchange(demanding.get(), client.get(), session.get()).server.status);
}

TEST_P(Resumption, C7_AClientCertificateIsKept)
{
    Context demanding = demanding_server(GetParam());
    Context known = client_context_with_identity(GetParam());
    Exchange met = exchange(demanding.get(), known.get());
    ASSERT_TRUE(met.is_ok());
    Exchange again = exchange(demanding.get(), known.get(), met.session.get());
    EXPECT_TRUE(again.is_resumed());
    EXPECT_TRUE(again.server_verified);
}

TEST_P(Resumption, C4_ATicketOfAnotherNameIsAFullHandshake)
{
    Context other = server_context("server", GetParam());
    name_context(server, "a");
    name_context(other, "b");
    Session session = first_session();
    Exchange met = exchange(other.get(), client.get(), session.get());
    EXPECT_TRUE(met.is_ok());
    EXPECT_FALSE(met.is_resumed());
}

// As after a restart with the same settings, or on the next machine.
TEST_P(Resumption, C4_AnotherContextOfTheSameIdentityResumes)
{
    Context twin = server_context("server", GetParam());
    Session session = first_session();
    EXPECT_TRUE(exchange(twin.get(), client.get(), session.get()).is_resumed());
}

TEST_P(Resumption, C5_ANameCarriesResumptionToAnotherCertificate)
{
    Context renewed = server_context("server-rsa", GetParam());
    name_context(server, "www");
    name_context(renewed, "www");
    Session session = first_session();
    EXPECT_TRUE(exchange(renewed.get(), client.get(), session.get()).is_resumed());
}

// ---- tickets and their keys ----

TEST_P(Resumption, C5_OtherKeysAreAFullHandshake)
{
    Context other = server_context("server", GetParam());
    use_keys(other, new_ticket_keys());
    Session session = first_session();
    Exchange met = exchange(other.get(), client.get(), session.get());
    EXPECT_TRUE(met.is_ok());
    EXPECT_FALSE(met.is_resumed());
}

TEST_P(Resumption, C5_OldKeysOpenUntilTheyHaveRotatedOut)
{
    TicketKeys keys = new_ticket_keys();
    ssl_error err;
    use_keys(server, keys);
    Session session = first_session();
    for (int i = 1; i < SALLY_TICKET_GENERATIONS; i++) {
        ASSERT_TRUE(is(SALLY_OK, ssl_ticket_keys_rotate(keys.get(), &err), err));
        EXPECT_TRUE(exchange(server.get(), client.get(), session.get()).is_resumed()) << i;
    }
    ASSERT_TRUE(is(SALLY_OK, ssl_ticket_keys_rotate(keys.get(), &err), err));
    Exchange met = exchange(server.get(), client.get(), session.get());
    EXPECT_TRUE(met.is_ok());
    EXPECT_FALSE(met.is_resumed());
}

// A ticket of an old key is renewed, so that who comes back in time can go on for ever.
TEST_P(Resumption, C5_TicketsOfOldKeysAreRenewed)
{
    TicketKeys keys = new_ticket_keys();
    use_keys(server, keys);
    Session session = first_session();
    for (int i = 0; i < 2 * SALLY_TICKET_GENERATIONS; i++) {
        ASSERT_EQ(SALLY_OK, ssl_ticket_keys_rotate(keys.get(), nullptr));
        Exchange again = exchange(server.get(), client.get(), session.get());
        EXPECT_TRUE(again.is_resumed()) << i;
        session = std::move(again.session);
    }
}

TEST_P(Resumption, C6_NoTicketsNoSession)
{
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_session_tickets(server.get(), 0, &err), err));
    Exchange met = exchange(server.get(), client.get());
    ASSERT_TRUE(met.is_ok());
    ssl_session *none = nullptr;
    EXPECT_TRUE(is(SALLY_UNSUPPORTED, ssl_port_session(met.client.ports.in(), &none, &err), err));
    EXPECT_EQ(nullptr, none);
    // A ticket of earlier days is not taken either.
    Context generous = server_context("server", GetParam());
    Exchange earlier = exchange(generous.get(), client.get());
    Exchange later = exchange(server.get(), client.get(), earlier.session.get());
    EXPECT_TRUE(later.is_ok());
    EXPECT_FALSE(later.is_resumed());
}

TEST_P(Resumption, C6_MoreTicketsThanOne)
{
    ssl_error err;
    ASSERT_TRUE(
        is(SALLY_OK, ssl_set_session_tickets(server.get(), SALLY_SESSION_TICKETS_MAX, &err), err));
    Session session = first_session();
    EXPECT_TRUE(exchange(server.get(), client.get(), session.get()).is_resumed());
}

// Rotated as fast as can be while clients come and resume: no handshake fails.
TEST_P(Resumption, C5_KeysRotateUnderHandshakes)
{
    TicketKeys keys = new_ticket_keys();
    use_keys(server, keys);
    std::atomic<bool> stop{false};
    Thread rotator([&] {
        while (!stop) {
            ssl_ticket_keys_rotate(keys.get(), nullptr);
        }
    });
    Session session;
    for (int i = 0; i < long_run(40, 2000) && !HasFailure(); i++) {
        Exchange met = exchange(server.get(), client.get(), session.get());
        EXPECT_TRUE(met.is_ok()) << i;
        session = std::move(met.session);
    }
    stop = true;
}

INSTANTIATE_TEST_SUITE_P(Versions, Resumption,
                         testing::Values(SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13),
                         [](const auto &protocol) {
                             return protocol.param == SALLY_PROTOCOL_TLS12 ? "Tls12" : "Tls13";
                         });

// ---- the calls -----------------------------------------------------------------------------------

// A session of the version that the client no longer speaks is passed over.
TEST(Session, C6_ASessionOfAnotherVersionIsAFullHandshake)
{
    Context server = server_context();
    Context old = client_context(SALLY_PROTOCOL_TLS12);
    Context client = client_context(SALLY_PROTOCOL_TLS13);
    Exchange met = exchange(server.get(), old.get());
    ASSERT_NE(nullptr, met.session);
    Exchange again = exchange(server.get(), client.get(), met.session.get());
    EXPECT_TRUE(again.is_ok());
    EXPECT_FALSE(again.is_resumed());
}

TEST(Session, C6_SessionsAreTheClientsWhileItIsOpen)
{
    Context server = server_context();
    Context client = client_context();
    Exchange met = exchange(server.get(), client.get());
    ssl_session *session = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_session(met.server.ports.in(), &session, &err), err));
    ssl_abandon_port(met.client.ports.in());
    EXPECT_TRUE(is(SALLY_OK, ssl_port_session(met.client.ports.in(), &session, &err), err));
    ssl_session_release(session);
    ssl_abandon_port(met.client.ports.out());
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_port_session(met.client.ports.in(), &session, &err), err));
    EXPECT_EQ(nullptr, session);
    EXPECT_FALSE(ssl_port_is_resumed(met.client.ports.in()));
}

TEST(Session, E3_NullIsUsage)
{
    ssl_session *session = nullptr;
    ssl_ticket_keys *keys = nullptr;
    size_t length = 0;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_session(nullptr, &session, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_session(nullptr, nullptr, &err), err));
    EXPECT_FALSE(ssl_port_is_resumed(nullptr));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_session_serialize(nullptr, nullptr, 0, &length, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_session_parse(nullptr, 1, &session, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_session_parse("x", 1, nullptr, &err), err));
    EXPECT_EQ(nullptr, ssl_session_retain(nullptr));
    ssl_session_release(nullptr);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_ticket_keys_new(nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_ticket_keys_rotate(nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_ticket_keys_load(nullptr, "x", &err), err));
    EXPECT_EQ(nullptr, ssl_ticket_keys_retain(keys));
    ssl_ticket_keys_release(keys);
}

// A thousand sessions taken, written, read and offered leave nothing behind.
TEST(Session, NothingIsLeftOfSessions)
{
    Context server = server_context();
    Context client = client_context();
    exchange(server.get(), client.get());
    LeakGuard leaks;
    Session session;
    for (int i = 0; i < 50; i++) {
        Exchange met = exchange(server.get(), client.get(), session.get());
        session = parsed(serialized(met.session.get()));
    }
}

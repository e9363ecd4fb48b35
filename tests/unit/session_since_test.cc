// session_since.c: a session is bounded from its full handshake on, however often it is resumed (C6).
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

#include <openssl/err.h>

#include "crypto_fixture.h"
#include "sallyport/library.h"

extern "C" {
#include "session.h"
#include "session_since.h"
}

using namespace sallytest;

namespace
{

constexpr long kTickets = SALLY_TICKET_LIFETIME_S;
constexpr long kSessions = SALLY_SESSION_LIFETIME_S;

struct Deleter {
    void operator()(SSL *ssl) const
    {
        SSL_free(ssl);
    }
    void operator()(SSL_SESSION *session) const
    {
        SSL_SESSION_free(session);
    }
};
using Ssl = std::unique_ptr<SSL, Deleter>;
using Inner = std::unique_ptr<SSL_SESSION, Deleter>;

Inner begun_before(long seconds)
{
    Inner session(SSL_SESSION_new());
    SSL_SESSION_set_time(session.get(), static_cast<long>(time(nullptr)) - seconds);
    return session;
}

std::string note_of(SSL *ssl)
{
    void *note = nullptr;
    size_t size = 0;
    SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &note, &size);
    return std::string(static_cast<const char *>(note), size);
}

// As if the handshake that is under way had been so long ago.
void date_back(SSL *ssl, long seconds)
{
    Inner old = begun_before(seconds);
    void *note = nullptr;
    size_t size = 0;
    ASSERT_TRUE(sally_since_note(old.get()));
    SSL_SESSION_get0_ticket_appdata(old.get(), &note, &size);
    ASSERT_EQ(1, SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), note, size));
}

// Two ends of our contexts, in memory.
class Since : public testing::TestWithParam<ssl_protocol>
{
  protected:
    struct Ends {
        Ssl client;
        Ssl server;
    };

    Ends ends()
    {
        Built client(client_.get());
        Built server(server_.get());
        Ends made = {Ssl(SSL_new(client.ctx())), Ssl(SSL_new(server.ctx()))};
        BIO *near = nullptr;
        BIO *far = nullptr;
        EXPECT_EQ(1, BIO_new_bio_pair(&near, 0, &far, 0));
        SSL_set_bio(made.client.get(), near, near);
        SSL_set_bio(made.server.get(), far, far);
        SSL_set_connect_state(made.client.get());
        SSL_set_accept_state(made.server.get());
        return made;
    }
    // A whole handshake, and the ticket is read; `ago`: what the server is made to believe of a full one.
    static void shake(const Ends &of, long ago = 0)
    {
        char byte;
        size_t got;
        for (int turn = 0; turn < 10; turn++) {
            SSL_read_ex(of.client.get(), &byte, 1, &got);
            SSL_read_ex(of.server.get(), &byte, 1, &got);
            if (turn == 0 && ago != 0) {
                date_back(of.server.get(), ago);
            }
        }
        ASSERT_TRUE(SSL_is_init_finished(of.client.get()));
        ASSERT_TRUE(SSL_is_init_finished(of.server.get()));
        ERR_clear_error();
    }
    // Whether a client comes in by the session of one before.
    bool resumes(const Ends &before, Ends *again)
    {
        *again = ends();
        Inner session(SSL_get1_session(before.client.get()));
        EXPECT_EQ(1, SSL_set_session(again->client.get(), session.get()));
        shake(*again);
        return SSL_session_reused(again->server.get()) == 1;
    }
    Session taken(const Ends &from)
    {
        ssl_session *made = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK,
                       sally_session_take(from.client.get(), "localhost", "test", &made, &err),
                       err));
        return Session(made);
    }
    // Whether our client would offer it.
    bool is_offered(const Session &session)
    {
        Ends fresh = ends();
        EXPECT_EQ(SALLY_OK, sally_session_offer(fresh.client.get(), session.get(), "localhost",
                                                "test", nullptr));
        return SSL_get_session(fresh.client.get()) != nullptr;
    }

    Context client_ = client_context(GetParam());
    Context server_ = server_context();
};

INSTANTIATE_TEST_SUITE_P(Versions, Since,
                         testing::Values(SALLY_PROTOCOL_TLS12, SALLY_PROTOCOL_TLS13),
                         [](const auto &version) { return ssl_protocol_name(version.param); });

TEST_P(Since, C6_ATicketIsTakenForItsLifetimeFromTheFullHandshakeOn)
{
    Ends young = ends();
    Ends old = ends();
    Ends again;
    shake(young, kTickets - 60);
    EXPECT_TRUE(resumes(young, &again));
    shake(old, kTickets + 1);
    EXPECT_FALSE(resumes(old, &again));
    EXPECT_TRUE(resumes(again, &old)) << "a new ticket came with the full handshake";
}

TEST_P(Since, C6_ResumptionDoesNotMakeItYounger)
{
    Ends first = ends();
    Ends second;
    Ends third;
    shake(first, 1000);
    ASSERT_TRUE(resumes(first, &second));
    ASSERT_TRUE(resumes(second, &third));
    EXPECT_EQ(8U, note_of(first.server.get()).size());
    EXPECT_EQ(note_of(first.server.get()), note_of(second.server.get()));
    EXPECT_EQ(note_of(first.server.get()), note_of(third.server.get()));
}

TEST_P(Since, C6_OurClientOffersNoneThatIsTooOld)
{
    Ends met = ends();
    shake(met);
    Session fresh = taken(met);
    SSL_SESSION_set_time(SSL_get_session(met.client.get()),
                         static_cast<long>(time(nullptr)) - kSessions - 1);
    Session old = taken(met);
    EXPECT_TRUE(is_offered(fresh));
    EXPECT_FALSE(is_offered(old));
}

TEST_P(Since, C6_WhatOurClientResumedIsAsOldAsWhatItOffered)
{
    Ends met = ends();
    shake(met);
    SSL_SESSION_set_time(SSL_get_session(met.client.get()),
                         static_cast<long>(time(nullptr)) - 1000);
    Session session = taken(met);
    Ends again = ends();
    ASSERT_EQ(SALLY_OK,
              sally_session_offer(again.client.get(), session.get(), "localhost", "test", nullptr));
    std::string offered = note_of(again.client.get());
    shake(again);
    ASSERT_EQ(1, SSL_session_reused(again.client.get()));
    EXPECT_EQ(8U, offered.size());
    EXPECT_EQ(offered, note_of(again.client.get()));
}

TEST(SinceNote, C6_IsMadeOnceAndJudgedAtItsEdge)
{
    Inner session = begun_before(100);
    EXPECT_FALSE(sally_since_is_within(session.get(), kTickets)) << "without a note nobody knows";
    ASSERT_TRUE(sally_since_note(session.get()));
    SSL_SESSION_set_time(session.get(), static_cast<long>(time(nullptr)));
    ASSERT_TRUE(sally_since_note(session.get()));
    EXPECT_FALSE(sally_since_is_within(session.get(), 99));
    EXPECT_TRUE(sally_since_is_within(session.get(), 160));
}

TEST(SinceNote, C6_AnotherProgramsDataIsNone)
{
    Inner session = begun_before(0);
    ASSERT_EQ(1, SSL_SESSION_set1_ticket_appdata(session.get(), "abc", 3));
    EXPECT_FALSE(sally_since_is_within(session.get(), kTickets));
}

} // namespace

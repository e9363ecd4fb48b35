// Sessions as objects without memory, and bytes that are none (C6, E2).
#include <string>
#include <vector>

#include "crypto_fixture.h"
#include "support/engines.h"
#include "support/faults.h"

extern "C" {
#include "session.h"
}

using namespace sallytest;

namespace
{

// A client of ours that has read the ticket of a raw server.
struct Visited {
    EnginePair pair;

    Visited() : pair(EngineSetup())
    {
        EXPECT_TRUE(pair.shake());
        EXPECT_EQ(Raw::Ok, pair.raw->write_all("t"));
        EXPECT_EQ("t", pair.read_all_there_is().bytes);
    }
    ssl_status take(ssl_session **session, ssl_error *err)
    {
        *session = nullptr;
        return sally_engine_session(pair.engine, "test", session, err);
    }
    Session session()
    {
        ssl_session *made = nullptr;
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, take(&made, &err), err));
        return Session(made);
    }
};

std::vector<unsigned char> bytes_of(const Session &session)
{
    size_t length = 0;
    ssl_session_serialize(session.get(), nullptr, 0, &length, nullptr);
    std::vector<unsigned char> bytes(length);
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK,
                   ssl_session_serialize(session.get(), bytes.data(), length, &length, &err), err));
    return bytes;
}

TEST(SessionObject, C6_NoSessionBeforeTheTicket)
{
    EngineSetup setup;
    setup.version = TLS1_3_VERSION;
    EnginePair pair(setup);
    ASSERT_TRUE(pair.shake());
    ssl_session *session = nullptr;
    ssl_error err;
    EXPECT_TRUE(
        is(SALLY_UNSUPPORTED, sally_engine_session(pair.engine, "test", &session, &err), err));
    EXPECT_EQ(nullptr, session);
}

TEST(SessionObject, C6_BytesSurviveARoundTrip)
{
    Visited visited;
    std::vector<unsigned char> bytes = bytes_of(visited.session());
    ssl_session *again = nullptr;
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_session_parse(bytes.data(), bytes.size(), &again, &err), err));
    EXPECT_EQ(bytes, bytes_of(Session(again)));
}

TEST(SessionObject, E2_TooLittleRoomSaysHowMuchIsNeeded)
{
    Visited visited;
    Session session = visited.session();
    std::vector<unsigned char> bytes = bytes_of(session);
    size_t length = 0;
    ssl_error err;
    EXPECT_TRUE(is(
        SALLY_LIMIT,
        ssl_session_serialize(session.get(), bytes.data(), bytes.size() - 1, &length, &err), err));
    EXPECT_EQ(bytes.size(), length);
}

TEST(SessionObject, E2_AllocationFailures)
{
    Visited visited;
    sweep_allocations("ssl_port_session", [&](ssl_error *err) {
        ssl_session *made = nullptr;
        ssl_status status = visited.take(&made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        ssl_session_release(made);
        return status;
    });
    std::vector<unsigned char> bytes = bytes_of(visited.session());
    sweep_allocations("ssl_session_parse", [&](ssl_error *err) {
        ssl_session *made = nullptr;
        ssl_status status = ssl_session_parse(bytes.data(), bytes.size(), &made, err);
        EXPECT_EQ(status == SALLY_OK, made != nullptr);
        ssl_session_release(made);
        return status;
    });
    sweep_openssl_allocations("ssl_session_parse", [&](ssl_error *err) {
        ssl_session *made = nullptr;
        ssl_status status = ssl_session_parse(bytes.data(), bytes.size(), &made, err);
        ssl_session_release(made);
        return status;
    });
}

} // namespace

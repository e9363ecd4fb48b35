// The pause at the ClientHello (hello.c, engine_names.c, conn_names.c), step by step: pieces, a second
// ClientHello, bounds, no memory, and doors that close while somebody is asked (C4).
#include <atomic>
#include <functional>
#include <string>

#include <openssl/ssl.h>

#include "crypto_fixture.h"
#include "support/engines.h"
#include "support/faults.h"
#include "support/guards.h"
#include "support/internals.h"
#include "support/rng.h"
#include "support/threads.h"

extern "C" {
#include "engine_object.h"
}

using namespace sallytest;

namespace
{

const char kName[] = "second.example";

// Chooses `other` for kName, nothing for others; counts.
struct Chooser {
    ssl_context *other = nullptr;
    std::atomic<int> calls{0};
    std::function<void()> meanwhile = [] {};
};

ssl_status choose(const char *hostname, void *user, ssl_context **chosen)
{
    auto *chooser = static_cast<Chooser *>(user);
    chooser->calls++;
    chooser->meanwhile();
    *chosen = std::string(kName) == hostname ? chooser->other : nullptr;
    return SALLY_OK;
}

// An engine of a server that has a callback, and a raw client that names kName.
class Pause : public testing::TestWithParam<int>
{
  protected:
    Pause() : first_(server_context()), other_(server_context("sni"))
    {
        ssl_error err;
        chooser_.other = other_.get();
        EXPECT_TRUE(
            is(SALLY_OK,
               ssl_set_server_name_identification_callback(first_.get(), choose, &chooser_, &err),
               err));
    }
    EngineSetup setup(const std::string &name = kName) const
    {
        EngineSetup made;
        made.client = false;
        made.version = GetParam();
        made.context = first_.get();
        made.raw.server_name = name;
        return made;
    }
    static std::string shown(EnginePair &pair)
    {
        X509 *certificate = SSL_get0_peer_certificate(pair.raw->ssl());
        char name[128] = "";
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                  sizeof name);
        return name;
    }

    Context first_;
    Context other_;
    Chooser chooser_;
};

INSTANTIATE_TEST_SUITE_P(Versions, Pause, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

TEST_P(Pause, C4_ClientHelloOneByteAtATime)
{
    EnginePair pair(setup());
    LoopFaults dribble;
    dribble.chunk = 1;
    pair.loop.to_a->set_faults(dribble);
    ASSERT_TRUE(pair.shake());
    EXPECT_EQ("second.example", shown(pair));
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("after"));
    EXPECT_EQ("after", pair.read_all_there_is().bytes);
}

TEST_P(Pause, C4_NothingIsKeptOnceTheContextIsChosen)
{
    for (const char *name : {kName, "unknown.example", ""}) {
        EnginePair pair(setup(name));
        EXPECT_NE(nullptr, pair.engine->pause);
        EXPECT_NE(nullptr, pair.engine->bio.tape);
        ASSERT_TRUE(pair.shake());
        EXPECT_EQ(nullptr, pair.engine->pause) << name;
        EXPECT_EQ(nullptr, pair.engine->bio.tape) << name;
    }
}

TEST_P(Pause, C4_AServerWithNobodyToAskPaysNothing)
{
    EngineSetup plain = setup();
    plain.context = other_.get();
    EnginePair pair(plain);
    EXPECT_EQ(nullptr, pair.engine->pause);
    EXPECT_EQ(nullptr, pair.engine->bio.tape);
    EXPECT_TRUE(pair.shake());
}

// The step that heeds the answer receives nothing more: what has come meanwhile is for the next step,
// before which a break is looked for.
TEST_P(Pause, B2_AnAnswerIsAStepOfItsOwn)
{
    EnginePair pair(setup());
    EXPECT_EQ(Raw::WantRead, pair.raw->handshake_step());
    sally_want want;
    ASSERT_EQ(SALLY_STEP_ASK, sally_engine_handshake(pair.engine, &want));
    sally_engine_ask(pair.engine);
    unsigned long receives = sally_engine_receives(pair.engine);
    EXPECT_EQ(SALLY_STEP_WANT, sally_engine_handshake(pair.engine, &want));
    EXPECT_TRUE(want.receive);
    EXPECT_EQ(receives, sally_engine_receives(pair.engine));
}

// ---- HelloRetryRequest (RFC 8446 section 4.1.4) ------------------------------------------------

class Retried : public Pause
{
  protected:
    // The client shares a key for the first of its groups, and the server wants the second.
    void expect_retry(ssl_context *wants, const std::string &name, const std::string &certificate)
    {
        ASSERT_EQ(SALLY_OK, ssl_set_groups(wants, "P-384", nullptr));
        EnginePair pair(setup(name));
        ASSERT_EQ(1, SSL_set1_groups_list(pair.raw->ssl(), "X25519:P-384"));
        ASSERT_TRUE(pair.shake());
        EXPECT_EQ(certificate, shown(pair));
        EXPECT_EQ(NID_secp384r1, SSL_get_shared_group(pair.engine->ssl, 0));
        EXPECT_EQ(1, chooser_.calls) << "the second ClientHello asks nobody";
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, Retried, testing::Values(TLS1_3_VERSION),
                         [](const testing::TestParamInfo<int> &) { return "Tls13"; });

TEST_P(Retried, C4_ByTheChosenContext)
{
    expect_retry(other_.get(), kName, "second.example");
}

TEST_P(Retried, C4_ByTheFirstContext)
{
    expect_retry(first_.get(), "unknown.example", "localhost");
}

// ---- bounds and lack of memory -----------------------------------------------------------------

// A handshake message of 131,071 bytes announced, and sent a record of one byte each.
TEST_P(Pause, C4_WhatIsTapedIsBounded)
{
    EnginePair pair(setup());
    const std::string header("\x01\x01\xff\xff", 4);
    Stepped stepped;
    for (size_t sent = 0; sent < SALLY_TAPE_MAX + 6 && stepped.step != SALLY_STEP_FAILED;
         sent += 6) {
        char byte = sent / 6 < header.size() ? header[sent / 6] : 'x';
        pair.raw->send_garbage(std::string("\x16\x03\x01\0\x01", 5) + byte);
        stepped = pair.handshake();
    }
    EXPECT_EQ(SALLY_STEP_FAILED, stepped.step);
    ssl_error err;
    EXPECT_EQ(SALLY_LIMIT, pair.why(&err)) << err.text;
    EXPECT_NE(std::string::npos, std::string(err.text).find("longer than 72 KiB")) << err.text;
    EXPECT_EQ(0, chooser_.calls);
}

// A name is not asked about again: what was chosen stays.
TEST(PauseAgain, C4_RenegotiationAsksNobody)
{
    Context first = server_context();
    Context other = server_context("sni");
    ASSERT_EQ(SALLY_OK, ssl_set_insecure_renegotiation(other.get(), true, nullptr));
    Chooser chooser;
    chooser.other = other.get();
    ASSERT_EQ(SALLY_OK,
              ssl_set_server_name_identification_callback(first.get(), choose, &chooser, nullptr));
    EngineSetup setup;
    setup.client = false;
    setup.version = TLS1_2_VERSION;
    setup.context = first.get();
    setup.raw.server_name = kName;
    setup.raw.allow_renegotiation = true;
    EnginePair pair(setup);
    ASSERT_TRUE(pair.shake());
    ASSERT_EQ(1, chooser.calls);
    ASSERT_TRUE(pair.raw->request_renegotiation());
    for (int i = 0; i < 50 && SSL_renegotiate_pending(pair.raw->ssl()) == 1; i++) {
        pair.raw->handshake_step();
        EXPECT_NE(SALLY_STEP_FAILED, pair.read_all_there_is().step);
    }
    EXPECT_EQ(0, SSL_renegotiate_pending(pair.raw->ssl()));
    EXPECT_EQ(1, chooser.calls);
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("after"));
    EXPECT_EQ("after", pair.read_all_there_is().bytes);
}

// Whichever of our allocations fails, that handshake fails with MEMORY, or does without.
TEST_P(Pause, C4_NoMemoryFailsThatHandshakeAlone)
{
    for (const char *name : {kName, "unknown.example"}) {
        long nth = 0;
        for (bool met = true; met && nth < 100;) {
            SCOPED_TRACE(testing::Message() << name << ", allocation " << ++nth);
            EnginePair pair(setup(name));
            sally_mem_fail_at(nth, 0);
            bool done = pair.shake();
            met = sally_mem_count() >= nth;
            sally_mem_fail_at(0, 0);
            ssl_error err = {};
            EXPECT_TRUE(done || is(SALLY_MEMORY, pair.why(&err), err));
        }
        EXPECT_GT(nth, 1) << "nothing was allocated";
    }
}

TEST_P(Pause, E2_NoMemoryForTheEngine)
{
    sally_engine_setup made = {};
    made.context = first_.get();
    made.call = "test";
    sweep_allocations("an engine that pauses", [&](ssl_error *err) {
        Loop own;
        sally_transport *transport = transport_a(own);
        sally_engine *engine = nullptr;
        ssl_status status = sally_engine_new(&made, transport, &engine, err);
        EXPECT_EQ(status == SALLY_OK, engine != nullptr);
        sally_buf nothing = {};
        if (engine != nullptr) {
            sally_engine_free(engine);
        } else {
            transport->ops->finish(transport, &nothing, false);
        }
        return status;
    });
}

// ---- while somebody is asked -------------------------------------------------------------------

// A server's connection whose callback is inside until the test lets it go; its client has sent the
// ClientHello.
class Asked : public testing::Test
{
  protected:
    Asked()
    {
        chooser_.other = other_.get();
        chooser_.meanwhile = [this] {
            inside_.open();
            go_.wait();
        };
        EXPECT_EQ(SALLY_OK, ssl_set_server_name_identification_callback(first_.get(), choose,
                                                                        &chooser_, nullptr));
        RawOptions options;
        options.server_name = kName;
        raw_ = std::make_unique<RawPeer>(channel_b(loop_), options);
        EXPECT_EQ(Raw::WantRead, raw_->handshake_step());
        sally_conn_setup setup = {};
        setup.engine.context = first_.get();
        setup.engine.call = "test";
        ssl_error err;
        EXPECT_TRUE(is(SALLY_OK, sally_conn_new(&setup, transport_a(loop_), &conn_, &err), err));
    }
    ~Asked() override
    {
        sally_conn_drop(conn_);
        EXPECT_EQ(before_, live_transports()) << "the engine went with the last one out";
    }

    // The handshake in a thread; `close` while it is in the callback.
    void during_the_question(const std::function<void()> &handshake,
                             const std::function<void()> &close)
    {
        Thread driver(handshake);
        ASSERT_TRUE(inside_.wait());
        close();
        go_.open();
        driver.join();
        EXPECT_EQ(1, chooser_.calls);
    }
    void step()
    {
        sally_want want;
        ssl_error err;
        step_ = sally_conn_handshake_step(conn_, &want, &err);
    }
    void run(sally_scope scope = SALLY_SCOPE_NONE)
    {
        sally_scope_bound(&scope, ssl_deadline_after_ms(slow(20000)));
        status_ = sally_conn_handshake_run(conn_, &scope, "test", &err_);
    }

    int before_ = live_transports();
    Context first_ = server_context();
    Context other_ = server_context("sni");
    Chooser chooser_;
    Latch inside_;
    Latch go_;
    Loop loop_;
    std::unique_ptr<RawPeer> raw_;
    sally_conn *conn_ = nullptr;
    sally_step step_ = SALLY_STEP_AGAIN;
    ssl_status status_ = SALLY_OK;
    ssl_error err_ = {};
};

TEST_F(Asked, C4_ThoseWhoCloseADoorAreNotHeldUpAndTheEngineStays)
{
    during_the_question([this] { step(); },
                        [this] {
                            ssl_abandon_port(&conn_->in);
                            ssl_abandon_port(&conn_->out);
                            EXPECT_NE(nullptr, conn_->engine);
                        });
    EXPECT_EQ(nullptr, conn_->engine);
}

TEST_F(Asked, C4_OneDoorClosedWithAGoodbye)
{
    during_the_question([this] { step(); },
                        [this] {
                            ssl_error err;
                            EXPECT_TRUE(is(SALLY_OK, ssl_close_port(&conn_->out, &err), err));
                        });
    EXPECT_EQ(SALLY_STEP_WANT, step_) << "the input door is open";
}

TEST_F(Asked, C4_AServerThatHangsUp)
{
    during_the_question([this] { step(); }, [this] { sally_conn_hang_up(conn_); });
    EXPECT_EQ(nullptr, conn_->engine);
}

TEST_F(Asked, P4_AClosedDoorEndsTheWholeHandshakeWithClosed)
{
    during_the_question([this] { run(); }, [this] { ssl_abandon_port(&conn_->in); });
    EXPECT_TRUE(is(SALLY_CLOSED, status_, err_));
}

TEST_F(Asked, B2_ABreakIsSeenBehindTheQuestion)
{
    Break brk = new_break();
    sally_scope scope = {};
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK,
                   sally_scope_begin(&scope, SALLY_ENABLE(brk.get()), SALLY_PHASE_HANDSHAKE, &err),
                   err));
    during_the_question([this, scope] { run(scope); }, [&] { ssl_break_send(brk.get(), 7); });
    EXPECT_TRUE(is(SALLY_BREAK, status_, err_));
    EXPECT_EQ(7, err_.code);
}

// It may pass before anybody is asked, on a busy machine; then a longer one is tried.
TEST_F(Asked, B5_SoIsADeadline)
{
    std::atomic<int64_t> deadline_ns{0};
    auto handshake = [&] {
        for (int64_t ms = 20; chooser_.calls == 0; ms *= 2) {
            sally_scope scope = SALLY_SCOPE_NONE;
            ssl_deadline soon = ssl_deadline_after_ms(ms);
            deadline_ns = soon.monotonic_ns;
            sally_scope_bound(&scope, soon);
            run(scope);
        }
    };
    during_the_question(handshake, [&] {
        EXPECT_TRUE(
            eventually([&] { return ssl_deadline_after_ms(0).monotonic_ns > deadline_ns; }));
    });
    EXPECT_TRUE(is(SALLY_TIMEOUT, status_, err_));
}

} // namespace

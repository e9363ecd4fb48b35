// ssl_server: output that the peer does not take yet is kept by the connection, not by a worker. Rules: W2, W4, W6, P3.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scenario/pages.h"
#include "support/guards.h"
#include "support/rng.h"

using namespace sallytest;

namespace
{

class Output : public testing::Test
{
  protected:
    Output()
    {
        warm_up();
    }
};

// Nobody takes a part of a page for the whole.
void expect_cut_short(RawPeer *peer)
{
    std::string page;
    EXPECT_EQ(Raw::Cut, peer->read_to_end(&page));
    EXPECT_GT(kPage, page.size());
}

} // namespace

TEST_F(Output, W2_APageGoesOutAsThePeerTakesIt)
{
    Service service(echo_or_page, service_options(1));
    auto reader = service.client();
    auto other = service.client();
    ASSERT_EQ(Raw::Ok, reader->write_all("p"));
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handler_calls >= 1 && now.busy == 0; }));
    for (int i = 0; i < 20; i++) {
        expect_echo(other.get(), "the only worker is free");
    }
    std::string page;
    EXPECT_EQ(Raw::Ok, reader->read_full(&page, kPage));
    EXPECT_EQ(std::string(kPage, 'p'), page);
    expect_echo(reader.get(), "and afterwards it is as before");
    EXPECT_EQ(0u, service.count().output_timed_out);
}

TEST_F(Output, W2_ClientsThatNeverReadHoldNoWorker)
{
    const long stalled = long_run(60, 1000);
    if (!can_open(3 * static_cast<size_t>(stalled) + 100)) {
        GTEST_SKIP() << "too few descriptors allowed";
    }
    ssl_server_options options = service_options(2);
    options.write_timeout_ms = slow(1500);
    Service service(echo_or_page, options);
    std::vector<std::unique_ptr<RawPeer>> deaf;
    for (long i = 0; i < stalled; i++) {
        deaf.push_back(service.client());
        ASSERT_EQ(Raw::Ok, deaf.back()->write_all("p"));
    }
    auto good = service.client();
    for (int i = 0; i < 20; i++) {
        expect_echo(good.get(), "served all the same");
    }
    EXPECT_TRUE(service.reaches(
        [&](auto &now) { return now.output_timed_out == static_cast<uint64_t>(stalled); }, 60));
    expect_echo(good.get(), "and at the end");
    EXPECT_TRUE(service.rests(1));
}

TEST_F(Output, W6_ADrainLetsAPageGoOutToItsEnd)
{
    Service service(echo_or_page, service_options(1));
    auto reader = service.client();
    ASSERT_EQ(Raw::Ok, reader->write_all("p"));
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handler_calls >= 1 && now.busy == 0; }));
    Thread drainer([&] { EXPECT_EQ(SALLY_OK, service.drain(40000, 40000)); });
    std::string page;
    EXPECT_EQ(Raw::Eof, reader->read_to_end(&page));
    EXPECT_EQ(kPage, page.size());
    reader->end();
    drainer.join();
}

TEST_F(Output, W6_ADrainDoesNotWaitForClientsThatNeverReadBeyondItsSoftDeadline)
{
    Service service(echo_or_page, service_options(1));
    auto deaf = service.client();
    ASSERT_EQ(Raw::Ok, deaf->write_all("p"));
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handler_calls >= 1 && now.busy == 0; }));
    size_t unfinished = 1;
    EXPECT_EQ(SALLY_OK, service.drain(300, 500, &unfinished));
    EXPECT_EQ(0u, unfinished);
    EXPECT_EQ(0u, service.count().open);
    expect_cut_short(deaf.get());
}

TEST_F(Output, P3_APageThatThePeerDoesNotTakeInTimeEndsWithoutAGoodbye)
{
    ssl_server_options options = service_options(1);
    options.write_timeout_ms = 200;
    Service service(echo_or_page, options);
    auto deaf = service.client();
    ASSERT_EQ(Raw::Ok, deaf->write_all("p"));
    EXPECT_TRUE(service.reaches([](auto &now) { return now.output_timed_out == 1; }));
    expect_cut_short(deaf.get());
}

TEST_F(Output, W2_APeerThatEndsItsSideStillGetsItsPage)
{
    Service service(echo_or_page, service_options(1));
    auto reader = service.client();
    ASSERT_EQ(Raw::Ok, reader->write_all("p"));
    reader->send_goodbye();
    std::string page;
    EXPECT_EQ(Raw::Ok, reader->read_full(&page, kPage));
    EXPECT_EQ(std::string(kPage, 'p'), page);
}

TEST_F(Output, W2_APeerThatIsGoneEndsItsPage)
{
    Service service(echo_or_page, service_options(1));
    auto reader = service.client();
    ASSERT_EQ(Raw::Ok, reader->write_all("p"));
    EXPECT_TRUE(service.reaches([](auto &now) { return now.handler_calls >= 1 && now.busy == 0; }));
    reader.reset();
    EXPECT_TRUE(service.rests(0));
    EXPECT_EQ(0u, service.count().output_timed_out);
}

// The log of secrets: who gets which lines, on which thread, and what a file looks like (C6).
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "sallyport/keylog.h"
#include "support/guards.h"
#include "support/scratch_dir.h"

using namespace sallytest;

namespace
{

using Lines = std::multiset<std::string>;

// Collects, from any thread.
class Log
{
  public:
    static void add(const char *line, void *user)
    {
        Log *log = static_cast<Log *>(user);
        std::lock_guard<std::mutex> hold(log->mutex_);
        log->lines_.insert(line);
        log->threads_.insert(current_tid());
    }
    Lines lines()
    {
        std::lock_guard<std::mutex> hold(mutex_);
        return lines_;
    }
    std::set<pid_t> threads()
    {
        std::lock_guard<std::mutex> hold(mutex_);
        return threads_;
    }

    void clear()
    {
        std::lock_guard<std::mutex> hold(mutex_);
        lines_.clear();
        threads_.clear();
    }

  private:
    std::mutex mutex_;
    Lines lines_;
    std::set<pid_t> threads_;
};

// Ours as a context logs it, and the same handshakes as a raw peer's OpenSSL does.
Log theirs;

void on_raw_line(const SSL *, const char *line)
{
    Log::add(line, &theirs);
}

void log_raw(SSL *ssl)
{
    theirs.clear();
    SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), on_raw_line);
}

void log_to(const Context &context, Log *log)
{
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_set_keylogger(context.get(), Log::add, log, &err), err));
}

// A path in a directory of the test's own.
class KeyFile
{
  public:
    const char *path() const
    {
        return path_.c_str();
    }
    const char *directory() const
    {
        return directory_.root().c_str();
    }
    bool exists() const
    {
        return access(path(), F_OK) == 0;
    }
    Lines lines() const
    {
        Lines all;
        std::ifstream file(path_);
        for (std::string line; std::getline(file, line);) {
            all.insert(line);
        }
        return all;
    }

  private:
    ScratchDir directory_;
    std::string path_ = directory_.path("keys.log");
};

bool is_hex(const std::string &text)
{
    return text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// A label, 32 bytes that name the connection, and a secret of 32 to 48 bytes.
bool is_line(const std::string &line)
{
    std::istringstream words(line);
    std::string label;
    std::string connection;
    std::string secret;
    words >> label >> connection >> secret;
    return words.eof() && !label.empty() && connection.size() == 64 && is_hex(connection) &&
           secret.size() >= 64 && secret.size() <= 96 && is_hex(secret);
}

class Keylog : public testing::TestWithParam<int>
{
  protected:
    // A raw client at a listener of `context`, which logs what OpenSSL tells it.
    Meeting meet_logging(const Context &context) const
    {
        Listener listener = listen_on_loopback(context.get());
        return meet(listener.get(), raw_client(GetParam()), log_raw);
    }
    size_t lines_of_a_handshake() const
    {
        return GetParam() == TLS1_3_VERSION ? 5 : 1;
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, Keylog, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const testing::TestParamInfo<int> &version) {
                             return version.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

TEST_P(Keylog, C6_AServersLinesAreThePeers)
{
    Log ours;
    Context context = server_context();
    log_to(context, &ours);
    Meeting meeting = meet_logging(context);
    ASSERT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ(lines_of_a_handshake(), ours.lines().size()) << "before accept returns";
    EXPECT_EQ(theirs.lines(), ours.lines());
    EXPECT_EQ(std::set<pid_t>{current_tid()}, ours.threads());
}

TEST_P(Keylog, C6_AClientsLinesAreThePeers)
{
    Log ours;
    Context context = client_context();
    log_to(context, &ours);
    RawListener listener;
    std::unique_ptr<RawPeer> raw;
    Thread server([&] {
        raw = raw_peer(listener.accept(), raw_server(GetParam()));
        log_raw(raw->ssl());
        EXPECT_EQ(Raw::Ok, raw->handshake());
    });
    Outcome connected = connect_at("127.0.0.1", listener.port(), context.get());
    EXPECT_EQ(lines_of_a_handshake(), ours.lines().size()) << "before connect returns";
    server.join();
    EXPECT_EQ(theirs.lines(), ours.lines());
    EXPECT_EQ(std::set<pid_t>{current_tid()}, ours.threads());
}

TEST_P(Keylog, C6_AFilesLinesAreThePeers)
{
    KeyFile file;
    std::ofstream(file.path()) << "# what was there before\n";
    Context context = server_context();
    ssl_error err;
    ASSERT_TRUE(is(SALLY_OK, ssl_set_keylog_file(context.get(), file.path(), &err), err));
    ASSERT_TRUE(is(SALLY_OK, meet_logging(context).ours));
    Lines expected = theirs.lines();
    expected.insert("# what was there before");
    EXPECT_EQ(expected, file.lines());
    EXPECT_EQ(0u, ssl_keylog_lost(context.get()));
}

// The chosen context's log, not the one of the context that the client met first.
TEST_P(Keylog, C4_TheChosenContextsLogHolds)
{
    Log first_log;
    Log other_log;
    Context first = server_context();
    Context other = server_context("sni");
    log_to(first, &first_log);
    log_to(other, &other_log);
    Choose choose = only("second.example", other.get());
    ask(first.get(), &choose);
    Listener listener = listen_on_loopback(first.get());
    ASSERT_TRUE(
        is(SALLY_OK, meet(listener.get(), naming("second.example", GetParam()), log_raw).ours));
    EXPECT_EQ(theirs.lines(), other_log.lines());
    EXPECT_EQ(Lines(), first_log.lines());
}

TEST_P(Keylog, C6_CallbackMayCallTheLibrary)
{
    Context context = server_context();
    auto use_library = [](const char *, void *) {
        Pair pair = connected_pair(); // locks of every kind
        EXPECT_TRUE(pair);
    };
    ASSERT_EQ(SALLY_OK, ssl_set_keylogger(context.get(), use_library, nullptr, nullptr));
    EXPECT_TRUE(is(SALLY_OK, meet_logging(context).ours));
}

TEST_P(Keylog, C6_NullTakesItOff)
{
    Log ours;
    KeyFile file;
    Context context = server_context();
    log_to(context, &ours);
    ASSERT_EQ(SALLY_OK, ssl_set_keylogger(context.get(), nullptr, nullptr, nullptr));
    EXPECT_TRUE(is(SALLY_OK, meet_logging(context).ours));
    ASSERT_EQ(SALLY_OK, ssl_set_keylog_file(context.get(), file.path(), nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_keylog_file(context.get(), nullptr, nullptr));
    EXPECT_TRUE(is(SALLY_OK, meet_logging(context).ours));
    EXPECT_EQ(Lines(), ours.lines());
    EXPECT_EQ(Lines(), file.lines());
}

TEST(KeylogFile, C6_LaterSetterTakesThePlaceOfTheEarlier)
{
    Log ours;
    KeyFile file;
    Context context = server_context();
    log_to(context, &ours);
    ASSERT_EQ(SALLY_OK, ssl_set_keylog_file(context.get(), file.path(), nullptr));
    Listener listener = listen_on_loopback(context.get());
    ASSERT_TRUE(is(SALLY_OK, meet(listener.get(), raw_client()).ours));
    EXPECT_EQ(Lines(), ours.lines());
    EXPECT_EQ(5u, file.lines().size());
    log_to(context, &ours);
    ASSERT_TRUE(is(SALLY_OK, meet(listener.get(), raw_client()).ours));
    EXPECT_EQ(5u, ours.lines().size());
    EXPECT_EQ(5u, file.lines().size());
}

TEST(KeylogFile, C6_IsPrivateAndSharedByContextsAndThreads)
{
    KeyFile file;
    Context server = server_context();
    Context client = client_context();
    ASSERT_EQ(SALLY_OK, ssl_set_keylog_file(server.get(), file.path(), nullptr));
    ASSERT_EQ(SALLY_OK, ssl_set_keylog_file(client.get(), file.path(), nullptr));
    struct stat about = {};
    ASSERT_EQ(0, stat(file.path(), &about));
    EXPECT_EQ(0600u, about.st_mode & 07777u);

    constexpr int kThreads = 4;
    constexpr int kRounds = 10;
    Listener listener = listen_on_loopback(server.get());
    std::vector<std::unique_ptr<Thread>> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.push_back(std::make_unique<Thread>([&] {
            for (int k = 0; k < kRounds; k++) {
                EXPECT_TRUE(is(SALLY_OK, accept_from(listener.get())));
            }
        }));
        threads.push_back(std::make_unique<Thread>([&] {
            for (int k = 0; k < kRounds; k++) {
                Outcome ours = connect_at("127.0.0.1", port_of(listener.get()), client.get());
                EXPECT_TRUE(is(SALLY_OK, ours));
            }
        }));
    }
    threads.clear();
    Lines lines = file.lines();
    EXPECT_EQ(2u * 5 * kThreads * kRounds, lines.size());
    EXPECT_TRUE(std::all_of(lines.begin(), lines.end(), is_line));
    for (const std::string &line : lines) {
        EXPECT_EQ(2u, lines.count(line)) << "one of each end";
    }
}

TEST(KeylogFile, C6_ALineThatCannotBeWrittenIsCountedAndFailsNobody)
{
    KeyFile file;
    Context context = server_context();
    ASSERT_EQ(SALLY_OK, ssl_set_keylog_file(context.get(), file.path(), nullptr));
    Listener listener = listen_on_loopback(context.get());
    struct rlimit before = {};
    ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &before));
    struct rlimit none = before;
    none.rlim_cur = 0;
    auto old = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &none));
    Meeting meeting = meet(listener.get(), raw_client());
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &before));
    std::signal(SIGXFSZ, old);
    EXPECT_TRUE(is(SALLY_OK, meeting.ours));
    EXPECT_EQ(5u, ssl_keylog_lost(context.get()));
    EXPECT_EQ(0u, ssl_keylog_lost(nullptr));
}

TEST(KeylogFile, C6_NoEnvironmentVariableTurnsItOn)
{
    KeyFile file;
    setenv("SSLKEYLOGFILE", file.path(), 1);
    EXPECT_TRUE(connected_pair());
    unsetenv("SSLKEYLOGFILE");
    EXPECT_FALSE(file.exists());
}

TEST(KeylogFile, C6_WhatIsNoRegularFileIsRefused)
{
    Context context = server_context();
    KeyFile file;
    std::string fifo = std::string(file.directory()) + "/fifo";
    std::string missing = std::string(file.directory()) + "/missing/keys.log";
    ssl_error err;
    auto set = [&](const std::string &path) {
        return ssl_set_keylog_file(context.get(), path.c_str(), &err);
    };
    FdGuard fds;
    ASSERT_EQ(0, mkfifo(fifo.c_str(), 0600));
    EXPECT_TRUE(is(SALLY_SYSTEM, set(fifo), err)); // nobody reads it
    int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
    EXPECT_TRUE(is(SALLY_CONFIG, set(fifo), err));
    EXPECT_NE(nullptr, std::strstr(err.text, "ssl_set_keylogger")) << err.text;
    close(reader);
    unlink(fifo.c_str());
    EXPECT_TRUE(is(SALLY_CONFIG, set("/dev/null"), err));
    EXPECT_TRUE(is(SALLY_SYSTEM, set(file.directory()), err));
    EXPECT_TRUE(is(SALLY_SYSTEM, set(missing), err));
    EXPECT_EQ(ENOENT, err.sys_errno);
}

TEST(KeylogFile, C2_ASealedContextTouchesNoFile)
{
    KeyFile file;
    Context context = server_context();
    ASSERT_EQ(SALLY_OK, ssl_seal_context(context.get(), nullptr));
    ssl_error err;
    EXPECT_TRUE(is(SALLY_SEALED, ssl_set_keylog_file(context.get(), file.path(), &err), err));
    EXPECT_FALSE(file.exists());
    EXPECT_TRUE(is(SALLY_SEALED, ssl_set_keylogger(context.get(), Log::add, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_keylogger(nullptr, Log::add, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_set_keylog_file(nullptr, file.path(), &err), err));
    EXPECT_FALSE(file.exists());
}

} // namespace

// digest_port.c: digests of memory, FILEs, descriptors and ports. Rules: B1 B2 B4 B5 B7 B9 E1 E3 P3 P8.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "crypto_fixture.h"
#include "digest_feeds.h"
#include "sallyport/digest.h"
#include "support/pairs.h"
#include "support/rng.h"
#include "support/threads.h"

using namespace sallytest;

namespace
{

std::string hex_of(const unsigned char *bytes, size_t n)
{
    char hex[SALLY_SHA256_HEX_SIZE];
    EXPECT_EQ(SALLY_OK, ssl_bytes_to_hex_string(bytes, n, hex, sizeof hex, nullptr));
    return hex;
}

std::string openssl_digest(const char *name, const std::string &text)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    size_t n = 0;
    EXPECT_EQ(1, EVP_Q_digest(nullptr, name, nullptr, text.data(), text.size(), bytes, &n));
    return hex_of(bytes, n);
}

std::string sha1_of(const ssl_digest_source &source)
{
    char hex[SALLY_SHA1_HEX_SIZE];
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_sha1(&source, hex, &err), err));
    return hex;
}

ssl_digest_source of_text(const std::string &text)
{
    return ssl_digest_of_bytes(text.data(), text.size());
}
ssl_digest_source of_text(std::string &&) = delete; // it would be gone before it is read

std::string name_of_kind(const testing::TestParamInfo<FeedKind> &kind)
{
    return kind.param.name;
}

// Sources that may have nothing yet.
class SilentSource : public testing::TestWithParam<FeedKind>
{
  protected:
    SilentSource()
    {
        signal(SIGPIPE, SIG_IGN);
    }
};
INSTANTIATE_TEST_SUITE_P(Kinds, SilentSource, testing::ValuesIn(silent_feeds), name_of_kind);

class WholeSource : public testing::TestWithParam<FeedKind>
{
};
INSTANTIATE_TEST_SUITE_P(Kinds, WholeSource, testing::ValuesIn(whole_feeds), name_of_kind);

// Around the portions in which a source is read.
const size_t sizes[] = {0, 1, 4095, 4097, 16383, 16384, 16385, 40000, 1 << 20};

class Digests : public testing::Test
{
};

// The digests of FIPS 180 and RFC 1321 that this OpenSSL does not offer, as with a FIPS provider.
class FipsProperties
{
  public:
    FipsProperties()
    {
        EXPECT_EQ(1, EVP_default_properties_enable_fips(nullptr, 1));
    }
    ~FipsProperties()
    {
        EVP_default_properties_enable_fips(nullptr, 0);
    }
};

} // namespace

// ---- known answers ------------------------------------------------------------------------------

namespace
{

struct Answer {
    const char *text;
    const char *md5;
    const char *sha1;
    const char *sha256;
};

void PrintTo(const Answer &answer, std::ostream *out)
{
    *out << '"' << answer.text << '"';
}

class KnownAnswers : public testing::TestWithParam<Answer>
{
};

// Texts of RFC 1321 appendix A.5 and FIPS 180-2 appendices A and B; what they do not give is coreutils'.
INSTANTIATE_TEST_SUITE_P(
    Standards, KnownAnswers,
    testing::Values(
        Answer{"", "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        Answer{"abc", "900150983cd24fb0d6963f7d28e17f72",
               "a9993e364706816aba3e25717850c26c9cd0d89d",
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        Answer{"message digest", "f96b697d7cb7938d525a2f31aaf161d0",
               "c12252ceda8be8994d5fa0290a47231c1d16aae3",
               "f7846f55cf23e14eebeab5b4e1550cad5b509e3348fbc4efa3a1413d393cb650"},
        Answer{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
               "8215ef0796a20bcaaae116d3876c664a", "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        Answer{"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
               "57edf4a22be3c955ac49da2e2107b67a", "50abf5706a150990a08b2c5ea40fa0e585554732",
               "f371bc4a311f2b009eef952dd83ca80e2b60026c8e935592d0f9c308453c813e"}));

} // namespace

TEST_P(KnownAnswers, InHexAndAsBytes)
{
    std::string text = GetParam().text;
    ssl_digest_source in = of_text(text);
    char md5[SALLY_MD5_HEX_SIZE];
    char sha1[SALLY_SHA1_HEX_SIZE];
    char sha256[SALLY_SHA256_HEX_SIZE];
    EXPECT_EQ(SALLY_OK, ssl_md5(&in, md5, nullptr));
    EXPECT_STREQ(GetParam().md5, md5);
    EXPECT_EQ(SALLY_OK, ssl_sha1(&in, sha1, nullptr));
    EXPECT_STREQ(GetParam().sha1, sha1);
    EXPECT_EQ(SALLY_OK, ssl_sha256(&in, sha256, nullptr));
    EXPECT_STREQ(GetParam().sha256, sha256);

    unsigned char bytes[SALLY_SHA256_SIZE];
    EXPECT_EQ(SALLY_OK, ssl_md5_bytes(&in, bytes, nullptr));
    EXPECT_EQ(GetParam().md5, hex_of(bytes, SALLY_MD5_SIZE));
    EXPECT_EQ(SALLY_OK, ssl_sha1_bytes(&in, bytes, nullptr));
    EXPECT_EQ(GetParam().sha1, hex_of(bytes, SALLY_SHA1_SIZE));
    EXPECT_EQ(SALLY_OK, ssl_sha256_bytes(&in, bytes, nullptr));
    EXPECT_EQ(GetParam().sha256, hex_of(bytes, SALLY_SHA256_SIZE));
}

TEST_P(KnownAnswers, TheFormsThatCanBeBrokenGiveTheSame)
{
    Break brk = new_break();
    std::string text = GetParam().text;
    ssl_digest_source in = of_text(text);
    char hex[SALLY_SHA256_HEX_SIZE];
    unsigned char bytes[SALLY_SHA256_SIZE];
    EXPECT_EQ(SALLY_OK, ssl_md5_enable_break(&in, brk.get(), hex, nullptr));
    EXPECT_STREQ(GetParam().md5, hex);
    EXPECT_EQ(SALLY_OK, ssl_sha1_enable_break(&in, brk.get(), hex, nullptr));
    EXPECT_STREQ(GetParam().sha1, hex);
    EXPECT_EQ(SALLY_OK, ssl_sha256_enable_break(&in, brk.get(), hex, nullptr));
    EXPECT_STREQ(GetParam().sha256, hex);
    EXPECT_EQ(SALLY_OK, ssl_md5_bytes_enable_break(&in, brk.get(), bytes, nullptr));
    EXPECT_EQ(GetParam().md5, hex_of(bytes, SALLY_MD5_SIZE));
    EXPECT_EQ(SALLY_OK, ssl_sha1_bytes_enable_break(&in, brk.get(), bytes, nullptr));
    EXPECT_EQ(GetParam().sha1, hex_of(bytes, SALLY_SHA1_SIZE));
    EXPECT_EQ(SALLY_OK, ssl_sha256_bytes_enable_break(&in, brk.get(), bytes, nullptr));
    EXPECT_EQ(GetParam().sha256, hex_of(bytes, SALLY_SHA256_SIZE));
}

TEST_F(Digests, AMillionTimesTheLetterA)
{
    std::string text(1000000, 'a');
    EXPECT_EQ("34aa973cd4c4daa4f61eeb2bdbad27316534016f", sha1_of(of_text(text)));
}

// ---- every source, every size -------------------------------------------------------------------

TEST_P(WholeSource, IsReadToItsEnd)
{
    for (size_t size : sizes) {
        if (size == 0 && std::string(GetParam().name) == "MemoryFile") {
            continue; // fmemopen(3) may refuse it
        }
        FeedPtr feed = GetParam().make();
        std::string text = stream_bytes(2, size, size);
        feed->put(text);
        feed->end();
        EXPECT_EQ(openssl_digest("SHA1", text), sha1_of(feed->source)) << size;
    }
}

TEST_P(SilentSource, IsReadToItsEnd)
{
    for (size_t size : sizes) {
        FeedPtr feed = GetParam().make();
        std::string text = stream_bytes(3, size, size);
        Thread writer([&] {
            feed->put(text);
            feed->end();
        });
        EXPECT_EQ(openssl_digest("SHA1", text), sha1_of(feed->source)) << size;
    }
}

TEST_P(SilentSource, BytesThatComeOneByOneAreWaitedFor)
{
    FeedPtr feed = GetParam().make();
    std::string hex;
    Thread reader([&] { hex = sha1_of(feed->source); });
    for (const char *piece : {"a", "bc", "def"}) {
        EXPECT_TRUE(wait_until_asleep(reader));
        feed->put(piece);
    }
    EXPECT_TRUE(wait_until_asleep(reader));
    feed->end();
    reader.join();
    EXPECT_EQ(openssl_digest("SHA1", "abcdef"), hex);
}

TEST_F(Digests, AFileGivesWhatItHasBufferedFirst)
{
    FeedPtr feed = file_of_pipe_feed();
    feed->put("abc");
    EXPECT_EQ('a', getc(feed->source.file)); // "bc" is in the FILE's buffer now
    std::string hex;
    Thread reader([&] { hex = sha1_of(feed->source); });
    EXPECT_TRUE(wait_until_asleep(reader));
    feed->put("def");
    feed->end();
    reader.join();
    EXPECT_EQ(openssl_digest("SHA1", "bcdef"), hex);
    EXPECT_NE(0, feof(feed->source.file));
}

TEST_F(Digests, AFileWithAPushedBackByteGivesItFirst)
{
    FeedPtr feed = file_feed();
    feed->put("xbc");
    feed->end();
    EXPECT_EQ('x', getc(feed->source.file));
    EXPECT_EQ('a', ungetc('a', feed->source.file));
    EXPECT_EQ(openssl_digest("SHA1", "abc"), sha1_of(feed->source));
}

TEST_F(Digests, DescriptorsAndFilesAreReadFromWhereTheyStand)
{
    FeedPtr feed = fd_of_file_feed();
    feed->put("not this, but this");
    feed->end();
    EXPECT_EQ(10, lseek(feed->source.fd, 10, SEEK_SET));
    EXPECT_EQ(openssl_digest("SHA1", "but this"), sha1_of(feed->source));
    EXPECT_EQ(openssl_digest("SHA1", ""), sha1_of(feed->source)) << "it stays at its end";
}

// A terminal in canonical mode gives a line at a time, and its end is a key (termios(3), VEOF).
TEST_F(Digests, ATerminalIsReadLineByLineToItsEndOfFileKey)
{
    for (bool as_stream : {false, true}) {
        Fd keyboard(posix_openpt(O_RDWR | O_NOCTTY));
        ASSERT_TRUE(keyboard && grantpt(keyboard.get()) == 0 && unlockpt(keyboard.get()) == 0);
        Fd terminal(open(ptsname(keyboard.get()), O_RDWR | O_NOCTTY));
        FILE *file = as_stream ? fdopen(dup(terminal.get()), "r") : nullptr;
        ssl_digest_source in =
            as_stream ? ssl_digest_of_file(file) : ssl_digest_of_fd(terminal.get());
        std::string hex;
        Thread reader([&] { hex = sha1_of(in); });
        for (const char *typed : {"one\n", "two\nand", " three\n", "\x04"}) {
            EXPECT_TRUE(wait_until_asleep(reader));
            EXPECT_LT(0, write(keyboard.get(), typed, strlen(typed)));
        }
        reader.join();
        EXPECT_EQ(openssl_digest("SHA1", "one\ntwo\nand three\n"), hex);
        if (file != nullptr) {
            fclose(file);
        }
    }
}

// ---- breaks and deadlines -----------------------------------------------------------------------

TEST_P(SilentSource, B1_ABreakEndsTheWait)
{
    FeedPtr feed = GetParam().make();
    feed->put("begun");
    Break brk = new_break();
    unsigned char digest[SALLY_SHA1_SIZE] = {1, 2, 3};
    ssl_error err = {};
    Thread reader([&] {
        ssl_status status = ssl_sha1_bytes_enable_break(&feed->source, brk.get(), digest, &err);
        EXPECT_TRUE(is(SALLY_BREAK, status, err));
    });
    EXPECT_TRUE(wait_until_asleep(reader));
    ssl_break_send(brk.get(), 42);
    reader.join();
    EXPECT_EQ(42, err.code);
    EXPECT_EQ(std::string(40, '0'), hex_of(digest, sizeof digest));

    // The source is usable afterwards; what was read before is gone.
    ssl_break_clear(brk.get());
    feed->put("again");
    feed->end();
    EXPECT_EQ(openssl_digest("SHA1", "again"), sha1_of(feed->source));
}

TEST_P(SilentSource, B5_ADeadlineEndsTheWait)
{
    FeedPtr feed = GetParam().make();
    Break brk = deadline_in_ms(20);
    char hex[SALLY_MD5_HEX_SIZE] = "old";
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_md5_enable_break(&feed->source, brk.get(), hex, &err), err));
    EXPECT_STREQ("", hex);
}

TEST_P(SilentSource, B2_APendingBreakIsSeenBeforeAnythingIsRead)
{
    FeedPtr feed = GetParam().make();
    feed->put("all of it");
    feed->end();
    Break brk = new_break();
    ssl_break_send(brk.get(), 1);
    char hex[SALLY_SHA1_HEX_SIZE];
    EXPECT_EQ(SALLY_BREAK, ssl_sha1_enable_break(&feed->source, brk.get(), hex, nullptr));
    ssl_break_clear(brk.get());
    EXPECT_EQ(SALLY_OK, ssl_sha1_enable_break(&feed->source, brk.get(), hex, nullptr));
    EXPECT_EQ(openssl_digest("SHA1", "all of it"), hex);
}

TEST_P(WholeSource, B2_APendingBreakIsSeenBeforeAnythingIsRead)
{
    FeedPtr feed = GetParam().make();
    feed->put("all of it");
    feed->end();
    Break brk = new_break();
    ssl_break_send(brk.get(), 1);
    char hex[SALLY_SHA256_HEX_SIZE] = "old";
    EXPECT_EQ(SALLY_BREAK, ssl_sha256_enable_break(&feed->source, brk.get(), hex, nullptr));
    EXPECT_STREQ("", hex);
    ssl_break_clear(brk.get());
    EXPECT_EQ(openssl_digest("SHA1", "all of it"), sha1_of(feed->source));
}

TEST_F(Digests, B4_NullIsTheThreadsOwnTokenWhichTheReportConsumes)
{
    in_new_thread([] {
        ssl_break *own = nullptr;
        ASSERT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
        ssl_digest_source in = ssl_digest_of_bytes("abc", 3);
        char hex[SALLY_MD5_HEX_SIZE];
        ssl_break_send(own, 7);
        EXPECT_EQ(SALLY_OK, ssl_md5(&in, hex, nullptr)) << "B9: plain forms obey no token";
        EXPECT_TRUE(ssl_break_pending(own, nullptr, nullptr));
        EXPECT_EQ(SALLY_BREAK, ssl_md5_enable_break(&in, nullptr, hex, nullptr));
        EXPECT_FALSE(ssl_break_pending(own, nullptr, nullptr));
        EXPECT_EQ(SALLY_OK, ssl_md5_enable_break(&in, nullptr, hex, nullptr));
    });
}

TEST_P(SilentSource, B7_ASignalIsNoBreak)
{
    static std::atomic<int> interruptions;
    interruptions = 0;
    struct sigaction action = {};
    struct sigaction old = {};
    action.sa_handler = [](int) { interruptions++; };
    ASSERT_EQ(0, sigaction(SIGUSR1, &action, &old));
    FeedPtr feed = GetParam().make();
    pthread_t raw = {};
    Latch known;
    std::string hex;
    Thread reader([&] {
        raw = pthread_self();
        known.open();
        hex = sha1_of(feed->source);
    });
    known.wait();
    EXPECT_TRUE(wait_until_asleep(reader));
    pthread_kill(raw, SIGUSR1);
    EXPECT_TRUE(eventually([&] { return interruptions == 1; }));
    feed->put("abc");
    feed->end();
    reader.join();
    EXPECT_EQ(openssl_digest("SHA1", "abc"), hex);
    sigaction(SIGUSR1, &old, nullptr);
}

// ---- ports --------------------------------------------------------------------------------------

TEST_F(Digests, P3_ACutPortIsTruncatedAndGivesNoDigestOfAHalf)
{
    RawPair pair = client_of_raw();
    ASSERT_TRUE(pair);
    EXPECT_EQ(Raw::Ok, pair.raw->write_all("half"));
    pair.raw->end();
    ssl_digest_source in = ssl_digest_of_port(pair.ours.in());
    char hex[SALLY_SHA1_HEX_SIZE] = "old";
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TRUNCATED, ssl_sha1(&in, hex, &err), err));
    EXPECT_STREQ("", hex);
    EXPECT_EQ(0u, std::string(err.text).find("ssl_sha1: ")) << err.text;
}

TEST_F(Digests, P8_AnUnhurriedPortIsBoundedByItsTimeout)
{
    FeedPtr feed = port_feed();
    EXPECT_EQ(SALLY_OK, ssl_port_set_timeout(feed->source.port, 20, nullptr));
    char hex[SALLY_SHA1_HEX_SIZE];
    ssl_error err;
    EXPECT_TRUE(is(SALLY_TIMEOUT, ssl_sha1(&feed->source, hex, &err), err));
}

TEST_F(Digests, P4_ClosingThePortEndsItsDigest)
{
    FeedPtr feed = port_feed();
    Thread reader([&] {
        char hex[SALLY_SHA1_HEX_SIZE];
        EXPECT_EQ(SALLY_CLOSED, ssl_sha1(&feed->source, hex, nullptr));
    });
    EXPECT_TRUE(wait_until_asleep(reader));
    EXPECT_EQ(SALLY_OK, ssl_close_port(feed->source.port, nullptr));
}

// ---- what cannot be read ------------------------------------------------------------------------

namespace
{

// What is said about a source that cannot be digested.
std::string refusal(ssl_status wanted, const ssl_digest_source *source)
{
    unsigned char digest[SALLY_MD5_SIZE] = {1};
    ssl_error err = {};
    poison_openssl_queue();
    EXPECT_TRUE(is(wanted, ssl_md5_bytes(source, digest, &err), err));
    EXPECT_TRUE(openssl_queue_is_empty()) << "E1";
    EXPECT_EQ(std::string(32, '0'), hex_of(digest, sizeof digest));
    return err.text;
}

} // namespace

TEST_F(Digests, E3_WhatIsNoSourceIsUsage)
{
    ssl_digest_source unset = {};
    ssl_digest_source no_bytes = ssl_digest_of_bytes(nullptr, 1);
    ssl_digest_source no_file = ssl_digest_of_file(nullptr);
    ssl_digest_source no_port = ssl_digest_of_port(nullptr);
    EXPECT_EQ("ssl_md5_bytes: the source is NULL", refusal(SALLY_USAGE, nullptr));
    EXPECT_EQ("ssl_md5_bytes: the source was not made by one of the ssl_digest_of_... functions",
              refusal(SALLY_USAGE, &unset));
    EXPECT_EQ("ssl_md5_bytes: the memory is NULL", refusal(SALLY_USAGE, &no_bytes));
    EXPECT_EQ("ssl_md5_bytes: the FILE is NULL", refusal(SALLY_USAGE, &no_file));
    EXPECT_EQ("ssl_md5_bytes: the port is NULL", refusal(SALLY_USAGE, &no_port));
}

// The descriptor could be read, and has nothing yet.
TEST_F(Digests, E3_AFileForWritingIsUsageAndNotWaitedFor)
{
    int fds[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    Fd other(fds[1]);
    FILE *file = fdopen(fds[0], "w");
    ASSERT_NE(nullptr, file);
    ssl_digest_source in = ssl_digest_of_file(file);
    EXPECT_EQ("ssl_md5_bytes: the FILE is not open for reading", refusal(SALLY_USAGE, &in));
    fclose(file);
}

TEST_F(Digests, E3_NoPlaceForTheDigestIsUsage)
{
    ssl_digest_source in = ssl_digest_of_bytes("abc", 3);
    poison_openssl_queue();
    EXPECT_EQ(SALLY_USAGE, ssl_sha1(&in, nullptr, nullptr));
    EXPECT_TRUE(openssl_queue_is_empty());
    poison_openssl_queue();
    EXPECT_EQ(SALLY_USAGE, ssl_sha1_bytes(&in, nullptr, nullptr));
    EXPECT_TRUE(openssl_queue_is_empty());
}

TEST_F(Digests, E3_AnOutputPortIsUsage)
{
    Pair pair = connected_pair();
    ssl_digest_source out = ssl_digest_of_port(pair.client.out());
    EXPECT_NE(std::string::npos, refusal(SALLY_USAGE, &out).find("use the input port"));
}

TEST_F(Digests, E3_ADescriptorThatCannotBeReadIsUsageAndNotAWait)
{
    int ends[2];
    ASSERT_EQ(0, pipe(ends));
    ssl_digest_source writing = ssl_digest_of_fd(ends[1]);
    std::string text = refusal(SALLY_USAGE, &writing);
    EXPECT_NE(std::string::npos, text.find("is not open for reading")) << text;
    close(ends[0]);
    close(ends[1]);
    text = refusal(SALLY_USAGE, &writing);
    EXPECT_NE(std::string::npos, text.find(" is not open")) << text;
    ssl_digest_source none = ssl_digest_of_fd(-1);
    EXPECT_EQ("ssl_md5_bytes: descriptor -1 is not open", refusal(SALLY_USAGE, &none));
}

TEST_F(Digests, AReadThatFailsIsSystemWithItsReason)
{
    Fd directory(open("/", O_RDONLY | O_DIRECTORY));
    ssl_digest_source in = ssl_digest_of_fd(directory.get());
    EXPECT_NE(std::string::npos, refusal(SALLY_SYSTEM, &in).find("Is a directory"));
    FILE *file = fdopen(directory.get(), "r");
    ASSERT_NE(nullptr, file);
    directory.release();
    in = ssl_digest_of_file(file);
    EXPECT_EQ("ssl_md5_bytes: the FILE: Is a directory", refusal(SALLY_SYSTEM, &in));
    fclose(file);
}

TEST_F(Digests, ADigestThatIsNotOfferedIsUnsupportedAndReadsNothing)
{
    FeedPtr feed = fd_of_file_feed();
    feed->put("abc");
    feed->end();
    {
        FipsProperties fips;
        EXPECT_NE(std::string::npos,
                  refusal(SALLY_UNSUPPORTED, &feed->source).find("offers MD5 (a FIPS provider"));
    }
    EXPECT_EQ(openssl_digest("SHA1", "abc"), sha1_of(feed->source));
}

// Ports as stdio FILEs (P2), whatever carries the connection.
#include <cerrno>
#include <cstdio>

#include "conformance/port_suite.h"
#include "support/rng.h"
#include "support/threads.h"

namespace sallytest
{
namespace
{

using File = std::unique_ptr<FILE, Deleter<fclose>>;

File file_of(ssl_port *port)
{
    FILE *file = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_file(port, &file, &err), err));
    return File(file);
}

File file_broken_by(ssl_port *port, ssl_break *brk)
{
    FILE *file = nullptr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_OK, ssl_port_file_enable_break(port, brk, &file, &err), err));
    return File(file);
}

std::string next_line(FILE *in)
{
    char *line = nullptr;
    size_t room = 0;
    ssize_t length = getline(&line, &room, in);
    std::string text = length < 0 ? "" : std::string(line, static_cast<size_t>(length));
    free(line);
    return text;
}

// What a call that failed left: the stream's state and errno.
testing::AssertionResult failed_with(int want, FILE *file)
{
    int why = errno;
    if (ferror(file) == 0 || feof(file) != 0) {
        return testing::AssertionFailure() << "ferror " << ferror(file) << ", feof " << feof(file);
    }
    if (why != want) {
        return testing::AssertionFailure() << "errno " << why << ", wanted " << want;
    }
    return testing::AssertionSuccess();
}

// The end of the stream that a failed write leaves is no goodbye.
void expect_cut_after(ssl_port *in, std::string *got)
{
    char buf[16384];
    size_t n = 0;
    ssl_error err;
    ssl_status status;
    while ((status = ssl_read(in, buf, sizeof buf, &n, &err)) == SALLY_OK) {
        got->append(buf, n);
    }
    EXPECT_TRUE(is(SALLY_TRUNCATED, status, err));
}

} // namespace

// ---- reading ------------------------------------------------------------------------------------

TEST_P(PortSuite, P2_FileReadsLines)
{
    put("first\nsecond line\n\nlast");
    close_status(out_);
    File in = file_of(in_);
    char line[100];
    EXPECT_STREQ("first\n", fgets(line, sizeof line, in.get()));
    EXPECT_EQ("second line\n", next_line(in.get()));
    EXPECT_STREQ("\n", fgets(line, sizeof line, in.get()));
    EXPECT_EQ("last", next_line(in.get()));
    EXPECT_EQ(nullptr, fgets(line, sizeof line, in.get()));
    EXPECT_NE(0, feof(in.get()));
    EXPECT_EQ(0, ferror(in.get()));
}

TEST_P(PortSuite, P2_FileScansAndPushesBack)
{
    put("GET 42 3.5 x!");
    File in = file_of(in_);
    char word[10];
    int number = 0;
    double fraction = 0;
    EXPECT_EQ(3, fscanf(in.get(), "%9s %d %lf", word, &number, &fraction));
    EXPECT_STREQ("GET", word);
    EXPECT_EQ(42, number);
    EXPECT_EQ(3.5, fraction);
    EXPECT_EQ(' ', getc(in.get()));
    EXPECT_EQ('x', getc(in.get()));
    EXPECT_EQ('y', ungetc('y', in.get()));
    EXPECT_EQ('y', getc(in.get()));
    EXPECT_EQ('!', getc(in.get()));
}

TEST_P(PortSuite, P2_FileReadsAheadNothingThatAReadWouldMiss)
{
    put("a line\nand more");
    put("\nthen bytes");
    File in = file_of(in_);
    EXPECT_EQ("a line\n", next_line(in.get()));
    EXPECT_EQ("and", get(3));
    EXPECT_EQ(' ', getc(in.get()));
    EXPECT_EQ("more\n", get(5));
    char bytes[4];
    EXPECT_EQ(4u, fread(bytes, 1, 4, in.get()));
    EXPECT_EQ(" bytes", get(6));
}

TEST_P(PortSuite, P2_FileReadsMuch)
{
    std::string bytes = stream_bytes(1, 0, 1000000);
    Thread writer([&] {
        put(bytes);
        close_status(out_);
    });
    File in = file_of(in_);
    std::string got(bytes.size() + 10, '\0');
    EXPECT_EQ(bytes.size(), fread(&got[0], 1, got.size(), in.get()));
    got.resize(bytes.size());
    EXPECT_EQ(bytes, got);
    EXPECT_NE(0, feof(in.get()));
}

TEST_P(PortSuite, P2_FileMayBeGivenABuffer)
{
    std::string bytes = stream_bytes(1, 0, 300000);
    Thread writer([&] {
        put(bytes);
        close_status(out_);
    });
    char room[5000];
    File in = file_of(in_);
    ASSERT_EQ(0, setvbuf(in.get(), room, _IOFBF, sizeof room));
    std::string got;
    int c;
    while ((c = getc(in.get())) != EOF) {
        got.push_back(static_cast<char>(c));
    }
    EXPECT_EQ(bytes, got);
    EXPECT_NE(0, feof(in.get()));
}

TEST_P(PortSuite, P3_FileTellsACutFromTheEnd)
{
    put("half of a li");
    pair_.client.reset();
    File in = file_of(in_);
    char text[100];
    EXPECT_EQ(12u, fread(text, 1, 12, in.get()));
    EXPECT_EQ(EOF, getc(in.get()));
    EXPECT_TRUE(failed_with(ECONNRESET, in.get()));
    clearerr(in.get());
    EXPECT_EQ(EOF, getc(in.get()));
    EXPECT_TRUE(failed_with(ECONNRESET, in.get()));
}

TEST_P(PortSuite, B1_BreakEndsAReadOfAFileAndNothingIsLost)
{
    Break brk = new_break();
    File in = file_broken_by(in_, brk.get());
    Thread reader([&] {
        EXPECT_EQ(EOF, getc(in.get()));
        EXPECT_TRUE(failed_with(EINTR, in.get()));
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_break_send(brk.get(), 1);
    reader.join();
    put("go on\n");
    clearerr(in.get());
    EXPECT_EQ(EOF, getc(in.get())) << "a pending break wins over readiness";
    EXPECT_TRUE(failed_with(EINTR, in.get()));
    ssl_break_clear(brk.get());
    clearerr(in.get());
    EXPECT_EQ("go on\n", next_line(in.get()));
}

TEST_P(PortSuite, B2_BrokenFreadTellsWhatItTook)
{
    put("0123456");
    Break brk = new_break();
    File in = file_broken_by(in_, brk.get());
    Thread reader([&] {
        char buf[100];
        EXPECT_EQ(7u, fread(buf, 1, 100, in.get()));
        EXPECT_TRUE(failed_with(EINTR, in.get()));
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    ssl_break_send(brk.get(), 1);
    reader.join();
    put("789");
    EXPECT_EQ("789", get(3));
}

TEST_P(PortSuite, B4_FileObeysTheOwnTokenOfItsUserAndConsumesIt)
{
    ssl_break *own = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    File in = file_broken_by(in_, nullptr);
    put("x");
    ssl_break_send(own, 1);
    EXPECT_EQ(EOF, getc(in.get()));
    EXPECT_TRUE(failed_with(EINTR, in.get()));
    EXPECT_FALSE(ssl_break_pending(own, nullptr, nullptr));
    clearerr(in.get());
    EXPECT_EQ('x', getc(in.get()));
}

TEST_P(PortSuite, B9_PlainFileObeysNoToken)
{
    ssl_break *own = nullptr;
    ASSERT_EQ(SALLY_OK, ssl_break_self(&own, nullptr));
    File in = file_of(in_);
    File out = file_of(out_);
    ssl_break_send(own, 1);
    EXPECT_EQ(2, fprintf(out.get(), "x\n"));
    EXPECT_EQ(0, fflush(out.get()));
    EXPECT_EQ("x\n", next_line(in.get()));
    ssl_break_clear(own);
}

TEST_P(PortSuite, P8_FileObeysTheTimeoutOfItsPort)
{
    File in = file_of(in_);
    ssl_port_set_timeout(in_, 20, nullptr);
    EXPECT_EQ(EOF, getc(in.get()));
    EXPECT_TRUE(failed_with(ETIMEDOUT, in.get()));
    clearerr(in.get());
    ssl_port_set_timeout(in_, -1, nullptr);
    put("z");
    EXPECT_EQ('z', getc(in.get()));
}

TEST_P(PortSuite, P4_ClosingThePortEndsAReadOfItsFile)
{
    File in = file_of(in_);
    Thread reader([&] {
        EXPECT_EQ(EOF, getc(in.get()));
        EXPECT_TRUE(failed_with(ECANCELED, in.get()));
    });
    ASSERT_TRUE(wait_until_asleep(reader));
    EXPECT_EQ(SALLY_OK, close_status(in_));
    reader.join();
}

TEST_P(PortSuite, P1_FileIsAReaderAsAnyOther)
{
    Thread reader([this] { EXPECT_EQ("later", get(5)); });
    ASSERT_TRUE(wait_until_asleep(reader));
    File in = file_of(in_);
    EXPECT_EQ(EOF, getc(in.get()));
    EXPECT_TRUE(failed_with(EBUSY, in.get()));
    put("later");
    reader.join(); // before the FILE closes the port
}

// ---- writing ------------------------------------------------------------------------------------

TEST_P(PortSuite, P2_FileWritesWhenItIsFlushed)
{
    File out = file_of(out_);
    EXPECT_EQ(7, fprintf(out.get(), "n = %d\n", 12));
    EXPECT_GE(fputs("text", out.get()), 0);
    EXPECT_EQ('!', putc('!', out.get()));
    bool ready = true;
    EXPECT_EQ(SALLY_OK, ssl_byte_ready(in_, &ready, nullptr));
    EXPECT_FALSE(ready);
    EXPECT_EQ(0, fflush(out.get()));
    EXPECT_EQ("n = 12\ntext!", get(12));
}

TEST_P(PortSuite, P2_FileWritesLinesWhereItIsToldTo)
{
    File out = file_of(out_);
    ASSERT_EQ(0, setvbuf(out.get(), nullptr, _IOLBF, BUFSIZ));
    EXPECT_EQ(5, fprintf(out.get(), "line\n"));
    EXPECT_EQ("line\n", get(5));
}

TEST_P(PortSuite, P2_FileWritesMuch)
{
    std::string bytes = stream_bytes(1, 0, 1000000);
    File out = file_of(out_);
    Thread reader([&] { EXPECT_EQ(bytes, get(bytes.size())); });
    EXPECT_EQ(bytes.size(), fwrite(bytes.data(), 1, bytes.size(), out.get()));
    EXPECT_EQ(0, fflush(out.get()));
}

TEST_P(PortSuite, P4_FcloseWritesTheRestAndSaysGoodbye)
{
    File out = file_of(out_);
    fputs("the rest", out.get());
    EXPECT_EQ(0, fclose(out.release()));
    EXPECT_EQ("the rest", get(8));
    EXPECT_EQ(SALLY_EOF, read_status());
    EXPECT_EQ(SALLY_CLOSED, ssl_write(out_, "x", 1, nullptr, nullptr));
}

TEST_P(PortSuite, P4_FcloseOfAnInputClosesThePort)
{
    File in = file_of(in_);
    EXPECT_EQ(0, fclose(in.release()));
    EXPECT_EQ(SALLY_CLOSED, read_status());
    EXPECT_EQ(SALLY_OK, ssl_write(pair_.server.out(), "x", 1, nullptr, nullptr));
}

// stdio drops what a failed write has not taken: nothing may follow the hole, and the peer must not
// take the stream for whole.
TEST_P(PortSuite, B2_BrokenWriteOfAFileIsItsLast)
{
    Break brk = new_break();
    File out = file_broken_by(out_, brk.get());
    std::string bytes = stream_bytes(1, 0, kNeverHeld);
    size_t written = 0;
    Thread writer([&] {
        written = fwrite(bytes.data(), 1, bytes.size(), out.get());
        EXPECT_TRUE(failed_with(EINTR, out.get()));
    });
    ASSERT_TRUE(wait_until_asleep(writer));
    ssl_break_send(brk.get(), 1);
    writer.join();
    EXPECT_LT(written, bytes.size());
    ssl_break_clear(brk.get());
    clearerr(out.get());
    EXPECT_EQ(0, fputs("after the hole", out.get()) < 0);
    EXPECT_EQ(EOF, fflush(out.get()));
    EXPECT_TRUE(failed_with(EINTR, out.get()));
    EXPECT_EQ(EOF, fclose(out.release()));
    ssl_close_port(pair_.client.in(), nullptr);
    std::string got;
    expect_cut_after(in_, &got);
    EXPECT_EQ(bytes.substr(0, written), got);
}

TEST_P(PortSuite, P8_WriteOfAFileObeysTheTimeoutOfItsPort)
{
    File out = file_of(out_);
    fill();
    ssl_port_set_timeout(out_, 30, nullptr);
    std::string bytes(kNeverHeld, 'x');
    EXPECT_LT(fwrite(bytes.data(), 1, bytes.size(), out.get()), bytes.size());
    EXPECT_TRUE(failed_with(ETIMEDOUT, out.get()));
    EXPECT_EQ(EOF, fclose(out.release()));
}

// Over a socket the peer's last act is to drain its input for two seconds (P4): the error comes then.
TEST_P(PortSuite, P6_WriteOfAFileToAPeerThatIsGone)
{
    File out = file_of(out_);
    pair_.server.reset();
    EXPECT_TRUE(
        eventually([&] { return fputs("hello", out.get()) < 0 || fflush(out.get()) != 0; }));
    int why = errno;
    EXPECT_TRUE(why == EPIPE || why == ECONNRESET) << why;
    EXPECT_NE(0, ferror(out.get()));
    EXPECT_EQ(EOF, fclose(out.release()));
}

TEST_P(PortSuite, P4_WriteOfAFileWhosePortIsClosed)
{
    File out = file_of(out_);
    close_status(out_);
    fputs("x", out.get());
    EXPECT_EQ(EOF, fflush(out.get()));
    EXPECT_TRUE(failed_with(ECANCELED, out.get()));
}

// ---- wrong use ----------------------------------------------------------------------------------

TEST_P(PortSuite, E3_FileOfNothing)
{
    FILE *file = stderr;
    ssl_error err;
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_file(nullptr, &file, &err), err));
    EXPECT_EQ(nullptr, file);
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_file(in_, nullptr, &err), err));
    EXPECT_TRUE(is(SALLY_USAGE, ssl_port_file_enable_break(nullptr, nullptr, &file, &err), err));
    close_status(in_);
    file = stderr;
    EXPECT_TRUE(is(SALLY_CLOSED, ssl_port_file(in_, &file, &err), err));
    EXPECT_EQ(nullptr, file);
}

} // namespace sallytest

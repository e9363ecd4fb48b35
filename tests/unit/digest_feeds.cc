#include "digest_feeds.h"

#include <cstdio>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/pairs.h"

namespace sallytest
{
namespace
{

void put_all(int fd, const std::string &text)
{
    for (size_t at = 0; at < text.size();) {
        ssize_t n = write(fd, text.data() + at, text.size() - at);
        ASSERT_GT(n, 0);
        at += static_cast<size_t>(n);
    }
}

// Whatever has two ends.
FeedPtr feed_of_ends(int reading, int writing)
{
    auto feed = std::make_unique<Feed>();
    auto way_in = std::make_shared<Fd>(writing);
    feed->source = ssl_digest_of_fd(reading);
    feed->put = [way_in](const std::string &text) { put_all(way_in->get(), text); };
    feed->end = [way_in] { way_in->close(); };
    feed->close = [reading] { ::close(reading); };
    return feed;
}

FeedPtr pipe_feed()
{
    int ends[2];
    EXPECT_EQ(0, pipe(ends));
    return feed_of_ends(ends[0], ends[1]);
}

FeedPtr nonblocking_pipe_feed()
{
    FeedPtr feed = pipe_feed();
    EXPECT_EQ(0, fcntl(feed->source.fd, F_SETFL, O_NONBLOCK));
    return feed;
}

FeedPtr socket_feed()
{
    int ends[2];
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    return feed_of_ends(ends[0], ends[1]);
}

FeedPtr as_file(FeedPtr feed)
{
    FILE *file = fdopen(feed->source.fd, "r");
    EXPECT_NE(nullptr, file);
    feed->source = ssl_digest_of_file(file);
    feed->close = [file] { fclose(file); };
    return feed;
}

FeedPtr file_of_nonblocking_pipe_feed()
{
    return as_file(nonblocking_pipe_feed());
}

FeedPtr file_of_socket_feed()
{
    return as_file(socket_feed());
}

FeedPtr unbuffered_file_feed()
{
    FeedPtr feed = as_file(pipe_feed());
    EXPECT_EQ(0, setvbuf(feed->source.file, nullptr, _IONBF, 0));
    return feed;
}

FeedPtr bytes_feed()
{
    auto feed = std::make_unique<Feed>();
    auto text = std::make_shared<std::string>();
    Feed *raw = feed.get();
    feed->put = [text, raw](const std::string &more) {
        *text += more;
        raw->source = ssl_digest_of_bytes(text->data(), text->size());
    };
    feed->source = ssl_digest_of_bytes(nullptr, 0);
    feed->end = [] {};
    return feed;
}

// No descriptor at all.
FeedPtr memory_file_feed()
{
    auto feed = std::make_unique<Feed>();
    auto text = std::make_shared<std::string>();
    Feed *raw = feed.get();
    feed->put = [text](const std::string &more) { *text += more; };
    feed->end = [text, raw] {
        FILE *file = fmemopen(&(*text)[0], text->size(), "r");
        raw->source = ssl_digest_of_file(file);
        raw->close = [text, file] { fclose(file); };
    };
    return feed;
}

} // namespace

FeedPtr file_of_pipe_feed()
{
    return as_file(pipe_feed());
}

FeedPtr port_feed()
{
    auto pair = std::make_shared<Pair>(connected_pair());
    auto feed = std::make_unique<Feed>();
    feed->source = ssl_digest_of_port(pair->server.in());
    feed->put = [pair](const std::string &text) {
        ssl_error err;
        ssl_status status = ssl_write(pair->client.out(), text.data(), text.size(), nullptr, &err);
        EXPECT_TRUE(is(SALLY_OK, status, err));
    };
    feed->end = [pair] { EXPECT_EQ(SALLY_OK, ssl_close_port(pair->client.out(), nullptr)); };
    return feed;
}

FeedPtr file_feed()
{
    auto feed = std::make_unique<Feed>();
    FILE *file = tmpfile();
    feed->source = ssl_digest_of_file(file);
    feed->put = [file](const std::string &text) {
        EXPECT_EQ(text.size(), fwrite(text.data(), 1, text.size(), file));
    };
    feed->end = [file] { rewind(file); };
    feed->close = [file] { fclose(file); };
    return feed;
}

FeedPtr fd_of_file_feed()
{
    FeedPtr feed = file_feed();
    FILE *file = feed->source.file;
    feed->source = ssl_digest_of_fd(fileno(file));
    feed->end = [file] {
        EXPECT_EQ(0, fflush(file));
        EXPECT_EQ(0, lseek(fileno(file), 0, SEEK_SET));
    };
    return feed;
}

const std::vector<FeedKind> silent_feeds = {
    {"Pipe", pipe_feed},
    {"NonblockingPipe", nonblocking_pipe_feed},
    {"Socket", socket_feed},
    {"FileOfPipe", file_of_pipe_feed},
    {"FileOfNonblockingPipe", file_of_nonblocking_pipe_feed},
    {"FileOfSocket", file_of_socket_feed},
    {"UnbufferedFile", unbuffered_file_feed},
    {"Port", port_feed},
};

const std::vector<FeedKind> whole_feeds = {
    {"Bytes", bytes_feed},
    {"File", file_feed},
    {"FdOfFile", fd_of_file_feed},
    {"MemoryFile", memory_file_feed},
};

} // namespace sallytest

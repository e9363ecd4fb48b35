// Sources for the tests of digest_port.c: each kind that there is, with what feeds it.
#ifndef SALLY_TEST_DIGEST_FEEDS_H
#define SALLY_TEST_DIGEST_FEEDS_H

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "sallyport/digest.h"

namespace sallytest
{

// A source, what feeds it, and what closes it.
struct Feed {
    ssl_digest_source source = {};
    std::function<void(const std::string &)> put; // may block until it is read
    std::function<void()> end;                    // the source has its end from then on
    std::function<void()> close = [] {};
    ~Feed()
    {
        close();
    }
};
using FeedPtr = std::unique_ptr<Feed>;

struct FeedKind {
    const char *name;
    FeedPtr (*make)();
};
inline void PrintTo(const FeedKind &kind, std::ostream *out)
{
    *out << kind.name;
}

// Sources that may have nothing yet: pipes, sockets, FILEs over them, a port.
extern const std::vector<FeedKind> silent_feeds;
// Sources that hold all from the beginning: memory, a file and what is opened on it.
extern const std::vector<FeedKind> whole_feeds;

// Some of them by name.
FeedPtr file_feed();
FeedPtr fd_of_file_feed();
FeedPtr file_of_pipe_feed();
FeedPtr port_feed();

} // namespace sallytest
#endif

// A process that has no file descriptor left.
#ifndef SALLY_TEST_NO_DESCRIPTORS_H
#define SALLY_TEST_NO_DESCRIPTORS_H

#include <set>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "support/guards.h"
#include "support/raw_channel.h"

namespace sallytest
{

// Takes every descriptor that is left, under a limit close to what is open now.
class NoDescriptors
{
  public:
    NoDescriptors()
    {
        getrlimit(RLIMIT_NOFILE, &before_);
        int highest = *open_fds_.rbegin();
        rlimit few = before_;
        few.rlim_cur = static_cast<rlim_t>(highest) + 8;
        setrlimit(RLIMIT_NOFILE, &few);
        take_rest();
    }
    ~NoDescriptors()
    {
        setrlimit(RLIMIT_NOFILE, &before_);
    }
    // What others have closed meanwhile.
    void take_rest()
    {
        for (int fd = dup(0); fd >= 0; fd = dup(0)) {
            taken_.push_back(Fd(fd));
        }
    }
    void give_back(size_t count)
    {
        for (size_t i = 0; i < count && !taken_.empty(); i++) {
            taken_.pop_back();
        }
    }
    void give_all_back()
    {
        taken_.clear();
    }

  private:
    static std::set<int> numbers()
    {
        std::set<int> found;
        for (auto &entry : open_fds()) {
            found.insert(entry.first);
        }
        return found;
    }
    std::set<int> open_fds_ = numbers();
    rlimit before_ = {};
    std::vector<Fd> taken_;
};

} // namespace sallytest
#endif

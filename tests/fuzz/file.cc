#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

namespace sallyfuzz
{

File::File(const uint8_t *data, size_t size) : fd_(memfd_create("fuzz", MFD_CLOEXEC))
{
    FUZZ_CHECK(fd_ >= 0 && write(fd_, data, size) == static_cast<ssize_t>(size));
    path_ = "/proc/self/fd/" + std::to_string(fd_);
}

File::~File()
{
    close(fd_);
}

} // namespace sallyfuzz

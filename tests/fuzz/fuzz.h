// What the fuzz targets share. A target is one function, in the form that libFuzzer calls; built with
// libFuzzer, or with standalone.cc, which mutates a corpus by itself.
//
// A target must not only survive: FUZZ_CHECK states what holds for every input.
#ifndef SALLY_FUZZ_H
#define SALLY_FUZZ_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(truth)                                                                          \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #truth);        \
            std::abort();                                                                          \
        }                                                                                          \
    } while (false)

namespace sallyfuzz
{

// The input as text: up to its first NUL.
inline std::string text_of(const uint8_t *data, size_t size)
{
    std::string all(reinterpret_cast<const char *>(data), size);
    return all.substr(0, all.find('\0'));
}

// The input as a file, for calls that take a path. Lives in memory.
class File
{
  public:
    File(const uint8_t *data, size_t size);
    ~File();
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    const char *path() const
    {
        return path_.c_str();
    }

  private:
    int fd_;
    std::string path_;
};

} // namespace sallyfuzz
#endif

#include "support/rng.h"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace sallytest
{
namespace
{

uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t choose_seed()
{
    const char *given = std::getenv("SALLY_TEST_SEED");
    uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("SALLY_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

// One byte of a stream: a word per eight bytes, mixed from its place.
unsigned char stream_byte(uint64_t stream, uint64_t at)
{
    uint64_t word = mix((at / 8 + 1) * 0x9e3779b97f4a7c15u + stream);
    return static_cast<unsigned char>(word >> (at % 8 * 8));
}

} // namespace

uint64_t test_seed()
{
    static const uint64_t seed = choose_seed();
    return seed;
}

long long_run(long short_count, long long_count)
{
    const char *text = std::getenv("SALLY_TEST_LONG");
    return text != nullptr && text[0] == '1' ? long_count : short_count;
}

uint64_t Rng::next()
{
    state_ += 0x9e3779b97f4a7c15u;
    return mix(state_);
}

std::string stream_bytes(uint64_t stream, uint64_t offset, size_t n)
{
    std::string bytes(n, '\0');
    for (size_t i = 0; i < n; i++) {
        bytes[i] = static_cast<char>(stream_byte(stream, offset + i));
    }
    return bytes;
}

long stream_mismatch(uint64_t stream, uint64_t offset, const char *got, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (static_cast<unsigned char>(got[i]) != stream_byte(stream, offset + i)) {
            return static_cast<long>(i);
        }
    }
    return -1;
}

} // namespace sallytest

// Seeded randomness, and how long a test runs.
//
// The seed is printed once per program, so that a failure can be repeated with SALLY_TEST_SEED.
#ifndef SALLY_TEST_RNG_H
#define SALLY_TEST_RNG_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace sallytest
{

// The seed of this run: SALLY_TEST_SEED, or a new one.
uint64_t test_seed();

// `short_count` as a rule, `long_count` with SALLY_TEST_LONG=1.
long long_run(long short_count, long long_count);

// Seconds, and other limits, stretched for builds that are slow (sanitizers, coverage).
constexpr int slow(int n)
{
#ifdef SALLY_TEST_SLOW
    return n * SALLY_TEST_SLOW;
#else
    return n;
#endif
}

// splitmix64. Each thread of a test has its own, made from the seed and a number of its own.
class Rng
{
  public:
    explicit Rng(uint64_t stream) : state_(test_seed() + stream * 0x9e3779b97f4a7c15u) {}

    uint64_t next();
    // In [0, bound); `bound` at least 1.
    uint64_t below(uint64_t bound)
    {
        return next() % bound;
    }
    // In [low, high].
    uint64_t between(uint64_t low, uint64_t high)
    {
        return low + below(high - low + 1);
    }
    bool one_in(uint64_t n)
    {
        return below(n) == 0;
    }

  private:
    uint64_t state_;
};

// Bytes [offset, offset + n) of an endless stream that repeats nowhere near: both ends of a
// connection can make it, so that any loss, repeat or swap shows, and where.
std::string stream_bytes(uint64_t stream, uint64_t offset, size_t n);

// Where `got`, the bytes from `offset` of `stream`, first differ; -1: nowhere.
long stream_mismatch(uint64_t stream, uint64_t offset, const char *got, size_t n);

} // namespace sallytest
#endif

// A fuzz target without libFuzzer: every file of the corpus, then mutations of them, as many as asked.
//
//   fuzz_NAME [-runs=N] FILE-OR-DIRECTORY...
//
// With SALLY_TEST_LONG=1 there are 100 times as many runs; SALLY_TEST_SEED=N repeats them. The input that
// ends the program is left in fuzz_NAME.crash in the working directory, and can be given as FILE.
#include "fuzz.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "support/rng.h"

namespace
{

using Input = std::string;
constexpr size_t kMost = 16384; // bytes of an input

// ---- the input that ended it ----

const Input *running = nullptr;
char crash_file[256];

void keep_input()
{
    int fd = running != nullptr ? open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
    if (fd >= 0 && write(fd, running->data(), running->size()) >= 0) {
        static const char said[] = "the input is in the .crash file\n";
        (void)!write(STDERR_FILENO, said, sizeof said - 1);
    }
    running = nullptr;
}

void on_crash(int signo)
{
    keep_input();
    std::signal(signo, SIG_DFL);
    std::raise(signo);
}

void run(const Input &input)
{
    running = &input;
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(input.data()), input.size());
    running = nullptr;
}

// ---- the corpus ----

void read_file(const std::filesystem::path &path, std::vector<Input> *corpus)
{
    std::ifstream in(path, std::ios::binary);
    corpus->emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

void read_corpus(const std::string &path, std::vector<Input> *corpus)
{
    if (!std::filesystem::is_directory(path)) {
        read_file(path, corpus);
        return;
    }
    std::vector<std::filesystem::path> files;
    for (const auto &entry : std::filesystem::directory_iterator(path)) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end()); // the same order on every machine
    for (const auto &file : files) {
        read_file(file, corpus);
    }
}

// ---- mutations ----

void flip_bit(Input &input, sallytest::Rng &rng)
{
    if (!input.empty()) {
        input[rng.below(input.size())] ^= static_cast<char>(1u << rng.below(8));
    }
}

void set_byte(Input &input, sallytest::Rng &rng)
{
    if (!input.empty()) {
        input[rng.below(input.size())] = static_cast<char>(rng.below(256));
    }
}

void insert_bytes(Input &input, sallytest::Rng &rng)
{
    std::string bytes(1 + rng.below(8), static_cast<char>(rng.below(256)));
    input.insert(rng.below(input.size() + 1), bytes);
}

void erase_bytes(Input &input, sallytest::Rng &rng)
{
    size_t at = rng.below(input.size() + 1);
    input.erase(at, 1 + rng.below(rng.one_in(4) ? 200 : 8));
}

void repeat_bytes(Input &input, sallytest::Rng &rng)
{
    size_t at = rng.below(input.size() + 1);
    input.insert(rng.below(input.size() + 1), input.substr(at, 1 + rng.below(64)));
}

void cut(Input &input, sallytest::Rng &rng)
{
    input.resize(rng.below(input.size() + 1));
}

Input mutate(const std::vector<Input> &corpus, sallytest::Rng &rng)
{
    static void (*const ways[])(Input &, sallytest::Rng &) = {
        flip_bit, set_byte, insert_bytes, erase_bytes, repeat_bytes, cut};
    Input input = corpus[rng.below(corpus.size())];
    if (rng.one_in(4)) { // the head of one, the tail of another
        const Input &other = corpus[rng.below(corpus.size())];
        input = input.substr(0, rng.below(input.size() + 1)) +
                other.substr(rng.below(other.size() + 1));
    }
    for (uint64_t steps = 1 + rng.below(4); steps > 0; steps--) {
        ways[rng.below(std::size(ways))](input, rng);
    }
    return input.substr(0, kMost);
}

} // namespace

// AddressSanitizer calls this when it has found something.
extern "C" void __asan_on_error()
{
    keep_input();
}

int main(int argc, char **argv)
{
    std::vector<Input> corpus;
    long runs = 1000;
    for (int i = 1; i < argc; i++) {
        if (std::strncmp(argv[i], "-runs=", 6) == 0) {
            runs = std::strtol(argv[i] + 6, nullptr, 10);
        } else {
            read_corpus(argv[i], &corpus);
        }
    }
    if (corpus.empty()) {
        std::fprintf(stderr, "usage: %s [-runs=N] FILE-OR-DIRECTORY...\n", argv[0]);
        return 2;
    }
    std::snprintf(crash_file, sizeof crash_file, "%s.crash",
                  std::filesystem::path(argv[0]).filename().c_str());
    for (int signo : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
        std::signal(signo, on_crash);
    }
    for (const Input &input : corpus) {
        run(input);
    }
    runs *= sallytest::long_run(1, 100);
    sallytest::Rng rng(0);
    for (long i = 0; i < runs; i++) {
        run(mutate(corpus, rng));
    }
    std::printf("%zu inputs and %ld mutations\n", corpus.size(), runs);
}

// Hex: what is read is what the digits say, and goes back to the same text; anything else writes nothing.
#include "fuzz.h"

#include <cstring>
#include <vector>

#include "sallyport/digest.h"

namespace
{

bool is_hex(const std::string &text)
{
    return text.size() % 2 == 0 &&
           text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

std::string lower(std::string text)
{
    for (char &c : text) {
        c = static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    }
    return text;
}

// In vectors of the exact size, so that a byte too much is seen by AddressSanitizer.
std::string to_hex(const std::vector<unsigned char> &bytes)
{
    std::vector<char> hex(2 * bytes.size() + 1);
    FUZZ_CHECK(ssl_bytes_to_hex_string(bytes.data(), bytes.size(), hex.data(), hex.size(),
                                       nullptr) == SALLY_OK);
    FUZZ_CHECK(std::strlen(hex.data()) == 2 * bytes.size());
    return hex.data();
}

void check_reading(const std::string &text)
{
    std::vector<unsigned char> bytes(text.size() / 2);
    size_t count = 99;
    ssl_error err = {};
    ssl_status status =
        ssl_hex_string_to_bytes(text.c_str(), bytes.data(), bytes.size(), &count, &err);
    if (is_hex(text)) {
        FUZZ_CHECK(status == SALLY_OK && count == bytes.size());
        FUZZ_CHECK(to_hex(bytes) == lower(text));
    } else {
        FUZZ_CHECK(status == SALLY_USAGE && count == 0);
        FUZZ_CHECK(err.status == SALLY_USAGE && err.text[0] != '\0');
    }
}

void check_writing(const uint8_t *data, size_t size)
{
    std::vector<unsigned char> bytes(data, data + size);
    std::string hex = to_hex(bytes);
    FUZZ_CHECK(is_hex(hex) && lower(hex) == hex);
    std::vector<unsigned char> back(size);
    size_t count = 0;
    FUZZ_CHECK(ssl_hex_string_to_bytes(hex.c_str(), back.data(), size, &count, nullptr) ==
               SALLY_OK);
    FUZZ_CHECK(count == size && back == bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_reading(sallyfuzz::text_of(data, size));
    check_writing(data, size);
    return 0;
}

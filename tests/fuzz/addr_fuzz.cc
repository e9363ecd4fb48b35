// Addresses as text (P5): what is taken for an address is written in a form that is read as the same.
#include "fuzz.h"

#include <cstring>

extern "C" {
#include "addr.h"
}

namespace
{

std::string text_of_addr(const sally_addr &addr)
{
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text(&addr, text, sizeof text);
    FUZZ_CHECK(std::memchr(text, '\0', sizeof text) != nullptr);
    return text;
}

void check_address(const sally_addr &addr, int port)
{
    std::string text = text_of_addr(addr);
    FUZZ_CHECK(!text.empty() && addr.length > 0 && addr.length <= sizeof addr.storage);
    bool is_unix = addr.storage.ss_family == AF_UNIX;
    FUZZ_CHECK(sally_addr_port(&addr) == (is_unix ? 0 : port));
    FUZZ_CHECK((sally_addr_unix_path(&addr) != nullptr) <= is_unix);

    sally_addr again;
    FUZZ_CHECK(sally_addr_parse(text.c_str(), port, &again));
    FUZZ_CHECK(text_of_addr(again) == text);

    char with_port[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&addr, with_port, sizeof with_port);
    FUZZ_CHECK(with_port[0] != '\0');
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int port = size > 0 ? data[0] * 257 : 443;
    std::string text = sallyfuzz::text_of(data, size);
    sally_addr addr;
    bool is_address = sally_addr_parse(text.c_str(), port, &addr);
    if (is_address) {
        check_address(addr, port);
    }
    // An address whose zone names no interface here is one all the same: no SNI is sent for it.
    bool is_ip = is_address && addr.storage.ss_family != AF_UNIX;
    bool has_zone = text.find('%') != std::string::npos;
    FUZZ_CHECK(sally_addr_is_ip(text.c_str()) == is_ip || (has_zone && !is_address));
    return 0;
}

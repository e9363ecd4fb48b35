// Headers of the PROXY protocol as a proxy would send them, and others.
#ifndef SALLY_TEST_PROXY_HEADERS_H
#define SALLY_TEST_PROXY_HEADERS_H

#include <cstdint>
#include <string>

#include <arpa/inet.h>

namespace sallytest
{

inline std::string big_endian_16(size_t n)
{
    return {static_cast<char>(n >> 8 & 255), static_cast<char>(n & 255)};
}

inline std::string v2_signature()
{
    return {"\r\n\r\n\0\r\nQUIT\n", 12};
}

// `command` 0x20 is LOCAL, 0x21 PROXY; `family` 0x11 is TCP over IPv4.
inline std::string v2_header(int command, int family, const std::string &block)
{
    return v2_signature() + static_cast<char>(command) + static_cast<char>(family) +
           big_endian_16(block.size()) + block;
}

inline std::string network_address(int family, const char *address)
{
    char bytes[sizeof(in6_addr)];
    inet_pton(family, address, bytes);
    return {bytes, family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr)};
}

inline std::string inet_block(int family, const char *source, int source_port,
                              const char *destination, int destination_port)
{
    return network_address(family, source) + network_address(family, destination) +
           big_endian_16(static_cast<size_t>(source_port)) +
           big_endian_16(static_cast<size_t>(destination_port));
}

inline std::string unix_block(std::string source, std::string destination)
{
    source.resize(108);
    destination.resize(108);
    return source + destination;
}

inline std::string tlv(int type, const std::string &value)
{
    return static_cast<char>(type) + big_endian_16(value.size()) + value;
}

// By polynomial division of the reversed bits, unlike the library's.
inline uint32_t crc32c_of(const std::string &bytes)
{
    uint32_t rest = 0xFFFFFFFF;
    for (char c : bytes) {
        for (int bit = 0; bit < 8; bit++) {
            bool in = (static_cast<unsigned char>(c) >> bit & 1) != 0;
            bool out = (rest & 0x80000000) != 0;
            rest = rest << 1 ^ (in != out ? 0x1EDC6F41 : 0);
        }
    }
    uint32_t reversed = 0;
    for (int bit = 0; bit < 32; bit++) {
        reversed |= (rest >> bit & 1) << (31 - bit);
    }
    return ~reversed;
}

// A header whose checksum stands among other extensions.
inline std::string v2_with_checksum(int family, const std::string &addresses)
{
    const std::string before = addresses + tlv(0x04, "pad") + std::string("\x03\x00\x04", 3);
    const std::string after = tlv(0x05, "unique");
    std::string header = v2_header(0x21, family, before + std::string(4, '\0') + after);
    uint32_t crc = crc32c_of(header);
    std::string sum = big_endian_16(crc >> 16) + big_endian_16(crc & 0xFFFF);
    return v2_header(0x21, family, before + sum + after);
}

inline std::string v2_tcp4()
{
    return v2_header(0x21, 0x11, inet_block(AF_INET, "192.0.2.7", 40001, "203.0.113.9", 443));
}

inline std::string v2_tcp6()
{
    return v2_header(0x21, 0x21, inet_block(AF_INET6, "2001:db8::7", 40001, "2001:db8::9", 443));
}

inline std::string v2_local()
{
    return v2_header(0x20, 0x00, "");
}

inline std::string v1_tcp4()
{
    return "PROXY TCP4 192.0.2.7 203.0.113.9 40001 443\r\n";
}

} // namespace sallytest
#endif

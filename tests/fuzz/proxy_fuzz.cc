// The PROXY protocol's header (W8): every beginning of a header wants more, what is whole stays whole
// whatever follows, and what is refused is refused whatever follows.
#include "fuzz.h"

#include <cstring>
#include <vector>

extern "C" {
#include "proxy.h"
#include "proxy_tlv.h"
}

namespace
{

struct Judged {
    sally_proxy_verdict verdict;
    sally_proxy_header header;
};

// In memory of the exact size, so that a byte too much is seen by AddressSanitizer.
Judged judge(const uint8_t *data, size_t size)
{
    std::vector<unsigned char> exact(data, data + size);
    unsigned char none = 0;
    Judged judged = {};
    const char *why = nullptr;
    judged.verdict =
        sally_proxy_parse(size != 0 ? exact.data() : &none, size, &judged.header, &why);
    FUZZ_CHECK((judged.verdict == SALLY_PROXY_MALFORMED) == (why != nullptr));
    return judged;
}

std::string text_of_addr(const sally_addr &addr)
{
    char text[SALLY_ADDR_TEXT_SIZE];
    sally_addr_text_port(&addr, text, sizeof text);
    FUZZ_CHECK(std::memchr(text, '\0', sizeof text) != nullptr && text[0] != '\0');
    return text;
}

void check_whole(const sally_proxy_header &header, const uint8_t *data, size_t size)
{
    FUZZ_CHECK(header.length >= 15 && header.length <= size);
    FUZZ_CHECK(header.length <= SALLY_PROXY_HEADER_MAX);
    FUZZ_CHECK((header.source.length == 0) == (header.destination.length == 0));
    FUZZ_CHECK(!header.local || header.source.length == 0);
    FUZZ_CHECK(header.source.storage.ss_family == header.destination.storage.ss_family);
    Judged alone = judge(data, header.length);
    FUZZ_CHECK(alone.verdict == SALLY_PROXY_WHOLE && alone.header.length == header.length);
    FUZZ_CHECK(text_of_addr(alone.header.source) == text_of_addr(header.source));
    FUZZ_CHECK(text_of_addr(alone.header.destination) == text_of_addr(header.destination));
}

// Extensions follow each other without a gap, and what is found by type is what a walk over them meets.
void check_extensions(const sally_proxy_header &header, const uint8_t *data)
{
    FUZZ_CHECK(header.tlvs_at >= 15 && header.tlvs_at <= header.length);
    FUZZ_CHECK(!header.local || header.tlvs_at == header.length);
    const std::vector<unsigned char> exact(data + header.tlvs_at, data + header.length);
    unsigned char none = 0;
    const unsigned char *bytes = exact.empty() ? &none : exact.data();
    int met[256] = {};
    sally_tlv tlv;
    for (size_t at = 0; sally_tlv_next(bytes, exact.size(), &at, &tlv);) {
        FUZZ_CHECK(tlv.value + tlv.length == bytes + at && at <= exact.size());
        met[tlv.type]++;
    }
    for (int type = 0; type < 256; type++) {
        sally_tlv_found found = sally_tlv_find(bytes, exact.size(), type, &tlv);
        FUZZ_CHECK(found == (met[type] == 0   ? SALLY_TLV_ABSENT
                             : met[type] == 1 ? SALLY_TLV_FOUND
                                              : SALLY_TLV_TWICE));
    }
    for (int type = 0x2000; type < 0x2100; type++) {
        sally_tlv inner;
        bool found = sally_tlv_find(bytes, exact.size(), type, &inner) == SALLY_TLV_FOUND;
        FUZZ_CHECK(!found ||
                   sally_tlv_find(bytes, exact.size(), SALLY_TLV_SSL, &tlv) == SALLY_TLV_FOUND);
        FUZZ_CHECK(!found || (inner.value >= tlv.value + 8 &&
                              inner.value + inner.length <= tlv.value + tlv.length));
    }
}

// The verdicts over growing beginnings: MORE, then one of the others, for good.
void check_beginnings(const uint8_t *data, size_t size, sally_proxy_verdict last)
{
    sally_proxy_verdict before = SALLY_PROXY_MORE;
    const size_t most = size < 300 ? size : 300;
    for (size_t n = 0; n <= most; n++) {
        sally_proxy_verdict now = judge(data, n).verdict;
        FUZZ_CHECK(before == SALLY_PROXY_MORE || now == before);
        before = now;
    }
    FUZZ_CHECK(most != size || before == last);
    FUZZ_CHECK(size < SALLY_PROXY_HEADER_MAX || last != SALLY_PROXY_MORE);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Judged judged = judge(data, size);
    if (judged.verdict == SALLY_PROXY_WHOLE) {
        check_whole(judged.header, data, size);
        check_extensions(judged.header, data);
    }
    check_beginnings(data, size, judged.verdict);
    return 0;
}

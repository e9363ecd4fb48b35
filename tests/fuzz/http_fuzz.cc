// Requests: whole when a whole head is there, whatever follows; nothing but a GET or HEAD is answered.
#include "fuzz.h"

#include <cstring>

extern "C" {
#include "http.h"
}

namespace
{

int judge(const std::string &request, bool *head_only)
{
    return sally_http_judge(request.data(), request.size(), "/metrics", head_only);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    std::string request(reinterpret_cast<const char *>(data), size);
    bool head_only;
    int status = judge(request, &head_only);
    FUZZ_CHECK(status == 0 || status == 200 || status == 400 || status == 404 || status == 405);
    if (status == 200) {
        FUZZ_CHECK(request.find("/metrics") != std::string::npos);
        FUZZ_CHECK(request.find(head_only ? "HEAD " : "GET ") != std::string::npos);
    }
    bool head_only_with_more;
    int with_more = judge(request + "more", &head_only_with_more);
    FUZZ_CHECK(status == 0 || (with_more == status && head_only_with_more == head_only));
    return 0;
}

// The record that offers listening sockets (W8): what is taken for one has a name for each descriptor, and is
// the one record that has these names.
#include "fuzz.h"

#include <cstring>

extern "C" {
#include "inherit.h"
#include "offer.h"
}

namespace
{

// A name that is too long for an entry is kept in part.
void check_names(const char *names, int fd_count)
{
    const std::string all = names;
    std::string again;
    bool whole = true;
    for (int fd = 0; fd < fd_count; fd++) {
        ssl_inherited entry;
        sally_inherited_fill(&entry, fd, &names);
        FUZZ_CHECK(entry.fd == fd);
        FUZZ_CHECK(std::memchr(entry.name, '\0', sizeof entry.name) != nullptr);
        FUZZ_CHECK(std::strchr(entry.name, ':') == nullptr);
        whole = whole && std::strlen(entry.name) + 1 < sizeof entry.name;
        again += (fd == 0 ? "" : ":") + std::string(entry.name);
    }
    FUZZ_CHECK(*names == '\0');
    FUZZ_CHECK(!whole || again == all);
}

} // namespace

// The first byte is the number of descriptors.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const std::string record(reinterpret_cast<const char *>(data + 1), size - 1);
    const char *why = nullptr;
    const char *names = sally_offer_names(record.c_str(), record.size(), data[0], &why);
    FUZZ_CHECK((names == nullptr) == (why != nullptr));
    if (names != nullptr) {
        FUZZ_CHECK(SALLY_OFFER_MAGIC + std::string(names) == record);
        check_names(names, data[0]);
    }
    return 0;
}

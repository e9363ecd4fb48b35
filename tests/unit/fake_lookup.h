// What name lookups give while one of these lives: the addresses that a test says, or nothing until it
// lets them go on.
#ifndef SALLY_TEST_UNIT_FAKE_LOOKUP_H
#define SALLY_TEST_UNIT_FAKE_LOOKUP_H

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <netdb.h>

#include "support/threads.h"

extern "C" {
#include "resolve.h"
}

namespace sallytest
{

class FakeLookup
{
  public:
    FakeLookup()
    {
        current() = this;
        sally_resolve_set_hook(answer);
    }
    ~FakeLookup()
    {
        gate_.open();
        EXPECT_TRUE(eventually([] { return sally_resolve_helpers() == 0; }));
        sally_resolve_set_hook(nullptr);
        current() = nullptr;
    }
    FakeLookup(const FakeLookup &) = delete;
    FakeLookup &operator=(const FakeLookup &) = delete;

    // Set before the lookup.
    std::vector<std::string> addresses;
    bool hangs = false; // until the end of this object

  private:
    static FakeLookup *&current()
    {
        static FakeLookup *lookup;
        return lookup;
    }

    static int answer(const char *, const char *service, const addrinfo *, addrinfo **result)
    {
        FakeLookup *self = current();
        if (self->hangs) {
            self->gate_.wait(60);
            return EAI_AGAIN;
        }
        addrinfo hints = {};
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
        hints.ai_socktype = SOCK_STREAM;
        for (const std::string &address : self->addresses) {
            int error = getaddrinfo(address.c_str(), service, &hints, result);
            if (error != 0) {
                return error;
            }
            result = &(*result)->ai_next;
        }
        return 0;
    }

    Latch gate_;
};

} // namespace sallytest
#endif

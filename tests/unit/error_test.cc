// error.c: what stands in an ssl_error.

#include <cerrno>
#include <cstring>
#include <set>
#include <string>

#include <gtest/gtest.h>

extern "C" {
#include "error.h"
}

namespace
{

// An ssl_error full of rubbish, as a caller's stack gives it.
ssl_error dirty()
{
    ssl_error err;
    memset(&err, 0xa5, sizeof err);
    return err;
}

TEST(Error, EveryStatusHasANameOfItsOwn)
{
    std::set<std::string> names;
    for (int s = SALLY_OK; s <= SALLY_LIMIT; s++) {
        names.insert(ssl_status_name(static_cast<ssl_status>(s)));
    }
    EXPECT_EQ(names.size(), static_cast<size_t>(SALLY_LIMIT) + 1);
    EXPECT_STREQ(ssl_status_name(SALLY_TRUNCATED), "SALLY_TRUNCATED");
    EXPECT_STREQ(ssl_status_name(static_cast<ssl_status>(999)), "unknown status");
}

TEST(Error, EveryPhaseHasANameOfItsOwn)
{
    std::set<std::string> names;
    for (int p = SALLY_PHASE_NONE; p <= SALLY_PHASE_WAIT; p++) {
        names.insert(ssl_phase_name(static_cast<ssl_phase>(p)));
    }
    EXPECT_EQ(names.size(), static_cast<size_t>(SALLY_PHASE_WAIT) + 1);
    EXPECT_EQ(names.count("unknown phase"), 0u);
    EXPECT_STREQ(ssl_phase_name(static_cast<ssl_phase>(999)), "unknown phase");
}

TEST(Error, AllFieldsAreWritten)
{
    ssl_error err = dirty();
    EXPECT_EQ(sally_fail(&err, SALLY_USAGE, SALLY_PHASE_READ, "port %d is %s", 7, "closed"),
              SALLY_USAGE);
    EXPECT_EQ(err.status, SALLY_USAGE);
    EXPECT_EQ(err.phase, SALLY_PHASE_READ);
    EXPECT_EQ(err.code, 0);
    EXPECT_EQ(err.sys_errno, 0);
    EXPECT_EQ(err.ossl_code, 0u);
    EXPECT_EQ(err.reserved[3], 0u);
    EXPECT_STREQ(err.text, "port 7 is closed");
}

TEST(Error, NobodyHasToListen)
{
    EXPECT_EQ(sally_fail(nullptr, SALLY_CLOSED, SALLY_PHASE_READ, "x"), SALLY_CLOSED);
    EXPECT_EQ(sally_fail_errno(nullptr, EIO, SALLY_PHASE_READ, "x"), SALLY_SYSTEM);
    EXPECT_EQ(sally_fail_memory(nullptr, SALLY_PHASE_READ, "x"), SALLY_MEMORY);
    sally_error_none(nullptr);
}

TEST(Error, AnErrnoIsPutIntoWords)
{
    ssl_error err = dirty();
    EXPECT_EQ(sally_fail_errno(&err, ECONNREFUSED, SALLY_PHASE_CONNECT, "connect to %s", "::1"),
              SALLY_SYSTEM);
    EXPECT_EQ(err.sys_errno, ECONNREFUSED);
    EXPECT_STREQ(err.text, "connect to ::1: Connection refused");
}

TEST(Error, AnUnknownErrnoIsNamedByItsNumber)
{
    ssl_error err = dirty();
    sally_fail_errno(&err, 98765, SALLY_PHASE_CONNECT, "connect");
    EXPECT_NE(strstr(err.text, "98765"), nullptr);
}

TEST(Error, NoMemoryIsACategoryOfItsOwn)
{
    ssl_error err = dirty();
    EXPECT_EQ(sally_fail_errno(&err, ENOMEM, SALLY_PHASE_CONFIG, "open"), SALLY_MEMORY);
    EXPECT_EQ(err.status, SALLY_MEMORY);
    EXPECT_EQ(sally_fail_memory(&err, SALLY_PHASE_CONFIG, "ssl_listen"), SALLY_MEMORY);
    EXPECT_STREQ(err.text, "out of memory in ssl_listen");
}

TEST(Error, TextThatDoesNotFitSaysSo)
{
    std::string longest(SALLY_ERROR_TEXT_SIZE - 1, 'x');
    ssl_error err = dirty();
    sally_fail(&err, SALLY_CONFIG, SALLY_PHASE_CONFIG, "%s", longest.c_str());
    EXPECT_EQ(err.text, longest);
    sally_fail(&err, SALLY_CONFIG, SALLY_PHASE_CONFIG, "%sy", longest.c_str());
    EXPECT_EQ(err.text, longest.substr(0, longest.size() - 3) + "...");
}

TEST(Error, TheReasonIsNeverCutOff)
{
    std::string path(5000, 'p');
    ssl_error err = dirty();
    sally_fail_errno(&err, ENOENT, SALLY_PHASE_CONFIG, "open \"%s\"", path.c_str());
    std::string text = err.text;
    std::string reason = "...: No such file or directory";
    ASSERT_EQ(text.size(), static_cast<size_t>(SALLY_ERROR_TEXT_SIZE) - 1);
    EXPECT_EQ(text.substr(text.size() - reason.size()), reason);
}

TEST(Error, TextIsNeverEmpty)
{
    ssl_error err = dirty();
    sally_fail(&err, SALLY_LIMIT, SALLY_PHASE_READ, "%s", "");
    EXPECT_STREQ(err.text, "SALLY_LIMIT");
}

TEST(Error, SuccessClearsIt)
{
    ssl_error err = dirty();
    sally_error_none(&err);
    EXPECT_EQ(err.status, SALLY_OK);
    EXPECT_EQ(err.sys_errno, 0);
    EXPECT_STREQ(err.text, "");
}

} // namespace

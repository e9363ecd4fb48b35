// Records on their way to the program, and as lines. Rules: W9.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "log.h"
}

namespace
{

// Keeps what it is told; texts are copied, as they are good during the call only.
struct Kept {
    std::vector<ssl_log_record> records;
    std::vector<std::string> texts;
    std::vector<std::string> lines;
    ssl_log log = SALLY_LOG;
    ssl_log_record nested = {}; // logged from inside, if it has a text

    explicit Kept(ssl_log_level level = SALLY_LOG_DEBUG)
    {
        log.call = keep;
        log.user = this;
        log.level = level;
    }
    Kept(const Kept &) = delete;
    Kept &operator=(const Kept &) = delete;

    static void keep(const ssl_log_record *record, void *user)
    {
        auto *self = static_cast<Kept *>(user);
        char line[SALLY_LOG_LINE_SIZE];
        size_t length = ssl_log_line(record, line, sizeof line);
        EXPECT_EQ(length, strlen(line));
        self->records.push_back(*record);
        self->texts.emplace_back(record->text);
        self->lines.emplace_back(line);
        if (self->nested.text != nullptr) {
            sally_log_emit(&self->log, &self->nested);
        }
    }
};

ssl_log_record record_of(ssl_log_level level, const char *text)
{
    ssl_log_record record = {};
    record.level = level;
    record.event = SALLY_LOG_HANDSHAKE_FAILED;
    record.text = text;
    return record;
}

std::string line_of(const ssl_log_record &record)
{
    Kept kept;
    sally_log_emit(&kept.log, &record);
    return kept.lines.empty() ? "" : kept.lines.back();
}

} // namespace

TEST(Log, W9_OnlyWantedLevelsAreGiven)
{
    for (int wanted = SALLY_LOG_ERROR; wanted <= SALLY_LOG_DEBUG; wanted++) {
        Kept kept(static_cast<ssl_log_level>(wanted));
        for (int level = SALLY_LOG_ERROR; level <= SALLY_LOG_DEBUG; level++) {
            ssl_log_record record = record_of(static_cast<ssl_log_level>(level), "x");
            sally_log_emit(&kept.log, &record);
        }
        EXPECT_EQ(static_cast<size_t>(wanted) + 1, kept.records.size());
    }
    ssl_log nowhere = SALLY_LOG;
    ssl_log_record record = record_of(SALLY_LOG_ERROR, "x");
    sally_log_emit(&nowhere, &record);
}

TEST(Log, W9_NoTextIsNull)
{
    Kept kept;
    ssl_log_record record = {};
    sally_log_emit(&kept.log, &record);
    ASSERT_EQ(1u, kept.records.size());
    EXPECT_NE(nullptr, kept.records[0].name);
    EXPECT_NE(nullptr, kept.records[0].reason);
    EXPECT_EQ("", kept.texts[0]);
    EXPECT_EQ("level=error event=start_failed", kept.lines[0]);
}

TEST(Log, W9_WhatThePeerSentMakesNoSecondLine)
{
    ssl_log_record record = record_of(SALLY_LOG_INFO, "name \"a\"\nlevel=error \x1b[2J\x7f\\");
    record.peer = "unix:/tmp/x\ny";
    Kept kept;
    sally_log_emit(&kept.log, &record);
    EXPECT_EQ("name \"a\"?level=error ?[2J?\\", kept.texts[0]);
    EXPECT_EQ("level=info event=handshake_failed peer=unix:/tmp/x?y "
              "text=\"name \\\"a\\\"?level=error ?[2J?\\\\\"",
              kept.lines[0]);
}

TEST(Log, W9_ALoggerDoesNotGetWhatItCauses)
{
    Kept kept;
    kept.nested = record_of(SALLY_LOG_ERROR, "nested");
    ssl_log_record record = record_of(SALLY_LOG_ERROR, "outer");
    sally_log_emit(&kept.log, &record);
    sally_log_emit(&kept.log, &record);
    EXPECT_EQ((std::vector<std::string>{"outer", "outer"}), kept.texts);
}

TEST(Log, W9_ALineHasAllThatIsThere)
{
    ssl_log_record record = record_of(SALLY_LOG_WARNING, "why");
    record.event = SALLY_LOG_REFUSED;
    record.status = SALLY_LIMIT;
    record.code = -1;
    record.sys_errno = 24;
    record.count = 7;
    record.reason = "connections";
    record.peer = "[::1]:4711";
    record.name = "a b";
    EXPECT_EQ("level=warning event=refused status=LIMIT code=-1 errno=24 count=7 "
              "reason=connections peer=[::1]:4711 name=\"a b\" text=\"why\"",
              line_of(record));
}

TEST(Log, W9_ALineIsCutWhereItDoesNotFitAndTheLongestFits)
{
    Kept kept;
    ssl_log_record record = record_of(SALLY_LOG_INFO, "text");
    char small[12];
    memset(small, '!', sizeof small);
    record.peer = record.name = record.reason = "";
    EXPECT_EQ(9u, ssl_log_line(&record, small, 10));
    EXPECT_STREQ("level=inf", small);
    EXPECT_EQ('!', small[10]);
    EXPECT_EQ(0u, ssl_log_line(&record, small, 0));
    EXPECT_EQ(0u, ssl_log_line(&record, nullptr, 10));
    EXPECT_EQ(0u, ssl_log_line(nullptr, small, 10));
    std::string quotes(2 * SALLY_ERROR_TEXT_SIZE, '"');
    record.text = quotes.c_str();
    record.peer = quotes.c_str();
    std::string line = line_of(record);
    EXPECT_GT(size_t{SALLY_LOG_LINE_SIZE} - 1, line.size());
    EXPECT_EQ('"', line.back());
}

TEST(Log, W9_NamesAreWords)
{
    EXPECT_STREQ("error", ssl_log_level_name(SALLY_LOG_ERROR));
    EXPECT_STREQ("debug", ssl_log_level_name(SALLY_LOG_DEBUG));
    EXPECT_STREQ("unknown", ssl_log_level_name(static_cast<ssl_log_level>(77)));
    EXPECT_STREQ("start_failed", ssl_log_event_name(SALLY_LOG_START_FAILED));
    EXPECT_STREQ("remark", ssl_log_event_name(SALLY_LOG_REMARK));
    EXPECT_STREQ("unknown", ssl_log_event_name(static_cast<ssl_log_event>(-1)));
}

TEST(Log, W9_ReloadsAreRecords)
{
    Kept kept;
    ssl_error err = {};
    ssl_log_reload("site", SALLY_OK, &err, &kept.log);
    EXPECT_EQ("level=info event=reloaded name=\"site\" text=\"reloaded\"", kept.lines.back());
    snprintf(err.text, sizeof err.text, "it expires tomorrow");
    ssl_log_reload("site", SALLY_OK, &err, &kept.log);
    ASSERT_EQ(3u, kept.lines.size());
    EXPECT_EQ("level=warning event=remark name=\"site\" text=\"it expires tomorrow\"",
              kept.lines.back());
    err.sys_errno = 2;
    snprintf(err.text, sizeof err.text, "no such file");
    ssl_log_reload("site", SALLY_SYSTEM, &err, &kept.log);
    EXPECT_EQ("level=error event=reload_failed status=SYSTEM errno=2 name=\"site\" "
              "text=\"no such file\"",
              kept.lines.back());
    ssl_log_reload("site", SALLY_OK, nullptr, nullptr);
    EXPECT_EQ(4u, kept.lines.size());
}

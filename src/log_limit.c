/* L0 base: how many records of each event a program gets (log_limit.h). */
#include "log_limit.h"

#define SECOND_NS UINT64_C(1000000000)

static bool is_rate(int64_t number)
{
    return number == SALLY_UNLIMITED || (number >= 0 && number <= SALLY_LOG_RATE_MAX);
}

bool sally_log_limit_is_valid(const ssl_log *log)
{
    return is_rate(log->burst) && is_rate(log->per_second);
}

void sally_log_limit_set(sally_log_limit *limit, const ssl_log *log)
{
    bool limited = log->burst != SALLY_UNLIMITED && log->per_second != SALLY_UNLIMITED;
    uint64_t burst = log->burst != 0 ? (uint64_t)log->burst : SALLY_LOG_BURST;
    uint64_t rate = log->per_second != 0 ? (uint64_t)log->per_second : SALLY_LOG_PER_SECOND;
    limit->interval_ns = limited ? SECOND_NS / rate : 0;
    limit->ahead_ns = limited ? (burst - 1) * limit->interval_ns : 0;
}

bool sally_log_limit_pass(sally_log_limit *limit, ssl_log_event event, int64_t now_ns)
{
    if (limit->interval_ns == 0) {
        return true;
    }
    uint64_t now = (uint64_t)now_ns;
    uint64_t used = sally_load_seq(&limit->used_ns[event]);
    uint64_t from;
    do {
        from = used > now ? used : now;
        if (from - now > limit->ahead_ns) {
            (void)sally_add_relaxed(&limit->dropped[event], 1);
            return false;
        }
    } while (!sally_cas_seq(&limit->used_ns[event], &used, from + limit->interval_ns));
    return true;
}

uint64_t sally_log_limit_take_dropped(sally_log_limit *limit, ssl_log_event event)
{
    uint64_t dropped = sally_load_seq(&limit->dropped[event]);
    while (dropped != 0 && !sally_cas_seq(&limit->dropped[event], &dropped, 0)) {}
    return dropped;
}

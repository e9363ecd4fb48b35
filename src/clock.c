/* L0 base: the monotonic clock and arithmetic on deadlines (B5).
 *
 * Deadlines are absolute, so a call that waits many times is bounded as a whole. INT64_MAX is
 * "never"; additions saturate there, and a wait is rounded up so that it never ends early.
 *
 * No locks and no state.
 */
#include "clock.h"

#include <limits.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

int64_t sally_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

ssl_deadline sally_deadline_after_ms(int64_t timeout_ms)
{
    if (timeout_ms < 0) {
        return SALLY_NEVER;
    }
    int64_t now = sally_now_ns();
    if (timeout_ms > (INT64_MAX - now) / NS_PER_MS) {
        return SALLY_NEVER;
    }
    return (ssl_deadline){now + timeout_ms * NS_PER_MS};
}

ssl_deadline ssl_deadline_after_ms(int64_t timeout_ms)
{
    return sally_deadline_after_ms(timeout_ms);
}

int sally_deadline_poll_ms(ssl_deadline d)
{
    if (sally_deadline_is_never(d)) {
        return -1;
    }
    int64_t now = sally_now_ns();
    if (d.monotonic_ns <= now) {
        return 0;
    }
    /* A caller's deadline may be any number, so the difference is taken in unsigned. */
    uint64_t left_ns = (uint64_t)d.monotonic_ns - (uint64_t)now;
    uint64_t left_ms = left_ns / (uint64_t)NS_PER_MS + (left_ns % (uint64_t)NS_PER_MS != 0);
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

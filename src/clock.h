/* L0 base: the monotonic clock and arithmetic on deadlines. */
#ifndef SALLY_CLOCK_H
#define SALLY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/break.h" /* ssl_deadline */

#define SALLY_NEVER ((ssl_deadline){INT64_MAX})

int64_t sally_now_ns(void);

/* Saturates; a negative timeout is never. */
ssl_deadline sally_deadline_after_ms(int64_t timeout_ms);

static inline bool sally_deadline_is_never(ssl_deadline d)
{
    return d.monotonic_ns == INT64_MAX;
}

static inline ssl_deadline sally_deadline_earlier(ssl_deadline a, ssl_deadline b)
{
    return a.monotonic_ns < b.monotonic_ns ? a : b;
}

/* Reads the clock only where there is a deadline to compare with. */
static inline bool sally_deadline_passed(ssl_deadline d)
{
    return !sally_deadline_is_never(d) && sally_now_ns() >= d.monotonic_ns;
}

/* What poll(2) wants: milliseconds left, rounded up, so that a wait never ends early;
 * -1 for never, at most INT_MAX. */
int sally_deadline_poll_ms(ssl_deadline d);

#endif

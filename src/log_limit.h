/* L0 base: how many records of each event a program gets (W9).
 *
 * For each event one word says until when it is used up: a record moves it on by the time that it takes at the
 * rate, and passes while the word is not further ahead than the burst (the generic cell rate algorithm of ATM).
 * No locks: any thread may ask at any time.
 */
#ifndef SALLY_LOG_LIMIT_H
#define SALLY_LOG_LIMIT_H

#include "atomic.h"
#include "sallyport/log.h"

#define SALLY_LOG_EVENTS (SALLY_LOG_DROPPED + 1)

typedef struct sally_log_limit {
    uint64_t interval_ns; /* between two records at the rate; 0: no limit */
    uint64_t ahead_ns;    /* the burst, as time */
    sally_atomic_u64 used_ns[SALLY_LOG_EVENTS];
    sally_atomic_u64 dropped[SALLY_LOG_EVENTS];
} sally_log_limit;

/* Whether the numbers of the log are in range. */
bool sally_log_limit_is_valid(const ssl_log *log);
/* Before any thread asks. */
void sally_log_limit_set(sally_log_limit *limit, const ssl_log *log);
/* Whether a record passes at this moment; one that does not is counted. */
bool sally_log_limit_pass(sally_log_limit *limit, ssl_log_event event, int64_t now_ns);
/* How many did not since it was last asked. */
uint64_t sally_log_limit_take_dropped(sally_log_limit *limit, ssl_log_event event);

#endif

/* L1 waiting: sections of a thread in which breaks are deferred (B9).
 *
 * A thread's open sections are a chain of the caller's own structs, the innermost first; a section's
 * deadline is the earliest of its own and its outer ones', so the innermost tells everything. The scope of
 * a call takes it up when the call begins (break.c). Nobody else looks at another thread's sections, and
 * senders know nothing of them: so there is no lock, nothing is allocated, and ssl_break_send stays what
 * it is.
 */
#include "break.h"
#include "clock.h"
#include "error.h"

static _Thread_local ssl_shield *innermost;

bool sally_shield_is_up(void)
{
    return innermost != NULL;
}

ssl_deadline sally_shield_deadline(void)
{
    return innermost != NULL ? innermost->deadline : SALLY_NEVER;
}

void sally_shield_reset(void)
{
    innermost = NULL;
}

static bool is_open(const ssl_shield *shield)
{
    const ssl_shield *open = innermost;
    while (open != NULL && open != shield) {
        open = open->outer;
    }
    return open != NULL;
}

ssl_status ssl_break_shield(int64_t timeout_ms, ssl_shield *shield, ssl_error *err)
{
    if (shield == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_break_shield: shield is NULL");
    }
    if (timeout_ms < 0) {
        return sally_fail(
            err, SALLY_USAGE, SALLY_PHASE_NONE,
            "ssl_break_shield: timeout_ms is negative; a section without a bound could "
            "never be stopped");
    }
    if (is_open(shield)) {
        return sally_fail(
            err, SALLY_USAGE, SALLY_PHASE_NONE,
            "ssl_break_shield: this section is open already; nested ones have structs "
            "of their own");
    }
    *shield = (ssl_shield){.outer = innermost,
                           .deadline = sally_deadline_earlier(sally_deadline_after_ms(timeout_ms),
                                                              sally_shield_deadline())};
    innermost = shield;
    sally_error_none(err);
    return SALLY_OK;
}

ssl_status ssl_break_unshield(ssl_shield *shield, ssl_error *err)
{
    if (shield == NULL || !is_open(shield)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_break_unshield: %s",
                          shield == NULL ? "shield is NULL"
                                         : "this thread has not opened this section");
    }
    if (shield != innermost) {
        return sally_fail(
            err, SALLY_USAGE, SALLY_PHASE_NONE,
            "ssl_break_unshield: a section inside of this one is still open; end that "
            "one first");
    }
    innermost = shield->outer;
    sally_error_none(err);
    return SALLY_OK;
}

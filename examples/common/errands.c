/* Signals as errands.
 *
 * Each kind has a token, and the tokens are a chain, stop above upgrade above taken above reload: so a wait
 * on the last hears of all of them, and none hides another. A deadline below them lets the wait end in time to tell the
 * supervisor that we are alive.
 */
#include "errands.h"

#include <signal.h>

bool open_errands(errands *e, ssl_error *err)
{
    *e = (errands){.stop = NULL};
    return ssl_watchdog_timeout_ms(&e->watchdog_ms, err) == SALLY_OK &&
           ssl_break_new(NULL, &e->stop, err) == SALLY_OK &&
           ssl_break_new(e->stop, &e->upgrade, err) == SALLY_OK &&
           ssl_break_new(e->upgrade, &e->taken, err) == SALLY_OK &&
           ssl_break_new(e->taken, &e->reload, err) == SALLY_OK &&
           ssl_break_on_signal(SIGTERM, e->stop, err) == SALLY_OK &&
           ssl_break_on_signal(SIGINT, e->stop, err) == SALLY_OK &&
           ssl_break_on_signal(SIGUSR2, e->upgrade, err) == SALLY_OK &&
           ssl_break_on_signal(SIGHUP, e->reload, err) == SALLY_OK;
}

void close_errands(errands *e)
{
    ssl_break_release(e->reload);
    ssl_break_release(e->taken);
    ssl_break_release(e->upgrade);
    ssl_break_release(e->stop);
}

/* BREAK, or TIMEOUT when it is time for a sign of life. */
static ssl_status wait_for_signal(const errands *e, ssl_error *err)
{
    ssl_break *tick = NULL;
    ssl_deadline soon = ssl_deadline_after_ms(e->watchdog_ms < 0 ? -1 : e->watchdog_ms / 2);
    ssl_status status = ssl_break_new_deadline(e->reload, soon, &tick, err);
    if (status == SALLY_OK) {
        status = ssl_wait_fd_enable_break(-1, false, tick, err);
    }
    ssl_break_release(tick);
    return status;
}

/* From the top of the chain: a token is pending when one above it is. */
static errand what_came(const errands *e)
{
    if (ssl_break_pending(e->stop, NULL, NULL)) {
        ssl_break_clear(e->stop);
        return ERRAND_STOP;
    }
    if (ssl_break_pending(e->upgrade, NULL, NULL)) {
        ssl_break_clear(e->upgrade);
        return ERRAND_UPGRADE;
    }
    if (ssl_break_pending(e->taken, NULL, NULL)) {
        ssl_break_clear(e->taken);
        return ERRAND_LEAVE;
    }
    ssl_break_clear(e->reload);
    return ERRAND_RELOAD;
}

errand next_errand(const errands *e, ssl_error *err)
{
    ssl_status status;
    while ((status = wait_for_signal(e, err)) == SALLY_TIMEOUT) {
        (void)ssl_notify("WATCHDOG=1", NULL);
    }
    return status == SALLY_BREAK ? what_came(e) : ERRAND_FAILED;
}

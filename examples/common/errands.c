/* Signals as errands.
 *
 * Each kind has a token, and the tokens are a chain, stop above upgrade above taken above reload: so a wait
 * on the last hears of all of them, and none hides another.
 */
#include "errands.h"

#include <signal.h>

bool open_errands(errands *e, ssl_error *err)
{
    *e = (errands){.stop = NULL};
    return ssl_break_new(NULL, &e->stop, err) == SALLY_OK &&
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
    ssl_status status = ssl_wait_fd_enable_break(-1, false, e->reload, err);
    return status == SALLY_BREAK ? what_came(e) : ERRAND_FAILED;
}

/* L1 waiting: signals that send breaks (B3).
 *
 * One slot a signal: the token the handler sends to, and how many handlers are inside. The handler
 * announces itself before it reads the token; whoever takes the token away swaps first and then waits
 * until nobody is inside. Both sides are sequentially consistent, so either the handler finds the
 * slot empty or the taker sees the handler and waits before it releases the token.
 * Installing and removing are serialised by `installers`; handlers take no lock.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "break_object.h"
#include "error.h"
#include "sync.h"

#ifndef NSIG
#define NSIG 65
#endif

typedef struct signal_slot {
    sally_atomic_ptr brk; /* retained while it is here */
    sally_atomic_u64 inside;
    struct sigaction old; /* installers */
    bool installed;       /* installers */
} signal_slot;

static signal_slot slots[NSIG];
static sally_mutex installers = SALLY_MUTEX_INIT(SALLY_RANK_SIGNAL);

static void handle(int signo)
{
    signal_slot *slot = &slots[signo];
    (void)sally_add_seq(&slot->inside, 1);
    ssl_break *brk = sally_load_ptr_seq(&slot->brk);
    if (brk != NULL) {
        (void)ssl_break_send(brk, signo);
    }
    (void)sally_add_seq(&slot->inside, (uint64_t)-1);
}

/* A handler that interrupted this very thread has returned before we run; others take microseconds. */
static void put_token(signal_slot *slot, ssl_break *brk)
{
    ssl_break *before = sally_swap_ptr_seq(&slot->brk, brk);
    while (sally_load_seq(&slot->inside) != 0) {
        (void)sched_yield();
    }
    ssl_break_release(before);
}

static ssl_status check_signal(int signo, const char *call, ssl_error *err)
{
    if (signo <= 0 || signo >= NSIG) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: there is no signal %d", call,
                          signo);
    }
    return SALLY_OK;
}

static int install(int signo, signal_slot *slot)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(signo, &action, &slot->old) != 0) {
        return errno;
    }
    slot->installed = true;
    return 0;
}

static int uninstall(int signo, signal_slot *slot)
{
    if (sigaction(signo, &slot->old, NULL) != 0) {
        return errno;
    }
    slot->installed = false;
    return 0;
}

ssl_status ssl_break_on_signal(int signo, ssl_break *brk, ssl_error *err)
{
    ssl_status status = check_signal(signo, "ssl_break_on_signal", err);
    if (status != SALLY_OK) {
        return status;
    }
    if (brk == NULL || !brk->sendable) {
        return sally_fail(
            err, SALLY_USAGE, SALLY_PHASE_NONE,
            "ssl_break_on_signal: %s cannot be sent to; give it a token of ssl_break_new",
            brk == NULL ? "NULL" : "a deadline token");
    }
    signal_slot *slot = &slots[signo];
    sally_mutex_lock(&installers);
    put_token(slot, ssl_break_retain(brk));
    int failed = slot->installed ? 0 : install(signo, slot);
    if (failed != 0) {
        put_token(slot, NULL);
    }
    sally_mutex_unlock(&installers);
    return failed == 0 ? SALLY_OK
                       : sally_fail_errno(err, failed, SALLY_PHASE_NONE,
                                          "ssl_break_on_signal: signal %d", signo);
}

ssl_status ssl_break_off_signal(int signo, ssl_error *err)
{
    ssl_status status = check_signal(signo, "ssl_break_off_signal", err);
    if (status != SALLY_OK) {
        return status;
    }
    signal_slot *slot = &slots[signo];
    sally_mutex_lock(&installers);
    int failed = slot->installed ? uninstall(signo, slot) : 0;
    if (failed == 0) {
        put_token(slot, NULL);
    }
    sally_mutex_unlock(&installers);
    return failed == 0 ? SALLY_OK
                       : sally_fail_errno(err, failed, SALLY_PHASE_NONE,
                                          "ssl_break_off_signal: signal %d", signo);
}

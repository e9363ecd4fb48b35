/* L5 ports: connections over transports whose I/O must not run under the lock (transport_box.h).
 *
 * A call that would have to wait exchanges first: it claims each direction that it wants, lets go of
 * the lock, exchanges, takes the lock and settles. Only if that brought nothing does it sleep, and no lock
 * is let go between settling and going to sleep, so what one thread settles another cannot miss.
 *
 * A direction that another thread is exchanging cannot be claimed. The call is `stalled` then: the other
 * one takes that mark away when it settles, and wakes it, so that it looks again. (It may not sleep yet,
 * because it is exchanging the other direction; then it finds the mark gone.)
 *
 * What runs in an exchange or a wait may be the program's, and may leave anything in OpenSSL's error queue:
 * it is emptied behind each, so that the next step does not take that for a failure of its own (E1).
 */
#include "conn.h"
#include "ossl.h"

static bool claim(sally_transport *t, sally_direction direction, sally_slot *slot, bool *again)
{
    sally_claim claimed = t->ops->claim(t, direction);
    slot->stalled = slot->stalled || claimed == SALLY_CLAIM_BUSY;
    *again = *again || claimed == SALLY_CLAIM_NOTHING;
    return claimed == SALLY_CLAIM_TAKEN;
}

/* Those who found us busy look again; a wake would be lost on `self`, who is not asleep. */
static void release_stalled_locked(sally_conn *conn, sally_side self)
{
    for (int side = 0; side < SALLY_SIDES; side++) {
        sally_slot *slot = &conn->slots[side];
        if (side != (int)self && slot->stalled) {
            slot->stalled = false;
            if (slot->asleep != NULL) {
                sally_wake_raise(slot->asleep);
            }
        }
    }
}

/* True when it brought something. */
static bool exchange_claimed_locked(sally_conn *conn, sally_side side, bool receive, bool send)
{
    sally_transport *t = sally_engine_transport(conn->engine);
    sally_conn_unlock(conn);
    if (send) {
        t->ops->exchange(t, SALLY_SEND);
    }
    if (receive) {
        t->ops->exchange(t, SALLY_RECEIVE);
    }
    sally_ossl_end();
    sally_conn_lock(conn);
    bool sent = send && t->ops->settle(t, SALLY_SEND);
    bool received = receive && t->ops->settle(t, SALLY_RECEIVE);
    release_stalled_locked(conn, side);
    sally_conn_tell_others_locked(conn, side, received, false);
    return sent || received;
}

bool sally_conn_exchange_locked(sally_conn *conn, sally_side side, sally_want want)
{
    sally_transport *t = sally_engine_transport(conn->engine);
    if (t->ops->claim == NULL) {
        return false;
    }
    sally_slot *slot = &conn->slots[side];
    bool again = false;
    slot->stalled = false;
    bool receive = want.receive && claim(t, SALLY_RECEIVE, slot, &again);
    bool send = want.send && claim(t, SALLY_SEND, slot, &again);
    if (!receive && !send) {
        return again;
    }
    bool stalled = slot->stalled;
    bool moved = exchange_claimed_locked(conn, side, receive, send);
    return again || moved || (stalled && !slot->stalled);
}

void sally_conn_hand_on_locked(sally_conn *conn, sally_side side)
{
    if (sally_engine_transport(conn->engine)->held != 0) {
        (void)sally_conn_exchange_locked(conn, side, (sally_want){.send = true});
    }
}

/* ---- sleeping ------------------------------------------------------------------------------ */

static int sleep_on_transport(sally_sleeper *sleeper, struct pollfd *fds, int count,
                              ssl_deadline deadline)
{
    sally_conn_sleeper *s = (sally_conn_sleeper *)sleeper;
    s->how.what.wakes = fds;
    s->how.what.wake_count = (size_t)count;
    s->how.what.deadline = deadline;
    int failure = s->transport->ops->wait(s->transport, &s->how);
    sally_ossl_end();
    return failure;
}

void sally_conn_sleep_with(sally_conn_sleeper *sleeper, sally_transport *t, sally_want want,
                           sally_wait *wait, sally_side side)
{
    if (t->ops->wait == NULL) {
        return;
    }
    *sleeper = (sally_conn_sleeper){.base = {sleep_on_transport}, .transport = t};
    sleeper->how.what =
        (ssl_io_wait){.for_read = want.receive, .for_write = want.send, .brk = wait->scope->brk};
    sleeper->how.side = (int)side;
    sleeper->how.self = wait->self;
    wait->sleeper = &sleeper->base;
    wait->count = 0; /* there is nothing of ours to poll */
}

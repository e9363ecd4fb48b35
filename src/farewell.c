/* L5 ports: threads that see wrapped transports out (farewell.h says why). The transport belongs to its
 * thread alone. No locks. */
#include "farewell.h"

#include "atomic.h"
#include "conn.h"
#include "sync.h"

static sally_atomic_u64 leaving;

/* True when it is worth another try. */
static bool wait_to_send(sally_transport *t, const sally_scope *scope, const sally_wake *self)
{
    struct pollfd fds[1 + SALLY_WAIT_SPARE];
    short events;
    int fd = t->ops->wait_fd(t, SALLY_SEND, &events);
    fds[0] = (struct pollfd){.fd = fd, .events = events};
    sally_wait wait = {
        .fds = fds, .count = 1, .scope = scope, .self = self, .phase = SALLY_PHASE_CLOSE};
    sally_conn_sleeper sleeper;
    sally_conn_sleep_with(&sleeper, t, (sally_want){.send = true}, &wait, SALLY_CLOSER);
    ssl_status status;
    return sally_wait_run(&wait, &status, NULL) != SALLY_WAITED_STOPPED;
}

static void *see_out(void *transport)
{
    sally_transport *t = transport;
    const sally_wake *self;
    sally_scope scope = SALLY_SCOPE_NONE;
    sally_scope_bound(&scope, sally_deadline_after_ms(SALLY_CLOSE_TIMEOUT_MS));
    bool may_wait = sally_wait_self(&self, SALLY_PHASE_CLOSE, NULL) == SALLY_OK;
    while (t->ops->send_rest(t) == SALLY_IO_WOULD_BLOCK && may_wait) {
        may_wait = wait_to_send(t, &scope, self);
    }
    t->ops->end(t);
    sally_drop_ref(&leaving);
    return NULL;
}

bool sally_farewell(sally_transport *t)
{
    bool admitted = sally_add_relaxed(&leaving, 1) < SALLY_FAREWELL_MAX &&
                    sally_thread_start_detached(0, see_out, t) == 0;
    if (!admitted) {
        sally_drop_ref(&leaving);
    }
    return admitted;
}

/* L7 service: samples of how long a ready task waits for a worker (probe.h).
 *
 * The probe's task is held by the probe, but for its flight: `flying` says which, and whoever makes it 1
 * parks the task. A drain may wake it early, or hand it to the timekeeper; what that has is no sample.
 * A flight that ends with the workers leaves the task parked, in a park that is about to be closed.
 */
#include "probe.h"

#include <errno.h>
#include <poll.h>

#define INTERVAL_NS (SALLY_QUEUE_SAMPLE_MS * INT64_C(1000000))

static void run(sally_task *task, const sally_turn *turn)
{
    sally_probe *probe = sally_task_owner(task);
    if (turn->worker != NULL) {
        sally_histogram_add(probe->waits, sally_now_ns() - probe->sent_ns);
    }
    sally_store_seq(&probe->flying, 0);
}

int sally_probe_open(sally_probe *probe, sally_park *park, sally_histogram *waits)
{
    int error = sally_wake_open(&probe->wake);
    if (error != 0) {
        return error;
    }
    probe->task = sally_task_new(park, probe->wake.wait_fd, run, probe);
    if (probe->task == NULL) {
        sally_wake_close(&probe->wake);
        return ENOMEM;
    }
    sally_wake_raise(&probe->wake);
    probe->park = park;
    probe->waits = waits;
    return 0;
}

void sally_probe_close(sally_probe *probe)
{
    if (probe->task != NULL) {
        (void)sally_park_claim(probe->park, probe->task);
        sally_task_free(probe->park, probe->task);
        sally_wake_close(&probe->wake);
        probe->task = NULL;
    }
}

void sally_probe_send(sally_probe *probe, int64_t now_ns)
{
    uint64_t grounded = 0;
    if ((uint64_t)now_ns < sally_load_relaxed(&probe->next_ns) ||
        !sally_cas_seq(&probe->flying, &grounded, 1)) {
        return;
    }
    sally_store_seq(&probe->next_ns, (uint64_t)(now_ns + INTERVAL_NS));
    probe->sent_ns = now_ns;
    if (sally_park_put(probe->park, probe->task, POLLIN, SALLY_NEVER) != 0) {
        sally_store_seq(&probe->flying, 0);
    }
}

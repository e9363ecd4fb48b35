/* L7 service: the supervisor's watchdog, for a server that speaks for its process (W8). */
#ifndef SALLY_NOTIFY_WATCHDOG_H
#define SALLY_NOTIFY_WATCHDOG_H

#include "addr.h"
#include "sallyport/notify.h"

typedef struct sally_watchdog {
    sally_addr addr;     /* of the supervisor */
    int64_t interval_ms; /* at which to tell it; 0: it does not ask */
} sally_watchdog;

/* From the environment. CONFIG, in the name of `call`. */
ssl_status sally_watchdog_find(const char *call, sally_watchdog *watchdog, ssl_error *err);
/* Tells it that we are alive, at once or not at all: sally_pool_beat.tell. */
void sally_watchdog_tell(void *watchdog);

#endif

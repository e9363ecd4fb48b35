/*
 * sallyport/notify.h: telling a supervisor (systemd, or whoever sets NOTIFY_SOCKET) how a service is doing,
 * without its library. The protocol is that of sd_notify(3): a datagram of lines like "READY=1".
 *
 *     ssl_notify("READY=1", NULL);                          serving
 *     ssl_notify_printf(NULL, "STATUS=%d clients", n);      for people who ask
 *     ssl_notify_reloading(NULL); ... ssl_notify("READY=1", NULL);
 *     ssl_notify("STOPPING=1", NULL);                       the drain has begun
 *     ssl_notify_printf(NULL, "MAINPID=%ld", (long)pid);    another process takes over
 *     ssl_notify("WATCHDOG=1", NULL);                       alive; see ssl_watchdog_timeout_ms
 *
 * Nothing here allocates, and a program may call it without asking whether anybody listens.
 *
 * For all of these calls: Blocks: up to SALLY_NOTIFY_TIMEOUT_MS, where the supervisor does not read.
 * Threads: any, while none changes the environment.
 * Errors: UNSUPPORTED (there is no supervisor: NOTIFY_SOCKET is not set; nothing was done), CONFIG
 * (NOTIFY_SOCKET is neither a path nor an abstract name, "@name"), TIMEOUT, SYSTEM (nobody listens there),
 * USAGE, LIMIT (more than SALLY_NOTIFY_MAX bytes).
 */
#ifndef SALLYPORT_NOTIFY_H
#define SALLYPORT_NOTIFY_H

#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most bytes of one message. */
#define SALLY_NOTIFY_MAX        4096
/** How long a message waits for a supervisor that does not read, in milliseconds. */
#define SALLY_NOTIFY_TIMEOUT_MS 1000

/** Tells the supervisor `state`: assignments, one a line ("READY=1\nSTATUS=serving"). Keeps: W8. */
SALLY_API ssl_status ssl_notify(const char *state, ssl_error *err);

/** ssl_notify of a text that is made as printf(3) does. Keeps: W8. */
SALLY_API ssl_status ssl_notify_printf(ssl_error *err, const char *format, ...) SALLY_PRINTF(2, 3);

/** Says that the configuration is being read again (RELOADING=1, with the time of the monotonic clock, as
 *  Type=notify-reload wants it); say READY=1 when that is done. Keeps: W8. */
SALLY_API ssl_status ssl_notify_reloading(ssl_error *err);

/**
 * The time within which the supervisor wants to hear WATCHDOG=1 again, in *timeout_ms: half of it is a
 * good interval. Negative, and OK, when it wants nothing of this process (WATCHDOG_USEC, WATCHDOG_PID).
 * Never blocks. Errors: USAGE, CONFIG (a variable makes no sense). Keeps: W8.
 */
SALLY_API ssl_status ssl_watchdog_timeout_ms(int64_t *timeout_ms, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

/* L7 service: a server's log, as an object's: set before the start, constant from then on, so that no
 * thread needs a lock to read it. What passes its limit of rate is told before the next record that does.
 */
#include "server_log.h"

#include "clock.h"
#include "context.h"
#include "error.h"
#include "listener.h"
#include "ossl.h"
#include "registry.h"

ssl_status ssl_server_set_log(ssl_server *server, const ssl_log *log, ssl_error *err)
{
    static const char call[] = "ssl_server_set_log";
    static const ssl_log nowhere = SALLY_LOG;
    sally_ossl_begin();
    log = log != NULL ? log : &nowhere;
    if (server == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "%s: server is NULL", call);
    }
    if ((unsigned)log->level > SALLY_LOG_DEBUG) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "%s: level is %d; it must be one of ssl_log_level", call,
                          (int)log->level);
    }
    if (!sally_log_limit_is_valid(log)) {
        return sally_fail(
            err, SALLY_USAGE, SALLY_PHASE_SERVE,
            "%s: burst is %lld and per_second %lld; each must be 1 to %d, 0 for the usual "
            "one, or SALLY_UNLIMITED",
            call, (long long)log->burst, (long long)log->per_second, SALLY_LOG_RATE_MAX);
    }
    if (sally_server_stage(server) != SALLY_STAGE_NEW) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "%s: the server has been started; set it before ssl_server_start", call);
    }
    server->log = *log;
    sally_log_limit_set(&server->log_limit, log);
    return SALLY_OK;
}

/* ---- records ------------------------------------------------------------------------------- */

/* The logger may leave anything in OpenSSL's queue (E1). */
static void emit(const ssl_server *server, const ssl_log_record *record)
{
    ssl_log_record of_server = *record;
    of_server.server = server;
    sally_log_emit(&server->log, &of_server);
    sally_ossl_end();
}

/* Whoever reads a log at all is told that there is less in it than there was. */
static void tell_dropped(ssl_server *server, ssl_log_event event)
{
    uint64_t dropped = sally_log_limit_take_dropped(&server->log_limit, event);
    if (dropped != 0) {
        bool wants = sally_log_wants(&server->log, SALLY_LOG_WARNING);
        emit(server, &(ssl_log_record){.level = wants ? SALLY_LOG_WARNING : server->log.level,
                                       .event = SALLY_LOG_DROPPED,
                                       .count = dropped,
                                       .reason = ssl_log_event_name(event),
                                       .text = "there were too many records of one event"});
    }
}

void sally_server_log(ssl_server *server, const ssl_log_record *record)
{
    if (sally_log_wants(&server->log, record->level) &&
        sally_log_limit_pass(&server->log_limit, record->event, sally_now_ns())) {
        tell_dropped(server, record->event);
        emit(server, record);
    }
}

void sally_server_log_dropped(ssl_server *server)
{
    for (int event = 0; event < SALLY_LOG_EVENTS; event++) {
        tell_dropped(server, (ssl_log_event)event);
    }
}

void sally_server_log_error(ssl_server *server, ssl_log_level level, ssl_log_event event,
                            const ssl_error *why)
{
    sally_server_log(server, &(ssl_log_record){.level = level,
                                               .event = event,
                                               .status = why->status,
                                               .code = why->code,
                                               .sys_errno = why->sys_errno,
                                               .text = why->text});
}

/* ---- remarks ------------------------------------------------------------------------------- */

static void remark_on(ssl_server *server, ssl_context *context, const char *name)
{
    char text[SALLY_REMARK_SIZE];
    if (sally_context_is_odd(context, text)) {
        sally_server_log(server, &(ssl_log_record){.level = SALLY_LOG_WARNING,
                                                   .event = SALLY_LOG_REMARK,
                                                   .name = name,
                                                   .text = text});
    }
    sally_ossl_end();
}

static void remark_on_names(ssl_server *server, ssl_registry *registry)
{
    char name[SALLY_REGISTRY_NAME_MAX + 1] = "";
    ssl_context *context;
    while (registry != NULL && (context = sally_registry_next(registry, name)) != NULL) {
        remark_on(server, context, name);
        ssl_context_release(context);
    }
}

void sally_server_remark(ssl_server *server)
{
    if (!sally_log_wants(&server->log, SALLY_LOG_WARNING)) {
        return;
    }
    for (int i = 0; i < server->listener_count; i++) {
        const sally_front *front = sally_listener_front(server->listeners[i]);
        remark_on(server, front->context, "");
        remark_on_names(server, front->registry);
    }
}

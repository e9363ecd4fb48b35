/* L7 service: a server's log, as an object's: set before the start, constant from then on, so that no
 * thread needs a lock to read it.
 */
#include "server_log.h"

#include "error.h"
#include "ossl.h"

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
    if (sally_server_stage(server) != SALLY_STAGE_NEW) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "%s: the server has been started; set it before ssl_server_start", call);
    }
    server->log = *log;
    return SALLY_OK;
}

/* The logger may leave anything in OpenSSL's queue (E1). */
void sally_server_log(const ssl_server *server, const ssl_log_record *record)
{
    if (sally_log_wants(&server->log, record->level)) {
        ssl_log_record of_server = *record;
        of_server.server = server;
        sally_log_emit(&server->log, &of_server);
        sally_ossl_end();
    }
}

void sally_server_log_error(const ssl_server *server, ssl_log_level level, ssl_log_event event,
                            const ssl_error *why)
{
    sally_server_log(server, &(ssl_log_record){.level = level,
                                               .event = event,
                                               .status = why->status,
                                               .code = why->code,
                                               .sys_errno = why->sys_errno,
                                               .text = why->text});
}

/* L7 service: what a server may be told: each number within its bounds, and none against another (W4).
 */
#include "error.h"
#include "server.h"

typedef struct bounded {
    const char *name;
    int64_t value;
    int64_t most;
    bool may_be_unlimited;
} bounded;

static ssl_status check_number(const bounded *number, ssl_error *err)
{
    bool fits = number->value >= 1 && number->value <= number->most;
    if (fits || (number->may_be_unlimited && number->value == SALLY_UNLIMITED)) {
        return SALLY_OK;
    }
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                      "ssl_server_new: %s is %lld; it must be 1 to %lld%s", number->name,
                      (long long)number->value, (long long)number->most,
                      number->may_be_unlimited ? ", or SALLY_UNLIMITED" : "");
}

static ssl_status check_numbers(const ssl_server_options *o, ssl_error *err)
{
    const bounded numbers[] = {
        {"workers", o->workers, SALLY_SERVER_WORKERS_MAX, false},
        {"worker_idle_ms", o->worker_idle_ms, INT64_MAX, true},
        {"connections_max", o->connections_max, INT64_MAX, true},
        {"handshakes_max", o->handshakes_max, INT64_MAX, true},
        {"address_connections_max", o->address_connections_max, INT64_MAX, true},
        {"queue_max", o->queue_max, INT64_MAX, true},
        {"queue_timeout_ms", o->queue_timeout_ms, INT64_MAX, true},
        {"handshake_timeout_ms", o->handshake_timeout_ms, INT64_MAX, true},
        {"idle_timeout_ms", o->idle_timeout_ms, INT64_MAX, true},
        {"read_timeout_ms", o->read_timeout_ms, INT64_MAX, true},
        {"write_timeout_ms", o->write_timeout_ms, INT64_MAX, true},
        {"close_timeout_ms", o->close_timeout_ms, INT64_MAX, true},
        {"stuck_ms", o->stuck_ms, INT64_MAX, true},
    };
    ssl_status status = SALLY_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == SALLY_OK; i++) {
        status = check_number(&numbers[i], err);
    }
    return status;
}

static ssl_status check_growth(const ssl_server_options *o, ssl_error *err)
{
    bool grows_to = o->workers_max >= o->workers && o->workers_max <= SALLY_SERVER_WORKERS_MAX;
    if (o->workers_max == 0 || grows_to) {
        return SALLY_OK;
    }
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                      "ssl_server_new: workers_max is %d; with workers %d it must be 0, for as "
                      "many, or %d to %d",
                      o->workers_max, o->workers, o->workers, SALLY_SERVER_WORKERS_MAX);
}

/* A part of the connections that is larger than the whole would never be reached. */
static ssl_status check_parts(const ssl_server_options *o, ssl_error *err)
{
    const bounded parts[] = {
        {"handshakes_max", o->handshakes_max, o->connections_max, true},
        {"address_connections_max", o->address_connections_max, o->connections_max, true},
        {"queue_max", o->queue_max, o->connections_max, true},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].most != SALLY_UNLIMITED && parts[i].value > parts[i].most) {
            return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                              "ssl_server_new: %s is %lld, more than connections_max, %lld",
                              parts[i].name, (long long)parts[i].value, (long long)parts[i].most);
        }
    }
    return SALLY_OK;
}

static ssl_status check_when_full(const ssl_server_options *o, ssl_error *err)
{
    if ((unsigned)o->when_full > SALLY_FULL_RESET) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "ssl_server_new: when_full is %d; it must be one of ssl_when_full",
                          (int)o->when_full);
    }
    if (o->oldest_idle_yields && o->connections_max == SALLY_UNLIMITED) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE,
                          "ssl_server_new: oldest_idle_yields is set, but connections_max is "
                          "SALLY_UNLIMITED, so nobody ever has to");
    }
    return SALLY_OK;
}

ssl_status sally_server_check_options(const ssl_server_options *o, ssl_error *err)
{
    if (o->handler == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_SERVE, "ssl_server_new: handler is NULL");
    }
    ssl_status status = check_numbers(o, err);
    if (status == SALLY_OK) {
        status = check_growth(o, err);
    }
    if (status == SALLY_OK) {
        status = check_parts(o, err);
    }
    return status == SALLY_OK ? check_when_full(o, err) : status;
}

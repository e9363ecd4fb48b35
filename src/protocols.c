/* L3 crypto: the names of protocols, and which of them this OpenSSL can really speak.
 *
 * A protocol is tried and not derived from version numbers: a context is made as ssl_make_..._context
 * would make it, and the ciphers that it could offer are counted. So a build without TLS 1.0, a
 * configuration that leaves no cipher, and a FIPS provider each have their say.
 *
 * No locks and no state: providers may be loaded between two calls.
 */
#include <string.h>

#include "context_record.h"
#include "error.h"
#include "ossl.h"
#include "sallyport/library.h"

/* ---- names --------------------------------------------------------------------------------- */

/* Worst first, as Racket lists them; a name that stands for another protocol comes last. */
static const struct {
    ssl_protocol protocol;
    const char *name;
} names[] = {
    {SALLY_PROTOCOL_SECURE, "secure"},
    {SALLY_PROTOCOL_AUTO, "auto"},
    {SALLY_PROTOCOL_SSLV2, "sslv2"},
    {SALLY_PROTOCOL_SSLV3, "sslv3"},
    {SALLY_PROTOCOL_TLS10_INSECURE, "tls"},
    {SALLY_PROTOCOL_TLS11_INSECURE, "tls11"},
    {SALLY_PROTOCOL_TLS12, "tls12"},
    {SALLY_PROTOCOL_TLS13, "tls13"},
    {SALLY_PROTOCOL_SSLV2_OR_V3, "sslv2-or-v3"},
};
#define NAMES      (sizeof names / sizeof names[0])
#define REAL_NAMES (NAMES - 1)

const char *ssl_protocol_name(ssl_protocol protocol)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (names[i].protocol == protocol) {
            return names[i].name;
        }
    }
    return "unknown protocol";
}

ssl_status ssl_protocol_from_name(const char *name, ssl_protocol *protocol, ssl_error *err)
{
    static const char call[] = "ssl_protocol_from_name";
    if (protocol != NULL) {
        *protocol = SALLY_PROTOCOL_SECURE;
    }
    if (name == NULL || protocol == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: %s is NULL", call,
                          name == NULL ? "name" : "protocol");
    }
    for (size_t i = 0; i < NAMES; i++) {
        if (strcmp(names[i].name, name) == 0) {
            *protocol = names[i].protocol;
            return SALLY_OK;
        }
    }
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                      "%s: no protocol is called \"%.60s\"; there are secure, auto, tls13, tls12, "
                      "tls11, tls, sslv2-or-v3, sslv2 and sslv3",
                      call, name);
}

/* ---- what can be spoken -------------------------------------------------------------------- */

/* One question to this OpenSSL. */
typedef struct inquiry {
    const char *call;
    bool client;
} inquiry;

/* *can says whether; MEMORY when there was too little to find out. */
static ssl_status try_out(const inquiry *ask, ssl_protocol protocol, bool *can, ssl_error *err)
{
    ssl_context *context = sally_context_new(ask->client, protocol);
    if (context == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, ask->call);
    }
    *can = sally_context_can_offer(context);
    bool ran_out = sally_ossl_ran_out();
    ssl_context_release(context);
    return ran_out ? sally_fail_memory(err, SALLY_PHASE_CONFIG, ask->call) : SALLY_OK;
}

static ssl_status list_protocols(const inquiry *ask, ssl_protocol *protocols, size_t room,
                                 size_t *count, ssl_error *err)
{
    for (size_t i = 0; i < REAL_NAMES; i++) {
        bool can = false;
        ssl_status status = try_out(ask, names[i].protocol, &can, err);
        if (status == SALLY_OK && can && *count == room) {
            status = sally_fail(err, SALLY_LIMIT, SALLY_PHASE_CONFIG,
                                "%s: there are more than %zu; SALLY_PROTOCOLS_MAX is enough",
                                ask->call, room);
        }
        if (status != SALLY_OK) {
            return status;
        }
        if (can) {
            protocols[(*count)++] = names[i].protocol;
        }
    }
    return SALLY_OK;
}

static ssl_status give_list(const inquiry *ask, ssl_protocol *protocols, size_t room, size_t *count,
                            ssl_error *err)
{
    sally_ossl_begin();
    if (count != NULL) {
        *count = 0;
    }
    if (count == NULL || (protocols == NULL && room != 0)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: %s is NULL", ask->call,
                          count == NULL ? "count" : "protocols");
    }
    ssl_status status = list_protocols(ask, protocols, room, count, err);
    return sally_ossl_ended(status);
}

static ssl_status give_best(const inquiry *ask, ssl_protocol *protocol, ssl_error *err)
{
    ssl_protocol all[SALLY_PROTOCOLS_MAX];
    size_t count;
    sally_ossl_begin();
    if (protocol == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: protocol is NULL", ask->call);
    }
    *protocol = SALLY_PROTOCOL_SECURE;
    ssl_status status = give_list(ask, all, SALLY_PROTOCOLS_MAX, &count, err);
    if (status == SALLY_OK && count == 0) {
        status = sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
                            "%s: this OpenSSL can speak no protocol; ssl_load_fail_reason may say "
                            "why",
                            ask->call);
    }
    if (status == SALLY_OK) {
        *protocol = all[count - 1];
    }
    return status;
}

ssl_status ssl_supported_client_protocols(ssl_protocol *protocols, size_t room, size_t *count,
                                          ssl_error *err)
{
    inquiry ask = {"ssl_supported_client_protocols", true};
    return give_list(&ask, protocols, room, count, err);
}

ssl_status ssl_supported_server_protocols(ssl_protocol *protocols, size_t room, size_t *count,
                                          ssl_error *err)
{
    inquiry ask = {"ssl_supported_server_protocols", false};
    return give_list(&ask, protocols, room, count, err);
}

ssl_status ssl_max_client_protocol(ssl_protocol *protocol, ssl_error *err)
{
    inquiry ask = {"ssl_max_client_protocol", true};
    return give_best(&ask, protocol, err);
}

ssl_status ssl_max_server_protocol(ssl_protocol *protocol, ssl_error *err)
{
    inquiry ask = {"ssl_max_server_protocol", false};
    return give_best(&ask, protocol, err);
}

/* L3 crypto: choosing a context by the name that a client sent (names.h; C4).
 *
 * The callback of the first context comes first, then the registry. What is chosen is turned into a policy
 * here, because that may build an SSL_CTX under the context's lock, which comes before a connection's.
 *
 * No locks: everything is asked without one.
 */
#include "names.h"

#include "error.h"
#include "ossl.h"
#include "registry.h"

/* The statuses by which a callback may refuse; the rest means something else to those who accept. */
static bool is_refusal(ssl_status status)
{
    return status == SALLY_CONFIG || status == SALLY_SYSTEM || status == SALLY_MEMORY ||
           status == SALLY_LIMIT || status == SALLY_UNSUPPORTED || status == SALLY_USAGE;
}

static ssl_status fail_callback(ssl_status status, const char *name, ssl_error *err)
{
    if (is_refusal(status)) {
        return sally_fail(err, status, SALLY_PHASE_HANDSHAKE,
                          "the server name callback refused \"%s\" with %s", name,
                          ssl_status_name(status));
    }
    return sally_fail(
        err, SALLY_USAGE, SALLY_PHASE_HANDSHAKE,
        "the server name callback gave %s for \"%s\"; it may refuse with SALLY_CONFIG",
        ssl_status_name(status), name);
}

/* Borrowed, in *chosen; NULL: no opinion. The callback may leave anything in OpenSSL's queue (E1). */
static ssl_status ask_callback(const sally_names *names, const char *name, ssl_context **chosen,
                               ssl_error *err)
{
    ssl_status status = names->callback(name, names->user, chosen);
    sally_ossl_end();
    return status == SALLY_OK ? SALLY_OK : fail_callback(status, name, err);
}

static ssl_status ask_registry(const sally_names *names, const char *name, const char *call,
                               sally_policy *policy, ssl_error *err)
{
    ssl_context *found = sally_registry_resolve(names->registry, name);
    if (found == NULL) {
        return SALLY_OK;
    }
    ssl_status status = sally_context_policy(found, false, call, policy, err);
    ssl_context_release(found);
    return status;
}

static ssl_status ask(const sally_names *names, const char *name, const char *call,
                      sally_policy *policy, ssl_error *err)
{
    ssl_context *chosen = NULL;
    if (names->callback != NULL) {
        ssl_status status = ask_callback(names, name, &chosen, err);
        if (status != SALLY_OK) {
            return status;
        }
    }
    if (chosen != NULL) {
        return sally_context_policy(chosen, false, call, policy, err);
    }
    return names->registry != NULL ? ask_registry(names, name, call, policy, err) : SALLY_OK;
}

static ssl_status fail_unknown(const char *name, ssl_error *err)
{
    if (name[0] == '\0') {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_HANDSHAKE,
                          "the client sent no server name, and there is no context for that case");
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_HANDSHAKE,
                      "there is no context for the server name \"%s\"", name);
}

ssl_status sally_names_resolve(const sally_names *names, const char *name, const char *call,
                               sally_policy *policy, ssl_error *err)
{
    *policy = (sally_policy){.ctx = NULL};
    ssl_status status = name[0] != '\0' ? ask(names, name, call, policy, err) : SALLY_OK;
    if (status != SALLY_OK || policy->ctx != NULL || !names->required) {
        return status;
    }
    return fail_unknown(name, err);
}

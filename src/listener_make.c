/* L6 ends: what all listeners begin with: options and context checked, and a struct that has no sockets
 * yet. Until its call returns, nobody else knows the struct, so no lock is held here.
 */
#include "context.h"
#include "error.h"
#include "listener.h"
#include "mem.h"

static ssl_status fail_usage(const sally_listener_setup *setup, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s", setup->call, why);
}

static ssl_status check_options(const sally_listener_setup *setup, ssl_error *err)
{
    const ssl_listen_options *options = setup->options;
    if (options->host != NULL && options->host[0] == '\0') {
        return fail_usage(setup, "options.host is empty; NULL stands for all addresses", err);
    }
    if (options->backlog < 0) {
        return fail_usage(setup, "options.backlog is negative; 0 stands for the largest", err);
    }
    if (options->handshake_timeout_ms == 0) {
        return fail_usage(setup,
                          "options.handshake_timeout_ms is 0: no handshake could be done; "
                          "negative stands for no limit",
                          err);
    }
    if (options->pending_max == 0) {
        return fail_usage(setup, "options.pending_max is 0: no client could be taken", err);
    }
    return SALLY_OK;
}

/* That it is for servers, and can serve, is found out before a socket is opened. */
static ssl_status check_context(const sally_listener_setup *setup, ssl_error *err)
{
    if (setup->context == NULL && setup->options->registry != NULL) {
        return SALLY_OK;
    }
    if (setup->context == NULL) {
        return fail_usage(setup,
                          "the context is NULL; a server needs one with an identity, or "
                          "options.registry",
                          err);
    }
    sally_policy policy;
    ssl_status status = sally_context_policy(setup->context, false, setup->call, &policy, err);
    if (status == SALLY_OK) {
        sally_policy_fini(&policy);
    }
    return status;
}

ssl_status sally_listener_check(const sally_listener_setup *setup, ssl_error *err)
{
    ssl_status status = check_options(setup, err);
    return status == SALLY_OK ? check_context(setup, err) : status;
}

static sally_front new_front(const sally_listener_setup *setup)
{
    return (sally_front){.context = setup->context != NULL ? ssl_context_retain(setup->context)
                                                           : sally_context_doorkeeper(),
                         .registry = ssl_registry_retain(setup->options->registry)};
}

static ssl_listener *new_listener(const sally_listener_setup *setup)
{
    sally_front front = new_front(setup);
    ssl_listener *l = front.context != NULL ? sally_alloc(sizeof *l) : NULL;
    if (l == NULL) {
        ssl_context_release(front.context);
        ssl_registry_release(front.registry);
        return NULL;
    }
    sally_mutex_init(&l->lock, SALLY_RANK_LISTENER);
    sally_list_init(&l->watches);
    l->front = front;
    l->handshake_timeout_ms = setup->options->handshake_timeout_ms;
    l->pending_max = setup->options->pending_max;
    return l;
}

/* The rest of what it holds; what is there already is the struct's. */
static ssl_status equip(ssl_listener *l, const sally_listener_setup *setup, ssl_error *err)
{
    int error = sally_handshakes_init(&l->handshakes);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s: cannot make an event set",
                                setup->call);
    }
    const ssl_listen_options *o = setup->options;
    sally_trust_setup proxies = {
        .mode = o->proxy, .trusted = o->proxy_trusted, .tlvs = o->proxy_tlvs};
    return sally_trust_new(&proxies, setup->call, &l->front.trust, err);
}

ssl_status sally_listener_make(const sally_listener_setup *setup, ssl_listener **listener,
                               ssl_error *err)
{
    *listener = NULL;
    ssl_listener *l = new_listener(setup);
    if (l == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_LISTEN, setup->call);
    }
    ssl_status status = equip(l, setup, err);
    if (status != SALLY_OK) {
        sally_listener_discard(l);
        return status;
    }
    *listener = l;
    return SALLY_OK;
}

void sally_listener_discard(ssl_listener *l)
{
    sally_handshakes_fini(&l->handshakes);
    l->closed = true; /* nothing is open: freeing it closes nothing */
    ssl_free_listener(l);
}

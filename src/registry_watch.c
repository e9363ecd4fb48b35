/* L3 crypto: a thread that reloads a registry's contexts when their files change (C5).
 *
 * It looks at the files at intervals: that sees a file that is renamed over another and a link that is
 * turned, on any file system, which a notification for each of them would not. Where a look differs
 * from the one before the last build, it builds again; what failed is built again at each look, because
 * chain and key may be replaced one after the other.
 *
 * The thread owns one reference to the watch and none to the registry, so that the registry can go: for
 * each look it takes one, if there is still one to be had. If that turns out to be the last, the
 * registry is freed here. Whoever ends a watch breaks its token; ssl_registry_unwatch then waits for the
 * thread to leave, unless it is called by it.
 *
 * Locks: the watch's guards the fields named below. Reports and makers run with none held.
 */
#include "error.h"
#include "mem.h"
#include "ossl.h"
#include "registry_object.h"
#include "wait.h"

struct sally_watch {
    sally_atomic_u64 refs; /* the registry's and the thread's */
    /* constant */
    ssl_watch_options options;
    ssl_break *stop; /* retained */
    unsigned process;
    sally_mutex lock;
    sally_cond left;
    /* lock */
    ssl_registry *registry; /* borrowed; NULL: the watch is over */
    bool has_left;
};

/* The watch whose thread this is. */
static _Thread_local const sally_watch *own_watch;

/* ---- life ---------------------------------------------------------------------------------- */

static void release_watch(sally_watch *watch)
{
    if (sally_drop_ref(&watch->refs)) {
        ssl_break_release(watch->stop);
        sally_cond_fini(&watch->left);
        sally_mutex_fini(&watch->lock);
        sally_free(watch);
    }
}

static ssl_status make_watch(ssl_registry *registry, const ssl_watch_options *options,
                             const char *call, sally_watch **watch, ssl_error *err)
{
    ssl_break *stop;
    ssl_status status = ssl_break_new(NULL, &stop, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_watch *made = sally_alloc(sizeof *made);
    if (made == NULL) {
        ssl_break_release(stop);
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    sally_store_rel(&made->refs, 1);
    sally_mutex_init(&made->lock, SALLY_RANK_WATCH);
    sally_cond_init(&made->left);
    made->options = *options;
    made->stop = stop;
    made->process = sally_process_generation();
    made->registry = registry;
    *watch = made;
    return SALLY_OK;
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* A reference, if there is one to be had: one that has come to zero is on its way out. */
static ssl_registry *take_registry(sally_watch *watch)
{
    sally_mutex_lock(&watch->lock);
    ssl_registry *registry = watch->registry;
    uint64_t refs = registry != NULL ? sally_load_seq(&registry->refs) : 0;
    while (refs != 0 && !sally_cas_seq(&registry->refs, &refs, refs + 1)) {}
    sally_mutex_unlock(&watch->lock);
    return refs != 0 ? registry : NULL;
}

static bool is_over(sally_watch *watch)
{
    sally_mutex_lock(&watch->lock);
    bool over = watch->registry == NULL;
    sally_mutex_unlock(&watch->lock);
    return over;
}

/* *changed: since the last build began. True also where that build failed. */
static bool wants_build(ssl_registry *registry, const sally_origin *origin, bool *changed)
{
    uint64_t look = sally_origin_look(origin);
    sally_mutex_lock(&registry->lock);
    *changed = look != origin->seen;
    bool wants = *changed || origin->failed;
    sally_mutex_unlock(&registry->lock);
    return wants;
}

/* The same failure with the same files is no news. */
static void look_at_one(sally_watch *watch, ssl_registry *registry, const char *name,
                        sally_origin *origin)
{
    bool changed;
    ssl_error err = {.status = SALLY_OK};
    if (!wants_build(registry, origin, &changed)) {
        return;
    }
    sally_ossl_begin();
    ssl_status status = sally_registry_renew(registry, name, origin, &err);
    sally_ossl_end();
    if (watch->options.report != NULL && (changed || status == SALLY_OK) && !is_over(watch)) {
        watch->options.report(name, status, &err, watch->options.user);
    }
}

static void look_at_all(sally_watch *watch)
{
    char name[SALLY_REGISTRY_NAME_MAX + 1] = "";
    sally_origin *origin;
    ssl_registry *registry = take_registry(watch);
    while (registry != NULL && !is_over(watch) &&
           sally_registry_next_origin(registry, name, &origin)) {
        look_at_one(watch, registry, name, origin);
        sally_origin_release(origin);
    }
    ssl_registry_release(registry);
}

/* False when the watch is over. */
static bool sleep_until_next_look(const sally_watch *watch)
{
    struct pollfd fds[SALLY_WAIT_SPARE];
    sally_scope scope;
    sally_wait wait = {.fds = fds, .count = 0, .scope = &scope, .phase = SALLY_PHASE_WAIT};
    ssl_status status = sally_scope_enable(&scope, watch->stop, SALLY_PHASE_WAIT, NULL);
    if (status == SALLY_OK) {
        sally_scope_bound(&scope, sally_deadline_after_ms(watch->options.interval_ms));
        (void)sally_wait_run(&wait, &status, NULL);
    }
    return status == SALLY_TIMEOUT;
}

static void *run(void *arg)
{
    sally_watch *watch = arg;
    own_watch = watch;
    while (sleep_until_next_look(watch)) {
        look_at_all(watch);
    }
    sally_mutex_lock(&watch->lock);
    watch->has_left = true;
    sally_cond_broadcast(&watch->left);
    sally_mutex_unlock(&watch->lock);
    release_watch(watch);
    return NULL;
}

/* ---- beginning and ending ------------------------------------------------------------------ */

static void end_watch(sally_watch *watch, bool wait)
{
    bool may_wait = wait && own_watch != watch && watch->process == sally_process_generation();
    (void)ssl_break_send(watch->stop, 0);
    sally_mutex_lock(&watch->lock);
    watch->registry = NULL;
    while (may_wait && !watch->has_left) {
        sally_cond_wait(&watch->left, &watch->lock);
    }
    sally_mutex_unlock(&watch->lock);
    release_watch(watch);
}

void sally_watch_abandon(sally_watch *watch)
{
    if (watch != NULL) {
        end_watch(watch, false);
    }
}

static sally_watch *swap_watch(ssl_registry *registry, sally_watch *expected, sally_watch *watch)
{
    sally_mutex_lock(&registry->lock);
    sally_watch *old = registry->watch;
    if (old == expected || watch == NULL) {
        registry->watch = watch;
    }
    sally_mutex_unlock(&registry->lock);
    return old;
}

static ssl_status start(ssl_registry *registry, const ssl_watch_options *options, const char *call,
                        ssl_error *err)
{
    sally_watch *watch = NULL;
    ssl_status status = make_watch(registry, options, call, &watch, err);
    if (status != SALLY_OK) {
        return status;
    }
    if (swap_watch(registry, NULL, watch) != NULL) {
        release_watch(watch);
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: the registry is watched already; call ssl_registry_unwatch first",
                          call);
    }
    (void)sally_add_relaxed(&watch->refs, 1);
    int error = sally_thread_start_detached(0, run, watch);
    if (error == 0) {
        return SALLY_OK;
    }
    swap_watch(registry, watch, NULL);
    release_watch(watch);
    release_watch(watch);
    return sally_fail_errno(err, error, SALLY_PHASE_CONFIG, "%s: cannot start a thread", call);
}

ssl_status ssl_registry_watch(ssl_registry *registry, const ssl_watch_options *options,
                              ssl_error *err)
{
    static const char call[] = "ssl_registry_watch";
    static const ssl_watch_options usual = SALLY_WATCH_OPTIONS;
    sally_ossl_begin();
    options = options != NULL ? options : &usual;
    if (registry == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG, "%s: the registry is NULL", call);
    }
    if (options->interval_ms < SALLY_WATCH_INTERVAL_MIN_MS) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: options.interval_ms is %lld, and at least %d", call,
                          (long long)options->interval_ms, SALLY_WATCH_INTERVAL_MIN_MS);
    }
    return start(registry, options, call, err);
}

ssl_status ssl_registry_unwatch(ssl_registry *registry, ssl_error *err)
{
    sally_ossl_begin();
    if (registry == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "ssl_registry_unwatch: the registry is NULL");
    }
    sally_watch *watch = swap_watch(registry, NULL, NULL);
    if (watch != NULL) {
        end_watch(watch, true);
    }
    return SALLY_OK;
}

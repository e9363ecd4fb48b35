/* See succession.h. */
#include "succession.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { READY_MS = 10000 /* for a new process */ };

static const char *const metrics_name = METRICS_NAME;

/* What both ways of handing over need. `names` has room for the listeners'. */
static ssl_handed_sockets name_all(const succession *s, const char *names[LISTENERS_MAX])
{
    for (size_t i = 0; i < s->count; i++) {
        names[i] = "service";
    }
    return (ssl_handed_sockets){.listeners = s->listeners,
                                .names = names,
                                .count = s->count,
                                .fds = &s->metrics_fd,
                                .fd_names = &metrics_name,
                                .fd_count = s->metrics_fd >= 0 ? 1 : 0};
}

static void tell(const succession *s, const char *what, const ssl_error *why)
{
    fprintf(stderr, "%s: %s: %s\n", s->program, what, why->text);
}

/* ---- before us ----------------------------------------------------------------------------- */

ssl_status succession_begin(const succession *s, ssl_break *stop, ssl_inherited *sockets,
                            size_t *count, ssl_error *err)
{
    ssl_status status = ssl_inherited_fds(true, sockets, SOCKETS_MAX, count, err);
    if (status == SALLY_OK && *count == 0 && s->where != NULL) {
        status = ssl_fetch_listeners_enable_break(s->where, stop, sockets, SOCKETS_MAX, count, err);
    }
    *count = *count < SOCKETS_MAX ? *count : SOCKETS_MAX;
    return status;
}

/* ---- after us ------------------------------------------------------------------------------ */

static void tell_of_failure(const ssl_error *why, void *user)
{
    tell(user, "a process did not take over", why);
}

static void *offer(void *arg)
{
    succession *s = arg;
    const char *names[LISTENERS_MAX];
    ssl_offer_options options = SALLY_OFFER_OPTIONS;
    options.where = s->where;
    options.sockets = name_all(s, names);
    options.failed = tell_of_failure;
    options.user = s;
    ssl_error err;
    ssl_status status = ssl_offer_listeners_enable_break(&options, s->stop, &s->heir, &err);
    if (status == SALLY_OK) {
        (void)ssl_break_send(s->taken, 0);
    } else if (status != SALLY_BREAK) {
        tell(s, "nobody can take over", &err);
    }
    return NULL;
}

static void start_offer(succession *s)
{
    ssl_error err;
    s->heir = -1;
    if (s->where == NULL) {
        return;
    }
    if (ssl_break_new(NULL, &s->stop, &err) != SALLY_OK) {
        tell(s, "nobody can take over", &err);
        return;
    }
    s->offering = pthread_create(&s->thread, NULL, offer, s) == 0;
    if (!s->offering) {
        fprintf(stderr, "%s: nobody can take over: there is no thread\n", s->program);
        ssl_break_release(s->stop);
    }
}

void succession_serve(succession *s)
{
    ssl_error err;
    ssl_status status = ssl_take_over(&err);
    if (status != SALLY_OK && status != SALLY_UNSUPPORTED) {
        tell(s, "the process before this one may serve too", &err);
    }
    (void)ssl_notify("READY=1", NULL);
    start_offer(s);
}

bool succession_withdraw(succession *s)
{
    if (s->offering) {
        (void)ssl_break_send(s->stop, 0);
        pthread_join(s->thread, NULL);
        ssl_break_release(s->stop);
        s->offering = false;
    }
    return s->heir >= 0;
}

static void end_process(pid_t pid)
{
    if (pid > 0) {
        (void)kill(pid, SIGTERM);
        (void)waitpid(pid, NULL, 0);
    }
}

bool succession_start_heir(succession *s, ssl_break *stop)
{
    ssl_hand_over_options options = SALLY_HAND_OVER_OPTIONS;
    if (s->words == NULL) {
        return false;
    }
    if (succession_withdraw(s)) {
        return true; /* somebody else was faster */
    }
    const char *names[LISTENERS_MAX];
    options.path = strchr(s->words[0], '/') != NULL ? s->words[0] : "/proc/self/exe";
    options.arguments = s->words;
    options.sockets = name_all(s, names);
    options.timeout_ms = READY_MS;
    ssl_error err;
    if (ssl_hand_over_enable_break(&options, stop, &s->heir, &err) == SALLY_OK) {
        return true;
    }
    tell(s, "nothing was handed over", &err);
    end_process(s->heir);
    start_offer(s);
    return false;
}

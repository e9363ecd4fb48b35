/* L2 net: starting a program that gets listening sockets of ours (W8).
 *
 * Between fork and exec the child may call async-signal-safe functions only, for another thread may have
 * held any lock at the fork. So everything is made before: the environment, in which the child writes
 * its own process id into room that was left for it, and descriptors out of the way of those that the
 * program is to get. The child makes them 3, 4, ... (dup2 takes close-on-exec off) and behind them the
 * pipe by which it says that it serves. If exec fails, that is said by the same pipe.
 *
 * Signals that come to the child before exec run this process's handlers; those of ssl_break_on_signal do
 * nothing in a child (B10).
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "inherit.h"
#include "mem.h"
#include "sock.h"

#define VARIABLE_SIZE 48 /* the longest of ours with a number */
#define PID_DIGITS    20
#define EXEC_FAILED   127

typedef enum variable {
    LISTEN_PID,
    LISTEN_FDS,
    READY_FD,
    WATCHDOG_PID, /* where the environment has one */
    NUMBERS
} variable;

static const char *const variable_names[NUMBERS] = {SALLY_LISTEN_PID "=", SALLY_LISTEN_FDS "=",
                                                    SALLY_READY_FD "=", "WATCHDOG_PID="};

typedef struct launch {
    const sally_spawn *what;
    char numbers[NUMBERS][VARIABLE_SIZE];
    char *names;        /* "LISTEN_FDNAMES=..." or NULL */
    char **environment; /* of the program */
    int *fds;           /* out of the way; the last one is the pipe */
    int moved;          /* how many are open */
} launch;

/* ---- the environment ----------------------------------------------------------------------- */

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Which of ours it is; NUMBERS: none. */
static variable which(const char *entry)
{
    variable v = LISTEN_PID;
    while (v < NUMBERS && !begins(entry, variable_names[v])) {
        v++;
    }
    return v;
}

static size_t count_environment(void)
{
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL) {
        count++;
    }
    return count;
}

/* What of the environment is not ours; says whether it has a WATCHDOG_PID. */
static size_t copy_environment(launch *l, bool *watched)
{
    size_t kept = 0;
    for (size_t i = 0; i < count_environment(); i++) {
        variable v = which(environ[i]);
        *watched = *watched || v == WATCHDOG_PID;
        if (v == NUMBERS && !begins(environ[i], SALLY_LISTEN_FDNAMES "=")) {
            l->environment[kept++] = environ[i];
        }
    }
    return kept;
}

static void write_variable(launch *l, variable v, long number)
{
    (void)snprintf(l->numbers[v], sizeof l->numbers[v], "%s%ld", variable_names[v], number);
}

static bool make_names(launch *l)
{
    if (l->what->names == NULL) {
        return true;
    }
    size_t size = sizeof SALLY_LISTEN_FDNAMES "=" + strlen(l->what->names);
    l->names = sally_alloc(size);
    if (l->names != NULL) {
        (void)snprintf(l->names, size, SALLY_LISTEN_FDNAMES "=%s", l->what->names);
    }
    return l->names != NULL;
}

static bool make_environment(launch *l)
{
    bool watched = false;
    l->environment = sally_alloc_array(count_environment() + NUMBERS + 2, sizeof(char *));
    if (l->environment == NULL || !make_names(l)) {
        return false;
    }
    size_t count = copy_environment(l, &watched);
    write_variable(l, LISTEN_FDS, l->what->count);
    write_variable(l, READY_FD, SALLY_INHERITED_FIRST + l->what->count);
    for (variable v = LISTEN_PID; v < NUMBERS; v++) {
        if (v != WATCHDOG_PID || watched) {
            l->environment[count++] = l->numbers[v];
        }
    }
    l->environment[count] = l->names;
    return true;
}

/* ---- descriptors --------------------------------------------------------------------------- */

static int move_one(launch *l, int fd)
{
    int moved = sally_fd_duplicate_above(fd, SALLY_INHERITED_FIRST + l->what->count);
    if (moved < 0) {
        return errno;
    }
    l->fds[l->moved++] = moved;
    return 0;
}

static int move_fds(launch *l, int say)
{
    l->fds = sally_alloc_array((size_t)l->what->count + 1, sizeof *l->fds);
    if (l->fds == NULL) {
        return ENOMEM;
    }
    int error = 0;
    for (int i = 0; i < l->what->count && error == 0; i++) {
        error = move_one(l, l->what->fds[i]);
    }
    return error != 0 ? error : move_one(l, say);
}

static void end_launch(launch *l)
{
    for (int i = 0; i < l->moved; i++) {
        sally_sock_close(l->fds[i]);
    }
    sally_free(l->fds);
    sally_free(l->names);
    sally_free(l->environment);
}

/* ---- the child: async-signal-safe from here on ---------------------------------------------- */

static void write_pid(char *text, const char *name)
{
    char digits[PID_DIGITS];
    int count = 0;
    for (pid_t rest = getpid(); rest != 0; rest /= 10) {
        digits[count++] = (char)('0' + rest % 10);
    }
    for (; *name != '\0'; name++) {
        *text++ = *name;
    }
    while (count > 0) {
        *text++ = digits[--count];
    }
    *text = '\0';
}

static void run_child(launch *l)
{
    bool placed = true;
    write_pid(l->numbers[LISTEN_PID], variable_names[LISTEN_PID]);
    write_pid(l->numbers[WATCHDOG_PID], variable_names[WATCHDOG_PID]);
    for (int i = 0; i < l->moved && placed; i++) {
        placed = dup2(l->fds[i], SALLY_INHERITED_FIRST + i) >= 0;
    }
    if (placed) {
        (void)execve(l->what->path, l->what->arguments, l->environment);
    }
    sally_spawned said;
    int error = errno;
    memset(&said, 0, sizeof said); /* what lies between the fields is written too */
    said.what = SALLY_SPAWNED_FAILED;
    said.error = error;
    ssize_t written = write(l->fds[l->moved - 1], &said, sizeof said);
    _exit(written == (ssize_t)sizeof said ? EXEC_FAILED : EXEC_FAILED - 1);
}

/* ---- the parent ---------------------------------------------------------------------------- */

static int fork_child(launch *l, pid_t *pid)
{
    *pid = fork();
    if (*pid == 0) {
        run_child(l);
    }
    return *pid < 0 ? errno : 0;
}

static int open_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : errno;
}

int sally_spawn_start(const sally_spawn *what, pid_t *pid, int *ready)
{
    launch l = {.what = what};
    int ends[2] = {-1, -1};
    int error = make_environment(&l) ? open_pipe(ends) : ENOMEM;
    if (error == 0) {
        error = move_fds(&l, ends[1]);
        error = error == 0 ? fork_child(&l, pid) : error;
        sally_sock_close(ends[1]);
    }
    if (error != 0 && ends[0] >= 0) {
        sally_sock_close(ends[0]);
    }
    end_launch(&l);
    *ready = error == 0 ? ends[0] : -1;
    return error;
}

int sally_spawn_has_ended(pid_t pid, int *status)
{
    pid_t ended = waitpid(pid, status, WNOHANG);
    if (ended < 0) {
        *status = 0; /* the program lets its children go unnoticed (SIGCHLD ignored) */
    }
    return ended != 0;
}

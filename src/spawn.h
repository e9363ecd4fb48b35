/* L2 net: a program in a process of its own, with listening sockets of ours (W8). The only maker of
 * processes. */
#ifndef SALLY_SPAWN_H
#define SALLY_SPAWN_H

#include <sys/types.h>

/* The variable that tells the new process by which descriptor to say that it serves. */
#define SALLY_READY_FD "SALLYPORT_READY_FD"

typedef struct sally_spawn {
    const char *path;
    char *const *arguments;
    const int *fds; /* they become 3, 4, ... */
    int count;
    const char *names; /* for LISTEN_FDNAMES; NULL: none */
} sally_spawn;

/* What the new process says by its descriptor. */
typedef struct sally_spawned {
    char what; /* SALLY_SPAWNED_... */
    int error; /* with FAILED alone */
} sally_spawned;
#define SALLY_SPAWNED_READY  'R' /* one byte, from ssl_take_over */
#define SALLY_SPAWNED_FAILED 'F' /* the whole struct: the program could not be run */

/* Starts it. *ready: the end of a pipe to read a sally_spawned from; its end comes with the end of the
 * process. 0 or an errno: then there is no process and no pipe. */
int sally_spawn_start(const sally_spawn *what, pid_t *pid, int *ready);
/* Whether it has ended; takes notice of that, so that nothing is left of it. *status as of waitpid(2). */
int sally_spawn_has_ended(pid_t pid, int *status);

#endif

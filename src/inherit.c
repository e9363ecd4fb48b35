/* L2 net: descriptors that were handed to this process, by the protocol of sd_listen_fds(3) (L1, W8).
 *
 * No state of its own: the environment is, which the caller keeps from other threads meanwhile.
 */
#include "inherit.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"

static const char call[] = "ssl_inherited_fds";

static ssl_status fail_variable(const char *name, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_LISTEN, "%s: %s is \"%.64s\": %s", call, name,
                      getenv(name), why); /* NOLINT(concurrency-mt-unsafe): the header says so */
}

/* *number is 0 where the variable is not set. */
static ssl_status read_number(const char *name, long most, long *number, ssl_error *err)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe) */
    *number = 0;
    if (text == NULL) {
        return SALLY_OK;
    }
    char *end = NULL;
    errno = 0;
    *number = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *number < 1 ||
        *number > most) {
        return fail_variable(name, "it must be a number from 1 on", err);
    }
    return SALLY_OK;
}

/* How many descriptors are for this process. */
static ssl_status read_count(long *count, ssl_error *err)
{
    long pid;
    ssl_status status = read_number(SALLY_LISTEN_PID, LONG_MAX, &pid, err);
    if (status == SALLY_OK) {
        status = read_number(SALLY_LISTEN_FDS, SALLY_INHERITED_MAX, count, err);
    }
    if (status != SALLY_OK || pid != (long)getpid()) {
        *count = 0;
    }
    return status;
}

static ssl_status keep_from_children(long count, ssl_error *err)
{
    for (int fd = SALLY_INHERITED_FIRST; fd < SALLY_INHERITED_FIRST + count; fd++) {
        int error = sally_fd_set_cloexec(fd);
        if (error != 0) {
            return sally_fail_errno(err, error, SALLY_PHASE_LISTEN,
                                    "%s: LISTEN_FDS is %ld, but of descriptor %d", call, count, fd);
        }
    }
    return SALLY_OK;
}

/* The next name of the list, or "unknown" where there is no list. */
static void take_name(const char **names, char name[SALLY_INHERITED_NAME_SIZE])
{
    const char *text = *names != NULL ? *names : SALLY_INHERITED_UNNAMED;
    size_t length = strcspn(text, ":");
    size_t room = SALLY_INHERITED_NAME_SIZE - 1;
    size_t kept = length < room ? length : room;
    memcpy(name, text, kept);
    name[kept] = '\0';
    if (*names != NULL) {
        *names += length + (text[length] == ':');
    }
}

void sally_inherited_fill(ssl_inherited *entry, int fd, const char **names)
{
    memset(entry, 0, sizeof *entry);
    entry->fd = fd;
    take_name(names, entry->name);
}

long sally_inherited_count_names(const char *names)
{
    long found = 1;
    for (; *names != '\0'; names++) {
        found += *names == ':';
    }
    return found;
}

static ssl_status check_names(const char *names, long count, ssl_error *err)
{
    return names == NULL || sally_inherited_count_names(names) == count
               ? SALLY_OK
               : fail_variable(SALLY_LISTEN_FDNAMES, "there must be a name for each descriptor",
                               err);
}

static ssl_status find(ssl_inherited *list, size_t room, size_t *count, ssl_error *err)
{
    long there;
    ssl_status status = read_count(&there, err);
    if (status != SALLY_OK || there == 0) {
        return status;
    }
    const char *names = getenv(SALLY_LISTEN_FDNAMES); /* NOLINT(concurrency-mt-unsafe) */
    status = check_names(names, there, err);
    if (status == SALLY_OK) {
        status = keep_from_children(there, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    *count = (size_t)there;
    for (size_t i = 0; i < room && i < *count; i++) {
        sally_inherited_fill(&list[i], SALLY_INHERITED_FIRST + (int)i, &names);
    }
    return SALLY_OK;
}

ssl_status ssl_inherited_fds(bool unset, ssl_inherited *list, size_t room, size_t *count,
                             ssl_error *err)
{
    if (count == NULL || (list == NULL && room != 0)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: %s is NULL", call,
                          count == NULL ? "count" : "list");
    }
    *count = 0;
    sally_error_none(err);
    ssl_status status = find(list, room, count, err);
    if (unset) {
        (void)unsetenv(SALLY_LISTEN_PID);     /* NOLINT(concurrency-mt-unsafe) */
        (void)unsetenv(SALLY_LISTEN_FDS);     /* NOLINT(concurrency-mt-unsafe) */
        (void)unsetenv(SALLY_LISTEN_FDNAMES); /* NOLINT(concurrency-mt-unsafe) */
    }
    return status;
}

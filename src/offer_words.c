/* L6 ends: the words between a process that offers and one that fetches (offer.h). No state. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "inherit.h"
#include "offer.h"
#include "sock.h"
#include "wait.h"

ssl_status sally_offer_find(const char *call, const char *where, sally_addr *addr, ssl_error *err)
{
    if (where == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_LISTEN, "%s: where is NULL", call);
    }
    if (!sally_addr_parse_local(where, addr)) {
        return sally_fail(
            err, SALLY_USAGE, SALLY_PHASE_LISTEN,
            "%s: where is \"%.128s\"; it must be the path of a Unix socket from / on, "
            "or an abstract name (\"@name\"), and less than 108 bytes",
            call, where);
    }
    return SALLY_OK;
}

ssl_status sally_offer_check_peer(const char *call, int fd, pid_t *pid, ssl_error *err)
{
    uid_t user;
    int error = sally_sock_peer(fd, pid, &user);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN,
                                "%s: cannot tell who is at the other end", call);
    }
    if (user != 0 && user != geteuid()) {
        return sally_fail_errno(
            err, EPERM, SALLY_PHASE_LISTEN,
            "%s: the process at the other end, %ld, is of user %ld, neither this one's nor root",
            call, (long)*pid, (long)user);
    }
    return SALLY_OK;
}

const char *sally_offer_names(const char *record, size_t length, int fd_count, const char **why)
{
    const size_t magic = sizeof SALLY_OFFER_MAGIC - 1;
    *why = NULL;
    if (length < magic || memcmp(record, SALLY_OFFER_MAGIC, magic) != 0) {
        *why = "it does not begin as one of this version does";
    } else if (memchr(record, '\0', length) != NULL) {
        *why = "there is a NUL in it";
    } else if (fd_count == 0 || sally_inherited_count_names(record + magic) != fd_count) {
        *why = "there must be a name for each descriptor";
    }
    return *why == NULL ? record + magic : NULL;
}

int sally_offer_say(int fd, char word)
{
    size_t sent;
    int error = EAGAIN;
    return sally_sock_send(fd, &word, 1, &sent, &error) == SALLY_IO_DONE ? 0 : error;
}

ssl_status sally_offer_hear(const char *call, int fd, char word, const sally_scope *scope,
                            ssl_error *err)
{
    char heard[2];
    size_t count;
    int error = 0;
    sally_io io;
    do {
        ssl_status status = sally_wait_readable(fd, scope, SALLY_PHASE_LISTEN, err);
        if (status != SALLY_OK) {
            return status;
        }
        io = sally_sock_receive(fd, heard, sizeof heard, &count, &error);
    } while (io == SALLY_IO_WOULD_BLOCK);
    if (io == SALLY_IO_FAILED && error != ECONNRESET) {
        return sally_fail_errno(err, error, SALLY_PHASE_LISTEN, "%s", call);
    }
    if (io != SALLY_IO_DONE) {
        return sally_fail(err, SALLY_TRUNCATED, SALLY_PHASE_LISTEN,
                          "%s: the process at the other end has ended, or given up", call);
    }
    return count == 1 && heard[0] == word
               ? SALLY_OK
               : sally_fail(err, SALLY_PROTOCOL, SALLY_PHASE_LISTEN,
                            "%s: the process at the other end does not talk as it should", call);
}

/*
 * sallyport/inherit.h: listening sockets that somebody else opened: systemd, for a service that it starts
 * when the first client comes (socket activation), or the process that this one takes over from.
 *
 * The protocol is that of sd_listen_fds(3): the descriptors are 3, 4, ..., LISTEN_FDS is their number,
 * LISTEN_FDNAMES has their names, and LISTEN_PID is the process that they are for.
 *
 *     ssl_inherited sockets[8];
 *     size_t count;
 *     if (ssl_inherited_fds(true, sockets, 8, &count, &err) != SALLY_OK) ...
 *     if (count == 0) status = ssl_listen(port, &options, context, &listener, &err);
 *     else            status = ssl_listen_fd(sockets[0].fd, &options, context, &listener, &err);
 */
#ifndef SALLYPORT_INHERIT_H
#define SALLYPORT_INHERIT_H

#include "listener.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Room for the name of a descriptor with its NUL. */
#define SALLY_INHERITED_NAME_SIZE 256

/** A descriptor that was handed to this process. */
typedef struct ssl_inherited {
    int fd;
    char name
        [SALLY_INHERITED_NAME_SIZE]; /**< from LISTEN_FDNAMES (systemd: FileDescriptorName=), cut to
                                               the room; "unknown" where there are no names */
    uint64_t reserved[2];
} ssl_inherited;

/**
 * What was handed to this process: the first `room` of them in `list`, how many there are in *count; 0, and
 * OK, when nothing was, or when it was for another process. Sets FD_CLOEXEC on each of them, whether there
 * is room for it or not.
 * `unset`: takes the variables out of the environment, whatever comes of the call, so that no child
 *   believes that they are meant for it. A second call finds nothing then.
 * Ownership: the descriptors are the caller's, as those of open(2) are.
 * Threads: one, while no other uses the environment: at the beginning of main.
 * Errors: USAGE, CONFIG (a variable makes no sense: the text has it), SYSTEM (a descriptor is not open).
 *   Keeps: L1, W8.
 */
SALLY_API ssl_status ssl_inherited_fds(bool unset, ssl_inherited *list, size_t room, size_t *count,
                                       ssl_error *err);

/**
 * A listener of a socket that listens already: a stream socket of IPv4, IPv6 or the Unix family. Options and
 * `context` are those of ssl_listen, except that options->host must be NULL and options->backlog 0: whoever
 * made the socket has decided them. Makes the socket non-blocking, which those who share it see, and
 * close-on-exec, and TCP sockets TCP_NODELAY. The file of a Unix socket is not removed at the end.
 * Ownership: takes `fd` on success only; else it is the caller's, unchanged. Returns the listener.
 * Errors: USAGE (not a socket, not listening, no stream, another family: the text says so; what ssl_listen
 *   refuses), CONFIG (no identity), SYSTEM, MEMORY. Keeps: L1, W8.
 */
SALLY_API ssl_status ssl_listen_fd(int fd, const ssl_listen_options *options, ssl_context *context,
                                   ssl_listener **listener, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

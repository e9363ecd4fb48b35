/* L6 ends: listening sockets on their way to another process (W8), for those who spawn it and who offer.
 *
 * From taking in to letting go the bundle is a user of the listeners, so their descriptors stay open.
 */
#ifndef SALLY_BUNDLE_H
#define SALLY_BUNDLE_H

#include "sallyport/handover.h"

typedef struct sally_bundle {
    const ssl_handed_sockets *sockets; /* of the options */
    size_t entered;                    /* listeners that we are users of */
    int *fds;
    int count;
    char *names; /* of all fds, with ':' between them */
    size_t names_length;
} sally_bundle;

/* USAGE. */
ssl_status sally_bundle_check(const char *call, const ssl_handed_sockets *sockets, ssl_error *err);
/* CLOSED, MEMORY. Let go of it in any case. */
ssl_status sally_bundle_take_in(sally_bundle *b, const char *call,
                                const ssl_handed_sockets *sockets, ssl_error *err);
void sally_bundle_let_go(sally_bundle *b);
/* The files of the listeners' Unix sockets are the other process's from now on. */
void sally_bundle_leave_files(const sally_bundle *b);

#endif

/* L0 base: a countdown to an injected failure; the test library only.
 *
 * Each module that can be made to fail keeps one of these per thread, so that a test fails the nth
 * call of its own thread and no other thread's.
 */
#ifndef SALLY_FAULT_H
#define SALLY_FAULT_H

#ifdef SALLY_TESTING

#include <stdbool.h>

typedef struct sally_fault {
    long nth;       /* which call fails, counted from 1; 0: none */
    long count;     /* calls seen since it was set */
    bool and_after; /* those after the nth fail too */
    int err;        /* the errno to report, where the module has one */
} sally_fault;

/* Counts one call; true when it is to fail. */
static inline bool sally_fault_hit(sally_fault *f)
{
    f->count++;
    return f->nth != 0 && (f->count == f->nth || (f->and_after && f->count > f->nth));
}

#endif
#endif

/* L1 waiting: what a thread owns: its break token and its wake, each made on first use, both gone
 * with the thread. A child of fork(2) starts with neither (B10). */
#ifndef SALLY_THREAD_OWN_H
#define SALLY_THREAD_OWN_H

#include "sallyport/break.h"
#include "wake.h"

typedef struct sally_thread_own {
    ssl_break *brk;   /* NULL until ssl_break_self */
    sally_wake wake;  /* closed until sally_wait_self */
    unsigned process; /* the generation it was made under */
} sally_thread_own;

/* NULL when out of memory. */
sally_thread_own *sally_thread_own_get(void);
/* The thread's own token if it has one, else NULL; never makes anything. */
const ssl_break *sally_thread_own_break(void);

#endif

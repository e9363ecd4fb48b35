/* L1 waiting: the token's fields, for break.c and break_owner.c only. */
#ifndef SALLY_BREAK_OBJECT_H
#define SALLY_BREAK_OBJECT_H

#include "atomic.h"
#include "break.h"

struct ssl_break {
    sally_atomic_u64 refs;
    sally_atomic_u64 word; /* see break.c */
    sally_atomic_ptr wake; /* const sally_wake *: `own`, a lent one, or NULL */
    sally_wake own;
    sally_atomic_u64
        sent_ns; /* owner tokens: when the break was sent that nobody has timed yet, or 0 */
    sally_atomic_u64 reported_ns; /* ... and when a call reported it first, or 0 */
    /* constant once made */
    ssl_break *parent;     /* retained */
    sally_wake_bank *bank; /* retained; owner tokens only */
    ssl_deadline deadline; /* the earliest of its own and its ancestors' */
    unsigned process;      /* generation it was made under */
    int depth;
    bool sendable;
};

/* A token without a wake; deadline and process taken from the parent. */
ssl_status sally_break_make(ssl_break *parent, ssl_break **brk, ssl_error *err);

/* Of an owner token: a break is about to be sent; a call is about to report it. */
void sally_break_note_send(ssl_break *brk);
void sally_break_note_report(ssl_break *brk);

#endif

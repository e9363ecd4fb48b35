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

#endif

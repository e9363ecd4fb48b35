/* L1 waiting: what the library's own code does with break tokens.
 *
 * A token is one atomic word and a wake. Invariant, once every call has returned: the wake is
 * readable if the word is pending. The converse may fail for a moment; whoever finds a readable wake
 * whose word is clear calls sally_break_calm, which drains, looks again, and raises if a send came
 * in between. So no waiter spins and no send is lost (B4).
 */
#ifndef SALLY_BREAK_H
#define SALLY_BREAK_H

#include "sallyport/break.h"
#include "wake.h"

/* What one blocking operation listens to, besides its socket. Made on the stack of the call. */
typedef struct sally_scope {
    ssl_break *brk;        /* the caller's token, or NULL */
    ssl_break *owners[2];  /* servers' tokens for the connection, or both of a copy; or NULL (B9) */
    ssl_deadline deadline; /* the earliest of the tokens' and the port's own */
    bool keep;             /* a break of the thread's own token is reported and yet stays pending */
    const char *call;      /* that the texts name; NULL: none */
} sally_scope;

/* A scope that nothing breaks and nothing bounds. */
#define SALLY_SCOPE_NONE ((sally_scope){NULL, {NULL, NULL}, SALLY_NEVER, false, NULL})

/* The most tokens that one scope watches. */
#define SALLY_SCOPE_TOKENS (3 * SALLY_BREAK_DEPTH_MAX)

/* How a public call wants to be broken: by `brk` if `enable`, by no token of the caller's if not. */
typedef struct sally_how {
    bool enable;
    ssl_break *brk;
} sally_how;
#define SALLY_PLAIN       ((sally_how){false, NULL})
#define SALLY_ENABLE(brk) ((sally_how){true, (brk)})

/* The scope of a public call. In a shielded section of the thread (B9) no token breaks it, and the
 * section's deadline bounds it. Fails as sally_scope_enable does. */
ssl_status sally_scope_begin(sally_scope *scope, sally_how how, ssl_phase phase, ssl_error *err);

/* The scope of an ..._enable_break call: `brk`, or the thread's own token for NULL. Fails when the
 * token is of another process generation (B10) or the thread's own cannot be made. */
ssl_status sally_scope_enable(sally_scope *scope, ssl_break *brk, ssl_phase phase, ssl_error *err);

/* Adds a limit of its own, and the token of an owner (not in a shielded section): NULL is none, and there
 * are two at most. */
void sally_scope_bound(sally_scope *scope, ssl_deadline deadline);
void sally_scope_own(sally_scope *scope, ssl_break *owner);

/* Before each step: SALLY_OK, or SALLY_BREAK / SALLY_TIMEOUT with *err filled. A break of the
 * thread's own token is consumed here, so the caller must report what it gets. */
ssl_status sally_scope_check(const sally_scope *scope, ssl_phase phase, ssl_error *err);

/* Walks the tokens whose wakes a waiter must watch: each of the chain that has a wake. */
int sally_scope_wakes(const sally_scope *scope, ssl_break **tokens, int most);
int sally_break_wait_fd(const ssl_break *brk);

/* A waiter found the token's wake readable and no break pending: drain, look again, restore. */
void sally_break_calm(ssl_break *brk);

/* break_shield.c: the calling thread's open sections. SALLY_NEVER where there is none. */
bool sally_shield_is_up(void);
ssl_deadline sally_shield_deadline(void);
/* Ends those that a handler has left open: their structs are gone. */
void sally_shield_reset(void);

/* A server's token for one connection (W2): a token without a wake of its own, which borrows one
 * from a bank while a handler runs. The token retains the bank, and the bank closes no wake before
 * its last token is gone, so that a send that races with the return writes to an open fd. */
typedef struct sally_wake_bank sally_wake_bank;
sally_wake_bank *sally_wake_bank_new(void);
void sally_wake_bank_release(sally_wake_bank *bank);
/* NULL and errno when no wake can be opened. */
const sally_wake *sally_wake_bank_take(sally_wake_bank *bank);
void sally_wake_bank_give(sally_wake_bank *bank, const sally_wake *wake);

ssl_status sally_break_new_owner(sally_wake_bank *bank, ssl_break **brk, ssl_error *err);
void sally_break_lend(ssl_break *brk, const sally_wake *wake); /* NULL takes it back */
/* Whether a break was sent to an owner token since it was last asked, and in *ns how long it took from
 * there until a call reported it; until now where none did. */
bool sally_break_take_latency(ssl_break *brk, int64_t *ns);

#endif

/* L1 waiting: break tokens.
 *
 * The word: severity in bits 0-7 (0: nothing pending), the first reason in bits 8-39, and above them a
 * generation that every clear changes, so that a compare-and-swap never mistakes a new break for an
 * old one.
 *
 * Order of things (B3, B4). A sender first makes the word pending, then raises the wake; a waiter
 * looks at the word before it sleeps on the wake. A clear makes the word clear, then drains, then
 * looks again and raises if a send came in between: the send's word is set before its raise, so a
 * drain that swallowed the raise is followed by a look that sees the word. All accesses to the word
 * and to a lent wake are sequentially consistent, because sender and waiter each write one and then
 * read the other. Nothing here takes a lock, except ssl_break_new's allocation.
 */
#include "break.h"

#include <stdio.h>

#include "atomic.h"
#include "break_object.h"
#include "clock.h"
#include "error.h"
#include "mem.h"
#include "sync.h"
#include "thread_own.h"

enum { SEVERITY_MAX = 255, REASON_SHIFT = 8, GENERATION_SHIFT = 40 };

static unsigned severity_of(uint64_t word)
{
    return (unsigned)(word & SEVERITY_MAX);
}

static int reason_of(uint64_t word)
{
    return (int)(int32_t)(uint32_t)(word >> REASON_SHIFT);
}

static uint64_t generation_of(uint64_t word)
{
    return word >> GENERATION_SHIFT;
}

static uint64_t pack(uint64_t generation, int reason, unsigned severity)
{
    return generation << GENERATION_SHIFT | (uint64_t)(uint32_t)reason << REASON_SHIFT | severity;
}

/* ---- life ---------------------------------------------------------------------------------- */

ssl_status sally_break_make(ssl_break *parent, ssl_break **brk, ssl_error *err)
{
    *brk = NULL;
    unsigned process = sally_process_generation();
    if (parent != NULL && parent->process != process) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "ssl_break_new: the parent token is from before fork(); make a new one");
    }
    int depth = parent == NULL ? 1 : parent->depth + 1;
    if (depth > SALLY_BREAK_DEPTH_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_NONE,
                          "ssl_break_new: more than %d tokens in a chain of parents",
                          SALLY_BREAK_DEPTH_MAX);
    }
    ssl_break *made = sally_alloc(sizeof *made);
    if (made == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_NONE, "ssl_break_new");
    }
    made->own = SALLY_WAKE_CLOSED;
    made->process = process;
    made->depth = depth;
    made->parent = ssl_break_retain(parent);
    made->deadline = parent == NULL ? SALLY_NEVER : parent->deadline;
    sally_store_rel(&made->refs, 1);
    *brk = made;
    return SALLY_OK;
}

ssl_status ssl_break_new(ssl_break *parent, ssl_break **brk, ssl_error *err)
{
    if (brk == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_break_new: brk is NULL");
    }
    ssl_status status = sally_break_make(parent, brk, err);
    if (status != SALLY_OK) {
        return status;
    }
    int failed = sally_wake_open(&(*brk)->own);
    if (failed != 0) {
        ssl_break_release(*brk);
        *brk = NULL;
        return sally_fail_errno(err, failed, SALLY_PHASE_NONE,
                                "ssl_break_new: no descriptor for a wake-up");
    }
    (*brk)->sendable = true;
    (void)sally_swap_ptr_seq(&(*brk)->wake, &(*brk)->own);
    return SALLY_OK;
}

ssl_status ssl_break_new_deadline(ssl_break *parent, ssl_deadline deadline, ssl_break **brk,
                                  ssl_error *err)
{
    if (brk == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "ssl_break_new_deadline: brk is NULL");
    }
    ssl_status status = sally_break_make(parent, brk, err);
    if (status == SALLY_OK) {
        (*brk)->deadline = sally_deadline_earlier((*brk)->deadline, deadline);
    }
    return status;
}

ssl_break *ssl_break_retain(ssl_break *brk)
{
    if (brk != NULL) {
        (void)sally_add_relaxed(&brk->refs, 1);
    }
    return brk;
}

void ssl_break_release(ssl_break *brk)
{
    while (brk != NULL && sally_drop_ref(&brk->refs)) {
        ssl_break *parent = brk->parent;
        sally_wake_close(&brk->own);
        sally_wake_bank_release(brk->bank);
        sally_free(brk);
        brk = parent;
    }
}

ssl_status ssl_break_self(ssl_break **brk, ssl_error *err)
{
    if (brk == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_break_self: brk is NULL");
    }
    *brk = NULL;
    sally_thread_own *own = sally_thread_own_get();
    if (own == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_NONE, "ssl_break_self");
    }
    ssl_status status = own->brk != NULL ? SALLY_OK : ssl_break_new(NULL, &own->brk, err);
    *brk = own->brk;
    return status;
}

/* ---- send and clear ------------------------------------------------------------------------ */

/* The word after one more send; the same word when the severity is at its end. */
static uint64_t after_send(uint64_t word, int reason)
{
    unsigned severity = severity_of(word);
    if (severity == 0) {
        return pack(generation_of(word), reason, 1);
    }
    return severity == SEVERITY_MAX ? word : word + 1;
}

ssl_status ssl_break_send(ssl_break *brk, int reason)
{
    if (brk == NULL || !brk->sendable || brk->process != sally_process_generation()) {
        return SALLY_USAGE;
    }
    uint64_t word = sally_load_seq(&brk->word);
    if (brk->bank != NULL && severity_of(word) == 0) {
        sally_break_note_send(brk);
    }
    while (!sally_cas_seq(&brk->word, &word, after_send(word, reason))) {}
    if (severity_of(word) ==
        0) { /* the send that made it pending raises; later ones are one with it */
        const sally_wake *wake = sally_load_ptr_seq(&brk->wake);
        if (wake != NULL) {
            sally_wake_raise(wake);
        }
    }
    return SALLY_OK;
}

void sally_break_calm(ssl_break *brk)
{
    const sally_wake *wake = sally_load_ptr_seq(&brk->wake);
    if (wake == NULL) {
        return;
    }
    sally_wake_drain(wake);
    if (severity_of(sally_load_seq(&brk->word)) != 0) {
        sally_wake_raise(wake);
    }
}

void ssl_break_clear(ssl_break *brk)
{
    if (brk == NULL || brk->process != sally_process_generation()) {
        return;
    }
    uint64_t word = sally_load_seq(&brk->word);
    do {
        if (severity_of(word) == 0) {
            return;
        }
    } while (!sally_cas_seq(&brk->word, &word, pack(generation_of(word) + 1, 0, 0)));
    sally_store_seq(&brk->sent_ns, 0);
    sally_break_calm(brk);
}

/* ---- questions ----------------------------------------------------------------------------- */

/* The nearest token of the chain with a break, and its word. */
static const ssl_break *pending_in_chain(const ssl_break *brk, uint64_t *word)
{
    for (; brk != NULL; brk = brk->parent) {
        *word = sally_load_seq(&brk->word);
        if (severity_of(*word) != 0) {
            return brk;
        }
    }
    return NULL;
}

bool ssl_break_pending(const ssl_break *brk, int *reason, int *severity)
{
    uint64_t word = 0;
    bool pending = pending_in_chain(brk, &word) != NULL;
    if (reason != NULL) {
        *reason = pending ? reason_of(word) : 0;
    }
    if (severity != NULL) {
        *severity = pending ? (int)severity_of(word) : 0;
    }
    return pending;
}

ssl_deadline ssl_break_deadline(const ssl_break *brk)
{
    return brk == NULL ? SALLY_NEVER : brk->deadline;
}

/* ---- scopes -------------------------------------------------------------------------------- */

ssl_status sally_scope_enable(sally_scope *scope, ssl_break *brk, ssl_phase phase, ssl_error *err)
{
    *scope = SALLY_SCOPE_NONE;
    if (brk == NULL) {
        ssl_status status = ssl_break_self(&brk, err);
        if (status != SALLY_OK) {
            return status;
        }
    }
    if (brk->process != sally_process_generation()) {
        return sally_fail(err, SALLY_USAGE, phase,
                          "%s: the break token is from before fork(); make a new one",
                          ssl_phase_name(phase));
    }
    scope->brk = sally_shield_is_up() ? NULL : brk;
    scope->deadline = sally_deadline_earlier(brk->deadline, sally_shield_deadline());
    return SALLY_OK;
}

ssl_status sally_scope_begin(sally_scope *scope, sally_how how, ssl_phase phase, ssl_error *err)
{
    if (how.enable) {
        return sally_scope_enable(scope, how.brk, phase, err);
    }
    *scope = SALLY_SCOPE_NONE;
    scope->deadline = sally_shield_deadline();
    return SALLY_OK;
}

void sally_scope_bound(sally_scope *scope, ssl_deadline deadline)
{
    scope->deadline = sally_deadline_earlier(scope->deadline, deadline);
}

void sally_scope_own(sally_scope *scope, ssl_break *owner)
{
    if (owner == NULL) {
        return;
    }
    if (!sally_shield_is_up() && owner != scope->owners[0]) {
        scope->owners[scope->owners[0] != NULL] = owner;
    }
    sally_scope_bound(scope, owner->deadline);
}

/* "ssl_read: read: the deadline has passed". */
static ssl_status fail_scope(const sally_scope *scope, ssl_status status, ssl_phase phase,
                             const char *why, ssl_error *err)
{
    bool named = scope->call != NULL;
    return sally_fail(err, status, phase, "%s%s%s: %s", named ? scope->call : "", named ? ": " : "",
                      ssl_phase_name(phase), why);
}

static ssl_status report_break(const sally_scope *scope, const ssl_break *source, uint64_t word,
                               ssl_phase phase, ssl_error *err)
{
    char why[40];
    snprintf(why, sizeof why, "broken (reason %d)", reason_of(word));
    (void)fail_scope(scope, SALLY_BREAK, phase, why, err);
    if (err != NULL) {
        err->code = reason_of(word);
    }
    if (source->bank != NULL) {
        sally_break_note_report((ssl_break *)(uintptr_t)source);
    }
    if (!scope->keep && source == scope->brk && source == sally_thread_own_break()) {
        ssl_break_clear(scope->brk); /* sends that came since are one with the reported one (B4) */
    }
    return SALLY_BREAK;
}

ssl_status sally_scope_check(const sally_scope *scope, ssl_phase phase, ssl_error *err)
{
    uint64_t word = 0;
    const ssl_break *source = pending_in_chain(scope->brk, &word);
    for (int i = 0; i < 2 && source == NULL; i++) {
        source = pending_in_chain(scope->owners[i], &word);
    }
    if (source != NULL) {
        return report_break(scope, source, word, phase, err);
    }
    if (sally_deadline_passed(scope->deadline)) {
        return fail_scope(scope, SALLY_TIMEOUT, phase, "the deadline has passed", err);
    }
    return SALLY_OK;
}

static int add_wakes(ssl_break *brk, ssl_break **tokens, int count, int most)
{
    for (; brk != NULL && count < most; brk = brk->parent) {
        if (sally_load_ptr_seq(&brk->wake) != NULL) {
            tokens[count++] = brk;
        }
    }
    return count;
}

int sally_scope_wakes(const sally_scope *scope, ssl_break **tokens, int most)
{
    int count = add_wakes(scope->brk, tokens, 0, most);
    count = add_wakes(scope->owners[0], tokens, count, most);
    return add_wakes(scope->owners[1], tokens, count, most);
}

int sally_break_wait_fd(const ssl_break *brk)
{
    const sally_wake *wake = sally_load_ptr_seq(&brk->wake);
    return wake == NULL ? -1 : wake->wait_fd;
}

/*
 * sallyport/break.h: tokens that break blocking calls.
 *
 * An ssl_break is handed to the ..._enable_break form of a blocking call. Whoever holds the token,
 * another thread or a signal handler, sends a break, and every call that waits on the token, or on
 * a token made with it as parent, returns SALLY_BREAK at once. The connection stays intact and
 * usable both ways: calling again goes on where the call stopped (B6).
 *
 *     ssl_break *stop = NULL;
 *     ssl_break_new(NULL, &stop, &err);
 *     ssl_break_on_signal(SIGINT, stop, &err);
 *     status = ssl_read_enable_break(in, buf, sizeof buf, stop, &got, &err);
 *     if (status == SALLY_BREAK) ... Ctrl-C; err.code is SIGINT
 *
 * A break is sticky (B4): it stays pending until ssl_break_clear, and is reported by every call
 * that would begin a step meanwhile. Only the thread's own token, ssl_break_self(), is consumed by
 * the report, as a Racket break is. A pending break wins over readiness; a step that made progress
 * is never turned into SALLY_BREAK (B2).
 *
 * A cleanup that no break may cut short is a shielded section, with a deadline of its own (B9):
 * ssl_break_shield.
 *
 * After fork() the child must not use its parent's tokens: sending to one, or waiting on one,
 * gives SALLY_USAGE there (B10). Make new tokens in the child.
 */
#ifndef SALLYPORT_BREAK_H
#define SALLYPORT_BREAK_H

#include <stdbool.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A refcounted break token. */
typedef struct ssl_break ssl_break;

/** An absolute time on the monotonic clock (clock_gettime(2), CLOCK_MONOTONIC). */
typedef struct ssl_deadline {
    int64_t monotonic_ns; /**< nanoseconds; INT64_MAX: never */
} ssl_deadline;

/** The deadline `timeout_ms` milliseconds from now; negative: never. Threads: any. */
SALLY_API ssl_deadline ssl_deadline_after_ms(int64_t timeout_ms);

/** The longest chain of parents a token may have, itself included. */
#define SALLY_BREAK_DEPTH_MAX 8

/**
 * Makes a token, in *brk.
 * `parent`, may be NULL: a break of the parent breaks waits on this token too, and the parent's
 *   deadline bounds them.
 * Ownership: returns one reference; retains the parent. Holds one file descriptor (eventfd(2); two
 *   where the library is built with pipes).
 * Threads: any.
 * Errors: SYSTEM (no file descriptor left), MEMORY, LIMIT (more than SALLY_BREAK_DEPTH_MAX deep).
 * Keeps: B4.
 */
SALLY_API ssl_status ssl_break_new(ssl_break *parent, ssl_break **brk, ssl_error *err);

/**
 * Makes a token that only bounds time: the call that waits on it returns SALLY_TIMEOUT at
 * `deadline`, or at the parent's deadline if that is earlier, in total, however many waits it makes.
 * It needs no file descriptor and cannot be sent to; send to the parent.
 * Ownership: returns one reference; retains the parent. Threads: any.
 * Errors: MEMORY, LIMIT. Keeps: B5.
 */
SALLY_API ssl_status ssl_break_new_deadline(ssl_break *parent, ssl_deadline deadline,
                                            ssl_break **brk, ssl_error *err);

/** Adds a reference; returns `brk`. Threads: any. */
SALLY_API ssl_break *ssl_break_retain(ssl_break *brk);

/** Gives a reference back; the last one frees the token. NULL is fine. Threads: any. */
SALLY_API void ssl_break_release(ssl_break *brk);

/**
 * Sends a break: every call that waits on the token or on a descendant returns SALLY_BREAK.
 * The first `reason` stays until the token is cleared and appears as ssl_error.code; every further
 * send raises the severity by one, up to 255. Never blocks; errno is kept.
 * Threads: any, async-signal-safe: one lock-free update and at most one write(2) (B3).
 * Returns OK, or USAGE for NULL, a deadline token, or a token from before fork() (B10).
 */
SALLY_API ssl_status ssl_break_send(ssl_break *brk, int reason);

/** Takes a pending break back. A send that races with it is either cleared or seen (B4).
 *  Threads: any. */
SALLY_API void ssl_break_clear(ssl_break *brk);

/**
 * Whether a break is pending on this token or on one of its ancestors.
 * *reason (may be NULL) gets the first reason, *severity (may be NULL) the number of sends, 0 if none.
 * Does not consume. Threads: any, async-signal-safe.
 */
SALLY_API bool ssl_break_pending(const ssl_break *brk, int *reason, int *severity);

/** The earliest deadline of the token and its ancestors. Threads: any. */
SALLY_API ssl_deadline ssl_break_deadline(const ssl_break *brk);

/**
 * The calling thread's own token, made on first use, in *brk. The ..._enable_break calls use it when
 * they are given NULL. It is consumed by the call of its own thread that reports it (B4).
 * Ownership: borrowed, lives as long as the thread; retain it before you give it to another thread.
 * Errors: SYSTEM, MEMORY.
 */
SALLY_API ssl_status ssl_break_self(ssl_break **brk, ssl_error *err);

/**
 * Waits until `fd` is readable (or writable, or at its end), so that a program's own blocking I/O,
 * on its standard input for example, obeys the same token as its connections. `fd` -1: waits for the
 * break alone, and so never returns OK.
 * Blocks: until the descriptor is ready, the token is broken (BREAK) or its deadline passes
 *   (TIMEOUT); without one, for ever. Threads: any.
 * Errors: BREAK, TIMEOUT, USAGE (a descriptor that is not open), SYSTEM, MEMORY. Keeps: B1.
 */
SALLY_API ssl_status ssl_wait_fd_enable_break(int fd, bool for_write, ssl_break *brk,
                                              ssl_error *err);

/**
 * Lets signal `signo` send a break to `brk` with the signal number as the reason. A second signal
 * raises the severity. Replaces the signal's disposition, with SA_RESTART (sigaction(2)), until
 * ssl_break_off_signal. Calling it again for the same signal changes the token.
 * Ownership: retains the token. Threads: any.
 * Errors: USAGE (no such signal, a deadline token), SYSTEM. Keeps: B3, E3.
 */
SALLY_API ssl_status ssl_break_on_signal(int signo, ssl_break *brk, ssl_error *err);

/**
 * Undoes ssl_break_on_signal: puts the old disposition back and releases the token. Without a
 * connected token: does nothing.
 * Blocks: until handlers running in other threads have left, which is microseconds; so not to be
 * called from a signal handler. Threads: any. Errors: USAGE (no such signal), SYSTEM. Keeps: B3.
 */
SALLY_API ssl_status ssl_break_off_signal(int signo, ssl_error *err);

/* ---- shielded sections --------------------------------------------------------------------- */

/** An open section. It lives with its caller, on the stack as a rule; its fields are the library's. */
typedef struct ssl_shield {
    struct ssl_shield *outer;
    ssl_deadline deadline;
    uint64_t reserved[4];
} ssl_shield;

/**
 * Begins a section of the calling thread that no break ends, for a cleanup that must be done:
 *
 *     ssl_shield shield;
 *     ssl_break_shield(2000, &shield, NULL);
 *     ssl_write_enable_break(out, "sorry\n", 6, stop, NULL, &err); // up to two seconds, whatever is sent
 *     ssl_close_port_enable_break(out, stop, &err);
 *     ssl_break_unshield(&shield, NULL);
 *
 * Until it ends, breaks of all tokens are deferred for the calls of this thread, whichever they are
 * given, the token of a served connection included: they stay pending, and the first call after the
 * section sees them at once. Every blocking call in it, the plain ones too, returns TIMEOUT when
 * `timeout_ms` milliseconds (0 or more) have passed since the section began; with 0 that is at once,
 * ready or not. Deadlines of tokens and timeouts of ports still count. Sections may be nested; the
 * earliest deadline wins.
 * What other threads do, a port closed by the hard stop of a drain for example, is not held up.
 * Ownership: *shield is the library's until the section ends; end it before the struct goes away. A
 *   section that a handler of ssl_server leaves open ends when the handler returns.
 * Threads: any; of no effect for others. Errors: USAGE (negative time, a struct whose section is open).
 * Keeps: B9.
 */
SALLY_API ssl_status ssl_break_shield(int64_t timeout_ms, ssl_shield *shield, ssl_error *err);

/**
 * Ends a section. Nested ones end in the reverse order of their beginning.
 * Threads: the one that began it. Errors: USAGE (not open in this thread, or one inside of it still is;
 *   nothing changes then). Keeps: B9.
 */
SALLY_API ssl_status ssl_break_unshield(ssl_shield *shield, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

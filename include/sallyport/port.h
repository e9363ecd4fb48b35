/*
 * sallyport/port.h: the two doors of a TLS connection.
 *
 * ssl_connect and ssl_accept give an ssl_ports: `in` to read from and `out` to write to. Both are
 * ssl_port handles of one connection; each is closed or abandoned, and freed, on its own. Reading
 * an output port, or writing an input port, gives SALLY_USAGE.
 *
 * Threads (P1): one reader and one writer may work at the same time, in two threads; neither delays
 * the other. A second reader, or a second writer, gets SALLY_USAGE at once. Closing and abandoning
 * are legal from any thread at any time and make a call that is blocked on that port return
 * SALLY_CLOSED. Freeing a port is not legal during a call on it.
 *
 * Breaks (B1, B9): each blocking call has an ..._enable_break form. It returns SALLY_BREAK when a
 * break is pending on the token, SALLY_TIMEOUT when the token's deadline has passed; NULL stands for
 * the thread's own token. The plain form obeys no token, except that on a port which ssl_server
 * serves both forms obey the connection's token. After BREAK or TIMEOUT the connection is intact
 * both ways: call again to go on (B6).
 *
 * Ends (P3): SALLY_EOF when the peer said goodbye, SALLY_TRUNCATED when the stream was cut. Each
 * later read gives the same; writing may still be possible.
 */
#ifndef SALLYPORT_PORT_H
#define SALLYPORT_PORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "break.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One side of a TLS connection. */
typedef struct ssl_port ssl_port;

/** Both sides. After a failed call both are NULL (E2). */
typedef struct ssl_ports {
    ssl_port *in;
    ssl_port *out;
} ssl_ports;

/* ---- reading ------------------------------------------------------------------------------- */

/**
 * Reads at least one byte and at most `n` into `buf`; *got says how many. n = 0 is OK with *got 0.
 * Blocks: until something is there. At most one TLS record (16 KiB) comes at a time.
 * On break: nothing was read. Threads: one reader.
 * Errors: EOF, TRUNCATED, CLOSED, PEER, PROTOCOL, VERIFY, SYSTEM, MEMORY, USAGE; TIMEOUT if the port
 *   has a timeout. Keeps: P2, P3, B2.
 */
SALLY_API ssl_status ssl_read(ssl_port *in, void *buf, size_t n, size_t *got, ssl_error *err);
/** ssl_read that `brk` can break. */
SALLY_API ssl_status ssl_read_enable_break(ssl_port *in, void *buf, size_t n, ssl_break *brk,
                                           size_t *got, ssl_error *err);

/**
 * Reads exactly `n` bytes. When it returns anything but OK, *got bytes have been read and are in
 * `buf`: EOF after some bytes too (the stream ended early).
 * Blocks, threads, errors as for ssl_read. Keeps: P2, B2.
 */
SALLY_API ssl_status ssl_read_full(ssl_port *in, void *buf, size_t n, size_t *got, ssl_error *err);
/** ssl_read_full that `brk` can break; *got is exact then. */
SALLY_API ssl_status ssl_read_full_enable_break(ssl_port *in, void *buf, size_t n, ssl_break *brk,
                                                size_t *got, ssl_error *err);

/**
 * Reads a line: up to and with the next LF, a NUL put behind it; *length counts the bytes without
 * the NUL. At the end of the stream what is left counts as a line; then EOF.
 * LIMIT: no LF within size - 1 bytes; nothing is consumed. On break: nothing was consumed.
 * Blocks, threads, other errors as for ssl_read; USAGE also for size < 2. Keeps: P2, B2.
 */
SALLY_API ssl_status ssl_read_line(ssl_port *in, char *line, size_t size, size_t *length,
                                   ssl_error *err);
/** ssl_read_line that `brk` can break. */
SALLY_API ssl_status ssl_read_line_enable_break(ssl_port *in, char *line, size_t size,
                                                ssl_break *brk, size_t *length, ssl_error *err);

/** As ssl_read, but what is read stays and is read again. At most 16 KiB at a time. Keeps: P2. */
SALLY_API ssl_status ssl_peek(ssl_port *in, void *buf, size_t n, size_t *got, ssl_error *err);
/** ssl_peek that `brk` can break. */
SALLY_API ssl_status ssl_peek_enable_break(ssl_port *in, void *buf, size_t n, ssl_break *brk,
                                           size_t *got, ssl_error *err);

/** Reads what is there, without blocking: OK with *got 0 when nothing is. Errors as for ssl_read.
 *  Keeps: P2. */
SALLY_API ssl_status ssl_read_available(ssl_port *in, void *buf, size_t n, size_t *got,
                                        ssl_error *err);
/** Whether ssl_read would return at once, with bytes, an end or an error. Never blocks. *ready is
 *  false unless OK. Errors: USAGE, CLOSED. Keeps: P2. */
SALLY_API ssl_status ssl_byte_ready(ssl_port *in, bool *ready, ssl_error *err);

/* ---- writing ------------------------------------------------------------------------------- */

/**
 * Writes all `n` bytes; *done (may be NULL) says how many were accepted, exact whatever it returns.
 * Accepted bytes go out in order before anything that is written later.
 * Blocks: until the socket has taken them. On break: go on with buf + *done; if *done is n, all is
 *   accepted, and what the socket has not taken goes out with the next call on either side.
 * Threads: one writer. Linear in n.
 * Errors: CLOSED, PEER, PROTOCOL, SYSTEM (EPIPE, ECONNRESET: the peer is gone), MEMORY, USAGE;
 *   TIMEOUT if the port has a timeout. Keeps: P2, P6, B2, B6.
 */
SALLY_API ssl_status ssl_write(ssl_port *out, const void *buf, size_t n, size_t *done,
                               ssl_error *err);
/** ssl_write that `brk` can break. */
SALLY_API ssl_status ssl_write_enable_break(ssl_port *out, const void *buf, size_t n,
                                            ssl_break *brk, size_t *done, ssl_error *err);
/** Writes what can be taken without blocking; OK with *done 0 when nothing can. Errors as for
 *  ssl_write. Keeps: P2. */
SALLY_API ssl_status ssl_write_available(ssl_port *out, const void *buf, size_t n, size_t *done,
                                         ssl_error *err);
/** Waits until the socket has taken everything accepted so far. Blocks, threads and errors as for
 *  ssl_write. Keeps: P2. */
SALLY_API ssl_status ssl_flush(ssl_port *out, ssl_error *err);
/** ssl_flush that `brk` can break. */
SALLY_API ssl_status ssl_flush_enable_break(ssl_port *out, ssl_break *brk, ssl_error *err);
/** Bytes of ciphertext that the socket has not taken yet; 0 after both sides are closed, or for
 *  NULL. Threads: any. Keeps: P2. */
SALLY_API size_t ssl_pending_output(const ssl_port *out);

/**
 * Writes text as printf(3) makes it, without its NUL; `err` stands before the format. The text is made
 * whole before any of it is written: in one allocation of its size, or in none up to 1 KiB. *done (may
 * be NULL) counts its bytes that were accepted, exact whatever it returns.
 * Blocks, on break, threads and other errors as for ssl_write. To go on after a break with the exact
 *   rest, make the text yourself and use ssl_write.
 * Errors: SYSTEM also when the text cannot be made (EILSEQ: a wide character that the locale lacks;
 *   EOVERFLOW: longer than INT_MAX bytes); nothing was written then. Keeps: P2, B2.
 */
SALLY_API ssl_status ssl_printf(ssl_port *out, size_t *done, ssl_error *err, const char *format,
                                ...) SALLY_PRINTF(4, 5);
/** ssl_printf that `brk` can break. */
SALLY_API ssl_status ssl_printf_enable_break(ssl_port *out, ssl_break *brk, size_t *done,
                                             ssl_error *err, const char *format, ...)
    SALLY_PRINTF(5, 6);
/** ssl_printf with its arguments as vprintf(3) takes them. */
SALLY_API ssl_status ssl_vprintf(ssl_port *out, size_t *done, ssl_error *err, const char *format,
                                 va_list args) SALLY_PRINTF(4, 0);
/** ssl_vprintf that `brk` can break. */
SALLY_API ssl_status ssl_vprintf_enable_break(ssl_port *out, ssl_break *brk, size_t *done,
                                              ssl_error *err, const char *format, va_list args)
    SALLY_PRINTF(5, 0);

/* ---- both ---------------------------------------------------------------------------------- */

/** No bound: to the end of the stream. */
#define SALLY_COPY_ALL UINT64_MAX

/**
 * Moves bytes from an input port to an output port, of another connection or of the same one: up to
 * `max`, or to the peer's goodbye, which is OK too (with *copied less than `max`). *copied (may be NULL)
 * counts what `out` has accepted, exact whatever it returns. Only that is taken from `in`: what
 * stops the copy loses no byte, and a second call, or ssl_read, goes on where it stopped.
 * Closes neither port.
 * Blocks: until something is there, and until the socket of `out` has taken it. The timeouts of the
 *   ports (P8) bound each read and each write of which it consists; a token's deadline bounds the
 *   whole. On break: go on by calling again.
 * Threads: the reader of `in` and the writer of `out` until it returns. Two threads may copy both
 *   ways between two connections. Closing or abandoning either port makes it return CLOSED. On ports
 *   that ssl_server serves it obeys the tokens of both connections.
 * Errors: those of ssl_read but EOF, with ssl_error.phase SALLY_PHASE_READ, and those of ssl_write,
 *   with SALLY_PHASE_WRITE: so the phase tells which side failed. Keeps: P2, P3, B2.
 */
SALLY_API ssl_status ssl_copy_port(ssl_port *in, ssl_port *out, uint64_t max, uint64_t *copied,
                                   ssl_error *err);
/** ssl_copy_port that `brk` can break; *copied is exact then. */
SALLY_API ssl_status ssl_copy_port_enable_break(ssl_port *in, ssl_port *out, uint64_t max,
                                                ssl_break *brk, uint64_t *copied, ssl_error *err);

/* ---- stdio --------------------------------------------------------------------------------- */

/**
 * A stdio FILE of a port: of an input port for reading, of an output port for writing. It cannot seek, and
 * has no fileno(3).
 *   Reading: stdio holds no buffer, so what was not given to the program stays in the port and ssl_read
 *     finds it; only one character that ungetc or fscanf put back is stdio's own. A program that reads by
 *     the FILE alone may give it a buffer of its own: setvbuf(file, room, _IOFBF, sizeof room).
 *   Writing: fully buffered until setvbuf says otherwise.
 *   Ends: the peer's goodbye is feof; all else is ferror, a cut stream too. errno is EINTR for BREAK,
 *     ETIMEDOUT for TIMEOUT, ECONNRESET for TRUNCATED, ECANCELED for CLOSED, EBUSY for USAGE, EPROTO
 *     for PEER, PROTOCOL and VERIFY, ENOMEM for MEMORY, and the system's own for SYSTEM.
 *   A failed write is the last: stdio drops what it held and was not taken, so later writes fail with the
 *     same errno, after clearerr too, and fclose abandons the port, so that the peer reads a cut
 *     stream. Where all was taken, and only the wait for the socket ended early, nothing failed.
 *   fclose closes the port (ssl_close_port).
 * Blocks: not by itself. What the FILE does blocks as ssl_read and ssl_write do, and obeys the port's
 *   timeout (P8) and, on a port that ssl_server serves, the connection's token (B9).
 * Ownership: the FILE borrows the port: fclose it first, then free the port.
 * Threads: one reader and one writer, as on the port itself; stdio lets calls on one FILE take turns.
 * Errors: CLOSED, MEMORY, USAGE; UNSUPPORTED where the C library has no fopencookie(3). Keeps: P2, P3.
 */
SALLY_API ssl_status ssl_port_file(ssl_port *port, FILE **file, ssl_error *err);
/**
 * ssl_port_file whose FILE obeys `brk` in all it does; NULL: the own token of the thread that uses it.
 * On break: the call fails with EINTR. A FILE for reading goes on after clearerr where it was (fgets,
 *   getline and fscanf may have taken a part of what they were asked for).
 * Ownership: retains `brk` until fclose.
 * Errors: USAGE also for a token from before a fork (B10). Keeps: B1.
 */
SALLY_API ssl_status ssl_port_file_enable_break(ssl_port *port, ssl_break *brk, FILE **file,
                                                ssl_error *err);

/* ---- the end ------------------------------------------------------------------------------- */

/** How long closing an output port may take, in milliseconds, unless the port has a write timeout
 *  that is shorter. */
#define SALLY_CLOSE_TIMEOUT_MS 2000

/**
 * Closes a port. On an output port: sends what is accepted, then close_notify, so that the peer
 * reads EOF; the input port stays open (half close: promised for TLS 1.3; with TLS 1.2 it is up to
 * the peer, RFC 5246 section 7.2.1). On an input port: no I/O. When both are closed the socket goes,
 * with care that the peer can still read what we sent.
 * The port is closed whatever is returned. Closing twice, or after abandon, is OK.
 * Blocks: an output port up to SALLY_CLOSE_TIMEOUT_MS; never for the peer's close_notify.
 * Threads: any; a call blocked on the port returns CLOSED.
 * Errors: TIMEOUT (the peer did not take everything; sending goes on for a short time after the
 *   input side is closed too), PEER, PROTOCOL, SYSTEM, MEMORY, USAGE. Keeps: P4.
 */
SALLY_API ssl_status ssl_close_port(ssl_port *port, ssl_error *err);
/** ssl_close_port that `brk` can break. On break: the port is closed; the goodbye may be missing. */
SALLY_API ssl_status ssl_close_port_enable_break(ssl_port *port, ssl_break *brk, ssl_error *err);

/**
 * Gives a port up without a goodbye: no close_notify. Bytes accepted earlier still go out. The peer
 * learns nothing from an abandoned output port until the input port is closed too. On an input port
 * the same as closing. Cannot fail, never blocks, twice is fine, NULL is fine.
 * Threads: any; a call blocked on the port returns CLOSED. Keeps: P4.
 */
SALLY_API void ssl_abandon_port(ssl_port *port);

/** Frees a port, which implies abandon. Never blocks. NULL is fine. Not legal during a call on the
 *  port; the other port of the pair is not touched. Keeps: P4. */
SALLY_API void ssl_free_port(ssl_port *port);

/** Frees both ports of a pair and sets both to NULL. */
SALLY_API void ssl_free_ports(ssl_ports *ports);

/* ---- questions ----------------------------------------------------------------------------- */

/** Room for an address as text with its NUL. */
#define SALLY_ADDRESS_SIZE 128

/** The two ends of a connection: numeric addresses ("127.0.0.1", "fe80::1%eth0", "unix:/path"). */
typedef struct ssl_endpoints {
    char local[SALLY_ADDRESS_SIZE];
    char remote[SALLY_ADDRESS_SIZE]; /**< empty for a listener */
    int local_port;                  /**< 0 for Unix sockets */
    int remote_port;
} ssl_endpoints;

/** Who talks to whom. Works while either side is open, the same from both. Threads: any.
 *  Errors: CLOSED (both sides closed), USAGE, UNSUPPORTED (no socket below). Keeps: P5. */
SALLY_API ssl_status ssl_addresses(const ssl_port *port, ssl_endpoints *ends, ssl_error *err);

/** Bounds every later blocking call on this port to `timeout_ms` in total, milliseconds; negative:
 *  no bound (the default). Threads: any. Errors: USAGE. Keeps: P8. */
SALLY_API ssl_status ssl_port_set_timeout(ssl_port *port, int64_t timeout_ms, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif

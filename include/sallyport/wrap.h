/*
 * sallyport/wrap.h: TLS over transports of your own (Racket's ports->ssl-ports).
 *
 * ssl_wrap_ports does a TLS handshake over bytes that go in and out by any way and gives a pair of
 * ports like that of ssl_connect: everything of port.h holds for it. An ssl_transport says by which way:
 *
 *     ssl_transport_fds(in_fd, out_fd)      sockets, pipes, terminals; the same one twice is fine
 *     ssl_transport_ports(pair)             another pair of ports: TLS in TLS, to any depth
 *     ssl_transport_callbacks(&callbacks)   functions of the program
 *
 *     ssl_transport over = ssl_transport_fds(fd, fd);
 *     ssl_wrap_options options = SALLY_WRAP_OPTIONS;
 *     options.mode = SALLY_WRAP_CONNECT;
 *     options.hostname = "mail.example.org";
 *     status = ssl_wrap_ports(&over, &options, &ports, &err);
 *
 * The original is the descriptors, ports or callbacks below. It is lent to the TLS connection:
 *   - After a wrap that failed or was broken it is the caller's again: nothing of ours reads, writes,
 *     waits on or holds it any more, and its settings are as before. What went over it until then
 *     (handshake messages, and an alert if the original took it at once) has been exchanged. The peer,
 *     in the middle of a handshake, will not take it for a fresh start.
 *   - After a wrap that succeeded it is the connection's until both ports are closed (or abandoned, or
 *     freed). Then it is closed, if options.close_original, or the caller's again.
 *   - Bytes that were accepted and are unsent when both ports are closed still go out, as far as the
 *     original takes them within SALLY_CLOSE_TIMEOUT_MS, by a helper thread of the library (P4), which
 *     uses duplicates of descriptors. A caller who goes on with the original in between would write
 *     into the middle of them: see to it that ssl_close_port of the output port returned OK, after
 *     which nothing is unsent, or that ssl_pending_output is 0.
 *
 * Where the original is kept (no close_original), and in the handshake in any case, nothing behind the
 * last TLS record is read from it: a protocol may end TLS and go on in plaintext (RFC 8446 section 6.1 asks both sides to say close_notify
 * first). Close the output port, read the input port to SALLY_EOF, close it; the next byte of the original
 * is the first behind the peer's close_notify. This costs two reads of the original for each record;
 * with close_original reads take up to 16 KiB at once.
 *
 * Bytes that the program has read from the original before the wrap are the program's: they are no part
 * of the handshake. A protocol that upgrades in place (STARTTLS) must refuse what came in together
 * with the request for the upgrade: it may be an attacker's (CVE-2011-0411).
 *
 * Descriptors:
 *   - Sockets must be stream sockets. They are used with MSG_DONTWAIT, so that O_NONBLOCK stays as it
 *     is; TCP_NODELAY is on while they are lent and is put back (P6).
 *   - Of any other descriptor O_NONBLOCK is set and, when the loan ends, put back, also before it is
 *     closed. The flag belongs to the open file description (open(2)): processes that share a pipe or
 *     terminal see it too, and may find EAGAIN there meanwhile.
 *   - Writing to a pipe without a reader gives SALLY_SYSTEM with EPIPE; SIGPIPE is blocked in the
 *     calling thread for the moment of the write, and is taken back (E3).
 */
#ifndef SALLYPORT_WRAP_H
#define SALLYPORT_WRAP_H

#include <poll.h>

#include "break.h"
#include "context.h"
#include "names.h"
#include "port.h"
#include "registry.h"
#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- callbacks ----------------------------------------------------------------------------- */

/** What a read or a write of a transport came to. */
typedef enum ssl_io {
    SALLY_IO_DONE,        /**< `count` bytes, at least one */
    SALLY_IO_WOULD_BLOCK, /**< nothing now; `fd` and `events`, or the wait function, tell when */
    SALLY_IO_END,         /**< read only: the other end sends nothing more */
    SALLY_IO_FAILED       /**< for good; `sys_errno` says why */
} ssl_io;

/** The details. All zero, and fd -1, when the callback is called. */
typedef struct ssl_io_result {
    size_t count;  /**< with DONE */
    int sys_errno; /**< with FAILED: an errno; 0 counts as EIO */
    int fd;        /**< with WOULD_BLOCK, where there is no wait function: what to poll, */
    short events;  /**< and for which of poll(2)'s events */
} ssl_io_result;

/** What a wait function is to wait for. */
typedef struct ssl_io_wait {
    bool for_read;         /**< until `read` may find something, or */
    bool for_write;        /**< until `write` may take something, or */
    struct pollfd *wakes;  /**< one of these is ready: poll them together with your own, or */
    size_t wake_count;     /**<   at least one */
    ssl_deadline deadline; /**< this has passed */
    ssl_break *brk;        /**< the token of the call, NULL if it has none; it is among the wakes */
} ssl_io_wait;

/**
 * A transport made of functions. `read` and `write` never block.
 *
 * How to wait: either each WOULD_BLOCK names a descriptor and the events for which the library polls it, or
 * there is a `wait` function, which blocks. It returns 0 when anything of ssl_io_wait has come true, and
 * may return 0 at any time for no reason: the library looks at everything again, and so sees breaks and
 * deadlines. Another value is an errno: the call that waits ends with SALLY_SYSTEM. The wakes are
 * how a break or another thread ends the wait; a function that cannot poll them must return
 * within a time of its own, and breaks come as late as that.
 *
 * What a callback must not say counts as FAILED: SALLY_SYSTEM, with a text that names the callback and
 * what it said. The errno is EBADF for a WOULD_BLOCK that names a descriptor which is not open, and
 * EINVAL for one without a descriptor or without events where there is no wait function, for DONE with no
 * bytes or with more than `n`, and for a write that says END.
 *
 * Threads: at most one thread is in `read`, one in `write`, one for each side of the port pair in
 *   `wait`, at the same time; all are threads that call the library, except at the end (`close`). No
 *   lock of the library is held. They may call the library, but not for the ports that they carry.
 */
typedef struct ssl_callbacks {
    /** Reads at least one byte and at most `n` into `buf`, n >= 1. Never reads ahead: `n` is what is
     *  needed now. */
    ssl_io (*read)(void *user, void *buf, size_t n, ssl_io_result *result);
    /** Takes at least one byte and at most `n` of `buf`, n >= 1. What it takes it sends, by itself. */
    ssl_io (*write)(void *user, const void *buf, size_t n, ssl_io_result *result);
    int (*wait)(void *user, const ssl_io_wait *what); /**< NULL: WOULD_BLOCK names descriptors */
    /** Called once, with options.close_original, when both ports are closed and what was accepted
     *  has gone out (or time is up): by the thread that closed the second port, or by a helper
     *  thread of the library, all signals blocked. May be NULL. */
    void (*close)(void *user);
    /** Called once, last of all, in any case but that of a failed wrap: no callback is called any
     *  more. May be NULL. */
    void (*release)(void *user);
    void *user;
    uint64_t reserved[4];
} ssl_callbacks;

/* ---- transports ---------------------------------------------------------------------------- */

/** Which kind of transport. */
typedef enum ssl_transport_kind {
    SALLY_TRANSPORT_NONE = 0, /**< not made by any of the functions below: USAGE */
    SALLY_TRANSPORT_FDS,
    SALLY_TRANSPORT_PORTS,
    SALLY_TRANSPORT_CALLBACKS
} ssl_transport_kind;

/** By which way bytes come in and go out. A value: copy it as you like. */
typedef struct ssl_transport {
    ssl_transport_kind kind;
    union {
        struct {
            int in;
            int out;
        } fds;
        ssl_ports ports;
        ssl_callbacks callbacks;
        uint64_t reserved[16];
    } of;
} ssl_transport;

/** Two descriptors, or the same one twice. Keeps: P7. */
SALLY_API ssl_transport ssl_transport_fds(int in_fd, int out_fd);

/**
 * Both ports of another connection, which then carries the new one. While it does, reading and
 * writing them gives USAGE. Closing or abandoning them is legal and cuts the new connection.
 * Ownership: the handles stay the caller's, with close_original too, which closes but does not
 *   free them; free them after the new ones, because freeing implies abandon. Keeps: P7.
 */
SALLY_API ssl_transport ssl_transport_ports(ssl_ports ports);

/** Functions; copied. Keeps: P7. */
SALLY_API ssl_transport ssl_transport_callbacks(const ssl_callbacks *callbacks);

/* ---- wrapping ------------------------------------------------------------------------------ */

/** Who begins the handshake. */
typedef enum ssl_wrap_mode {
    SALLY_WRAP_ACCEPT = 0, /**< we are the server */
    SALLY_WRAP_CONNECT     /**< we are the client */
} ssl_wrap_mode;

/** Whether closing the output port sends close_notify. */
typedef enum ssl_wrap_shutdown {
    SALLY_SHUTDOWN_AS_CONTEXT =
        0, /**< as ssl_set_shutdown_on_close says: on, if it was not called */
    SALLY_SHUTDOWN_ON,
    SALLY_SHUTDOWN_OFF /**< Racket's default; the peer cannot tell the end from a cut then */
} ssl_wrap_shutdown;

/** How to wrap. Start from SALLY_WRAP_OPTIONS; NULL stands for the same. */
typedef struct ssl_wrap_options {
    ssl_wrap_mode mode;
    ssl_context
        *context; /**< of the mode's kind, retained; NULL: one is made for `protocol`, or with a
                                registry that alone says who serves */
    ssl_protocol protocol; /**< without a context; SECURE: as ssl_make_client_context has it */
    bool close_original;   /**< when both ports are closed */
    ssl_wrap_shutdown shutdown_on_close;
    const char *hostname;      /**< connect: for SNI (RFC 6066) and for verification; NULL: none */
    const char *error_call;    /**< what error texts of this call begin with; NULL: its own name */
    int64_t timeout_ms;        /**< for the handshake, from the call on; not 0; negative: none */
    const ssl_alpn_name *alpn; /**< connect: the protocol names to offer, the best first (ALPN) */
    size_t alpn_count;         /**< 0: what the context offers (ssl_set_alpn) */
    ssl_session *session; /**< connect: to be resumed, as ssl_connect_options has it; NULL: none */
    ssl_registry
        *registry; /**< accept: contexts by server name, as ssl_listen_options has it; borrowed
                                    for the call; NULL: none */
    uint64_t reserved[8];
} ssl_wrap_options;

/* clang-format off */
#define SALLY_WRAP_OPTIONS \
    {SALLY_WRAP_ACCEPT, NULL, SALLY_PROTOCOL_SECURE, false, SALLY_SHUTDOWN_AS_CONTEXT, NULL, NULL, 10000, \
     NULL, 0, NULL, NULL, {0}}
/* clang-format on */

/**
 * Does the handshake over `transport` and gives two ports in *ports. In accept mode a server name
 * callback of the context, and options->registry, are asked for the context as ssl_listen tells.
 * Blocks: for the handshake, at most options->timeout_ms, 10 s if not said otherwise. Over ports that
 *   ssl_server serves, the handshake obeys the connection's token, and so do the new ports.
 * Ownership: returns both ports; each is freed with ssl_free_port. Copies transport and options. The
 *   original is lent, as the head of this page tells; after a failure it is the caller's, whatever
 *   close_original says.
 * Threads: any; nobody else may use the original meanwhile.
 * Errors: TIMEOUT, VERIFY, PEER, PROTOCOL, TRUNCATED (cut in the handshake), SYSTEM, CONFIG (a server
 *   context without an identity; a server name that nobody serves), CLOSED (the pair below is), MEMORY,
 *   USAGE (no transport, a descriptor that is not open or not a stream, ports that are busy, a context of
 *   the other kind, a hostname that is missing where the context verifies it, an option of the other mode,
 *   a timeout_ms of 0),
 *   UNSUPPORTED (this OpenSSL lacks `protocol`). Keeps: P7, P4, E3, B9, C4, C6.
 */
SALLY_API ssl_status ssl_wrap_ports(const ssl_transport *transport, const ssl_wrap_options *options,
                                    ssl_ports *ports, ssl_error *err);

/** ssl_wrap_ports that `brk` can break. On break: the original is the caller's, as after any
 *  failure. Keeps: B1, B6. */
SALLY_API ssl_status ssl_wrap_ports_enable_break(const ssl_transport *transport,
                                                 const ssl_wrap_options *options, ssl_break *brk,
                                                 ssl_ports *ports, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif
